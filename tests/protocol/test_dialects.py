"""Frames to events: what arrived, in every spelling, in any chunking, and whatever else was sent instead."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.protocol import eventstream
from midstream.protocol.dialects import Anthropic, Bedrock, Dialect, dump, parse
from midstream.protocol.events import (
    BlockGrew,
    BlockStarted,
    BlockStopped,
    ErrorReported,
    Event,
    MessageStarted,
    MessageStopped,
    MessageStopping,
    Pinged,
    Unreadable,
    Unrecognised,
)
from tests.shared_data import Capture, captures, parameters, require
from tests.wire import PING, STOP, begin, call, end, grow, say, sse, start, stopping, text, whole

Fields = dict[str, Any]
LINE = b"event: content_block_delta\ndata: "


def chunk(fields: Fields | bytes, **more: Any) -> bytes:
    data = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return frame({":message-type": "event", ":event-type": "chunk"}, {"bytes": base64.b64encode(data).decode(), **more})


def frame(headers: dict[str, str], payload: Fields | bytes) -> bytes:
    return eventstream.encode(headers, payload if isinstance(payload, bytes) else json.dumps(payload).encode())


def one(data: bytes, dialect: Dialect | None = None) -> Event | Unreadable:
    events = (dialect or Anthropic()).receive(data)
    assert len(events) == 1, events
    return events[0]


def raws(events: list[Event | Unreadable]) -> bytes:
    return b"".join(event.raw for event in events if not isinstance(event, Unreadable))


EVENTS = [
    pytest.param(start(), MessageStarted, {"message": start()["message"]}, id="message_start"),
    pytest.param(begin(3, "novel", a=1), BlockStarted, {"index": 3, "block": {"type": "novel", "a": 1}}, id="start"),
    pytest.param(say(1, 'a\n"é'), BlockGrew, {"index": 1, "kind": "text_delta", "value": 'a\n"é'}, id="text"),
    pytest.param(
        grow(0, "input_json_delta", partial_json='{"a"'),
        BlockGrew,
        {"kind": "input_json_delta", "value": '{"a"'},
        id="json",
    ),
    pytest.param(
        grow(0, "thinking_delta", thinking="hm"), BlockGrew, {"kind": "thinking_delta", "value": "hm"}, id="thinking"
    ),
    pytest.param(
        grow(0, "signature_delta", signature="s"), BlockGrew, {"kind": "signature_delta", "value": "s"}, id="signature"
    ),
    pytest.param(
        grow(0, "citations_delta", citation={"type": "x"}),
        BlockGrew,
        {"value": {"type": "x"}, "fields": None},
        id="citation",
    ),
    pytest.param(
        grow(0, "compaction_delta", content="c"),
        BlockGrew,
        {"kind": "compaction_delta", "value": {"type": "compaction_delta", "content": "c"}},
        id="compaction",
    ),
    pytest.param(
        grow(0, "sparkle_delta", shine=1),
        BlockGrew,
        {"value": {"type": "sparkle_delta", "shine": 1}, "fields": grow(0, "sparkle_delta", shine=1)},
        id="a delta nobody knows",
    ),
    pytest.param(
        grow(0, "thinking_delta", thinking="", estimated_tokens=50),
        BlockGrew,
        {"value": "", "fields": grow(0, "thinking_delta", thinking="", estimated_tokens=50)},
        id="a delta with a field more",
    ),
    pytest.param({**say(0, "a"), "new": 1}, BlockGrew, {"value": "a", "fields": {**say(0, "a"), "new": 1}}, id="more"),
    pytest.param({**end(2), "new": 1}, BlockStopped, {"index": 2, "fields": {**end(2), "new": 1}}, id="stop"),
    pytest.param(
        stopping("refusal"),
        MessageStopping,
        {"delta": stopping("refusal")["delta"], "usage": {"output_tokens": 9}},
        id="delta",
    ),
    pytest.param({"type": "message_delta", "delta": {}, "usage": 3}, MessageStopping, {"usage": None}, id="odd usage"),
    pytest.param({**STOP, "metrics": 1}, MessageStopped, {"fields": {**STOP, "metrics": 1}}, id="message_stop"),
    pytest.param(PING, Pinged, {}, id="ping"),
    pytest.param({"type": "error", "error": {"type": "x"}}, ErrorReported, {"exception": None}, id="error"),
    pytest.param({"type": "novel_event", "a": 1}, Unrecognised, {"name": "novel_event"}, id="an event nobody knows"),
]


@pytest.mark.parametrize(("fields", "type", "values"), EVENTS)
@pytest.mark.parametrize("wire", ["sse", "bedrock"])
def test_every_event_is_read_and_keeps_its_bytes(wire: str, fields: Fields, type: type, values: Fields) -> None:
    data, dialect = (sse(fields), Anthropic()) if wire == "sse" else (chunk(fields), Bedrock())
    event = one(data, dialect)
    assert isinstance(event, type)
    assert {name: getattr(event, name) for name in values} == values
    assert event.raw == data  # type: ignore[attr-defined]


def spelt(name: str | None, fields: Fields | bytes) -> bytes:
    data = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return (b"" if name is None else b"event: " + name.encode() + b"\n") + b"data: " + data + b"\n\n"


@pytest.mark.parametrize("name", [None, "", "message", "content_block_stop", "ping", "completion", "error"])
@pytest.mark.parametrize("fields", [say(0, "a"), PING, STOP, start()], ids=lambda fields: fields["type"])
def test_the_object_s_own_type_decides_and_the_frame_then_says_it_too(name: str | None, fields: Fields) -> None:
    """The SDK passes over frames whose name is missing: what is handed on has the name that the object says."""
    if name == fields["type"]:
        return
    event = one(spelt(name, fields))
    assert not isinstance(event, Unreadable)
    assert event.raw == spelt(fields["type"], fields)
    assert type(event) is type(one(sse(fields)))


ERRORS = [
    pytest.param(spelt("error", {"type": "error", "error": {"type": "overloaded_error"}}), id="error event"),
    pytest.param(spelt("content_block_delta", {"type": "error", "error": {}}), id="under another name"),
    pytest.param(spelt(None, {"error": {"message": "x"}}), id="untyped, an error"),
    pytest.param(spelt("message", {"message": "Too many"}), id="untyped, a message"),
    pytest.param(spelt(None, {"Message": "Too many"}), id="untyped, as AWS spells it"),
    pytest.param(spelt("error", {"detail": "x"}), id="by its name alone"),
    pytest.param(
        spelt("error", {"type": "overloaded_error", "message": "x"}), id="by its name, with a type of its own"
    ),
    pytest.param(spelt(None, {"type": None, "error": "x"}), id="a type that is null"),
]


@pytest.mark.parametrize("data", ERRORS)
def test_errors_are_found_whatever_the_event_line_says(data: bytes) -> None:
    event = one(data)
    assert isinstance(event, ErrorReported)
    assert event.raw == data
    assert event.fields


def test_an_error_event_that_is_no_json_is_an_error_with_its_words() -> None:
    event = one(spelt("error", b"upstream connect error"))
    assert isinstance(event, ErrorReported)
    assert event.fields["error"]["message"] == "upstream connect error"


@pytest.mark.parametrize(
    ("data", "type"),
    [
        (spelt(None, b"[DONE]"), Unrecognised),
        (spelt("ping", b""), Pinged),
        (spelt("ping", b"now"), Pinged),
        (spelt("ping", {}), Pinged),
        (spelt("keepalive", b""), Unrecognised),
        (spelt("novel", {"a": 1}), Unrecognised),
        (spelt("novel", {"type": 3}), Unrecognised),
        (spelt("content_block_delta", {"type": "novel", "message": "not an error"}), Unrecognised),
        (b": keep-alive\n\n", Unrecognised),
        (b"retry: 3000\n\n", Unrecognised),
        (b"\n\n", Unrecognised),
    ],
)
def test_noise_keeps_its_place_and_its_bytes(data: bytes, type: type) -> None:
    event = one(data)
    assert isinstance(event, type)
    assert event.raw == data  # type: ignore[attr-defined]


UNREADABLE = [
    pytest.param(spelt("content_block_delta", b'{"type":"content_block_delta","index":0'), id="half a JSON"),
    pytest.param(spelt("content_block_delta", b"text"), id="no JSON"),
    pytest.param(spelt("message_start", b"[1]"), id="no object"),
    pytest.param(spelt(None, b"null"), id="null"),
    pytest.param(spelt(None, b"\xff\xfe"), id="no UTF-8"),
    pytest.param(spelt(None, b"[" * 100_000), id="deeper than anybody reads"),
    pytest.param(sse({"type": "message_start"}), id="message_start without a message"),
    pytest.param(sse({"type": "message_start", "message": []}), id="a message that is a list"),
    pytest.param(sse(start(content="text")), id="content that is a text"),
    pytest.param(sse(start(content=[{"text": "a"}])), id="content without a type"),
    pytest.param(sse(start(content=["a"])), id="content without blocks"),
    pytest.param(sse({"type": "content_block_start", "index": 0}), id="no block"),
    pytest.param(
        sse({"type": "content_block_start", "index": True, "content_block": {"type": "text"}}), id="an index of true"
    ),
    pytest.param(sse({"type": "content_block_start", "index": 0, "content_block": {"type": 7}}), id="a type of 7"),
    pytest.param(sse({"type": "content_block_delta", "index": 0}), id="no delta"),
    pytest.param(sse({"type": "content_block_delta", "index": "0", "delta": {"type": "x"}}), id="an index in quotes"),
    pytest.param(sse({"type": "content_block_delta", "index": 0, "delta": {}}), id="a delta without a type"),
    pytest.param(sse(grow(0, "text_delta")), id="a text_delta without a text"),
    pytest.param(sse(grow(0, "text_delta", text=None)), id="a text of null"),
    pytest.param(sse(grow(0, "citations_delta", citation="x")), id="a citation that is a text"),
    pytest.param(sse({"type": "content_block_stop"}), id="a stop of nothing"),
    pytest.param(sse({"type": "message_delta"}), id="no delta in message_delta"),
    pytest.param(sse(stopping(7)), id="a stop reason of 7"),  # type: ignore[arg-type]
    pytest.param(b"<html>\n\n", id="a page"),
    pytest.param(b'{"a":\n\n', id="a document"),
]


@pytest.mark.parametrize("data", UNREADABLE)
def test_what_is_not_the_protocol_is_a_value_and_the_last_word(data: bytes) -> None:
    events = Anthropic().receive(sse(PING) + data + sse(PING))
    assert isinstance(events[0], Pinged)
    assert isinstance(events[1], Unreadable)
    assert not events[1].too_large
    assert len(events) == 2


def test_a_frame_over_the_bound_is_told_apart() -> None:
    assert one(b"data: " + b"x" * 200, Anthropic(frame_bytes_max=100)) == Unreadable(
        "a frame of at least 206 bytes is over the limit of 100 bytes", too_large=True
    )
    last = Bedrock(frame_bytes_max=100).receive(chunk(say(0, "x" * 200)))[-1]
    assert isinstance(last, Unreadable) and last.too_large


# The common delta, and everything that only looks like it.

COMMON = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%s}%s}'


def common(text: bytes, blanks: bytes = b"") -> bytes:
    return LINE + COMMON % (text, blanks) + b"\n\n"


@pytest.mark.parametrize(
    ("second", "value"),
    [
        pytest.param(common(b'"b"'), "b", id="the same"),
        pytest.param(common(b'"b"', b" " * 20), "b", id="padded with blanks"),
        pytest.param(common(b'"b"', b" " * 200), "b", id="padded with more blanks than usual"),
        pytest.param(common(b'"a\\"}}\\n\\u00e9\xc3\xa9"'), 'a"}}\néé', id="escapes"),
        pytest.param(common(b'"\\ud83d\\ude00"'), "😀", id="a pair of surrogates"),
        pytest.param(common(b'"\\ud83d"'), "\ud83d", id="half a pair"),
        pytest.param(common(b'"b","more":"c"'), "b", id="a field more in the delta"),
        pytest.param(common(b'"b"', b',"more":"c"'), "b", id="a field more"),
        pytest.param(common(b'"b"').replace(b'"index":0', b'"index":1'), "b", id="another block"),
        pytest.param(
            LINE + b'{"index":0,"type":"content_block_delta","delta":{"text":"b","type":"text_delta"}}\n\n',
            "b",
            id="another order",
        ),
        pytest.param(common(b'""'), "", id="empty"),
    ],
)
def test_the_second_delta_is_read_as_the_first_was(second: bytes, value: str) -> None:
    dialect = Anthropic()
    one(common(b'"a"'), dialect)
    learned = one(second, dialect)
    assert isinstance(learned, BlockGrew)
    assert (learned.value, learned.raw) == (value, second)
    assert learned == one(second)


def test_what_only_begins_like_a_delta_is_unreadable_after_one_too() -> None:
    for data in (
        common(b'"a'),
        common(b'"\xff"'),
        common(b"7"),
        common(b'"b" "c"'),
        common(b'"a\x01"')[:-1] + b'"\n\n',
    ):
        dialect = Anthropic()
        one(common(b'"a"'), dialect)
        assert type(dialect.receive(data)[-1]) is type(Anthropic().receive(data)[-1])


# The end of the input.


@pytest.mark.parametrize(
    ("left", "type"),
    [
        (sse(STOP)[:-2], MessageStopped),
        (sse(STOP)[:-1], MessageStopped),
        (sse(say(0, "a"))[:-2], BlockGrew),
        (spelt("error", {"type": "error"})[:-2], ErrorReported),
    ],
)
def test_a_whole_frame_at_the_end_lacks_its_blank_line_only(left: bytes, type: type) -> None:
    dialect = Anthropic()
    assert dialect.receive(left) == []
    assert dialect.pending == left
    [event] = dialect.end()
    assert isinstance(event, type)
    assert event.raw == left.rstrip(b"\n") + b"\n\n"  # type: ignore[attr-defined]


HALVES = [b"", sse(STOP)[:-4], b"event: message_stop", b": comment", b"data: [DONE]", spelt("novel", {})[:-2]]
# An error or a ping by its name alone is believed only where its blank line says that it is all.
HALVES += [b'event: ping\ndata: {"ty', b'event: error\ndata: {"type":"error","error":{"type":"invalid_reque']


@pytest.mark.parametrize("left", HALVES)
def test_half_a_frame_at_the_end_is_nothing(left: bytes) -> None:
    dialect = Anthropic()
    assert dialect.receive(left) == []
    assert dialect.end() == []


# Bedrock.


def test_the_padding_of_a_chunk_is_ignored() -> None:
    event = one(chunk(say(0, "a"), p="abcdefghijklmnop"), Bedrock())
    assert isinstance(event, BlockGrew) and event.value == "a"


def test_invocation_metrics_are_kept_wherever_they_stand() -> None:
    metrics = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}}
    event = one(chunk({**STOP, **metrics}), Bedrock())
    assert isinstance(event, MessageStopped) and event.fields == {**STOP, **metrics}
    assert isinstance(one(chunk(metrics), Bedrock()), Unrecognised)


@pytest.mark.parametrize(
    ("data", "fields", "exception", "payload"),
    [
        pytest.param(
            chunk({"type": "error", "error": {"type": "x"}}),
            {"type": "error", "error": {"type": "x"}},
            None,
            b"",
            id="in band",
        ),
        pytest.param(
            chunk({"message": "Too many tokens"}), {"message": "Too many tokens"}, None, b"", id="in band, untyped"
        ),
        pytest.param(
            frame({":message-type": "event", ":event-type": "chunk"}, {"message": "no"}),
            {"message": "no"},
            None,
            b"",
            id="instead of a chunk",
        ),
        pytest.param(
            frame({":message-type": "event", ":event-type": "fault"}, {"error": "no"}),
            {"error": "no"},
            None,
            b"",
            id="another event",
        ),
        pytest.param(
            frame({":message-type": "exception", ":exception-type": "throttlingException"}, b'{"message":"slow"}'),
            {},
            "throttlingException",
            b'{"message":"slow"}',
            id="exception frame",
        ),
        pytest.param(
            frame({":message-type": "error", ":error-code": "InternalFailure", ":error-message": "sorry"}, b""),
            {"message": "sorry"},
            "InternalFailure",
            b"",
            id="error frame",
        ),
        pytest.param(frame({":message-type": "exception"}, b""), {}, "unknown", b"", id="an exception without a name"),
    ],
)
def test_bedrock_s_errors_are_reported(data: bytes, fields: Fields, exception: str | None, payload: bytes) -> None:
    assert one(data, Bedrock()) == ErrorReported(fields, data, exception, payload)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(frame({":message-type": "event", ":event-type": "chunk"}, {"bytes": "%"}), id="no base64"),
        pytest.param(frame({":message-type": "event", ":event-type": "chunk"}, {"p": "abc"}), id="no bytes"),
        pytest.param(frame({":message-type": "event", ":event-type": "chunk"}, b"\xff"), id="no JSON"),
        pytest.param(chunk(b"text"), id="no JSON inside"),
        pytest.param(frame({":message-type": "novel"}, b""), id="a kind of message that nobody knows"),
        pytest.param(frame({}, b""), id="no kind"),
        pytest.param(chunk(PING)[:-1] + b"\0", id="a wrong checksum"),
    ],
)
def test_what_is_no_chunk_is_a_value_and_the_last_word(data: bytes) -> None:
    events = Bedrock().receive(chunk(PING) + data + chunk(PING))
    assert isinstance(events[0], Pinged)
    assert isinstance(events[1], Unreadable) and not events[1].too_large
    assert len(events) == 2


def test_an_event_that_bedrock_does_not_have_yet_is_noise() -> None:
    data = frame({":message-type": "event", ":event-type": "metadata"}, {"a": 1})
    assert one(data, Bedrock()) == Unrecognised("metadata", data)


def test_half_a_message_of_bedrock_is_pending_and_worth_nothing() -> None:
    dialect = Bedrock()
    half = chunk(STOP)[:-1]
    assert dialect.receive(half) == []
    assert dialect.pending == half
    assert dialect.end() == []


# Back to bytes, and in any chunking.

REPLY = whole(text(0, "Hello, ", "wörld\r\n😀"), call(1, '{"a', '": 1}'), [PING], reason="tool_use")


@pytest.mark.parametrize("dialect", [Anthropic, Bedrock])
def test_what_a_dialect_writes_it_reads(dialect: type[Anthropic] | type[Bedrock]) -> None:
    for fields in [*REPLY, {"type": "error", "error": {"message": "\ud800"}}]:
        data = dialect().encode(fields)
        event = one(data, dialect())
        assert not isinstance(event, Unreadable | Unrecognised)
        assert event.raw == data
    assert dialect().name in ("sse", "eventstream")


def bodies() -> dict[str, tuple[type[Dialect], bytes]]:
    noisy = b"\xef\xbb\xbf: hello\n\n" + sse(*REPLY) + b"data: [DONE]\n\n" + sse(STOP)[:-2]
    return {
        "sse": (Anthropic, noisy),
        "crlf": (Anthropic, noisy.replace(b"\n", b"\r\n")),
        "cr": (Anthropic, noisy.replace(b"\n", b"\r")),
        "bedrock": (Bedrock, b"".join(chunk(fields, p="x" * 9) for fields in REPLY) + chunk(STOP)[:20]),
        "unreadable": (Anthropic, sse(*REPLY[:3]) + b"data: {\n\n" + sse(*REPLY[3:])),
    }


def heard(dialect: Dialect, pieces: list[bytes]) -> list[Event | Unreadable]:
    events: list[Event | Unreadable] = []
    for piece in pieces:
        events += dialect.receive(piece)
        if events and isinstance(events[-1], Unreadable):
            return events
    return events + dialect.end()


def told(events: list[Event | Unreadable]) -> tuple[bytes, list[object]]:
    """All bytes, and all that was said. A line end that came in two chunks may end one frame or stand by itself."""
    said = [
        e if isinstance(e, Unreadable) else (type(e), getattr(e, "fields", None), getattr(e, "value", None))
        for e in events
    ]
    return raws(events), [one for one, event in zip(said, events, strict=True) if not isinstance(event, Unrecognised)]


@pytest.mark.parametrize("name", bodies())
def test_any_chunking_gives_the_same_events(name: str) -> None:
    kind, body = bodies()[name]
    expected = told(heard(kind(), [body]))
    assert len(expected[1]) > 3
    assert told(heard(kind(), [body[at : at + 1] for at in range(len(body))])) == expected
    for cut in range(1, len(body)):
        assert told(heard(kind(), [body[:cut], body[cut:]])) == expected


@pytest.mark.parametrize("name", ["sse", "crlf", "bedrock"])
def test_every_byte_is_handed_on(name: str) -> None:
    kind, body = bodies()[name]
    dialect = kind()
    assert raws(dialect.receive(body)) + dialect.pending == body


@pytest.mark.shared
@pytest.mark.parametrize("capture", parameters([c for c in captures() if c.claude]))
def test_a_recorded_stream_is_read_without_a_rest_and_handed_on_as_it_came(capture: Capture | None) -> None:
    require()
    assert capture is not None
    dialect: Dialect = Anthropic() if capture.protocol == "sse" else Bedrock()
    body = capture.body
    events = dialect.receive(body)
    if not isinstance(events[-1], Unreadable):
        named = [e for e in events if not isinstance(e, Unreadable)]
        if len(raws(events)) + len(dialect.pending) == len(body):
            assert raws(events) + dialect.pending == body
        else:  # frames without a name have been given theirs
            assert b"\n\ndata:" in body or body.startswith(b"data:")
        assert named


NAMES = st.sampled_from(["type", "index", "delta", "message", "content", "text", "error", "usage", "stop_reason", "x"])
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
TYPES = st.sampled_from([*(str(p.values[0]["type"]) for p in EVENTS), "text_delta", "text"])


@given(fields=st.dictionaries(NAMES, JSONS | TYPES, max_size=5), type=TYPES | st.none(), name=TYPES | st.none())
@settings(max_examples=300, deadline=None)
def test_no_object_at_all_makes_a_dialect_raise(fields: Fields, type: str | None, name: str | None) -> None:
    whole = {**fields, "type": type} if type else fields
    assert len(Anthropic().receive(spelt(name, whole))) == 1
    assert len(Bedrock().receive(chunk(whole))) == 1


@given(data=st.binary(max_size=200), begin=st.sampled_from([b"", LINE, b"data: {", common(b'"a"')]))
@settings(max_examples=300, deadline=None)
def test_no_bytes_at_all_make_a_dialect_raise(data: bytes, begin: bytes) -> None:
    for dialect in (Anthropic(), Bedrock()):
        heard(dialect, [begin + data])


@pytest.mark.parametrize(
    ("data", "value"),
    [(b'{"a": 1}', {"a": 1}), (b'"\\ud800"', "\ud800"), (b"[NaN]", None), (b"12", 12)],
)
def test_json_is_read_as_the_sdk_reads_it(data: bytes, value: object) -> None:
    assert parse(data) == value or data == b"[NaN]"
    assert not isinstance(parse(data), Unreadable)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_a_value(data: bytes) -> None:
    assert isinstance(parse(data), Unreadable)


def test_lone_surrogates_are_escaped() -> None:
    assert dump({"a": "\ud800"}) == b'{"a":"\\ud800"}'
    assert dump({"a": "é"}) == '{"a":"é"}'.encode()
    assert dump({"a": "\ud800", "b": b"\xff"}) == b'{"a":"\\ud800","b":"/w=="}' and dump(b"\xff") == b'"/w=="'


@pytest.mark.parametrize("data", [b'{"a":null,"b":[1e999,-1e999,{"c":NaN}],"d":1.5}', b"1e999", b"NaN", b'{"a":null}'])
def test_numbers_that_no_float_can_hold_leave_as_they_came(data: bytes) -> None:
    assert dump(parse(data), exactly=True) == data
    assert b"1e999" not in dump(parse(data)) and b"NaN" not in dump(parse(data))


@pytest.mark.parametrize("make", [Anthropic, Bedrock])
def test_an_event_that_is_written_anew_keeps_numbers_that_no_float_can_hold(make: type[Anthropic | Bedrock]) -> None:
    fields = {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": float("inf")}}
    (event,) = make().receive(make().encode(fields))
    assert isinstance(event, MessageStopping) and event.fields == fields


def nested(depth: int) -> bytes:
    inner = "[" * depth + "]" * depth
    return f'{{"type":"content_block_delta","index":0,"delta":{{"type":"novel","x":{inner}}}}}'.encode()


def test_data_that_nest_deeper_than_anybody_means_are_unreadable() -> None:
    assert isinstance(one(spelt("content_block_delta", nested(150))), BlockGrew)
    assert isinstance(one(spelt("content_block_delta", nested(250))), Unreadable)
    assert isinstance(one(sse(say(0, "[" * 1000))), BlockGrew), "brackets in a text are no nesting"


def test_bedrock_s_usual_chunk_is_read_as_the_first_was() -> None:
    dialect = Bedrock()
    pieces = [
        say(0, "a"),
        say(0, "b"),
        say(1, "c"),
        say(1, 'd"é'),
        {**say(1, "e"), "new": 1},
        grow(1, "text_delta", text=""),
    ]
    for fields in pieces:
        for more in ({}, {"p": "abcdefgh"}):
            data = chunk(json.dumps(fields, separators=(",", ":")).encode(), **more)
            learned = one(data, dialect)
            assert learned == one(data, Bedrock())
            assert isinstance(learned, BlockGrew)
            assert (learned.value, learned.raw) == (fields["delta"]["text"], data)
    for wrong in (b'{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a}}', b"%"):
        assert isinstance(one(chunk(wrong), dialect), Unreadable)
