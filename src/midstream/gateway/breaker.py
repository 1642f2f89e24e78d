"""Leaves out an upstream that keeps failing, and finds out when it is back.

Rule: pure. It is told what happened and when; it counts, and answers whether the next attempt may go there.

An attempt that was let in is followed by one of `Breaker.succeeded` (its first event came), `Breaker.failed` (a failure
that `counts`) or `Breaker.released` (it says nothing of the upstream: it was refused, or the client left).
"""

from enum import StrEnum

import msgspec

from midstream.recovery.failure import Kind

FAILURES = 5
"""In a row, that open it: one more than a single stream makes by itself (`Policy.attempts`), so one unlucky stream
opens nothing."""

SHARE, SHARE_OF = 0.5, 20
"""The share of failures among the attempts of the window that opens it too, once there are this many of them: half of
twenty is beyond chance where one in ten fails (one in 140,000), and a success now and then must not hide an outage."""

WINDOW_S = 60.0
"""Over which the share is taken: the window of the retry budget."""

OPEN_S, OPEN_MAX_S = 30.0, 300.0
"""How long it stays open; doubled for each probe that fails, up to five minutes. Overloads mostly last seconds, outages
much longer, and a probe costs some client a wait."""

PROBE_S = 240.0
"""After which a probe of which nothing was heard counts as lost, and another may go: more than the longest wait for a
first event (`Policy.first_event_s` and a second for each 32 KiB of a small request)."""

_SLICES = 6
_SLICE_S = WINDOW_S / _SLICES

# Said of the request or of its sender, not of the service: the next client may have no trouble. A rate limit is one
# account's; where clients bring their own credentials, one of them must not close the service for the others.
_OF_THE_CALLER = frozenset((Kind.REJECTED, Kind.RATE_LIMITED, Kind.LIMIT))


class State(StrEnum):
    """Whether attempts are let in."""

    CLOSED = "closed"
    """All are."""
    OPEN = "open"
    """None is."""
    HALF_OPEN = "half_open"
    """One at a time is, to see."""


class _Slice(msgspec.Struct):
    """What ended in one sixth of the window."""

    number: int
    ended: int = 0
    failed: int = 0


def counts(kind: Kind) -> bool:
    """Whether a failure of this kind says anything of the upstream."""
    return kind not in _OF_THE_CALLER


class Breaker:
    """One upstream's."""

    def __init__(self, *, failures: int = FAILURES, open_s: float = OPEN_S) -> None:
        self.state = State.CLOSED
        """As of the last call: what is open becomes half open when it is next asked."""
        self._failures_max = failures
        self._open_least_s = open_s
        self._open_s = open_s
        self._in_a_row = 0
        self._opened_at = 0.0
        self._probed_at: float | None = None
        self._slices: list[_Slice] = []

    def allows(self, now: float) -> bool:
        """Whether an attempt may go there. While half open, a yes is for the one that asked: it is the probe."""
        if self.state is State.CLOSED:
            return True
        if self.state is State.OPEN and now - self._opened_at >= self._open_s:
            self.state, self._probed_at = State.HALF_OPEN, None
        if self.state is State.OPEN:
            return False
        if self._probed_at is not None and now - self._probed_at < PROBE_S:
            return False
        self._probed_at = now
        return True

    def retry_in_s(self, now: float) -> float:
        """How long until it is worth asking again; 0 where it is now."""
        return max(0.0, self._opened_at + self._open_s - now) if self.state is State.OPEN else 0.0

    def succeeded(self, now: float) -> None:
        """An attempt was answered."""
        if self.state is State.OPEN:  # one from before, which says nothing of now
            return
        if self.state is State.HALF_OPEN:
            self.state, self._probed_at, self._open_s = State.CLOSED, None, self._open_least_s
            self._slices.clear()
        self._in_a_row = 0
        self._slice(now).ended += 1

    def failed(self, now: float) -> None:
        """An attempt failed, in a way that `counts`."""
        if self.state is State.OPEN:
            return
        if self.state is State.HALF_OPEN:
            self._open_s = min(OPEN_MAX_S, max(self._open_least_s, self._open_s * 2))
            self._open(now)
            return
        self._in_a_row += 1
        current = self._slice(now)
        current.ended += 1
        current.failed += 1
        if self._in_a_row >= self._failures_max or self._share_is_reached(current.number):
            self._open(now)

    def released(self, now: float) -> None:
        """An attempt ended without a word about the upstream. If it was the probe, the next may be one."""
        if self.state is State.HALF_OPEN:
            self._probed_at = None

    def _open(self, now: float) -> None:
        self.state, self._opened_at, self._probed_at = State.OPEN, now, None
        self._in_a_row = 0
        self._slices.clear()

    def _slice(self, now: float) -> _Slice:
        """That of this moment; those that are too old are dropped, so there are never more than fit the window."""
        number = int(now // _SLICE_S)
        if not self._slices or self._slices[-1].number < number:
            self._slices = [kept for kept in self._slices if kept.number > number - _SLICES]
            self._slices.append(_Slice(number))
        return self._slices[-1]

    def _share_is_reached(self, number: int) -> bool:
        ended = sum(kept.ended for kept in self._slices if kept.number > number - _SLICES)
        failed = sum(kept.failed for kept in self._slices if kept.number > number - _SLICES)
        return ended >= SHARE_OF and failed >= ended * SHARE
