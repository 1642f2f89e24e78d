"""Many attempts, one message (the contract, §6 *Continue*, §7 and §8), woven by an engine that is driven by hand."""

from typing import Any

import pytest

from midstream.recovery.failure import Kind
from midstream.recovery.history import SeamRecord
from midstream.recovery.policy import Policy
from midstream.recovery.steps import Read
from midstream.recovery.stitch import added
from tests.wire import (
    PING,
    PREFIX_MODEL,
    STOP,
    Drive,
    begin,
    call,
    end,
    grow,
    request,
    result,
    say,
    start,
    stopping,
    text,
    thinking,
)

Fields = dict[str, Any]
W = "The quick brown fox jumps over the lazy dog and"
LONG = f"{W} then it sleeps under the old tree for a"
SERVER = {"type": "server_tool_use", "id": "s1", "name": "web_search"}
OTHER = {"id": "msg_2", "model": "another-model"}
TURN = "claude-opus-5"


def broken(*parts: Fields | list[Fields], body: Fields | None = None, **options: Any) -> Drive:
    """A first attempt that shows this and breaks."""
    drive = Drive(body, **options).attempt(start(), *parts).breaks()
    assert not drive.done, drive.failure
    return drive


def cut_text(shown: str = W, **options: Any) -> Drive:
    return broken(begin(0), say(0, shown), **options)


def goes_on(drive: Drive, *parts: Fields | list[Fields], reason: str = "end_turn") -> Drive:
    """A continuation that says this and ends."""
    return drive.attempt(start(**OTHER), *parts, stopping(reason, 20), STOP)


# One message.


def test_two_attempts_are_one_message_with_the_first_one_s_id_and_model() -> None:
    drive = cut_text()
    goes_on(drive, text(0, f"{drive.element()} sl", "eeps."), call(1, '{"a"', ": 1}"), reason="tool_use")
    assert drive.complete
    assert drive.kinds.count("message_start") == drive.kinds.count("message_delta") == 1
    assert drive.kinds[-1] == "message_stop"
    message = drive.message
    assert (message["id"], message["model"]) == (start()["message"]["id"], start()["message"]["model"])
    assert message["stop_reason"] == "tool_use"
    assert [block.get("text") or block["input"] for block in message["content"]] == [f"{W} sleeps.", {"a": 1}]


def test_block_numbers_go_on_without_a_gap() -> None:
    drive = broken(call(0, "{}", **SERVER), result(1, "s1"), text(2, W), thinking(3, "a", closed=False))
    goes_on(drive, text(0, "b"), call(1, "{}", **{**SERVER, "id": "s2"}), result(2, "s2"), text(3, "c"))
    assert drive.complete
    pair = ["server_tool_use", "web_search_tool_result"]
    assert [block["type"] for block in drive.content] == [*pair, "text", "text", *pair, "text"]


def test_three_attempts_are_one_message_too() -> None:
    drive = cut_text()
    drive.attempt(start(**OTHER), begin(0), say(0, f"{drive.element()} then it")).breaks()
    goes_on(drive, text(0, f"{drive.element()} slept."))
    assert drive.texts == [f"{W} then it slept."]
    assert [seam.attempt for seam in drive.engine.history.seams] == [2, 3]


# Usage.


def test_output_is_the_sum_of_the_shown_attempts_and_input_is_that_of_the_last() -> None:
    first = {"input_tokens": 100, "output_tokens": 5, "cache_read_input_tokens": 7}
    second = {"input_tokens": 300, "output_tokens": 2, "cache_read_input_tokens": 90, "service_tier": "standard"}
    drive = Drive().attempt(start(usage=first), begin(0), say(0, W)).breaks()
    drive.attempt(start(usage={**first, "output_tokens": 1000})).breaks()  # shows nothing: does not count
    late = {"output_tokens": 20, "server_tool_use": {"web_search_requests": 2}}
    drive.attempt(start(usage=second), text(0, drive.element() + " x"), {**stopping(), "usage": late}, STOP)
    usage = drive.message["usage"]
    assert (usage["output_tokens"], usage["input_tokens"]) == (25, 300)
    assert usage["cache_read_input_tokens"] == 90
    assert usage["server_tool_use"] == {"web_search_requests": 2}


@pytest.mark.parametrize(
    ("usages", "last", "total"),
    [
        ([], {"output_tokens": 3}, {"output_tokens": 3}),
        ([{}], {}, {}),
        ([{}], {"output_tokens": 3}, {"output_tokens": 3}),
        ([{"output_tokens": 2}, {"output_tokens": 3}], {}, {"output_tokens": 5}),
        ([{"output_tokens": None}], {"output_tokens": "7"}, {"output_tokens": 0}),
        ([{"input_tokens": 9}], {"input_tokens": 4, "x": 1}, {"input_tokens": 4, "x": 1}),
        (
            [{"server_tool_use": {"a": 1, "b": 2}}, {"server_tool_use": None}],
            {"server_tool_use": {"a": 4, "c": 8}},
            {"server_tool_use": {"a": 5, "b": 2, "c": 8}},
        ),
        ([{"server_tool_use": {"a": 1}}], {"server_tool_use": None}, {"server_tool_use": {"a": 1}}),
    ],
)
def test_counts_are_added_and_everything_else_is_the_last_one_s(
    usages: list[Fields], last: Fields, total: Fields
) -> None:
    before = dict(last)
    assert added(usages, last) == total
    assert last == before


# Joins.


def test_a_seam_is_recorded_with_its_place_and_its_rule() -> None:
    drive = cut_text()
    element = drive.element()
    goes_on(drive, text(0, element, " x"))
    assert drive.texts == [f"{W} x"]
    assert drive.engine.history.seams == (SeamRecord(2, 0, len(W), "element", len(element)),)


def test_a_prefix_gives_the_stripped_white_space_once() -> None:
    for again in ("", "\n", "\n\n"):
        drive = broken(begin(0), say(0, W + "\n\n"), body=request(PREFIX_MODEL))
        goes_on(drive, text(0, again + "Next."))
        assert drive.texts == [f"{W}\n\nNext."]
        [seam] = drive.engine.history.seams
        assert (seam.rule, seam.dropped_chars) == ("prefix", len(again))


def test_without_any_sign_nothing_is_dropped() -> None:
    drive = cut_text()
    goes_on(drive, text(0, " and", " on"))
    assert drive.texts == [f"{W} and on"]
    assert drive.engine.history.seams[0].rule == "none"


def test_the_first_text_is_joined_wherever_it_stands_and_then_has_a_block_of_its_own() -> None:
    drive = cut_text()
    goes_on(drive, call(0, "{}", **SERVER), result(1, "s1"), text(2, f"{drive.element()} x."))
    assert drive.texts == [W, " x."]
    assert drive.engine.history.seams == ()


def test_starting_over_behind_another_block_is_seen_too() -> None:
    drive = cut_text(LONG)
    goes_on(drive, call(0, "{}", **SERVER), result(1, "s1"), text(2, f"{LONG} while."))
    assert drive.texts == [LONG, " while."]


def test_starting_over_is_held_for_as_long_as_it_is_equal() -> None:
    drive = cut_text(LONG)
    drive.attempt(start(**OTHER), begin(0), *[say(0, letter) for letter in LONG])
    assert drive.last == b""
    drive.gets(say(0, " while."), end(0), stopping(), STOP)
    assert drive.texts == [f"{LONG} while."]
    assert drive.engine.history.seams[0].rule == "restart"


@pytest.mark.parametrize("where", ["shown", "shown by a delta", "continuation"])
def test_where_either_side_has_citations_the_cut_block_is_closed(where: str) -> None:
    cited = {"citations": [{"n": 1}]}
    delta = [grow(0, "citations_delta", citation={"n": 1})] if where == "shown by a delta" else []
    drive = broken(begin(0, **(cited if where == "shown" else {})), say(0, W), delta)
    goes_on(drive, begin(0, **(cited if where == "continuation" else {})), say(0, f"{drive.element()} x"), end(0))
    assert drive.texts == [W, " x"]


def test_a_text_that_is_still_open_is_closed_before_anything_new() -> None:
    drive = broken(begin(0), say(0, W), end(0), call(1, "{", closed=False))
    goes_on(drive, call(0, '{"a": 1}'), reason="tool_use")
    assert drive.complete
    assert [block["type"] for block in drive.content] == ["text", "tool_use"]


def test_a_second_text_of_the_continuation_is_a_block_of_its_own() -> None:
    drive = cut_text()
    goes_on(drive, text(0, f"{drive.element()} x"), text(1, "y"))
    assert drive.texts == [f"{W} x", "y"]


def test_a_text_that_begins_in_its_start_is_joined() -> None:
    drive = cut_text()
    goes_on(drive, begin(0, text=f"{drive.element()} x"), say(0, "y"), end(0))
    assert drive.texts == [f"{W} xy"]


def test_the_hold_of_the_seam_is_bounded_in_characters_and_in_time() -> None:
    drive = cut_text(policy=Policy(seam_hold_chars=40))
    drive.attempt(start(**OTHER), begin(0), say(0, "<last_words>" + "x" * 20))
    assert drive.last == b""
    drive.gets(say(0, "y" * 20))
    assert drive.texts == [W + "x" * 20 + "y" * 20]
    drive = cut_text()
    drive.attempt(start(**OTHER), begin(0), say(0, "Sure"))
    assert drive.last == b""
    drive.wakes()
    assert drive.texts == [f"{W}Sure"]
    assert drive.now == 5.0


def test_blanks_before_the_element_do_not_start_the_time_of_the_hold() -> None:
    drive = cut_text()
    drive.attempt(start(**OTHER), begin(0), say(0, " "))
    assert drive.wait == Read(180.0)
    drive.gets(say(0, f"{drive.element()} x"), end(0), stopping(), STOP)
    assert drive.texts == [f"{W} x"]


def test_an_attempt_that_breaks_before_the_join_was_decided_has_shown_nothing() -> None:
    drive = cut_text()
    element = drive.element()
    drive.attempt(start(**OTHER), begin(0), say(0, element[:20])).breaks()
    assert drive.texts == [W]
    assert not drive.engine.history.attempts[-2].showed
    goes_on(drive, text(0, f"{drive.element()} x"))
    assert drive.texts == [f"{W} x"]


# What the continuation's other blocks become.


def test_thinking_is_not_shown() -> None:
    drive = cut_text()
    redacted = [begin(1, "redacted_thinking", data="x"), end(1)]
    goes_on(drive, thinking(0, "hm"), redacted, text(2, f"{drive.element()} x"))
    assert drive.complete
    assert [block["type"] for block in drive.content] == ["text"]
    assert drive.texts == [f"{W} x"]
    drive = cut_text(policy=Policy(thinking="live"))
    drive.attempt(start(**OTHER), thinking(0, "hm"))
    assert drive.last == b""


def test_deltas_and_blocks_keep_what_nobody_knows_under_their_new_number() -> None:
    drive = broken(call(0, "{}", **SERVER), result(1, "s1"), text(2, W), thinking(3, "a"))
    odd = {**grow(0, "sparkle_delta", shine=1), "extra": True}
    goes_on(drive, [begin(0, "novel", a=1), odd, {**end(0), "b": 2}])
    new = [event for event in drive.events if event.get("index") == 3]
    assert new == [{**begin(0, "novel", a=1), "index": 3}, {**odd, "index": 3}, {**end(3), "b": 2}]


def test_a_delta_whose_number_stays_is_handed_on_as_it_came() -> None:
    drive = cut_text()
    drive.attempt(start(**OTHER), text(0, f"{drive.element()} x"))
    line = b'{"type": "content_block_delta",  "index": 1, "delta": {"partial_json": "{}", "type": "input_json_delta"}}'
    data = b"event: content_block_delta\ndata: " + line + b"\n\n"
    drive.gets(begin(1, "tool_use", id="a", name="b", input={}), data, end(1), stopping("tool_use"), STOP)
    assert data in drive.seen
    assert drive.content[1]["input"] == {}


def test_a_citation_alone_begins_its_text() -> None:
    drive = broken(call(0, "{}", **SERVER), result(1, "s1"))
    goes_on(drive, begin(0), grow(0, "citations_delta", citation={"n": 1}), say(0, "x"), end(0))
    assert drive.content[2] == {"type": "text", "text": "x", "citations": [{"n": 1}]}


def test_an_empty_text_of_the_continuation_leaves_no_block() -> None:
    drive = broken(call(0, "{}", **SERVER), result(1, "s1"))
    goes_on(drive, text(0), text(1, "x"))
    assert drive.texts == ["x"]
    assert drive.complete


def test_pings_and_novel_events_of_the_continuation_are_handed_on() -> None:
    drive = cut_text()
    goes_on(drive, begin(0), say(0, f"{drive.element()} x"), PING, {"type": "novel"}, end(0))
    assert drive.kinds.count("ping") == drive.kinds.count("novel") == 1


def test_a_block_that_the_source_leaves_open_is_passed_on_as_received() -> None:
    drive = cut_text()
    goes_on(drive, text(0, f"{drive.element()} x"), call(1, '{"a": ', closed=False), reason="max_tokens")
    assert drive.complete
    assert drive.kinds[-3:] == ["content_block_delta", "message_delta", "message_stop"]


def test_a_text_that_is_held_at_the_stop_reason_is_decided_then() -> None:
    drive = cut_text()
    goes_on(drive, begin(0), say(0, "Sure"), reason="max_tokens")
    assert drive.texts == [f"{W}Sure"]


# The marker, and continuations without content.


@pytest.mark.parametrize(
    "spelt", ["<reply_complete/>", "<reply_complete />", "\n<reply_complete/>\n", "<reply_complete></reply_complete>"]
)
@pytest.mark.parametrize("after_element", [False, True])
def test_the_marker_ends_the_message_and_is_never_shown(spelt: str, after_element: bool) -> None:
    drive = cut_text()
    goes_on(drive, text(0, (drive.element() if after_element else "") + spelt), text(1, "I hope that this helps!"))
    assert drive.complete
    assert drive.texts == [W]
    assert drive.message["stop_reason"] == "end_turn"


def test_the_marker_between_blocks_ends_the_message() -> None:
    drive = broken(text(0, W), thinking(1, "a"))
    goes_on(drive, text(0, "<reply_", "complete/>"))
    assert drive.complete
    assert drive.texts == [W]


def test_nothing_after_the_marker_is_shown_whatever_it_is() -> None:
    drive = cut_text()
    goes_on(drive, text(0, f"{drive.element()} x<reply_complete/>"), [begin(1, "novel"), end(1)], text(2, "y"))
    assert drive.texts == [f"{W} x"]
    assert len(drive.content) == 1


EMPTY = [
    pytest.param([begin(0), say(0, W)], TURN, "end_turn", False, id="inside a text, by a turn"),
    pytest.param([begin(0), say(0, W)], PREFIX_MODEL, "end_turn", True, id="inside a text, by a prefix"),
    pytest.param([begin(0), say(0, W)], PREFIX_MODEL, "stop_sequence", True, id="by a prefix, at a stop sequence"),
    pytest.param(
        [begin(0), say(0, W)], PREFIX_MODEL, "tool_use", False, id="by a prefix, with a call that is not there"
    ),
    pytest.param([text(0, W), thinking(1, "a")], TURN, "end_turn", True, id="between blocks"),
    pytest.param([text(0, W), call(1, "{", closed=False)], TURN, "end_turn", False, id="inside a call"),
    pytest.param(
        [text(0, W), call(1, "{", closed=False)], PREFIX_MODEL, "end_turn", True, id="inside a call, by a prefix"
    ),
    pytest.param([begin(0), say(0, W)], TURN, "refusal", True, id="a refusal"),
    pytest.param([begin(0), say(0, W)], TURN, "max_tokens", True, id="max_tokens"),
]


@pytest.mark.parametrize(("shown", "model", "reason", "ends"), EMPTY)
def test_an_empty_continuation_ends_the_message_only_by_a_prefix_or_between_blocks(
    shown: list[Any], model: str, reason: str, ends: bool
) -> None:
    drive = broken(*shown, body=request(model))
    goes_on(drive, reason=reason)
    assert drive.complete is ends
    if not ends:
        failure = drive.engine.history.attempts[1].failure
        assert failure is not None and failure.kind is Kind.GARBLED and "empty" in failure.detail
        assert drive.texts == [W]


@pytest.mark.parametrize(
    "said", ["<last_words></last_words>", "<last_words/>", "<last_words>The quick", "<last_wo", "{element}"]
)
def test_an_empty_or_unfinished_element_is_a_failed_attempt(said: str) -> None:
    drive = cut_text()
    goes_on(drive, text(0, said.replace("{element}", drive.element())))
    assert not drive.done
    assert drive.texts == [W]
    failure = drive.engine.history.attempts[1].failure
    assert failure is not None and failure.kind is Kind.GARBLED


def test_an_empty_continuation_is_judged_by_the_delta_that_has_the_reason() -> None:
    drive = cut_text(body=request(PREFIX_MODEL))
    drive.attempt(start(**OTHER), stopping(None), stopping("end_turn"), STOP)
    assert drive.complete


def test_a_continuation_that_stands_in_its_message_start_is_not_lost() -> None:
    drive = cut_text(body=request(PREFIX_MODEL))
    drive.attempt(start(**OTHER, stop_reason="end_turn", content=[{"type": "text", "text": " x"}]), STOP)
    assert drive.message
    assert not drive.complete or drive.message["stop_reason"] == "end_turn"


# Refusals, edits, compactions, settling.


def test_a_refusal_in_a_continuation_ends_the_message_without_its_promises() -> None:
    drive = cut_text()
    details = {"type": "refusal", "category": "cyber", "fallback_credit_token": "t", "fallback_has_prefill_claim": True}
    ending = stopping("refusal")
    ending["delta"]["stop_details"] = details
    drive.attempt(start(**OTHER), text(0, f"{drive.element()} x"), ending, STOP)
    assert drive.complete
    assert drive.message["stop_reason"] == "refusal"
    assert drive.message["stop_details"] == {"type": "refusal", "category": "cyber"}
    assert drive.texts == [f"{W} x"]


def test_a_refusal_of_the_first_attempt_keeps_its_promises() -> None:
    ending = stopping("refusal")
    ending["delta"]["stop_details"] = {"fallback_credit_token": "t"}
    drive = Drive().attempt(start(), ending, STOP)
    assert drive.message["stop_details"] == {"fallback_credit_token": "t"}


def test_applied_edits_are_the_first_attempt_s_and_unknown_fields_stay() -> None:
    drive = cut_text()
    ending = stopping(context_management={"applied_edits": [{"type": "x"}]}, novel=1)
    drive.attempt(start(**OTHER), text(0, f"{drive.element()} x"), ending, STOP)
    [delta] = [event for event in drive.events if event["type"] == "message_delta"]
    assert "context_management" not in delta
    assert delta["novel"] == 1


def test_a_continuation_that_stops_for_a_compaction_gives_up() -> None:
    drive = cut_text()
    goes_on(drive, text(0, f"{drive.element()} x"), reason="compaction")
    assert drive.failure.kind is Kind.LIMIT
    assert "compaction" in drive.failure.detail
    assert drive.texts == [f"{W} x"]


def test_settling_closes_what_is_open_and_ends_with_tool_use() -> None:
    drive = Drive().attempt(start(), call(0, "{}"), begin(1), say(1, W)).breaks()
    assert drive.complete
    assert drive.kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert drive.message["stop_reason"] == "tool_use"
    assert drive.message["usage"] == start()["message"]["usage"]


def test_settling_in_a_continuation_adds_up_the_usage() -> None:
    drive = broken(begin(0), say(0, W), end(0), call(1, "{", closed=False))
    drive.attempt(start(**OTHER), call(0, '{"a": 1}'), thinking(1, "a")).ends()
    assert drive.complete
    assert drive.engine.history.settled
    assert drive.message["usage"]["output_tokens"] == 2
    assert [block["type"] for block in drive.content] == ["text", "tool_use"]
    assert drive.message["stop_reason"] == "tool_use"


def test_what_was_shown_stays_as_it_was_when_the_next_attempt_adds_to_it() -> None:
    drive = cut_text()
    before = drive.engine.snapshot()
    goes_on(drive, text(0, f"{drive.element()} x"))
    assert before["content"] == [{"type": "text", "text": W}]
    assert drive.engine.snapshot()["content"] == [{"type": "text", "text": f"{W} x"}]


def test_content_in_message_start_is_not_an_open_block() -> None:
    drive = Drive().attempt(start(content=[{"type": "text", "text": W}])).breaks()
    assert "between two content blocks" in drive.turns[-1]["content"]
    goes_on(drive, text(0, " x"))
    assert drive.texts == [W, " x"]


def test_an_attempt_of_which_nothing_was_shown_leaves_nothing_to_stitch() -> None:
    drive = Drive().attempt(start(), *thinking(0, "a"), begin(1)).breaks()
    assert drive.sent == [None, None]
    assert drive.engine.snapshot() == {}
    drive.attempt(start(**OTHER), text(0, "a"), stopping(), STOP)
    assert (drive.message["id"], drive.texts) == ("msg_2", ["a"])


def test_a_citation_waits_for_its_text_while_the_join_is_undecided() -> None:
    drive = broken(begin(0, citations=[]), say(0, W))
    drive.attempt(
        start(**OTHER), begin(0, citations=[]), say(0, "<last"), grow(0, "citations_delta", citation={"n": 1})
    )
    assert drive.last == b""
    drive.breaks()
    assert drive.texts == [W]
    assert drive.element().endswith("lazy dog and</last_words>")


def test_a_citation_that_waited_comes_with_its_text() -> None:
    drive = broken(begin(0, citations=[]), say(0, W))
    cited = grow(0, "citations_delta", citation={"n": 1})
    goes_on(drive, begin(0, citations=[]), say(0, drive.element()), cited, say(0, " x"), cited, end(0))
    assert drive.content[1] == {"type": "text", "text": " x", "citations": [{"n": 1}, {"n": 1}]}


def test_an_attempt_that_brought_nothing_does_not_close_the_text_that_was_cut() -> None:
    drive = cut_text()
    drive.attempt(start(**OTHER), text(0, drive.element()), begin(1, "thinking")).breaks()
    assert drive.kinds[-1] == "content_block_delta"
    assert "in the middle of its text" in drive.turns[-1]["content"]
    goes_on(drive, text(0, drive.element() + " x"))
    assert drive.texts == [f"{W} x"]


def test_an_attempt_that_showed_nothing_has_no_seam() -> None:
    undecided = cut_text()
    undecided.attempt(start(**OTHER), begin(0), say(0, "<last_")).breaks()
    marker = cut_text()
    goes_on(marker, text(0, "<reply_complete/>"))
    assert marker.complete
    assert undecided.engine.history.seams == marker.engine.history.seams == ()


def test_a_text_that_stops_at_max_tokens_in_a_continuation_goes_on_inside() -> None:
    drive = Drive(policy=Policy(continue_max_tokens=1)).attempt(start(), text(0, W), thinking(1, "a")).breaks()
    assert "between two content blocks" in drive.turns[-1]["content"]
    goes_on(drive, begin(0), say(0, LONG), reason="max_tokens")
    assert "in the middle of its text" in drive.turns[-1]["content"]


def test_a_marker_and_then_a_call_contradict_each_other() -> None:
    drive = cut_text()
    goes_on(drive, text(0, "<reply_complete/>"), call(1, "{}"), reason="tool_use")
    assert not drive.done
    assert drive.engine.history.attempts[1].failure is not None
    assert drive.texts == [W]
