"""Whether events came as they left, or in batches, and by which of the four causes.

Rule: pure. Ill is only what looked ill each time it was asked: a machine or a line that hiccups is healthy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from midstream.doctor.probe.compare import Seen
from midstream.doctor.probe.observations import Observations
from midstream.doctor.probe.questions import BEAT_S, BEATS, TAIL_REST_S

# Nearly a beat: a stream whose typical event is later than this comes in jerks.
LATE_S = 0.8 * BEAT_S

# Who gathers by time gathers for less than this; who holds the whole reply back holds it for longer.
GATHERED_S_MAX = 0.45

Manner = Literal["at once", "gathered", "held back", "unknown"]
Cause = Literal["response buffering", "compression", "packet coalescing", "partial buffers"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What was found out about delivery over one version of HTTP."""

    protocol: str
    manner: Manner
    cause: Cause | None = None
    latest_s: float = 0.0
    """How late the latest event was."""
    typical_s: float = 0.0
    """How late the event in the middle was."""
    batches: int = 0
    events: int = 0
    hints_help: bool | None = None
    """Whether ``X-Accel-Buffering: no`` and ``no-transform`` cured it; ``None`` if that was not asked."""
    plain_too: bool = False
    """For compression: also who did not ask for it got the events late."""


def manner(each: Seen) -> Manner:
    """How the events of one stream came."""
    lags = each.lags_s
    if len(lags) < BEATS // 2:
        return "unknown"
    if median(lags) <= LATE_S or each.batches > len(lags) // 2:
        return "at once"
    return "gathered" if max(lags) <= GATHERED_S_MAX and each.batches > 2 else "held back"


def is_late(each: Seen) -> bool:
    """Whether it is worth asking again."""
    return manner(each) in ("gathered", "held back")


def looks_late(asked: Sequence[Seen], protocol: str) -> bool:
    """Whether the last of these over a version of HTTP came late."""
    of = [each for each in asked if each.protocol == protocol]
    return bool(of) and is_late(of[-1])


def typical_s(each: Seen) -> float:
    """How late the event in the middle was."""
    return median(each.lags_s or (0.0,))


def tail_waits(each: Seen) -> bool:
    """Whether the end of a large event waited for the next event."""
    lags = each.lags_s
    return len(lags) == 2 and lags[0] - lags[1] > TAIL_REST_S / 2


def delivered(seen: Observations) -> list[Delivered]:
    """One for each version of HTTP, and one for each further cause."""
    found = [_plain(seen, protocol) for protocol in seen.protocols]
    for protocol in seen.protocols:
        plain = next(each for each in found if each.protocol == protocol)
        if plain.manner != "at once":
            continue
        packed = _each_late([each for each in seen.packed if each.protocol == protocol and each.encoding])
        if packed is not None:
            found.append(_as(packed, "compression"))
        tails = [each for each in seen.tails if each.protocol == protocol]
        if tails and all(tail_waits(each) for each in tails):
            found.append(_as(tails[-1], "partial buffers", "held back"))
    return found


def _plain(seen: Observations, protocol: str) -> Delivered:
    asked = [each for each in seen.delivery if each.protocol == protocol]
    late = _each_late(asked)
    if late is None:
        known = [each for each in asked if manner(each) == "at once"]
        return _as(known[-1], None, "at once") if known else Delivered(protocol, "unknown")
    if late.encoding:
        return replace(_as(late, "compression"), plain_too=True)
    if manner(late) == "gathered":
        return _as(late, "packet coalescing")
    if _unpacks_for_us(seen, late):
        return replace(_as(late, "compression"), plain_too=True)
    hinted = seen.hinted
    help_ = None if hinted is None or hinted.protocol != protocol else manner(hinted) == "at once"
    return _as(late, "response buffering", hints_help=help_)


def _unpacks_for_us(seen: Observations, late: Seen) -> bool:
    """Varnish compresses what it fetches, and unpacks it for who wants it plain: both are as late."""
    packed = [each for each in seen.packed if each.protocol == late.protocol]
    by_varnish = any(name == "x-varnish" for name, _ in late.headers)
    return by_varnish and any(each.encoding and is_late(each) for each in packed)


def _each_late(asked: Sequence[Seen]) -> Seen | None:
    """The last one, if each time it was late."""
    return asked[-1] if asked and all(is_late(each) for each in asked) else None


def _as(each: Seen, cause: Cause | None, how: Manner | None = None, hints_help: bool | None = None) -> Delivered:
    return Delivered(
        protocol=each.protocol,
        manner=how or manner(each),
        cause=cause,
        latest_s=max(each.lags_s, default=0.0),
        typical_s=typical_s(each),
        batches=each.batches,
        events=each.came,
        hints_help=hints_help,
    )
