"""Observations made by hand: a healthy path, and whatever is changed of it.

Rule: what is not changed is as a probe of a path without any proxy would see it.
"""

from dataclasses import replace
from typing import Any

from midstream.doctor.probe.compare import Seen
from midstream.doctor.probe.heard import Protocol
from midstream.doctor.probe.observations import Observations, Passed
from midstream.faults.probe_words import Hello, Mark, Told

UP_TO_S = 130.0

HELLO = Hello(1, "0", "HTTP/1.1", 50, 200, ("host",), "", "identity")

# From one clock to the other: nobody may take them for the same.
SHIFT_S = 0.04


def told(marks: list[float], ended: str = "clean", **changed: Any) -> Told:
    """What the far end tells of a stream whose pieces left at these moments."""
    last = marks[-1] if marks else 0.0
    values: dict[str, Any] = {
        "stream": "0" * 16,
        "http": "HTTP/1.1",
        "framing": "chunked",
        "request_header_names": ("host",),
        "via": "",
        "accept_encoding": "",
        "now_s": last + 1,
        "headers_at_s": 0.0,
        "marks": tuple(Mark(at, 100 * (number + 1), "event") for number, at in enumerate(marks)),
        "ended": ended,
        "ended_at_s": last,
        "left_at_s": None,
    }
    return Told(**{**values, **changed})


def stream(
    left: list[float], came: list[float | None] | None = None, question: str = "a stream", **changed: Any
) -> Seen:
    """One stream; unless told otherwise its pieces came `SHIFT_S` later by the near clock."""
    arrived = [at + SHIFT_S for at in left] if came is None else came
    values: dict[str, Any] = {
        "question": question,
        "protocol": "http/1.1",
        "status": 200,
        "headers": (("server", "midstream-faults"),),
        "head_at_s": 0.1,
        "end": "complete",
        "detail": "",
        "end_at_s": max((at for at in arrived if at), default=0.0),
        "encoding": "",
        "told": told(left),
        "came_at_s": tuple(arrived),
    }
    return Seen(**{**values, **changed})


def cut(left: list[float], at_s: float, end: str = "broken", **changed: Any) -> Seen:
    """A stream that something on the way cut at this moment of the far clock."""
    end_at_s = at_s + SHIFT_S + changed.pop("later_s", 0.0)
    return stream(left, end=end, end_at_s=end_at_s, told=told(left, "left", left_at_s=at_s), **changed)


BEATS = [0.05 * number for number in range(20)]


def delivery(lags_s: list[float] | None = None, **changed: Any) -> Seen:
    """The question of delivery, each event late by so much."""
    late = lags_s or [0.001] * 20
    return stream(BEATS, [at + SHIFT_S + lag for at, lag in zip(BEATS, late, strict=True)], "delivery", **changed)


def held_back() -> Seen:
    """All in one go."""
    return delivery([BEATS[-1] - at for at in BEATS])


def gathered() -> Seen:
    """Four at a time, as HAProxy does it."""
    return delivery([0.15, 0.10, 0.05, 0.0] * 5)


def tail(late_s: float = 0.0) -> Seen:
    """A large event, and one two seconds later."""
    return stream([0.0, 2.0], [SHIFT_S + late_s, 2.0 + SHIFT_S], "tail")


def cuts(fin: str = "broken", rst: str = "reset", protocol: Protocol = "http/1.1", came: int = 5) -> tuple[Seen, ...]:
    """A FIN and an RST after five events, and what they looked like."""
    left = [0.0, 0.1, 0.2, 0.3, 0.4]
    arrived: list[float | None] = [at + SHIFT_S if number < came else None for number, at in enumerate(left)]
    return tuple(
        stream(left, arrived, f"cut by {how.upper()}", end=end, protocol=protocol, told=told(left, how))
        for how, end in (("fin", fin), ("rst", rst))
    )


def silence(cut_at_s: float | None = None, end: str = "broken", **changed: Any) -> Seen:
    """A silence up to the end of the probe, or cut."""
    if cut_at_s is None:
        return stream([0.0, UP_TO_S], question="silence", **changed)
    return cut([0.0], cut_at_s, end, question="silence", **changed)


def flow(cut_at_s: float | None = None, question: str = "flow", end: str = "broken") -> Seen:
    """A stream that is never silent, or one with pings."""
    lasts_s = UP_TO_S if cut_at_s is None else cut_at_s
    left = [float(number) for number in range(int(lasts_s) + 1)]
    return stream(left, question=question) if cut_at_s is None else cut(left, cut_at_s, end, question=question)


def before(at_s: float | None = None, status: int | None = 504) -> Seen:
    """No headers for as long as the probe lasts, or until somebody else answered."""
    if at_s is None:
        return stream([UP_TO_S], question="before", head_at_s=UP_TO_S)
    told_of = told([], "left", left_at_s=at_s, headers_at_s=None)
    return stream(
        [],
        [],
        "before",
        status=status,
        head_at_s=at_s + SHIFT_S if status else None,
        end_at_s=at_s + SHIFT_S,
        told=told_of,
    )


def leaving(noticed_at_s: float | None = 0.65) -> Seen:
    """A client that left after 0.6 s."""
    left = [0.0, 0.1, 0.2]
    ended = "clean" if noticed_at_s is None else "left"
    return stream(left, question="leaving", end="left", told=told(left, ended, left_at_s=noticed_at_s))


HEALTHY = Observations(
    url="127.0.0.1:1",
    up_to_s=UP_TO_S,
    hello=HELLO,
    hello_headers=(("server", "midstream-faults"),),
    delivery=(delivery(),),
    packed=(delivery(),),
    tails=(tail(),),
    cuts=cuts(),
    silences=(silence(),),
    pings=flow(question="pings"),
    flow=flow(),
    before=before(),
    leaving=leaving(),
    bodies=(Passed(1_100_000, True, "HTTP 200"),),
    heads=(Passed(4_000, True, "HTTP 200"), Passed(9_000, False, "HTTP 400")),
)


def changed(**values: Any) -> Observations:
    """A healthy path, but for this."""
    return replace(HEALTHY, **values)


FINE_LADDER = ((5.0, stream([0.0, 5.0])),)
"""A shorter silence that was borne."""
