"""A report in colour, for a person at a terminal.

Rule: it says the words of `render.to_text`, in their order; only how they look is decided here.
"""

import re
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from midstream.doctor.render import Finding, Report, Severity, Table, heading_of, sections, tidy

_COLOURS: dict[Severity, str] = {
    "error": "bold red",
    "warning": "bold yellow",
    "note": "bold cyan",
    "good": "bold green",
}
_LITERAL = re.compile(r"`([^`\n]+)`")


def write(report: Report, out: TextIO, width: int, *, short: bool = False) -> None:
    """Write the report to a terminal."""
    console = Console(file=out, width=width, highlight=False, emoji=False, markup=False)
    console.print(Group(*_whole(report, short)))


def _whole(report: Report, short: bool) -> Iterator[RenderableType]:
    yield _headed(report.severity, report.verdict)
    if report.subject:
        yield Padding(Text(tidy(report.subject), style="dim"), (0, 0, 0, 2))
    yield ""
    if report.facts:
        yield Padding(_facts(report.facts), (0, 0, 1, 2))
    for table in report.tables:
        yield Text(tidy(table.title), style="bold")
        yield Padding(_grid(table), (0, 0, 1, 2))
    for finding in report.findings:
        yield from _finding(finding, short)
    if report.advice:
        yield Text("what to do next", style="bold")
        yield Padding(_list(report.advice), (0, 0, 1, 2))


def _finding(finding: Finding, short: bool) -> Iterator[RenderableType]:
    yield _headed(finding.severity, heading_of(finding))
    for title, said, copied in sections(finding, short):
        yield Padding(Text(title, style="bold"), (1, 0, 0, 2))
        if copied:
            yield Padding(
                Text(tidy(str(said).rstrip("\n")), style="green", no_wrap=True, overflow="fold"), (0, 0, 0, 4)
            )
        elif isinstance(said, tuple):
            yield Padding(_list(said, numbered=title == "step by step"), (0, 0, 0, 4))
        else:
            yield Padding(_styled(said.strip()), (0, 0, 0, 4))
    yield ""


def _headed(severity: Severity, said: str) -> Text:
    return Text.assemble((f"{severity}: ", _COLOURS[severity]), (tidy(said), "bold"))


def _list(items: tuple[str, ...], numbered: bool = False) -> Grid:
    grid = Grid.grid(padding=(0, 1, 0, 0))
    for number, item in enumerate(items, 1):
        grid.add_row(Text(f"{number}." if numbered else "-", style="dim"), _styled(" ".join(item.split())))
    return grid


def _facts(facts: tuple[tuple[str, str], ...]) -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for name, value in facts:
        grid.add_row(Text(f"{tidy(name)}:", style="dim"), _styled(value))
    return grid


def _grid(table: Table) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in table.columns:
        grid.add_column(tidy(column))
    for row in table.rows:
        grid.add_row(*(_styled(cell) for cell in row))
    return grid


def _styled(said: str) -> Text:
    """A text with its literals in another colour, and without the marks around them."""
    # An address that is cut cannot be followed.
    text, end = Text(overflow="fold"), 0
    said = tidy(said)
    for match in _LITERAL.finditer(said):
        text.append(said[end : match.start()])
        text.append(match[1], style="cyan")
        end = match.end()
    return text.append(said[end:])
