"""Alarms: never early, hardly late, one timer for all."""

import random
from collections.abc import Callable
from typing import Any, cast

import pytest

from midstream.gateway.alarms import Alarms


class Loop:
    """A clock that is turned by hand, and the timers that were set."""

    def __init__(self) -> None:
        self.now = 5000.0
        self.timers: list[Timer] = []
        self.problems: list[Exception] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> "Timer":
        timer = Timer(self, when, call)
        self.timers.append(timer)
        return timer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(context["exception"])

    def go_to(self, end: float) -> None:
        """As time passes, in the order of the timers."""
        while due := [timer for timer in self.timers if timer.when <= end]:
            timer = min(due, key=lambda timer: timer.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when)
            timer.call()
        self.now = end


class Timer:
    def __init__(self, loop: Loop, when: float, call: Callable[[], None]) -> None:
        self.loop, self.when, self.call = loop, when, call

    def cancel(self) -> None:
        self.loop.timers.remove(self)


class Sleeper:
    """Notes when it is called."""

    def __init__(self, loop: Loop, then: Callable[[], None] = lambda: None) -> None:
        self.loop, self.then = loop, then
        self.rang_at: list[float] = []

    def rang(self) -> None:
        self.rang_at.append(self.loop.now)
        self.then()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def alarms(loop: Loop) -> Alarms:
    return Alarms(cast(Any, loop))


@pytest.mark.parametrize("wait_s", [-1.0, 0.0, 1e-9, 0.0004, 0.001, 0.02, 0.1, 1.0, 9.99, 10.0, 60.0, 180.0, 1e6])
def test_nobody_is_called_early_and_nobody_late_by_more_than_a_128th(loop: Loop, alarms: Alarms, wait_s: float) -> None:
    for begun_at in (5000.0, 5000.0004, 123456.789):
        loop.now = begun_at
        sleeper, at = Sleeper(loop), begun_at + wait_s
        alarms.set(sleeper, at)
        loop.go_to(begun_at + 2 * max(wait_s, 1))
        assert len(sleeper.rang_at) == 1
        late_s = sleeper.rang_at[0] - max(at, begun_at)
        assert 0 <= late_s <= max(wait_s / 128, 0.001)


def test_drawn_alarms_are_each_called_once_in_time_or_not_at_all_if_they_were_cancelled(
    loop: Loop, alarms: Alarms
) -> None:
    dice = random.Random(7)
    sleepers = [(Sleeper(loop), loop.now + dice.expovariate(0.2)) for _ in range(2000)]
    slots = [alarms.set(*sleeper) for sleeper in sleepers]
    cancelled = set(dice.sample(range(2000), 500))
    for at in cancelled:
        slots[at].cancel(sleepers[at][0])
    loop.go_to(loop.now + 1000)
    for at, (sleeper, due) in enumerate(sleepers):
        assert len(sleeper.rang_at) == (at not in cancelled)
        assert all(due <= rang_at <= due + 1 for rang_at in sleeper.rang_at)
    assert not loop.timers


def test_thousands_of_alarms_take_one_timer_and_few_slots(loop: Loop, alarms: Alarms) -> None:
    slots = {id(alarms.set(Sleeper(loop), loop.now + 10 + each / 1000)) for each in range(2000)}
    assert len(loop.timers) == 1
    assert len(slots) < 80


def test_the_timer_goes_by_whoever_is_due_first(loop: Loop, alarms: Alarms) -> None:
    late, soon = Sleeper(loop), Sleeper(loop)
    alarms.set(late, loop.now + 10)
    alarms.set(soon, loop.now + 1)
    assert len(loop.timers) == 1
    loop.go_to(loop.now + 2)
    assert (len(soon.rang_at), len(late.rang_at)) == (1, 0)


def test_who_is_called_may_take_back_the_alarm_of_another_and_set_the_next_of_its_own(
    loop: Loop, alarms: Alarms
) -> None:
    other = Sleeper(loop)

    def then() -> None:
        slots["other"].cancel(other)
        if len(first.rang_at) < 5:
            slots["first"] = alarms.set(first, loop.now + 1)

    first = Sleeper(loop, then)
    # One slot for both, and the first is called first: the one that was added last is.
    slots = {"other": alarms.set(other, loop.now + 1)}
    slots["first"] = alarms.set(first, loop.now + 1)
    assert slots["first"] is slots["other"]
    loop.go_to(loop.now + 100)
    assert (len(first.rang_at), len(other.rang_at)) == (5, 0)


def test_to_cancel_what_has_rung_does_nothing(loop: Loop, alarms: Alarms) -> None:
    sleeper = Sleeper(loop)
    slot = alarms.set(sleeper, loop.now)
    loop.go_to(loop.now + 1)
    slot.cancel(sleeper)
    assert len(sleeper.rang_at) == 1


def test_one_that_fails_is_told_to_the_loop_and_the_others_are_called(loop: Loop, alarms: Alarms) -> None:
    def fail() -> None:
        raise KeyError("it")

    sleepers = [Sleeper(loop, fail) for _ in range(3)]
    for sleeper in sleepers:
        alarms.set(sleeper, loop.now + 1)
    loop.go_to(loop.now + 2)
    assert [len(sleeper.rang_at) for sleeper in sleepers] == [1, 1, 1]
    assert [type(problem) for problem in loop.problems] == [KeyError] * 3
