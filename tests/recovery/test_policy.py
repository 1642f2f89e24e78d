"""The limits of a stream, and the decisions that they lead to."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.policy import (
    Decision,
    GiveUp,
    Policy,
    PolicyError,
    RetryBudget,
    Spent,
    TryAgain,
    decide,
)

MIB = 1 << 20
NEVER = [Kind.REJECTED, Kind.LIMIT]
AGAIN = [kind for kind in Kind if kind not in NEVER]


def failure(kind: Kind = Kind.TRUNCATED, **more: Any) -> Failure:
    return Failure(kind, Phase.WAITING, Origin.SERVICE, **more)


def unasked() -> bool:
    raise AssertionError("the budget must not be asked: asking spends")


def decided(
    what: Failure,
    spent: Spent | None = None,
    policy: Policy | None = None,
    *,
    jitter: float = 1.0,
    budget_left: Callable[[], bool] = lambda: True,
) -> Decision:
    spent = spent or Spent(attempts=1, attempts_total=1)
    return decide(what, spent, policy or Policy(), jitter=lambda: jitter, budget_left=budget_left)


# The policy itself


def test_the_defaults_are_those_of_the_contract() -> None:
    """The contract, §9."""
    assert {field.name: getattr(Policy(), field.name) for field in fields(Policy)} == {
        "attempts": 4,
        "attempts_total": 16,
        "elapsed_s": None,
        "waiting_s": None,
        "connect_s": 5.0,
        "first_event_s": 180.0,
        "silence_s": 180.0,
        "silence_after_pings_s": 60.0,
        "progress_s": 300.0,
        "progress_slow_s": 1800.0,
        "backoff_s": (0.5, 8.0),
        "retry_after_max_s": 60.0,
        "retry_share": 0.2,
        "retry_per_minute_min": 10,
        "tools": "hold",
        "thinking": "hold",
        "server_tools": "hold",
        "structured": "hold",
        "continue_text": True,
        "continue_max_tokens": 0,
        "repeat_remote_tools": False,
        "held_bytes_max": 64 * MIB,
        "reply_bytes_max": 256 * MIB,
        "frame_bytes_max": 32 * MIB,
        "error_body_bytes_max": MIB,
        "seam_hold_chars": 2000,
        "seam_hold_s": 5.0,
    }


def test_a_policy_cannot_be_changed_but_replaced() -> None:
    policy = Policy()
    with pytest.raises(FrozenInstanceError):
        policy.attempts = 5  # type: ignore[misc]
    assert replace(policy, attempts=5).attempts == 5
    with pytest.raises(PolicyError):
        replace(policy, attempts=0)


@pytest.mark.parametrize(("size", "limit_s"), [(0, 180.0), (32 * 1024, 181.0), (32 * MIB, 180.0 + 1024)])
def test_a_large_request_may_take_longer_to_its_first_event(size: int, limit_s: float) -> None:
    assert Policy().first_event_limit_s(size) == limit_s


def test_whole_numbers_of_seconds_are_as_good_as_others() -> None:
    policy = Policy(silence_s=30, backoff_s=(1, 2), retry_share=1)
    assert policy == Policy(silence_s=30.0, backoff_s=(1.0, 2.0), retry_share=1.0)
    assert [type(number) for number in (policy.silence_s, *policy.backoff_s)] == [float] * 3


def test_an_explicit_argument_beats_the_environment_which_beats_the_default() -> None:
    environ = {"MIDSTREAM_SILENCE_S": "30", "MIDSTREAM_ATTEMPTS": "5"}
    policy = Policy.from_environ(environ, silence_s=20.0, connect_s=1.0)
    assert policy == Policy(silence_s=20.0, connect_s=1.0, attempts=5)


def test_a_policy_that_is_made_directly_does_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDSTREAM_ATTEMPTS", "5")
    assert Policy().attempts == 4


def test_what_an_argument_beats_is_not_even_read() -> None:
    assert Policy.from_environ({"MIDSTREAM_ATTEMPTS": "many"}, attempts=3).attempts == 3


def test_a_bad_argument_is_not_blamed_on_a_variable() -> None:
    with pytest.raises(PolicyError, match=r"^attempts must be"):
        Policy.from_environ({"MIDSTREAM_ATTEMPTS": "5"}, attempts=0)


def test_variables_of_others_and_blank_ones_are_ignored() -> None:
    environ = {
        "MIDSTREAM_LOG": "debug",
        "MIDSTREAM_": "",
        "MIDSTREAM_SILENCE_S": " ",
        "SILENCE_S": "1",
        "midstream_tools": "x",
    }
    assert Policy.from_environ(environ) == Policy()


def test_an_argument_that_no_field_has_is_an_error_of_the_caller() -> None:
    with pytest.raises(TypeError):
        Policy.from_environ({}, patience=3)


def test_a_limit_over_its_total_is_named_after_where_it_came_from() -> None:
    with pytest.raises(PolicyError, match=r"^attempts_total is 16, but must be at least attempts, which is 20$"):
        Policy(attempts=20)
    with pytest.raises(
        PolicyError, match=r"^MIDSTREAM_ATTEMPTS_TOTAL is 2, but must be at least attempts, which is 4$"
    ):
        Policy.from_environ({"MIDSTREAM_ATTEMPTS_TOTAL": "2"})
    assert Policy(attempts=20, attempts_total=20).attempts_total == 20


# Decisions: what is never tried again


@pytest.mark.parametrize("kind", NEVER)
@pytest.mark.parametrize("should_retry", [None, True, False])
def test_a_rejection_and_a_limit_are_final_whatever_the_server_says(kind: Kind, should_retry: bool | None) -> None:
    decision = decided(failure(kind, should_retry=should_retry), budget_left=unasked)
    assert isinstance(decision, GiveUp)


@pytest.mark.parametrize("kind", AGAIN)
def test_every_other_kind_is_tried_again(kind: Kind) -> None:
    assert decided(failure(kind)) == TryAgain(0.5)
    assert decided(failure(kind, should_retry=True)) == TryAgain(0.5)


@pytest.mark.parametrize("kind", AGAIN)
@pytest.mark.parametrize("end", [{"should_retry": False}, {"exhausted": True}, {"certificate": True}])
def test_these_end_every_kind(kind: Kind, end: dict[str, bool]) -> None:
    assert isinstance(decided(failure(kind, **end), budget_left=unasked), GiveUp)


def test_an_exhausted_midstream_is_final_though_the_server_says_to_try_again() -> None:
    assert isinstance(decided(failure(exhausted=True, should_retry=True), budget_left=unasked), GiveUp)


# Decisions: delays


@pytest.mark.parametrize(
    ("attempts", "ceiling_s"), [(0, 0.5), (1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 8.0), (999, 8.0)]
)
def test_the_back_off_doubles_up_to_its_highest_and_is_drawn_from_all_of_it(attempts: int, ceiling_s: float) -> None:
    spent = Spent(attempts=attempts, attempts_total=attempts)
    policy = Policy(attempts=1000, attempts_total=1000)
    for jitter in (0.0, 0.25, 1.0):
        assert decided(failure(), spent, policy, jitter=jitter) == TryAgain(ceiling_s * jitter)


@pytest.mark.parametrize("backoff_s", [(0.0, 0.0), (0.0, 8.0), (3.0, 3.0), (1e6, 1e6), (1e-300, 1e6)])
def test_the_back_off_never_leaves_its_bounds(backoff_s: tuple[float, float]) -> None:
    policy = Policy(backoff_s=backoff_s, attempts=1000, attempts_total=10_000)
    for attempts in range(1, 999):
        decision = decided(failure(), Spent(attempts=attempts, attempts_total=attempts), policy)
        assert isinstance(decision, TryAgain)
        assert 0 <= decision.delay_s <= backoff_s[1]


@pytest.mark.parametrize("asked_s", [0.001, 1.0, 59.9, 60.0])
def test_the_server_is_obeyed_up_to_the_ceiling(asked_s: float) -> None:
    assert decided(failure(Kind.RATE_LIMITED, retry_after_s=asked_s), jitter=0.3) == TryAgain(asked_s)


@pytest.mark.parametrize("asked_s", [60.001, 3600.0, 1e300])
def test_above_the_ceiling_it_gives_up_at_once_and_says_so(asked_s: float) -> None:
    what = failure(Kind.RATE_LIMITED, retry_after_s=asked_s, should_retry=True)
    decision = decided(what, budget_left=unasked)
    assert isinstance(decision, GiveUp)
    assert f"{asked_s:,.1f} s" in decision.reason


# Decisions: limits


def test_attempts_since_something_new_was_shown_are_limited() -> None:
    assert isinstance(decided(failure(), Spent(attempts=3, attempts_total=3)), TryAgain)
    decision = decided(failure(), Spent(attempts=4, attempts_total=4), budget_left=unasked)
    assert decision == GiveUp("4 attempts in a row brought nothing new")


def test_all_attempts_together_are_limited() -> None:
    assert isinstance(decided(failure(), Spent(attempts=1, attempts_total=15)), TryAgain)
    decision = decided(failure(should_retry=True), Spent(attempts=1, attempts_total=16), budget_left=unasked)
    assert decision == GiveUp("all 16 attempts of the stream are used up")


def test_one_attempt_means_no_recovery() -> None:
    assert isinstance(decided(failure(), policy=Policy(attempts=1), budget_left=unasked), GiveUp)


def test_the_time_asleep_is_limited_with_the_delay_to_come() -> None:
    policy = Policy(waiting_s=10.0)
    what = failure(retry_after_s=4.0)
    assert decided(what, Spent(attempts=1, slept_s=6.0), policy) == TryAgain(4.0)
    assert isinstance(decided(what, Spent(attempts=1, slept_s=6.5), policy, budget_left=unasked), GiveUp)
    assert isinstance(decided(what, policy=Policy(waiting_s=0), budget_left=unasked), GiveUp)
    assert decided(failure(), policy=Policy(waiting_s=0), jitter=0.0) == TryAgain(0.0)


def test_an_attempt_that_could_only_begin_too_late_is_not_made() -> None:
    policy = Policy(elapsed_s=100.0)
    what = failure(retry_after_s=4.0)
    assert decided(what, Spent(attempts=1, elapsed_s=95.0), policy) == TryAgain(4.0)
    assert isinstance(decided(what, Spent(attempts=1, elapsed_s=96.0), policy, budget_left=unasked), GiveUp)
    assert isinstance(decided(what, Spent(attempts=1, elapsed_s=1e9), policy, budget_left=unasked), GiveUp)
    assert decided(what, Spent(attempts=1, elapsed_s=1e9, slept_s=1e9)) == TryAgain(4.0)


def test_the_shared_budget_has_the_last_word() -> None:
    asked = []

    def budget_left() -> bool:
        asked.append(1)
        return False

    assert decided(failure(), budget_left=budget_left) == GiveUp("the retry budget shared by all streams is used up")
    assert asked == [1]


def test_the_budget_is_asked_once_for_each_attempt() -> None:
    small = budget(per_minute_min=2)
    answers = [decided(failure(), budget_left=lambda: small.try_retry(0.0)) for _ in range(3)]
    assert [type(answer) for answer in answers] == [TryAgain, TryAgain, GiveUp]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(AGAIN),
    st.none() | st.floats(0.001, 100),
    st.floats(0, 1),
    st.integers(1, 12),
    st.integers(0, 30),
    st.none() | st.floats(0, 100),
)
def test_no_server_makes_a_stream_exceed_its_limits(
    kind: Kind, asked_s: float | None, jitter: float, attempts: int, more: int, waiting_s: float | None
) -> None:
    """The contract, §10.4: a stream that never gets on, played to its end."""
    policy = Policy(attempts=attempts, attempts_total=attempts + more, waiting_s=waiting_s)
    spent = Spent(attempts=1, attempts_total=1)
    what = failure(kind, retry_after_s=asked_s, should_retry=True)
    while isinstance(decision := decided(what, spent, policy, jitter=jitter), TryAgain):
        slept_s = spent.slept_s + decision.delay_s
        spent = Spent(attempts=spent.attempts + 1, attempts_total=spent.attempts_total + 1, slept_s=slept_s)
    assert spent.attempts <= policy.attempts
    assert spent.slept_s <= (policy.attempts - 1) * max(policy.retry_after_max_s, policy.backoff_s[1])
    assert waiting_s is None or spent.slept_s <= waiting_s


# The shared budget


def budget(share: float = 0.2, per_minute_min: int = 10) -> RetryBudget:
    return RetryBudget(share=share, per_minute_min=per_minute_min)


def taken(a_budget: RetryBudget, now: float, tries: int = 1000) -> int:
    return sum(a_budget.try_retry(now) for _ in range(tries))


def test_ten_retries_a_minute_are_always_there() -> None:
    quiet = budget()
    assert [taken(quiet, now) for now in (0.0, 30.0, 59.9, 60.0, 119.0, 120.0)] == [10, 0, 0, 10, 0, 10]


@pytest.mark.parametrize(
    ("requests", "retries"), [(0, 10), (49, 10), (50, 10), (54, 10), (55, 11), (100, 20), (1000, 200)]
)
def test_beyond_that_they_are_a_share_of_the_requests(requests: int, retries: int) -> None:
    busy = budget()
    for _ in range(requests):
        busy.request(5.0)
    assert taken(busy, 5.0) == retries


def test_requests_count_for_sixty_seconds() -> None:
    busy = budget()
    for _ in range(100):
        busy.request(0.0)
    assert taken(busy, 59.0, tries=15) == 15
    assert taken(busy, 60.0) == 0
    assert taken(busy, 118.9) == 0
    assert taken(busy, 119.0) == 10


def test_nothing_is_allowed_where_nothing_was_to_be() -> None:
    none = budget(share=0.0, per_minute_min=0)
    none.request(0.0)
    assert taken(none, 0.0) == 0


def test_a_refused_retry_costs_nothing() -> None:
    small = budget(per_minute_min=1)
    assert [small.try_retry(now) for now in (0.0, 1.0, 59.0, 60.0)] == [True, False, False, True]


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    odd = budget()
    assert taken(odd, 100.0) == 10
    assert taken(odd, 0.0) == 0
    assert taken(odd, 159.0) == 0
    assert taken(odd, 160.0) == 10


def test_its_memory_is_bounded() -> None:
    busy = budget()
    for tick in range(50_000):
        busy.request(tick / 10)
        busy.try_retry(tick / 10)
        busy.request(0.0)
    assert len(busy._buckets) <= RetryBudget.WINDOW_S


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from(["request", "retry"])), max_size=300),
    st.floats(0, 1),
    st.integers(0, 12),
)
def test_the_budget_agrees_with_a_full_record(moves: list[tuple[int, str]], share: float, per_minute_min: int) -> None:
    a_budget = budget(share, per_minute_min)
    requests: list[int] = []
    retries: list[int] = []
    for second, move in sorted(moves):
        if move == "request":
            a_budget.request(float(second))
            requests.append(second)
            continue
        made = sum(second - 60 < then for then in retries)
        allowed = max(per_minute_min, share * sum(second - 60 < then for then in requests))
        assert a_budget.try_retry(float(second)) is (made + 1 <= allowed)
        if made + 1 <= allowed:
            retries.append(second)
