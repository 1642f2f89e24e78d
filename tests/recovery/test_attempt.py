"""One upstream request: what is complete and what is a failure (the contract, §3 and §5), in which words and phase."""

import base64
import gc
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from midstream.protocol import eventstream
from midstream.protocol.dialects import Anthropic, Bedrock
from midstream.recovery.attempt import dialect_of
from midstream.recovery.engine import Engine
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.steps import Opened, Received
from midstream.recovery.surroundings import Surroundings
from midstream.usual import Flow
from tests.wire import (
    PING,
    STOP,
    Drive,
    begin,
    call,
    end,
    grow,
    request,
    result,
    say,
    sse,
    start,
    stopping,
    text,
    thinking,
    whole,
)

Fields = dict[str, Any]
ONE = Policy(attempts=1, attempts_total=1)
HELLO = [start(), *text(0, "Hello")]


def bedrock(*events: Fields) -> bytes:
    return b"".join(Bedrock().encode(event) for event in events)


def exception(name: str, payload: Fields, kind: str = "exception") -> bytes:
    headers = {":message-type": kind, ":exception-type" if kind == "exception" else ":error-code": name}
    return eventstream.encode(headers, json.dumps(payload).encode())


def alone(*parts: Any, **options: Any) -> Drive:
    """A stream that has one attempt, which gets this."""
    return Drive(policy=options.pop("policy", ONE), **options).attempt(*parts)


# What counts as complete: the table of §3.

COMPLETE = [
    pytest.param([HELLO, stopping(), STOP], None, id="message_stop with a stop reason"),
    pytest.param([start(), stopping(), STOP], None, id="without any content"),
    pytest.param([HELLO, stopping(None), stopping(), STOP], None, id="a delta without a reason before it"),
    pytest.param(
        [start(stop_reason="end_turn", content=[{"type": "text", "text": "a"}]), STOP], None, id="in its start"
    ),
    pytest.param([HELLO, stopping(), STOP, start(), b"data: {\n\n"], None, id="whatever comes after message_stop"),
    pytest.param([HELLO, stopping()], Kind.TRUNCATED, id="no message_stop"),
    pytest.param([start(), call(0, '{"a', closed=False), stopping("max_tokens")], Kind.TRUNCATED, id="an open block"),
    pytest.param(
        [HELLO, stopping(), {"type": "error", "error": {"type": "api_error"}}], Kind.SERVER_ERROR, id="an error"
    ),
    pytest.param([HELLO, stopping(), start()], Kind.GARBLED, id="another message_start"),
    pytest.param([HELLO, stopping(), b"<html>"], Kind.TRUNCATED, id="a page"),
    pytest.param(
        [start(stop_reason="end_turn", content=[{"type": "text", "text": "a"}])],
        Kind.TRUNCATED,
        id="a reason in its start, without message_stop",
    ),
]


def test_pings_and_comments_behind_the_message_keep_their_place_and_nothing_else_does() -> None:
    behind = b": bye\n\nevent: ping\ndata: {}\n\ndata: [DONE]\n\n: gone\n\n"
    drive = alone(HELLO, stopping(), STOP, behind)
    assert drive.complete
    assert drive.seen.endswith(sse(STOP) + behind[: behind.index(b"data: [")])


@pytest.mark.parametrize(("parts", "failed"), COMPLETE)
def test_with_a_stop_reason_the_message_is_complete(parts: list[Any], failed: Kind | None) -> None:
    drive = alone(*parts)
    if not drive.done:
        drive.ends()
    assert drive.complete
    assert drive.message["ended"]
    assert drive.kinds.count("message_stop") == 1
    assert drive.engine.history.stop_added is (failed is not None)
    [record] = drive.engine.history.attempts
    assert (record.failure.kind if record.failure else None) is failed
    if record.failure:
        assert record.failure.phase is Phase.SETTLED


@pytest.mark.parametrize("how", ["ends", "reset", "incomplete", "decoding", "protocol", "elapses"])
def test_after_the_stop_reason_no_end_matters(how: str) -> None:
    drive = alone(HELLO, stopping())
    _ = drive.ends() if how == "ends" else drive.elapses() if how == "elapses" else drive.breaks(how)
    assert drive.complete
    assert drive.engine.history.attempts[0].failure is not None


def test_a_delta_without_a_reason_is_held_until_the_one_that_has_it() -> None:
    drive = alone(HELLO, stopping(None))
    assert "message_delta" not in drive.kinds
    drive.gets(stopping())
    assert drive.kinds.count("message_delta") == 2


@pytest.mark.parametrize("more", [[say(0, " and")], [say(0, " and"), say(0, " more")]], ids=["one", "two together"])
def test_nothing_grows_behind_a_delta_of_the_message_even_without_a_reason(more: list[Fields]) -> None:
    drive = alone(start(), begin(0), say(0, "Hello"), stopping(None))
    assert drive.engine.flow() is None
    drive.gets(b"".join(map(sse, more)))
    assert (drive.failure.kind, drive.texts) == (Kind.GARBLED, ["Hello"])


FAILED = [
    pytest.param([], Kind.TRUNCATED, Origin.TRANSPORT, "before the first event", id="an empty 200"),
    pytest.param([b"\n\n \n"], Kind.TRUNCATED, Origin.TRANSPORT, "before the first event", id="white space"),
    pytest.param([PING], Kind.TRUNCATED, Origin.TRANSPORT, "before the first event", id="a ping"),
    pytest.param([start()], Kind.TRUNCATED, Origin.TRANSPORT, "after 0 blocks", id="a start"),
    pytest.param(
        [start(), begin(0), say(0, "a")], Kind.TRUNCATED, Origin.TRANSPORT, "inside block 0", id="inside a block"
    ),
    pytest.param([HELLO], Kind.TRUNCATED, Origin.TRANSPORT, "after 1 blocks", id="after a block"),
    pytest.param([HELLO, stopping(None)], Kind.TRUNCATED, Origin.TRANSPORT, "after 1 blocks", id="no stop reason"),
    pytest.param([HELLO, STOP], Kind.GARBLED, Origin.PROTOCOL, "stop reason", id="message_stop without a stop reason"),
    pytest.param([HELLO, start()], Kind.GARBLED, Origin.PROTOCOL, "message_start", id="a second message_start"),
    pytest.param([start(), say(0, "a")], Kind.GARBLED, Origin.PROTOCOL, "not open", id="a delta without its block"),
    pytest.param([begin(0)], Kind.GARBLED, Origin.PROTOCOL, "content_block_start", id="no message_start"),
    pytest.param([HELLO, b"data: {\n\n"], Kind.GARBLED, Origin.PROTOCOL, "not JSON", id="bad JSON"),
    pytest.param([HELLO, b"<html>\n\n"], Kind.GARBLED, Origin.PROTOCOL, "page", id="HTML in the middle"),
    pytest.param([b"<!doctype html><p>Sorry"], Kind.GARBLED, Origin.PROTOCOL, "document", id="HTML under 200"),
    pytest.param([b'  \r\n{"id": "msg"}'], Kind.GARBLED, Origin.PROTOCOL, "document", id="JSON under 200"),
    pytest.param([b"\xef\xbb\xbf[1]"], Kind.GARBLED, Origin.PROTOCOL, "document", id="a list under 200"),
    pytest.param([b" " * 2000], Kind.TRUNCATED, Origin.TRANSPORT, "before the first event", id="endless blanks"),
    pytest.param(
        [b'{"type": "error", "error": {"type": "overloaded_error"}}'],
        Kind.OVERLOADED,
        Origin.SERVICE,
        "overloaded",
        id="JSON error",
    ),
    pytest.param(
        [b'{"error": {"message": "no"}}'], Kind.SERVER_ERROR, Origin.SERVICE, "error", id="an untyped JSON error"
    ),
    pytest.param(
        [HELLO, {"type": "error", "error": {"type": "rate_limit_error"}}],
        Kind.RATE_LIMITED,
        Origin.SERVICE,
        "rate",
        id="error event",
    ),
    pytest.param(
        [HELLO, b'event: ping\ndata: {"message": "no"}\n\n'], Kind.SERVER_ERROR, Origin.SERVICE, "error", id="untyped"
    ),
    pytest.param(
        [start(), call(0, "{"), stopping("tool_use")], Kind.GARBLED, Origin.PROTOCOL, "'look'", id="a garbled call"
    ),
    pytest.param(
        [bedrock(*HELLO)], Kind.TRUNCATED, Origin.TRANSPORT, "after 1 blocks", id="Bedrock, cut between frames"
    ),
    pytest.param(
        [bedrock(*HELLO)[:-3]], Kind.DISCONNECTED, Origin.TRANSPORT, "inside a frame", id="Bedrock, cut in a frame"
    ),
    pytest.param([bedrock(*HELLO)[:-1] + b"\0"], Kind.GARBLED, Origin.PROTOCOL, "", id="Bedrock, CRC mismatch"),
    pytest.param(
        [exception("throttlingException", {"message": "slow"})],
        Kind.RATE_LIMITED,
        Origin.SERVICE,
        "throttling",
        id="throttled",
    ),
    pytest.param(
        [bedrock(start()), exception("modelStreamErrorException", {"originalStatusCode": 529})],
        Kind.OVERLOADED,
        Origin.SERVICE,
        "",
        id="original",
    ),
    pytest.param(
        [exception("InternalFailure", {}, "error")],
        Kind.SERVER_ERROR,
        Origin.SERVICE,
        "InternalFailure",
        id="error frame",
    ),
    pytest.param(
        [bedrock({"type": "error", "error": {"type": "api_error"}})],
        Kind.SERVER_ERROR,
        Origin.SERVICE,
        "",
        id="in band",
    ),
]


@pytest.mark.parametrize(("parts", "kind", "origin", "detail"), FAILED)
def test_anything_else_is_a_failure(parts: list[Any], kind: Kind, origin: Origin, detail: str) -> None:
    drive = alone(*parts)
    if not drive.done:
        drive.ends()
    assert (drive.failure.kind, drive.failure.origin) == (kind, origin)
    assert detail in drive.failure.detail
    assert (drive.failure.phase is Phase.SHOWING) is bool(drive.seen)
    assert b"message_stop" not in drive.seen


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("reset", Kind.DISCONNECTED),
        ("incomplete", Kind.DISCONNECTED),
        ("decoding", Kind.DISCONNECTED),
        ("protocol", Kind.DISCONNECTED),
        ("closed", Kind.DISCONNECTED),
        ("never heard of", Kind.DISCONNECTED),
    ],
)
def test_a_connection_that_is_lost_is_told_by_its_reason(reason: str, kind: Kind) -> None:
    drive = alone(HELLO).breaks(reason)
    assert (drive.failure.kind, drive.failure.phase) == (kind, Phase.SHOWING)
    assert reason in drive.failure.detail


def test_a_last_frame_without_its_blank_line_did_arrive() -> None:
    for way in ("ends", "breaks"):
        drive = alone(HELLO, stopping(), sse(STOP)[:-2])
        getattr(drive, way)()
        assert drive.complete
        assert drive.engine.history.attempts[0].failure is None
        assert drive.seen == sse(*HELLO, stopping(), STOP)
    half = alone(HELLO, sse(stopping())[:-9]).ends()
    assert half.failure.kind is Kind.TRUNCATED
    error = alone(HELLO, sse({"type": "error", "error": {"type": "overloaded_error"}})[:-1]).breaks()
    assert error.failure.kind is Kind.OVERLOADED


# Phases, records, ids.


def test_the_phase_says_how_far_the_stream_had_come() -> None:
    assert Drive(policy=ONE).breaks("connect").failure.phase is Phase.CONNECTING
    assert Drive(policy=ONE).refuses(500).failure.phase is Phase.WAITING
    assert alone().ends().failure.phase is Phase.WAITING
    assert alone(PING).ends().failure.phase is Phase.WAITING
    assert alone(start()).ends().failure.phase is Phase.STARTED
    assert alone(start(), thinking(0, "a")).ends().failure.phase is Phase.STARTED
    assert alone(HELLO).ends().failure.phase is Phase.SHOWING
    later = Drive().attempt(HELLO).breaks()
    while not later.done:
        later.breaks("connect")
    assert later.failure.phase is Phase.SHOWING


@pytest.mark.parametrize("name", ["request_id", "x_amzn_requestid"])
def test_every_failure_carries_the_request_id(name: str) -> None:
    for finish in (
        lambda d: d.gets(HELLO).ends(),
        lambda d: d.gets(HELLO).breaks(),
        lambda d: d.gets({"type": "error", "error": {}}),
        lambda d: d.gets(exception("throttlingException", {})),
        lambda d: d.gets(b"{}").ends(),
        lambda d: d.gets(b"data: {\n\n"),
        lambda d: d.elapses(),
    ):
        drive = Drive(policy=ONE).opens(**{name: "req_1"})
        finish(drive)
        assert drive.failure.request_id == "req_1"
    assert Drive(policy=ONE).refuses(500, **{name: "req_1"}).failure.request_id == "req_1"


def test_the_record_says_what_an_attempt_came_to() -> None:
    drive = Drive().opens(request_id="req_1").gets(start(), begin(0), say(0, "a" * 60), after_s=3).breaks()
    record = drive.engine.history.attempts[0]
    assert (record.number, record.plan, record.began_at, record.ended_at) == (1, "first", 0.0, 3.0)
    assert (record.status, record.request_id, record.message_id) == (200, "req_1", "msg_1")
    assert (record.stop_reason, record.showed, record.usage_is_lower_bound) == (None, True, True)
    assert record.usage == start()["message"]["usage"]
    assert record.output_tokens_estimated == 10
    whole_one = alone(*whole(text(0, "a"))).engine.history.attempts[0]
    assert (whole_one.stop_reason, whole_one.usage_is_lower_bound) == ("end_turn", False)
    assert whole_one.usage["output_tokens"] == 9
    odd = alone(start(id=7, model=None)).ends().engine.history.attempts[0]
    assert (odd.message_id, odd.model) == (None, None)


# Watchdogs, as failures.


def failed_by_time(drive: Drive) -> Failure:
    return drive.elapses().failure


def test_each_watchdog_has_its_kind_and_its_words() -> None:
    assert failed_by_time(Drive(policy=ONE)).kind is Kind.SILENT
    first = failed_by_time(alone())
    assert (first.kind, first.phase) == (Kind.SILENT, Phase.WAITING) and "first event" in first.detail
    silent = failed_by_time(alone(HELLO))
    assert (silent.kind, silent.origin) == (Kind.SILENT, Origin.TRANSPORT) and "silence" in silent.detail
    stalled = alone(start(), begin(0), say(0, "a"))
    for _ in range(6):
        if not stalled.done:
            stalled.gets(PING, after_s=50)
    assert stalled.done
    assert (stalled.failure.kind, stalled.failure.origin) == (Kind.STALLED, Origin.SERVICE)
    assert stalled.now == 300.0
    total = alone(start(), begin(0), policy=Policy(attempts=1, elapsed_s=20))
    assert failed_by_time(total).kind is Kind.STALLED
    assert total.now == 20.0 and "20 s" in total.failure.detail


def test_a_chunk_that_comes_too_late_is_too_late() -> None:
    drive = alone(HELLO).gets(stopping(), STOP, after_s=181)
    assert drive.failure.kind is Kind.SILENT


@pytest.mark.parametrize(
    ("event", "moves"),
    [
        (PING, False),
        ({"type": "novel"}, False),
        (say(0, ""), False),
        (say(0, " "), True),
        (grow(0, "novel_delta"), True),
        (grow(0, "text_delta", text="", estimated_tokens=9), True),
        (grow(0, "text_delta", text="", other=9), False),
        (grow(0, "citations_delta", citation={"a": 1}), True),
        (end(0), True),
        (stopping(None), True),
    ],
)
def test_progress_is_what_changes_the_snapshot_and_estimated_tokens(event: Fields, moves: bool) -> None:
    policy = Policy(attempts=1, silence_s=1000, silence_after_pings_s=1000)
    for live in (True, False):  # the usual way, and the one for texts that are being shown
        drive = alone(start(), begin(0), *([say(0, "a")] if live else []), policy=policy).gets(event, after_s=100)
        assert isinstance(drive.wait.deadline, float)  # type: ignore[union-attr]
        assert drive.wait.deadline == (400.0 if moves else 300.0)  # type: ignore[union-attr]


# Bounds.


def test_what_is_held_back_is_bounded() -> None:
    policy = Policy(held_bytes_max=2000)
    drive = Drive(policy=policy).attempt(start(), begin(0, "thinking"))
    while not drive.done:
        drive.gets(grow(0, "thinking_delta", thinking="x" * 100))
    assert (drive.failure.kind, drive.failure.origin) == (Kind.LIMIT, Origin.CLIENT)
    assert len(drive.sent) == 1, "a limit of our own is never tried again"
    assert drive.seen == b""
    free = Drive(policy=policy).attempt(start(), begin(0), *[say(0, "x" * 100)] * 50)
    assert not free.done


def test_a_frame_is_bounded() -> None:
    drive = Drive(policy=Policy(frame_bytes_max=300)).attempt(start()).gets(b"data: " + b"x" * 400)
    assert (drive.failure.kind, drive.failure.origin) == (Kind.LIMIT, Origin.CLIENT)


def test_the_body_of_an_error_is_bounded() -> None:
    drive = Drive(policy=Policy(attempts=1, error_body_bytes_max=100)).opens(500).gets(b"x" * 60).gets(b"y" * 1000)
    assert drive.failure.kind is Kind.SERVER_ERROR
    assert len(str(drive.failure.body)) == 100


# Which dialect.


@pytest.mark.parametrize(
    ("content_type", "begun", "name"),
    [
        ("text/event-stream", b"event: ping", "sse"),
        ("", b"event: ping", "sse"),
        ("text/event-stream; charset=utf-8", b": hello", "sse"),
        ("application/vnd.amazon.eventstream", b"\0\0\1\2", "eventstream"),
        ("", b"\0\0\1\2", "eventstream"),
        ("text/event-stream", b"\0\0\1\2", "eventstream"),
        ("text/event-stream", b" <html>", None),
        ("application/json", b'{"a"', None),
        ("text/event-stream", b"\xef\xbb\xbf[", None),
        ("text/event-stream", b"\xef\xbb\xbfevent", "sse"),
    ],
)
def test_the_first_bytes_count_more_than_the_header(content_type: str, begun: bytes, name: str | None) -> None:
    dialect = dialect_of(content_type, begun, 1000)
    assert (dialect.name if dialect else None) == name


def test_the_dialect_is_found_byte_by_byte_too() -> None:
    for body in (b" \n" + sse(*whole(text(0, "a"))), bedrock(*whole(text(0, "a")))):
        drive = alone()
        for at in range(len(body)):
            if not drive.done:
                drive.gets(body[at : at + 1])
        assert drive.complete
        assert drive.seen == body


def test_an_unbroken_stream_is_handed_on_byte_for_byte() -> None:
    """§4; with thinking, calls, pings, comments and events that nobody knows."""
    body = sse(
        start(),
        PING,
        *thinking(0, "a"),
        *text(1, "b", "c"),
        *call(2, "{", "}"),
        {"type": "novel"},
        stopping("tool_use"),
    )
    body = body + b": a comment\n\n" + sse(STOP)
    for size in (1, 7, 100, len(body)):
        drive = alone()
        for at in range(0, len(body), size):
            drive.gets(body[at : at + size])
        assert drive.complete
        assert drive.seen == body
    padded = b"".join(
        eventstream.encode(
            {":message-type": "event", ":event-type": "chunk"},
            json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abc"}).encode(),
        )
        for event in whole(text(0, "a", "b"))
    )
    drive = alone(padded)
    assert drive.complete
    assert drive.seen == padded


# Holds that go live (the gateway).


def test_a_hold_of_thinking_or_structured_text_ends_by_showing_it_live() -> None:
    drive = Drive(hold_live_after_s=240.0, policy=Policy(silence_s=1000)).attempt(
        start(), thinking(0, "a", closed=False)
    )
    assert drive.seen == b""
    assert drive.wait.wake_at == 240.0  # type: ignore[union-attr]
    drive.gets(grow(0, "thinking_delta", thinking="b"), after_s=100)
    assert drive.wait.wake_at == 240.0  # type: ignore[union-attr]
    drive.wakes()
    assert drive.kinds == ["message_start", "content_block_start"] + ["content_block_delta"] * 3
    drive.gets(grow(0, "thinking_delta", thinking="c"))
    assert drive.kinds.count("content_block_delta") == 4
    drive.breaks()
    assert drive.engine.history.shown_live
    assert "before it was finished" in (drive.engine.history.gave_up or "")
    fields = {"output_config": {"format": {"type": "json_schema"}}}
    structured = Drive(request(**fields), hold_live_after_s=240.0, policy=Policy(silence_s=1000))
    structured.attempt(start(), begin(0), say(0, '{"a')).wakes()
    assert structured.texts == ['{"a']
    structured.gets(say(0, '":1}'), end(0), stopping(), STOP)
    assert structured.complete and structured.texts == ['{"a":1}']
    assert structured.engine.history.shown_live
    assert [fact["fact"] for fact in structured.engine.facts] == ["shown_live"]


def test_a_hold_that_goes_live_hands_everything_on_byte_for_byte() -> None:
    reply = whole(thinking(0, "a", "b"), text(1, "c"))
    drive = Drive(hold_live_after_s=240.0, policy=Policy(silence_s=1000)).attempt(*reply[:3]).wakes()
    assert drive.gets(reply[3:]).complete
    assert drive.seen == sse(*reply)
    assert drive.engine.history.shown_live


def test_a_chunk_after_the_time_ends_the_hold_too() -> None:
    drive = Drive(hold_live_after_s=240.0, policy=Policy(silence_s=1000)).attempt(
        start(), thinking(0, "a", closed=False)
    )
    drive.gets(grow(0, "thinking_delta", thinking="b"), after_s=250)
    assert drive.kinds.count("content_block_delta") == 3


def test_without_a_limit_a_hold_lasts() -> None:
    drive = Drive().attempt(start(), thinking(0, "a", closed=False))
    assert drive.wait.wake_at is None  # type: ignore[union-attr]


def test_a_hold_of_a_call_is_not_said_to_have_been_shown() -> None:
    drive = Drive(hold_live_after_s=240.0).attempt(start(), *call(0, "{}", type="server_tool_use"))
    drive.gets(PING, after_s=250)
    assert drive.seen == b""
    drive.gets(result(1), *text(2, "a"), stopping(), STOP)
    assert not drive.engine.history.shown_live


# An attempt that continues another.

W = "The quick brown fox jumps over the lazy dog and"


def continued(**options: Any) -> Drive:
    return Drive(**options).attempt(start(), begin(0), say(0, W)).breaks()


def test_the_beginning_of_a_continuation_is_held_for_5_s() -> None:
    drive = continued().attempt(start("msg_2"), begin(0), say(0, "Well"))
    assert drive.last == b""
    assert drive.wait.wake_at == 5.0  # type: ignore[union-attr]
    assert drive.wakes().texts == [W + "Well"]


def test_a_continuation_that_stops_wrongly_or_empty_has_failed() -> None:
    compaction = continued().attempt(start("msg_2"), stopping("compaction"), STOP)
    assert (compaction.failure.kind, compaction.failure.phase) == (Kind.LIMIT, Phase.SHOWING)
    empty = continued().attempt(start("msg_2"), stopping(), STOP)
    assert empty.engine.history.attempts[1].failure.kind is Kind.GARBLED  # type: ignore[union-attr]


def test_a_stop_at_max_tokens_is_held_where_it_may_be_continued() -> None:
    drive = Drive(policy=Policy(continue_max_tokens=1)).attempt(start(), *text(0, W), stopping("max_tokens"), STOP)
    assert len(drive.sent) == 2
    assert "message_delta" not in drive.kinds
    assert drive.engine.history.attempts[0].failure is None
    other = Drive(policy=Policy(continue_max_tokens=1)).attempt(start(), *text(0, W), stopping("end_turn"), STOP)
    assert other.complete


def test_a_reply_that_never_ends_is_bounded() -> None:
    drive = Drive(policy=Policy(reply_bytes_max=5000)).attempt(start(), begin(0))
    while not drive.done:
        drive.gets(say(0, "x" * 50))
    assert drive.failure.kind is Kind.LIMIT
    assert len(drive.sent) == 1


def room_of(make: Callable[[], object], count: int = 50) -> float:
    """How many bytes each of so many takes."""
    make()  # what all of them share
    kept: list[object] = [None] * count
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            kept[number] = make()
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()


HEADERS = {"content-type": "text/event-stream", **{f"x-name-{n}": "a value of a response" for n in range(30)}}


def idle(
    *events: Fields, asked: Request, policy: Policy, around: Surroundings, flows: bool = False
) -> tuple[Engine, Flow | None]:
    """An engine in the middle of a text, with nothing around it that streams share."""
    engine = Engine(asked, policy, around, wire=WIRE)
    engine.start(0.0)
    engine.receive(Opened(200, {**HEADERS}), 0.0)
    for event in (start(usage={"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": 0}), begin(0)):
        engine.receive(Received(sse(event)), 0.0)
    for data in map(WIRE.encode, events):
        flow = engine.flow() if flows else None
        if flow is None or not flow.takes(data, 0.0):
            engine.receive(Received(data), 0.0)
    return engine, engine.flow() if flows else None


SHARED: dict[str, Any] = {"asked": Request(request()), "policy": Policy(), "around": Surroundings(lambda: 0.5)}
WIRE = Anthropic()


def test_an_idle_stream_takes_little_room() -> None:
    """In a gateway thousands stand beside each other: the whole of one may take 8 KiB, its sockets included."""
    words = (say(0, "Once upon"), say(0, " a time"), say(0, " there"))
    assert room_of(lambda: idle(*words, **SHARED)) < 3300
    assert room_of(lambda: idle(*words, **SHARED, flows=True)) < 3600


@pytest.mark.parametrize("flows", [False, True])
def test_a_long_reply_takes_little_more_room_than_its_text(flows: bool) -> None:
    words = [say(0, f" and then he said {n:04}") for n in range(1000)]
    engine, _ = idle(*words, **SHARED, flows=flows)
    assert engine.snapshot()["content"][0]["text"] == "".join(word["delta"]["text"] for word in words)
    chars = sum(len(word["delta"]["text"]) for word in words)
    long, none = (room_of(lambda said=said: idle(*said, **SHARED, flows=flows), 5) for said in (words, ()))
    assert long - none < 1.3 * chars


def test_a_continuation_takes_little_more_room_than_its_text() -> None:
    def drive(count: int) -> Drive:
        drive = continued()
        drive.attempt(start("msg_2"), begin(0), say(0, drive.element()))
        for number in range(count):
            drive.gets(say(0, f" and then he said {number:04}"))
        drive.seen, drive.last, drive.given = b"", b"", []
        return drive

    assert drive(3).engine.snapshot()["content"][0]["text"].endswith("said 0002")
    # Twice: as the attempt's own and as what the consumer has.
    assert room_of(lambda: drive(1000), 5) - room_of(lambda: drive(100), 5) < 2 * 1.3 * 22 * 900


def test_a_continuation_in_another_framing_is_not_the_protocol() -> None:
    drive = continued().attempt(bedrock(start(), *text(0, "a")))
    failure = drive.engine.history.attempts[1].failure
    assert failure is not None and failure.kind is Kind.GARBLED
    assert drive.texts == [W]


@pytest.mark.parametrize("last", [say(0, ""), end(0), PING, grow(0, "text_delta", text="d", novel=1), say(1, "x")])
def test_a_chunk_of_deltas_and_something_else_is_read_to_its_end(last: Fields) -> None:
    drive = alone(start(), begin(0), say(0, "a")).gets(say(0, "b"), say(0, "c"), last, after_s=10)
    assert drive.texts == ["abc" + last.get("delta", {}).get("text", "").removeprefix("x")]
    if last.get("index") == 1:
        assert drive.failure.kind is Kind.GARBLED
    else:
        assert drive.wait.deadline == 190.0  # type: ignore[union-attr]


def test_a_chunk_of_empty_deltas_is_heard_and_no_progress() -> None:
    drive = alone(start(), begin(0), say(0, "a"), policy=Policy(attempts=1, silence_s=1000))
    assert drive.gets(say(0, ""), after_s=10).wait.deadline == 300.0  # type: ignore[union-attr]
    assert drive.gets(say(0, "b"), after_s=10).wait.deadline == 320.0  # type: ignore[union-attr]


@pytest.mark.parametrize("blank", [b"", b" "])
def test_a_byte_order_mark_in_pieces_decides_nothing(blank: bytes) -> None:
    drive = alone()
    for piece in (b"\xef", b"\xbb", b"\xbf", *([blank] if blank else []), b"{"):
        drive.gets(piece)
    assert drive.ends().failure.kind is Kind.GARBLED
    good = alone()
    for piece in (b"\xef", b"\xbb\xbf", sse(*whole(text(0, "a")))):
        good.gets(piece)
    assert good.complete
