"""What is shown is held against the truth, whichever way it is shown."""

import io
from pathlib import Path

import pytest

from midstream.demo import show, tale

pytestmark = pytest.mark.sockets

FAST = 1000.0


@pytest.mark.parametrize("way", ["plain", "terminal", "picture"])
@pytest.mark.parametrize("equal", [True, False], ids=["equal", "not equal"])
def test_the_answer_is_whether_the_message_is_the_whole_one(
    way: str, equal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = dict(show.whole(tale.own())) if equal else {"content": [], "stop_reason": "end_turn"}
    monkeypatch.setattr(show, "whole", lambda _: truth)
    out = io.StringIO()
    if way == "plain":
        good = show.print_plain(tale.own(), FAST, out)
    elif way == "terminal":
        good = show.on_terminal(tale.own(), FAST, out)
    else:
        good = show.draw(tale.own(), FAST, path := tmp_path / "demo.svg", 112)
        out.write(path.read_text("utf-8").replace("&#160;", " "))
    assert good is equal
    assert ("NOT EQUAL to the whole reply" in out.getvalue()) is not equal


def test_a_terminal_that_lacks_characters_gets_question_marks() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, "ascii", write_through=True)
    assert show.print_plain(tale.own(), FAST, out)
    assert b"[? cut here: connection reset" in raw.getvalue()


def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(show.NotDrawn, match=r"cannot be written: No such file or directory"):
        show.draw(tale.own(), FAST, tmp_path / "none" / "demo.svg", 112)
