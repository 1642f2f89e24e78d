"""From a record to a client's connection, on both ways alike; what does not come next is left to the general way."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from midstream.gateway.frames import Framer
from midstream.gateway.http.client import ClientConnection
from midstream.gateway.http.connection import Connection
from midstream.gateway.http.response import Response
from midstream.gateway.producer import Producer
from midstream.gateway.readers import Reader
from midstream.journal.live import Stream
from midstream.journal.memory import MemoryWriter
from midstream.journal.subscribers import Subscribers
from midstream.usual import giving, storing, taking
from midstream.usual.kinds import Kind
from tests.usual.test_storing import audience
from tests.usual.ways import COMPILED, PLAIN, both, needs_compiled


class Transport:
    """Takes what is written."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data


def body(way: Any, **fields: Any) -> Any:
    """A response in its middle, whose bytes are in ``.tape.data``."""

    class Line(way.Link):  # type: ignore[misc,name-defined]
        __slots__ = ()

    class Made(way.Body):  # type: ignore[misc,name-defined]
        __slots__ = ("tape",)

    made, line = Made(), Line()
    made.tape = line._transport = Transport()
    made._line, made._head, made._left_bytes = line, None, None
    made.started, made._chunked, made._mute = True, True, False
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def outlet(way: Any, response: Any, after: int = 0) -> Any:
    """Who gives to it: ``.left`` is what it left to the general way."""

    class Made(way.Outlet):  # type: ignore[misc,name-defined]
        __slots__ = ("left", "times_behind")

        def _told(self, records: Sequence[Any]) -> None:
            self.left.append(list(records))

        def _is_behind(self) -> None:
            self.times_behind += 1
            self._backlog = object()

    made = Made()
    made._reading = made._backlog = None
    made._over, made._next, made._response = False, after + 1, response
    made._totals, made._now, made._sent_at = way.Totals(), lambda: 5.5, 0.0
    made.left, made.times_behind = [], 0
    return made


def shown(way: Any, first: int, data: bytes = b"frame", count: int = 1) -> Any:
    return way.Record(Kind.SHOWN, data, first, count)


def test_a_new_body_has_not_begun_and_can_be_written_to() -> None:
    for way in filter(None, (PLAIN, COMPILED)):
        made = type("Made", (way.Body,), {})()
        assert (made.started, made.gone, made.writable) == (False, False, True)


@both
@pytest.mark.parametrize("size", [1, 9, 15, 16, 255, 256, 4095, 4096, 65535, 70000])
def test_a_piece_of_a_body_is_a_chunk(way: Any, size: int) -> None:
    made = body(way)
    made.write(b"x" * size)
    assert made.tape.data == b"%x\r\n" % size + b"x" * size + b"\r\n"


@both
def test_the_head_goes_before_the_first_piece_and_nothing_is_no_piece(way: Any) -> None:
    made = body(way, _head=b"HEAD")
    made.write(b"")
    assert made.tape.data == b""
    made.write(b"a")
    made.write(b"b")
    assert made.tape.data == b"HEAD1\r\na\r\n1\r\nb\r\n" and made._head is None


@both
def test_a_body_of_known_length_gets_no_more_than_that(way: Any) -> None:
    made = body(way, _chunked=False, _left_bytes=3)
    made.write(b"ab")
    made.write(b"cd")
    assert made.tape.data == b"abc" and made._left_bytes == 0


@both
def test_a_body_until_the_end_has_no_framing_and_a_mute_one_nothing(way: Any) -> None:
    made = body(way, _chunked=False)
    made.write(b"ab")
    assert made.tape.data == b"ab"
    made._mute = True
    made.write(b"c")
    assert made.tape.data == b"ab"


@both
def test_any_line_can_be_written_to(way: Any) -> None:
    tape = Transport()
    body(way, _line=tape).write(b"a")
    assert tape.data == b"1\r\na\r\n"
    link = type("Link", (way.Link,), {})()
    link._transport = tape
    link.write(b"b")
    assert tape.data.endswith(b"\nb")


@both
def test_the_record_that_comes_next_is_given(way: Any) -> None:
    made = body(way)
    giver = outlet(way, made, after=6)
    giver((shown(way, 7, b"one", 2),))
    giver([shown(way, 9, b"two")])
    assert made.tape.data == b"3\r\none\r\n3\r\ntwo\r\n" and not giver.left
    assert (giver._next, giver._sent_at, giver._totals.bytes_to_clients) == (10, 5.5, 6)


@both
@pytest.mark.parametrize(
    "change",
    [{"_reading": 1}, {"_backlog": 1}, {"_over": True}, {"_next": 6}, {"_next": 8}],
    ids=lambda change: next(iter(change)),
)
def test_what_does_not_come_next_or_finds_its_consumer_behind_is_left(way: Any, change: dict[str, Any]) -> None:
    made = body(way)
    giver = outlet(way, made, after=6)
    for name, value in change.items():
        setattr(giver, name, value)
    before = giver._next
    giver((shown(way, 7),))
    assert giver.left == [[shown(way, 7)]] and made.tape.data == b"" and giver._next == before


@both
def test_what_is_no_single_frame_of_a_begun_answer_is_left(way: Any) -> None:
    giver = outlet(way, body(way, started=False))
    giver((shown(way, 1),))
    giver._response.started = True
    giver((shown(way, 1), shown(way, 2)))
    giver((way.Record(Kind.ENDED, b"{}"),))
    giver(())
    assert [len(records) for records in giver.left] == [1, 2, 1, 0] and giver._response.tape.data == b""


@both
def test_a_consumer_that_does_not_keep_up_is_noticed_once(way: Any) -> None:
    giver = outlet(way, body(way, writable=False))
    giver((shown(way, 1),))
    giver((shown(way, 2),))
    assert giver.times_behind == 1 and giver.left == [[shown(way, 2)]]


@both
def test_what_the_general_way_gives_is_noted_like_a_record(way: Any) -> None:
    giver = outlet(way, body(way))
    giver._give(b"one")
    assert (giver._sent_at, giver._totals.bytes_to_clients, giver.times_behind) == (5.5, 3, 0)
    giver._response.writable = False
    giver._give(b"two")
    giver._give(b"three")
    assert giver.times_behind == 1 and giver._totals.bytes_to_clients == 11
    assert giver._response.tape.data == b"3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n"


@both
def test_what_happens_often_is_counted_from_nothing(way: Any) -> None:
    totals = way.Totals()
    totals.pings += 3
    assert (totals.bytes_from_upstreams, totals.bytes_to_clients, totals.pings) == (0, 0, 3)


@both
def test_an_audience_gives_to_an_outlet_and_notes_what_it_raises(way: Any) -> None:
    giver = outlet(way, body(way))
    ears = audience(way, s=giver)
    stream = way.Tail("s", 1, 1, way.Head())
    writer = way.Appender(stream, [], lambda: None, lambda: 0.0)
    for data in (b"one", b"two"):
        writer.append(Kind.SHOWN, data, 1)
        way.tell_news([stream], ears, list)
    assert giver._response.tape.data == b"3\r\none\r\n3\r\ntwo\r\n"
    writer.append(Kind.ENDED, b"{}")
    way.tell_news([stream], ears, list)
    assert giver.left == [[way.Record(Kind.ENDED, b"{}")]]
    assert Kind.ENDED in ears.kinds, "what may not be for consumers is sorted out in `tell`"
    giver._response._line = None
    fresh = way.Tail("s", 1, 1, way.Head(offset=2))
    fresh.pending = [shown(way, 3)]
    way.tell_news([fresh], ears, list)
    assert len(ears.failed) == 1 and "write" in ears.failed[0][1]


LEFT_TO_THEM = {"_told", "_is_behind", "_hold_back", "_parse", "tell", "_failed", "__init__"}
DERIVED_FROM = [
    *(giving.Body, giving.Link, giving.Outlet, storing.Appender, storing.Audience, storing.Head, storing.Tail),
    *(taking.Intake, taking.Numbered, taking.Passage),
]
DERIVED = [ClientConnection, Connection, Framer, MemoryWriter, Producer, Reader, Response, Stream, Subscribers]


@pytest.mark.parametrize("derived", DERIVED)
def test_nobody_overrides_what_the_compiled_way_calls_without_asking(derived: type) -> None:
    bases = [base for base in DERIVED_FROM if base.__name__ in {each.__name__ for each in derived.__mro__}]
    assert bases, "it derives from one of them, plain or compiled"
    names = {name for base in bases for name in vars(base) if callable(getattr(base, name))}
    mine = {name for name in vars(derived) if not name.startswith("__") or name == "__call__"}
    assert mine & names <= LEFT_TO_THEM


@needs_compiled
@pytest.mark.parametrize("seed", range(10))
def test_both_ways_give_the_same_whatever_is_told(seed: int) -> None:
    dice = random.Random(seed)
    sides = [(way, outlet(way, body(way, _head=b"H"))) for way in (PLAIN, COMPILED)]
    number = 1
    for _ in range(300):
        deed, size = dice.randrange(10), dice.choice([0, 1, 20, 300])
        first = number + dice.choice([0, 0, 0, 0, 1, -1])
        for way, giver in sides:
            if deed == 0:
                giver._response.writable = not giver._response.writable
                giver._backlog = None
            elif deed == 1:
                giver._response.started = not giver._response.started
            else:
                giver((shown(way, first, b"x" * size, 1 + size % 2),))
        number = sides[0][1]._next
        seen = [
            (g._next, g._sent_at, g.times_behind, repr(g.left), g._totals.bytes_to_clients, g._response.tape.data)
            for _, g in sides
        ]
        assert seen[0] == seen[1]
    assert len(sides[0][1]._response.tape.data) > 1000
