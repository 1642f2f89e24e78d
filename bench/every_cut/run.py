"""Runs all cells of all captures: in shards, in processes, and on from where an earlier run stopped.

Rule: one job is one capture; what it came to is one line of the shard's file, which counts only for the same sources.
"""

import argparse
import hashlib
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

from bench.every_cut.broken import Breaker
from bench.every_cut.broken import places as broken_places
from bench.every_cut.captures import Capture
from bench.every_cut.cells import Cell, Player
from bench.every_cut.judge import Outcome

PROJECT = Path(__file__).resolve().parents[2]
VAR = PROJECT / "var" / "every-cut"
SOURCES = ("src/midstream/protocol", "src/midstream/recovery", "bench/every_cut")
"""What decides what a run comes to: what is checked, and the check."""

PROBLEMS_MAX = 20
"""So many kinds of one capture's problems are kept; all are counted."""


@dataclass(frozen=True)
class Job:
    """One capture, and where it is cut."""

    capture: Capture
    places: tuple[int, ...]
    broken: tuple[int, ...]
    key: str


@dataclass
class Result:
    """What one job came to."""

    key: str
    name: str
    wire: str
    places: int
    counts: dict[str, int]
    """Runs by ``fault mode upstream end``."""
    broken: dict[str, int]
    """Runs against an upstream that stays broken, likewise."""
    wrong: int
    problems: list[str]
    futures: int
    seconds: float
    """Of CPU time: the machine may be busy with other things."""


def share(text: str) -> float:
    """A share of the places, as ``1/1000`` or ``0.001``."""
    try:
        value = float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"a share is more than 0 and at most 1, as 1/1000 or 0.001, not {text!r}")
    return value


def shard(text: str) -> tuple[int, int]:
    """One of some shards, as ``1/2``."""
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"a shard is I/N with I from 1 to N, not {text!r}")
    return int(number), int(count)


def jobs(captures: list[Capture], *, share: float, shard: tuple[int, int], seed: int) -> list[Job]:
    """The work of one shard, the largest captures first."""
    by_size = sorted(captures, key=lambda capture: (-len(capture.body), capture.name))
    sources = _sources()
    return [_job(capture, share, seed, sources) for capture in by_size[shard[0] - 1 :: shard[1]]]


def _job(capture: Capture, share: float, seed: int, sources: str) -> Job:
    places, broken = capture.places(), broken_places(capture)
    if share < 1:
        random = Random(f"{seed} {capture.name}")
        places = sorted(random.sample(places, max(1, round(share * len(places)))))
        broken = sorted(random.sample(broken, max(1, round(share * len(broken)))))
    place = hashlib.sha256(json.dumps([places, broken, capture.sha256, sources]).encode())
    return Job(capture, tuple(places), tuple(broken), place.hexdigest()[:32])


def _sources() -> str:
    """A hash of `SOURCES`."""
    found = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((PROJECT / folder).rglob("*.py")):
            found.update(f"{path.relative_to(PROJECT)}\0".encode() + path.read_bytes())
    return found.hexdigest()


def results(jobs: list[Job], *, processes: int, name: str, fresh: bool) -> list[Result]:
    """What all jobs came to, those of earlier runs of this name included."""
    VAR.mkdir(parents=True, exist_ok=True)
    path = VAR / f"{name}.jsonl"
    known = {} if fresh else _known(path)
    done = [known[job.key] for job in jobs if job.key in known]
    left = [job for job in jobs if job.key not in known]
    with path.open("w") as file:
        for result in done:
            file.write(json.dumps(asdict(result)) + "\n")
        for result in _work(left, processes):
            file.write(json.dumps(asdict(result)) + "\n")
            file.flush()
            done.append(result)
            print(f"{len(done):4}/{len(jobs)} {_line(result)}", flush=True)
    return done


def _line(result: Result) -> str:
    runs = sum(result.counts.values())
    rate = runs / max(result.seconds, 1e-9)
    return f"{result.name[:60]:60} {runs:9,} runs {rate:7,.0f}/s  {result.wrong:,} wrong"


def _known(path: Path) -> dict[str, Result]:
    known: dict[str, Result] = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            row: dict[str, Any] = json.loads(line)
            known[row["key"]] = Result(**row)
        except (ValueError, KeyError, TypeError):
            continue  # a line that was cut off when the run was ended
    return known


def _work(jobs: list[Job], processes: int) -> Iterator[Result]:
    if processes == 1:
        yield from map(work, jobs)
        return
    with multiprocessing.Pool(processes) as pool:
        yield from pool.imap_unordered(work, jobs)


def work(job: Job) -> Result:
    """All cells of one capture."""
    began, player, tally = time.process_time(), Player(job.capture), Tally(job.capture.name)
    counts = tally.add(player.cells(list(job.places)), "")
    broken = tally.add(Breaker(job.capture).cells(list(job.broken)), " --broken")
    places, seconds = len(job.places), time.process_time() - began
    name, wire, problems = job.capture.name, job.capture.wire, list(tally.problems.values())[:PROBLEMS_MAX]
    return Result(job.key, name, wire, places, counts, broken, tally.wrong, problems, player.futures, seconds)


class Tally:
    """Counts, and one way to see each kind of problem again."""

    def __init__(self, name: str) -> None:
        self.wrong = 0
        self.problems: dict[object, str] = {}
        self._name = name

    def add(self, cells: Iterable[tuple[Cell, Outcome]], options: str) -> dict[str, int]:
        """Runs by ``fault mode upstream end``."""
        counts = Counter[str]()
        for cell, outcome in cells:
            counts[f"{cell.fault} {cell.mode} {cell.upstream} {outcome.end}"] += 1
            if outcome.problem is not None:
                self.wrong += 1
                kind = (outcome.end, cell.mode, outcome.problem[:40], options)
                self.problems.setdefault(kind, self._seen(cell, options, outcome.problem))
        return dict(counts)

    def _seen(self, cell: Cell, options: str, problem: str) -> str:
        again = f"--only {self._name} --at {cell.at} --fault {cell.fault} --mode {cell.mode} --upstream {cell.upstream}"
        return f"python -m bench.every_cut {again}{options} -v: {problem}"
