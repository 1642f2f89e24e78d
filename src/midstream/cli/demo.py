"""``midstream demo``: a reply is cut twice and finishes; beside it, the same through the bare SDK.

Rule: it parses, chooses how to show, and calls; what is played is `midstream.demo`'s.
"""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from midstream.cli import Misuse, Unable
from midstream.demo.tale import NotWhole, Tale, own, recorded
from midstream.faults.reply import Reply
from midstream.faults.wire import NotAStream

NAME = "demo"
HELP = "watch a reply break twice and finish; no key, no network"

SPEED_MAX = 1000.0

# As wide as a page shows without scrolling.
PICTURE_COLUMNS = 112


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Plays one reply twice over real sockets, through the official SDK: bare, and with midstream. "
        "The connection is cut twice. Exit status 1 if the recovered message is not the whole reply."
    )
    parser.add_argument("--capture", type=Path, metavar="FILE", help="play this recorded stream (SSE or Bedrock)")
    parser.add_argument("--speed", type=float, default=1.0, metavar="TIMES", help="play so many times faster")
    parser.add_argument("--plain", action="store_true", help="plain text, as in a pipe or with NO_COLOR")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture of it instead of showing it")


def run(args: argparse.Namespace) -> int:
    """Show it; 1 if the recovered message is not the whole reply."""
    # Written so that a NaN is refused too.
    if not 0 < args.speed <= SPEED_MAX:
        raise Misuse(f"--speed is a number above 0 and up to {SPEED_MAX:.0f}, not {args.speed:g}")
    tale = read(args.capture) if args.capture else own()
    # Here, for the SDK takes a second to load: other commands do not need it, and an interrupt meanwhile is quiet.
    from midstream.demo import show

    try:
        if args.svg:
            good = show.draw(tale, args.speed, args.svg, PICTURE_COLUMNS)
            print(f"{args.svg}: written")
        elif plain_only(args.plain):
            good = show.print_plain(tale, args.speed, sys.stdout)
        else:
            good = show.on_terminal(tale, args.speed, sys.stdout)
    except NotWhole as problem:
        raise _not_a_recording(args.capture, problem) from None
    except show.NotDrawn as problem:
        raise Unable(str(problem)) from None
    return 0 if good else 1


def read(path: Path) -> Tale:
    """The tale of a recording. Raises `Misuse`, with one sentence for the person who named the file."""
    try:
        return recorded(Reply.from_bytes(path.read_bytes()), f"(a recording: {path.name})")
    except OSError as problem:
        raise Misuse(f"the capture {path} cannot be read: {problem.strerror}") from None
    except (NotAStream, NotWhole) as problem:
        raise _not_a_recording(path, problem) from None


def _not_a_recording(path: Path, problem: Exception) -> Misuse:
    return Misuse(f"{path} is not a recording of one whole reply of the Messages API: {problem}")


def plain_only(asked: bool) -> bool:
    """Whether nothing but plain text will do."""
    dull = not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return asked or dull or find_spec("rich") is None
