"""Times, and what may be claimed from them."""

import pytest

from midstream.doctor.diagnose.timing import Stopwatch, Suspected, Timing, is_batched, suspected
from midstream.doctor.recording.facts import How


def watched(*arrivals: float, head: float | None = 0.1, ended: float | None = None, began: float = 100.0) -> Timing:
    watch = Stopwatch(began)
    watch.head(None if head is None else began + head)
    for at in arrivals:
        watch.arrived(began + at)
    watch.ended(None if ended is None else began + ended)
    timing = watch.read()
    assert timing is not None
    return timing


def steady(until: float, step: float = 0.5) -> list[float]:
    return [number * step for number in range(1, int(until / step) + 1)]


def test_times_are_counted_from_the_request() -> None:
    timing = watched(0.5, 1.0, 4.0, ended=10.0)
    assert (timing.head_s, timing.first_byte_s, timing.last_byte_s, timing.ended_s) == pytest.approx(
        (0.1, 0.5, 4.0, 10.0)
    )
    assert (timing.longest_silence_s, timing.silence_s) == pytest.approx((3.0, 6.0))


def test_without_a_request_they_are_counted_from_the_first_that_is_known() -> None:
    watch = Stopwatch(None)
    assert watch.since(None) is None
    assert [watch.arrived(at) for at in (50.0, 51.0)] == [0.0, 1.0]


def test_a_recording_without_times_has_none() -> None:
    watch = Stopwatch(None)
    assert watch.arrived(None) is None and watch.ended(None) is None
    assert watch.read() is None


ROWS = {
    "silence of 60 s": (watched(*steady(5), ended=65.0), How.INCOMPLETE, "nginx", ("idle", 60.0)),
    "silence of 50 s": (
        watched(*steady(5), ended=55.1),
        How.INCOMPLETE,
        "HAProxy as Debian configures it",
        ("idle", 50.1),
    ),
    "silence of 3 s": (watched(*steady(5), ended=8.0), How.CLEAN, None, ("idle", 3.0)),
    "silence before the first byte": (watched(ended=60.2), How.INCOMPLETE, "nginx", ("idle", 60.1)),
    "a total of 15 s": (watched(*steady(15), ended=15.0), How.STREAM_RESET, "Envoy, Envoy Gateway", ("total", 15.0)),
    "a total of 300 s": (watched(*steady(300), ended=300.4), How.INCOMPLETE, "Cloud Run", ("total", 300.4)),
    "the client's own 600 s": (watched(*steady(5), ended=605.0), How.TIMEOUT, "the Anthropic SDK", ("idle", 600.0)),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_limit_is_told_with_its_kind_its_length_and_its_owner(name: str) -> None:
    timing, how, whose, (kind, seconds) = ROWS[name]
    found = suspected(timing, how, "")
    assert isinstance(found, Suspected)
    assert (found.kind, found.seconds) == (kind, pytest.approx(seconds, abs=0.05))
    assert whose in [limit.whose for limit in found.known] if whose else not found.known


def test_a_client_that_gave_up_was_stopped_by_a_limit_of_a_client() -> None:
    found = suspected(watched(*steady(5), ended=65.0), How.TIMEOUT, "nginx")
    assert found is not None and {limit.client for limit in found.known} == {True}


NOTHING = {
    "flowing to the end, at no known length": watched(*steady(7), ended=7.1),
    "a silence as long had passed before": watched(0.5, 26.0, ended=46.0),
    "no end is known": watched(*steady(5)),
}


@pytest.mark.parametrize("name", NOTHING)
def test_no_limit_is_claimed_where_the_times_allow_none(name: str) -> None:
    assert suspected(NOTHING[name], How.INCOMPLETE, "") is None


def test_a_har_has_no_silence_but_a_total() -> None:
    watch = Stopwatch(0.0)
    watch.head(0.3)
    watch.arrived(None)
    watch.ended(15.2)
    timing = watch.read()
    assert timing is not None and timing.silence_s is None
    found = suspected(timing, How.STREAM_RESET, "")
    assert found is not None and found.kind == "total"


def test_who_stands_on_the_way_is_named_where_the_length_is_nobodys() -> None:
    found = suspected(watched(*steady(5), ended=8.0), How.INCOMPLETE, "nginx")
    assert found is not None and [limit.whose for limit in found.set_by] == ["nginx"]
    found = suspected(watched(*steady(5), ended=65.0), How.INCOMPLETE, "nginx")
    assert found is not None and [limit.whose for limit in found.named] == ["nginx"] and len(found.known) > 3
    assert not any(limit.client for limit in found.known)


def test_a_client_that_is_a_hop_on_the_way_is_named_where_nobody_else_has_such_a_limit() -> None:
    found = suspected(watched(*steady(5), ended=10.0), How.INCOMPLETE, "")
    assert found is not None and ["httpx" in limit.whose for limit in found.known] == [True]


@pytest.mark.parametrize(
    ("timing", "events", "batched"),
    [
        (watched(5.0, 5.01, ended=5.02), 30, True),
        (watched(*steady(5), ended=5.0), 30, False),
        (watched(5.0, ended=5.0), 3, False),
        (watched(0.3, ended=0.3), 30, False),
        (watched(*[5 + n / 100 for n in range(20)], ended=5.3), 30, False),
    ],
)
def test_a_reply_that_came_in_one_go_was_held_back(timing: Timing, events: int, batched: bool) -> None:
    assert is_batched(timing, events) is batched
