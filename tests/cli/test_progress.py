"""While something lasts, it is told how far it is; what is soon over is not told."""

import io
import threading

import pytest

from midstream.cli import progress
from midstream.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Told(io.StringIO):
    """Tells when something has been written."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        self.came.set()
        return written


def test_what_is_soon_over_is_not_told() -> None:
    out = io.StringIO()
    with Progress(lambda elapsed_s: "far", out):
        pass
    assert out.getvalue() == ""


def test_what_lasts_is_told_in_lines_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    out = Told()
    with Progress(lambda elapsed_s: f"{elapsed_s:.0f} s", out):
        assert out.came.wait(10)
    assert out.getvalue().endswith(" s\n")


def test_at_a_terminal_one_line_changes_and_nothing_is_left() -> None:
    out = Terminal()
    with Progress(lambda elapsed_s: "far", out) as shown:
        shown.tell()
    assert out.getvalue() == "\r\x1b[Kfar\r\x1b[K"


def test_a_failure_inside_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    with pytest.raises(ValueError, match="inside"), Progress(lambda elapsed_s: "far", io.StringIO()):
        raise ValueError("inside")
    assert not any(thread.name == "midstream-progress" for thread in threading.enumerate())
