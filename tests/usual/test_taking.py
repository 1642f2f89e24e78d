"""What takes the usual chunks does what the general way would do, and leaves alone what it does not take."""

import copy
import json
import random
from typing import Any
from unittest.mock import patch

import pytest
from httptools import HttpResponseParser
from hypothesis import given
from hypothesis import strategies as st

from midstream.protocol.dialects import Anthropic
from midstream.recovery import attempt
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.steps import Ended, Input, Opened, Read, Received, Step
from midstream.usual.kinds import Kind
from midstream.usual.taking import LOOK_BITS, SIZES_MAX, whole_chunk
from tests.usual.ways import COMPILED, PLAIN, both, needs_compiled
from tests.wire import PING, begin, end, request, say, start, stopping

HEADERS = {"content-type": "text/event-stream"}
POLICY = Policy(silence_s=60, progress_s=100, reply_bytes_max=4000)


def wire(*events: dict[str, Any]) -> bytes:
    """As the service writes them."""
    return b"".join(map(Anthropic().encode, events))


class Pair:
    """Two engines: one is told of every chunk, of the other its flow is asked first."""

    def __init__(self, way: Any, policy: Policy = POLICY) -> None:
        self.way = way
        asked = Request(request())
        self.plain, self.asked = (Engine(asked, policy, Surroundings(lambda: 0.5), recovers=False) for _ in range(2))
        self.now, self.taken = 0.0, 0
        for engine in (self.plain, self.asked):
            engine.start(0.0)
            engine.receive(Opened(200, HEADERS), 0.0)

    def flow(self) -> Any:
        """What the engine gives out, made this way."""
        with patch.object(attempt, "Flow", self.way.Flow):
            return self.asked.flow()

    def receive(self, input: Input, after_s: float = 0.1) -> Step:
        """Both get it; they must not differ."""
        self.now += after_s
        step = self.plain.receive(input, self.now)
        shown = b"".join(event.raw for event in step.events)
        flow = self.flow()
        if flow is not None and type(input) is Received and flow.takes(input.data, self.now):
            self.taken += 1
            assert shown == input.data and step.wait == Read(flow.due)
        else:
            other = self.asked.receive(input, self.now)
            assert (b"".join(event.raw for event in other.events), other.wait) == (shown, step.wait)
        assert self.asked.snapshot() == self.plain.snapshot()
        return step


def flowing(way: Any, policy: Policy = POLICY) -> Pair:
    """In the middle of a text."""
    pair = Pair(way, policy)
    for events in (start(), begin(0)), (say(0, "It"),):
        pair.receive(Received(wire(*events)))
    return pair


CHUNKS = st.one_of(
    st.text(max_size=20).map(lambda text: wire(say(0, text))),
    st.text(max_size=5).map(lambda text: wire(say(0, text), say(0, "and more"))),
    st.sampled_from([wire(PING), b": a comment\n\n", wire(say(1, "of another block")), wire(say(0, "padded"))[:-3]]),
    st.sampled_from([b" }\n\n", wire(end(0), begin(1)), wire(end(0), stopping("end_turn")), b"\n", b""]),
)


@both
@given(chunks=st.lists(st.tuples(CHUNKS, st.sampled_from([0.0, 1.0, 30.0, 59.0, 61.0])), max_size=20))
def test_whether_the_flow_is_asked_makes_no_difference(way: Any, chunks: list[tuple[bytes, float]]) -> None:
    pair = flowing(way)
    for data, after_s in chunks:
        if pair.plain.failure is None and isinstance(pair.receive(Received(data), after_s).wait, Read):
            continue
        break
    else:
        pair.receive(Ended())
    assert pair.asked.failure == pair.plain.failure
    assert pair.asked.history.attempts == pair.plain.history.attempts


@both
def test_deltas_like_the_last_are_taken(way: Any) -> None:
    pair = flowing(way)
    for text in (" was", ' "quoted"', " 日本語", " \n\n"):
        pair.receive(Received(wire(say(0, text))))
    assert pair.taken == 4
    assert pair.asked.snapshot()["content"][0]["text"] == 'It was "quoted" 日本語 \n\n'


A = wire(say(0, "a"))
BEGIN = A[: A.index(b'a"}')]
UNUSUAL = [
    A.replace(b'"a"', b' "a"'),
    A.replace(b'"a"', b'\n"a"'),
    A.replace(b'"a"', b'\r"a"'),
    A.replace(b'a"', b""),
    b"",
    wire(PING),
    wire(say(0, "")),
    wire(say(1, "a")),
    A[:-1],
    A + A,
    A + b"\n",
    b"\n" + A,
    A.replace(b"\n", b"\r\n"),
    A.replace(b'"a"', b'"a'),
    A.replace(b'"a"', b'a"'),
    A.replace(b'"a"', b'"a\n"'),
    A.replace(b'"a"', b'"a\x00"'),
    A.replace(b'"a"', b'"\\"'),
    A.replace(b'"a"', b'"\\x"'),
    A.replace(b'"a"', b'"\\ud800"'),
    A.replace(b'"a"', b'"a","b":"c"'),
    A.replace(b'"a"', b'"a"b"'),
    A.replace(b'"a"', b'"\\"a"b"'),
    A.replace(b'"a"', b"null"),
    A.replace(b'"a"', b'["a"]'),
    A.replace(b'"a"', b'"\xff"'),
    A.replace(b'"a"', b'"\xed\xa0\x80"'),
    A.replace(b'"a"', b'"\xe6\x97"'),
    A.replace(b"}}\n", b"}" + b" " * 64 + b"}\n"),
    A.replace(b"}}\n", b"} \t}\n"),
    A.replace(b"}}\n", b"},1}\n"),
    A.replace(b"}}\n", b"}} \n"),
]


@both
@pytest.mark.parametrize("data", UNUSUAL)
def test_what_is_not_the_usual_chunk_is_left_alone(way: Any, data: bytes) -> None:
    flow = flowing(way).flow()
    assert flow is not None
    before = (flow.due, flow.at, flow.taken_bytes)
    assert not flow.takes(data, 1.0) and (flow.due, flow.at, flow.taken_bytes) == before


@both
def test_the_limits_of_time_and_size_hold_for_what_is_taken(way: Any) -> None:
    pair = flowing(way)
    assert pair.receive(Received(wire(say(0, "in time"))), 59.0).wait == Read(pair.now + 60)
    pair.receive(Received(wire(say(0, "too late"))), 60.0)
    assert pair.taken == 1 and pair.asked.failure is not None and "silen" in json.dumps(str(pair.asked.failure)).lower()
    pair = flowing(way)
    while pair.asked.failure is None:
        pair.receive(Received(wire(say(0, "too much " * 10))))
    assert pair.taken > 10 and "longer than" in pair.asked.failure.detail


@both
def test_there_is_no_flow_where_a_chunk_may_not_be_shown_as_it_comes(way: Any) -> None:
    pair = Pair(way)
    assert pair.flow() is None
    pair.receive(Received(wire(start(), begin(0))))
    assert pair.flow() is None
    pair.receive(Received(wire(say(0, "It"))))
    assert pair.flow() is not None
    pair.receive(Received(wire(end(0), stopping("end_turn"))))
    assert pair.flow() is None


TEXTS = ["a", " and on", 'with "quotes"', "日本語", "\n\n", "\\", "\U0001f600", "\x7f\x80", "x" * 5000]


@both
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("blanks", [0, 1, 63])
@pytest.mark.parametrize("ascii", [True, False])
def test_what_is_said_is_taken_however_it_is_written(way: Any, text: str, blanks: int, ascii: bool) -> None:
    written = json.dumps(text, ensure_ascii=ascii).encode()
    data = A.replace(b'"a"', written).replace(b"}}\n", b"}" + b" " * blanks + b"}\n")
    parts: list[str] = []
    flow = way.Flow(BEGIN, parts, 5.0, 9.0, 7.0, 1 << 20)
    assert flow.takes(data, 4.5) and parts == [text]
    assert (flow.due, flow.at, flow.taken_bytes) == (7.0, 4.5, len(data))


@needs_compiled
def test_both_ways_take_the_same_of_anything_that_looks_like_it() -> None:
    dice, taken = random.Random(11), 0
    letters = [b'"', b"\\", b"}", b" ", b"\n", b"\r", b"a", b"u", b"0", b"\xc3", b"\xa9", b"\x1f", b",", b""]
    for _ in range(20_000):
        data = bytearray(dice.choice([A, A, wire(say(0, 'né "q" \n')), A.replace(b"}}\n", b"}  }\n")]))
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(BEGIN) - 3, len(data) + 1)
            data[at : at + dice.randrange(2)] = dice.choice(letters)
        bound, seen = dice.choice([len(data) - 1, len(data), len(data)]), []
        for way in (PLAIN, COMPILED):
            parts: list[str] = []
            flow = way.Flow(BEGIN, parts, 10.0, 3.0, 9.0, bound)
            seen.append((flow.takes(bytes(data), 1.0), parts, flow.due, flow.at, flow.taken_bytes))
        assert seen[0] == seen[1], bytes(data)
        taken += seen[0][0]
    assert 3000 < taken < 17_000


@both
def test_a_flow_that_is_copied_goes_on_by_itself(way: Any) -> None:
    parts: list[str] = []
    flow = way.Flow(BEGIN, parts, 5.0, 9.0, 100.0, 1000)
    twin, twins_parts = copy.deepcopy((flow, parts))
    assert twin.takes(A, 1.0) and not parts and flow.taken_bytes == 0
    assert flow.takes(A, 2.0) and parts == ["a"] and (twin.due, flow.due) == (10.0, 11.0)
    assert twins_parts == ["a"]


@both
def test_a_flow_without_a_beginning_is_refused(way: Any) -> None:
    with pytest.raises(ValueError, match="begin"):
        way.Flow(b"", [], 5.0, 9.0, 7.0, 1000)


# From chunk to frame.


class Producer:
    """What derives from a `Passage`: told what it left over."""

    def __new__(cls, way: Any) -> Any:
        class Made(way.Passage):  # type: ignore[misc,name-defined]
            __slots__ = ("left", "looks")

            def __init__(self) -> None:
                super().__init__()
                self.left: list[bytes] = []
                self.looks = 0
                self._framer = way.Numbered(41)
                self._now = lambda: 1.0
                self._writer = Written()

            def received(self, data: bytes) -> None:
                if not self.takes(data):
                    self.left.append(data)

            def _hold_back(self) -> None:
                self.looks += 1

        return Made()


class Written:
    """A writer."""

    def __init__(self) -> None:
        self.records: list[tuple[Kind, bytes, int]] = []

    def append(self, kind: Kind, data: bytes, count: int = 0) -> None:
        self.records.append((kind, data, count))


@both
def test_what_a_flow_takes_is_a_numbered_frame_in_the_journal(way: Any) -> None:
    producer, parts = Producer(way), list[str]()
    assert not producer.takes(A) and producer._writer.records == []
    producer._flow = way.Flow(BEGIN, parts, 5.0, 9.0, 7.0, 1 << 20)
    assert producer.takes(A) and not producer.takes(A[:-1])
    assert producer._writer.records == [(Kind.SHOWN, b"id: 42\n" + A, 1)] and producer._framer.number == 42
    assert (producer.read_bytes, producer.shown_bytes, producer.looks) == (len(A), len(A) + len(b"id: 42\n"), 1)


@both
def test_what_waits_is_looked_at_first_and_then_once_in_so_many_bytes(way: Any) -> None:
    producer = Producer(way)
    for _ in range(40):
        producer._append(b"x" * (1 << (LOOK_BITS - 3)), 2)
    assert producer.looks == 1 + 40 // 8 and producer._writer.records[-1] == (Kind.SHOWN, b"x" * 8192, 2)


@both
@pytest.mark.parametrize("number", [0, 8, 9, 98, 99, 12345678, 10**15, -1, -2, -12])
def test_frames_are_numbered_in_plain_decimals(way: Any, number: int) -> None:
    producer = Producer(way)
    producer._framer.number = number
    producer._flow = way.Flow(BEGIN, [], 5.0, 9.0, 7.0, 1 << 20)
    assert producer.takes(A) and producer._writer.records[0][1] == f"id: {number + 1}\n".encode() + A


# From bytes to chunk.


class Connection:
    """What derives from an `Intake`."""

    def __new__(cls, way: Any, listener: Any) -> Any:
        class Made(way.Intake):  # type: ignore[misc,name-defined]
            __slots__ = ("parsed",)

            def __init__(self) -> None:
                self.parsed: list[bytes] = []
                self._parser, self._listener, self._quiet_bytes = None, listener, 7

            def _parse(self, data: bytes) -> None:
                self.parsed.append(data)

        return Made()


class Heard:
    """A listener that is no `Passage`."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def received(self, data: bytes) -> None:
        self.bodies.append(data)


def chunk_of(way: Any, data: bytes) -> bytes:
    """What is taken for the body of a chunk; nothing where it is left to the parser."""
    heard = Heard()
    connection = Connection(way, heard)
    connection.data_received(data)
    assert [*heard.bodies, *connection.parsed] in ([data], heard.bodies)
    assert connection._quiet_bytes == (0 if heard.bodies else 7)
    return heard.bodies[0] if heard.bodies else b""


class Found(list[bytes]):
    """What llhttp finds of a body, and how it goes on."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.ends = 0
        parser = HttpResponseParser(self)
        parser.feed_data(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        parser.feed_data(data)

    on_body = list.append

    def on_chunk_complete(self) -> None:
        self.ends += 1


SIZES = [1, 2, 9, 10, 15, 16, 17, 141, 255, 256, 4095, 4096, 65535, 65536, 1 << 20]


@both
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", ["%x", "%X"])
def test_a_whole_chunk_is_what_a_parser_finds(way: Any, size: int, form: str) -> None:
    body = bytes(random.Random(size).choices(b"\r\n0123456789abcdef;", k=size))
    data = (form % size).encode() + b"\r\n" + body + b"\r\n"
    assert chunk_of(way, data) == body == b"".join(Found(data))


@both
@pytest.mark.parametrize(
    "data",
    [
        b"", b"0\r\n\r\n", b"5\r\nhello", b"5\r\nhello\r", b"5\r\nhello\n\n", b"5\nhello\r\n\n", b"05\r\nhello\r\n",
        b"5;a=b\r\nhello\r\n", b"5 \r\nhello\r\n", b"+5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"5\r\nhell\r\n", b"5",
        b"5\r\nhello!\r\n", b"5\r\nhello\r\n5\r\nhello\r\n", b"\r\n", b"-\r\n\r\n", b"-", b"hello\r\n",
        b"g\r\nhello\r\n", b"f" * 15 + b"\r\na\r\n", b"f" * 16 + b"\r\na\r\n", b"f" * 40 + b"\r\na\r\n",
        b"10000000000000005\r\nhello\r\n", b"\r\n\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_not_exactly_one_chunk_is_left_to_the_parser(way: Any, data: bytes) -> None:
    assert chunk_of(way, data) == b""


@both
def test_whatever_is_taken_without_a_parser_a_parser_takes_for_the_same_chunk(way: Any) -> None:
    dice, taken = random.Random(7), 0
    for _ in range(3000):
        body = bytes(dice.choices(b"ab\r\n0", k=dice.randrange(1, 40)))
        said = dice.choice([len(body), dice.randrange(40)])
        data = bytearray(b"%x\r\n%b\r\n" % (said, body))
        for _ in range(dice.randrange(3)):
            data[dice.randrange(len(data))] = dice.choice(b"0aA5\r\n;x")
        chunk = chunk_of(way, bytes(data))
        assert chunk == whole_chunk(bytes(data))
        if chunk:
            taken += 1
            found = Found(bytes(data))
            assert (b"".join(found), found.ends) == (chunk, 1)
    assert taken > 500


@both
def test_a_chunk_goes_to_the_parser_where_there_is_one_or_nobody_listens(way: Any) -> None:
    data, heard = b"2\r\nhi\r\n", Heard()
    connection = Connection(way, None)
    connection.data_received(data)
    assert connection.parsed == [data]
    connection._listener, connection._parser = heard, object()
    connection.data_received(data)
    assert connection.parsed == [data, data] and not heard.bodies
    connection._parser = None
    connection.data_received(bytes(data))
    assert heard.bodies == [b"hi"]


@both
def test_a_usual_chunk_goes_all_the_way_and_another_to_whoever_listens(way: Any) -> None:
    producer = Producer(way)
    producer._flow = way.Flow(BEGIN, [], 5.0, 9.0, 7.0, 1 << 20)
    connection = Connection(way, producer)
    other = wire(PING)
    for data in (A, other, A):
        connection.data_received(b"%x\r\n%b\r\n" % (len(data), data))
    assert [record[1] for record in producer._writer.records] == [b"id: 42\n" + A, b"id: 43\n" + A]
    assert producer.left == [other] and not connection.parsed


def test_beginnings_of_any_number_of_sizes_are_known_and_few_are_kept() -> None:
    for size in range(1, SIZES_MAX + 100):
        assert len(whole_chunk(b"%x\r\n" % size + b"x" * size + b"\r\n")) == size
