"""The engine's clock stands still while the consumer works."""

from midstream.drivers.clock import Clock


class Wall:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_is_the_monotonic_clock_while_the_upstream_is_waited_for() -> None:
    wall = Wall()
    clock = Clock(wall)
    assert clock() == 1000.0
    wall.now += 5
    assert clock() == 1005.0


def test_it_stands_still_while_the_consumer_works() -> None:
    wall = Wall()
    clock = Clock(wall)
    clock.leave()
    wall.now += 600
    assert clock() == 1000.0
    clock.back()
    assert clock() == 1000.0
    wall.now += 1
    assert clock() == 1001.0
    clock.leave()
    wall.now += 60
    clock.back()
    assert clock() == 1001.0


def test_leaving_or_coming_back_twice_changes_nothing() -> None:
    wall = Wall()
    clock = Clock(wall)
    clock.back()
    clock.leave()
    wall.now += 10
    clock.leave()
    wall.now += 10
    clock.back()
    wall.now += 3
    clock.back()
    assert clock() == 1003.0


def test_a_timer_that_ran_out_a_moment_early_moves_it_forward_and_never_back() -> None:
    wall = Wall()
    clock = Clock(wall)
    clock.skip_to(1000.5)
    assert clock() == 1000.5
    clock.skip_to(900.0)
    assert clock() == 1000.5
    wall.now += 1
    assert clock() == 1001.5


def test_deadlines_are_told_in_monotonic_time() -> None:
    wall = Wall()
    clock = Clock(wall)
    clock.leave()
    wall.now += 100
    clock.back()
    assert clock.monotonic_at(clock() + 7) == wall.now + 7
