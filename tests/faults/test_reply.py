"""A reply is its events, on either wire, and what they add up to."""

import io
import json

import anthropic
import httpx2
import pytest

from midstream.faults.reply import REPLY_NAMES, Reply
from midstream.faults.wire import NotAStream
from tests.shared_data import Capture, captures, parameters, require

CLAUDE = [c for c in captures() if c.claude and c.kinds.isdisjoint(("bedrock_converse", "legacy_completion"))]
METRICS = "amazon-bedrock-invocationMetrics"


def plain(reply: Reply) -> list[dict[str, object]]:
    return [{name: value for name, value in event.items() if name != METRICS} for event in reply.events]


@pytest.mark.parametrize("capture", parameters(CLAUDE))
def test_a_recording_is_played_on_its_own_wire_as_it_came_and_on_the_other_with_the_same_events(
    capture: Capture,
) -> None:
    require()
    reply = Reply.from_bytes(capture.body)
    own, other = ("sse", "bedrock") if capture.protocol == "sse" else ("bedrock", "sse")
    assert b"".join(piece.raw for piece in reply.frames(own)) == capture.body  # type: ignore[arg-type]
    converted = Reply.from_bytes(b"".join(piece.raw for piece in reply.frames(other)))  # type: ignore[arg-type]
    assert plain(converted) == plain(reply)


@pytest.mark.parametrize("name", REPLY_NAMES)
def test_the_whole_message_is_what_the_official_client_makes_of_the_events(name: str) -> None:
    reply = Reply.builtin(name)
    body = b"".join(piece.raw for piece in reply.frames("sse"))
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, stream=httpx2.ByteStream(body)
        )
    )
    with (
        anthropic.Anthropic(api_key="k", http_client=httpx2.Client(transport=transport)) as client,
        client.messages.stream(model="m", max_tokens=1, messages=[{"role": "user", "content": "?"}]) as stream,
    ):
        message = json.loads(stream.get_final_message().model_dump_json(exclude_unset=True))
    mine = json.loads(json.dumps(reply.message()))
    assert {name: mine[name] for name in mine if name != "content"} == {
        name: message[name] for name in mine if name != "content"
    }
    for ours, theirs in zip(mine["content"], message["content"], strict=True):
        assert ours.items() <= theirs.items()


@pytest.mark.parametrize("name", REPLY_NAMES)
def test_a_built_in_reply_is_realistic(name: str) -> None:
    reply = Reply.builtin(name)
    assert all(block.stopped and block.content for block in reply.blocks)
    assert len([event for event in reply.events if event["type"] == "content_block_delta"]) >= 15
    assert reply.message()["stop_reason"] in ("end_turn", "tool_use")


def test_the_built_in_replies_have_text_thinking_and_tool_calls() -> None:
    assert {block.type for name in REPLY_NAMES for block in Reply.builtin(name).blocks} == {
        "text",
        "thinking",
        "tool_use",
    }


def test_a_block_adds_up_by_the_rule_of_each_delta() -> None:
    deltas = [
        {"type": "text_delta", "text": "b"},
        {"type": "text_delta", "text": "c"},
        {"type": "citations_delta", "citation": {"n": 1}},
        {"type": "citations_delta", "citation": {"n": 2}},
    ]
    events = [{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}}]
    events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    (block,) = Reply.from_events(events).blocks
    assert block.content == {"type": "text", "text": "abc", "citations": [{"n": 1}, {"n": 2}]} and not block.stopped


def test_tool_input_that_does_not_parse_is_kept_as_it_is() -> None:
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "input": {}}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a'}}
    assert Reply.from_events([start, delta]).blocks[0].content["input"] == '{"a'


def test_a_file_that_is_no_stream_is_refused() -> None:
    with pytest.raises(NotAStream):
        Reply.from_bytes(io.BytesIO(b"no stream").read())
