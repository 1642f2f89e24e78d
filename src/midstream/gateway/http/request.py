"""One request as its handler sees it: the head is whole, the body may still be arriving.

Rule: no more of a body is held than its reader is behind by; beyond that the client waits, and then its sockets do.
What is held is counted among all `Bodies`, until its handler is done with it.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from midstream.gateway.http.bodies import Bodies
from midstream.gateway.http.limits import BodyTimeout, BodyTooLarge, Limits, TooManyBodies
from midstream.gateway.http.parser import Head

# Held of a body that nobody reads yet: what one read of a socket gives at most, in both event loops.
BODY_HELD_BYTES_MAX = 256 << 10


class Source(Protocol):
    """The connection that a body comes from."""

    def invite(self) -> None:
        """Tell the client to send the body."""

    def hold_back(self) -> None:
        """Read nothing for now."""

    def read_on(self) -> None:
        """Read again."""


class Request:
    """What a client asks for."""

    __slots__ = (
        "_bodies", "_closed", "_complete", "_counted_bytes", "_expected", "_limits", "_problem", "_source",
        "_unread", "_until", "_waiter", "content_length", "headers", "http_1_0", "method", "path", "peer",
        "query", "target"
    )  # fmt: skip

    def __init__(self, head: Head, source: Source, limits: Limits, bodies: Bodies, peer: str) -> None:
        self.method = head.method
        self.target = head.target
        """Path and query as the client wrote them."""
        self.path, _, self.query = head.target.partition("?")
        self.headers = head.headers
        self.http_1_0 = head.http_1_0
        self.peer = peer
        """The client's address."""
        self.content_length = head.content_length
        """``None`` for a body in chunks, and for none."""
        self._source = source
        self._limits = limits
        self._bodies = bodies
        self._expected = head.expects_continue
        # Not a list of what came: of chunks of one byte, that would take forty times as much.
        self._unread = bytearray()
        self._counted_bytes = 0
        self._complete = False
        self._closed = False
        self._problem: Exception | None = None
        self._until: float | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises `BodyTooLarge`, `TooManyBodies`, `BodyTimeout`, `BadRequest`, `ClientGone`."""
        if (self.content_length or 0) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        if not self._bodies.has_room((self.content_length or 0) - self._counted_bytes):
            raise TooManyBodies
        whole = bytearray()
        while part := await self._next():
            if len(whole) + len(part) > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            whole += part
        return bytes(whole)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece; while one is worked on, little more is read. Raises what `body` raises."""
        while part := await self._next():
            yield part
            self._release(min(len(part), self._counted_bytes))

    async def _next(self) -> bytes:
        """What has arrived since the last call, waiting for some; nothing at the end."""
        if not self._unread and not self._complete and self._problem is None:
            await self._arrival()
        if self._problem is not None:
            raise self._problem
        part = bytes(self._unread)
        self._unread.clear()
        if len(part) > BODY_HELD_BYTES_MAX:
            self._source.read_on()
        return part

    async def _arrival(self) -> None:
        loop = asyncio.get_running_loop()
        if self._expected:
            self._expected = False
            self._source.invite()
        if self._until is None:
            self._until = loop.time() + self._limits.body_total_s
        wait_s = min(self._limits.body_idle_s, self._until - loop.time())
        self._waiter = loop.create_future()
        timer = loop.call_later(wait_s, self.fail, BodyTimeout())
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _release(self, size_bytes: int) -> None:
        self._counted_bytes -= size_bytes
        self._bodies.release(size_bytes)

    # --- told by the server ---

    def close(self) -> None:
        """The handler is done: what it wanted to keep is its own, and nobody will read what else there is."""
        self._closed = True
        self._release(self._counted_bytes)
        if len(self._unread) > BODY_HELD_BYTES_MAX and self._problem is None:
            self._source.read_on()
        self._unread.clear()

    # --- told by the connection ---

    def arrived(self, data: bytes) -> None:
        """A piece of the body has come."""
        # A client that does not wait for the invitation needs none.
        self._expected = False
        if self._closed or self._problem is not None:
            return
        if not self._bodies.has_room(len(data)):
            self.fail(TooManyBodies())
            # Its reader throws it away as soon as it runs. Who else comes in this turn of the loop need not fail.
            self._release(self._counted_bytes)
            return
        self._bodies.hold(len(data))
        self._counted_bytes += len(data)
        unread_bytes = len(self._unread)
        self._unread += data
        if unread_bytes <= BODY_HELD_BYTES_MAX < len(self._unread):
            self._source.hold_back()
        self._wake()

    def finished(self) -> None:
        """The body is whole."""
        self._complete = True
        self._wake()

    def fail(self, problem: Exception) -> None:
        """The body will not become whole: whoever reads it is told."""
        if self._problem is None and not self._complete:
            self._problem = problem
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
