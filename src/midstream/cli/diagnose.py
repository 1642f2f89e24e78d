"""``midstream diagnose``: what became of a recorded stream.

Rule: it parses, calls and prints; what is found out is `midstream.doctor.diagnose`'s.
"""

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Callable
from typing import BinaryIO

from midstream.cli import Misuse
from midstream.cli.progress import Progress
from midstream.doctor.diagnose.run import examine
from midstream.doctor.diagnose.tell import is_healthy, report_of
from midstream.doctor.render import show

NAME = "diagnose"
HELP = "what became of a recorded stream: where it ended, why, and what is left"

_EPILOG = """\
it reads server-sent events and AWS event streams, as they came over the wire:
bare, with HTTP headers, as `curl -i` or `curl -v` prints them, in chunks,
compressed; HAR files; and the timed recordings of `midstream record`.

exit status: 0 every stream in it is complete and healthy; 1 something was
found; 2 misuse.

examples:
  curl -sN -i https://api.anthropic.com/v1/messages … > reply.txt
  midstream diagnose reply.txt

  midstream record -o reply.jsonl -- curl -sN https://…/v1/messages …
  midstream diagnose reply.jsonl

  midstream diagnose --json - < reply.sse
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("file", metavar="FILE|-", help="the recording; - reads it from standard input")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--at", type=int, metavar="BYTE", help="as if the body had ended after so many bytes")
    parser.add_argument("--show", action="store_true", help="print the end of each text too: contents of the reply")
    parser.add_argument("--short", action="store_true", help="leave out what is read once: how to prevent it, sources")


def run(args: argparse.Namespace) -> int:
    """0 if all is well with it, 1 if not."""
    if args.at is not None and args.at < 0:
        raise Misuse("--at is a number of bytes, 0 or more")
    with contextlib.ExitStack() as stack:
        file = _opened(args.file, stack)
        stack.enter_context(Progress(_how_far(file), sys.stderr))
        examined = examine(file, at=args.at)
    subject = "standard input" if args.file == "-" else args.file
    show(report_of(examined, subject, show=args.show), sys.stdout, as_json=args.json, short=args.short)
    return 0 if is_healthy(examined) else 1


def _how_far(file: BinaryIO) -> Callable[[float], str]:
    """How much of it is read; of a pipe nobody knows."""
    try:
        number = file.fileno()
        size = os.fstat(number).st_size if stat.S_ISREG(os.fstat(number).st_mode) else 0
    except (OSError, ValueError):
        size = 0

    def line(elapsed_s: float) -> str:
        # Asked of the descriptor, for the file object is at work in another thread.
        part = f"{os.lseek(number, 0, os.SEEK_CUR) / size:.0%} of {size / 1e6:,.0f} MB, " if size else ""
        return f"reading: {part}{elapsed_s:.0f} s"

    return line


def _opened(name: str, stack: contextlib.ExitStack) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(open(name, "rb"))
    except ValueError:
        raise Misuse("the name of the file holds a NUL") from None
    except OSError as problem:
        raise Misuse(f"{name}: {problem.strerror or problem}") from None
