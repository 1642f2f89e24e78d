"""``midstream demo``: a reply is cut twice and finishes; beside it, the same through the bare SDK.

Rule: it parses, chooses how to show, and calls; what is played is `midstream.demo`'s.
"""

import argparse
import io
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from midstream.cli import Misuse, Unable
from midstream.demo import plain
from midstream.demo.sides import play, whole
from midstream.demo.tale import NotWhole, Tale, own, recorded
from midstream.demo.verdict import NAMES, Message, Verdict
from midstream.faults.reply import Reply
from midstream.faults.wire import NotAStream

if TYPE_CHECKING:
    from midstream.demo.screen import Screen

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
    tale, truth = read(args.capture)
    if args.svg:
        found = _draw(tale, truth, args.speed, args.svg)
    elif plain_only(args.plain):
        found = _print(tale, truth, args.speed, sys.stdout)
    else:
        from midstream.demo.screen import Screen

        found = _show(tale, truth, args.speed, Screen.of(sys.stdout))
    return 0 if found.good else 1


def read(path: Path | None) -> tuple[Tale, Message]:
    """What is played, and its whole message. Raises `Misuse`, with one sentence for the person who named the file."""
    if path is None:
        return own(), whole(own())
    try:
        tale = recorded(Reply.from_bytes(path.read_bytes()), f"(a recording: {path.name})")
        return tale, whole(tale)
    except OSError as problem:
        raise Misuse(f"the capture {path} cannot be read: {problem.strerror}") from None
    except (NotAStream, NotWhole) as problem:
        raise Misuse(f"{path} is not a recording of one whole reply of the Messages API: {problem}") from None


def plain_only(asked: bool) -> bool:
    """Whether nothing but plain text will do."""
    dull = not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return asked or dull or find_spec("rich") is None


def _print(tale: Tale, truth: Message, speed: float, out: TextIO) -> Verdict:
    if isinstance(out, io.TextIOWrapper):
        # A terminal of another century gets question marks, not a traceback.
        out.reconfigure(errors="replace")
    plain.heading(out, tale.prompt)
    bare = plain.show(out, NAMES["bare"], play(tale, ("bare",), speed))
    mended = plain.show(out, NAMES["mended"], play(tale, ("mended",), speed))
    found = Verdict(truth, bare, mended)
    plain.verdict(out, found)
    return found


def _show(tale: Tale, truth: Message, speed: float, screen: "Screen") -> Verdict:
    screen.heading(tale.prompt)
    if screen.wide:
        ended = screen.show(("bare", "mended"), play(tale, ("bare", "mended"), speed))
    else:
        ended = screen.show(("bare",), play(tale, ("bare",), speed))
        ended |= screen.show(("mended",), play(tale, ("mended",), speed))
    found = Verdict(truth, ended["bare"], ended["mended"])
    screen.verdict(found)
    return found


def _draw(tale: Tale, truth: Message, speed: float, path: Path) -> Verdict:
    from midstream.demo.screen import Screen, canvas, picture

    console = canvas(PICTURE_COLUMNS)
    found = _show(tale, truth, speed, Screen(console, live=False))
    try:
        path.write_text(picture(console), "utf-8")
    except OSError as problem:
        raise Unable(f"{path} cannot be written: {problem.strerror}") from None
    print(f"{path}: written")
    return found
