"""The clock that an engine is given.

Rule: it stands still while the consumer works, so that a slow consumer never makes a healthy upstream look silent.
"""

from collections.abc import Callable
from math import inf, nextafter


class Clock:
    """Seconds spent waiting for the upstream, on top of a monotonic clock that is handed in."""

    __slots__ = ("_away_s", "_left_at", "_monotonic")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._away_s = 0.0
        self._left_at: float | None = None

    def __call__(self) -> float:
        """The time."""
        at = self._monotonic() if self._left_at is None else self._left_at
        return at - self._away_s

    def leave(self, now: float | None = None) -> None:
        """The consumer works now; since ``now``, if this clock was just read."""
        if self._left_at is None:
            self._left_at = self._monotonic() if now is None else now + self._away_s

    def back(self) -> None:
        """The consumer waits again."""
        if self._left_at is not None:
            self._away_s += self._monotonic() - self._left_at
            self._left_at = None

    def skip_to(self, at: float) -> None:
        """The clock says at least this from now on: a timer of the transport's own has run out a moment early."""
        self._away_s -= max(0.0, at - self())
        while self() < at:  # rounding
            self._away_s = nextafter(self._away_s, -inf)

    def monotonic_at(self, at: float) -> float:
        """When the monotonic clock will show what this clock shows at ``at``, if the consumer stays away."""
        return at + self._away_s
