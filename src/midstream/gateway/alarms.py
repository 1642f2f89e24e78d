"""Alarms for thousands of streams, on one timer of the event loop.

Rule: nobody is called before the time, and nobody much later: by a 128th of the wait, or a millisecond if it is short.

A timer of the loop's own costs half a kilobyte, and every stream has two that ring rarely. Here whoever is due at about
the same moment shares a slot; the further off, the coarser the moments.
"""

import asyncio
from heapq import heappop, heappush
from math import ceil, frexp, ldexp
from typing import Protocol

_FINEST = -10
"""Exponent of two of the seconds between two moments: a millisecond, which is as fine as uvloop's timers are."""
_FRACTION = 8
"""Exponent of two of what such a distance is of the next power of two above the wait."""


class Ringer(Protocol):
    """Whose alarm it is. It has one at a time."""

    def rang(self) -> None:
        """The time has come."""


class Slot(dict[Ringer, None]):
    """Those who are called at one moment."""

    __slots__ = ()

    def cancel(self, ringer: Ringer) -> None:
        """It is not called. Does nothing once it was."""
        self.pop(ringer, None)


class Alarms:
    """Belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self.now = self._loop.time
        """The time of the loop's."""
        self._slots: dict[float, Slot] = {}
        self._moments: list[float] = []
        """A heap of the keys of ``_slots``."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def set(self, ringer: Ringer, at: float) -> Slot:
        """Calls it at this time of the loop's; the slot is for taking that back."""
        _, exponent = frexp(max(at - self.now(), 0.001))
        grain = max(exponent - _FRACTION, _FINEST)
        moment = ldexp(ceil(ldexp(at, -grain)), grain)
        slot = self._slots.get(moment)
        if slot is None:
            slot = self._slots[moment] = Slot()
            heappush(self._moments, moment)
            self._arm()
        slot[ringer] = None
        return slot

    def _arm(self) -> None:
        first = self._moments[0]
        if self._timer is not None:
            if self._timer_at <= first:
                return
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(first, self._ring), first

    def _ring(self) -> None:
        self._timer = None
        moments, now = self._moments, self.now()
        while moments and moments[0] <= now:
            slot = self._slots.pop(heappop(moments))
            while slot:  # who is called may take back the alarm of another
                self._call(slot.popitem()[0])
        if moments:
            self._arm()

    def _call(self, ringer: Ringer) -> None:
        try:
            ringer.rang()
        except Exception as problem:  # as the loop does: the others are due all the same
            self._loop.call_exception_handler({"message": "an alarm failed", "exception": problem})
