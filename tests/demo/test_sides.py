"""Both sides over real sockets: what is told, in which order, and that nothing stays behind."""

import threading
from dataclasses import replace

import pytest

from midstream.demo import tale
from midstream.demo.sides import Cut, Ended, Fact, Grew, Mended, play, whole
from midstream.demo.verdict import same
from midstream.faults.builtin import REPLIES
from midstream.faults.reply import Reply

pytestmark = pytest.mark.sockets

FAST = 1000.0


def text_of(facts: list[Fact], side: str) -> str:
    return "".join(fact.text for fact in facts if isinstance(fact, Grew) and fact.side == side)


@pytest.fixture(scope="module")
def facts() -> list[Fact]:
    return list(play(tale.own(), ("bare", "mended"), FAST))


def test_the_bare_side_gets_half_a_reply_as_if_it_were_whole(facts: list[Fact]) -> None:
    (ended,) = [fact for fact in facts if isinstance(fact, Ended) and fact.side == "bare"]
    assert ended.error is None and ended.message is not None and ended.report is None
    assert ended.message["stop_reason"] is None
    assert tale.TEXT.startswith(text_of(facts, "bare")) and len(text_of(facts, "bare")) < len(tale.TEXT) * 0.6


def test_the_mended_side_gets_all_of_it(facts: list[Fact]) -> None:
    (ended,) = [fact for fact in facts if isinstance(fact, Ended) and fact.side == "mended"]
    assert text_of(facts, "mended") == tale.TEXT
    assert same(ended.message, whole(tale.own()))
    assert ended.report is not None and len(ended.report.attempts) == 3


def test_each_cut_is_told_when_it_happens_and_again_where_the_text_goes_on(facts: list[Fact]) -> None:
    told = [fact for fact in facts if isinstance(fact, Cut | Mended)]
    assert [type(fact) for fact in told] == [Cut, Mended, Cut, Mended]
    reasons = ["the body ended early, as if whole"] * 2 + ["connection reset"] * 2
    assert [fact.reason for fact in told] == reasons
    assert all(fact.seconds > 0 for fact in told if isinstance(fact, Mended))
    place = next(n for n, fact in enumerate(facts) if isinstance(fact, Mended))
    assert text_of(facts[:place], "mended") == text_of(facts, "bare")


def test_no_thread_and_no_server_stays_behind() -> None:
    before = set(threading.enumerate())
    for _ in play(tale.own(), ("bare", "mended"), FAST):
        pass
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(10)
    assert [thread for thread in left if thread.is_alive()] == []


def test_thinking_and_tools_are_told_as_what_they_are() -> None:
    told = tale.recorded(Reply.from_events(REPLIES["everything"]), "x")
    facts = [fact for fact in play(told, ("mended",), FAST) if isinstance(fact, Grew)]
    assert {fact.sort for fact in facts} == {"text", "thinking", "tool"}
    assert "get_weather " in text_of(list(facts), "mended")


def test_an_error_ends_a_side_with_its_name_and_sentence() -> None:
    broken = replace(tale.own(), script="always cut-rst@event=20")
    (bare,) = [fact for fact in play(broken, ("bare",), FAST) if isinstance(fact, Ended)]
    assert bare.message is None and bare.error is not None and "Error" in bare.error
    stopped = replace(tale.own(), script="on 1: cut-rst@event=20; then always 400")
    (mended,) = [fact for fact in play(stopped, ("mended",), FAST) if isinstance(fact, Ended)]
    assert mended.error is not None and mended.report is not None and mended.message is not None


def test_a_script_that_makes_no_sense_is_raised_where_it_is_played() -> None:
    with pytest.raises(ValueError, match="there is no fault"):
        list(play(replace(tale.own(), script="melt"), ("bare",), FAST))


def test_a_reply_that_the_sdk_cannot_read_is_not_whole() -> None:
    deltas = {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{]"}}
    start = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    events = [
        REPLIES["text"][0],
        {"type": "content_block_start", "index": 0, "content_block": start},
        deltas,
        {"type": "content_block_stop", "index": 0},
        *REPLIES["text"][-2:],
    ]
    with pytest.raises(tale.NotWhole, match="the SDK cannot read it"):
        whole(tale.recorded(Reply.from_events(events), "x"))
