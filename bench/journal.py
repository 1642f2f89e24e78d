"""What the journal costs: CPU of the whole process for each event, and how long a record takes to its subscriber.

Rule: it compares within one run. Numbers of two runs, or two machines, say nothing about each other.

    python -m bench.journal [--seconds 5] [--streams 1000]

Every stream has one subscriber. The first row is the load itself: the same calls, into the void. The rows below it are
what a journal adds. *Row per append* is the SQLite journal without joining the records of a tick: with a record for
each stream in every third tick there is little to join; a burst is where it pays.

The second table is why there is no index: the same rows, 300 in a commit, in three layouts.
"""

import argparse
import asyncio
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from midstream.journal import live
from midstream.journal.memory import MemoryJournal
from midstream.journal.port import Journal, Kind, Record
from midstream.journal.sqlite import SqliteJournal

FRAME = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",' + (
    b'"text":" and on it goes"}}\nid: 1234\n\n'
)
"""An ordinary delta."""

LOADS = (6_000, 30_000)
"""Events a second: a busy gateway, and the load of the gateway's own benchmark."""

TURN_S = 0.002
"""How often the load appends: chunks of many streams become readable in one turn of a loop."""


class Cost(NamedTuple):
    """What one run took."""

    cpu_us: float
    """For each event, of the whole process."""
    p50_ms: float
    p99_ms: float
    """From append to subscriber."""
    rate: float
    """Events a second that were really appended."""


class Load:
    """Appends to streams at a rate and notes when subscribers are told."""

    def __init__(self, streams: int, rate: int, seconds: float) -> None:
        self._streams = streams
        self._rate = rate
        self._seconds = seconds
        self._waits: list[float] = []
        self._sent_at: list[float] = []
        self._reached = 0

    async def run(self, journal: Journal | None) -> Cost:
        """The cost of this load with a journal, or of the load alone."""
        dice = random.Random(1)
        appends = [self._append_alone] * self._streams if journal is None else self._open(journal)
        await asyncio.sleep(0.2)
        cpu, begun = time.process_time(), time.perf_counter()
        sent = 0
        while (passed := time.perf_counter() - begun) < self._seconds:
            for _ in range(int(passed * self._rate) - sent):
                dice.choice(appends)(Kind.SHOWN, FRAME, 1)
                sent += 1
            self._sent_at.append(time.perf_counter())
            await asyncio.sleep(TURN_S)
        await asyncio.sleep(0.05)
        cpu = time.process_time() - cpu
        waits = sorted(self._waits) or [0.0]
        return Cost(
            cpu / sent * 1e6, waits[len(waits) // 2] * 1e3, waits[len(waits) * 99 // 100] * 1e3, sent / self._seconds
        )

    def _open(self, journal: Journal) -> list[Callable[..., None]]:
        appends: list[Callable[..., None]] = []
        for n in range(self._streams):
            writer = journal.create(f"{n:05}", owner=b"o" * 32, key=b"%032d" % n, created_at=0.0, opening=b"{}" * 500)
            journal.subscribe(writer.id, self._told)
            appends.append(writer.append)
        probe = journal.create("probe", owner=b"", key=b"", created_at=0.0, opening=b"")
        journal.subscribe("probe", self._probed)
        self._probe = asyncio.ensure_future(self._probing(probe.append))
        return appends

    async def _probing(self, append: Callable[..., None]) -> None:
        end = time.perf_counter() + self._seconds
        while time.perf_counter() < end:
            append(Kind.SHOWN, repr(time.perf_counter()).encode().ljust(30), 1)
            await asyncio.sleep(0.0173)

    def _probed(self, records: Sequence[Record]) -> None:
        now = time.perf_counter()
        for record in records:
            for start in range(0, len(record.data), 30):
                self._waits.append(now - float(record.data[start : start + 30]))

    def _told(self, records: Sequence[Record]) -> None:
        for record in records:
            self._reached += len(record.data)

    def _append_alone(self, kind: Kind, data: bytes, count: int) -> None:
        self._reached += len(data)


@contextmanager
def row_per_append() -> Iterator[None]:
    """The SQLite journal without joining."""
    join = live.join
    live.join = list  # type: ignore[assignment]
    try:
        yield
    finally:
        live.join = join


async def cost(journal: Journal | None, streams: int, rate: int, seconds: float) -> Cost:
    """One run."""
    if journal is None:
        return await Load(streams, rate, seconds).run(None)
    await journal.start()
    try:
        return await Load(streams, rate, seconds).run(journal)
    finally:
        await journal.aclose()


def main() -> None:
    """Runs every row under every load and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.journal", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--streams", type=int, default=1_000)
    arguments = parser.parse_args()
    print(f"SQLite {sqlite3.sqlite_version}, {arguments.streams} streams, {len(FRAME)} bytes an event")
    print(f"{'':28}{'events/s':>10}{'µs CPU/event':>14}{'of journal':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for rate in LOADS:
        alone = 0.0
        for name, make, context in rows():
            with tempfile.TemporaryDirectory(dir=".") as folder, context():
                found = asyncio.run(cost(make(Path(folder) / "j"), arguments.streams, rate, arguments.seconds))
            alone = alone or found.cpu_us
            added = found.cpu_us - alone
            print(
                f"{name:28}{found.rate:10,.0f}{found.cpu_us:14.2f}{added:12.2f}{found.p50_ms:9.2f}{found.p99_ms:9.2f}"
            )
    print_layouts(arguments.streams)


COLUMNS = "row INTEGER PRIMARY KEY, stream, prev, far, kind, first, count, size_bytes, data"
LAYOUTS = {
    "by arrival (ours)": f"CREATE TABLE records ({COLUMNS})",
    "and an index by stream": f"CREATE TABLE records ({COLUMNS}); CREATE INDEX by_stream ON records (stream)",
    "clustered by stream": "CREATE TABLE records (row, stream, prev, far, kind, first, count, size_bytes, data,"
    " PRIMARY KEY (stream, row)) WITHOUT ROWID",
}


def layout(path: Path, script: str, streams: int, commits: int = 200, size: int = 300) -> tuple[float, float]:
    """The writer's CPU µs for each row, and the bytes of log for each byte of data."""
    dice = random.Random(1)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; {script}")
    row = 0
    cpu = time.thread_time()
    for _ in range(commits):
        connection.execute("BEGIN")
        for _ in range(size):
            row += 1
            values = (row, dice.randrange(streams), row, row, 5, row, 1, row, FRAME)
            connection.execute("INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?)", values)
        connection.execute("COMMIT")
    cpu = time.thread_time() - cpu
    log_bytes = os.stat(f"{path}-wal").st_size
    connection.close()
    return cpu / row * 1e6, log_bytes / (row * len(FRAME))


def print_layouts(streams: int) -> None:
    """The second table."""
    print(f"\n{'300 rows in a commit':28}{'µs CPU/row':>12}{'log bytes for each byte':>26}")
    for name, script in LAYOUTS.items():
        with tempfile.TemporaryDirectory(dir=".") as folder:
            cpu_us, log = layout(Path(folder) / "db", script, streams)
        print(f"{name:28}{cpu_us:12.2f}{log:26.1f}")


def rows() -> list[tuple[str, Callable[[Path], Journal | None], Callable[[], object]]]:
    """Name, journal, and under what."""
    return [
        ("the load alone", lambda path: None, nullcontext),
        ("memory", lambda path: MemoryJournal(), nullcontext),
        ("sqlite full", lambda path: SqliteJournal(path), nullcontext),
        ("sqlite full, row per append", lambda path: SqliteJournal(path), row_per_append),
        ("sqlite relaxed", lambda path: SqliteJournal(path, sync="relaxed"), nullcontext),
        ("sqlite none", lambda path: SqliteJournal(path, sync="none"), nullcontext),
    ]


if __name__ == "__main__":
    main()
