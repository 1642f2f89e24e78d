"""The framing of an event is known by its bytes, and what it says can be put into the other."""

from typing import Any

import pytest

from midstream.protocol import eventstream
from midstream.protocol.dialects import Anthropic, Bedrock, Dialect
from midstream.protocol.events import Event, Unreadable, Unrecognised
from midstream.protocol.framing import fields_of, is_sse

EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_1", "content": [], "novel": 1}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 'a\n"é\U0001f600'}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a", "novel": 1}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": {"a": 1}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "novel_delta", "b": [1]}},
    {"type": "content_block_stop", "index": 0, "novel": True},
    {"type": "ping"},
    {"type": "aurora", "colour": "green"},
    {"type": "error", "error": {"type": "api_error", "message": "m"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]
DIALECTS: list[type[Anthropic] | type[Bedrock]] = [Anthropic, Bedrock]


def read(dialect: Dialect, data: bytes) -> list[Event]:
    events = dialect.receive(data)
    return [event for event in events if not isinstance(event, Unreadable)]


@pytest.mark.parametrize("one", DIALECTS)
@pytest.mark.parametrize("other", DIALECTS)
def test_what_an_event_says_is_the_same_in_the_other_framing(one: Any, other: Any) -> None:
    came = read(one(), b"".join(one().encode(fields) for fields in EVENTS))
    assert [fields_of(event) for event in came] == EVENTS
    put = b"".join(other().encode(fields_of(event)) for event in came)
    assert [fields_of(event) for event in read(other(), put)] == EVENTS


@pytest.mark.parametrize("fields", EVENTS)
def test_the_framing_is_known_by_the_bytes(fields: dict[str, Any]) -> None:
    assert is_sse(Anthropic().encode(fields))
    assert not is_sse(Bedrock().encode(fields))
    assert is_sse(b"id: 7\n" + Anthropic().encode(fields))


@pytest.mark.parametrize("raw", [b": a comment\n\n", b"\n\n", b"\0\0\0\x0crubbish", b"\1\n\n"])
def test_what_begins_like_a_length_without_having_it_is_text(raw: bytes) -> None:
    assert is_sse(raw)


@pytest.mark.parametrize(
    "event",
    [
        Unrecognised("", b": a comment\n\n"),
        Unrecognised("novel", b"event: novel\n\n"),
        Unrecognised("novel", b"event: novel\ndata: [DONE]\n\n"),
        Unrecognised("novel", b'event: novel\ndata: {"a":1}\n\n'),
        Unrecognised("novel", b"event: novel\ndata: [1]\n\n"),
        Unrecognised("meta", eventstream.encode({":message-type": "event", ":event-type": "meta"}, b'{"a":1}')),
        Unrecognised("meta", eventstream.encode({":message-type": "event", ":event-type": "meta"}, b'{"bytes":"%"}')),
        Unrecognised("meta", eventstream.encode({":message-type": "event", ":event-type": "meta"}, b"")),
        Unrecognised("meta", eventstream.encode({":message-type": "event", ":event-type": "meta"}, b'{"bytes":"a"}')),
        Unrecognised("meta", b"\0\0\0\x10" + bytes(12)),
    ],
)
def test_a_comment_and_data_without_a_type_are_nothing_in_the_other(event: Unrecognised) -> None:
    assert fields_of(event) is None


def test_an_unknown_event_of_the_event_stream_keeps_what_it_says() -> None:
    raw = eventstream.encode({":message-type": "event", ":event-type": "meta"}, b'{"type":"meta","a":1}')
    assert fields_of(Unrecognised("meta", raw)) == {"type": "meta", "a": 1}
