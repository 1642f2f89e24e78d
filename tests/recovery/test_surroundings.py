"""What the engine is told from outside has harmless defaults."""

from midstream.recovery.surroundings import Route, Surroundings


def test_an_engine_alone_has_retries_and_one_upstream() -> None:
    around = Surroundings(lambda: 0.0)
    assert around.take_retry()
    assert around.route is None and around.unix_s is None


def test_the_memory_of_one_is_not_that_of_another() -> None:
    first, second = Surroundings(lambda: 0.0), Surroundings(lambda: 0.0)
    first.memory.refused_prefix("claude-haiku-4-5")
    assert second.memory.mode_of("claude-haiku-4-5") == "prefix"


def test_a_route_is_a_value() -> None:
    assert Route(0, None, may_move=True, shown=False) == Route(0, None, True, False)
