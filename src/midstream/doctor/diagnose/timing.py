"""When things came, and what that says: an idle limit, a total one, or none; and whether something holds replies back.

Rule: an idle limit is claimed only where no silence before had been as long; it would have cut there.
"""

from dataclasses import dataclass

from midstream.doctor.diagnose.fingerprints import Kind, Limit, matching, settings_on_the_way
from midstream.doctor.recording.facts import How

FLOWING_S = 2.0
"""The longest silence that is still a stream's own rhythm: tokens come every few hundredths of a second."""

BATCHED_S = 1.0
"""A reply that took longer than this and came all within a tenth of it was held back."""
BATCHED_EVENTS_MIN = 8


@dataclass(frozen=True, slots=True)
class Timing:
    """When things came, in seconds since the request (or the first that is known)."""

    head_s: float | None
    first_byte_s: float | None
    last_byte_s: float | None
    ended_s: float | None
    longest_silence_s: float
    """Between two arrivals, or before the first; the silence at the end not counted."""
    arrivals: int
    per_event: bool
    """Whether each arrival has a time of its own; a HAR has only the first and the last."""

    @property
    def silence_s(self) -> float | None:
        """How long nothing had come when it ended."""
        if self.ended_s is None:
            return None
        last = next((at for at in (self.last_byte_s, self.head_s) if at is not None), 0.0)
        return max(0.0, self.ended_s - last) if self.per_event else None


@dataclass(frozen=True, slots=True)
class Suspected:
    """A limit that would explain the end."""

    kind: Kind
    seconds: float
    """As seen."""
    known: tuple[Limit, ...]
    """Defaults of this length, the likeliest first; none: somebody has set it."""
    set_by: tuple[Limit, ...] = ()
    """Limits of another length of those that are seen on the way."""
    named: tuple[Limit, ...] = ()
    """Of the known ones, those of whom the head of the reply speaks."""


def suspected(timing: Timing, how: How, hints: str) -> Suspected | None:
    """Which limit ended the stream, if one did."""
    ended_s, silence_s = timing.ended_s, timing.silence_s
    if ended_s is None:
        return None
    if silence_s is not None and silence_s >= FLOWING_S:
        # An idle limit would have cut in any silence that was as long.
        if timing.longest_silence_s > silence_s + 0.5:
            return None
        return _limit("idle", silence_s, how, hints)
    total = _limit("total", ended_s, how, hints)
    return total if total.known else None


def _limit(kind: Kind, seconds: float, how: How, hints: str) -> Suspected:
    ours = how in (How.TIMEOUT, How.STOPPED)
    found = matching(seconds, kind, hints)
    # A client's own limit ends a stream that somebody else records only where that client is a hop on the way.
    known = [limit for limit in found if limit.client is ours] or ([] if ours else found)
    named = settings_on_the_way(kind, hints, known)
    # Whoever is seen on the way may have been set to any length.
    others = [] if named or ours else settings_on_the_way(kind, hints)
    return Suspected(kind, seconds, tuple(known), tuple(others), tuple(named))


def is_batched(timing: Timing, events: int) -> bool:
    """Whether the whole reply came in one go, long after it had begun."""
    first, last = timing.first_byte_s, timing.last_byte_s
    if not timing.per_event or first is None or last is None or events < BATCHED_EVENTS_MIN:
        return False
    return last > BATCHED_S and last - first < 0.1 * last and timing.arrivals * 4 <= events


class Stopwatch:
    """Notes arrivals. Knows nothing of what arrived."""

    def __init__(self, began_at_s: float | None) -> None:
        self._began_at_s = began_at_s
        self._head_at_s: float | None = None
        self._first_at_s: float | None = None
        self._last_at_s: float | None = None
        self._ended_at_s: float | None = None
        self._longest_s = 0.0
        self._arrivals = 0
        self._untimed = False

    def since(self, at_s: float | None) -> float | None:
        """A time of the recording as seconds since the request."""
        if at_s is None:
            return None
        if self._began_at_s is None:
            self._began_at_s = at_s
        return max(0.0, at_s - self._began_at_s)

    def head(self, at_s: float | None) -> None:
        """The head of the response came."""
        self._head_at_s = self.since(at_s)

    def arrived(self, at_s: float | None) -> float | None:
        """Bytes came; when, since the request."""
        now = self.since(at_s)
        if now is None:
            self._untimed = True
            return None
        before = next((at for at in (self._last_at_s, self._head_at_s) if at is not None), 0.0)
        self._longest_s = max(self._longest_s, now - before)
        self._arrivals += 1
        self._first_at_s = now if self._first_at_s is None else self._first_at_s
        self._last_at_s = now
        return now

    def ended(self, at_s: float | None) -> float | None:
        """The body ended; when, since the request."""
        self._ended_at_s = self.since(at_s)
        return self._ended_at_s

    def read(self) -> Timing | None:
        """What was noted; ``None`` if the recording has no times."""
        if self._first_at_s is None and self._ended_at_s is None:
            return None
        return Timing(
            self._head_at_s,
            self._first_at_s,
            self._last_at_s,
            self._ended_at_s,
            self._longest_s,
            self._arrivals,
            per_event=not self._untimed,
        )
