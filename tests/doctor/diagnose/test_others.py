"""Streams of other APIs end where their own last event stands."""

import json
from typing import Any

import pytest

from midstream.doctor.diagnose.others import METRICS, Other, fields_of, other_of
from midstream.faults.wire import chunk, dumps, message
from midstream.protocol.dialects import Anthropic, Bedrock
from midstream.protocol.events import Unrecognised
from tests.wire import PING, sse


def converse(name: str, **fields: Any) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, json.dumps({"p": "abc", **fields}).encode())


def completion(text: str, reason: str | None = None) -> dict[str, Any]:
    return {"type": "completion", "completion": text, "stop_reason": reason, "model": "claude-2.1"}


CONVERSE = [
    converse("messageStart", role="assistant"),
    converse("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hello"}),
    converse("contentBlockStop", contentBlockIndex=0),
    converse("contentBlockStart", contentBlockIndex=1, start={"toolUse": {"name": "look", "toolUseId": "t"}}),
    converse("contentBlockDelta", contentBlockIndex=1, delta={"toolUse": {"input": '{"a"'}}),
    converse("contentBlockStop", contentBlockIndex=1),
    converse("messageStop", stopReason="tool_use"),
    converse("metadata", usage={}),
]
NOVA = [
    chunk(dumps({"messageStart": {"role": "assistant"}})),
    chunk(dumps({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hi"}}})),
    chunk(dumps({"messageStop": {"stopReason": "end_turn"}})),
    chunk(dumps({"metadata": {}, METRICS: {}})),
]
TITAN = [chunk(dumps({"outputText": "Hello"})), chunk(dumps({"outputText": "", METRICS: {}}))]
OLD = [chunk(dumps(completion("Hello"))), chunk(dumps(completion("", "stop_sequence") | {METRICS: {}}))]


def follow(raws: list[bytes], *, is_sse: bool = False) -> Other:
    other: Other | None = None
    dialect = Anthropic() if is_sse else Bedrock()
    for raw in raws:
        for event in dialect.receive(raw):
            if isinstance(event, Unrecognised):
                other = other or other_of(event)
                assert other is not None
                other.take(event.name, fields_of(event), 0)
    assert other is not None
    return other


@pytest.mark.parametrize(
    ("raws", "protocol", "settled_at"),
    [
        (CONVERSE, "Bedrock Converse", 7),
        (NOVA, "events as in Converse", 3),
        (TITAN, "another model", 2),
        (OLD, "legacy text completions", 2),
    ],
)
def test_it_is_over_with_its_own_last_event_and_not_before(raws: list[bytes], protocol: str, settled_at: int) -> None:
    for count in range(1, len(raws) + 1):
        other = follow(raws[:count])
        assert protocol in other.protocol
        assert other.ended == (count == len(raws))
        assert other.settled == (count >= settled_at)
        assert other.ended or other.missing


def test_the_blocks_of_converse_are_known() -> None:
    other = follow(CONVERSE[:5])
    assert [(block.type, block.name, block.chars, block.closed) for block in other.blocks] == [
        ("text", "", 5, True),
        ("toolUse", "look", 4, False),
    ]
    assert other.open is other.blocks[1] and other.missing == "messageStop"
    assert follow(CONVERSE[:7]).missing == "metadata" and follow(CONVERSE[:7]).stop_reason == "tool_use"


def test_a_completion_over_server_sent_events_ends_with_its_stop_reason() -> None:
    half = follow([sse(completion("Hel"))], is_sse=True)
    assert not half.settled and half.blocks[0].chars == 3 and half.model == "claude-2.1"
    assert follow([sse(completion("Hel"), completion("lo", "max_tokens"))], is_sse=True).ended


@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        ({"object": "chat.completion.chunk", "choices": []}, "OpenAI chat completions"),
        ({"type": "response.created"}, "OpenAI responses"),
        ({"candidates": []}, "Gemini"),
    ],
)
def test_other_services_are_named(data: dict[str, Any], protocol: str) -> None:
    raw = b"data: " + json.dumps(data).encode() + b"\n\n"
    assert follow([raw], is_sse=True).protocol == protocol


def test_a_stream_of_no_known_api_says_nothing_of_its_own() -> None:
    other = Other()
    assert not other.settled and other.missing
    with pytest.raises(NotImplementedError):
        other.take("x", {}, 0)


@pytest.mark.parametrize("raw", [message({":event-type": "chunk"}, b'{"bytes": "a"}'), b"\0\0\0\x10" + b"\0" * 12])
def test_a_damaged_event_has_no_fields(raw: bytes) -> None:
    assert fields_of(Unrecognised("chunk", raw)) == {}


def test_noise_is_no_other_stream() -> None:
    (event,) = Anthropic().receive(b'event: future\ndata: {"type": "future"}\n\n')
    assert isinstance(event, Unrecognised) and other_of(event) is None
    assert not [event for event in Anthropic().receive(sse(PING)) if isinstance(event, Unrecognised)]


@pytest.mark.parametrize(
    "raw", [b"data: 5\n\n", b": x\n\n", b"\0\0", chunk(b"[]"), message({":event-type": "x"}, b"\xff")]
)
def test_an_event_without_an_object_has_no_fields(raw: bytes) -> None:
    assert fields_of(Unrecognised("x", raw)) == {}


@pytest.mark.parametrize(
    "fields", [{"contentBlockIndex": "x"}, {"contentBlockIndex": 0, "delta": 5}, {"start": []}, {}]
)
@pytest.mark.parametrize("name", ["contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop"])
def test_odd_values_are_passed_over(name: str, fields: dict[str, Any]) -> None:
    other = follow(CONVERSE[:1])
    other.take(name, fields, 0)
    assert not other.ended
