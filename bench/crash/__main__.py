"""Kills a gateway at drawn moments, with streams running: ``python -m bench.crash --kills 200`` (``--help``).

Rule: exit status 1 says that somebody did not get what the contract promises; a seed draws the same moments again.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence

from bench.crash.session import Run

KILLS_PER_SESSION = 25
"""Then a new journal is begun, and the credentials are held by the other side."""

LIMITS = (16, 16, 16, 3)
"""``attempts_total`` of one session after another: as delivered, and one that a crash loop reaches."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = _parser().parse_args(arguments)
    counts, problems, began = Counter[str](), list[str](), time.monotonic()
    for run in _runs(options):
        asyncio.run(run.run())
        counts += run.counts
        problems += run.problems
        side = "gateway" if run.own else "clients"
        told = f"{_kills(counts)} kills so far, {counts['streams']} streams, {len(problems)} wrong"
        print(
            f"session {run.seed}: credentials of the {side}, {run.attempts_total} attempts;"
            f" {told}, {time.monotonic() - began:.0f} s",
            flush=True,
        )
        for problem in run.problems:
            print(f"  WRONG {problem}", flush=True)
    _tell(counts, problems, options.seed)
    return 1 if problems else 0


def _runs(options: argparse.Namespace) -> list[Run]:
    sizes = _sizes(options.kills, min(KILLS_PER_SESSION, max(1, options.kills // 2)))
    runs = [
        Run(f"{options.seed}.{n}", kills, options.streams, own=n % 2 == 1, attempts_total=LIMITS[n // 2 % len(LIMITS)])
        for n, kills in enumerate(sizes)
    ]
    return [run for n, run in enumerate(runs) if options.session in (None, n)]


def _sizes(kills: int, most: int) -> list[int]:
    return [min(most, kills - at) for at in range(0, kills, most)]


def _kills(counts: Counter[str]) -> int:
    return sum(number for name, number in counts.items() if name.startswith("kill: "))


def _tell(counts: Counter[str], problems: list[str], seed: str) -> None:
    print(f"{'kills':64}{_kills(counts):8,}")
    for name, number in sorted(counts.items()):
        print(f"  {name:62}{number:8,}")
    print(f"{len(problems)} wrong; drawn from seed {seed}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.crash", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="how often (default 200)")
    parser.add_argument("--seed", default="1", metavar="S", help="for every draw (default 1)")
    parser.add_argument("--streams", type=int, default=30, metavar="N", help="at a time (default 30)")
    parser.add_argument("--session", type=int, metavar="N", help="only this session of those that the seed draws")
    return parser


if __name__ == "__main__":
    sys.exit(main())
