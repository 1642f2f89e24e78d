"""What is asked of the tables, over a connection."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from midstream.journal import schema, table
from midstream.journal.live import Stream, share
from midstream.journal.port import Info, Kind, Record
from midstream.usual import Head

ALL = 1 << 30


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    (tmp_path / "j").touch()
    connection = schema.connect(tmp_path / "j", "OFF")
    schema.prepare(tmp_path / "j", connection)
    yield connection
    connection.close()


def new_stream(no: int = 1, id: str = "a") -> Stream:
    return Stream(no, Info(id, b"o", b"k", 1.0, 1, False, 0, 0), Head())


def store(connection: sqlite3.Connection, stream: Stream, records: list[Record], row: int) -> int:
    """Stores one row for each record; gives the next free row."""
    for record in records:
        stream.pending = [record]
        work = table.Work()
        stream.head = share(stream, work, row).head
        stream.opened = True
        table.write(connection, work)
        row += 1
    return row


def rows(work: table.Work) -> list[tuple[Any, ...]]:
    """What it writes to `records`."""
    width = len(work.values) // work.rows if work.rows else 1
    return [tuple(work.values[start : start + width]) for start in range(0, len(work.values), width)]


def shown(first: int, last: int, count: int = 1) -> list[Record]:
    return [Record(Kind.SHOWN, b"%d" % n, n, count) for n in range(first, last + 1, count)]


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 66, 128, 129, 130, 500])
def test_a_stream_of_any_length_is_read_back_from_any_offset(connection: sqlite3.Connection, length: int) -> None:
    a, b = new_stream(1, "a"), new_stream(2, "b")
    row = 1
    for n in range(0, length, 7):
        row = store(connection, a, shown(n + 1, min(n + 7, length)), row)
        row = store(connection, b, [Record(Kind.FACT, b"between")] * 3, row)
    whole = shown(1, length)
    assert table.read_all(connection, a.head.row) == whole
    for after in {0, 1, length // 2, length - 1, length, length + 1}:
        assert table.read_page(connection, a.head.row, after, ALL) == whole[after:]
        assert table.read_page(connection, a.head.row, after, 0) == whole[after : after + 1]


def test_a_read_in_the_middle_of_a_long_stream_visits_few_rows(connection: sqlite3.Connection) -> None:
    stream = new_stream()
    store(connection, stream, shown(1, 3000), 1)
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    assert [r.first for r in table.read_page(connection, stream.head.row, 1500, 8)] == [1501, 1502]
    assert sum("SELECT kind" in statement for statement in asked) <= 4
    steps = connection.execute("SELECT count(*) FROM (" + table._FAR + ")", (stream.head.row, 1501)).fetchone()[0]
    assert 20 <= steps <= 26  # 1,500 rows are 24 wide steps
    connection.set_trace_callback(None)


def test_records_of_many_frames_are_given_whole(connection: sqlite3.Connection) -> None:
    stream = new_stream()
    records = shown(1, 100, count=10)
    store(connection, stream, records, 1)
    assert table.read_page(connection, stream.head.row, 14, ALL) == records[1:]
    assert table.read_page(connection, stream.head.row, 20, ALL) == records[2:]


def test_a_stream_without_rows_reads_as_nothing(connection: sqlite3.Connection) -> None:
    assert table.read_page(connection, 0, 0, ALL) == table.read_page(connection, 77, 0, ALL) == []
    assert table.read_all(connection, 0) == table.read_all_stream(connection, "x") == []
    assert table.read_stream(connection, "x", 0, ALL) == []


def test_a_transaction_is_stored_as_a_whole_or_not_at_all(connection: sqlite3.Connection) -> None:
    stream = new_stream()
    stream.pending = [Record(Kind.OPENED, b"")]
    work = table.Work()
    share(stream, work, 1)
    work.values += work.values  # the same row twice
    with pytest.raises(sqlite3.IntegrityError):
        table.write(connection, work)
    assert not connection.in_transaction
    assert table.find(connection, "a") is None
    del work.values[len(work.values) // 2 :]
    table.write(connection, work)
    assert table.find(connection, "a")


def test_an_id_that_exists_already_harms_nobody(connection: sqlite3.Connection) -> None:
    first, second = new_stream(1), new_stream(2)
    row = store(connection, first, shown(1, 1), 1)
    store(connection, second, shown(1, 1), row)
    stored = table.find(connection, "a")
    assert stored and stored.no == 1


@pytest.mark.parametrize("count", [0, 1, 3, 4, 63, 64, 341, 2 * 256 + 2 * 64 + 3 * 16 + 2 * 4 + 3])
def test_any_number_of_rows_is_written_at_once(connection: sqlite3.Connection, count: int) -> None:
    stream = new_stream()
    work = table.Work()
    stream.pending = [Record(Kind.FACT, b"%d" % n) for n in range(count)]
    head = share(stream, work, 1).head
    table.write(connection, work)
    assert [record.data for record in table.read_all(connection, head.row)] == [b"%d" % n for n in range(count)]


def test_the_heads_of_a_landmark_are_read_back() -> None:
    heads = {1: 10, 2**40: 2**50}
    assert table.unpack_heads(table.pack_heads(heads.items())) == heads
    assert table.unpack_heads(table.pack_heads([])) == {}
