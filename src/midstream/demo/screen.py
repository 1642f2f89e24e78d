"""The demo in a terminal: two columns that grow side by side, or one after the other where it is narrow.

Rule: the one module that knows rich; it draws what it is told, and keeps nothing but what is on the screen.
"""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from midstream.demo.sides import Cut, Ended, Fact, Grew, Mended, Side, Sort
from midstream.demo.verdict import NAMES, Verdict, returned

# Narrower columns break a text too often to be read.
WIDE = 100
# A line longer than that is hard to read.
WIDTH_MAX = 132

STYLES: Mapping[Sort, str] = {"text": "", "thinking": "italic dim", "tool": "cyan"}


@dataclass
class Column:
    """One side, as far as it has come."""

    side: Side
    text: Text = field(default_factory=Text)
    waiting: str | None = None
    """What broke, while it is being mended."""
    ended: Ended | None = None

    def take(self, fact: Fact) -> None:
        """Let a fact show."""
        match fact:
            case Grew(text=text, sort=sort):
                self.text.append(text, STYLES[sort])
            case Cut(reason=reason):
                self.waiting = reason
            case Mended(reason=reason, seconds=seconds):
                self.waiting = None
                self.text.append(f"[⟲ cut here: {reason}; continued in {seconds:.1f} s]", "dim yellow")
            case Ended():
                self.ended = fact
                self.waiting = None

    @property
    def good(self) -> bool:
        """Whether it ended as a whole reply ends."""
        ended = self.ended
        return bool(ended and ended.error is None and (ended.message or {}).get("stop_reason"))

    def body(self) -> Text:
        """The text with what stands at its end: a cursor, or what is awaited."""
        text = self.text.copy()
        if self.waiting is not None:
            text.append(f"[⟲ {self.waiting} …", "dim yellow")
        elif self.ended is None:
            text.append("▌", "dim")
        elif not self.good:
            text.append("\n\n✂ ", "red")
            text.append(self.ended.error or "the body ended here, and the SDK returned this as the message", "red")
        return text

    def panel(self, lines: list[Text], height: int) -> Panel:
        """Its box, so many lines high."""
        style = "dim" if self.ended is None else ("green" if self.good else "red")
        below = returned(self.ended) if self.ended else None
        return Panel(
            Text("\n").join(lines),
            title=Text(NAMES[self.side], style="bold"),
            title_align="left",
            subtitle=Text(below, style=style) if below else None,
            subtitle_align="left",
            border_style=style,
            height=height + 2,
            padding=(0, 1),
        )


class Screen:
    """Draws on a console; without one that lives (a picture is made), only what it looks like at the end."""

    def __init__(self, console: Console, *, live: bool = True) -> None:
        self._console = console
        self._live = live

    @classmethod
    def of(cls, out: TextIO) -> "Screen":
        """On the terminal behind this stream."""
        console = Console(file=out, highlight=False)
        return cls(Console(file=out, highlight=False, width=min(console.width, WIDTH_MAX)))

    @property
    def wide(self) -> bool:
        """Whether two columns have room."""
        return self._console.width >= WIDE

    def heading(self, prompt: str) -> None:
        """What is about to be seen."""
        self._console.print(
            Text.assemble(
                ("one reply, cut twice", "bold"), (" · no key, no network: the service is played here", "dim")
            )
        )
        self._console.print(Text.assemble(("› ", "cyan"), prompt), end="\n\n" if self._console.height > 30 else "\n")

    def show(self, sides: tuple[Side, ...], facts: Iterable[Fact]) -> dict[Side, Ended]:
        """Draw these sides as they play; how they ended."""
        columns = {side: Column(side) for side in sides}
        if self._live:
            with Live(self._draw(columns, crop=True), console=self._console, refresh_per_second=20) as live:
                for fact in facts:
                    self._take(columns, fact)
                    live.update(self._draw(columns, crop=True))
                live.update(self._draw(columns, crop=False))
        else:
            for fact in facts:
                self._take(columns, fact)
            self._console.print(self._draw(columns, crop=False))
        return {side: column.ended for side, column in columns.items() if column.ended is not None}

    @staticmethod
    def _take(columns: dict[Side, Column], fact: Fact) -> None:
        if isinstance(fact, Grew | Cut | Mended | Ended):
            columns[fact.side].take(fact)

    def _draw(self, columns: dict[Side, Column], *, crop: bool) -> RenderableType:
        width = self._console.width // len(columns) - 4
        wrapped = {side: list(column.body().wrap(self._console, width)) for side, column in columns.items()}
        height = max(len(lines) for lines in wrapped.values())
        if crop:
            # What has scrolled out of the box is shown again at the end.
            height = max(1, min(height, self._console.height - 4))
        grid = Table.grid(expand=True)
        for _ in columns:
            grid.add_column(ratio=1)
        grid.add_row(*(column.panel(wrapped[side][-height:], height) for side, column in columns.items()))
        return grid

    def verdict(self, found: Verdict) -> None:
        """What came of it."""
        table = Table.grid(padding=(0, 2))
        styles = ("", "red", "bold green" if found.good else "bold red")
        for (name, finding), style in zip(found.lines(), styles, strict=True):
            table.add_row(Text(name, style="bold"), Text(finding, style=style))
        parts: list[RenderableType] = [Text() if self._console.height > 30 else Group(), table]
        if found.mended.report is not None:
            parts += [Rule(style="dim"), Text(str(found.mended.report), style="dim")]
        self._console.print(Group(*parts))


# What `Console.export_svg` is given, without the fonts that it would fetch: a picture needs no network either.
SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" xml:space="preserve"
 role="img" aria-label="midstream demo">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
 font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def canvas(columns: int) -> Console:
    """A console that is nowhere, and remembers what it was shown."""
    return Console(
        file=io.StringIO(),
        record=True,
        width=columns,
        height=50,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        no_color=False,
        legacy_windows=False,
    )


def picture(console: Console) -> str:
    """What a recording console was shown, as SVG."""
    return console.export_svg(title="midstream demo", code_format=SVG, unique_id="midstream")
