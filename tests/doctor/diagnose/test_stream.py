"""One stream, event by event: where it ended, and which events are no longer its own."""

from typing import Any

import pytest

from midstream.doctor.diagnose.placed import BedrockFrames, SseFrames
from midstream.doctor.diagnose.rehearsal import Rehearsal
from midstream.doctor.diagnose.stream import Stream, name_of
from midstream.doctor.recording.facts import Finished, How
from midstream.faults.wire import message
from midstream.protocol.events import Pinged
from midstream.recovery.failure import Kind, Phase
from tests.wire import PING, STOP, begin, end, say, sse, start, stopping, text, whole

ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}


def follow(*events: Any) -> Stream:
    stream = Stream("sse", 0, None, "req_1")
    for placed in SseFrames().feed(b"".join(event if isinstance(event, bytes) else sse(event) for event in events)):
        stream.take(placed)
    return stream


def test_a_complete_stream_ends_behind_its_last_event() -> None:
    events = whole(text(0, "Hi"))
    stream = follow(*events, PING)
    assert stream.complete and stream.settled and stream.stop_reason == "end_turn"
    assert (stream.ended_at, stream.ended_event, stream.behind) == (len(sse(*events)), len(events) - 1, 0)
    assert stream.protocol == "Messages, server-sent events"


def test_a_failure_stands_where_its_event_begins() -> None:
    events = [start(), begin(0), say(0, "Hi")]
    stream = follow(*events, ERROR, say(0, "behind it"))
    assert stream.failure is not None and stream.failure.kind is Kind.OVERLOADED
    assert (stream.failed_at, stream.failed_event, stream.before) == (len(sse(*events)), 3, "content_block_delta")
    assert stream.open is not None and stream.failure.request_id == "req_1"


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([start(), say(0, "x")], "block 0"),
        ([start(), start()], "message_start"),
        ([start(), b"data: nonsense\n\n"], "not JSON"),
        ([say(0, "x")], "block 0"),
    ],
)
def test_what_no_message_has_is_garbled(events: list[Any], words: str) -> None:
    failure = follow(*events).failure
    assert failure is not None and failure.kind is Kind.GARBLED and words in failure.detail


@pytest.mark.parametrize(
    ("events", "phase"),
    [
        ([], Phase.WAITING),
        ([PING], Phase.WAITING),
        ([start()], Phase.STARTED),
        ([start(), begin(0)], Phase.SHOWING),
        ([start(), begin(0), end(0), stopping()], Phase.SETTLED),
    ],
)
def test_how_far_it_has_come(events: list[Any], phase: Phase) -> None:
    assert follow(*events).phase is phase


def test_another_message_is_another_stream() -> None:
    def takes(stream: Stream, event: Any) -> bool:
        (placed,) = SseFrames().feed(sse(event))
        return stream.takes(placed.event)

    assert not takes(follow(*whole(text(0, "Hi"))), start())
    assert takes(follow(*whole(text(0, "Hi"))), PING)
    assert not takes(follow(start(), ERROR), start())
    assert takes(follow(start(), begin(0)), start())  # the same message again: it is garbled
    assert not takes(follow(start(), begin(0)), start("msg_2"))
    assert takes(follow(), start()) and takes(follow(start()), say(0, "x"))


@pytest.mark.parametrize(
    ("events", "recognised"),
    [
        ([PING], True),
        ([b": comment\n\n"], True),
        ([b"anything\n\n"], False),
        ([b"event: new\ndata: {}\n\n"], False),
        ([start()], True),
    ],
)
def test_what_only_a_stream_has_is_recognised(events: list[Any], recognised: bool) -> None:
    assert follow(*events).recognised is recognised


def test_another_api_is_followed_by_its_own_rules() -> None:
    foreign = follow(b'data: {"object":"chat.completion.chunk"}\n\n')
    assert foreign.foreign and foreign.begun
    old = follow({"type": "completion", "completion": "x", "stop_reason": "max_tokens"})
    assert old.complete and old.stop_reason == "max_tokens" and not old.foreign
    assert old.blocks and old.open is None and "legacy" in old.protocol


def test_behind_a_legacy_completion_another_may_begin() -> None:
    old = follow({"type": "completion", "completion": "x", "stop_reason": "max_tokens"})
    (placed,) = SseFrames().feed(sse({"type": "completion", "completion": "y", "stop_reason": None}))
    assert not old.takes(placed.event)
    (noise,) = SseFrames().feed(b"event: x\ndata: {}\n\n")
    assert old.takes(noise.event)


def test_messages_inside_another_api_and_unknown_events_inside_messages_are_noise() -> None:
    old = follow({"type": "completion", "completion": "x", "stop_reason": None}, start())
    assert old.other is not None and old.failure is None
    known = follow(start(), {"type": "completion", "completion": "x"}, {"type": "new"})
    assert known.other is None and known.failure is None


def test_midstreams_engine_is_told_what_was_taken() -> None:
    played = Rehearsal(None)
    stream = Stream("sse", 0, played, None)
    for placed in SseFrames().feed(sse(*whole(text(0, "Hi")))):
        stream.take(placed)
    stream.rehearse(1.0)
    stream.rehearse(2.0)  # nothing since
    result = played.end(Finished(How.CLEAN), None)
    assert result is not None and result.action == "nothing"


def test_an_exception_frame_is_classified_by_its_name() -> None:
    stream = Stream("eventstream", 0, None, None)
    raw = message({":message-type": "exception", ":exception-type": "throttlingException"}, b"{}")
    for placed in BedrockFrames().feed(raw):
        stream.take(placed)
    assert stream.failure is not None and stream.failure.kind is Kind.RATE_LIMITED and stream.recognised


def test_comments_are_no_events_and_names_are_those_of_the_wire() -> None:
    stream = follow(b": x\n\n", start(), STOP)
    assert stream.events == 2 and stream.last == "message_stop"
    assert name_of(Pinged(b"")) == "ping"
