"""Files are checked together: with what includes them, without what comments allow."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.lint import run
from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.kinds import NAMES
from midstream.doctor.lint.run import changes, lint
from midstream.doctor.lint.source import Source, Unreadable

RIGHT = "proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; client_max_body_size 64m;"
PART = "server { location / { proxy_pass http://x; } }"


def test_a_file_that_another_includes_is_seen_with_what_is_around_it(tmp_path: Path) -> None:
    main, part = tmp_path / "nginx.conf", tmp_path / "part.conf"
    main.write_text(f"http {{ {RIGHT}\ninclude part.conf;\n}}")
    part.write_text(PART)
    assert lint([str(part)], Assumptions()).findings
    for names in ([part, main], [main, part], [main]):
        assert lint([str(name) for name in names], Assumptions()).findings == []


def test_a_comment_allows_what_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text(
        f"location / {{ {RIGHT} proxy_pass http://x;\n"
        "proxy_read_timeout 1h; # midstream: allow NGX-READ-TIMEOUT-LONG\n}"
    )
    result = lint([str(path)], Assumptions())
    assert (result.findings, result.allowed) == ([], 1)


def test_findings_come_the_worst_first_and_then_by_place(tmp_path: Path) -> None:
    for name in ("b.nginx", "a.nginx"):
        (tmp_path / name).write_text(PART)
    found = lint([str(tmp_path / "b.nginx"), str(tmp_path / "a.nginx")], Assumptions()).findings
    keys = [(each.severity.rank, each.place.file) for each in found]
    assert keys == sorted(keys) and len({each.place.file for each in found}) == 2


def test_what_cannot_be_checked_is_a_sentence_beside_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.nginx").write_text(PART)
    result = lint([str(tmp_path / "none"), str(tmp_path / "a.nginx"), str(tmp_path / "a.nginx")], Assumptions())
    assert len(result.problems) == 1 and result.findings
    assert list(result.kinds.values()) == ["nginx"]


def test_what_was_no_utf8_is_not_written_again(tmp_path: Path) -> None:
    for name, comment in (("good.nginx", "ä".encode()), ("bad.nginx", b"\xe4")):
        (tmp_path / name).write_bytes(b"# " + comment + b"\nlocation / {\nproxy_pass http://x;\n}\n")
    result = lint([str(tmp_path / "good.nginx"), str(tmp_path / "bad.nginx")], Assumptions())
    (change,) = changes(result)
    assert change.name.endswith("good.nginx") and "+proxy_buffering off;\n" in change.diff


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("text", ["", "{" * 100_000, "a: [" * 20_000, "a {\n" * 5_000, "x " * 10_000, '"' * 9999])
def test_what_is_nested_or_long_beyond_reason_is_a_sentence_or_no_finding(kind: str, text: str) -> None:
    try:
        run.check(Source("file", text), Assumptions(), kind)
    except Unreadable as problem:
        assert "\n" not in str(problem) and len(str(problem)) < 500


@pytest.mark.parametrize("kind", NAMES)
@given(text=st.text(max_size=200))
def test_no_text_gives_a_traceback(kind: str, text: str) -> None:
    try:
        run.check(Source("file", text), Assumptions(), kind)
    except Unreadable as problem:
        assert "\n" not in str(problem) and len(str(problem)) < 500
