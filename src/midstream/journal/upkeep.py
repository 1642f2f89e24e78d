"""What is done to the SQLite journal beside writing and reading: recovery at the start, removal, checkpoints.

Rule: each function is one short transaction, so that the commits of running streams are never kept waiting.

Expired streams are removed in two steps. Their rows of `streams` go at once, and with them every way to the contents.
Their rows of `records` follow in steps, in the order in which they lie: a page that is emptied as a whole costs one
write, one that is emptied row by row costs one for each. Freed pages are used again: the file does not shrink, and does
not grow beyond the most that it ever held.
"""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from midstream.journal import table

T = TypeVar("T")

PURGED_ROWS = 2_000
"""Rows looked at in one step of removal: some milliseconds, less than a tick."""

WAL_BYTES_IDLE = 4 << 20
"""From this size of the write-ahead log on, it is checkpointed beside the writer."""

WAL_BYTES_MAX = 32 << 20
"""From this size on, the writer finishes a checkpoint itself: under steady load the one beside it never catches up,
and the log would grow for ever. Most pages are in place by then, so that it has little left to do."""


def _transaction(connection: sqlite3.Connection, work: Callable[[], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work()
        connection.execute("COMMIT")
        return result
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def recover(connection: sqlite3.Connection, suspect_at: float | None) -> tuple[int, int]:
    """Finds the last row of every stream that was running; gives the numbers of the next row and the next stream.

    With ``suspect_at`` the last owner left while its store was failing: what it told of those streams may be missing
    here, so that they are ended as lossy at that time.
    """
    return _transaction(connection, lambda: _recover(connection, suspect_at))


def _recover(connection: sqlite3.Connection, suspect_at: float | None) -> tuple[int, int]:
    landmark, heads = connection.execute("SELECT row, heads FROM landmark").fetchone() or (0, b"")
    last_rows = table.unpack_heads(heads)
    last_rows.update(
        connection.execute("SELECT stream, max(row) FROM records WHERE row > ? GROUP BY stream", (landmark,))
    )
    for stream in table.running(connection):
        last_row = max(stream.last_row, last_rows.get(stream.no, 0))
        connection.execute(
            "UPDATE streams SET (last_row, offset, size_bytes) ="
            " (SELECT row, first + count - 1, size_bytes FROM records WHERE row = ?) WHERE no = ?",
            (last_row, stream.no),
        )
    if suspect_at is not None:
        connection.execute("UPDATE streams SET lossy = 1 WHERE ended_at IS NULL")
    # A lossy stream will not be adopted, so nobody else would ever end it.
    connection.execute("UPDATE streams SET ended_at = ? WHERE ended_at IS NULL AND lossy", (suspect_at or 0.0,))
    ((row,),) = connection.execute("SELECT ifnull(max(row), 0) FROM records")
    ((no,),) = connection.execute(
        "SELECT ifnull(max(no), 0) FROM (SELECT no FROM streams UNION ALL SELECT no FROM removed)"
    )
    # The old landmark may name rows that are gone, whose numbers are given again from now on.
    connection.execute("INSERT OR REPLACE INTO landmark VALUES (1, ?, ?)", (row, b""))
    return row + 1, no + 1


def expire(connection: sqlite3.Connection, ended_before: float, room_bytes: int) -> int:
    """Removes the streams that ended before a time, and the oldest of the others until the rest fits; says how many."""
    sql = """
        SELECT no, first_row, last_row FROM (
            SELECT no, first_row, last_row, ended_at,
                sum(size_bytes) OVER (ORDER BY ended_at DESC, no DESC) AS kept_bytes
            FROM streams WHERE ended_at IS NOT NULL
        ) WHERE ended_at < ? OR kept_bytes > ?
    """

    def work() -> int:
        expired = connection.execute(sql, (ended_before, room_bytes)).fetchall()
        connection.executemany("INSERT INTO removed VALUES (?, ?, ?)", expired)
        connection.executemany("DELETE FROM streams WHERE no = ?", [(no,) for no, _, _ in expired])
        return len(expired)

    return _transaction(connection, work)


def purge(connection: sqlite3.Connection) -> bool:
    """Removes some rows of removed streams; false when none is left."""

    def work() -> bool:
        low, high = connection.execute("SELECT min(first_row), max(last_row) FROM removed").fetchone()
        if low is None:
            return False
        end = connection.execute(
            "SELECT max(row) FROM (SELECT row FROM records WHERE row BETWEEN ? AND ? ORDER BY row LIMIT ?)",
            (low, high, PURGED_ROWS),
        ).fetchone()[0]
        end = high if end is None else end
        connection.execute(
            "DELETE FROM records WHERE row BETWEEN ? AND ? AND stream IN (SELECT no FROM removed)", (low, end)
        )
        connection.execute("DELETE FROM removed WHERE last_row <= ?", (end,))
        connection.execute("UPDATE removed SET first_row = ? WHERE first_row <= ?", (end + 1, end))
        return True

    return _transaction(connection, work)


def delete(connection: sqlite3.Connection, id: str) -> bool:
    """Removes an ended stream with its rows; false if there is none."""

    def work() -> bool:
        stream = table.find(connection, id)
        if stream is None or stream.ended_at is None:
            return False
        connection.execute(
            """
            WITH RECURSIVE walk (row, prev) AS (
                SELECT row, prev FROM records WHERE row = ?
                UNION ALL
                SELECT r.row, r.prev FROM walk JOIN records AS r ON r.row = walk.prev
            )
            DELETE FROM records WHERE row IN (SELECT row FROM walk)
            """,
            (stream.last_row,),
        )
        connection.execute("DELETE FROM streams WHERE no = ?", (stream.no,))
        return True

    return _transaction(connection, work)


def checkpoint(connection: sqlite3.Connection, how: str = "PASSIVE") -> int:
    """Moves what the write-ahead log holds into the database, as far as that is possible; gives how much it holds."""
    ((_, frames, _),) = connection.execute(f"PRAGMA wal_checkpoint({how})")
    ((page_bytes,),) = connection.execute("PRAGMA page_size")
    return int(frames) * int(page_bytes)
