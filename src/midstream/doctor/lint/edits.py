"""Edits: where a line may be changed safely, what a file looks like afterwards, and the difference.

Rule: a line is changed only where it holds one setting and nothing else.
"""

import contextlib
import difflib
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from midstream.doctor.lint.findings import Edit, Finding, Place
from midstream.doctor.lint.source import marked


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
    """The lines after the edits. Of two that change one line, the first counts; a line is inserted once.

    Lines may have their ends: one that is replaced keeps its own, a new one has that of the line it is put before.
    """
    before: dict[int, list[str]] = {}
    instead: dict[int, Edit] = {}
    for edit in edits:
        if edit.kind == "insert":
            texts = before.setdefault(edit.place.line, [])
            texts += [edit.text] if edit.text not in texts else []
        else:
            instead.setdefault(edit.place.line, edit)
    usual = _end_of(lines[0]) if lines else ""
    result: list[str] = []
    for number, line in enumerate(lines, 1):
        end = _end_of(line)
        result += [f"{text}{end or usual}" for text in before.get(number, [])]
        change = instead.get(number)
        if change is None:
            result.append(line)
        elif change.kind == "replace":
            result.append(f"{change.text}{end}")
    return result


def _end_of(line: str) -> str:
    return "\r\n" if line.endswith("\r\n") else "\n" if line.endswith("\n") else ""


def by_file(findings: Iterable[Finding]) -> dict[str, list[Edit]]:
    """Every edit, by the file it is for."""
    found: dict[str, list[Edit]] = {}
    for finding in findings:
        for edit in finding.edits:
            found.setdefault(edit.place.file, []).append(edit)
    return found


def difference(name: str, before: Sequence[str], after: Sequence[str]) -> str:
    """A unified diff of lines with their ends, as ``patch -p1`` and ``git apply`` take it."""
    path = name.lstrip("/")
    told = difflib.unified_diff(before, after, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in told)


def raw_lines(text: str) -> list[str]:
    """The lines of a text with their ends."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def write(path: Path, lines: Iterable[str]) -> None:
    """The file anew, whole or not at all, of lines with their ends; encoding, rights and owner stay as they are."""
    # What a link leads to is what is meant.
    real = path.resolve()
    mark, encoding = marked(real.read_bytes())
    was = real.stat()
    handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(mark + "".join(lines).encode(encoding))
        os.chmod(name, was.st_mode)
        if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
            # Root gives it back to whose it was; nobody else may, nor needs to.
            with contextlib.suppress(PermissionError):
                os.chown(name, was.st_uid, was.st_gid)
        os.replace(name, real)
    except BaseException:
        os.unlink(name)
        raise
