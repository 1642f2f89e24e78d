"""The figures as one table, and what was required of them.

Rule: a requirement stands here once; what is printed and what stands in the docs is the same text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.gateway.contest import FULL, LITELLM, MEMORY, NGINX, RELAXED, Figures

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "gateway-cost.md"
BEGIN, END = "<!-- measured: make bench-gateway -->\n", "<!-- end -->\n"

MEMORY_RATIO_MAX, FULL_RATIO_MAX = 1.25, 1.4
"""CPU for each event, beside nginx."""
LITELLM_RATIO_MIN = 6.0
"""Events for each core, beside LiteLLM."""
IDLE_KIB_MAX = 8.0
LATE_RELAXED_MS_MAX = 0.5
LATE_FULL_MS_MAX = 10.0 + 3.0
"""The tick of the journal, and three more."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    required: str
    measured: str
    raw: str
    holds: bool | None
    """Whether the requirement is met; ``None`` where there is none."""

    def cells(self) -> tuple[str, ...]:
        """As they stand in the table."""
        verdict = "" if self.holds is None else "met" if self.holds else "**missed**"
        return self.what, self.required, self.measured, verdict, self.raw


HEADS = ("", "required", "measured", "", "raw")


def rows(figures: Figures) -> list[Row]:
    """All of them."""
    return [*_costs(figures), *_memory(figures), *_times(figures)]


def _costs(figures: Figures) -> Iterator[Row]:
    us = {name: figures.us(name) for name in figures.loads}
    yield Row("CPU for each event: nginx", "", "", _raw(figures, NGINX), None)
    for name, ratio_max in ((MEMORY, MEMORY_RATIO_MAX), (RELAXED, None), (FULL, FULL_RATIO_MAX)):
        ratio = us[name] / us[NGINX]
        required = "" if ratio_max is None else f"≤ {ratio_max:g}× nginx"
        holds = None if ratio_max is None else ratio <= ratio_max
        yield Row(f"CPU for each event: {name}", required, f"{ratio:.2f}×", _raw(figures, name), holds)
    if LITELLM in us:
        ratio = us[LITELLM] / us[FULL]
        what, required = f"events for each core: {FULL}", f"≥ {LITELLM_RATIO_MIN:g}× LiteLLM"
        yield Row(what, required, f"{ratio:.1f}×", f"LiteLLM: {_raw(figures, LITELLM)}", ratio >= LITELLM_RATIO_MIN)


def _raw(figures: Figures, name: str) -> str:
    loads = figures.loads[name]
    each = [load.us for load in loads]
    per_s = sum(load.per_s for load in loads) / len(loads)
    saturated = ", saturated" if any(load.saturated for load in loads) else ""
    return f"{figures.us(name):.1f} µs ({min(each):.1f}–{max(each):.1f}) at {per_s:,.0f} events/s{saturated}"


def _memory(figures: Figures) -> Iterator[Row]:
    for name in (NGINX, MEMORY, FULL):
        kib = figures.idle(name) / 1024
        required, holds = ("", None) if name == NGINX else (f"≤ {IDLE_KIB_MAX:g} KiB", kib <= IDLE_KIB_MAX)
        yield Row(f"memory for each silent stream: {name}", required, f"{kib:.1f} KiB", "", holds)


def _times(figures: Figures) -> Iterator[Row]:
    limits = {RELAXED: LATE_RELAXED_MS_MAX, FULL: LATE_FULL_MS_MAX}
    for name in (NGINX, MEMORY, RELAXED, FULL):
        late, limit = figures.late(name), limits.get(name)
        each = [late.added_p99_ms for late in figures.lates[name]]
        raw = f"{min(each):.2f}–{max(each):.2f} ms; p50 {late.added_p50_ms:.2f} ms"
        raw += f"; without it p99 {late.direct_p99_ms:.2f} ms"
        if name == FULL:
            sync = figures.sync()
            raw += f"; the disk's own sync: p50 {sync.p50_ms:.1f} ms, p99 {sync.p99_ms:.1f} ms"
        required = "" if limit is None else f"≤ {limit:g} ms"
        holds = None if limit is None else late.added_p99_ms <= limit
        yield Row(f"added latency, p99: {name}", required, f"{late.added_p99_ms:.2f} ms", raw, holds)


def markdown(figures: Figures) -> str:
    """The table, and the versions under it."""
    lines = [HEADS, ("---",) * len(HEADS), *(row.cells() for row in rows(figures))]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    versions = "\n".join(f"- {words}" for words in dict.fromkeys(figures.versions.values()))
    loads = ", ".join(f"{load:.2f}" for load in figures.load_average)
    return f"{table}\n\n{versions}\n- load average of the machine when the run began: {loads}\n"


def write(figures: Figures, page: Path = PAGE) -> None:
    """Puts the table where the last one stood."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no place for the table: {BEGIN.strip()} … {END.strip()}")
    page.write_text(before + begin + markdown(figures) + end + after)
