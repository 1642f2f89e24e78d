"""A Caddyfile as a tree of lines, with its snippets and imports put in their place.

Rule: a line is its words; what they mean is asked elsewhere.
"""

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from midstream.doctor.lint.findings import Checked, Place
from midstream.doctor.lint.source import Source, Unreadable, read

# A snippet that imports itself never ends; people nest two or three.
IMPORTS_MAX = 500

# A block in a block in a block: deeper than anything that Caddy knows.
DEPTH_MAX = 100

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|`([^`]*)`|(\S+)')


@dataclass(eq=False, slots=True)
class Line:
    """One line, with the block that it opens."""

    words: tuple[str, ...]
    place: Place
    block: "list[Line] | None" = None

    @property
    def name(self) -> str:
        """Its first word."""
        return self.words[0] if self.words else ""

    def told(self) -> str:
        """It as it stands, without its block."""
        return " ".join(self.words)

    def here(self, name: str) -> "list[Line]":
        """The lines of this name that stand directly in its block."""
        return [line for line in self.block or [] if line.name == name]

    def walk(self) -> "Iterator[Line]":
        """Itself, and everything in it."""
        yield self
        for line in self.block or []:
            yield from line.walk()


@dataclass(slots=True)
class _Reading:
    checked: Checked
    snippets: dict[str, Line] = field(default_factory=dict)
    imports: int = 0


def parse(source: Source, checked: Checked) -> list[Line]:
    """The blocks of a file. Raises `Unreadable`."""
    reading = _Reading(checked)
    return _imported(_read(source, reading), source, reading)


def _read(source: Source, reading: _Reading) -> list[Line]:
    reading.checked.files[source.name] = source.lines
    top: list[Line] = []
    open_blocks: list[list[Line]] = [top]
    for line in _lines(source):
        closes, opens = line.words == ("}",), line.words[-1] == "{"
        if closes:
            open_blocks.pop()
            if not open_blocks:
                raise Unreadable(f"{source.name}:{line.place.line} is not a Caddyfile: a }} too many")
            continue
        if opens:
            line.words, line.block = line.words[:-1], []
        open_blocks[-1].append(line)
        if line.block is not None:
            open_blocks.append(line.block)
            if len(open_blocks) > DEPTH_MAX:
                raise Unreadable(f"{source.name}:{line.place.line} is nested more deeply than any Caddyfile")
    if len(open_blocks) > 1:
        raise Unreadable(f"{source.name}:{len(source.lines)} is not a Caddyfile: a }} is missing at its end")
    for line in top:
        if re.fullmatch(r"\(.+\)", line.name) and line.block is not None:
            reading.snippets[line.name[1:-1]] = line
    return [line for line in top if line not in reading.snippets.values()]


def _lines(source: Source) -> Iterator[Line]:
    ends_at = ""
    for number, text in enumerate(source.lines, 1):
        if ends_at:
            ends_at = "" if text.strip() == ends_at else ends_at
            continue
        words = []
        for match in _WORD.finditer(text):
            if match[3] is not None and match[3].startswith("#"):
                break
            words.append(next(group for group in match.groups() if group is not None))
        if words and re.fullmatch(r"<<\w+", words[-1]):
            ends_at = words[-1][2:]
        if words:
            yield Line(tuple(words), Place(source.name, number))


def _imported(lines: list[Line], source: Source, reading: _Reading) -> list[Line]:
    """The lines with those that they import."""
    found: list[Line] = []
    for line in lines:
        if line.block is not None:
            line.block = _imported(line.block, source, reading)
        if line.name != "import" or len(line.words) < 2:
            found.append(line)
            continue
        reading.imports += 1
        if reading.imports > IMPORTS_MAX:
            raise Unreadable(f"{source.name}:{line.place.line} imports without end")
        if (snippet := reading.snippets.get(line.words[1])) is not None:
            found += _imported(_copied(snippet.block or []), source, reading)
        else:
            found += _files(line, source, reading)
    return found


def _copied(lines: list[Line]) -> list[Line]:
    return [Line(line.words, line.place, None if line.block is None else _copied(line.block)) for line in lines]


def _files(line: Line, source: Source, reading: _Reading) -> Iterator[Line]:
    paths = [Path(path) for path in sorted(glob.glob(str(Path(source.name).parent / line.words[1])))]
    if not paths and not glob.has_magic(line.words[1]):
        place = f"{line.place.file}:{line.place.line}"
        reading.checked.notes.append(f"{place} imports {line.words[1]}, which is not here")
    for path in paths:
        try:
            other = read(str(path))
            yield from _imported(_read(other, reading), other, reading)
        except Unreadable as problem:
            reading.checked.notes.append(f"{line.place.file}:{line.place.line} imports what cannot be read: {problem}")
