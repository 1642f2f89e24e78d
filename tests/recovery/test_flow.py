"""What takes the usual chunks does what `Engine.receive` would do, and leaves alone what it does not take."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.protocol.dialects import Anthropic
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.steps import Ended, Input, Opened, Read, Received, Step
from tests.wire import PING, begin, end, request, say, start, stopping

HEADERS = {"content-type": "text/event-stream"}
POLICY = Policy(silence_s=60, progress_s=100, reply_bytes_max=4000)


def wire(*events: dict[str, Any]) -> bytes:
    """As the service writes them."""
    return b"".join(map(Anthropic().encode, events))


class Pair:
    """Two engines: one is told of every chunk, of the other its flow is asked first."""

    def __init__(self, policy: Policy = POLICY) -> None:
        asked = Request(request())
        self.plain, self.asked = (Engine(asked, policy, Surroundings(lambda: 0.5), recovers=False) for _ in range(2))
        self.now, self.taken = 0.0, 0
        for engine in (self.plain, self.asked):
            engine.start(0.0)
            engine.receive(Opened(200, HEADERS), 0.0)

    def receive(self, input: Input, after_s: float = 0.1) -> Step:
        """Both get it; they must not differ."""
        self.now += after_s
        step = self.plain.receive(input, self.now)
        shown = b"".join(event.raw for event in step.events)
        flow = self.asked.flow()
        if flow is not None and type(input) is Received and flow.takes(input.data, self.now):
            self.taken += 1
            assert shown == input.data and step.wait == Read(flow.due)
        else:
            other = self.asked.receive(input, self.now)
            assert (b"".join(event.raw for event in other.events), other.wait) == (shown, step.wait)
        assert self.asked.snapshot() == self.plain.snapshot()
        return step


def flowing(policy: Policy = POLICY) -> Pair:
    """In the middle of a text."""
    pair = Pair(policy)
    for events in (start(), begin(0)), (say(0, "It"),):
        pair.receive(Received(wire(*events)))
    return pair


CHUNKS = st.one_of(
    st.text(max_size=20).map(lambda text: wire(say(0, text))),
    st.text(max_size=5).map(lambda text: wire(say(0, text), say(0, "and more"))),
    st.sampled_from([wire(PING), b": a comment\n\n", wire(say(1, "of another block")), wire(say(0, "padded"))[:-3]]),
    st.sampled_from([b" }\n\n", wire(end(0), begin(1)), wire(end(0), stopping("end_turn")), b"\n", b""]),
)


@given(st.lists(st.tuples(CHUNKS, st.sampled_from([0.0, 1.0, 30.0, 59.0, 61.0])), max_size=20))
def test_whether_the_flow_is_asked_makes_no_difference(chunks: list[tuple[bytes, float]]) -> None:
    pair = flowing()
    for data, after_s in chunks:
        if pair.plain.failure is None and isinstance(pair.receive(Received(data), after_s).wait, Read):
            continue
        break
    else:
        pair.receive(Ended())
    assert pair.asked.failure == pair.plain.failure
    assert pair.asked.history.attempts == pair.plain.history.attempts


def test_deltas_like_the_last_are_taken() -> None:
    pair = flowing()
    for text in (" was", ' "quoted"', " 日本語", " \n\n"):
        pair.receive(Received(wire(say(0, text))))
    assert pair.taken == 4
    assert pair.asked.snapshot()["content"][0]["text"] == 'It was "quoted" 日本語 \n\n'


@pytest.mark.parametrize(
    "data",
    [wire(PING), wire(say(0, "")), wire(say(0, "a"), say(0, "b")), wire(say(0, "a"))[:-1], wire(say(1, "a")), b""],
)
def test_what_is_not_the_usual_chunk_is_left_alone(data: bytes) -> None:
    flow = flowing().asked.flow()
    assert flow is not None
    before = (flow.due, flow.at, flow.taken_bytes)
    assert not flow.takes(data, 1.0) and (flow.due, flow.at, flow.taken_bytes) == before


def test_the_limits_of_time_and_size_hold_for_what_is_taken() -> None:
    pair = flowing()
    assert pair.receive(Received(wire(say(0, "in time"))), 59.0).wait == Read(pair.now + 60)
    pair.receive(Received(wire(say(0, "too late"))), 60.0)
    assert pair.taken == 1 and pair.asked.failure is not None and "silen" in json.dumps(str(pair.asked.failure)).lower()
    pair = flowing()
    while pair.asked.failure is None:
        pair.receive(Received(wire(say(0, "too much " * 10))))
    assert pair.taken > 10 and "longer than" in pair.asked.failure.detail


def test_there_is_no_flow_where_a_chunk_may_not_be_shown_as_it_comes() -> None:
    pair = Pair()
    assert pair.asked.flow() is None
    pair.receive(Received(wire(start(), begin(0))))
    assert pair.asked.flow() is None
    pair.receive(Received(wire(say(0, "It"))))
    assert pair.asked.flow() is not None
    pair.receive(Received(wire(end(0), stopping("end_turn"))))
    assert pair.asked.flow() is None
