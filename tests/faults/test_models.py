"""How a played model goes on: joined as the style says, the answer is always the whole one."""

import re

import pytest

from midstream.faults.cut import Cut
from midstream.faults.models import BOUND, LEAD_IN, RECAP, STYLES, go_on
from midstream.faults.reply import Reply
from tests.shared_data import Capture, captures, parameters, require

ELEMENT, MARKER = "last_words_x", "reply_complete_x"
CLAUDE = [c for c in captures() if c.claude and c.kinds.isdisjoint(("bedrock_converse", "legacy_completion"))]
TEXT = Reply.builtin("text").text


def cut_at(offset: int, anchor_chars: int = 30, **changes: object) -> Cut:
    fields = {"element": ELEMENT, "anchor": TEXT[max(0, offset - anchor_chars) : offset], "marker": MARKER} | changes
    return Cut(0, offset, "turn", **fields)  # type: ignore[arg-type]


def said(style: str, offset: int, **changes: object) -> str:
    return go_on(Reply.builtin("text"), cut_at(offset, **changes), style).text


# What stands before the rest of the text, with {a} for the anchor, {e} for the element and {s} for what was shown.
OPENINGS = {
    "obedient": "{e}",
    "exact": "",
    "bare-anchor": "{a}",
    "lead-in": LEAD_IN + "{e}",
    "starts-over": "{s}",
    "white-space": "\n\n{e}",
    "white-space-inside": "<last_words_x>\n{a}\n</last_words_x>",
    "recaps": "{e}",
}


def test_every_style_has_its_opening() -> None:
    assert set(OPENINGS) == set(STYLES)


@pytest.mark.parametrize("style", STYLES)
def test_a_text_goes_on_exactly_behind_the_opening_of_the_style(style: str) -> None:
    for offset in range(1, len(TEXT)):
        cut = cut_at(offset)
        element = f"<{ELEMENT}>{cut.anchor}</{ELEMENT}>"
        opening = OPENINGS[style].format(a=cut.anchor, e=element, s=TEXT[:offset])
        assert said(style, offset) == opening + TEXT[offset:]


@pytest.mark.parametrize("style", STYLES)
def test_a_model_that_had_finished_says_the_marker_alone_or_a_recap(style: str) -> None:
    assert said(style, len(TEXT)) == (RECAP if style == "recaps" else f"<{MARKER}/>")


@pytest.mark.parametrize("mode", ["prefix", "turn"])
def test_a_model_that_was_not_told_of_a_marker_ends_without_a_word(mode: str) -> None:
    finished = go_on(Reply.builtin("text"), Cut(0, len(TEXT), mode))  # type: ignore[arg-type]
    assert finished.blocks == () and finished.message()["stop_reason"] == "end_turn"


def test_a_prefix_is_continued_by_the_new_text_alone() -> None:
    for offset in range(1, len(TEXT)):
        assert go_on(Reply.builtin("text"), Cut(0, offset, "prefix"), "obedient").text == TEXT[offset:]


def test_a_tool_call_is_made_without_a_word_before_it() -> None:
    reply = Reply.builtin("tools")
    after_text = go_on(reply, Cut(0, len(reply.blocks[0].text), "turn"))
    assert [block.content for block in after_text.blocks] == [block.content for block in reply.blocks[1:]]
    after_first_call = go_on(reply, Cut(2, 0, "turn"))
    assert [block.content for block in after_first_call.blocks] == [reply.blocks[2].content]


def test_blanks_before_a_tool_call_are_not_written_again() -> None:
    text = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Look: \n"}}
    call = {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "input": {}}}
    assert [block.type for block in go_on(Reply.from_events([text, call]), Cut(0, 5, "turn")).blocks] == ["tool_use"]


def test_thinking_is_thought_again_and_sealed_for_another_conversation() -> None:
    reply = Reply.builtin("thinking")
    (thought, text) = go_on(reply, Cut(0, 0, "turn")).blocks
    assert thought.content["thinking"] == reply.blocks[0].content["thinking"] and text.text == reply.text
    assert thought.content["signature"].startswith(BOUND)


def test_a_continuation_is_a_message_of_its_own() -> None:
    reply = Reply.builtin("text")
    events = go_on(reply, cut_at(100), attempt=3).events
    assert events[0]["message"]["id"] != reply.start["id"] and events[0]["message"]["content"] == []
    assert events[0]["message"]["usage"] != reply.start["usage"]
    assert events[-2]["usage"]["output_tokens"] != reply.endings[0]["usage"]["output_tokens"]


def test_the_closing_tag_and_the_first_words_are_one_piece_one_time_in_two() -> None:
    # Where the closing tag itself is not cut: its last piece then ends in "_x>".
    joined = {
        any(re.search(r"_x>.", str(delta.get("text")), re.DOTALL) for delta in block.deltas)
        for offset in (300, 301)
        for block in go_on(Reply.builtin("text"), cut_at(offset)).blocks
    }
    assert joined == {True, False}


@pytest.mark.parametrize("capture", parameters(CLAUDE))
def test_every_recorded_text_can_be_continued_at_every_character(capture: Capture) -> None:
    require()
    reply = Reply.from_bytes(capture.body)
    for number, block in enumerate(reply.blocks):
        # Long texts at 40 places: the pieces that they come in are the same all along.
        for offset in range(1, len(block.text), max(1, len(block.text) // 40)):
            rest = go_on(reply, Cut(number, offset, "prefix")).blocks
            assert rest[0].text == block.text[offset:]
            assert [after.type for after in rest[1:]] == [after.type for after in reply.blocks[number + 1 :]]
            assert [after.text for after in rest[1:]] == [after.text for after in reply.blocks[number + 1 :]]
