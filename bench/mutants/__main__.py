"""That the checks can fail: named mutations of the code, each of which turns its check red (``make mutants``).

Rule: exit status 1 says that a mutant survived, or that it could not be told: that its check is not green without it,
fails for a reason of its own, hangs, or that the text to replace is gone.
"""

import argparse
import json
import os
import queue
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from bench.mutants import check
from bench.mutants.catalogue import MUTANTS
from bench.mutants.check import Result, Verdict
from bench.mutants.mutant import HOLDS, Mutant, Unfit
from bench.mutants.trees import ROOT, Tree

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Row:
    """One mutant before one check."""

    name: str
    point: int
    breaks: str
    check: str
    verdict: str
    well: bool
    why: str
    seconds: float


class Trees:
    """As many copies as there are workers; each job has one for itself."""

    def __init__(self, home: Path, count: int) -> None:
        self._free = queue.SimpleQueue[Tree]()
        self.count = count
        for number in range(count):
            self._free.put(Tree(home / str(number)))

    def each(self, job: Callable[[T, Tree], R], inputs: Iterable[T]) -> Iterator[R]:
        """What the job makes of each input, as soon as it is known."""

        def alone(input: T) -> R:
            tree = self._free.get()
            try:
                return job(input, tree)
            finally:
                self._free.put(tree)

        with ThreadPoolExecutor(self.count) as pool:
            for done in as_completed([pool.submit(alone, input) for input in inputs]):
                yield done.result()


def judged(mutant: Mutant, name: str, before: Result, after: Result | Unfit) -> Row:
    """What a run of a check says about a mutant, given how it ends without the mutant."""
    if isinstance(after, Unfit):
        said, well, why, seconds = "UNFIT(!)", False, str(after), 0.0
    elif before.verdict is Verdict.SKIPPED and os.environ.get("CI") != "true":
        said, well, why, seconds = "skipped", True, before.why, before.seconds
    elif before.verdict is not Verdict.GREEN:
        said, well, why, seconds = f"{before.verdict} BEFORE(!)", False, before.why, before.seconds
    elif after.verdict is Verdict.RED:
        said, well, why, seconds = "red", True, after.why, after.seconds
    else:
        said, well, why, seconds = f"{after.verdict}(!)".upper(), False, after.why, after.seconds
    return Row(mutant.name, mutant.point, mutant.breaks, name, said, well, why, round(seconds, 1))


def play(mutants: Sequence[Mutant], jobs: int, tell: Callable[[Row], None]) -> list[Row]:
    """Each check without any mutant, then each mutant before its checks."""
    with tempfile.TemporaryDirectory(prefix="midstream-mutants-") as home:
        trees, began = Trees(Path(home), jobs), time.monotonic()
        names = list(dict.fromkeys(name for mutant in mutants for name in mutant.checks))
        before = dict(trees.each(lambda name, tree: (name, check.run(name, tree)), names))
        green = sum(result.verdict is Verdict.GREEN for result in before.values())
        print(
            f"without a mutant: {green} of {len(names)} checks green, {time.monotonic() - began:.0f} s", file=sys.stderr
        )
        rows: list[Row] = []
        for found in trees.each(lambda mutant, tree: live(mutant, tree, before), mutants):
            for row in found:
                tell(row)
            rows += found
    return rows


def live(mutant: Mutant, tree: Tree, before: Mapping[str, Result]) -> list[Row]:
    """One mutant before its checks; those that are not green without it are not asked."""
    rows = []
    for name in mutant.checks:
        after: Result | Unfit = before[name]
        if before[name].verdict is Verdict.GREEN:
            try:
                with tree.mutated(mutant):
                    after = check.run(name, tree)
            except Unfit as unfit:
                after = unfit
        rows.append(judged(mutant, name, before[name], after))
    return rows


def show(row: Row) -> None:
    """Two lines for each row: what it is and what became of it; how that was seen."""
    print(f"{row.verdict:12} {row.seconds:6.1f} s  {row.name:34} {row.breaks}")
    print(f"{'':23}{row.check}\n{'':23}{row.why}", flush=True)


def sum_up(rows: list[Row], seconds: float) -> None:
    """How many of each point were seen, and what was not."""
    print()
    for point, holds in HOLDS.items():
        mine = [row for row in rows if row.point == point]
        if mine:
            red = sum(row.verdict == "red" for row in mine)
            print(f"{red:3} of {len(mine):2} seen: {point}. {holds}")
    names = {row.name for row in rows}
    lost = sorted({row.name for row in rows if not row.well})
    skipped = {row.name for row in rows if row.verdict == "skipped"}
    said = (
        f"not shown to be seen: {', '.join(lost)}"
        if lost
        else f"every check{' that was run' if skipped else ''} can fail"
    )
    more = f", {len(skipped)} of them skipped" if skipped else ""
    print(f"{len(names)} mutants{more} in {seconds:.0f} s: {said}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", metavar="NAME", default="", help="only the mutants whose name begins like this")
    parser.add_argument("--quick", action="store_true", help="a small share, each before its first check only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="copies to work in")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args(arguments)
    chosen = [mutant for mutant in MUTANTS if mutant.name.startswith(asked.only)]
    if asked.quick:
        chosen = [replace(mutant, checks=mutant.checks[:1]) for mutant in chosen if mutant.quick]
    if not chosen:
        parser.error(f"no mutant's name begins with {asked.only!r}")
    if asked.jobs < 1:
        parser.error("--jobs must be at least 1")
    if asked.list:
        return listed(chosen, as_json=asked.json)
    began = time.monotonic()
    rows = play(chosen, min(asked.jobs, len(chosen)), (lambda row: None) if asked.json else show)
    if asked.json:
        print(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1))
    else:
        sum_up(rows, time.monotonic() - began)
    return 0 if all(row.well for row in rows) else 1


def listed(chosen: Sequence[Mutant], *, as_json: bool) -> int:
    """The list, and whether each mutant could be applied."""
    unfit = []
    for mutant in chosen:
        try:
            mutant.applied((ROOT / mutant.path).read_text(encoding="utf-8"))
        except (OSError, Unfit) as found:
            unfit.append(str(found))
    if as_json:
        print(json.dumps([asdict(mutant) for mutant in chosen], ensure_ascii=False, indent=1))
    else:
        for mutant in chosen:
            print(f"{mutant.point}  {mutant.name:34} {mutant.breaks}")
    for problem in unfit:
        print(problem, file=sys.stderr)
    return 1 if unfit else 0


if __name__ == "__main__":
    sys.exit(main())
