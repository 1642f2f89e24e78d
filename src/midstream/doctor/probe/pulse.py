"""How late this machine itself is: what it is late with is no fault of any path.

Rule: it measures by sleeping, and knows nothing of what else goes on.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Often enough to see a slice of the processor that somebody else has.
BEAT_S = 0.01

# The longest probe has half a million beats; so many are remembered, which is some minutes.
BEATS_MAX = 60_000


class Pulse:
    """``async with beating() as pulse: … pulse.typical_s(since)``."""

    def __init__(self) -> None:
        self._beats: list[tuple[float, float]] = []

    async def beat(self) -> None:
        """Sleep and wake, and note how late that was; until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_at = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self._beats.append((due_at, loop.time() - due_at))
            del self._beats[:-BEATS_MAX]

    def typical_s(self, since: float) -> float:
        """How late nine of ten beats were at most, since a moment of the loop's clock."""
        late = sorted(late for at, late in self._beats if at >= since)
        return late[(9 * len(late)) // 10] if late else 0.0

    def worst_s(self) -> float:
        """How late the latest beat was."""
        return max((late for _, late in self._beats), default=0.0)


@asynccontextmanager
async def beating() -> AsyncIterator[Pulse]:
    """A pulse, for as long as it is wanted."""
    pulse = Pulse()
    task = asyncio.create_task(pulse.beat())
    try:
        yield pulse
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
