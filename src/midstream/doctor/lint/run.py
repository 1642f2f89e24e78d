"""Checks files: reads, recognises and judges each, and takes out what comments allow.

Rule: whatever the files are, the answer is a `Result`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from midstream.doctor.lint import edits
from midstream.doctor.lint.findings import Assumptions, Checked, Finding, Place
from midstream.doctor.lint.kinds import kind_of
from midstream.doctor.lint.source import STDIN, Source, Unreadable, allowed, read


@dataclass(slots=True)
class Result:
    """What was found in all files."""

    findings: list[Finding] = field(default_factory=list)
    """The worst first, then by place."""
    allowed: int = 0
    """Findings that a comment allows."""
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Files that could not be checked, each one sentence."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Each file that was named, and what it is."""
    files: dict[str, list[str]] = field(default_factory=dict)
    """The lines of every file that was read."""
    judged: int = 0
    """In how many of the files there was something that a stream could go through."""


def lint(names: Iterable[str], assume: Assumptions, wanted: str | None = None) -> Result:
    """Check every file."""
    result = Result()
    checked: dict[str, Checked] = {}
    known: set[tuple[str, Place]] = set()
    for name in dict.fromkeys(names):
        try:
            checked[name] = _checked(read(name), assume, wanted, result)
        except Unreadable as problem:
            result.problems.append(str(problem))
    for one in _with_context(checked):
        result.notes += one.notes
        result.judged += one.judged
        result.files |= one.files
        for finding in one.findings:
            if finding.rule.id in allowed(one.files.get(finding.place.file, []), finding.place.line):
                result.allowed += 1
            elif (finding.rule.id, finding.place) not in known:
                known.add((finding.rule.id, finding.place))
                result.findings.append(finding)
    result.findings.sort(key=lambda each: (each.severity.rank, each.place.file, each.place.line, each.rule.id))
    return result


def check(source: Source, assume: Assumptions, wanted: str | None = None) -> Checked:
    """Check one file that is read already. Raises `Unreadable`."""
    return _checked(source, assume, wanted, Result())


def _checked(source: Source, assume: Assumptions, wanted: str | None, result: Result) -> Checked:
    kind = kind_of(source, wanted)
    result.kinds[source.name] = kind.title
    try:
        return kind.check()(source, assume)
    except RecursionError:
        raise Unreadable(f"{source.name} is nested more deeply than any configuration") from None


def _with_context(checked: dict[str, Checked]) -> list[Checked]:
    """What was checked, without those that another one includes: there they are seen with what is around them."""
    included = {
        Path(file).absolute() for name, one in checked.items() for file in one.files if file != name and name != STDIN
    }
    return [one for name, one in checked.items() if Path(name).absolute() not in included]


@dataclass(frozen=True, slots=True)
class Change:
    """One file before and after its edits, in lines with their ends."""

    name: str
    before: list[str]
    after: list[str]

    @property
    def diff(self) -> str:
        """The difference, as ``patch`` takes it."""
        return edits.difference(self.name, self.before, self.after)


def changes(result: Result) -> list[Change]:
    """What the edits of all findings make of the files."""
    found = []
    for name, some in edits.by_file(result.findings).items():
        before = _raw(name, result.files[name])
        # What was no UTF-8 would be written otherwise than it was read.
        if not any("\ufffd" in line for line in before):
            found.append(Change(name, before, edits.applied(before, some)))
    return found


def _raw(name: str, lines: list[str]) -> list[str]:
    """The lines of a file with their ends, as long as it is what was checked; of stdin with the usual ones."""
    try:
        source = read(name)
    except Unreadable:
        source = None
    if source is not None and source.lines == lines:
        return edits.raw_lines(source.text)
    return edits.raw_lines("\n".join(lines))
