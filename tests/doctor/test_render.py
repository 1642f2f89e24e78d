"""One look: the same words in a pipe, on a terminal and as JSON, and nothing in them that harms who reads."""

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.render import Finding, Report, Table, show, tidy, to_json, to_text, worst

FULL = Finding(
    severity="error",
    title="buffering is on",
    id="nginx-buffering",
    place="nginx.conf:12",
    means="Tokens arrive in lumps.",
    why="The proxy waits until a buffer is full.\nIt was made for pages.",
    evidence=("`proxy_buffering` is not set", "the origin sends no X-Accel-Buffering"),
    check=("Is there a `location` for it?",),
    fix="Turn it off.",
    cure="location /v1/ {\n    proxy_buffering off;\n}\n",
    steps=("Edit the file.", "Reload."),
    prevent="Keep it in a snippet.",
    verify="curl -N shows one event after another.",
    versions="every version",
    sources=("https://nginx.org/en/docs/http/ngx_http_proxy_module.html",),
    related=("nginx-http-1.0",),
)
REPORT = Report(
    command="lint",
    subject="nginx.conf",
    severity="error",
    verdict="1 error in 1 file",
    facts=(("server", "nginx 1.22.1"),),
    findings=(FULL,),
    tables=(Table("what was measured", ("limit", "seconds"), (("idle", "60.0"), ("total", "none"))),),
    advice=("Run `midstream probe` through it.",),
    data={"files": ["nginx.conf"]},
)

TEXT = """\
error: 1 error in 1 file
  nginx.conf

  server: nginx 1.22.1

what was measured
  | limit  seconds
  | idle   60.0
  | total  none

error: nginx.conf:12: buffering is on [nginx-buffering]

  what it means
    Tokens arrive in lumps.

  why it happens
    The proxy waits until a buffer is full.
    It was made for pages.

  evidence
    - `proxy_buffering` is not set
    - the origin sends no X-Accel-Buffering

  check first
    - Is there a `location` for it?

  quick fix
    Turn it off.

  cure
  | location /v1/ {
  |     proxy_buffering off;
  | }

  step by step
    1. Edit the file.
    2. Reload.

  how to prevent it
    Keep it in a snippet.

  how to know that it worked
    curl -N shows one event after another.

  versions
    every version

  sources
    - https://nginx.org/en/docs/http/ngx_http_proxy_module.html

  related
    - nginx-http-1.0

what to do next
  - Run `midstream probe` through it.
"""


class Terminal(io.StringIO):
    """What says that a person is looking."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    """A pipe to a program that reads ASCII."""

    encoding = "ascii"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(report: Report, out: io.StringIO, **how: bool) -> str:
    show(report, out, **how)
    return out.getvalue()


def test_a_report_reads_like_this() -> None:
    assert to_text(REPORT) == TEXT
    assert shown(REPORT, io.StringIO()) == TEXT


def test_short_leaves_out_what_a_person_reads_once() -> None:
    text = to_text(REPORT, short=True)
    assert "quick fix" in text and "evidence" in text
    assert "why it happens" not in text and "step by step" not in text and "sources" not in text


def test_a_finding_says_only_what_there_is_to_say() -> None:
    report = Report("lint", "", "good", "nothing to change", findings=(Finding("note", "all is well"),))
    assert to_text(report) == "good: nothing to change\n\nnote: all is well\n"


def test_on_a_terminal_the_same_words_have_colours() -> None:
    text = shown(REPORT, Terminal())
    assert "\x1b[" in text
    words = re.sub(r"\x1b\[[\d;]*m", "", text).split()
    # The marks of literals have become colours, the bars the width of the window.
    assert [word for word in words if word not in {"|"}] == TEXT.replace("`", "").replace("|", "").split()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_it_is_not_wanted(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "100")
    assert shown(REPORT, Terminal()) == TEXT


def test_a_terminal_without_rich_has_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midstream.doctor.render.find_spec", lambda name: None)
    monkeypatch.setenv("COLUMNS", "100")
    assert shown(REPORT, Terminal()) == TEXT


@pytest.mark.parametrize("columns", [20, 40, 60, 100, 400])
def test_lines_are_as_wide_as_the_window_but_for_what_is_copied(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    finding = Finding("error", "long", means="word " * 100, steps=("step " * 100,), cure="line " * 100)
    text = shown(Report("explain", "", "error", "a verdict", findings=(finding,)), io.StringIO())
    widths = [len(line) for line in text.splitlines() if not line.startswith("  | ")]
    assert max(widths) <= max(40, min(columns, 120))
    assert "    1. step step" in text and "\n       step step" in text
    assert f"  | {('line ' * 100).rstrip()}" in text


def test_json_has_everything_for_programs() -> None:
    whole = json.loads(shown(REPORT, io.StringIO(), as_json=True))
    assert whole["command"] == "lint" and whole["files"] == ["nginx.conf"]
    assert whole["facts"] == {"server": "nginx 1.22.1"}
    assert whole["tables"][0]["rows"][0] == {"limit": "idle", "seconds": "60.0"}
    (finding,) = whole["findings"]
    assert finding["steps"] == ["Edit the file.", "Reload."] and finding["cure"].startswith("location")
    report = Report("lint", "", "good", "x", findings=(Finding("note", "y"),), data={"n": [1, None, True, {"s": 0.5}]})
    assert json.loads(to_json(report))["n"] == [1, None, True, {"s": 0.5}]
    assert json.loads(to_json(report))["findings"] == [{"severity": "note", "title": "y"}]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("out", [io.StringIO, Terminal, Pipe])
def test_no_secret_and_no_order_to_the_terminal_is_shown(out: type[io.StringIO], as_json: bool) -> None:
    evil = "sk-ant-api03-abcdefghijkl \x1b]0;title\x07 \x9b2J \u202e \ud800 \x00"
    finding = Finding("error", evil, id=evil, place=evil, means=evil, evidence=(evil,), cure=evil, steps=(evil,))
    report = Report(
        "explain", evil, "error", evil, ((evil, evil),), (finding,), (Table(evil, (evil,), ((evil,),)),), (evil,)
    )
    text = shown(report, out(), as_json=as_json)
    assert "abcdefghijkl" not in text and "<hidden>" in text
    assert not re.search(r"\x1b\]|\x07|\x9b|\u202e|[\ud800-\udfff]|\x00", text)


def test_what_the_encoding_cannot_hold_becomes_a_question_mark() -> None:
    assert shown(Report("explain", "é", "note", "a — b"), Pipe()) == "note: a ? b\n  ?\n"


def test_the_worst_is_known() -> None:
    assert worst(()) == "good"
    assert worst((Finding("note", "a"), Finding("error", "b"), Finding("warning", "c"))) == "error"


@given(st.text())
def test_any_text_can_be_shown(text: str) -> None:
    finding = Finding("error", text, means=text, evidence=(text,), cure=text)
    report = Report("explain", text, "error", text, ((text, text),), (finding,))
    assert to_text(report, 40) and to_json(report)
    assert tidy(tidy(text)) == tidy(text)
    show(report, Terminal())


def test_a_place_that_the_title_names_is_not_named_twice() -> None:
    told = Report("check", "x", "error", "x", findings=(Finding("error", "A_NAME ends in /v1", place="A_NAME"),))
    assert "error: A_NAME ends in /v1\n" in to_text(told) and "A_NAME: A_NAME" not in to_text(told)
