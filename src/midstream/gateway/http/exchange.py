"""One request and its response, as the one who asked sees them.

Rule: after `ended`, `broke` or `cancel` nothing is called any more, and every method does nothing.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.origin import OutRequest, declared_length

if TYPE_CHECKING:
    from midstream.gateway.http.client import ClientConnection

# A body up to this size is written together with its head: one packet where it is small, and no copy where it is not.
_JOINED_BYTES_MAX = 64 * 1024


class Listener(Protocol):
    """Who hears of the response; called in the event loop, never from within `Pool.exchange`.

    ``opened``, ``received`` any number of times, then exactly one of ``ended`` and ``broke``.
    """

    def opened(self, status: int, headers: Headers) -> None:
        """The head of the response arrived. Names are in lower case."""

    def received(self, data: bytes) -> None:
        """Bytes of the body, never empty. Their content encoding is not undone."""

    def ended(self) -> None:
        """The body ended as its framing says."""

    def broke(self, reason: str, detail: str) -> None:
        """There will be no more. The reasons are those of `midstream.recovery.steps.Broke`."""


class Exchange:
    """What the one who asked can do meanwhile."""

    __slots__ = (
        "_by",
        "_left_bytes",
        "_listener",
        "_paused",
        "body_finished",
        "head_only",
        "on_drained",
        "payload",
        "sent",
        "writable",
    )

    def __init__(self, request: OutRequest, head: bytes, listener: Listener) -> None:
        body = request.body
        self._listener: Listener | None = listener
        self._by: asyncio.Task[None] | ClientConnection | None = None
        """What makes the connection, and then the connection."""
        self._paused = False
        self.payload: tuple[bytes, ...] = (head,) if not body else _joined(head, body)
        """What is written as soon as there is a connection; empty once it was."""
        self.head_only = request.method == b"HEAD"
        self._left_bytes = None if body is not None else declared_length(request)
        """Of a body that is sent in pieces: ``None`` if it goes in chunks."""
        self.body_finished = body is not None
        self.sent = False
        """Whether any byte of the request was handed to a socket."""
        self.writable = False
        """Whether `send` is welcome: a connection is there, and it keeps up."""
        self.on_drained: Callable[[], None] | None = None
        """Called when ``writable`` has become true."""

    # --- for the one who asked ---

    def cancel(self) -> None:
        """Closes the connection at once. Nothing is called afterwards."""
        by = self._by
        self._let_go()
        if isinstance(by, asyncio.Task):
            by.cancel()
        elif by is not None:
            by.cut()

    def pause(self) -> None:
        """Reads no more for now; what was read already may still be told."""
        if self._listener is not None and not self._paused:
            self._paused = True
            if (connection := self._connection) is not None:
                connection.pause_reading()

    def resume(self) -> None:
        """Reads again."""
        if self._paused:
            self._paused = False
            if (connection := self._connection) is not None:
                connection.resume_reading()

    def send(self, data: bytes) -> None:
        """One more piece of the body. Does nothing once the response made it pointless.

        Raises ValueError for more bytes than the declared length: they would be read as the next request.
        """
        if self._listener is None or self.body_finished or not data:
            return
        if self._left_bytes is not None:
            if len(data) > self._left_bytes:
                raise ValueError("more of the body was sent than its content-length says")
            self._left_bytes -= len(data)
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._left_bytes is None else data)

    def finish(self) -> None:
        """The body is complete. Raises ValueError for less than the declared length: `cancel` is for that."""
        if self._listener is None or self.body_finished:
            return
        if self._left_bytes:
            raise ValueError("less of the body was sent than its content-length says")
        self.body_finished = True
        if self._left_bytes is None:
            self._write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        connection = self._connection
        if connection is None:
            self.payload += (data,)
        else:
            connection.write(data)

    @property
    def _connection(self) -> "ClientConnection | None":
        return self._by if not isinstance(self._by, asyncio.Task) else None

    # --- for the pool and the connection ---

    def waits_for(self, connecting: "asyncio.Task[None]") -> None:
        """A connection is being made for it."""
        self._by = connecting

    def begins(self, connection: "ClientConnection") -> Listener | None:
        """There is a connection: the head and what there is of the body are written. Who is told of the response."""
        if self._listener is None:
            return None
        self._by = connection
        payload, self.payload = self.payload, ()
        self.sent = self.writable = True
        for data in payload:
            connection.write(data)
        if self._paused:
            connection.pause_reading()
        if not self.body_finished and self.writable:
            self.drained()
        return self._listener

    def drained(self) -> None:
        """The connection takes more."""
        self.writable = True
        if self.on_drained is not None:
            self.on_drained()

    def stop_sending(self) -> bool:
        """The response makes the rest of the body pointless; whether there was a rest."""
        had_rest = not self.body_finished
        self.body_finished = True
        if not self.writable:
            self.drained()  # who waits for room would wait for ever
        return had_rest

    def failed(self, reason: str, detail: str) -> None:
        """It is over, before there was a connection or because of how that one ended."""
        listener = self._let_go()
        if listener is not None:
            listener.broke(reason, detail)

    def _let_go(self) -> Listener | None:
        """Ends it without a word; who was listening."""
        listener, self._listener = self._listener, None
        self._by = self.on_drained = None
        self.payload = ()
        return listener

    def over(self) -> None:
        """The response ended well."""
        self._let_go()


def _joined(head: bytes, body: bytes) -> tuple[bytes, ...]:
    return (head + body,) if len(body) <= _JOINED_BYTES_MAX else (head, body)
