"""One client's connection: requests one after the other, each with its response, and a soft end.

Rule: no task and no timer while a response runs. The end is FIN, never RST: see `finish`.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, cast

from midstream.gateway.http.bodies import Bodies
from midstream.gateway.http.limits import LINGER_BYTES_MAX, ClientGone, Limits, Refused, TooSlow
from midstream.gateway.http.parser import Head, RequestParser
from midstream.gateway.http.request import Request
from midstream.gateway.http.response import Response
from midstream.usual import Link

# Bytes behind a request that is not answered yet. They are thrown away and cost the client its connection when the
# response is over; who sends more than the start of another request has no intention of waiting for it.
EXCESS_BYTES_MAX = 64 << 10

# A connection has from its listener what `bound_kernel` sets: a call to the kernel and an object less for each.
_IS_INHERITED = sys.platform == "linux"

_NOTSENT_LOWAT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)

# What the kernel may hold beyond what is on its way. It asks for more when half of that is gone, so this is how fine it
# can be told that a client takes anything: 1 KB/s shows every 8 s.
NOTSENT_BYTES_MAX = 16 << 10


class Host(Protocol):
    """The server that a connection belongs to."""

    limits: Limits
    bodies: Bodies
    leaving: bool
    """Whether no further request is wanted."""

    def opened(self, connection: "Connection") -> Refused | None:
        """Somebody connected; why that is too many."""

    def closed(self, connection: "Connection") -> None:
        """The connection is no more."""

    def asked(self, connection: "Connection", request: Request, response: Response) -> None:
        """A request began."""


class _Flush(NamedTuple):
    """Of a connection that is about to close."""

    pending_bytes: int
    """What was left for the client at the last look."""
    by: float
    """When it has to have taken some of it."""
    at_last: float
    """When it is closed, whatever is left."""


_NO_FLUSH = _Flush(0, 0.0, 0.0)


class Connection(Link, asyncio.Protocol):
    """Reads requests, and is the `Line` of their responses and the `Source` of their bodies."""

    __slots__ = (
        "_broken", "_closing", "_excess_bytes", "_flush", "_held_back", "_host", "_idle",
        "_keeps_alive", "_loop", "_parser", "_request", "_response", "_timer",
        "_whole", "_writable"
    )  # fmt: skip

    _transport: asyncio.Transport

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host: Final = host
        self._loop: Final = loop
        self._parser: RequestParser | None = None
        self._request: Request | None = None
        """The request whose body is still arriving."""
        self._response: Response | None = None
        """The response that is running."""
        self._timer: asyncio.TimerHandle | None = None
        self._idle = False
        self._whole = False
        self._broken = False
        self._keeps_alive = False
        self._held_back = False
        self._writable = True
        self._closing = False
        self._excess_bytes = 0
        self._flush = _NO_FLUSH

    @property
    def is_busy(self) -> bool:
        """Whether a response is running."""
        return self._response is not None

    # --- told by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        # A cast: uvloop's transports are none of asyncio's classes.
        self._transport = transport = cast(asyncio.Transport, transport)
        mark = self._host.limits.backlog_bytes
        transport.set_write_buffer_limits(high=mark, low=mark // 4)
        if not _IS_INHERITED:
            bound_kernel(transport.get_extra_info("socket"))
        problem = self._host.opened(self)
        if problem is None:
            self._arm(self._host.limits.head_s, self._head_is_late)
        else:
            Response(self).refuse(problem)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or behind one."""
        if self._closing or self._whole or self._broken:
            self._throw_away(len(data))
            return
        parser = self._parser
        if parser is None:
            parser = self._parser = RequestParser(self, self._host.limits)
        try:
            parser.feed(data)
        except Refused as problem:
            self._refuse(problem, parser)
            return
        if parser.complete:
            self._parser = None
            self._excess_bytes += parser.excess
        elif self._idle:
            self._idle = False
            self._arm(self._host.limits.head_s, self._head_is_late)

    def eof_received(self) -> None:
        """The client says that it has said everything, and is taken to have left.

        No SDK and no proxy closes half of a connection, and of one that is closed whole no more can be seen than this:
        a stream that waited for a reset would go on for nobody. (Who pipes a request into ``nc`` needs ``nc -N``'s
        opposite, or curl.) Returning nothing closes the transport, when it has written what it has.
        """
        if not self._closing:
            self._leave()
            self._begin_to_close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing can be read or written any more."""
        self._closing = True
        self._disarm()
        self._leave()
        self._host.closed(self)

    def pause_writing(self) -> None:
        """The backlog is above its mark."""
        self._writable = False
        if self._response is not None:
            self._response.paused()

    def resume_writing(self) -> None:
        """The backlog is below its mark again."""
        self._writable = True
        if self._response is not None:
            self._response.resumed()

    # --- told by the parser ---

    def head_arrived(self, head: Head) -> None:
        """A request begins."""
        self._idle = False
        self._disarm()
        self._keeps_alive = head.keeps_alive
        peer = self._transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._request = Request(head, self, self._host.limits, self._host.bodies, address)
        self._response = Response(self, http_1_0=head.http_1_0, bodiless=head.method == "HEAD")
        self._response.writable = self._writable
        self._host.asked(self, self._request, self._response)

    def body_arrived(self, data: bytes) -> None:
        """A piece of its body."""
        assert self._request is not None, "a parser is dropped with its request"
        self._request.arrived(data)

    def request_arrived(self) -> None:
        """It is whole."""
        assert self._request is not None, "a parser is dropped with its request"
        self._whole = True
        self._request.finished()
        self._request = None

    # --- asked by the request ---

    def invite(self) -> None:
        """Tell the client to send the body, unless it has its answer already."""
        if self._response is not None and not self._response.started:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def hold_back(self) -> None:
        """Read nothing for now."""
        if not self._held_back and not self._closing:
            self._held_back = True
            self._transport.pause_reading()

    def read_on(self) -> None:
        """Read again."""
        if self._held_back:
            self._held_back = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # --- asked by the response ---

    @property
    def backlog_bytes(self) -> int:
        """Written, and not taken by the client yet."""
        return self._transport.get_write_buffer_size()

    @property
    def stays_open(self) -> bool:
        """Whether another request may follow."""
        wanted = self._keeps_alive and not self._host.leaving
        return wanted and self._whole and not self._excess_bytes and not self._closing

    def soon(self, call: Callable[[], None]) -> None:
        """Call at the end of this turn of the event loop."""
        self._loop.call_soon(call)

    def answered(self, whole: bool) -> None:
        """The response is over: wait for the next request, or finish."""
        self._response = None
        if not (whole and self.stays_open):
            self.finish()
            return
        self._whole = False
        self._idle = True
        self.read_on()
        self._arm(self._host.limits.keep_alive_s, self.leave_idle)

    # --- ends ---

    def finish(self) -> None:
        """Write what there is, then FIN; then read and throw away what the client still sends, for a while.

        A socket that is closed with bytes unread answers with RST, on which the client's kernel throws away what the
        client has not read yet. So it is the client who closes, or time that runs out.
        """
        if self._closing:
            return
        self._drop_request()
        self._begin_to_close()
        self.read_on()
        transport = self._transport
        if transport.is_closing() or not transport.can_write_eof():
            # TLS has no half; what it has is an alert at the end, so that a cut is known from an end all the same.
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:
            transport.abort()

    def leave_idle(self) -> None:
        """Close the connection if no request is on its way."""
        if self._response is None and not self._closing:
            self._begin_to_close()
            self._transport.close()

    def cut(self) -> None:
        """End whatever is running, the wrong way."""
        if self._response is not None:
            self._response.abort()
        self.leave_idle()

    def drop(self) -> None:
        """Close at once, whatever it throws away."""
        self._closing = True
        self._transport.abort()

    # --- inside ---

    def _refuse(self, problem: Refused, parser: RequestParser) -> None:
        self._parser = None
        if self._response is None:
            Response(self, bodiless=parser.method == "HEAD").refuse(problem)
            return
        # The head was in order, and its handler is at work: who reads the body tells the client.
        self._broken = True
        self._drop_request(problem)
        self.hold_back()

    def _throw_away(self, size_bytes: int) -> None:
        self._excess_bytes += size_bytes
        if self._excess_bytes > (LINGER_BYTES_MAX if self._closing else EXCESS_BYTES_MAX):
            self._leave()
            self.drop()

    def _leave(self) -> None:
        """The client is gone: whoever reads from it or writes to it is told."""
        self._parser = None
        self._drop_request()
        response, self._response = self._response, None
        if response is not None:
            response.lost()

    def _drop_request(self, problem: Exception | None = None) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.fail(problem or ClientGone("the client left before its request was whole"))

    def _head_is_late(self) -> None:
        if self._parser is None:
            # Nothing was asked: an answer would be taken for that to the next request.
            self.leave_idle()
        else:
            self._refuse(TooSlow("The headers of the request did not arrive in time."), self._parser)

    def _begin_to_close(self) -> None:
        self._closing = True
        self._excess_bytes = 0
        now, limits = self._loop.time(), self._host.limits
        self._flush = _Flush(self.backlog_bytes, now + limits.flush_s, now + limits.flush_total_s)
        self._arm(limits.linger_s, self._linger)

    def _linger(self) -> None:
        """Go on while the client takes what is left for it, and once more after that."""
        now, pending_bytes, (before_bytes, by, at_last) = self._loop.time(), self.backlog_bytes, self._flush
        if pending_bytes < before_bytes:
            by = min(now + self._host.limits.flush_s, at_last)
        self._flush = _Flush(pending_bytes, by, at_last)
        if now >= by or pending_bytes == before_bytes == 0:
            self.drop()
        else:
            self._arm(self._host.limits.linger_s, self._linger)

    def _arm(self, seconds: float, call: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self._loop.call_later(seconds, call)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bound_kernel(raw: socket.socket | None) -> None:
    """Let a reader that is slow be seen here, and not after megabytes in the kernel's buffers."""
    if _NOTSENT_LOWAT is not None and raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
        # A client that has left already is met again where its connection is read.
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, NOTSENT_BYTES_MAX)
