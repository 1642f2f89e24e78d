"""What ends a read that takes too long, where httpx2's own timeout cannot.

Rule: sync, one thread for all streams, there only while one is being read; async, one timer for each stream. Both look
at the time when they must, not at each event.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Awaitable
from typing import Any, TypeVar

import httpx2

NEVER = float("inf")

T = TypeVar("T")


class _Watchdog:
    """The thread. It bites by shutting the socket down: the reader then gets an end, or an error."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._watched: set[Watched] = set()
        self._thread: threading.Thread | None = None
        self.wakes_at = NEVER

    def add(self, watched: "Watched") -> None:
        with self._condition:
            self._watched.add(watched)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="midstream-watchdog", daemon=True)
                self._thread.start()

    def remove(self, watched: "Watched") -> None:
        with self._condition:
            self._watched.discard(watched)
            if not self._watched:
                self._condition.notify()

    def hurry(self) -> None:
        """A deadline has come nearer than the next look."""
        with self._condition:
            self._condition.notify()

    def _run(self) -> None:
        with self._condition:
            while self._watched:
                # Until the new time stands, every deadline that is set counts as nearer: none is overlooked.
                self.wakes_at, now = NEVER, time.monotonic()
                for watched in [w for w in self._watched if w.deadline <= now]:
                    watched.bite()
                    self._watched.discard(watched)
                self.wakes_at = min((w.deadline for w in self._watched), default=now)
                if self._watched:
                    self._condition.wait(None if self.wakes_at == NEVER else max(0.0, self.wakes_at - now))
            self._thread, self.wakes_at = None, NEVER


_watchdog = _Watchdog()
if hasattr(os, "register_at_fork"):  # the thread does not live on in a child, and its lock may be held there for ever
    os.register_at_fork(after_in_child=_watchdog.__init__)  # type: ignore[misc]


class Watched:
    """One sync stream's deadline."""

    def __init__(self) -> None:
        self.deadline = NEVER
        self.bit = False
        """The watchdog has shut the socket down."""
        self._socket: socket.socket | None = None
        self._woken = threading.Event()

    @property
    def can_bite(self) -> bool:
        """Whether there is a socket to shut down."""
        return self._socket is not None

    def watch(self, response: httpx2.Response) -> None:
        """From now on the reads of this response are bounded, if its transport shows its socket."""
        self.bit, self.deadline = False, NEVER
        if response.http_version == "HTTP/2":
            return  # other streams share the socket
        stream: Any = response.extensions.get("network_stream")
        found = stream.get_extra_info("socket") if hasattr(stream, "get_extra_info") else None
        if isinstance(found, socket.socket):
            self._socket = found
            _watchdog.add(self)

    def set_deadline(self, at: float) -> None:
        """When the read that begins must be over, on the monotonic clock. `NEVER` when it is."""
        self.deadline = at
        if at < _watchdog.wakes_at and self._socket is not None:
            _watchdog.hurry()

    def bite(self) -> None:
        """Called by the watchdog."""
        self.bit = True
        self.cut()

    def cut(self) -> None:
        """Shuts the socket down, which wakes whoever reads from it; closing it alone would not."""
        if (found := self._socket) is not None:
            try:
                # Below TLS: nothing must be sent or waited for.
                socket.socket.shutdown(found, socket.SHUT_RDWR)
            except OSError:
                pass  # closed already

    def release(self) -> None:
        """The read is over."""
        if self._socket is not None:
            self._socket = None
            _watchdog.remove(self)

    def sleep(self, seconds: float) -> None:
        """Sleeps, unless somebody calls `wake`."""
        self._woken.wait(seconds)

    def wake(self) -> None:
        """Ends the sleep, now and for ever."""
        self._woken.set()


class AsyncAlarm:
    """One async stream's deadline: a timer that is set once and looks again when it goes off."""

    def __init__(self) -> None:
        self._deadline = NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._reader: asyncio.Task[Any] | None = None
        self._rang = False
        self._sleeper: Any = None

    async def bounded(self, awaited: Awaitable[T], deadline: float) -> T | None:
        """What is awaited, or ``None`` when the deadline passes first. Raises what the awaited raises."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return await _bounded_by_anyio(awaited, deadline)
        self._deadline, self._rang = deadline, False
        if self._timer is None or deadline < self._timer_at:
            self._set(loop)
        self._reader = reader = asyncio.current_task()
        assert reader is not None
        cancels = reader.cancelling()
        try:
            return await awaited
        except asyncio.CancelledError:
            # The caller's own cancellation wins, also when both come at once.
            if not self._rang or reader.uncancel() > cancels:
                raise
            return None
        finally:
            self._reader = None

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        self.release()
        self._timer_at = self._deadline
        delay_s = self._deadline - time.monotonic()
        self._timer = loop.call_later(min(max(delay_s, 0.0), 86_400.0), self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if time.monotonic() < self._deadline:
            self._set(loop)
        else:
            self._interrupt()  # if nobody reads, the next read sets the timer again

    def _interrupt(self) -> None:
        if self._reader is not None:
            self._rang = True
            self._reader.cancel()

    def release(self) -> None:
        """The read is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def sleep(self, seconds: float) -> None:
        """Sleeps, unless somebody calls `wake`."""
        import anyio

        with anyio.CancelScope() as self._sleeper:
            await anyio.sleep(seconds)
        self._sleeper = None

    def wake(self) -> None:
        """Ends what another task waits for here."""
        if self._sleeper is not None:
            self._sleeper.cancel()
        self._interrupt()


async def _bounded_by_anyio(awaited: Awaitable[T], deadline: float) -> T | None:
    """The same under trio."""
    import anyio

    with anyio.move_on_after(max(0.0, deadline - time.monotonic())):
        return await awaited
    return None
