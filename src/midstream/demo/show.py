"""Plays a tale and shows it: as plain text, in a terminal, or as a picture.

Rule: the truth is fetched first, whole, through the bare SDK; what is shown is held against it.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from midstream.demo import plain
from midstream.demo.sides import play, whole
from midstream.demo.tale import Tale
from midstream.demo.verdict import NAMES, Verdict

if TYPE_CHECKING:
    from midstream.demo.screen import Screen


class NotDrawn(Exception):
    """The picture could not be written; the text is one sentence."""


def print_plain(tale: Tale, speed: float, out: TextIO) -> bool:
    """One side after the other; whether the recovered message is the whole one. Raises `NotWhole`."""
    if isinstance(out, io.TextIOWrapper):
        # A terminal of another century gets question marks, not a traceback.
        out.reconfigure(errors="replace")
    truth = whole(tale)
    plain.heading(out, tale.prompt)
    bare = plain.show(out, NAMES["bare"], play(tale, ("bare",), speed))
    mended = plain.show(out, NAMES["mended"], play(tale, ("mended",), speed))
    found = Verdict(truth, bare, mended)
    plain.verdict(out, found)
    return found.good


def on_terminal(tale: Tale, speed: float, out: TextIO) -> bool:
    """Side by side where there is room. Raises `NotWhole`."""
    from midstream.demo.screen import Screen

    return _on(tale, speed, Screen.of(out))


def draw(tale: Tale, speed: float, path: Path, columns: int) -> bool:
    """As a picture of so many columns. Raises `NotWhole`, and `NotDrawn` where it cannot be written."""
    from midstream.demo.screen import Screen, canvas, picture

    console = canvas(columns)
    good = _on(tale, speed, Screen(console, live=False))
    try:
        path.write_text(picture(console), "utf-8")
    except OSError as problem:
        raise NotDrawn(f"{path} cannot be written: {problem.strerror}") from None
    return good


def _on(tale: Tale, speed: float, screen: "Screen") -> bool:
    truth = whole(tale)
    screen.heading(tale.prompt)
    if screen.wide:
        ended = screen.show(("bare", "mended"), play(tale, ("bare", "mended"), speed))
    else:
        ended = screen.show(("bare",), play(tale, ("bare",), speed))
        ended |= screen.show(("mended",), play(tale, ("mended",), speed))
    found = Verdict(truth, ended["bare"], ended["mended"])
    screen.verdict(found)
    return found.good
