"""Everybody who is measured, and the rounds: in each, all of them one after the other.

Rule: a ratio is one of two figures of one run; the rounds go through everybody in turn, so that what else the machine
does falls on all of them, and the median of the rounds counts.
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

from bench.gateway import measure, servers
from bench.gateway.measure import Late, Load, Subject
from midstream.usual import COMPILED

NGINX, LITELLM = "nginx", "LiteLLM"
MEMORY, RELAXED, FULL = "midstream, no journal", "midstream, relaxed", "midstream, full sync"

STEPS_DOWN = (0.5, 0.25, 0.125)
"""Of the rate: what a server that cannot keep up is asked for next."""
SYNCS = 200


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rate: float = 30_000.0
    streams: int = 1000
    seconds: float = 8.0
    rounds: int = 5
    late_rate: float = 1000.0
    """Events a second for the times: far below what saturates anybody."""
    late_streams: int = 100


QUICK = Scale(rate=2000.0, streams=50, seconds=1.0, rounds=1, late_rate=500.0, late_streams=20)
"""Shows only that it runs."""


class Sync(NamedTuple):
    """What the disk takes for a write that must be on it, in milliseconds."""

    p50_ms: float
    p99_ms: float


@dataclass
class Figures:
    """What a run has brought, by name of who was measured."""

    versions: dict[str, str] = field(default_factory=dict)
    loads: dict[str, list[Load]] = field(default_factory=dict)
    idle_bytes: dict[str, list[float]] = field(default_factory=dict)
    lates: dict[str, list[Late]] = field(default_factory=dict)
    syncs: list[Sync] = field(default_factory=list)
    load_average: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of the machine, when it began: what others did meanwhile."""

    def us(self, name: str) -> float:
        """CPU for each event."""
        return median(load.us for load in self.loads[name])

    def idle(self, name: str) -> float:
        """Bytes for each silent stream."""
        return median(self.idle_bytes[name])

    def late(self, name: str) -> Late:
        """The round in the middle."""
        found = sorted(self.lates[name], key=lambda late: late.added_p99_ms)
        return found[len(found) // 2]

    def sync(self) -> Sync:
        """The round in the middle."""
        return sorted(self.syncs)[len(self.syncs) // 2]


def gateways() -> list[Subject]:
    """Ours, each way."""
    way = "compiled" if COMPILED else "plain Python"
    here = f"midstream {version('midstream')} ({way}), uvloop {_version('uvloop')}, httptools {version('httptools')}, "
    here += f"SQLite {sqlite3.sqlite_version}, CPython {sys.version.split()[0]} ({sys.version.rpartition('[')[2][:-1]})"
    arguments = {
        MEMORY: ("--journal", "memory"),
        RELAXED: ("--journal-sync", "relaxed"),
        FULL: ("--journal-sync", "full"),
    }
    return [Subject(name, _gateway(*given), here) for name, given in arguments.items()]


def _gateway(*arguments: str) -> measure.Start:
    return lambda port, folder: servers.gateway(*arguments, upstream=port)


def _version(package: str) -> str:
    try:
        return version(package)
    except ModuleNotFoundError:
        return "missing"


def others(nginx: str, litellm: str) -> list[Subject]:
    """The yardsticks. Raises `servers.Missing`."""
    nginx_path, nginx_version = servers.find_nginx(nginx)
    litellm_path, litellm_version = servers.find_litellm(litellm)
    return [
        Subject(NGINX, lambda port, folder: servers.nginx(nginx_path, port, folder), f"nginx {nginx_version}"),
        Subject(
            LITELLM, lambda port, folder: servers.litellm(litellm_path, port, folder), f"LiteLLM {litellm_version}"
        ),
    ]


def run(subjects: list[Subject], scale: Scale, tell: Callable[[str], None]) -> Figures:
    """All of it."""
    figures = Figures(load_average=os.getloadavg())
    figures.versions = {subject.name: subject.version for subject in subjects}
    subjects = [replace(subject, streams=scale.streams, rate=scale.rate) for subject in subjects]
    rates: dict[str, float] = {}
    for number in range(scale.rounds):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            load = _load(replace(subject, rate=rates.get(subject.name, subject.rate)), scale.seconds, tell)
            rates[subject.name] = load.rate
            figures.loads.setdefault(subject.name, []).append(load)
    for _ in range(min(scale.rounds, 3)):
        for subject in subjects:
            if subject.name != LITELLM:
                _round(subject, scale, figures, tell)
        figures.syncs.append(_sync())
    tell(f"disk: {figures.sync().p50_ms:.1f} ms, {figures.sync().p99_ms:.1f} ms in the worst hundredth")
    return figures


def _load(subject: Subject, seconds: float, tell: Callable[[str], None]) -> Load:
    """At its rate, or at the highest below that which it sustains; if it is none of these, saturated."""
    for rate in (subject.rate, *(subject.rate * share for share in STEPS_DOWN)):
        load = measure.load(replace(subject, rate=rate), seconds)
        saturated = ", saturated" if load.saturated else ""
        tell(f"{subject.name}: {load.us:.2f} µs an event, {load.per_s:,.0f} events/s{saturated}")
        if not load.saturated:
            break
    return load


def _round(subject: Subject, scale: Scale, figures: Figures, tell: Callable[[str], None]) -> None:
    """What is asked of everybody but LiteLLM: memory, and time."""
    idle_bytes = measure.idle_bytes(subject, scale.streams)
    late = measure.late(subject, scale.late_streams, scale.late_rate, scale.seconds)
    figures.idle_bytes.setdefault(subject.name, []).append(idle_bytes)
    figures.lates.setdefault(subject.name, []).append(late)
    tell(f"{subject.name}: {idle_bytes:,.0f} bytes a silent stream, {late.added_p99_ms:.2f} ms later (p99)")


def _sync() -> Sync:
    with TemporaryDirectory(prefix="bench-gateway-") as folder, (Path(folder) / "disk").open("wb", buffering=0) as file:
        took = sorted(_times_of_syncs(file.fileno()))
    return Sync(took[len(took) // 2] * 1e3, took[len(took) * 99 // 100] * 1e3)


def _times_of_syncs(descriptor: int) -> Iterator[float]:
    for _ in range(SYNCS):
        os.write(descriptor, b"\0" * 8192)
        begun_at = perf_counter()
        os.fdatasync(descriptor)
        yield perf_counter() - begun_at
