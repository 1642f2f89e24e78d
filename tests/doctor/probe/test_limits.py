"""Idle or total, seen or silent: what the long questions say together."""

import pytest

from midstream.doctor.probe.limits import is_lost, limits, same
from midstream.doctor.probe.observations import Observations
from tests.doctor.probe.made import HEALTHY, SHIFT_S, UP_TO_S, before, changed, cut, flow, silence, stream, told

LOST = stream([0.0, UP_TO_S], [SHIFT_S, None], end="waited")
FINE = stream([0.0, 5.0])


@pytest.mark.parametrize(
    ("observed", "idle", "total", "pings_help"),
    [
        (HEALTHY, [], None, None),
        (changed(silences=(silence(60.0),)), [60.0], None, True),
        # Envoy: the client hears a second later than the upstream; the far end is right.
        (changed(silences=(silence(60.0, later_s=1.0),)), [60.0], None, True),
        (
            changed(silences=(silence(15.0),), pings=flow(15.0, "pings"), flow=flow(15.0)),
            [],
            15.0,
            None,
        ),
        (
            changed(silences=(silence(60.0),), pings=flow(100.0, "pings"), flow=flow(100.0)),
            [60.0],
            100.0,
            True,
        ),
        # One busy stream was cut, the other was not: that is an accident, no limit.
        (changed(flow=flow(33.0)), [], None, None),
        (changed(flow=flow(33.0), pings=flow(80.0, "pings")), [], None, None),
        (changed(silences=(silence(60.0),), pings=flow(61.0, "pings")), [60.0], None, False),
        (changed(silences=()), [], None, None),
        (changed(silences=(silence(60.0), silence(50.0, "complete", protocol="h2"))), [60.0, 50.0], None, True),
        # A write timeout is noticed by what is written after the silence: that is no limit on silence.
        (
            changed(silences=(cut([0.0, UP_TO_S], UP_TO_S + 0.01),), pings=flow(90.0, "pings"), flow=flow(90.0)),
            [],
            90.0,
            None,
        ),
    ],
)
def test_which_limit_it_is(
    observed: Observations, idle: list[float], total: float | None, pings_help: bool | None
) -> None:
    found = limits(observed)
    assert [limit.seconds for limit in found.idle] == pytest.approx(idle)
    assert (found.total and found.total.seconds) == (total and pytest.approx(total + SHIFT_S))
    assert found.pings_help is pings_help
    assert found.lost_from_s is None and found.before is None
    assert found.idle_known_to_s == pytest.approx(total + SHIFT_S if total else UP_TO_S)


def test_a_client_that_was_cut_off_alone_is_seen_by_its_own_clock() -> None:
    each = stream([0.0, UP_TO_S], [SHIFT_S, None], end="broken", end_at_s=50.0 + SHIFT_S, told=told([0.0, UP_TO_S]))
    # The far end went on and noticed nothing: its second event left, so its silence was over when the cut was seen.
    assert limits(changed(flow=each, pings=each)).total is not None


@pytest.mark.parametrize(
    ("end", "silent"), [("complete", True), ("unframed", True), ("broken", False), ("reset", False), ("waited", False)]
)
def test_a_limit_is_silent_when_its_cut_looks_whole(end: str, silent: bool) -> None:
    (limit,) = limits(changed(silences=(silence(60.0, end),))).idle
    assert limit.silent is silent


@pytest.mark.parametrize(("at_s", "status"), [(60.0, 504), (60.0, 502), (60.0, None)])
def test_a_silence_before_the_headers_ends_in_an_answer_or_in_none(at_s: float, status: int | None) -> None:
    limit = limits(changed(before=before(at_s, status))).before
    assert limit is not None and (limit.seconds, limit.status) == (at_s + SHIFT_S, status)


def test_a_question_that_was_waited_for_in_vain_says_nothing_about_headers() -> None:
    each = stream([UP_TO_S], [None], status=None, head_at_s=None, end="waited", end_at_s=142.0)
    assert limits(changed(before=each)).before is None and limits(changed(before=None)).before is None


def test_what_is_lost_without_a_sign_is_lost_from_the_shortest_silence_on() -> None:
    assert is_lost(LOST) and not is_lost(FINE) and not is_lost(silence(60.0))
    assert limits(changed(silences=(LOST,))).lost_from_s == UP_TO_S
    ladder = ((5.0, FINE), (12.0, FINE), (27.0, LOST), (57.0, LOST))
    assert limits(changed(silences=(LOST,), ladder=ladder)).lost_from_s == 27.0


def test_timers_are_coarse() -> None:
    assert same(3.0, 3.3) and same(60.0, 64.0) and not same(15.0, 30.0) and not same(3.0, 4.0)
