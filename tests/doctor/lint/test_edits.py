"""Edits of lines."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from midstream.doctor.lint.edits import (
    applied,
    by_file,
    difference,
    indent_of,
    insert_before,
    raw_lines,
    replace,
    write,
)
from midstream.doctor.lint.findings import Checked, Edit, Place
from midstream.doctor.lint.source import marked

LINES = ["a", "    b", "c"]


def at(line: int, name: str = "f") -> Place:
    return Place(name, line)


def test_a_new_line_takes_the_indentation_of_the_line_that_it_stands_before() -> None:
    assert applied(LINES, insert_before(LINES, at(2), "x", "y")) == ["a", "    x", "    y", "    b", "c"]


def test_a_line_is_replaced_in_its_place_and_deleted() -> None:
    assert applied(LINES, [*replace(LINES, at(2), "x"), Edit("delete", at(3))]) == ["a", "    x"]


def test_the_same_line_is_inserted_once_and_a_line_changes_once() -> None:
    twice = [*insert_before(LINES, at(1), "x"), *insert_before(LINES, at(1), "x")]
    assert applied(LINES, [*twice, *replace(LINES, at(3), "one"), *replace(LINES, at(3), "two")])[0::4] == ["x"]
    assert applied(LINES, [*replace(LINES, at(3), "one"), *replace(LINES, at(3), "two")]) == ["a", "    b", "one"]


def test_edits_are_sorted_by_file() -> None:
    checked = Checked()
    checked.add("NGX-GZIP", at(1, "f"), "", [Edit("delete", at(1, "f"))])
    checked.add("NGX-GZIP", at(1, "g"), "", [Edit("delete", at(2, "g")), Edit("delete", at(3, "f"))])
    assert {name: [edit.place.line for edit in found] for name, found in by_file(checked.findings).items()} == {
        "f": [1, 3],
        "g": [2],
    }


@pytest.mark.parametrize("text", ["a\nb\nc\n", "a\nb\nc", "a\r\nb\r\nc\r\n", "a\r\nb\nc", "a\n\n"])
@pytest.mark.parametrize("command", [["patch", "-p1", "--binary"], ["git", "apply"]], ids=lambda words: words[0])
def test_the_difference_is_one_that_patch_and_git_take(tmp_path: Path, text: str, command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    path = tmp_path / "f"
    path.write_bytes(text.encode())
    before = raw_lines(text)
    after = applied(before, [*insert_before(["x"], at(1), "new"), Edit("replace", at(2), "other")])
    subprocess.run(command, cwd=tmp_path, input=difference("f", before, after).encode(), check=True)
    assert path.read_bytes() == "".join(after).encode()


def test_the_difference_of_a_file_with_a_whole_path_begins_below_the_root() -> None:
    told = difference("/etc/f", ["a\n", "b\n"], ["a\n"])
    assert told == "--- a/etc/f\n+++ b/etc/f\n@@ -1,2 +1 @@\n a\n-b\n"


def test_each_line_keeps_its_end_and_a_new_one_has_that_of_its_neighbour() -> None:
    lines = ["a\r\n", "b\n", "c"]
    edits = [*insert_before(lines, at(1), "x"), *insert_before(lines, at(3), "y"), Edit("replace", at(3), "z")]
    assert applied(lines, edits) == ["x\r\n", "a\r\n", "b\n", "y\r\n", "z"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_a_file_is_written_through_its_link_with_its_rights_and_its_encoding(tmp_path: Path, mark: bytes) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    encoding = marked(mark)[1]
    real.write_bytes(mark + "a\r\nb\n".encode(encoding))
    real.chmod(0o640)
    link.symlink_to(real)
    write(link, ["a\r\n", "x\r\n", "b\n"])
    assert real.read_bytes() == mark + "a\r\nx\r\nb\n".encode(encoding) and link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("a")
    with pytest.raises(UnicodeEncodeError):
        write(path, ["\ud800"])
    assert [each.name for each in tmp_path.iterdir()] == ["a"] and path.read_text() == "a"


def test_an_indentation_is_kept_as_it_is() -> None:
    assert indent_of("\t  x") == "\t  "
