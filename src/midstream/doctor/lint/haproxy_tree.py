"""An HAProxy configuration as sections of lines, and what each section inherits of its defaults.

Rule: a line is a keyword and its arguments; ``no option x`` is a line that says no.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from midstream.doctor.lint.findings import Place
from midstream.doctor.lint.source import Source, Unreadable

SECTIONS = frozenset(
    "global defaults frontend backend listen peers userlist resolvers mailers cache program http-errors ring"
    " log-forward log-profile fcgi-app traces acme crt-store".split()
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a section."""

    words: tuple[str, ...]
    place: Place

    def begins(self, *words: str) -> bool:
        """Whether it begins with these words."""
        return self.words[: len(words)] == words

    def told(self) -> str:
        """It as it stands."""
        return " ".join(self.words)


@dataclass(eq=False, slots=True)
class Section:
    """One section, with the one whose defaults it takes."""

    kind: str
    name: str
    place: Place
    defaults: "Section | None" = None
    lines: list[Line] = field(default_factory=list)

    @property
    def told(self) -> str:
        """What a person calls it."""
        return f"{self.kind} {self.name}".strip()

    def here(self, *words: str) -> list[Line]:
        """Its own lines that begin so."""
        return [line for line in self.lines if line.begins(*words)]

    def all(self, *words: str) -> list[Line]:
        """The lines that begin so, its own before those of its defaults."""
        return [*self.here(*words), *(self.defaults.all(*words) if self.defaults is not None else [])]

    def setting(self, *words: str) -> Line | None:
        """The line that is in force: the last of its own, or else of its defaults."""
        own = self.here(*words)
        if own:
            return own[-1]
        return self.defaults.setting(*words) if self.defaults is not None else None

    def option(self, name: str) -> bool:
        """Whether an option is on here."""
        for line in reversed(self.lines):
            if line.begins("option", name):
                return True
            if line.begins("no", "option", name):
                return False
        return self.defaults.option(name) if self.defaults is not None else False

    @property
    def mode(self) -> str:
        """``tcp`` unless something else is said."""
        line = self.setting("mode")
        return line.words[1] if line is not None and len(line.words) > 1 else "tcp"


def parse(source: Source) -> list[Section]:
    """The sections of a file. Raises `Unreadable`."""
    sections: list[Section] = []
    for line in _lines(source):
        kind = line.words[0]
        if kind in SECTIONS:
            sections.append(_section(line, sections))
        elif sections:
            sections[-1].lines.append(line)
        else:
            raise Unreadable(
                f"{source.name}:{line.place.line} is not HAProxy configuration: {kind!r:.40} stands in no section"
            )
    return sections


def _section(line: Line, before: list[Section]) -> Section:
    words = line.words[1:]
    name = words[0] if words and words[0] != "from" else ""
    section = Section(line.words[0], name, line.place)
    known = [each for each in before if each.kind == "defaults"]
    if "from" in words[:-1]:
        wanted = words[words.index("from") + 1]
        section.defaults = next((each for each in reversed(known) if each.name == wanted), None)
    elif known and section.kind in {"frontend", "backend", "listen"}:
        section.defaults = known[-1]
    return section


def _lines(source: Source) -> Iterator[Line]:
    for number, text in enumerate(source.lines, 1):
        lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.commenters = True, "#"
        try:
            words = tuple(lexer)
        except ValueError:
            # A quote that is not closed: some line of an other language, or of Lua.
            words = tuple(text.split())
        if words and not words[0].startswith("."):
            yield Line(words, Place(source.name, number))
