"""Joining records, and cutting pages of them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from midstream.journal.port import Kind, Record
from midstream.journal.records import JOINED_BYTES_MAX, join, page, told


def shown(first: int, count: int, data: bytes) -> Record:
    return Record(Kind.SHOWN, data, first, count)


FACT, ENDED = Record(Kind.FACT, b"fact"), Record(Kind.ENDED, b"end")
KINDS = st.sampled_from([Kind.SHOWN] * 5 + [Kind.FACT, Kind.ATTEMPT, Kind.ENDED])
DRAWN = st.lists(st.tuples(KINDS, st.binary(max_size=JOINED_BYTES_MAX // 3), st.integers(1, 3)), max_size=12)


def numbered(drawn: list[tuple[Kind, bytes, int]]) -> list[Record]:
    records, offset = [], 0
    for kind, data, count in drawn:
        records.append(shown(offset + 1, count, data) if kind is Kind.SHOWN else Record(kind, data))
        offset += count if kind is Kind.SHOWN else 0
    return records


def test_neighbours_that_are_shown_become_one() -> None:
    assert join([]) == []
    assert join([FACT]) == [FACT]
    assert join([shown(1, 1, b"a"), shown(2, 2, b"bc"), FACT, shown(4, 1, b"d"), ENDED]) == [
        shown(1, 3, b"abc"),
        FACT,
        shown(4, 1, b"d"),
        ENDED,
    ]


def test_a_record_does_not_become_larger_than_the_bound_by_joining() -> None:
    large = b"x" * JOINED_BYTES_MAX
    assert [len(r.data) for r in join([shown(1, 1, large), shown(2, 1, b"y")])] == [JOINED_BYTES_MAX, 1]
    assert [len(r.data) for r in join([shown(1, 1, b"y"), shown(2, 1, large + b"x")])] == [1, JOINED_BYTES_MAX + 1]
    assert [len(r.data) for r in join([shown(1, 1, large[1:]), shown(2, 1, b"y")])] == [JOINED_BYTES_MAX]


@given(DRAWN)
def test_joining_changes_neither_frames_nor_order(drawn: list[tuple[Kind, bytes, int]]) -> None:
    records = numbered(drawn)
    joined = join(records)
    assert b"".join(r.data for r in joined) == b"".join(r.data for r in records)
    assert [r for r in joined if r.kind is not Kind.SHOWN] == [r for r in records if r.kind is not Kind.SHOWN]
    assert all(r.last == s.first - 1 for r, s in pairwise(joined) if r.count and s.count)
    assert sum(r.count for r in joined) == sum(r.count for r in records)
    assert join(joined) == joined


def test_consumers_are_told_of_frames_and_of_the_end() -> None:
    assert told([FACT, shown(1, 1, b"a"), Record(Kind.HEAD, b""), ENDED]) == [shown(1, 1, b"a"), ENDED]


@given(DRAWN, st.integers(0, 30), st.integers(0, JOINED_BYTES_MAX))
def test_a_page_begins_behind_a_frame_and_is_as_long_as_fits(
    drawn: list[tuple[Kind, bytes, int]], after: int, bytes_max: int
) -> None:
    wanted = [r for r in numbered(drawn) if r.kind is Kind.ENDED or (r.kind is Kind.SHOWN and r.last > after)]
    chosen = page(numbered(drawn), after, bytes_max)
    assert chosen == wanted[: len(chosen)]
    assert bool(chosen) == bool(wanted)
    assert len(chosen) <= 1 or sum(len(r.data) for r in chosen) <= bytes_max
    if len(chosen) < len(wanted):
        assert sum(len(r.data) for r in wanted[: len(chosen) + 1]) > bytes_max


def test_a_page_that_was_begun_goes_on() -> None:
    begun = [shown(1, 1, b"12345")]
    assert page([shown(2, 1, b"6")], 0, 6, begun) == [*begun, shown(2, 1, b"6")]
    assert page([shown(2, 1, b"67")], 0, 6, begun) == begun
