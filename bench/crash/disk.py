"""What stands on the disk after a kill: which streams, and a last write that was torn.

Rule: reads a copy, with SQLite alone; the journal itself is only ever changed as a crash could have changed it.
"""

import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

_OPENED, _ATTEMPT, _ENDED = 1, 3, 6
"""Kinds of records."""

_KEY = re.compile(rb"x-midstream-key.{1,3}(c\d{5})", re.DOTALL)
"""Which client a stream was made for: the header stands in its first record."""

_WAL_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24


@dataclass
class Stored:
    """What the journal holds of one stream."""

    id: str
    client: str
    attempts: int = 0
    offset: int = 0
    epoch: int = 0
    outcome: str = ""
    """How it ended."""

    @property
    def ended(self) -> bool:
        """It is not open."""
        return bool(self.outcome)


@dataclass
class Disk:
    """The streams that the journal holds."""

    streams: list[Stored] = field(default_factory=list)

    def of(self, client: str) -> list[Stored]:
        """Those of one client."""
        return [stream for stream in self.streams if stream.client == client]


def look(journal: Path, log_bytes: int | None = None) -> Disk:
    """What a process that opens the journal now will find. Its files stay as they are.

    ``log_bytes``: what it would find if the log ended there.
    """
    if not journal.exists():
        return Disk()
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        copy = Path(folder) / "copy"
        for suffix in ("", "-wal"):
            if (part := journal.with_name(journal.name + suffix)).exists():
                shutil.copyfile(part, copy.with_name("copy" + suffix))
        if log_bytes is not None:
            os.truncate(copy.with_name("copy-wal"), log_bytes)
        connection = sqlite3.connect(copy)
        try:
            return _read(connection)
        finally:
            connection.close()


def _read(connection: sqlite3.Connection) -> Disk:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone():
        return Disk()
    names = {no: (id, epoch) for no, id, epoch in connection.execute("SELECT no, id, epoch FROM streams")}
    found: dict[int, Stored] = {}
    for no, kind, first, count, data in connection.execute("SELECT stream, kind, first, count, data FROM records"):
        if no not in names:
            continue
        if kind == _OPENED:
            key = _KEY.search(data)
            found[no] = Stored(names[no][0], key[1].decode() if key else "", epoch=names[no][1])
        elif no in found:
            stream = found[no]
            stream.attempts += kind == _ATTEMPT
            if kind == _ENDED:
                stream.outcome = str(json.loads(data)["outcome"])
            stream.offset = max(stream.offset, first + count - 1)
    return Disk(list(found.values()))


@dataclass(frozen=True)
class Log:
    """The write-ahead log, as SQLite's documentation of its format has it."""

    size_bytes: int
    committed_bytes: int
    """Up to the last frame that ends a transaction."""
    before_bytes: int
    """Up to the one before it."""
    tail_bytes: int
    """Written after it, for a transaction that did not end."""
    page_bytes: int
    salts: bytes


def log_of(journal: Path) -> Log | None:
    """The log beside a journal; ``None`` where there is none."""
    path = journal.with_name(journal.name + "-wal")
    data = path.read_bytes() if path.exists() else b""
    if len(data) < _WAL_HEADER_BYTES:
        return None
    page_bytes, salts = int.from_bytes(data[8:12], "big"), data[16:24]
    at = committed = before = _WAL_HEADER_BYTES
    while data[at + 8 : at + 16] == salts:
        ends = int.from_bytes(data[at + 4 : at + 8], "big") > 0
        at = min(at + _FRAME_HEADER_BYTES + page_bytes, len(data))
        whole = (at - _WAL_HEADER_BYTES) % (_FRAME_HEADER_BYTES + page_bytes) == 0
        before, committed = (committed, at) if ends and whole else (before, committed)
    return Log(len(data), committed, before, at - committed, page_bytes, salts)


def moved_bytes(journal: Path, log: Log) -> int:
    """How much of the log stands in the database already: what was moved there had been on the disk before."""
    shared = journal.with_name(journal.name + "-shm")
    frames = int.from_bytes(shared.read_bytes()[96:100], sys.byteorder) if shared.exists() else 0
    return _WAL_HEADER_BYTES + frames * (_FRAME_HEADER_BYTES + log.page_bytes)


def tear_last(journal: Path, log: Log, dice: Random) -> None:
    """Cuts the last transaction short, as if the disk had not been done with it. Only for one that nobody was told of.

    What the log held behind it is of an earlier time, and goes too.
    """
    os.truncate(journal.with_name(journal.name + "-wal"), dice.randrange(log.before_bytes, log.committed_bytes))


TEARS = ("garbage", "half a frame", "cut off")


def tear(journal: Path, dice: Random) -> str:
    """Does to the log's end what a crash of the machine may do to a transaction that had not ended; says what."""
    log = log_of(journal)
    if log is None:
        return "no log"
    how = dice.choice(TEARS)
    with journal.with_name(journal.name + "-wal").open("r+b") as file:
        if how == "garbage":
            file.seek(0, 2)
            file.write(dice.randbytes(dice.randint(1, 2 * log.page_bytes)))
        elif how == "half a frame":
            # Over what stands behind the last transaction, as the next one would have been written.
            file.seek(log.committed_bytes)
            header = dice.randint(1, 9).to_bytes(4, "big") + dice.choice((0, 9)).to_bytes(4, "big") + log.salts
            file.write((header + dice.randbytes(8 + log.page_bytes))[: dice.randint(1, log.page_bytes)])
        elif log.tail_bytes:
            file.truncate(log.committed_bytes + dice.randrange(log.tail_bytes))
        else:
            return "nothing to cut off"
    return how
