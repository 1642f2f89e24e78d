"""Relays in Python, beyond the pairs of their rules: what is no relay, what is not known, and what is no Python."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.lint.findings import Assumptions, Checked
from midstream.doctor.lint.python import TEXT_MAX, check
from midstream.doctor.lint.source import Source, Unreadable


def checked(text: str, **assumed: float) -> Checked:
    return check(Source("a.py", text), Assumptions(**assumed))  # type: ignore[arg-type]


def rules_of(text: str, **assumed: float) -> list[str]:
    return [finding.rule.id for finding in checked(text, **assumed).findings]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("import httpx\nhttpx.AsyncClient(timeout=30)", []),
        ("import httpx as h\nh.Client()", ["PY-HTTPX-TIMEOUT"]),
        ("import httpx2\nhttpx2.AsyncClient(timeout=httpx2.Timeout(10))", ["PY-HTTPX-TIMEOUT"]),
        ("import httpx2\nhttpx2.AsyncClient(timeout=httpx2.Timeout(read=None))", []),
        ("import httpx\nhttpx.AsyncClient(timeout=httpx.Timeout())", []),
        ("import httpx\nhttpx.AsyncClient(timeout=True)", []),
        # Another library's client, and a call that asks for one thing and no stream.
        ("import aiohttp\naiohttp.Client()", []),
        ("import httpx\nhttpx.get('http://x')", []),
        ("@app.middleware('websocket')\ndef a(): pass", []),
        ("@app.get('http')\ndef a(): pass", []),
    ],
)
def test_only_what_is_plainly_there_counts(text: str, rules: list[str]) -> None:
    assert rules_of(text) == rules


def test_what_is_little_silence_depends_on_the_pings() -> None:
    assert rules_of("import httpx\nhttpx.AsyncClient(timeout=20)", ping_s=5) == []


def test_a_middleware_in_a_file_without_a_stream_is_a_warning() -> None:
    (finding,) = checked("class A(BaseHTTPMiddleware): pass").findings
    assert finding.severity == "warning"
    (finding,) = checked("class A(base.BaseHTTPMiddleware): pass\nStreamingResponse(x)").findings
    assert finding.severity == "error"


SWALLOWING = "import httpx\ndef a():\n    try:\n        yield 1\n    except {kind}:\n        {then}\n"


@pytest.mark.parametrize(
    ("kind", "then", "rules"),
    [
        ("Exception", "pass", ["PY-SWALLOWED"]),
        ("BaseException", "return", ["PY-SWALLOWED"]),
        ("httpx.HTTPError", "log()", ["PY-SWALLOWED"]),
        ("ValueError", "pass", []),
        ("GeneratorExit", "pass", []),
        ("Exception", "raise", []),
        ("Exception", "yield b'event: error'", []),
    ],
)
def test_an_error_that_is_dropped_is_told_from_one_that_is_passed_on(kind: str, then: str, rules: list[str]) -> None:
    assert rules_of(SWALLOWING.format(kind=kind, then=then)) == rules


def test_generators_that_are_no_relay_are_left_alone() -> None:
    text = SWALLOWING.format(kind="Exception", then="pass").replace("import httpx", "import os")
    found = checked(text)
    assert (found.findings, found.judged) == ([], False)


@pytest.mark.parametrize("text", ["def (", "\x01", "(" * 2000, "a = '\\d'\n" + "x" * (TEXT_MAX + 1)])
def test_what_is_no_python_is_one_sentence(text: str) -> None:
    with pytest.raises(Unreadable, match=r"a\.py.*(is not Python|is larger than)"):
        checked(text)


def test_what_python_itself_warns_of_is_nobodys_business_here() -> None:
    assert rules_of("import httpx\na = '\\d'") == []


@given(st.text(alphabet="abc()[]:=@.,'\" \nimporthttpx", max_size=80))
def test_any_text_is_judged_or_one_sentence(text: str) -> None:
    try:
        checked(text)
    except Unreadable as problem:
        assert "Python" in str(problem)
