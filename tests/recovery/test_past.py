"""A stream whose process ended goes on like one whose connection was cut, wherever it was."""

from typing import Any

import pytest

from midstream.protocol.dialects import Anthropic, Bedrock
from midstream.recovery.facts import extended
from midstream.recovery.failure import Kind, Origin, Phase
from midstream.recovery.past import BrokenPast, Past, PastAttempt, fold
from midstream.recovery.policy import Policy
from midstream.recovery.steps import Open
from tests.wire import (
    PING,
    STOP,
    TURN_MODEL,
    Drive,
    begin,
    call,
    end,
    folded,
    grow,
    read,
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
W = "The quick brown fox jumps over the lazy dog and"
SEARCH = {"type": "server_tool_use", "name": "web_search", "id": "s1"}
MCP = {"type": "mcp_tool_use", "name": "send", "id": "m1", "server_name": "post"}
SENT = {"fact": "mcp_call", "attempt": 1, "id": "m1", "name": "send"}
OPEN_TEXT = [start(), begin(0), say(0, W)]


def past(*shown: Fields | bytes, attempts: int = 1, facts: Any = (), **options: Any) -> Past:
    """Everything was shown in the first attempt; the others brought nothing."""
    data = b"".join(part if isinstance(part, bytes) else sse(part) for part in shown)
    return Past(attempts=[PastAttempt(shown=data)] + [PastAttempt()] * (attempts - 1), facts=facts, **options)


def adopted(*shown: Fields | bytes, body: Fields | None = None, policy: Policy | None = None, **options: Any) -> Drive:
    drive_options = {
        name: options.pop(name)
        for name in ("route", "take_retry", "jitter", "recovers", "wire", "signed_by_caller")
        if name in options
    }
    return Drive(body, policy, past=past(*shown, **options), **drive_options)


# Where it goes on.


def test_without_an_attempt_it_begins() -> None:
    drive = Drive(past=Past(elapsed_s=5))
    assert isinstance(drive.wait, Open) and drive.wait.body is None
    assert [record.plan for record in drive.engine.history.attempts] == ["first"]


def test_nothing_shown_is_a_restart_at_once() -> None:
    drive = adopted(jitter=1.0)
    assert isinstance(drive.wait, Open) and drive.wait.body is None
    assert [record.plan for record in drive.engine.history.attempts] == ["first", "restart"]
    lost = drive.engine.history.attempts[0].failure
    assert lost is not None
    assert (lost.kind, lost.phase, lost.origin) == (Kind.DISCONNECTED, Phase.STARTED, Origin.CLIENT)
    assert drive.attempt(whole(text(0, W))).complete


def test_a_text_goes_on_where_it_was_cut() -> None:
    drive = adopted(*OPEN_TEXT)
    assert drive.engine.history.attempts[0].failure.phase is Phase.SHOWING  # type: ignore[union-attr]
    drive.attempt(whole(text(0, drive.element() + " runs."), id="msg_2"))
    assert drive.complete
    assert drive.texts == [W + " runs."]
    assert drive.message["id"] == "msg_1"
    assert drive.message["usage"]["output_tokens"] == 1 + 9


def test_a_stop_reason_without_its_stop_gets_one() -> None:
    drive = adopted(start(), *text(0, W), stopping())
    assert drive.complete and drive.engine.history.stop_added
    assert drive.last == sse(STOP).replace(b" ", b"").replace(b"event:", b"event: ").replace(b"data:", b"data: ")
    assert drive.engine.snapshot()["stop_reason"] == "end_turn"


def test_a_message_that_was_whole_is_complete() -> None:
    drive = adopted(*whole(text(0, W)))
    assert drive.complete and not drive.last and not drive.engine.history.stop_added


def test_a_call_that_was_shown_settles() -> None:
    drive = adopted(start(), *text(0, W), *call(1, '{"a":1}'))
    assert drive.complete and drive.engine.history.settled
    assert drive.message["stop_reason"] == "tool_use"
    assert drive.message["usage"]["output_tokens"] == 1


def test_a_call_without_a_fragment_was_shown_because_it_was_complete() -> None:
    assert adopted(start(), *call(0)).engine.history.settled
    live = adopted(start(), *call(0), policy=Policy(tools="live"))
    assert "before it was finished" in (live.engine.history.gave_up or "")


@pytest.mark.parametrize(
    ("shown", "body", "reason"),
    [
        ([start(), begin(0, "thinking"), grow(0, "thinking_delta", thinking="a")], None, "block of type thinking"),
        ([start(), begin(0), say(0, "{")], request(output_config={"format": {"type": "json_schema"}}), "structured"),
        ([start(), *call(0, '{"a', closed=False)], None, "block of type tool_use"),
        ([start(), *call(0, "{}", **SEARCH)], None, "a call of the tool 'web_search'"),
        ([start()], None, "no place to go on from"),
        ([start(), *text(0, W), stopping(None)], None, "no place to go on from"),
    ],
)
def test_what_was_shown_half_cannot_be_repaired(shown: list[Fields], body: Fields | None, reason: str) -> None:
    drive = adopted(*shown, body=body)
    assert drive.failure.kind is Kind.DISCONNECTED
    assert reason in (drive.engine.history.gave_up or "")


def test_a_hold_that_went_live_is_still_told() -> None:
    shown = [start(), begin(0, "thinking"), grow(0, "thinking_delta", thinking="a")]
    assert adopted(*shown, shown_live=True).engine.history.shown_live
    assert not adopted(*shown).engine.history.shown_live
    before = Drive(hold_live_after_s=240.0, policy=Policy(silence_s=1000)).attempt(*shown).wakes()
    assert adopted(before.seen, facts=before.engine.facts).engine.history.shown_live


def test_an_error_that_was_shown_is_the_end() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "m", "midstream": {"exhausted": True}}}
    drive = adopted(*OPEN_TEXT, error)
    assert drive.failure.kind is Kind.OVERLOADED and drive.engine.error_was_shown
    assert not adopted(*whole(text(0, W))).engine.error_was_shown


def test_switched_off_it_ends_with_its_failure() -> None:
    assert adopted(*OPEN_TEXT, recovers=False).engine.history.gave_up == "recovery is switched off"
    assert adopted(*OPEN_TEXT, end(0), stopping(), recovers=False).complete


# What survives.


def test_attempts_since_something_was_shown_survive() -> None:
    assert not adopted(*OPEN_TEXT, attempts=3).done
    drive = adopted(*OPEN_TEXT, attempts=4)
    assert drive.engine.history.gave_up == "4 attempts in a row brought nothing new"
    drive = adopted(attempts=3).breaks()
    assert drive.engine.history.gave_up == "4 attempts in a row brought nothing new"


def test_something_shown_by_a_later_attempt_starts_the_count_again() -> None:
    attempts = [PastAttempt()] * 3 + [PastAttempt(shown=sse(*OPEN_TEXT))] + [PastAttempt()] * 2
    drive = Drive(past=Past(attempts=attempts))
    assert not drive.done
    assert drive.engine.history.attempts[3].showed and not drive.engine.history.attempts[2].showed
    assert drive.breaks().done


def test_all_attempts_of_the_stream_survive() -> None:
    drive = adopted(*OPEN_TEXT, attempts=2, policy=Policy(attempts_total=2, attempts=2))
    assert drive.engine.history.gave_up == "all 2 attempts of the stream are used up"


def test_the_time_survives() -> None:
    policy = Policy(elapsed_s=10, waiting_s=3)
    drive = adopted(*OPEN_TEXT, elapsed_s=4, policy=policy)
    assert isinstance(drive.wait, Open) and drive.wait.deadline == 6
    assert "10 s of the policy" in (adopted(*OPEN_TEXT, elapsed_s=10, policy=policy).engine.history.gave_up or "")
    slept = adopted(*OPEN_TEXT, slept_s=2.8, policy=policy, jitter=1.0).breaks()
    assert "of waiting" in (slept.engine.history.gave_up or "")


def test_a_restart_of_ours_is_no_retry_of_the_budget_and_no_reason_to_rest() -> None:
    drive = adopted(*OPEN_TEXT, take_retry=lambda: False, jitter=1.0)
    assert isinstance(drive.wait, Open)
    assert "budget" in (drive.breaks().engine.history.gave_up or "")


def test_pings_that_were_shown_count_for_the_watchdog() -> None:
    drive = adopted(start(), PING, *OPEN_TEXT[1:], PING).attempt(start(), begin(0))
    assert drive.wait.deadline == 60  # type: ignore[union-attr]


def test_an_extension_survives() -> None:
    stop = stopping("max_tokens")
    policy = Policy(continue_max_tokens=1)
    facts = [extended(1, stop, len(W))]
    drive = adopted(*OPEN_TEXT, attempts=2, facts=facts, policy=policy, body=request(max_tokens=1000))
    assert drive.sent[-1] is not None and drive.sent[-1]["max_tokens"] == 1000
    drive.attempt(whole(text(0, drive.element() + " on"), reason="max_tokens"))
    assert drive.complete and drive.message["stop_reason"] == "max_tokens"
    assert len(drive.engine.history.attempts) == 3  # it was extended once, and not again
    lost = adopted(*OPEN_TEXT, attempts=4, facts=[extended(1, stop, 5)], policy=policy)
    assert lost.complete and lost.message["stop_reason"] == "max_tokens"


def test_an_extension_that_showed_something_did_not_stop_there() -> None:
    attempts = [PastAttempt(shown=sse(*OPEN_TEXT)), PastAttempt(shown=sse(say(0, " on")))] + [PastAttempt()] * 3
    facts = [extended(1, stopping("max_tokens"), 5)]
    drive = Drive(policy=Policy(continue_max_tokens=1), past=Past(attempts=attempts, facts=facts))
    assert drive.failure.kind is Kind.DISCONNECTED


# What was received and not shown.


@pytest.mark.parametrize("shown", [[], OPEN_TEXT])
def test_a_remote_call_whose_result_is_lost_is_not_made_again(shown: list[Fields]) -> None:
    drive = adopted(*shown, facts=[SENT])
    assert "'send' was already called" in (drive.engine.history.gave_up or "")
    assert not adopted(*shown, facts=[SENT], policy=Policy(repeat_remote_tools=True)).done


def test_a_remote_call_that_was_shown_with_its_result_is_sent_back() -> None:
    shown = [start(), *call(0, "{}", **MCP), *result(1, "m1", "mcp_tool_result"), begin(2), say(2, W)]
    drive = adopted(*shown, facts=[SENT])
    assert [block["type"] for block in drive.turns[0]["content"]] == ["mcp_tool_use", "mcp_tool_result", "text"]


def test_an_id_that_was_made_fit_is_known_again() -> None:
    shown = [start(), *call(0, "{}", **{**MCP, "id": "m\n"}), *result(1, "m\n", "mcp_tool_result"), begin(2), say(2, W)]
    drive = Drive().attempt(*shown)
    assert not adopted(*shown, facts=drive.engine.facts).done


def test_the_container_is_the_one_that_was_named() -> None:
    shown = [start(), *call(0, "{}", **{**SEARCH, "name": "code_execution"})]
    shown += [*result(1, "s1", "code_execution_tool_result"), begin(2), say(2, W)]
    assert "container" in (adopted(*shown).engine.history.gave_up or "")
    facts = [{"fact": "container", "attempt": 1, "id": "c1"}]
    drive = adopted(*shown, facts=facts)
    assert drive.sent[-1] is not None and drive.sent[-1]["container"] == "c1"
    elsewhere = [{"fact": "container", "attempt": 2, "id": "c2"}]  # nothing of that attempt was shown
    assert adopted(*shown, attempts=2, facts=elsewhere).done


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([begin(1, "fallback")], "another model took over"),
        (call(1, type="server_tool_use", name="code_execution", closed=False), "container"),
        (call(1, caller={"type": "code_execution_20250825"}, closed=False), "a program made"),
    ],
)
def test_what_forbade_a_continuation_still_does(parts: list[Fields], reason: str) -> None:
    before = Drive().attempt(start(), *text(0, W), parts)
    after = adopted(before.seen, facts=before.engine.facts)
    assert reason in (after.engine.history.gave_up or "")
    assert before.breaks().engine.history.gave_up == after.engine.history.gave_up


def test_what_came_before_anything_was_shown_forbids_nothing() -> None:
    facts = [{"fact": "block", "attempt": 1, "type": "fallback", "name": None, "direct": True}]
    attempts = [PastAttempt(), PastAttempt(shown=sse(*OPEN_TEXT))]
    assert not Drive(past=Past(attempts=attempts, facts=facts)).done
    assert not adopted(facts=facts).done


def test_facts_that_nobody_understands_are_passed_over() -> None:
    odd: list[Fields] = [{}, {"fact": "aurora"}, {"fact": "container", "attempt": "x", "id": 5}]
    odd += [{"fact": "mcp_call", "id": "x"}, {"fact": "block", "attempt": None, "type": "x"}, {"fact": "extended"}]
    assert not adopted(*OPEN_TEXT, facts=odd).done


# Upstreams.


def test_the_route_is_asked_and_what_another_made_is_known() -> None:
    asked: list[Any] = []
    shown = sse(start(), *thinking(0, "hm"), begin(1), say(1, W))
    drive = Drive(past=Past(attempts=[PastAttempt(2, shown)]), route=lambda route: asked.append(route) or 0)
    assert (asked[0].last, asked[0].may_move, asked[0].shown) == (2, True, True)
    assert asked[0].failure.kind is Kind.DISCONNECTED
    assert isinstance(drive.wait, Open) and drive.wait.upstream == 0
    assert [block["type"] for block in drive.turns[0]["content"]] == ["text"]


def test_an_upstream_that_is_there_no_more_is_replaced_if_another_may_take_over() -> None:
    def gone(*shown: Fields, **options: Any) -> Drive:
        return Drive(past=Past(attempts=[PastAttempt(None, sse(*shown))]), **options)

    drive = gone(*OPEN_TEXT)
    assert isinstance(drive.wait, Open) and drive.wait.upstream == 0
    assert isinstance(gone(*OPEN_TEXT, route=lambda route: 1).wait, Open)
    searched = [start(), *call(0, "{}", **SEARCH), *result(1, "s1"), begin(2), say(2, W)]
    for options in ({}, {"route": lambda route: 1}):
        assert "there no more" in (gone(*searched, **options).engine.history.gave_up or "")


def test_blocks_that_stay_at_home_stay_where_they_were_received() -> None:
    before = Drive().attempt(start(), *text(0, W), call(1, **SEARCH, closed=False))
    asked: list[Any] = []
    adopted(before.seen, facts=before.engine.facts, route=lambda route: asked.append(route) or 1)
    assert asked[0].may_move is False


# Framing.


@pytest.mark.parametrize("dialect", [Anthropic, Bedrock])
def test_both_framings_are_read_and_gone_on_with(dialect: Any) -> None:
    shown = b"".join(dialect().encode(event) for event in OPEN_TEXT)
    drive = Drive(past=Past(attempts=[PastAttempt(shown=shown)]), one_wire=False)
    drive.attempt(start(), *text(0, drive.element()), call(1, "{}")).breaks()
    assert drive.complete and drive.seen.endswith(dialect().encode(STOP))


def test_the_ids_of_a_journal_are_read_over() -> None:
    shown = b"".join(b"id: %d\n" % number + sse(event) for number, event in enumerate(OPEN_TEXT))
    assert Drive(past=Past(attempts=[PastAttempt(shown=shown)])).element() == adopted(*OPEN_TEXT).element()


@pytest.mark.parametrize(
    "data",
    [
        sse(*OPEN_TEXT)[:-1],
        sse(say(0, "a")),
        b"event: message_start\ndata: {\n\n",
        b"\0\0\0\x10" + bytes(12),
        Bedrock().encode(start())[:-1],
    ],
)
def test_what_is_no_beginning_of_a_message_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BrokenPast, match="what was recorded of the stream"):
        Drive(past=past(data))


def test_the_record_of_the_attempt_that_began_it_says_so() -> None:
    records = fold(Past(attempts=[PastAttempt(), PastAttempt(1, sse(*OPEN_TEXT), "restart")])).records
    assert [(r.number, r.plan, r.upstream, r.showed) for r in records] == [
        (1, "first", 0, False),
        (2, "restart", 1, True),
    ]
    assert (records[1].message_id, records[1].model, records[1].usage["input_tokens"]) == ("msg_1", TURN_MODEL, 10)
    assert fold(Past(attempts=[PastAttempt(shown=sse(PING))])).pings == 1


# Every place at which a process can end.

REPLIES: dict[str, list[Fields]] = {
    "text": whole(text(0, "Once ", "upon a time ", "there was a fox, and it was quick."), text(1, "It ", "ran.")),
    "thinking": whole(thinking(0, "hm, ", "well"), text(1, "The answer ", "is forty-two, ", "of course.")),
    "tool_use": whole(text(0, "I look ", "it up."), call(1, '{"a"', ":1}"), call(2, id="toolu_2"), reason="tool_use"),
    "server": whole(
        text(0, "I search ", "now."), call(1, '{"q":1}', **SEARCH), result(2, "s1"), text(3, "Found ", "it.")
    ),
    "mcp": whole(
        text(0, "I send ", "it."), call(1, "{}", **MCP), result(2, "m1", "mcp_tool_result"), text(3, "It is ", "sent.")
    ),
    "whole": [start(content=[{"type": "text", "text": "a"}], stop_reason="end_turn"), STOP],
    "pings": [PING, start(), PING, *text(0, "a ", "b"), PING, stopping(None), PING, stopping(), STOP],
}


def rest_of(reply: list[Fields], shown: Fields, drive: Drive) -> list[Fields]:
    """What an obedient model says to what it is sent: the same blocks, from where the consumer is."""
    blocks, have = folded(reply)["content"], shown.get("content", [])
    if not have:
        return reply
    last, words = have[-1], drive.turns[-1]["content"]
    missing = blocks[len(have) - 1]["text"].removeprefix(last["text"]) if last["type"] == "text" else ""
    later = blocks[len(have) :]
    if not missing and not later:
        marker = words[words.index("<reply_complete") :].partition("/>")[0] + "/>"
        return whole(text(0, marker), id="msg_2")
    lead = drive.element() if "<last_words>" in words else ""
    rest = [text(0, lead + missing)] if lead or missing else []
    rest += [_block(len(rest) + number, block) for number, block in enumerate(later)]
    return [start("msg_2"), *(event for events in rest for event in events), *reply[-2:]]


def _block(index: int, block: Fields) -> list[Fields]:
    if block["type"] == "text":
        return text(index, block["text"])
    if block["type"].endswith("tool_use"):
        return [{**begin(index, **block)}, end(index)]
    return [begin(index, **block), end(index)]


def compared(message: Fields) -> Fields:
    return {name: value for name, value in message.items() if name != "usage"}


@pytest.mark.parametrize("name", REPLIES)
def test_wherever_a_process_ends_the_stream_is_whole_or_ends_as_the_table_says(name: str) -> None:
    """Contract §10.2: after each step the merged message is the uninterrupted one, or it settles, or it says why not.

    Within a step nothing but an honest end is promised: what a step gives is recorded as one.
    """
    reply, source = REPLIES[name], Drive().opens()
    facts_after = {0: 0}  # by how much was shown: how many facts the journal has then
    for event in reply:
        source.gets(event)
        facts_after[len(source.seen)] = len(source.engine.facts)
    frames = [frame + b"\n\n" for frame in source.seen.split(b"\n\n")[:-1]]
    settled = called = 0
    for count in range(len(frames) + 1):
        shown = b"".join(frames[:count])
        whole_step = len(shown) in facts_after
        facts = source.engine.facts[: facts_after.get(len(shown), 0)]
        drive = Drive(past=past(shown, facts=facts))
        if isinstance(drive.wait, Open):
            drive.attempt(rest_of(reply, folded(read(shown)), drive))
        assert drive.done, (name, count)
        assert drive.seen.startswith(shown)
        message = folded(drive.events)
        if drive.engine.history.settled:
            settled += 1
            assert message["stop_reason"] == "tool_use"
            calls = folded(reply)["content"]
            assert message["content"] == calls[: len(message["content"])]
        elif drive.complete:
            assert compared(message) == compared(folded(reply)), (name, count)
        else:
            why = drive.engine.history.gave_up or ""
            called += "already called" in why
            assert not whole_step or "already called" in why, (name, count, why)
    assert (settled > 0) is (name == "tool_use")
    assert (called > 0) is (name == "mcp")
