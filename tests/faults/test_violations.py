"""Each illegal order breaks the one rule that it names, on either wire, and nothing else."""

import pytest

from midstream.faults.reply import Reply
from midstream.faults.violations import EDITS
from midstream.faults.wire import Event, Piece

REPLY = Reply.builtin("everything")


def edited(name: str, at: int, reply: Reply = REPLY) -> list[Event]:
    return [piece.event or {} for piece in EDITS[name](list(reply.frames("sse")), at)]


def kinds(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def problems(events: list[Event]) -> set[str]:
    """What is wrong with this order, by the grammar of the API."""
    found: set[str] = set()
    if kinds(events)[0] != "message_start":
        found.add("no start")
    if kinds(events).count("message_start") > 1:
        found.add("second start")
    opened: dict[int, str] = {}
    closed: set[int] = set()
    reason = None
    for event in events:
        index = event.get("index", 0)
        match event["type"]:
            case "content_block_start":
                if index != len(opened):
                    found.add("gap")
                opened[index] = event["content_block"]["type"]
            case "content_block_delta" if index in closed:
                found.add("late delta")
            case "content_block_delta" if index not in opened:
                found.add("unknown block")
            case "content_block_delta" if event["delta"]["type"] not in TAKES[opened[index]]:
                found.add("wrong delta")
            case "content_block_stop":
                closed.add(index)
            case "message_delta":
                reason = reason or event["delta"]["stop_reason"]
    if reason is None:
        found.add("no reason")
    if "message_stop" not in kinds(events):
        found.add("no stop")
    return found


TAKES = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
}
BREAKS = {
    "delta-unknown-block": {"unknown block"},
    "index-gap": {"gap"},
    "second-message-start": {"second start"},
    "delta-after-stop": {"late delta"},
    "wrong-delta-type": {"wrong delta"},
    "no-message-start": {"no start"},
    "stop-without-reason": {"no reason"},
    "no-message-delta": {"no reason"},
    "no-message-stop": {"no stop"},
}


def test_the_reply_itself_is_legal() -> None:
    assert problems(list(REPLY.events)) == set()


def test_every_edit_has_its_rule() -> None:
    assert set(BREAKS) == set(EDITS)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_breaks_its_rule_wherever_it_happens(name: str) -> None:
    for at in range(len(REPLY.events) + 1):
        assert problems(edited(name, at)) == BREAKS[name], at


@pytest.mark.parametrize("name", EDITS)
def test_what_an_edit_does_not_touch_keeps_its_bytes(name: str) -> None:
    frames = list(REPLY.frames("bedrock"))
    pieces = EDITS[name](frames, 5)
    assert all(piece in frames for piece in pieces if piece.raw)
    assert sum(1 for piece in pieces if piece.raw) >= (5 if name == "index-gap" else len(frames) - 2)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_finds_something_to_break_in_a_reply_of_one_event(name: str) -> None:
    assert isinstance(EDITS[name]([Piece(b"x", {"type": "ping"})], 0), list)


def test_a_stop_reason_that_stands_in_the_start_is_taken_out_too() -> None:
    reply = Reply.from_events(
        [{"type": "message_start", "message": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    )
    for name in ("stop-without-reason", "no-message-delta"):
        assert edited(name, 0, reply)[0]["message"]["stop_reason"] is None
