"""However an error is shown, the same words come out; what tells two errors apart stays."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.normalise import PASSAGE_CHARS, PASSAGE_LINES, normalise, passages, without_frames

SHOWN = "Invalid signature in thinking block"
SHOWINGS = [
    "Invalid `signature` in `thinking` block",
    'Invalid \\"signature\\" in \\\\"thinking\\\\" block',
    "Invalid ‘signature’ in “thinking” block",
    "Invalid\u00a0signature in\n    thinking   block\r\n",
    "\x1b[31mInvalid signature\x1b[0m in thinking block",
    "Invalid signature in\\nthinking block",
    "Invalid \\u0027signature\\u0027 in \\u201cthinking\\u201d block",
    "\x1b]0;title\x07Invalid signature in thinking block",
]


@pytest.mark.parametrize("showing", SHOWINGS, ids=ascii)
def test_quotes_escapes_colours_and_line_ends_make_no_difference(showing: str) -> None:
    assert normalise(showing) == SHOWN


def only(text: str) -> frozenset[int]:
    (passage,) = passages(text)
    return passage.statuses


STATUSES = [
    ("524", {524}),
    ("HTTP 529", {529}),
    ("HTTP/1.1 504 Gateway Timeout", {504}),
    ("status code: 502", {502}),
    ("status=504", {504}),
    ("Error code: 429 - {'type': 'error'}", {429}),
    ('API Error: 529 {"type":"error"}', {529}),
    ("API Error (413 too large)", {413}),
    ('"POST /v1/messages HTTP/1.1" 499 0 "-"', {499}),
    ('{"code":413,"status":"x"}', {413}),
    ("api.example.com | 520: Web server", {520}),
    ('h2 2026-11-21T10:00:00Z app/lb/50dc 1.2.3.4:28 10.0.0.1:80 0.001 0.048 -1 460 200 "POST"', {460}),
    ("504 Gateway Timeout", {504}),
    ("413 – Request Entity Too Large", {413}),
    ("500 files were copied", set()),
    ("took 524 ms", set()),
    ("line 404 of the file", set()),
    ("2024/01/15 03:47:22 [error] 500#31: *18423 x", set()),
    ("error 104: Connection reset", {104}),
]


@pytest.mark.parametrize(("text", "statuses"), STATUSES)
def test_a_status_is_known_however_it_is_told(text: str, statuses: set[int]) -> None:
    assert only(text) == statuses


EXITS = [
    ("18", {18}),
    ("(56)", {56}),
    ("curl: (18) transfer closed", {18}),
    ("curl error 92", {92}),
    ("cURL error 28: timed out", {28}),
    ("curl exited with code 52", {52}),
    ("exit 56", {56}),
    ("exit code 7", {7}),
    ("exit status: 6", {6}),
    ("ErrCode: 18, Reason", {18}),
    ("52 files", set()),
    ("curl 8.5.0", set()),
    ("The process that builds the pages ended: exit code 7", set()),
    ("curl -N of the stream: the process that ran it ended with exit code 7", {7}),
]


@pytest.mark.parametrize(("text", "exits"), EXITS)
def test_an_exit_code_of_curl_is_known_however_it_is_told(text: str, exits: set[int]) -> None:
    (passage,) = passages(text)
    assert passage.curl_exits == exits


PYTHON = """\
Traceback (most recent call last):
  File "/app/x.py", line 1, in <module>
    raise ReadTimeout("never raised")
    ^^^^^^^^^^^^^^^^^^
  |   File "/app/y.py", line 2, in f
  |     except PoolTimeout:
ValueError: the real one
"""
NODE = """\
TypeError: fetch failed
    at node:internal/deps/undici/undici:13502:13
    at async Stream.iterator (file:///x/y.mjs:52:40) {
    at f (/app/x.js:1:2)
  cause: SocketError
"""


def test_the_code_of_stack_frames_is_not_what_happened() -> None:
    kept, dropped = without_frames(PYTHON.splitlines())
    assert kept == ["Traceback (most recent call last):", "ValueError: the real one"]
    assert len(dropped) == 5
    kept, dropped = without_frames(NODE.splitlines())
    assert kept == [
        "TypeError: fetch failed",
        "    at async Stream.iterator (file:///x/y.mjs:52:40) {",
        "  cause: SocketError",
    ]
    (passage,) = passages(PYTHON)
    assert "pooltimeout" in passage.frames and "pooltimeout" not in passage.lower


@pytest.mark.parametrize("lines", [1, PASSAGE_LINES, PASSAGE_LINES + 1, 5 * PASSAGE_LINES])
def test_two_lines_that_follow_each_other_stand_in_one_passage(lines: int) -> None:
    text = "\n".join(f"line-{number};" for number in range(lines))
    parts = list(passages(text))
    for number in range(lines - 1):
        assert any(f"line-{number}; line-{number + 1};" in part.lower for part in parts)
    assert all(part.raw.count("\n") < PASSAGE_LINES and len(part.raw) <= PASSAGE_CHARS for part in parts)


@pytest.mark.parametrize("start", range(0, 60_000, 1_999))
def test_words_within_one_long_line_are_never_cut_apart(start: int) -> None:
    text = "x " * (start // 2) + "the needle is here" + " y" * ((60_000 - start) // 2)
    parts = list(passages(text))
    assert any("the needle is here" in part.lower for part in parts)
    assert all(len(part.raw) <= PASSAGE_CHARS for part in parts)


@pytest.mark.parametrize("text", ["", "\n \n\t\n"])
def test_of_nothing_there_are_no_passages(text: str) -> None:
    assert list(passages(text)) == []


@pytest.mark.parametrize("unit", ["a", "\n", "a\n", 'File "', "\\n", "error ", "1 ", "http 5", "    at x:1:1", "\x1b["])
def test_a_megabyte_of_anything_does_not_hang(unit: str) -> None:
    """A deadline against hanging, many times what it takes."""
    began = time.monotonic()
    assert sum(1 for _ in passages(unit * ((1 << 20) // len(unit)))) < 40_000
    assert time.monotonic() - began < 60


@given(st.text())
def test_any_text_has_passages(text: str) -> None:
    for passage in passages(text):
        assert normalise(passage.text) == passage.text or "\\" in text or "\x1b" in text
