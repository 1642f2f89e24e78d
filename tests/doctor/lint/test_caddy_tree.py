"""A Caddyfile as a tree, over its snippets and imports."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.lint.caddy_tree import Line, parse
from midstream.doctor.lint.findings import Checked
from midstream.doctor.lint.source import Source, Unreadable


def lines_of(text: str, name: str = "Caddyfile") -> tuple[list[Line], Checked]:
    checked = Checked()
    return parse(Source(name, text), checked), checked


def words(lines: list[Line]) -> list[str]:
    return [line.told() for top in lines for line in top.walk()]


def test_words_are_split_as_caddy_does() -> None:
    lines, _ = lines_of('a {\n\tb "c d" `e "f` g#h # i\n\n}\nj')
    assert words(lines) == ["a", 'b c d e "f g#h', "j"]
    assert [line.place.line for top in lines for line in top.walk()] == [1, 2, 5]


def test_a_text_of_many_lines_is_no_block() -> None:
    assert words(lines_of("respond <<END\n}\nEND\nnext")[0]) == ["respond <<END", "next"]


def test_a_snippet_stands_wherever_it_is_imported() -> None:
    lines, _ = lines_of("(s) {\n\tx {\n\t\ty\n\t}\n}\na {\n\timport s\n}\nb {\n\timport s\n}")
    assert words(lines) == ["a", "x", "y", "b", "x", "y"]


def test_a_snippet_that_imports_itself_ends() -> None:
    with pytest.raises(Unreadable, match="imports without end"):
        lines_of("(s) {\n\timport s\n\timport s\n}\nimport s")


def test_files_are_imported_and_what_is_missing_is_noted(tmp_path: Path) -> None:
    (tmp_path / "site.caddy").write_text("x")
    (tmp_path / "bad.caddy").write_bytes(b"\0")
    text = "import *.caddy\nimport missing\nimport\nimport none*"
    lines, checked = lines_of(text, str(tmp_path / "Caddyfile"))
    assert words(lines) == ["x", "import"]
    assert [note.partition(" import")[2][:12] for note in checked.notes] == ["s what canno", "s missing, w"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("a {", "a } is missing"), ("}", "a } too many"), ("a {\n" * 101 + "}\n" * 101, "nested more deeply")],
)
def test_what_is_no_caddyfile_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        lines_of(text)


@given(st.text(alphabet='a{}"`\\# \n()<', max_size=80))
def test_any_text_is_a_tree_or_one_sentence(text: str) -> None:
    try:
        words(lines_of(text)[0])
    except Unreadable as problem:
        assert str(problem).startswith("Caddyfile:")
