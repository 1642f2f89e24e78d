"""``python -m simulation``: lives through many worlds, and says what became of them.

Rule: a failure prints its seed and how to see it again; a run that never met something it should have is a failure too.
"""

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from simulation.checkers import Violation
from simulation.faults import CUTS, FRAME_CUTS
from simulation.invariants import Outcome
from simulation.world import World

BLOCK = 500
"""So many seeds are one job: a second's work."""
COVERED_FROM = 5_000
"""From so many seeds on, everything below must have happened."""
FAILURES_SHOWN = 20
EXPECTED: dict[str, frozenset[str]] = {
    "ending": frozenset({"complete", "failed", "settled", "stop added", "stopped at max_tokens", "closed early"}),
    "failure": frozenset(
        "truncated disconnected silent stalled unreachable overloaded rate_limited server_error timed_out rejected "
        "garbled limit".split()
    ),
    "plan": frozenset({"restart", "continue", "none", "settle", "after refused prefix", "after refused turn"})
    | {"adopted restart", "adopted continue", "adopted none"},
    "form": frozenset({"whole", "prefix", "turn", "quote"}),
    "seam": frozenset({"prefix", "element", "anchor", "restart", "none", "tags"}),
    "flow": frozenset({"taken", "left"}),
    "fault": frozenset({*CUTS, *FRAME_CUTS, "none", "unreachable", "HTTP", "open timeout", "refused"})
    | {"page 200", "json 200", "error 200", "empty 200", "lost before the headers"},
}
"""What a long run must have met."""


@dataclass
class Tally:
    """What many worlds came to."""

    seeds: int = 0
    steps: int = 0
    met: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in EXPECTED})
    failures: list[tuple[int, str]] = field(default_factory=list)

    def note(self, outcome: Outcome) -> None:
        """One world more."""
        self.seeds += 1
        self.steps += outcome.steps
        met = self.met
        met["ending"][outcome.ending] += 1
        if outcome.failure:
            met["failure"][outcome.failure] += 1
        met["plan"].update(outcome.plans)
        met["form"].update(outcome.forms)
        met["seam"].update(outcome.seams)
        met["flow"].update(outcome.flow)
        met["fault"].update(fault_family(fault) for fault in outcome.faults)

    def add(self, other: "Tally") -> None:
        """What another process found."""
        self.seeds += other.seeds
        self.steps += other.steps
        for name, counts in other.met.items():
            self.met[name] += counts
        self.failures += other.failures

    def never(self) -> list[str]:
        """What should have happened, and did not."""
        return [f"{name}: {what}" for name, all in EXPECTED.items() for what in sorted(all - self.met[name].keys())]


def fault_family(fault: str) -> str:
    """The name of a fault without what it was drawn with."""
    name = fault.partition(":")[0]
    if name.startswith("HTTP"):
        return "HTTP"
    return {"error event": "error"}.get(name, name)


def live_through(first: int, count: int) -> Tally:
    """Some worlds in a row."""
    tally = Tally()
    for seed in range(first, first + count):
        world = World(seed)
        try:
            tally.note(world.run())
        except Violation as violation:
            tally.seeds += 1
            tally.failures.append((seed, str(violation)))
        except Exception as problem:  # the simulation's own mistake: it has a seed too
            tally.seeds += 1
            tally.failures.append((seed, f"the simulation itself: {problem!r}"))
    return tally


def tell(seed: int, trace: bool) -> int:
    """One world, with its story."""
    world = World(seed, trace=trace)
    try:
        outcome = world.run()
    except Violation as violation:
        _print_story(world)
        print(f"seed {seed}: {violation}")
        return 1
    _print_story(world)
    print(f"seed {seed}: {outcome.ending} after {world.opens} attempts ({', '.join(outcome.faults)})")
    return 0


def _print_story(world: World) -> None:
    for line in world.story or ():
        print(line)


def run_many(first: int, count: int, jobs: int) -> int:
    """Many worlds, in one process or more."""
    tally = Tally()
    blocks = [(at, min(BLOCK, first + count - at)) for at in range(first, first + count, BLOCK)]
    if jobs == 1:
        for at, size in blocks:
            _took(tally, live_through(at, size), count)
    else:
        with ProcessPoolExecutor(jobs) as pool:
            for done in as_completed([pool.submit(live_through, at, size) for at, size in blocks]):
                _took(tally, done.result(), count)
    return _sum_up(tally)


def _took(tally: Tally, part: Tally, count: int) -> None:
    tally.add(part)
    for seed, violation in part.failures:
        print(f"\nFAILED seed {seed}: {violation}\n  again: python -m simulation --seed {seed} --trace", flush=True)
    if sys.stdout.isatty() or tally.seeds % (100 * BLOCK) == 0:
        print(f"{tally.seeds:,} of {count:,} seeds, {len(tally.failures)} failed", flush=True)


def _sum_up(tally: Tally) -> int:
    print(f"{tally.seeds:,} seeds, {tally.steps:,} steps, every invariant checked after each")
    for name, counts in tally.met.items():
        print(f"  {name:8}" + ", ".join(f"{what} {n:,}" for what, n in counts.most_common()))
    status = 0
    if tally.failures:
        print(
            f"{len(tally.failures)} seeds FAILED: {', '.join(str(seed) for seed, _ in tally.failures[:FAILURES_SHOWN])}"
        )
        status = 1
    if tally.seeds >= COVERED_FROM and (never := tally.never()):
        print(f"NEVER MET: {'; '.join(never)}")
        status = 1
    return status


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", "--runs", type=int, default=20_000, help="how many worlds (default 20,000)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--start", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--trace", action="store_true", help="with --seed: tell its story")
    given = parser.parse_args()
    if given.seeds < 1 or given.jobs < 1 or given.start < 0:
        parser.error("--seeds and --jobs must be at least 1, --start at least 0")
    if given.seed is not None:
        return tell(given.seed, given.trace)
    return run_many(given.start, given.seeds, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
