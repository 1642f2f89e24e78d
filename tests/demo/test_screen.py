"""The terminal: what fits is shown, the end is shown whole, and a picture is made of it."""

import io

import pytest
from rich.console import Console

from midstream.demo.screen import Screen, canvas, picture
from midstream.demo.sides import Cut, Ended, Fact, Grew, Mended, Side
from midstream.demo.verdict import Verdict

LONG = " ".join(f"word{n}" for n in range(400))
MESSAGE = {"content": [{"type": "text", "text": LONG}], "stop_reason": "end_turn"}
HALF = {"content": [{"type": "text", "text": "word0"}], "stop_reason": None}


def facts(side: Side) -> list[Fact]:
    if side == "bare":
        return [Grew("bare", "word0"), Ended("bare", HALF)]
    return [Grew("mended", "word0"), Cut("mended", "reset"), Mended("mended", "reset", 1.0), Grew("mended", LONG[5:]),
            Ended("mended", MESSAGE)]  # fmt: skip


def drawn(columns: int, sides: tuple[Side, ...], *, live: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, width=columns, height=12, force_terminal=live, color_system=None, highlight=False)
    Screen(console, live=live).show(sides, [fact for side in sides for fact in facts(side)])
    return out.getvalue()


@pytest.mark.parametrize("live", [True, False], ids=["live", "picture"])
def test_at_the_end_a_text_longer_than_the_screen_is_shown_whole(live: bool) -> None:
    shown = drawn(80, ("mended",), live=live).rpartition("╭")[2]
    assert "word1 " in shown and "word399" in shown


def test_two_columns_stand_side_by_side_with_the_seam_in_one() -> None:
    shown = drawn(120, ("bare", "mended"), live=False)
    top, *_, bottom = shown.splitlines()
    assert "the SDK alone" in top and "with midstream" in top
    assert "stop_reason None" in bottom and "stop_reason end_turn" in bottom
    assert "cut here: reset; continued in 1.0 s" in shown
    assert "✂ the body ended here, and the SDK returned this" in shown
    assert {len(line) for line in shown.splitlines()} == {120}


def test_while_it_is_being_mended_it_says_what_broke() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    Screen(console, live=True).show(("mended",), facts("mended")[:2])
    assert "[⟲ reset …" in out.getvalue()


@pytest.mark.parametrize(("columns", "wide"), [(80, False), (99, False), (100, True), (160, True)])
def test_columns_stand_side_by_side_only_where_there_is_room(columns: int, wide: bool) -> None:
    assert Screen(Console(file=io.StringIO(), width=columns)).wide is wide


def test_markup_in_a_reply_is_text() -> None:
    out = io.StringIO()
    told: list[Fact] = [Grew("bare", "[bold]x[/bold] [/]"), Ended("bare", HALF)]
    Screen(Console(file=out, width=80), live=False).show(("bare",), told)
    assert "[bold]x[/bold] [/]" in out.getvalue()


def test_a_picture_has_everything_and_fetches_nothing() -> None:
    console = canvas(112)
    screen = Screen(console, live=False)
    screen.heading("Why?")
    ended = screen.show(("bare", "mended"), [*facts("bare"), *facts("mended")])
    screen.verdict(Verdict(MESSAGE, ended["bare"], ended["mended"]))
    svg = picture(console)
    assert svg.startswith("<svg") and "url(http" not in svg and "@font-face" not in svg
    for words in ("Why?", "with&#160;midstream", "equal&#160;to&#160;the&#160;whole&#160;reply"):
        assert words in svg
