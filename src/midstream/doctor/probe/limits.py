"""How long this path bears what: a silence, a whole stream, a question without an answer.

Rule: pure. The earliest sign of a cut counts, at whichever end: Envoy is late to tell its client, Varnish its upstream.
"""

from dataclasses import dataclass

from midstream.doctor.probe.compare import Seen
from midstream.doctor.probe.heard import CUT_ENDS, SILENT_ENDS, End
from midstream.doctor.probe.observations import Observations
from midstream.doctor.probe.questions import PING_S

# Two limits this close together are one: timers of proxies are this coarse.
SAME_SHARE, SAME_S = 0.08, 0.4

# What was cut so shortly before its silence was over may as well have been cut by what came then.
EDGE_S = 0.25

# A question takes so long at most to the far end; what looks longer is a buffer.
ARRIVES_S_MAX = 0.5


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit, and what it looked like from here."""

    seconds: float
    end: End
    detail: str
    protocol: str
    status: int | None = None

    @property
    def silent(self) -> bool:
        """Whether a client takes what it got for the whole reply."""
        return self.end in SILENT_ENDS and (self.status or 200) < 300


@dataclass(frozen=True, slots=True)
class Limits:
    """What was found between 0 and `up_to_s`."""

    up_to_s: float
    idle: tuple[Limit, ...] = ()
    """For each version of HTTP that has one."""
    total: Limit | None = None
    before: Limit | None = None
    pings_help: bool | None = None
    """``None`` where there was no limit that they could help against."""
    lost_from_s: float | None = None
    """A silence of at least so long was followed by nothing, without a sign."""
    idle_known_to_s: float = 0.0
    """No idle limit below this, if none was found."""


def limits(seen: Observations) -> Limits:
    """What the long questions say together."""
    total = _total(seen)
    idle = tuple(limit for each in seen.silences if (limit := _idle(each, total)) is not None)
    known_to_s = min(seen.up_to_s, total.seconds) if total else seen.up_to_s
    return Limits(
        up_to_s=seen.up_to_s,
        idle=idle,
        total=total,
        before=_before(seen),
        pings_help=_pings_help(seen, idle, total),
        lost_from_s=None if idle or total else _lost_from_s(seen),
        idle_known_to_s=known_to_s,
    )


def same(one_s: float, other_s: float) -> bool:
    """Whether two limits are one."""
    return abs(one_s - other_s) <= max(SAME_S, SAME_SHARE * max(one_s, other_s))


def is_lost(each: Seen) -> bool:
    """Whether what came after a silence never arrived, while both ends thought that they were connected."""
    told = each.told
    played = told is not None and told.ended in ("clean", "playing")
    return played and each.status == 200 and 0 < each.came < each.left and each.end == "waited"


def _cut_at_s(each: Seen) -> float | None:
    """When the stream was cut, on the far clock; ``None`` if it was not."""
    told = each.told
    if told is None:
        return None
    signs = [] if told.left_at_s is None else [told.left_at_s]
    if each.end in CUT_ENDS or (each.end in SILENT_ENDS and each.came < each.left):
        signs.append(each.end_at_s - each.shift_s)
    # Envoy is late to tell its client, Varnish its upstream: the limit is where the first of them was told.
    return min(signs, default=None)


def _age_s(each: Seen) -> float | None:
    """How old the stream was when it was cut, counted from its question: a proxy's timer starts before the far end."""
    told = each.told
    if told is None or _cut_at_s(each) is None:
        return None
    signs = [each.end_at_s] if each.end in CUT_ENDS or each.end in SILENT_ENDS else []
    if told.left_at_s is not None:
        signs.append(told.left_at_s + min(max(each.shift_s, 0.0), ARRIVES_S_MAX))
    return min(signs, default=None)


def _total(seen: Observations) -> Limit | None:
    """A stream that never was silent, and one with pings, were cut at the same age."""
    flow, pings = seen.flow, seen.pings
    if flow is None or pings is None:
        return None
    cut, other = _age_s(flow), _age_s(pings)
    # Whoever notices its limit when something is written notices it a ping later at most.
    if cut is None or other is None or not (same(cut, other) or abs(cut - other) <= PING_S + EDGE_S):
        return None
    return Limit(cut, flow.end, flow.detail, flow.protocol, flow.status)


def _idle(each: Seen, total: Limit | None) -> Limit | None:
    """The far end's silence was cut, and not because the whole was too long."""
    cut, told = _cut_at_s(each), each.told
    if cut is None or told is None or not told.marks:
        return None
    silent_from_s = told.marks[0].at_s
    # One event is before the silence; where another has left, the silence was over.
    spoke_again = len(told.marks) > 1
    if spoke_again or (total is not None and same(_age_s(each) or cut, total.seconds)) or cut - silent_from_s < EDGE_S:
        return None
    return Limit(cut - silent_from_s, each.end, each.detail, each.protocol, each.status)


def _before(seen: Observations) -> Limit | None:
    each = seen.before
    if each is None or (each.status == 200 and each.came == each.left and each.left > 0):
        return None
    at = each.head_at_s if each.head_at_s is not None else each.end_at_s
    # What was cut when its silence was over was cut by what came then.
    if each.end in ("waited", "refused") or at > seen.up_to_s - EDGE_S:
        return None
    return Limit(at, each.end, each.detail, each.protocol, each.status)


def _pings_help(seen: Observations, idle: tuple[Limit, ...], total: Limit | None) -> bool | None:
    if seen.pings is None or not idle:
        return None
    cut = _age_s(seen.pings)
    if cut is None:
        return seen.pings.came == seen.pings.left
    if total is not None and same(cut, total.seconds):
        return True
    return cut > 1.5 * max(limit.seconds for limit in idle)


def _lost_from_s(seen: Observations) -> float | None:
    if not any(is_lost(each) for each in seen.silences):
        return None
    lost = [seconds for seconds, each in seen.ladder if is_lost(each)]
    return min(lost, default=seen.up_to_s)
