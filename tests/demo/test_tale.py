"""What is played: whole before it is broken, and cut where it can be mended."""

import pytest

from midstream.demo import tale
from midstream.faults.builtin import REPLIES
from midstream.faults.reply import Reply
from midstream.faults.script import Script


def place(told: tale.Tale, attempt: int) -> int:
    """How many events this attempt gets before it is cut."""
    at = Script.parse(told.script).fault(attempt).place
    assert at is not None and at.unit == "event"
    return int(at.value)


def test_the_reply_is_whole_in_pieces_of_a_word_or_two() -> None:
    reply = tale.own().reply
    assert reply.text == tale.TEXT
    pieces = [event["delta"]["text"] for event in reply.events if event["type"] == "content_block_delta"]
    assert max(len(piece.split()) for piece in pieces) == 2
    assert len(pieces) * tale.PACE_S < 10, "two sides, one after the other, in under 20 seconds"


def test_the_first_cut_is_inside_a_sentence_and_all_is_well_at_the_third_attempt() -> None:
    own = tale.own()
    said = Reply.from_events(own.reply.events[: place(own, 1)]).text
    assert tale.TEXT.startswith(said) and "more than once she hooked the cable," in said
    assert [Script.parse(own.script).fault(attempt).name for attempt in (1, 2, 3)] == ["cut-clean", "cut-rst", "ok"]


def test_a_recording_is_cut_in_its_longest_text_before_any_tool() -> None:
    told = tale.recorded(Reply.from_events(REPLIES["everything"]), "x")
    block, cut = told.reply.blocks[1], place(told, 1)
    assert block.type == "text"
    said = Reply.from_events(told.reply.events[:cut]).blocks[1].text
    assert len(block.text) * 0.35 < len(said) < len(block.text) * 0.5


def test_a_text_with_citations_is_left_alone_where_there_is_another() -> None:
    events = [*REPLIES["text"][:-2], *_second("A shorter text, which cites nothing."), *REPLIES["text"][-2:]]
    citation = {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": {}}}
    events.insert(5, citation)
    told = tale.recorded(Reply.from_events(events), "x")
    assert Reply.from_events(told.reply.events[: place(told, 1)]).blocks[-1].text.startswith("A ")


def _second(text: str) -> list[dict[str, object]]:
    deltas = [{"type": "text_delta", "text": word + " "} for word in text.split()]
    return [
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 1, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 1},
    ]


def test_a_reply_without_text_is_cut_before_anything_is_complete() -> None:
    only_tools = [event for event in REPLIES["tools"] if event.get("index") != 0]
    told = tale.recorded(Reply.from_events(only_tools), "x")
    for attempt in (1, 2):
        sent = told.reply.events[: place(told, attempt)]
        assert sent[-1]["type"] == "content_block_start"


def test_a_long_recording_is_played_faster() -> None:
    own = tale.own()
    long = tale.recorded(Reply.from_events([*REPLIES["text"][:-3] * 1, *_many(5000), *REPLIES["text"][-3:]]), "x")
    assert long.pace_s * len(long.reply.events) <= tale.PLAYED_S_MAX
    assert own.pace_s <= tale.PACE_S


def _many(count: int) -> list[dict[str, object]]:
    return [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f" {n}"}}
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((), "it has 0 message_start events"),
        (REPLIES["text"][:1] * 2, "it has 2 message_start events"),
        (REPLIES["text"][:-1], "the reply breaks off, without a message_stop"),
    ],
    ids=["none", "two", "broken off"],
)
def test_what_is_not_one_whole_reply_is_refused(events: tuple[dict[str, object], ...], reason: str) -> None:
    with pytest.raises(tale.NotWhole, match=reason):
        tale.recorded(Reply.from_events(events), "x")
