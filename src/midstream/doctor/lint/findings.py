"""What a check is told, and what it answers: findings, each at a line, with the edits that cure it where that is safe.

Rule: a finding says what stands at its place; what it means is its rule's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from midstream.doctor.lint.catalogue import Rule, Severity, rules

# The gateway pings each 10 s.
PING_S = 10.0

# A limit of silence holds three pings: one may be lost in a busy moment, and the next be late.
PINGS_PER_LIMIT = 3

# Replies of some 64,000 tokens take this long.
STREAM_S = 900.0

# Pings that are this late no longer are what a limit is for: it then only says how long a dead upstream is waited for.
LONG_S = 300.0

# A prompt with documents or pictures in it; the API takes 32 MB.
BODY_BYTES = 32 << 20

# How long the first event of a large prompt may take: 504 is the answer of whoever waits no longer.
FIRST_EVENT_S = 60.0

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What no configuration says."""

    versions: Mapping[str, Version] = field(default_factory=dict)
    """Of a program, by its name."""
    ping_s: float = PING_S
    """The upstream sends something at least this often."""
    stream_s: float = STREAM_S
    """The longest stream."""
    unbuffered: bool = False
    """The upstream answers with ``X-Accel-Buffering: no``."""

    @property
    def silence_s(self) -> float:
        """The shortest limit of silence that pings carry a stream through."""
        return self.ping_s * PINGS_PER_LIMIT

    def before(self, program: str, version: str) -> bool | None:
        """Whether the program is older than this version; ``None``: nobody said."""
        known = self.versions.get(program)
        return None if known is None else known < version_of(version)


def version_of(text: str) -> Version:
    """``1.29.7`` as numbers. Raises `ValueError`."""
    return tuple(int(part) for part in text.removeprefix("v").split("."))


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file; lines count from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of one line. ``text`` has no end of line."""

    kind: Literal["insert", "replace", "delete"]
    """``insert`` puts the text before the line."""
    place: Place
    text: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or does nothing, at one place."""

    rule: Rule
    place: Place
    said: str
    """What stands there, in one sentence."""
    severity: Severity
    edits: tuple[Edit, ...] = ()
    """What `--fix` writes; nothing where a person must decide."""


@dataclass(slots=True)
class Checked:
    """What a check found in one file and in what it includes."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be known, each one sentence."""
    files: dict[str, list[str]] = field(default_factory=dict)
    """The lines of every file that was read."""
    judged: bool = True
    """Whether there was anything that a stream could go through."""

    fixable: bool = True
    """Whether what was read are the files themselves."""

    known: set[tuple[str, Place]] = field(default_factory=set, repr=False)
    """Which rule was found where."""

    def nothing(self, note: str) -> None:
        """No stream goes through what was read, as far as it is known here."""
        self.judged = False
        self.notes.append(note)

    def add(
        self, rule: str, place: Place, said: str, edits: Iterable[Edit] = (), severity: Severity | None = None
    ) -> None:
        """A finding; the same one at the same place counts once."""
        known = rules()[rule]
        if (rule, place) not in self.known:
            self.known.add((rule, place))
            edits = tuple(edits) if self.fixable else ()
            self.findings.append(Finding(known, place, said, severity or known.severity, edits))
