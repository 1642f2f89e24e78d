"""A played model finds its place in every form of a resume request, and takes nothing else for one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.faults.cut import Cut, find_cut
from midstream.faults.reply import Reply
from tests.shared_data import Capture, captures, parameters, require

ASKED: list[dict[str, Any]] = [{"role": "user", "content": "Why do suspension bridges span so far?"}]
TEXT = Reply.builtin("text").text
RECORDED = [c for c in captures() if c.claude and c.kinds.isdisjoint(("bedrock_converse", "legacy_completion"))]

# Two texts side by side, as citations make them.
_STARTS = [
    {"type": "thinking", "thinking": "Hm.", "signature": "seal"},
    {"type": "text", "text": TEXT},
    {"type": "text", "text": "I will look up the weather, and compare."},
    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Zürich"}},
]
SEVERAL = Reply.from_events(
    {"type": "content_block_start", "index": index, "content_block": start} for index, start in enumerate(_STARTS)
)


def user(words: str) -> dict[str, Any]:
    return {"role": "user", "content": words}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": c} if isinstance(c, str) else c for c in content]}


def turn(part: str, anchor: str) -> list[dict[str, Any]]:
    words = f"Your reply was cut off. Begin with <last_words>{anchor}</last_words>. If complete, say <reply_complete/>."
    return [assistant(part), user(words)]


def quote(part: str) -> list[dict[str, Any]]:
    return [
        user(f"Your previous response was interrupted and ended with:\n\n{part}\n\nContinue from where you left off.")
    ]


@pytest.mark.parametrize("known", [ASKED, None])
def test_a_turn_is_cut_where_its_anchor_ends(known: list[dict[str, Any]] | None) -> None:
    for offset in range(1, len(TEXT) + 1):
        part, anchor = TEXT[:offset], TEXT[max(0, offset - 30) : offset]
        # Whether the turn itself still has its trailing blanks or not: the anchor has them.
        for sent in {part, part.rstrip()}:
            cut = find_cut(Reply.builtin("text"), [*ASKED, *turn(sent, anchor)], known)
            assert cut == Cut(0, offset, "turn", "last_words", anchor, "reply_complete")


@pytest.mark.parametrize("known", [ASKED, None])
def test_a_prefix_is_cut_where_it_ends(known: list[dict[str, Any]] | None) -> None:
    for offset in range(1, len(TEXT) + 1):
        part = TEXT[:offset].rstrip()
        assert find_cut(Reply.builtin("text"), [*ASKED, assistant(part)], known) == Cut(0, len(part), "prefix")


@pytest.mark.parametrize("known", [ASKED, None])
def test_a_quotation_is_cut_where_the_quoted_text_ends(known: list[dict[str, Any]] | None) -> None:
    for offset in range(1, len(TEXT) + 1):
        assert find_cut(Reply.builtin("text"), [*ASKED, *quote(TEXT[:offset])], known) == Cut(0, offset, "quote")


def test_a_quotation_of_several_texts_ends_in_the_last_of_them() -> None:
    reply = SEVERAL
    first, second = reply.blocks[1].text, reply.blocks[2].text
    assert find_cut(reply, [*ASKED, *quote(f"{first}\n{second[:20]}")], ASKED) == Cut(2, 20, "quote")


def test_whole_blocks_are_followed_and_the_next_one_is_due() -> None:
    reply = SEVERAL
    thought, text, other, call = (block.content for block in reply.blocks)
    words = user("Your reply was cut off inside a call of the tool get_weather. Make that call now.")
    assert find_cut(reply, [*ASKED, assistant(thought, text, other), words], ASKED) == Cut(
        2, len(other["text"]), "turn"
    )
    assert find_cut(reply, [*ASKED, assistant(thought, text), words], ASKED) == Cut(1, len(text["text"]), "turn")
    # Thinking that was not sent back does not stand in the way.
    assert find_cut(reply, [*ASKED, assistant(text), words], ASKED) == Cut(1, len(text["text"]), "turn")
    assert find_cut(reply, [*ASKED, assistant(thought, text, other, call), words], ASKED) == Cut(4, 0, "turn")


def test_a_cited_text_may_be_sent_back_in_several_blocks() -> None:
    cut = find_cut(Reply.builtin("text"), [*ASKED, assistant(TEXT[:50], TEXT[50:90], TEXT[90:120])], ASKED)
    assert cut == Cut(0, 120, "prefix")


def test_what_is_not_in_the_answer_is_lost_and_said_so() -> None:
    cut = find_cut(Reply.builtin("text"), [*ASKED, *turn("Something else entirely, which", "entirely, which")], ASKED)
    assert cut is not None and cut.lost
    assert find_cut(Reply.builtin("text"), [*ASKED, assistant("Something else")], ASKED) == Cut(
        0, 0, "prefix", lost=True
    )


TOOL_RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        ASKED,
        [*ASKED, assistant("Sure."), user("And in Iceland?")],
        [*ASKED, assistant("Sure:")],
        [user(f"Repeat this: {TEXT[:200]}")],
        [*ASKED, assistant(TEXT[:40]), user("Thanks.")],
        [*ASKED, assistant(TEXT[:40]), TOOL_RESULT],
        [{"role": "user"}],
        [{"role": "user", "content": []}],
    ],
)
def test_an_ordinary_question_asks_for_the_whole_answer(messages: list[dict[str, Any]]) -> None:
    assert find_cut(Reply.builtin("text"), messages) is None


def test_the_same_request_again_asks_for_the_whole_answer() -> None:
    prefilled = [*ASKED, assistant(TEXT[:40])]
    assert find_cut(Reply.builtin("text"), prefilled, prefilled) is None


def test_another_stream_under_the_same_key_does_not_confuse_it() -> None:
    known = [user("a"), assistant("b"), user("c"), assistant("d"), user("e")]
    assert find_cut(Reply.builtin("text"), [*ASKED, *turn(TEXT[:40], TEXT[10:40])], known) is not None


@pytest.mark.parametrize("capture", parameters(c for c in RECORDED if c.notes["request"]))
def test_no_recorded_request_is_taken_for_a_resume(capture: Capture) -> None:
    require()
    messages = capture.notes["request"].get("messages")
    if isinstance(messages, list):
        assert find_cut(Reply.from_bytes(capture.body), messages) is None


@pytest.mark.parametrize("capture", parameters(RECORDED))
def test_every_recorded_text_is_found_again_at_every_place(capture: Capture) -> None:
    require()
    reply = Reply.from_bytes(capture.body)
    for number, block in enumerate(reply.blocks):
        before = [b.content for b in reply.blocks[:number] if b.text.strip() or b.type not in ("text", "thinking")]
        for offset in range(1, len(block.text), max(1, len(block.text) // 20)):
            part = block.text[:offset]
            if part.strip():
                words = turn("", part[-30:])[1]
                cut = find_cut(reply, [*ASKED, assistant(*before, part), words], ASKED)
                assert cut is not None and (cut.block, cut.offset, cut.lost) == (number, offset, False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "content", "id"]), inner)
    ),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", 3]), "content": JSON})


@settings(max_examples=300, deadline=None)
@given(st.lists(MESSAGE, max_size=4))
def test_no_request_makes_it_stumble(messages: list[dict[str, Any]]) -> None:
    for known in (None, messages[:1]):
        cut = find_cut(Reply.builtin("everything"), messages, known)
        assert cut is None or 0 <= cut.block <= 4
