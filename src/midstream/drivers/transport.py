"""The two ports, sync and async.

Rule: `perform` is the only place where an exception of a network library is caught. It returns `Broke`; it does not
raise. It never returns `Elapsed` early.
"""

from typing import Protocol

from midstream.recovery.steps import Input, Wait


class Transport(Protocol):
    """One upstream, for one stream; any number of attempts."""

    def perform(self, wait: Wait) -> Input:
        """Does the one thing, and says what happened."""

    def finish(self) -> None:
        """The message is complete: lets the connection be used again, if that takes no time worth speaking of."""

    def close(self) -> None:
        """Drops the attempt's connection at once. May be called at any time, by any thread, and again."""


class AsyncTransport(Protocol):
    """The same for the loop that awaits."""

    async def perform(self, wait: Wait) -> Input:
        """Does the one thing, and says what happened."""

    async def finish(self) -> None:
        """The message is complete."""

    async def close(self) -> None:
        """Drops the attempt's connection at once."""
