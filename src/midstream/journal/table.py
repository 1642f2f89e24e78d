"""What is asked of the SQLite journal's tables: blocking functions over a connection.

Rule: a function here is one transaction, or part of the caller's; none keeps anything in memory.
"""

import sqlite3
import struct
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from midstream.journal.port import Info, Kind, Record
from midstream.journal.records import page

Value = int | bytes

_WIDTH = 9
"""Columns of `records`."""

_INSERT = "INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?)"
_INSERTS = [(rows, _INSERT + ",(?,?,?,?,?,?,?,?,?)" * (rows - 1)) for rows in (256, 64, 16, 4, 1)]
"""Many rows in one statement. Between statements the interpreter may hand its lock to the event loop and wait for it to
come back, so that few statements are worth more than their own cost."""

_COLUMNS = "no, id, owner, key, created_at, epoch, ended_at, lossy, last_row, offset, size_bytes"


class Stored(msgspec.Struct, frozen=True):
    """A row of `streams`."""

    no: int
    id: str
    owner: bytes
    key: bytes
    created_at: float
    epoch: int
    ended_at: float | None
    lossy: int
    last_row: int
    offset: int
    size_bytes: int

    @property
    def info(self) -> Info:
        """As consumers of the port see it."""
        ended = self.ended_at is not None
        lossy = bool(self.lossy)
        return Info(
            self.id, self.owner, self.key, self.created_at, self.epoch, ended, self.offset, self.size_bytes, lossy
        )


class Work(msgspec.Struct):
    """What one transaction writes."""

    opened: list[tuple[int, str, bytes, bytes, float, int, int, int]] = []
    """no, id, owner, key, created_at, epoch, first row, last row"""
    values: list[Value] = []
    """Of rows of `records`, one after the other."""
    adopted: list[tuple[int, int]] = []
    """epoch, no"""
    ended: list[tuple[float | None, int, int, int, int, int]] = []
    """ended_at, lossy, last row, offset, size_bytes, no: also of streams that lost something and go on"""
    landmark: tuple[int, bytes] | None = None

    @property
    def rows(self) -> int:
        """How many of `records`."""
        return len(self.values) // _WIDTH


def write(connection: sqlite3.Connection, work: Work) -> None:
    """Stores it all, or nothing, and is durable afterwards. Raises `sqlite3.Error`."""
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    try:
        if work.opened:
            connection.executemany(
                "INSERT INTO streams VALUES (?,?,?,?,?,?,NULL,0,?,?,0,0) ON CONFLICT (id) DO NOTHING", work.opened
            )
        values, start = work.values, 0
        for rows, insert in _INSERTS:
            while len(values) - start >= rows * _WIDTH:
                execute(insert, values[start : start + rows * _WIDTH])
                start += rows * _WIDTH
        if work.adopted:
            connection.executemany("UPDATE streams SET epoch = ? WHERE no = ?", work.adopted)
        if work.ended:
            connection.executemany(
                "UPDATE streams SET ended_at = ?, lossy = ?, last_row = ?, offset = ?, size_bytes = ? WHERE no = ?",
                work.ended,
            )
        if work.landmark is not None:
            execute("INSERT OR REPLACE INTO landmark VALUES (1, ?, ?)", work.landmark)
        execute("COMMIT")
    except sqlite3.Error:
        # SQLite has rolled back by itself after some errors, and not after others.
        if connection.in_transaction:
            execute("ROLLBACK")
        raise


def find(connection: sqlite3.Connection, id: str) -> Stored | None:
    """The stream of this id."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM streams WHERE id = ?", (id,)).fetchone()
    return row and Stored(*row)


def find_key(connection: sqlite3.Connection, key: bytes, limit: int) -> list[Stored]:
    """The streams under this key, newest first."""
    sql = f"SELECT {_COLUMNS} FROM streams WHERE key = ? ORDER BY no DESC LIMIT ?"
    return [Stored(*row) for row in connection.execute(sql, (key, limit))]


def running(connection: sqlite3.Connection) -> list[Stored]:
    """The streams that have not ended and have lost nothing, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM streams WHERE ended_at IS NULL AND lossy = 0 ORDER BY no"
    return [Stored(*row) for row in connection.execute(sql)]


_FAR = """
WITH RECURSIVE walk (row, far, first) AS (
    SELECT row, far, first FROM records WHERE row = ?1
    UNION ALL
    SELECT r.row, r.far, r.first FROM walk JOIN records AS r ON r.row = walk.far WHERE walk.first > ?2
)
SELECT row FROM walk
"""
"""From the last row back in wide steps, up to the first one that begins at or before a frame."""

_NEAR = """
WITH RECURSIVE walk (row, prev, first) AS (
    SELECT row, prev, first FROM records WHERE row = ?1
    UNION ALL
    SELECT r.row, r.prev, r.first FROM walk JOIN records AS r ON r.row = walk.prev
    WHERE walk.prev > ?2 AND walk.first > ?3
)
SELECT row FROM walk
"""
"""The rows of one wide step, the last one first. The data is read of those that are taken only."""

_ROW = "SELECT kind, data, first, count FROM records WHERE row = ?"


def records(connection: sqlite3.Connection, last_row: int, after: int) -> Iterator[Record]:
    """The records of a stream in order, from one at or before frame ``after + 1`` on. In the caller's transaction."""
    frame = after + 1
    stops = [row for (row,) in connection.execute(_FAR, (last_row, frame))]
    # The oldest stop itself belongs to the first step.
    low = stops[-1] - 1 if stops else 0
    for high in reversed(stops if len(stops) == 1 else stops[:-1]):
        for row in reversed(connection.execute(_NEAR, (high, low, frame)).fetchall()):
            kind, data, first, count = connection.execute(_ROW, row).fetchone()
            yield Record(Kind(kind), data, first if count else 0, count)
        low = high


def read_page(connection: sqlite3.Connection, last_row: int, after: int, bytes_max: int) -> list[Record]:
    """See `Journal.read`."""
    connection.execute("BEGIN")
    try:
        return page(records(connection, last_row, after), after, bytes_max)
    finally:
        connection.execute("COMMIT")


def read_all(connection: sqlite3.Connection, last_row: int) -> list[Record]:
    """Every record of a stream."""
    connection.execute("BEGIN")
    try:
        return list(records(connection, last_row, -1))
    finally:
        connection.execute("COMMIT")


def read_stream(connection: sqlite3.Connection, id: str, after: int, bytes_max: int) -> list[Record]:
    """`read_page` of a stream that nobody writes to."""
    stored = find(connection, id)
    return read_page(connection, stored.last_row, after, bytes_max) if stored else []


def read_all_stream(connection: sqlite3.Connection, id: str) -> list[Record]:
    """`read_all` of a stream that nobody writes to."""
    stored = find(connection, id)
    return read_all(connection, stored.last_row) if stored else []


def pack_heads(heads: Iterable[tuple[int, int]]) -> bytes:
    """Stream numbers and last rows, for `landmark`."""
    numbers = list(chain.from_iterable(heads))
    return struct.pack(f"<{len(numbers)}q", *numbers)


def unpack_heads(data: bytes) -> dict[int, int]:
    """The same back."""
    numbers = struct.unpack(f"<{len(data) // 8}q", data)
    return dict(zip(numbers[::2], numbers[1::2], strict=True))
