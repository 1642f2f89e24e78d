"""The body that the SDK reads instead of the upstream's own.

Rule: a class with its own ``close``, never a generator: a generator that is closed before its first item never runs
its ``finally``, and the connection would stay open.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Generic, TypeVar

import httpx2

from midstream.drivers.pump import AsyncPump, Ending, Pump
from midstream.errors import StreamError
from midstream.recovery.failure import Failure
from midstream.reports import Outcome, Report
from midstream.sdk.exceptions import stream_error
from midstream.sdk.story import Story
from midstream.sdk.transport import AsyncPort, SyncPort

# Stands in where not even a request was made.
_NOWHERE = httpx2.Request("POST", "https://api.anthropic.com/v1/messages")


P = TypeVar("P", Pump, AsyncPump)


class _Told(Generic[P]):
    """What both bodies share: the report, and the error."""

    _pump: P
    _port: SyncPort | AsyncPort
    _story: Story

    @property
    def report(self) -> Report:
        """What has happened so far."""
        ending: Ending | None = self._pump.ending
        outcome: Outcome = "running" if ending is None else ending
        return self._story.report(self._pump.engine, outcome)

    @property
    def elapsed(self) -> timedelta | None:
        """What ``response.elapsed`` says; httpx2 looks here. ``None`` while the stream runs."""
        return None if self._pump.ending is None else timedelta(seconds=self.report.elapsed_s)

    def error(self, failure: Failure) -> StreamError:
        """The exception that ends the stream."""
        outcome = self._pump.ending or "failed"
        self._story.tell(self._pump.engine, outcome)
        report = self._story.report(self._pump.engine, outcome)
        response = self._port.last_response or httpx2.Response(200, request=self._port.last_request or _NOWHERE)
        engine = self._pump.engine
        return stream_error(failure, engine.snapshot(), list(engine.unshown), report, response)

    def _over(self) -> StreamError | None:
        """The stream gives no more: because it is complete (``None``), or because of this."""
        if self._pump.failure is not None:
            return self.error(self._pump.failure)
        self._story.tell(self._pump.engine, "complete")
        return None


class Body(_Told[Pump], httpx2.SyncByteStream):
    """The consumer's bytes, sync."""

    def __init__(self, pump: Pump, port: SyncPort, story: Story) -> None:
        self._pump, self._port, self._story = pump, port, story

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._pump.__next__()
        except StopIteration:
            error = self._over()
            if error is None:
                raise
        raise error

    def close(self) -> None:
        """Drops the upstream at once."""
        self._pump.close()
        self._story.tell(self._pump.engine, self._pump.ending or "closed")

    def __del__(self) -> None:
        # A stream that was dropped without a word still has its connection.
        if (pump := getattr(self, "_pump", None)) is not None and pump.ending is None:
            self.close()


class AsyncBody(_Told[AsyncPump], httpx2.AsyncByteStream):
    """The consumer's bytes, async."""

    def __init__(self, pump: AsyncPump, port: AsyncPort, story: Story) -> None:
        self._pump, self._port, self._story = pump, port, story
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None  # trio

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._pump.__anext__()
        except StopAsyncIteration:
            error = self._over()
            if error is None:
                raise
        raise error

    async def aclose(self) -> None:
        """Drops the upstream at once."""
        await self._pump.close()
        self._story.tell(self._pump.engine, self._pump.ending or "closed")

    def __del__(self) -> None:
        pump, loop = getattr(self, "_pump", None), getattr(self, "_loop", None)
        if pump is not None and pump.ending is None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_close_soon, pump, self._story)


_closing: set[asyncio.Task[None]] = set()


def _close_soon(pump: AsyncPump, story: Story) -> None:
    async def close() -> None:
        await pump.close()
        story.tell(pump.engine, pump.ending or "closed")

    task = asyncio.ensure_future(close())
    _closing.add(task)  # the loop itself keeps no reference
    task.add_done_callback(_closing.discard)


class Raising(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The body of a response that never was: reading it raises. The SDK reads an error's body outside its ``try``."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        raise self._error

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise self._error
