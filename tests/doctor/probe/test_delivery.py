"""How events came is told by their lags, and never by one that hiccuped."""

import random

import pytest

from midstream.doctor.probe.compare import Seen
from midstream.doctor.probe.delivery import delivered, is_late, manner, tail_waits
from midstream.doctor.probe.observations import Observations
from tests.doctor.probe.made import HEALTHY, changed, delivery, gathered, held_back, stream, tail

HICCUP = [0.001] * 8 + [0.3, 0.25, 0.2, 0.15, 0.1, 0.05] + [0.001] * 6
SLOW_START = [0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05] + [0.0] * 12
TWO_GOES = [0.5 - 0.05 * (n % 10) for n in range(20)]
JITTER = [random.Random(4).uniform(0, 0.08) for _ in range(20)]


@pytest.mark.parametrize(
    ("each", "how"),
    [
        (delivery(), "at once"),
        (delivery(HICCUP), "at once"),
        (delivery(SLOW_START), "at once"),
        (delivery(JITTER), "at once"),
        (delivery([0.2] * 20), "at once"),
        (gathered(), "gathered"),
        (held_back(), "held back"),
        (delivery(TWO_GOES), "held back"),
        (stream([0.0, 0.05], [1.0, 1.0]), "unknown"),
        (stream([], []), "unknown"),
    ],
)
def test_the_manner_of_a_delivery(each: Seen, how: str) -> None:
    assert manner(each) == how and is_late(each) is (how in ("gathered", "held back"))


def test_a_tail_waits_if_it_came_with_the_next_event() -> None:
    assert not tail_waits(tail()) and tail_waits(tail(2.0)) and not tail_waits(tail(0.3))
    assert not tail_waits(stream([0.0], [1.0]))


def packed(each: Seen) -> Seen:
    return Seen(**{**{name: getattr(each, name) for name in Seen.__slots__}, "encoding": "gzip"})


def h2(each: Seen) -> Seen:
    return Seen(**{**{name: getattr(each, name) for name in Seen.__slots__}, "protocol": "h2"})


ILL: list[tuple[Observations, list[tuple[str, str | None, bool | None]]]] = [
    (HEALTHY, [("at once", None, None)]),
    # What looked ill once, and well when it was asked again, is well.
    (changed(delivery=(held_back(), delivery())), [("at once", None, None)]),
    (changed(delivery=(held_back(),) * 3), [("held back", "response buffering", None)]),
    (changed(delivery=(held_back(),), hinted=delivery()), [("held back", "response buffering", True)]),
    (changed(delivery=(held_back(),), hinted=held_back()), [("held back", "response buffering", False)]),
    (changed(delivery=(packed(held_back()),)), [("held back", "compression", None)]),
    (changed(delivery=(gathered(),) * 3), [("gathered", "packet coalescing", None)]),
    (changed(packed=(packed(held_back()),)), [("at once", None, None), ("held back", "compression", None)]),
    # Packed, and at once all the same.
    (changed(packed=(packed(delivery()),)), [("at once", None, None)]),
    (changed(tails=(tail(2.0),)), [("at once", None, None), ("held back", "partial buffers", None)]),
    (changed(tails=(tail(2.0), tail())), [("at once", None, None)]),
    (changed(delivery=()), [("unknown", None, None)]),
    # Where the whole is late, its parts have no causes of their own.
    (
        changed(delivery=(held_back(),), tails=(tail(2.0),), packed=(packed(held_back()),)),
        [("held back", "response buffering", None)],
    ),
    (
        changed(protocols=("http/1.1", "h2"), delivery=(gathered(), h2(delivery()))),
        [("gathered", "packet coalescing", None), ("at once", None, None)],
    ),
]


@pytest.mark.parametrize(("observed", "expected"), ILL)
def test_each_cause_is_told_from_the_others(
    observed: Observations, expected: list[tuple[str, str | None, bool | None]]
) -> None:
    assert [(each.manner, each.cause, each.hints_help) for each in delivered(observed)] == expected
