"""The end of a stream in a journal: appended to, taken, settled and told of, on both ways alike."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from midstream import usual
from midstream.journal.records import join
from midstream.usual.kinds import Kind
from midstream.usual.storing import NOTHING, STEPS_MAX
from tests.usual.ways import COMPILED, PLAIN, both, needs_compiled


class Desk:
    """A stream, its writer, and a journal that looks when the test says so."""

    def __init__(self, way: Any, no: int = 5) -> None:
        self.way = way
        self.stream = way.Tail("s", no, 1, way.Head())
        self.touched: list[Any] = []
        self.looks = 0
        self.writer = way.Appender(self.stream, self.touched, self.look, lambda: 77.0)

    def look(self) -> None:
        assert not self.touched, "it is called before the first"
        self.looks += 1

    def append(self, text: str, count: int = 1, kind: Kind = Kind.SHOWN) -> None:
        self.writer.append(kind, text.encode(), count)

    def told(self, *texts: str, first: int = 1) -> list[Any]:
        return [self.way.Record(Kind.SHOWN, text.encode(), first + n, 1) for n, text in enumerate(texts)]


def audience(way: Any, **listeners: Any) -> Any:
    """Who is told, by stream. ``kinds`` are those of the records that came to `tell`."""

    class Made(way.Audience):  # type: ignore[misc,name-defined]
        __slots__ = ("failed", "kinds")

        def tell(self, id: str, records: Sequence[Any]) -> None:
            self.kinds.extend(record.kind for record in records)
            if id in self._of:
                try:
                    self._of[id](records)
                except Exception as problem:
                    self._failed(id, problem)

        def _failed(self, id: str, problem: Exception) -> None:
            self.failed.append((id, str(problem)))

    made = Made()
    made._of, made.failed, made.kinds = dict(listeners), [], []
    return made


@both
def test_a_record_is_what_it_holds(way: Any) -> None:
    record = way.Record(Kind.SHOWN, b"abc", first=7, count=2)
    assert (record.kind, record.data, record.first, record.count, record.last) == (Kind.SHOWN, b"abc", 7, 2, 8)
    assert record == way.Record(Kind.SHOWN, b"abc", 7, 2) and hash(record) == hash(way.Record(Kind.SHOWN, b"abc", 7, 2))
    others = [
        (Kind.FACT, b"abc", 7, 2),
        (Kind.SHOWN, b"abd", 7, 2),
        (Kind.SHOWN, b"abc", 8, 2),
        (Kind.SHOWN, b"abc", 7),
    ]
    assert all(record != way.Record(*other) for other in others) and record != (Kind.SHOWN, b"abc", 7, 2)
    assert repr(record) == "Record(kind=<Kind.SHOWN: 5>, data=b'abc', first=7, count=2)"
    with pytest.raises(AttributeError):
        record.first = 8


@both
def test_a_stream_is_touched_once_until_the_journal_has_looked(way: Any) -> None:
    desk = Desk(way)
    desk.append("123", 0, Kind.OPENED)
    desk.append("4567", 2)
    assert desk.touched == [desk.stream] and (desk.writer.pending_bytes, desk.writer.offset, desk.looks) == (7, 2, 1)
    desk.stream.touched = False
    desk.append("8")
    assert desk.touched == [desk.stream, desk.stream] and desk.looks == 1
    assert desk.stream.pending[1:] == [way.Record(Kind.SHOWN, b"4567", 1, 2), way.Record(Kind.SHOWN, b"8", 3, 1)]
    assert desk.stream.pending[0] == way.Record(Kind.OPENED, b"123")


@both
def test_a_fenced_writer_changes_nothing(way: Any) -> None:
    desk = Desk(way)
    desk.stream.epoch += 1
    desk.append("", 0, Kind.ENDED)
    assert desk.writer.fenced and desk.writer.epoch == 1 and desk.writer.id == "s"
    assert not desk.touched and not desk.stream.pending and desk.stream.ended_at is None


@both
def test_nothing_follows_the_end(way: Any) -> None:
    desk = Desk(way)
    desk.stream.news = False
    desk.append("", 0, Kind.ENDED)
    assert desk.stream.ended_at == 77.0 and desk.stream.news
    with pytest.raises(RuntimeError, match="stream s has ended"):
        desk.append("x")
    assert len(desk.stream.pending) == 1 and desk.writer.offset == 0


@both
def test_an_empty_list_that_many_share_is_never_written_to(way: Any) -> None:
    one, other = Desk(way), Desk(way)
    one.append("x")
    assert other.stream.pending is NOTHING == []


@both
def test_a_row_names_the_one_before_and_one_far_before(way: Any) -> None:
    head, fars = way.Head(), set()
    for row in range(100, 100 + 3 * STEPS_MAX):
        head.move(row, way.Record(Kind.SHOWN, b"xy", 1, 2))
        fars.add(head.far)
        assert head.row == row and head.row - head.far < STEPS_MAX
    assert fars == {100, 100 + STEPS_MAX, 100 + 2 * STEPS_MAX}
    assert (head.offset, head.size_bytes) == (6 * STEPS_MAX, 6 * STEPS_MAX)
    assert head == way.Head(head.row, head.far, head.steps, head.offset, head.size_bytes) and head != way.Head()
    assert repr(way.Head(1, 2, 3, 4, 5)) == "Head(row=1, far=2, steps=3, offset=4, size_bytes=5)"


@both
def test_everybody_with_one_row_is_taken_and_told_of_when_it_is_durable(way: Any) -> None:
    one, several, told, news, lossy, mixed = (Desk(way, no) for no in range(1, 7))
    for desk in (one, several, told, news, lossy, mixed):
        desk.stream.news = False
        desk.append("a")
        if desk is not one:
            desk.append("b")
    told.stream.told, news.stream.news, lossy.stream.lossy = 1, True, True
    mixed.append("", 0, Kind.FACT)
    everybody = [desk.stream for desk in (one, several, told, news, lossy, mixed)]
    values: list[Any] = []
    streams, records, others = way.take_rows(everybody, values, 40, join_of(way))
    assert (streams, others) == (everybody[:2], everybody[2:])
    assert records == [way.Record(Kind.SHOWN, b"a", 1, 1), way.Record(Kind.SHOWN, b"ab", 1, 2)]
    assert values == [40, 1, 0, 0, 5, 1, 1, 1, b"a", 41, 2, 0, 0, 5, 1, 2, 2, b"ab"]
    assert {type(value) for value in values} == {int, bytes}
    assert [stream.touched for stream in everybody] == [False] * 2 + [True] * 4
    assert [len(stream.pending) for stream in everybody] == [0, 0, 2, 2, 2, 3]
    heard: list[Any] = []
    way.settle_rows(streams, records, 40, audience(way, s=heard.extend))
    assert heard == records
    for stream, record, row in zip(streams, records, (40, 41), strict=True):
        assert stream.head == way.Head(row, row, 0, record.count, len(record.data))
        assert (stream.pending_bytes, stream.told_offset) == (0, record.count)


@both
def test_records_of_any_kind_are_stored_by_their_number(way: Any) -> None:
    desk, values = Desk(way), list[Any]()
    desk.stream.news = False
    desk.append("fact", 0, Kind.FACT)
    streams, records, _ = way.take_rows(desk.touched, values, 7, join_of(way))
    assert values == [7, 5, 0, 0, 4, 1, 0, 4, b"fact"] and type(values[4]) is int
    heard: list[Any] = []
    way.settle_rows(streams, records, 7, audience(way, s=heard.extend))
    assert heard == records, "who is told leaves out what is not for consumers"


def join_of(way: Any) -> Any:
    """As the journal joins, with the records of this way."""

    def joined(records: Sequence[Any]) -> list[Any]:
        shown = [record for record in records if record.kind is Kind.SHOWN]
        if not shown or len(shown) != len(records):
            return list(records)
        data = b"".join(record.data for record in shown)
        return [way.Record(Kind.SHOWN, data, shown[0].first, sum(record.count for record in shown))]

    return joined


@both
def test_news_are_told_once_and_what_came_together_is_joined(way: Any) -> None:
    one, other, heard = Desk(way), Desk(way), list[Any]()
    one.append("a")
    all_ears = audience(way, s=lambda records: heard.append(list(records)))
    way.tell_news([one.stream, other.stream], all_ears, join_of(way))
    assert heard[0] == one.told("a") and one.stream.told == 1 and not one.stream.touched
    one.append("b")
    one.append("c")
    way.tell_news([one.stream], all_ears, join_of(way))
    assert heard[-1] == [way.Record(Kind.SHOWN, b"bc", 2, 2)] and one.stream.told == 3
    one.append("d")
    way.tell_news([one.stream], all_ears, join_of(way))
    assert heard[-1] == one.told("d", first=4) and one.touched == [one.stream] * 3


@both
def test_one_who_raises_is_noted_and_the_next_is_told(way: Any) -> None:
    def raises(records: Any) -> None:
        raise ValueError("no")

    one, other, heard = Desk(way), Desk(way), list[Any]()
    other.stream.id = "t"
    for desk in (one, other):
        desk.append("a")
    ears = audience(way, s=raises, t=heard.extend)
    way.tell_news([one.stream, other.stream], ears, join_of(way))
    assert heard == other.told("a") and ears.failed == [("s", "no")]


def test_the_journals_own_join_is_such_a_one() -> None:
    desk = Desk(usual)
    desk.append("a")
    desk.append("b")
    assert join(desk.stream.pending) == join_of(usual)(desk.stream.pending)


class Side:
    """Three streams, a batch that may be on its way, and all that was told."""

    def __init__(self, way: Any) -> None:
        self.way = way
        self.desks = [Desk(way, no) for no in range(3)]
        self.told: list[str] = []
        self.batch: Any = None
        for desk in self.desks:
            desk.stream.news = False

    def do(self, deed: int, number: int, size: int, row: int, rows: bool) -> None:
        desk, ears = self.desks[number], audience(self.way, s=lambda records: self.told.append(repr(list(records))))
        streams = [each.stream for each in self.desks if each.stream.pending]
        if deed < 3:
            desk.append("x" * size, size % 3, Kind.FACT if size % 3 == 0 else Kind.SHOWN)
        elif deed == 3:
            desk.stream.news = size == 0
            if size > 2:  # what is mixed would never be taken
                desk.stream.pending = []
        elif not rows:
            self.way.tell_news(streams, ears, join_of(self.way))
        elif self.batch is None:
            values: list[Any] = []
            taken, records, others = self.way.take_rows(streams, values, row, join_of(self.way))
            self.batch = (taken, records, row, values, len(others))
        else:
            self.way.settle_rows(*self.batch[:3], ears)
            self.batch = None

    def state(self) -> str:
        """All that can be seen of it."""
        names = "id no epoch head offset told_offset pending told pending_bytes ended_at touched news lossy".split()
        seen = [f"{name}={getattr(desk.stream, name)!r}" for desk in self.desks for name in names]
        return repr((seen, self.told, self.batch and self.batch[1:]))


@needs_compiled
@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_both_ways_come_to_the_same_whatever_is_done(seed: int, rows: bool) -> None:
    dice, plain, compiled = random.Random(seed), Side(PLAIN), Side(COMPILED)
    for row in range(1, 6000, 3):
        deed = dice.randrange(9), dice.randrange(3), dice.randrange(5), row, rows
        plain.do(*deed)
        compiled.do(*deed)
        assert plain.state() == compiled.state()
    assert len(plain.told) > 40
