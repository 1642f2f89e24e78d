"""Edits: where a line may be changed safely, what a file looks like afterwards, and the difference.

Rule: a line is changed only where it holds one setting and nothing else.
"""

import difflib
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from midstream.doctor.lint.findings import Edit, Finding, Place


def indent_of(line: str) -> str:
    """The white space that a line begins with."""
    return line[: len(line) - len(line.lstrip())]


def insert_before(lines: Sequence[str], place: Place, *texts: str) -> tuple[Edit, ...]:
    """New lines, indented as the line that they are put before."""
    indent = indent_of(lines[place.line - 1])
    return tuple(Edit("insert", place, f"{indent}{text}") for text in texts)


def replace(lines: Sequence[str], place: Place, text: str) -> tuple[Edit, ...]:
    """A line anew, with its indentation."""
    return (Edit("replace", place, f"{indent_of(lines[place.line - 1])}{text}"),)


def applied(lines: Sequence[str], edits: Iterable[Edit]) -> list[str]:
    """The lines after the edits. Of two that change one line, the first counts; a line is inserted once."""
    before: dict[int, list[str]] = {}
    instead: dict[int, Edit] = {}
    for edit in edits:
        if edit.kind == "insert":
            texts = before.setdefault(edit.place.line, [])
            texts += [edit.text] if edit.text not in texts else []
        else:
            instead.setdefault(edit.place.line, edit)
    result: list[str] = []
    for number, line in enumerate(lines, 1):
        result += before.get(number, [])
        change = instead.get(number)
        if change is None:
            result.append(line)
        elif change.kind == "replace":
            result.append(change.text)
    return result


def by_file(findings: Iterable[Finding]) -> dict[str, list[Edit]]:
    """Every edit, by the file it is for."""
    found: dict[str, list[Edit]] = {}
    for finding in findings:
        for edit in finding.edits:
            found.setdefault(edit.place.file, []).append(edit)
    return found


def difference(name: str, before: Sequence[str], after: Sequence[str]) -> str:
    """A unified diff, as ``patch`` takes it."""
    # What stands behind the last end of line is no line.
    old, new = (lines[:-1] if lines and not lines[-1] else lines for lines in (before, after))
    path = name.lstrip("/")
    return "".join(f"{line}\n" for line in difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm=""))


def write(path: Path, lines: Sequence[str]) -> None:
    """The file anew, whole or not at all; its line ends and its rights stay as they are."""
    end = b"\r\n" if b"\r\n" in path.read_bytes() else b"\n"
    # What a link leads to is what is meant.
    real = path.resolve()
    handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(end.join(line.encode() for line in lines))
        os.chmod(name, real.stat().st_mode)
        os.replace(name, real)
    except BaseException:
        os.unlink(name)
        raise
