"""The whole of recovery (the contract, §6, §9 and §10): facts in, one step out, until the stream is over."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.protocol.dialects import Bedrock
from midstream.protocol.framing import fields_of, is_sse
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.failure import Kind, Phase
from midstream.recovery.models import Memory
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Open, Opened, Read, Received, Sleep
from tests.wire import (
    PING,
    PREFIX_MODEL,
    STOP,
    Drive,
    begin,
    call,
    end,
    folded,
    grow,
    operations,
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
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
SERVER = {"type": "server_tool_use", "id": "s1", "name": "web_search"}


def cut_text(*, body: Fields | None = None, **options: Any) -> Drive:
    return Drive(body, **options).attempt(start(), begin(0), say(0, W)).breaks()


# Waits.


def test_the_first_step_sends_the_caller_s_own_request() -> None:
    body = request()
    drive = Drive(body, Policy(connect_s=3, first_event_s=20))
    size_s = len(json.dumps(body, separators=(",", ":"))) / 32768
    assert drive.wait == Open(None, 20 + size_s, 3)
    drive.opens()
    assert drive.wait == Read(20 + size_s)


def test_a_failed_attempt_is_followed_by_a_sleep_and_then_by_the_next() -> None:
    drive = Drive(jitter=1.0).attempt(start()).breaks()
    assert drive.wait == Sleep(0.5)
    drive.elapses()
    assert isinstance(drive.wait, Open)
    assert drive.wait.deadline > 180.5
    drive.breaks("connect")
    assert drive.wait == Sleep(1.5)
    assert drive.engine.history.slept_s == 0.5
    assert [record.delay_s for record in drive.engine.history.attempts] == [0.0, 0.5]


def test_what_was_asked_for_is_waited_for() -> None:
    drive = Drive(jitter=1.0).refuses(529, retry_after="7")
    assert drive.wait == Sleep(7.0)
    drive = Drive().refuses(429, retry_after="61")
    assert drive.failure.retry_after_s == 61.0
    dated = Drive().refuses(529, retry_after="Thu, 01 Jan 1970 00:00:30 GMT")
    assert dated.wait == Sleep(30.0)


def test_without_a_time_of_day_a_date_counts_for_nothing() -> None:
    engine = Engine(Request(request()), Policy(), Surroundings(lambda: 0.5))
    engine.start(0.0)
    engine.receive(Opened(503, {"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}), 0.0)
    assert engine.receive(Ended(), 0.0).wait == Sleep(0.25)


def test_once_the_stream_is_over_it_stays_over() -> None:
    drive = Drive().attempt(*whole(text(0, "a")))
    assert drive.complete
    seen = drive.seen
    for fact in (Received(b"x"), Ended(), Broke("reset"), Elapsed(), Opened(200, {})):
        assert drive.tell(fact).wait == Done(None)
    assert drive.seen == seen
    failed = Drive(policy=Policy(attempts=1)).breaks()
    assert failed.tell(Ended()).wait == Done(failed.failure)


@pytest.mark.parametrize(
    ("before", "fact"),
    [
        ("opening", Received(b"")),
        ("opening", Ended()),
        ("reading", Opened(200, {})),
        ("sleeping", Ended()),
        ("sleeping", Broke("x")),
    ],
)
def test_only_a_wrong_call_raises(before: str, fact: Any) -> None:
    drive = Drive(jitter=1.0)
    if before != "opening":
        drive.opens()
    if before == "sleeping":
        drive.breaks()
    with pytest.raises(AssertionError):
        drive.tell(fact)


# Restart.


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [PING],
        [start()],
        [start(), thinking(0, "a")],
        [start(), begin(0)],
        [start(), text(0, " ")],
        [start(), call(0, '{"a', closed=False)],
        [start(), call(0)],
        [start(), call(0, "{}", **SERVER)],
        [start(), OVERLOADED],
    ],
)
def test_a_failure_before_the_first_content_is_invisible(parts: list[Any]) -> None:
    drive = Drive().attempt(*parts)
    if isinstance(drive.wait, Read):
        drive.breaks()
    assert drive.seen == b""
    drive.attempt(*whole(text(0, "Hello"), id="msg_2"))
    assert drive.complete
    assert drive.sent == [None, None]
    assert drive.seen == sse(*whole(text(0, "Hello"), id="msg_2"))
    assert [record.plan for record in drive.engine.history.attempts] == ["first", "restart"]


def test_what_was_received_and_never_shown_is_told() -> None:
    drive = Drive().attempt(start(), thinking(0, "a"), call(1, '{"', closed=False)).breaks()
    dropped = [(record.attempt, record.type, record.name) for record in drive.engine.history.dropped]
    assert dropped == [(1, "thinking", None), (1, "tool_use", "look")]
    assert ["not finished" in record.reason for record in drive.engine.history.dropped] == [False, True]


# Limits.


def test_attempts_count_since_something_new_was_last_shown() -> None:
    drive = cut_text()
    for _ in range(2):
        drive.breaks("connect")
    drive.attempt(start(), begin(0), say(0, drive.element() + " more")).breaks()
    for _ in range(2):
        drive.breaks("connect")
        assert not drive.done
    drive.breaks("connect")
    assert drive.failure.kind is Kind.UNREACHABLE
    assert len(drive.sent) == 1 + 3 + 3
    assert drive.texts == [W + " more"]
    assert drive.engine.history.gave_up == "4 attempts in a row brought nothing new"


def test_attempts_total_counts_them_all() -> None:
    drive = Drive(policy=Policy(attempts=4, attempts_total=5)).attempt(start(), begin(0), say(0, W)).breaks()
    for word in ("a", "b", "c", "d"):
        drive.attempt(start(), begin(0), say(0, f"{drive.element()} {word}")).breaks()
    assert drive.failure.kind is Kind.DISCONNECTED
    assert len(drive.sent) == 5
    assert drive.texts == [W + " a b c d"]


def test_the_time_of_the_whole_stream_is_a_limit() -> None:
    drive = Drive(policy=Policy(elapsed_s=100)).attempt(start(), begin(0), say(0, W)).tell(Broke("reset"), after_s=99)
    assert not drive.done
    assert drive.wait.deadline == 100.0  # type: ignore[union-attr]
    drive.elapses()
    assert (drive.failure.kind, drive.now) == (Kind.STALLED, 100.0)


def test_the_retry_budget_is_asked_before_each_retry_and_only_then() -> None:
    left = [True, False]
    drive = Drive(take_retry=lambda: left.pop(0))
    assert left == [True, False]
    drive.breaks("connect")
    assert left == [False]
    drive.breaks("connect")
    assert drive.failure.kind is Kind.UNREACHABLE
    assert "budget" in (drive.engine.history.gave_up or "")


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        (lambda d: d.refuses(401), Kind.REJECTED),
        (lambda d: d.breaks("certificate"), Kind.UNREACHABLE),
        (lambda d: d.refuses(529, x_should_retry="false"), Kind.OVERLOADED),
        (lambda d: d.refuses(400, x_should_retry="true"), Kind.REJECTED),
        (
            lambda d: d.attempt(
                {**OVERLOADED, "error": {"type": "overloaded_error", "midstream": {"exhausted": True}}}
            ),
            Kind.OVERLOADED,
        ),
        (
            lambda d: d.refuses(429, b'{"error":{"details":{"error_code":"enforced_spend_limit_reached"}}}'),
            Kind.REJECTED,
        ),
    ],
)
def test_some_failures_are_never_tried_again(finish: Any, kind: Kind) -> None:
    drive = Drive()
    finish(drive)
    assert drive.failure.kind is kind
    assert len(drive.sent) == 1


def test_a_slow_upload_is_tried_again() -> None:
    drive = Drive().refuses(400, b'{"error":{"details":{"error_code":"request_body_timeout"}}}')
    assert drive.sent == [None, None]


def test_recovery_may_be_switched_off() -> None:
    drive = Drive(recovers=False).attempt(start(), begin(0), say(0, W)).breaks()
    assert drive.failure.kind is Kind.DISCONNECTED
    assert drive.engine.history.gave_up == "recovery is switched off"
    settled = Drive(recovers=False).attempt(start(), text(0, "a"), stopping()).breaks()
    assert settled.complete


# Continue, the forms, and the original failure.


def test_a_prefix_that_is_refused_goes_to_a_turn_and_a_turn_to_a_quote() -> None:
    drive = cut_text(body=request(PREFIX_MODEL))
    assert [turn["role"] for turn in drive.turns] == ["assistant"]
    drive.refuses(400, x_should_retry="false")
    assert [turn["role"] for turn in drive.turns] == ["assistant", "user"]
    drive.refuses(400, x_should_retry="false")
    assert [turn["role"] for turn in drive.turns] == ["user"]
    assert W in drive.turns[0]["content"]
    drive.attempt(start(), *text(0, " so on."), stopping(), STOP)
    assert drive.complete
    assert drive.texts == [W + " so on."]
    plans = [record.plan for record in drive.engine.history.attempts]
    assert plans == ["first", "continue (prefix)", "continue (turn)", "continue (quote)"]


def test_a_refused_prefix_is_remembered_for_the_model() -> None:
    memory = Memory()
    cut_text(body=request(PREFIX_MODEL), memory=memory).refuses(400)
    later = cut_text(body=request(PREFIX_MODEL), memory=memory)
    assert [turn["role"] for turn in later.turns] == ["assistant", "user"]
    turned = Memory()
    cut_text(memory=turned).refuses(400)
    assert turned.mode_of(PREFIX_MODEL) == "prefix"


def test_the_forms_go_on_without_a_delay() -> None:
    drive = Drive(request(PREFIX_MODEL), jitter=1.0).attempt(start(), begin(0), say(0, W)).breaks()
    drive.refuses(400, retry_after="30")
    assert isinstance(drive.wait, Open)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 413, 422])
def test_any_other_refusal_of_a_resume_is_the_failure_that_made_it_necessary(status: int) -> None:
    drive = cut_text().refuses(status)
    assert (drive.failure.kind, drive.failure.phase) == (Kind.DISCONNECTED, Phase.SHOWING)
    assert "refused" in (drive.engine.history.gave_up or "")
    assert [r.failure.kind for r in drive.engine.history.attempts if r.failure] == [Kind.DISCONNECTED, Kind.REJECTED]


def test_after_the_last_form_the_error_is_the_failure_that_made_it_necessary() -> None:
    drive = cut_text().refuses(400).refuses(400)
    assert drive.failure.kind is Kind.DISCONNECTED
    event = cut_text().attempt({"type": "error", "error": {"type": "authentication_error"}})
    assert event.failure.kind is Kind.DISCONNECTED


def test_the_limits_hold_for_the_forms_too() -> None:
    drive = Drive(policy=Policy(attempts=2, attempts_total=2)).attempt(start(), begin(0), say(0, W)).breaks()
    drive.refuses(400)
    assert drive.failure.kind is Kind.DISCONNECTED


def test_a_rejection_within_a_continuation_that_showed_something_is_a_rejection() -> None:
    drive = cut_text()
    drive.attempt(
        start(), begin(0), say(0, drive.element() + " x"), {"type": "error", "error": {"type": "billing_error"}}
    )
    assert drive.failure.kind is Kind.REJECTED


def test_what_can_be_neither_continued_nor_settled_ends_with_its_failure_and_the_reason() -> None:
    drive = cut_text(policy=Policy(continue_text=False))
    assert drive.failure.kind is Kind.DISCONNECTED
    assert "policy" in (drive.engine.history.gave_up or "")
    assert drive.texts == [W]
    assert drive.kinds[-1] == "content_block_delta", "no stop for what is unfinished"


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        (Policy(thinking="live"), thinking(0, "a", closed=False)),
        (Policy(tools="live"), call(0, '{"a', closed=False)),
        (Policy(server_tools="live"), call(0, "{}", **SERVER)),
    ],
)
def test_what_a_live_policy_has_shown_unfinished_cannot_be_repaired(policy: Policy, parts: list[Fields]) -> None:
    drive = Drive(policy=policy).attempt(start(), parts).breaks()
    assert drive.failure.phase is Phase.SHOWING
    assert len(drive.sent) == 1
    assert drive.message
    assert drive.kinds[-1] == parts[-1]["type"], "nothing of ours was added"


def test_live_structured_output_is_shown_and_cannot_be_repaired() -> None:
    body = request(output_config={"format": {"type": "json_schema"}})
    held = Drive(body).attempt(start(), begin(0), say(0, '{"a')).breaks()
    assert held.sent == [None, None]
    live = Drive(body, Policy(structured="live")).attempt(start(), begin(0), say(0, '{"a')).breaks()
    assert live.texts == ['{"a']
    assert live.done and live.failure


def test_a_lost_mcp_call_is_not_made_again() -> None:
    parts = call(0, "{}", type="mcp_tool_use", name="transfer")
    drive = Drive().attempt(start(), parts).breaks()
    assert "'transfer'" in (drive.engine.history.gave_up or "")
    assert drive.failure.kind is Kind.DISCONNECTED
    again = Drive(policy=Policy(repeat_remote_tools=True)).attempt(start(), parts).breaks()
    assert again.sent == [None, None]


def test_eager_tools_are_not_judged() -> None:
    for options in ({"betas": frozenset({"fine-grained-tool-streaming-2025-05-14"})}, {}):
        drive = Drive(**options).attempt(start(), call(0, '{"a'), stopping("tool_use"), STOP)
        assert drive.complete is bool(options)


def test_a_reply_that_settles_is_complete_and_says_so() -> None:
    drive = Drive().attempt(start(), text(0, "a"), call(1, "{}"), call(2, '{"', closed=False)).breaks()
    assert drive.complete
    history = drive.engine.history
    assert history.settled and history.complete
    assert drive.message["stop_reason"] == "tool_use"
    assert [record.type for record in history.dropped] == ["tool_use"]
    assert len(drive.sent) == 1


# Going on after max_tokens.


def extended(count: int = 1, **options: Any) -> Drive:
    policy = Policy(continue_max_tokens=count, **options.pop("policy", {}))
    return Drive(policy=policy, **options).attempt(start(), *text(0, W), stopping("max_tokens"), STOP)


def test_continue_max_tokens_goes_on_as_often_as_it_says() -> None:
    drive = extended(2)
    assert drive.sent[-1]["max_tokens"] == 1000  # type: ignore[index]
    drive.attempt(start(), *text(0, drive.element() + " b"), stopping("max_tokens"), STOP)
    drive.attempt(start(), *text(0, drive.element() + " c"), stopping("max_tokens", 30), STOP)
    assert drive.complete
    assert drive.texts == [W + " b c"]
    assert drive.message["stop_reason"] == "max_tokens"
    assert drive.message["usage"]["output_tokens"] == 9 + 9 + 30
    assert drive.kinds.count("message_delta") == 1


def test_by_default_a_stop_at_max_tokens_is_one() -> None:
    drive = Drive().attempt(start(), *text(0, W), stopping("max_tokens"), STOP)
    assert drive.complete
    assert len(drive.sent) == 1
    off = Drive(policy=Policy(continue_max_tokens=1), recovers=False)
    assert off.attempt(start(), *text(0, W), stopping("max_tokens"), STOP).complete


@pytest.mark.parametrize(
    "parts",
    [[call(0, "{}"), text(1, "a")], [thinking(0, "a")], [call(0, "{}", type="mcp_tool_use")]],
    ids=["settle", "restart", "none"],
)
@pytest.mark.parametrize("stopped", [[STOP], []])
def test_where_there_is_no_way_to_continue_the_stop_at_max_tokens_counts(parts: list[Any], stopped: list[Any]) -> None:
    drive = Drive(policy=Policy(continue_max_tokens=1)).attempt(start(), *parts, stopping("max_tokens"), *stopped)
    if not drive.done:
        drive.gets(STOP)
    assert drive.complete
    assert drive.message["stop_reason"] == "max_tokens"
    assert len(drive.sent) == 1


def test_the_attempts_of_the_stream_are_the_limit_of_extensions_too() -> None:
    assert extended(policy={"attempts": 1, "attempts_total": 1}).message["stop_reason"] == "max_tokens"


def test_an_extension_that_is_refused_or_brings_nothing_leaves_the_stop_at_max_tokens() -> None:
    refused = extended().refuses(401)
    assert refused.complete
    assert refused.message["stop_reason"] == "max_tokens"
    lost = extended()
    while not lost.done:
        lost.breaks("connect")
    assert lost.complete
    assert (lost.message["stop_reason"], lost.texts) == ("max_tokens", [W])
    assert lost.message["usage"]["output_tokens"] == 9


def test_an_extension_that_broke_after_it_showed_something_did_not_stop_at_max_tokens() -> None:
    drive = extended()
    drive.attempt(start(), begin(0), say(0, drive.element() + " more")).breaks()
    while not drive.done:
        drive.breaks("connect")
    assert drive.failure.kind is Kind.UNREACHABLE


def test_an_extension_goes_through_the_forms_too() -> None:
    drive = extended(body=request(PREFIX_MODEL)).refuses(400)
    assert not drive.done
    assert [turn["role"] for turn in drive.turns] == ["assistant", "user"]


def test_an_extension_that_is_tried_again_has_as_much_room_again() -> None:
    drive = Drive(policy=Policy(continue_max_tokens=1))
    drive.attempt(start(), *text(0, W * 100), stopping("max_tokens"), STOP).breaks("connect")
    assert drive.sent[-1]["max_tokens"] == 1000  # type: ignore[index]


# What is asked for again after an attempt that brought nothing.


def test_an_attempt_that_brought_nothing_is_repeated_as_it_was() -> None:
    drive = Drive().attempt(start(), *text(0, W), call(1, '{"', closed=False)).breaks()
    first = drive.sent[-1]
    assert "call of the tool look" in drive.turns[-1]["content"]
    drive.attempt(start(), thinking(0, "a")).breaks()
    assert drive.sent[-1] == first
    drive.attempt(start(), begin(0), say(0, "Sure")).breaks()
    assert drive.sent[-1] == first or drive.texts[-1] == "Sure"


def test_holding_nothing_but_a_call_a_continuation_is_asked_for_the_call() -> None:
    drive = cut_text()
    drive.attempt(start(), call(0, '{"', closed=False)).breaks()
    assert "call of the tool look" in drive.turns[-1]["content"]


# The snapshot is what the consumer was shown.


def test_the_snapshot_is_what_was_shown_at_every_moment() -> None:
    drive = Drive()
    assert drive.engine.snapshot() == {}
    drive.attempt(start(), thinking(0, "a"))
    assert drive.engine.snapshot() == {}
    script = [
        begin(1),
        say(1, "b"),
        end(1),
        *call(2, '{"a": 1}'),
        begin(3, "novel", x=1),
        end(3),
        stopping("tool_use"),
        STOP,
    ]
    for event in script:
        drive.gets(event)
        said = drive.message
        said.pop("ended", None)
        snapshot = drive.engine.snapshot()
        assert snapshot == (said or {})
    assert drive.complete


def test_the_snapshot_of_a_failed_stream_is_what_was_shown() -> None:
    drive = cut_text()
    drive.attempt(start(), begin(0), say(0, drive.element() + " x")).breaks()
    while not drive.done:
        drive.breaks()
    assert drive.engine.snapshot()["content"] == drive.message["content"] == [{"type": "text", "text": W + " x"}]
    assert drive.engine.snapshot()["stop_reason"] is None


# Waking up, reading what came instead.


def test_waking_up_for_a_hold_is_no_failure() -> None:
    drive = cut_text().attempt(start(), begin(0), say(0, "Well"))
    drive.wakes()
    assert isinstance(drive.wait, Read)
    assert drive.wait == Read(180.0, None)


def test_an_error_body_that_never_ends_is_judged_as_it_is() -> None:
    late = Drive().opens(529).gets(b'{"type"').elapses()
    assert late.engine.history.attempts[0].failure.kind is Kind.OVERLOADED  # type: ignore[union-attr]
    lost = Drive().opens(529).gets(b'{"type"').breaks()
    assert lost.engine.history.attempts[0].failure.kind is Kind.OVERLOADED  # type: ignore[union-attr]
    trickled = Drive(policy=Policy(first_event_s=10)).opens(529)
    while trickled.sent == [None]:
        trickled.gets(b"x", after_s=3)
    assert trickled.now <= 12


def test_a_document_under_200_is_read_to_its_end() -> None:
    drive = (
        Drive(policy=Policy(attempts=1))
        .opens()
        .gets(b'{"type":"error",')
        .gets(b'"error":{"type":"overloaded_error"}}')
        .ends()
    )
    assert drive.failure.kind is Kind.OVERLOADED


# Invariants, whatever comes.

ANY_EVENT = st.sampled_from(
    [
        start(),
        start(stop_reason="end_turn"),
        begin(0),
        begin(1),
        say(0, "a "),
        say(0, W),
        say(1, "<last_words>"),
        say(0, " "),
        end(0),
        end(1),
        begin(0, "thinking"),
        grow(0, "signature_delta", signature="s"),
        *call(0, '{"a": 1}'),
        *call(1, "{"),
        *call(0, "{}", **SERVER),
        *result(1, "s1"),
        begin(2, "novel"),
        stopping(),
        stopping(None),
        stopping("max_tokens"),
        stopping("refusal"),
        STOP,
        PING,
        OVERLOADED,
        {"type": "novel"},
    ]
)
LIKELY = st.sampled_from(
    [
        whole(text(0, "Hello, ", "world")),
        whole(thinking(0, "a"), text(1, W), call(2, '{"a": 1}'), reason="tool_use"),
        whole(call(0, "{}", **SERVER), result(1, "s1"), text(2, "a", "b")),
        whole(text(0, "<reply_complete/>")),
        whole(text(0, "Sure:\n\n<last_words>", W, "</last_words>", " x")),
    ]
)
CHUNKS = st.lists(ANY_EVENT, max_size=6).map(lambda events: sse(*events)) | LIKELY.flatmap(
    lambda events: st.integers(0, len(sse(*events))).map(lambda cut: sse(*events)[:cut])
)
FACTS = st.one_of(
    CHUNKS.map(Received),
    CHUNKS.map(Received),
    st.binary(max_size=20).map(Received),
    st.just(Ended()),
    st.sampled_from(["reset", "connect", "odd"]).map(Broke),
    st.just(Elapsed()),
    st.sampled_from([200, 200, 200, 400, 401, 429, 529]).map(lambda status: Opened(status, {})),
)
POLICIES = st.sampled_from(
    [
        Policy(),
        Policy(thinking="live", tools="live", server_tools="live"),
        Policy(continue_max_tokens=2),
        Policy(attempts=50, attempts_total=50),
    ]
)


def fits(wait: Any, fact: Any) -> bool:
    match wait:
        case Open():
            return isinstance(fact, Opened | Broke | Elapsed)
        case Read():
            return not isinstance(fact, Opened)
        case Sleep():
            return isinstance(fact, Elapsed)
    return False


@given(
    facts=st.lists(FACTS, max_size=40),
    policy=POLICIES,
    model=st.sampled_from([PREFIX_MODEL, "claude-opus-5"]),
)
@settings(max_examples=300, deadline=None)
def test_whatever_comes_the_consumer_has_the_legal_beginning_of_one_message(
    facts: list[Any], policy: Policy, model: str
) -> None:
    """§10: 1, 4 and 8."""
    drive = Drive(request(model), policy)
    for fact in facts:
        if drive.done:
            break
        if isinstance(fact, Elapsed):
            drive.elapses()
        elif fits(drive.wait, fact):
            drive.tell(fact)
        elif isinstance(drive.wait, Open):
            drive.opens()
    message = drive.message
    assert len(drive.engine.history.attempts) <= policy.attempts_total
    assert len(drive.sent) == len(drive.engine.history.attempts)
    if drive.complete:
        assert message["ended"]
        assert message["stop_reason"]
    else:
        assert not message or not message["ended"]


def test_an_engine_is_plain_data_and_can_be_copied_in_mid_stream() -> None:
    engine = Engine(Request(request()), Policy(), Surroundings(jitter_of_nothing))
    engine.start(0.0)
    engine.receive(Opened(200, {}), 0.0)
    engine.receive(Received(sse(start(), begin(0), say(0, W))), 0.0)
    twin = copy.deepcopy(engine)
    rest = Received(sse(say(0, " x"), end(0), stopping(), STOP))
    assert engine.receive(rest, 1.0).wait == twin.receive(rest, 1.0).wait == Done(None)
    assert engine.snapshot() == twin.snapshot()


def jitter_of_nothing() -> float:
    return 0.0


@pytest.mark.parametrize("size", [1, 3, 50, 10_000])
def test_any_chunking_of_both_attempts_gives_the_same_message(size: int) -> None:
    drive = Drive()
    first = sse(start(), *thinking(0, "hm"), begin(1), say(1, W))
    bodies = [first, None]
    for number in range(2):
        body = bodies[number] or sse(*whole(text(0, f"{drive.element()} x"), call(1, '{"a": 1}'), reason="tool_use"))
        drive.opens()
        for at in range(0, len(body), size):
            drive.gets(body[at : at + size])
        if number == 0:
            drive.ends()
    assert drive.complete
    assert drive.texts == [W + " x"]
    assert drive.content[-1]["input"] == {"a": 1}


def test_work_grows_linearly_with_the_reply() -> None:
    def work(pieces: int) -> int:
        body = sse(*whole(text(0, *["word "] * pieces)))

        def play() -> None:
            drive = Drive().opens()
            for at in range(0, len(body), 500):
                drive.tell(Received(body[at : at + 500]))
            assert drive.complete

        return operations(play)

    assert work(1600) < 4.4 * work(400)


def test_text_that_flows_in_chunks_of_its_own_is_handed_on_at_once() -> None:
    drive = Drive().attempt(start(), begin(0), say(0, "a"))
    drive.gets(say(0, "b"), after_s=100)
    assert drive.last == sse(say(0, "b"))
    assert drive.wait == Read(280.0)


def test_the_caller_s_own_limit_for_the_headers_ends_the_attempt() -> None:
    drive = Drive().tell(Elapsed(), after_s=5)
    assert drive.engine.history.attempts[0].failure.kind is Kind.SILENT  # type: ignore[union-attr]
    assert drive.sent == [None, None]


def test_a_chunk_after_its_limit_is_too_late() -> None:
    drive = Drive().attempt(start(), begin(0), say(0, W)).gets(say(0, " x"), after_s=181)
    assert drive.engine.history.attempts[0].failure.kind is Kind.SILENT  # type: ignore[union-attr]
    assert drive.texts == [W]


def test_a_last_frame_that_lacks_its_blank_line_counts_before_the_break() -> None:
    drive = Drive().attempt(start(), text(0, "a"), stopping(), sse(STOP)[:-1]).breaks()
    assert drive.complete
    assert not drive.engine.history.stop_added


@pytest.mark.parametrize("lost", ["ends", "breaks"])
def test_a_stop_at_max_tokens_that_was_the_last_frame_is_the_end_where_it_cannot_be_extended(lost: str) -> None:
    drive = Drive(policy=Policy(continue_max_tokens=1, attempts=1, attempts_total=1))
    drive.attempt(start(), text(0, "a"), sse(stopping("max_tokens"))[:-1])
    getattr(drive, lost)()
    assert drive.complete
    assert drive.message["stop_reason"] == "max_tokens"
    assert drive.engine.history.stop_added


# Framings.


def bedrock(*events: Fields) -> bytes:
    return b"".join(Bedrock().encode(event) for event in events)


def test_where_events_are_transcoded_an_attempt_may_come_in_any_framing() -> None:
    drive = Drive(one_wire=False).attempt(start(), begin(0), say(0, W)).breaks()
    drive.attempt(bedrock(start(), *text(0, drive.element() + " on"), *text(1, "more"), begin(2, "novel"))).breaks()
    drive.attempt(bedrock(start(), *text(0, "and"), *text(1, "last"), stopping(), STOP))
    assert drive.complete
    events = [fields for event in drive.given if (fields := fields_of(event))]
    assert [block["text"] for block in folded(events)["content"]] == [W + " on", "more", "and", "last"]
    assert {is_sse(event.raw) for event in drive.given} == {True, False}


def test_by_default_no_attempt_speaks_otherwise_than_the_first() -> None:
    drive = Drive().attempt(start(), begin(0), say(0, W)).breaks().attempt(bedrock(start()))
    assert drive.engine.history.attempts[1].failure.kind is Kind.GARBLED  # type: ignore[union-attr]


def test_a_framing_that_is_given_is_that_of_midstream_s_own_events() -> None:
    drive = Drive(one_wire=False, wire=Bedrock()).attempt(start(), *call(0, "{}")).breaks()
    assert drive.engine.history.settled
    assert drive.last.endswith(Bedrock().encode(STOP))
    refused = Drive(wire=Bedrock()).attempt(start(), begin(0), say(0, W))
    assert refused.engine.history.attempts[0].failure.kind is Kind.GARBLED  # type: ignore[union-attr]
