"""The table at the end: captures × places × faults × models × upstreams × ends.

Rule: a cell that the captures must fill and that is empty is as wrong as a wrong message: nothing was checked there.
"""

import json
from collections import Counter

from bench.every_cut import oracle
from bench.every_cut.cells import MODES, UPSTREAMS
from bench.every_cut.inputs import FAULTS
from bench.every_cut.run import VAR, Result

_GOOD = (oracle.COMPLETE, oracle.RESTARTED, oracle.CONTINUED, oracle.SETTLED)
EXPECTED = {
    "sse": (*_GOOD, "container", "fallback", "mcp"),
    "bedrock": _GOOD,
}
"""The ends that the captures hold, for every fault, model and upstream. None of them has calls of a program's, stops
for a compaction or is garbled by itself: those are left to the simulation."""


def report(results: list[Result], *, name: str, whole: bool) -> int:
    """Prints it, writes it down as JSON, and says how the command ends."""
    tables = {wire: _counts(results, wire) for wire in FAULTS}
    for wire, counts in tables.items():
        if counts:
            _print(wire, results, counts)
    empty = [" ".join(cell) for cell in _empty(tables)] if whole else []
    wrong = sum(result.wrong for result in results)
    broken = Counter[str]()
    for result in results:
        for line, count in result.broken.items():
            broken[line.split()[-1]] += count
    runs = sum(sum(counts.values()) for counts in tables.values())
    futures, seconds = sum(result.futures for result in results), sum(result.seconds for result in results)
    print(f"\n{len(results):,} captures, {sum(result.places for result in results):,} places, {runs:,} runs")
    print(f"{futures:,} continuations played, {runs / max(seconds, 1e-9):,.0f} runs a second of each process")
    ends = ", ".join(f"{count:,} {end}" for end, count in sorted(broken.items()))
    print(f"against an upstream that stays broken: {sum(broken.values()):,} runs: {ends}")
    print(f"{wrong:,} wrong, {len(empty)} expected cells empty")
    for problem in [problem for result in results for problem in result.problems][:50]:
        print(f"  {problem[:600]}")
    for cell in empty:
        print(f"  empty: {cell}")
    document = _document(results, tables, broken, wrong, empty)
    (VAR / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    return 1 if wrong or empty else 0


def _counts(results: list[Result], wire: str) -> Counter[tuple[str, ...]]:
    counts = Counter[tuple[str, ...]]()
    for result in results:
        if result.wire == wire:
            for line, count in result.counts.items():
                counts[tuple(line.split())] += count
    return counts


def _empty(tables: dict[str, Counter[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    return [
        (wire, fault, mode, upstream, end)
        for wire, ends in EXPECTED.items()
        for fault in FAULTS[wire]
        for mode in MODES
        for upstream in UPSTREAMS
        for end in ends
        if not tables[wire][fault, mode, upstream, end]
    ]


def _print(wire: str, results: list[Result], counts: Counter[tuple[str, ...]]) -> None:
    captures = [result for result in results if result.wire == wire]
    ends = [end for end in (*_GOOD, *oracle.GAVE_UP) if any(key[-1] == end for key in counts)]
    print(f"\n{wire}: {len(captures)} captures, {sum(result.places for result in captures):,} places")
    print(f"{'fault':12}{'model':8}{'upstream':10}" + "".join(f"{end:>12}" for end in ends))
    for fault in FAULTS[wire]:
        for mode in MODES:
            for upstream in UPSTREAMS:
                cells = "".join(f"{counts[fault, mode, upstream, end]:12,}" for end in ends)
                print(f"{fault:12}{mode:8}{upstream:10}{cells}")


def _document(
    results: list[Result],
    tables: dict[str, Counter[tuple[str, ...]]],
    broken: Counter[str],
    wrong: int,
    empty: list[str],
) -> dict[str, object]:
    return {
        "captures": len(results),
        "places": sum(result.places for result in results),
        "runs": {
            wire: {" ".join(key): count for key, count in sorted(table.items())} for wire, table in tables.items()
        },
        "broken": dict(sorted(broken.items())),
        "continuations_played": sum(result.futures for result in results),
        "wrong": wrong,
        "empty": empty,
    }
