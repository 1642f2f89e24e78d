"""An Apache configuration as sections of directives, with what it includes, and what each section inherits.

Rule: names of directives are compared without their case; what a section does not set is what is set around it.
"""

import glob
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from midstream.doctor.lint.findings import Checked, Place
from midstream.doctor.lint.source import Source, Unreadable, read

FILES_MAX = 1000

# Sections that decide whether something counts, not where.
_OPEN = {"ifmodule", "ifdefine", "ifversion", "ifdirective", "iffile", "ifsection"}


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive."""

    name: str
    args: tuple[str, ...]
    place: Place

    def told(self) -> str:
        """It as it stands."""
        return " ".join([self.name, *self.args])


@dataclass(eq=False, slots=True)
class Section:
    """The whole server, a virtual host, or a place in it."""

    name: str
    parent: "Section | None"
    directives: list[Directive] = field(default_factory=list)
    sections: "list[Section]" = field(default_factory=list)

    def here(self, name: str) -> list[Directive]:
        """Its own directives of this name."""
        return [each for each in self.directives if each.name.lower() == name.lower()]

    def setting(self, name: str) -> Directive | None:
        """What is in force: the last of its own, or what is set around it."""
        own = self.here(name)
        if own:
            return own[-1]
        return self.parent.setting(name) if self.parent is not None else None

    def all(self, name: str) -> list[Directive]:
        """Its own and those around it."""
        return [*self.here(name), *(self.parent.all(name) if self.parent is not None else [])]

    def walk(self) -> "Iterator[Section]":
        """Itself, and every section in it."""
        yield self
        for section in self.sections:
            yield from section.walk()


@dataclass(slots=True)
class _Reading:
    checked: Checked
    folder: Path
    open: list[Path]
    """What is being read, from the outside in: a file that includes itself would never end."""
    files: int = 0
    """How many were read so far, each as often as it is included."""


def parse(source: Source, checked: Checked) -> Section:
    """The sections of a file. Raises `Unreadable`."""
    root = Section("the server", None)
    reading = _Reading(checked, Path(source.name).parent, [Path(source.name).absolute()])
    _read(source, root, reading)
    return root


def _read(source: Source, root: Section, reading: _Reading) -> None:
    reading.checked.files[source.name] = source.lines
    reading.files += 1
    # The names of open sections; one that is open to what is around it adds no section.
    at, open_names = root, [""]
    for text, number in _lines(source):
        place = Place(source.name, number)
        if text.startswith("</"):
            name = text[2:].rstrip("> ").lower()
            if not name or name != open_names[-1]:
                raise Unreadable(f"{source.name}:{number} is not Apache configuration: {text:.60} closes nothing")
            open_names.pop()
            if name not in _OPEN:
                assert at.parent is not None
                at = at.parent
        elif match := re.match(r"<(\w+)\b", text):
            open_names.append(match[1].lower())
            if open_names[-1] not in _OPEN:
                at.sections.append(Section(text.strip("<> "), at))
                at = at.sections[-1]
        else:
            _directive(text, place, at, reading)
    if open_names != [""]:
        raise Unreadable(f"{source.name} is not Apache configuration: <{open_names[-1]}> is not closed")


def _directive(text: str, place: Place, at: Section, reading: _Reading) -> None:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    name, args = words[0] if words else "", tuple(words[1:])
    if name.lower() == "serverroot" and args:
        reading.folder = Path(args[0])
    if name.lower() in {"include", "includeoptional"} and args:
        _include(args[0], name, place, at, reading)
    elif name:
        at.directives.append(Directive(name, args, place))


def _include(pattern: str, name: str, place: Place, at: Section, reading: _Reading) -> None:
    folders = [reading.folder, Path(place.file).parent]
    matching = next((hits for folder in folders if (hits := glob.glob(str(folder / pattern)))), [])
    if not matching and name.lower() == "include":
        reading.checked.notes.append(f"{place.file}:{place.line} includes {pattern}, which is not here")
    for path in map(Path, sorted(matching)):
        # In as many places as it is included in, but not in itself.
        if path.absolute() in reading.open or reading.files >= FILES_MAX or not path.is_file():
            continue
        reading.open.append(path.absolute())
        try:
            _read(read(str(path)), at, reading)
        except Unreadable as problem:
            reading.checked.notes.append(f"{place.file}:{place.line} includes what cannot be read: {problem}")
        finally:
            reading.open.pop()


def _lines(source: Source) -> Iterator[tuple[str, int]]:
    """Each line that says something, with its number; one that ends with a backslash goes on in the next."""
    text, began = "", 0
    for number, line in enumerate(source.lines, 1):
        began = began or number
        text += line
        if text.endswith("\\"):
            text = text[:-1] + " "
            continue
        if text.strip() and not text.lstrip().startswith("#"):
            yield text.strip(), began
        text, began = "", 0
