"""Any bytes of any file are text, or one sentence."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.lint.source import FILE_BYTES_MAX, Unreadable, allowed, decode, read


def test_a_file_is_read_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\r\ntwo\nthree \x0c four")
    source = read(str(tmp_path / "a"))
    assert source.lines == ["one", "two", "three \x0c four"]


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"\xef\xbb\xbfa", "a"), ("ä".encode("utf-16"), "ä"), (b"\xff", "\ufffd"), ("ä".encode("utf-16-be"), None)],
)
def test_marks_of_encodings_are_understood(data: bytes, text: str | None) -> None:
    if text is None:
        # Without its mark, two bytes a character are no text.
        data = b"\x00a"
        with pytest.raises(Unreadable, match="is not text"):
            decode("x", data)
    else:
        assert decode("x", data).text == text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "missing cannot be read: No such file"),
        ("folder", "is a folder: name its files"),
        ("pipe", "pipe is not a file"),
        ("large", "larger than 4 MiB"),
        ("a\0b", "is no name of a file"),
        ("x" * 5000, "cannot be read: File name too long"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("large").write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(Unreadable, match=said):
        read(name)


@given(st.binary())
def test_no_bytes_give_a_traceback(data: bytes) -> None:
    try:
        source = decode("x", data)
    except Unreadable:
        return
    assert "\n".join(source.lines) == source.text.replace("\r\n", "\n")


def test_a_comment_allows_rules_at_its_line_and_at_the_next() -> None:
    lines = ["# midstream: allow NGX-GZIP, NGX-BUFFERING", "gzip on;", "gzip on; # midstream:allow NGX-GZIP"]
    assert allowed(lines, 2) == {"NGX-GZIP", "NGX-BUFFERING"}
    assert allowed(lines, 3) == {"NGX-GZIP"}
    assert allowed(lines, 99) == set()
