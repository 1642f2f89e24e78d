"""A stream that has a writer, without a store behind it."""

import pytest

from midstream.journal import table
from midstream.journal.live import Stream, give_back, settle, share, take
from midstream.journal.port import Info, Kind, Record
from midstream.journal.subscribers import Subscribers
from midstream.usual import Appender, Head, settle_rows
from midstream.usual.storing import STEPS_MAX
from tests.journal.test_table import rows


def new(no: int = 1) -> tuple[Stream, Appender, list[Stream]]:
    stream = Stream(no, Info("a", b"o", b"k", 1.0, 1, False, 0, 0), Head())
    touched: list[Stream] = []
    return stream, Appender(stream, touched, lambda: None, lambda: 77.0), touched


def test_rows_name_the_one_before_and_one_far_before() -> None:
    stream, writer, _ = new(no=5)
    for _ in range(3 * STEPS_MAX):
        writer.append(Kind.FACT, b"xy")
    work = table.Work()
    head = share(stream, work, 100).head
    assert [row[0] for row in rows(work)] == list(range(100, 100 + 3 * STEPS_MAX))
    assert {row[1] for row in rows(work)} == {5}
    assert [row[2] for row in rows(work)] == [0, *range(100, 99 + 3 * STEPS_MAX)]
    assert sorted({row[3] for row in rows(work)}) == [0, 100, 100 + STEPS_MAX, 100 + 2 * STEPS_MAX]
    assert all(row[0] - row[3] <= STEPS_MAX for row in rows(work)[1:])
    assert [row[7] for row in rows(work)] == [2 * n for n in range(1, 3 * STEPS_MAX + 1)]
    assert (head.row, head.offset, head.size_bytes) == (99 + 3 * STEPS_MAX, 0, 6 * STEPS_MAX)


def test_what_was_told_is_not_told_again_when_it_is_durable() -> None:
    stream, writer, _ = new()
    for n in range(4):
        writer.append(Kind.SHOWN, b"%d" % n, 1)
    stream.told = 2
    work = table.Work()
    held = share(stream, work, 1)
    assert held.untold == [Record(Kind.SHOWN, b"23", 3, 2)]
    assert [(row[5], row[8]) for row in rows(work)] == [(1, b"01"), (3, b"23")]


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
        Appender(stream, [], lambda: None, lambda: 77.0).append(Kind.ENDED, b"")
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


def settled(no: int = 1) -> tuple[Stream, Appender, list[Stream]]:
    """A stream of which nothing but frames is to be stored."""
    stream, writer, touched = new(no)
    stream.news, stream.opened = False, True
    return stream, writer, touched


def test_who_has_one_row_to_store_is_taken_and_all_others_are_left() -> None:
    one, several, told, news, lossy, mixed = (settled(no) for no in range(1, 7))
    for stream, writer, touched in (one, several, told, news, lossy, mixed):
        writer.append(Kind.SHOWN, b"a", 1)
        if stream is not one[0]:
            writer.append(Kind.SHOWN, b"b", 1)
        assert touched == [stream]
    told[0].told, news[0].news, lossy[0].lossy = 1, True, True
    mixed[1].append(Kind.FACT, b"")
    everybody = [stream for stream, _, _ in (one, several, told, news, lossy, mixed)]
    work = table.Work()
    taken, others = take(everybody, work, 40)
    assert (taken.row, taken.streams, others) == (40, everybody[:2], everybody[2:])
    assert taken.records == [Record(Kind.SHOWN, b"a", 1, 1), Record(Kind.SHOWN, b"ab", 1, 2)]
    assert [row[:2] for row in rows(work)] == [(40, 1), (41, 2)]
    assert [stream.touched for stream in everybody] == [False] * 2 + [True] * 4
    assert [len(stream.pending) for stream in everybody] == [0, 0, 2, 2, 2, 3]


def test_to_be_taken_stores_what_a_share_stores() -> None:
    (one, one_writer, _), (other, other_writer, _) = settled(), settled()
    for n in range(3 * STEPS_MAX):
        written = []
        for writer in (one_writer, other_writer):
            writer.append(Kind.FACT if n % 5 == 2 else Kind.SHOWN, b"x" * n, n % 5 != 2)
        work = table.Work()
        taken, _ = take([one], work, 100 + n)
        settle_rows(taken.streams, taken.records, taken.row, Subscribers())
        written.append(work.values)
        work = table.Work()
        held = share(other, work, 100 + n)
        settle(held)
        other.told_offset = held.head.offset
        assert written == [work.values]
        assert one.head == other.head and one.info == other.info


def test_what_was_taken_and_could_not_be_stored_stands_before_what_came_later() -> None:
    stream, writer, touched = settled()
    writer.append(Kind.SHOWN, b"1", 1)
    taken, touched[:] = take(touched, table.Work(), 1)
    writer.append(Kind.SHOWN, b"23", 1)
    give_back(taken)
    assert stream.pending == [Record(Kind.SHOWN, b"1", 1, 1), Record(Kind.SHOWN, b"23", 2, 1)]
    assert (stream.pending_bytes, touched) == (3, [stream])
