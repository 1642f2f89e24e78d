"""The one look of all doctor commands: a `Report`, as text for a pipe, in colour on a terminal, or as JSON.

Rule: a command says what it found in the words of this file and nothing about how that looks. What is shown has gone
through `tidy`: no secret, no control character that a terminal would obey.

A finding's texts may mark a literal by `backquotes`, and hold more than one paragraph.
"""

import json
import os
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal, TextIO

from midstream.doctor.secrets import without_secrets

Severity = Literal["error", "warning", "note", "good"]
"""How bad it is. ``error`` breaks streams or loses what was paid for; ``warning`` does so under conditions that occur;
``note`` is worth knowing, a line that does nothing for instance; ``good`` was looked at and is right."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note", "good")
"""The worst first."""

WIDTH = 100
"""In a pipe, unless ``COLUMNS`` says otherwise: what a page, a ticket and most logs show without wrapping."""

WIDTH_MIN, WIDTH_MAX = 40, 120
"""Narrower, words are cut; wider, the eye loses the line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, from what it is down to how to know that it is gone. All but two may be left out."""

    severity: Severity
    title: str
    id: str = ""
    """The stable name of the rule or of the entry of the catalogue."""
    place: str = ""
    """Where: ``nginx.conf:12``, or ``byte 1,204, event 12``."""
    means: str = ""
    """What it means for the person who reads it."""
    why: str = ""
    evidence: tuple[str, ...] = ()
    """What was seen, quoted or measured."""
    check: tuple[str, ...] = ()
    """What to look at first."""
    fix: str = ""
    """The smallest change, in a sentence."""
    cure: str = ""
    """The lines to put in, ready to be copied; a diff where lines go out."""
    steps: tuple[str, ...] = ()
    prevent: str = ""
    verify: str = ""
    """How to know that it worked."""
    versions: str = ""
    """Which versions have it, and which cure it."""
    sources: tuple[str, ...] = ()
    related: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that belong together, such as what was measured."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a command found out."""

    command: str
    """Its name: ``explain``, ``diagnose``, …"""
    subject: str
    """What was looked at: a file, a URL, the first line of a text."""
    severity: Severity
    """That of the verdict."""
    verdict: str
    """The answer in one sentence; who reads nothing else has read this."""
    facts: tuple[tuple[str, str], ...] = ()
    """What is known without judging, name by name."""
    findings: tuple[Finding, ...] = ()
    tables: tuple[Table, ...] = ()
    advice: tuple[str, ...] = ()
    """What to do next, whatever was found."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What only programs want: these keys are added to the JSON."""


def show(report: Report, out: TextIO, *, as_json: bool = False, short: bool = False) -> None:
    """Write the report: JSON if asked for, in colour if `out` is a terminal that wants it, plain otherwise.

    `short` leaves out of each finding what a person reads once: why, the steps, how to prevent, sources.
    """
    if as_json:
        _write(out, to_json(report) + "\n")
    elif _plain_only(out):
        _write(out, to_text(report, _width(out), short=short))
    else:
        # Here, for rich comes with an extra, and takes a while to load.
        from midstream.doctor.render_rich import write

        write(report, out, _width(out), short=short)


def to_json(report: Report) -> str:
    """The report for programs. What is empty is left out of a finding; the other keys are always there."""
    whole: dict[str, Any] = {
        "command": report.command,
        "subject": report.subject,
        "severity": report.severity,
        "verdict": report.verdict,
        "facts": dict(report.facts),
        "findings": [_finding_as_dict(finding) for finding in report.findings],
        "tables": [
            {"title": table.title, "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows]}
            for table in report.tables
        ],
        "advice": list(report.advice),
        **report.data,
    }
    return json.dumps(_without_secrets(whole), indent=2, ensure_ascii=True)


def to_text(report: Report, width: int = WIDTH, *, short: bool = False) -> str:
    """The report as plain text, `width` columns wide."""
    lines = [f"{report.severity}: {report.verdict}", *([f"  {report.subject}"] if report.subject else []), ""]
    lines += [f"  {name}: {value}" for name, value in report.facts]
    lines += [""] if report.facts else []
    for table in report.tables:
        lines += [*_table_lines(table), ""]
    for finding in report.findings:
        lines += [*_finding_lines(finding, short), ""]
    if report.advice:
        lines += ["what to do next", *_items(report.advice), ""]
    return "\n".join(_wrapped(tidy("\n".join(lines)), width)).rstrip() + "\n"


def heading_of(finding: Finding) -> str:
    """The line that a finding is known by."""
    # What the title names itself is not named twice.
    place = f"{finding.place}: " if finding.place and not finding.title.startswith(finding.place) else ""
    return f"{place}{finding.title}" + (f" [{finding.id}]" if finding.id else "")


def sections(finding: Finding, short: bool = False) -> Iterator[tuple[str, str | tuple[str, ...], bool]]:
    """A finding's parts in the order in which they are read: title, what it says, and whether it is to be copied."""
    parts: tuple[tuple[str, str | tuple[str, ...], bool, bool], ...] = (
        ("what it means", finding.means, False, True),
        ("why it happens", finding.why, False, False),
        ("evidence", finding.evidence, False, True),
        ("check first", finding.check, False, True),
        ("quick fix", finding.fix, False, True),
        ("cure", finding.cure, True, True),
        ("step by step", finding.steps, False, False),
        ("how to prevent it", finding.prevent, False, False),
        ("how to know that it worked", finding.verify, False, True),
        ("versions", finding.versions, False, True),
        ("sources", finding.sources, False, False),
        ("related", finding.related, False, False),
    )
    for title, said, copied, always in parts:
        if said and (always or not short):
            yield title, said, copied


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def tidy(text: str) -> str:
    """A text as it may be shown: without secrets, and without what a terminal would obey instead of print."""
    return _CONTROL.sub("\ufffd", without_secrets(text.replace("\r\n", "\n"))).replace("\t", "    ")


def worst(findings: tuple[Finding, ...]) -> Severity:
    """The worst severity of these; ``good`` if there are none."""
    return min((finding.severity for finding in findings), key=SEVERITIES.index, default="good")


def _finding_as_dict(finding: Finding) -> dict[str, Any]:
    values = {name: getattr(finding, name) for name in Finding.__slots__}
    return {name: value for name, value in values.items() if value}


def _without_secrets(value: Any) -> Any:
    """JSON has its own way with control characters, so nothing but secrets is taken out."""
    match value:
        case str():
            return without_secrets(value)
        case Mapping():
            return {without_secrets(str(name)): _without_secrets(below) for name, below in value.items()}
        case list() | tuple():
            return [_without_secrets(below) for below in value]
        case _:
            return value


def _finding_lines(finding: Finding, short: bool) -> Iterator[str]:
    yield f"{finding.severity}: {heading_of(finding)}"
    for title, said, copied in sections(finding, short):
        if copied:
            # The bar keeps the lines from being wrapped.
            yield from ("", f"  {title}", *(f"  | {line}" for line in str(said).rstrip("\n").split("\n")))
        elif isinstance(said, tuple):
            numbered = title == "step by step"
            yield from ("", f"  {title}", *(f"  {line}" for line in _items(said, numbered)))
        else:
            yield from ("", f"  {title}", *(f"    {line}" for line in said.strip().split("\n")))


def _items(items: tuple[str, ...], numbered: bool = False) -> list[str]:
    marks = [f"{number}." for number in range(1, len(items) + 1)] if numbered else ["-"] * len(items)
    return [f"  {mark} {' '.join(item.split())}" for mark, item in zip(marks, items, strict=True)]


def _table_lines(table: Table) -> Iterator[str]:
    rows = [table.columns, *table.rows]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    yield table.title
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        # The bar keeps a row on one line.
        yield f"  | {'  '.join(cells).rstrip()}"


_INDENT = re.compile(r" *(?:- |\d+\. )?")


def _wrapped(text: str, width: int) -> Iterator[str]:
    for line in text.split("\n"):
        indent = _INDENT.match(line)
        if len(line) <= width or line.lstrip().startswith("| "):
            yield line
        else:
            hanging = " " * (len(indent[0]) if indent else 0)
            yield from textwrap.wrap(
                line, width, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
            )


def _plain_only(out: TextIO) -> bool:
    dull = not out.isatty() or os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return dull or find_spec("rich") is None


def _width(out: TextIO) -> int:
    columns = shutil.get_terminal_size((WIDTH, 24)).columns if out.isatty() or os.environ.get("COLUMNS") else WIDTH
    return max(WIDTH_MIN, min(columns, WIDTH_MAX))


def _write(out: TextIO, text: str) -> None:
    """Write what the encoding of `out` can hold; for the rest, a question mark."""
    encoding = out.encoding or "utf-8"
    out.write(text.encode(encoding, "replace").decode(encoding, "replace"))
