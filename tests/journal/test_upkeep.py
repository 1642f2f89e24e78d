"""Recovery, removal and checkpoints, over a connection."""

import sqlite3
from pathlib import Path

import pytest

from midstream.journal import table, upkeep
from midstream.journal.port import Kind, Record
from tests.journal.test_table import connection, new_stream, shown, store

__all__ = ["connection"]

ALL = 1 << 30


def end(connection: sqlite3.Connection, no: int, row: int, at: float) -> int:
    """A stream that ended at a time, with frames that lie between those of others; gives the next free row."""
    stream = new_stream(no, f"s{no}")
    row = store(connection, stream, [Record(Kind.OPENED, b"x" * 10), *shown(1, 20)], row)
    stream.ended_at, stream.news = at, True
    return store(connection, stream, [Record(Kind.ENDED, b"")], row)


def ids(connection: sqlite3.Connection) -> list[str]:
    return [id for (id,) in connection.execute("SELECT id FROM streams ORDER BY no")]


def rows(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])


def test_recovery_finds_the_end_of_what_was_running(connection: sqlite3.Connection) -> None:
    assert upkeep.recover(connection, None) == (1, 1)
    a, b = new_stream(1, "a"), new_stream(2, "b")
    row = store(connection, a, shown(1, 5), 1)
    row = store(connection, b, shown(1, 3), row)
    table.write(connection, table.Work(landmark=(row - 1, table.pack_heads([(1, 5), (2, row - 1)]))))
    row = store(connection, b, [*shown(4, 4), Record(Kind.FACT, b"f")], row)
    assert upkeep.recover(connection, None) == (row, 3)
    found = [(s.id, s.last_row, s.offset, s.size_bytes, s.lossy) for s in table.running(connection)]
    assert found == [("a", 5, 5, 5, 0), ("b", row - 1, 4, 5, 0)]
    # The landmark is new, so that rows whose numbers are given again are not taken for others.
    assert connection.execute("SELECT row, heads FROM landmark").fetchall() == [(row - 1, b"")]
    assert upkeep.recover(connection, None) == (row, 3)
    assert [(s.id, s.last_row) for s in table.running(connection)] == [("a", 5), ("b", row - 1)]


def test_after_a_failing_store_whatever_was_running_is_ended_as_lossy(connection: sqlite3.Connection) -> None:
    row = end(connection, 1, 1, 100.0)
    store(connection, new_stream(2, "open"), shown(1, 5), row)
    upkeep.recover(connection, 500.0)
    assert table.running(connection) == []
    done, was_open = table.find(connection, "s1"), table.find(connection, "open")
    assert done and (done.lossy, done.ended_at) == (0, 100.0)
    assert was_open and (was_open.lossy, was_open.ended_at, was_open.offset) == (1, 500.0, 5)


def test_what_expires_by_age_and_by_room(connection: sqlite3.Connection) -> None:
    row = 1
    for no in range(1, 7):
        row = end(connection, no, row, no * 10.0)
    size_bytes = table.find(connection, "s1").size_bytes  # type: ignore[union-attr]
    assert upkeep.expire(connection, 10.0, ALL) == 0
    assert upkeep.expire(connection, 20.5, ALL) == 2
    assert ids(connection) == ["s3", "s4", "s5", "s6"]
    assert upkeep.expire(connection, 0.0, size_bytes * 3) == 1
    assert upkeep.expire(connection, 0.0, size_bytes * 3) == 0
    assert ids(connection) == ["s4", "s5", "s6"]
    assert upkeep.expire(connection, 0.0, -1) == 3


def test_purging_removes_the_rows_of_removed_streams_alone(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PURGED_ROWS", 7)
    keep = new_stream(99, "keep")
    row = store(connection, keep, shown(1, 10), 1)
    row = end(connection, 1, row, 1.0)
    row = store(connection, keep, shown(11, 20), row)
    row = end(connection, 2, row, 2.0)
    row = end(connection, 3, row, 3.0)
    assert upkeep.expire(connection, 2.5, ALL) == 2
    assert table.read_stream(connection, "s1", 0, ALL) == []
    assert upkeep.recover(connection, None) == (row, 100)
    steps = 0
    while upkeep.purge(connection):
        steps += 1
        assert table.read_all(connection, keep.head.row) == shown(1, 20)
    assert 5 < steps < 20
    assert rows(connection) == 20 + 22
    assert len(table.read_stream(connection, "s3", 0, ALL)) == 21
    assert connection.execute("SELECT count(*) FROM removed").fetchone() == (0,)


def test_an_ended_stream_is_deleted_with_its_rows(connection: sqlite3.Connection) -> None:
    other = new_stream(9, "other")
    row = store(connection, other, shown(1, 100), 1)
    row = end(connection, 1, row, 1.0)
    assert not upkeep.delete(connection, "other")
    assert not upkeep.delete(connection, "nobody")
    assert upkeep.delete(connection, "s1")
    assert not upkeep.delete(connection, "s1")
    assert rows(connection) == 100 and ids(connection) == ["other"]


def test_what_fails_half_way_has_not_happened(connection: sqlite3.Connection) -> None:
    end(connection, 1, 1, 1.0)
    connection.execute("INSERT INTO removed VALUES (1, 1, 1)")
    with pytest.raises(sqlite3.IntegrityError):
        upkeep.expire(connection, 5.0, ALL)
    assert not connection.in_transaction and ids(connection) == ["s1"]


def test_a_checkpoint_empties_the_log_and_says_how_much_it_held(connection: sqlite3.Connection, tmp_path: Path) -> None:
    store(connection, new_stream(), shown(1, 50), 1)
    held_bytes = upkeep.checkpoint(connection)
    assert 50 * 4096 <= held_bytes <= (tmp_path / "j-wal").stat().st_size
    upkeep.checkpoint(connection, "TRUNCATE")
    assert (tmp_path / "j-wal").stat().st_size == 0
