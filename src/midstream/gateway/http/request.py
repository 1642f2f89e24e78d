"""One request as its handler sees it: the head is whole, the body may still be arriving.

Rule: no more of a body is held than its reader is behind by; beyond that the client waits, and then its sockets do.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from midstream.gateway.http.limits import BodyTimeout, BodyTooLarge, Limits
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
        "_complete", "_expected", "_held_bytes", "_limits", "_parts", "_problem", "_source", "_until",
        "_waiter", "content_length", "headers", "http_1_0", "method", "path", "peer", "query", "target"
    )  # fmt: skip

    def __init__(self, head: Head, source: Source, limits: Limits, peer: str) -> None:
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
        self._expected = head.expects_continue
        self._parts: list[bytes] = []
        self._held_bytes = 0
        self._complete = False
        self._problem: Exception | None = None
        self._until: float | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises `BodyTooLarge`, `BodyTimeout`, `BadRequest`, `ClientGone`."""
        if (self.content_length or 0) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        parts, size_bytes = [], 0
        while part := await self._next():
            size_bytes += len(part)
            if size_bytes > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece; while one is worked on, little more is read. Raises what `body` raises."""
        while part := await self._next():
            yield part

    async def _next(self) -> bytes:
        """What has arrived since the last call, waiting for some; nothing at the end."""
        if not self._parts and not self._complete and self._problem is None:
            await self._arrival()
        if self._problem is not None:
            raise self._problem
        part = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if self._held_bytes > BODY_HELD_BYTES_MAX:
            self._source.read_on()
        self._held_bytes = 0
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

    # --- told by the connection ---

    def arrived(self, data: bytes) -> None:
        """A piece of the body has come."""
        # A client that does not wait for the invitation needs none.
        self._expected = False
        self._parts.append(data)
        held_before, self._held_bytes = self._held_bytes, self._held_bytes + len(data)
        if held_before <= BODY_HELD_BYTES_MAX < self._held_bytes:
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
