"""What only a terminal has: colours, and tables as wide as the window."""

import io
import re

import pytest

from midstream.doctor.render import SEVERITIES, Finding, Report, Severity, Table
from midstream.doctor.render_rich import write


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")


def written(report: Report, width: int = 80, *, short: bool = False) -> str:
    out = io.StringIO()
    write(report, out, width, short=short)
    return out.getvalue()


def bare(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_each_severity_has_its_colour(severity: Severity) -> None:
    colours = {found: written(Report("lint", "", found, "x")).partition("m")[0] for found in SEVERITIES}
    assert list(colours.values()).count(colours[severity]) == 1


def test_a_literal_has_a_colour_and_no_marks() -> None:
    text = written(Report("lint", "", "note", "x", findings=(Finding("note", "y", means="set `proxy_buffering off`"),)))
    assert "set proxy_buffering off" in bare(text) and "\x1b[36mproxy_buffering off" in text


def test_an_address_is_never_cut() -> None:
    address = "https://example.org/" + "a-long-path/" * 20
    text = bare(written(Report("lint", "x", "note", "x", findings=(Finding("note", "y", sources=(address,)),)), 60))
    assert address in "".join(text.split())


def test_markup_in_what_was_found_is_text() -> None:
    text = written(Report("explain", "[bold]a[/bold] :smile:", "note", "[red]"))
    assert "[bold]a[/bold] :smile:" in bare(text) and "[red]" in bare(text)


@pytest.mark.parametrize("short", [True, False])
def test_no_line_is_wider_than_the_window(short: bool) -> None:
    finding = Finding("error", "t " * 60, why="w " * 90, steps=("s " * 90,), cure="c" * 200, evidence=("e" * 200,))
    report = Report(
        "probe",
        "s" * 200,
        "error",
        "v " * 90,
        facts=(("a fact", "f " * 90),),
        findings=(finding,),
        tables=(Table("a table", ("one", "two"), (("c" * 90, "d" * 90),)),),
        advice=("a " * 90,),
    )
    text = bare(written(report, 60, short=short))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 60
    assert ("why it happens" in text) is not short
