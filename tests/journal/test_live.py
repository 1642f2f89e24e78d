"""A stream that has a writer, without a store behind it."""

import pytest

from midstream.journal import table
from midstream.journal.live import STEPS_MAX, LiveWriter, Stream, settle, share
from midstream.journal.port import Info, Kind, Record


def new(no: int = 1) -> tuple[Stream, LiveWriter, list[Stream]]:
    stream = Stream(no, Info("a", b"o", b"k", 1.0, 1, False, 0, 0), table.Head())
    touched: list[Stream] = []
    return stream, LiveWriter(stream, touched.append, lambda: 77.0), touched


def test_a_stream_is_touched_once_until_the_journal_has_looked() -> None:
    stream, writer, touched = new()
    writer.append(Kind.OPENED, b"123")
    writer.append(Kind.SHOWN, b"4567", 2)
    assert touched == [stream] and (writer.pending_bytes, writer.offset) == (7, 2)
    stream.touched = False
    writer.append(Kind.SHOWN, b"8", 1)
    assert touched == [stream, stream]
    assert stream.pending[1:] == [Record(Kind.SHOWN, b"4567", 1, 2), Record(Kind.SHOWN, b"8", 3, 1)]


def test_a_fenced_writer_changes_nothing() -> None:
    stream, writer, touched = new()
    stream.epoch += 1
    writer.append(Kind.ENDED, b"")
    assert writer.fenced and not touched and not stream.pending and stream.ended_at is None


def test_rows_name_the_one_before_and_one_far_before() -> None:
    stream, writer, _ = new(no=5)
    for _ in range(3 * STEPS_MAX):
        writer.append(Kind.FACT, b"xy")
    work = table.Work()
    head = share(stream, work, 100).head
    assert [row[0] for row in work.rows] == list(range(100, 100 + 3 * STEPS_MAX))
    assert {row[1] for row in work.rows} == {5}
    assert [row[2] for row in work.rows] == [0, *range(100, 99 + 3 * STEPS_MAX)]
    assert sorted({row[3] for row in work.rows}) == [0, 100, 100 + STEPS_MAX, 100 + 2 * STEPS_MAX]
    assert all(row[0] - row[3] <= STEPS_MAX for row in work.rows[1:])
    assert [row[7] for row in work.rows] == [2 * n for n in range(1, 3 * STEPS_MAX + 1)]
    assert (head.row, head.offset, head.size_bytes) == (99 + 3 * STEPS_MAX, 0, 6 * STEPS_MAX)


def test_what_was_told_is_not_told_again_when_it_is_durable() -> None:
    stream, writer, _ = new()
    for n in range(4):
        writer.append(Kind.SHOWN, b"%d" % n, 1)
    stream.told = 2
    work = table.Work()
    held = share(stream, work, 1)
    assert held.untold == [Record(Kind.SHOWN, b"23", 3, 2)]
    assert [(row[5], row[8]) for row in work.rows] == [(1, b"01"), (3, b"23")]


def test_what_became_durable_is_let_go_and_what_came_meanwhile_stays() -> None:
    stream, writer, _ = new()
    writer.append(Kind.OPENED, b"123")
    writer.append(Kind.SHOWN, b"4", 1)
    held = share(stream, table.Work(), 1)
    writer.append(Kind.SHOWN, b"56", 1)
    stream.told = 3
    assert settle(held) == 0
    assert stream.opened and stream.head == held.head
    assert (stream.pending, stream.told, stream.pending_bytes) == ([Record(Kind.SHOWN, b"56", 2, 1)], 1, 2)


def test_what_nobody_waited_for_is_given_back_first() -> None:
    stream, writer, _ = new()
    writer.append(Kind.SHOWN, b"123", 1)
    stream.piled_bytes, stream.pending_bytes = stream.pending_bytes, 0
    writer.append(Kind.SHOWN, b"4567", 1)
    held = share(stream, table.Work(), 1)
    writer.append(Kind.SHOWN, b"8", 1)
    assert settle(held) == 3
    assert (stream.piled_bytes, stream.pending_bytes) == (0, 1)


def test_a_stream_that_lost_its_place_on_the_way_keeps_what_was_stored() -> None:
    stream, writer, _ = new()
    writer.append(Kind.SHOWN, b"123", 1)
    held = share(stream, table.Work(), 1)
    stream.lossy = True
    stream.pending.clear()
    assert settle(held) == 0
    assert stream.head.offset == 1 and stream.pending == []


@pytest.mark.parametrize("lossy", [False, True])
def test_the_row_of_a_stream_is_written_when_there_is_news(lossy: bool) -> None:
    stream, writer, _ = new()
    writer.append(Kind.OPENED, b"123")
    work = table.Work()
    settle(share(stream, work, 1))
    assert work.opened == [(1, "a", b"o", b"k", 1.0, 1, 1, 1)] and not work.adopted and not work.ended
    writer.append(Kind.FACT, b"")
    work = table.Work()
    settle(share(stream, work, 2))
    assert not work.opened and not work.adopted and not work.ended
    stream.epoch, stream.news = 2, True
    if lossy:
        stream.lossy = True
    else:
        LiveWriter(stream, lambda stream: None, lambda: 77.0).append(Kind.ENDED, b"")
    work = table.Work()
    share(stream, work, 3)
    assert work.adopted == [(2, 1)]
    assert work.ended == [(None, 1, 2, 0, 3, 1)] if lossy else [(77.0, 0, 3, 0, 3, 1)]


def test_what_was_lost_before_it_was_stored_is_not_stored() -> None:
    stream, _, _ = new()
    stream.lossy = True
    work = table.Work()
    settle(share(stream, work, 1))
    assert work == table.Work() and not stream.opened
