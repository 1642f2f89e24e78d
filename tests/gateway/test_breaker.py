"""When an upstream is left out, and when it is tried again."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.gateway.breaker import (
    FAILURES,
    OPEN_MAX_S,
    OPEN_S,
    PROBE_S,
    SHARE_OF,
    WINDOW_S,
    Breaker,
    State,
    counts,
)
from midstream.recovery.failure import Kind

OF_THE_CALLER = {Kind.REJECTED, Kind.RATE_LIMITED, Kind.LIMIT}


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.allows(at)
        breaker.failed(at)
    assert breaker.state is State.OPEN
    return breaker


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_said_of_the_caller_does_not_count_against_the_upstream(kind: Kind) -> None:
    assert counts(kind) is (kind not in OF_THE_CALLER)


def test_one_failure_less_than_the_limit_opens_nothing() -> None:
    breaker = Breaker(failures=3)
    breaker.failed(0)
    breaker.failed(1)
    assert breaker.state is State.CLOSED
    breaker.failed(2)
    assert breaker.state is State.OPEN
    assert not breaker.allows(2)


def test_a_success_starts_the_row_again() -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(FAILURES - 1):
            breaker.failed(0)
        breaker.succeeded(0)
    assert breaker.state is State.CLOSED


def test_half_of_the_window_failing_opens_it_though_some_succeed() -> None:
    breaker = Breaker()
    for number in range(SHARE_OF - 1):
        breaker.succeeded(number) if number % 2 else breaker.failed(number)
        assert breaker.state is State.CLOSED
    breaker.failed(SHARE_OF)
    assert breaker.state is State.OPEN


def test_failures_that_are_older_than_the_window_are_forgotten() -> None:
    breaker = Breaker()
    for number in range(SHARE_OF - 1):
        breaker.succeeded(0) if number % 2 else breaker.failed(0)
    breaker.failed(WINDOW_S + 1)
    assert breaker.state is State.CLOSED


def test_the_window_never_holds_more_than_its_slices() -> None:
    breaker = Breaker()
    for second in range(1000):
        breaker.succeeded(second)
    assert len(breaker._slices) <= 7


def test_it_lets_one_probe_in_after_its_time_and_no_other() -> None:
    breaker = opened(at=100)
    assert not breaker.allows(100 + OPEN_S - 1)
    assert breaker.retry_in_s(110) == OPEN_S - 10
    assert breaker.allows(100 + OPEN_S)
    assert breaker.state is State.HALF_OPEN
    assert breaker.retry_in_s(100 + OPEN_S) == 0
    assert not breaker.allows(100 + OPEN_S)


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = opened()
    assert breaker.allows(OPEN_S)
    breaker.succeeded(OPEN_S + 1)
    assert breaker.state is State.CLOSED
    breaker.failed(OPEN_S + 1)
    assert breaker.state is State.CLOSED


def test_each_probe_that_fails_doubles_the_wait_up_to_a_limit() -> None:
    breaker, now = opened(), 0.0
    for wait_s in (OPEN_S, 2 * OPEN_S, 4 * OPEN_S, 8 * OPEN_S, OPEN_MAX_S, OPEN_MAX_S):
        assert not breaker.allows(now + wait_s - 0.1)
        now += wait_s
        assert breaker.allows(now)
        breaker.failed(now)
        assert breaker.state is State.OPEN
    assert breaker.allows(now + OPEN_MAX_S)
    breaker.succeeded(now + OPEN_MAX_S)
    now += OPEN_MAX_S
    for _ in range(FAILURES):
        breaker.failed(now)
    assert breaker.retry_in_s(now) == OPEN_S


def test_a_probe_that_says_nothing_makes_room_for_the_next() -> None:
    breaker = opened()
    assert breaker.allows(OPEN_S)
    breaker.released(OPEN_S)
    assert breaker.state is State.HALF_OPEN
    assert breaker.allows(OPEN_S)


def test_a_probe_that_was_lost_makes_room_after_a_while() -> None:
    breaker = opened()
    assert breaker.allows(OPEN_S)
    assert not breaker.allows(OPEN_S + PROBE_S - 1)
    assert breaker.allows(OPEN_S + PROBE_S)


def test_what_ends_late_does_not_close_or_lengthen_what_is_open() -> None:
    breaker = opened()
    before = copy.deepcopy(vars(breaker))
    breaker.succeeded(1)
    breaker.failed(1)
    breaker.released(1)
    assert vars(breaker) == before


@given(st.lists(st.tuples(st.sampled_from(("ask", "good", "bad", "free")), st.floats(0, 100)), max_size=200))
def test_whatever_happens_the_upstream_is_tried_again_in_bounded_time(story: list[tuple[str, float]]) -> None:
    breaker, now = Breaker(), 0.0
    for what, passed_s in story:
        now += passed_s
        {"ask": breaker.allows, "good": breaker.succeeded, "bad": breaker.failed, "free": breaker.released}[what](now)
    assert breaker.allows(now + OPEN_MAX_S + PROBE_S)
