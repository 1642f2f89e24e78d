"""``midstream demo``: a reply is cut twice and finishes; beside it, the same through the bare SDK.

Rule: it parses, chooses how to show, and calls; what is played is `midstream.demo`'s.
"""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from midstream.cli import Misuse
from midstream.demo import plain
from midstream.demo.sides import play, whole
from midstream.demo.tale import NotWhole, Tale, own, recorded
from midstream.demo.verdict import NAMES, Verdict
from midstream.faults.reply import Reply
from midstream.faults.wire import NotAStream

NAME = "demo"
HELP = "watch a reply break twice and finish; no key, no network"

SPEED_MAX = 1000.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--capture", type=Path, metavar="FILE", help="play this recorded stream (SSE or Bedrock)")
    parser.add_argument("--speed", type=float, default=1.0, metavar="TIMES", help="play so many times faster")
    parser.add_argument("--plain", action="store_true", help="plain text, as in a pipe or with NO_COLOR")


def run(args: argparse.Namespace) -> int:
    """Show it; 1 if the recovered message is not the whole reply."""
    if not 0 < args.speed <= SPEED_MAX:
        raise Misuse(f"--speed is a number above 0 and up to {SPEED_MAX:.0f}, not {args.speed:g}")
    tale = read(args.capture) if args.capture else own()
    return _plainly(tale, args.speed)


def read(path: Path) -> Tale:
    """The tale of a recording. Raises `Misuse`, with one sentence for the person who named the file."""
    try:
        return recorded(Reply.from_bytes(path.read_bytes()), path.name)
    except OSError as problem:
        raise Misuse(f"the capture {path} cannot be read: {problem.strerror}") from None
    except (NotAStream, NotWhole) as problem:
        raise Misuse(f"{path} is not a recording of a whole reply of the Messages API: {problem}") from None


def plain_only(asked: bool) -> bool:
    """Whether nothing but plain text will do."""
    dull = not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return asked or dull or find_spec("rich") is None


def _plainly(tale: Tale, speed: float) -> int:
    truth = whole(tale)
    plain.heading(sys.stdout, tale.prompt)
    bare = plain.show(sys.stdout, NAMES["bare"], play(tale, ("bare",), speed))
    mended = plain.show(sys.stdout, NAMES["mended"], play(tale, ("mended",), speed))
    found = Verdict(truth, bare, mended)
    plain.verdict(sys.stdout, found)
    return 0 if found.good else 1
