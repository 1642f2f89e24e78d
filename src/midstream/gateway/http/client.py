"""One connection to a server: the bytes of a response become calls to its listener.

Rule: the parser only collects; the listener is called once the parser has returned, so that whatever the listener does
(cancel, ask for something else) finds everything in order.
"""

import asyncio
import re
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from midstream.gateway.http import tls
from midstream.gateway.http.exchange import Exchange, Listener
from midstream.gateway.http.found import Found
from midstream.gateway.http.heads import Headers, first
from midstream.gateway.http.proxies import Route
from midstream.usual import Intake

# What servers are known to send is under 8 KiB; what proxies accept is 64 KiB at most.
HEAD_BYTES_MAX = 64 * 1024
HEADERS_MAX = 200

# Bytes in a row that are not body: unfinished heads, sizes of chunks, their extensions, trailers. The same bound.
QUIET_BYTES_MAX = 64 * 1024

# Once the listener has them, a stream that runs for hours need not hold the headers as well. Never added to.
_TOLD: Headers = []

_TIMEOUT = re.compile(rb"timeout\s*=\s*\"?([0-9]{1,6})", re.IGNORECASE)


class Home(Protocol):
    """Where connections wait for their next use."""

    found: Found

    def put_back(self, connection: "ClientConnection", keep_alive_s: float | None) -> None:
        """The response was whole: it may be used again. The server's own limit, if it named one."""

    def lost(self, connection: "ClientConnection") -> None:
        """It is of no more use. May be told twice."""


class _Refused(Exception):
    """Stops the parser."""


class ClientConnection(Intake, asyncio.Protocol):
    """For one exchange at a time."""

    __slots__ = (
        "_complete",
        "_exchange",
        "_head_due",
        "_headers",
        "_home",
        "_keep_alive",
        "_keep_alive_s",
        "_reading_paused",
        "_status",
        "_transport",
        "_until_close",
        "expires_at",
        "route",
    )

    def __init__(self, home: Home, route: Route) -> None:
        self._home = home
        self.route = route
        """What it leads to."""
        self.expires_at = 0.0
        """When it has been idle for too long."""
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._exchange: Exchange | None = None
        self._listener: Listener | None = None
        self._parser: HttpResponseParser | None = None
        self._reading_paused = False
        self._forget_response()

    def _forget_response(self) -> None:
        self._status = 0
        self._headers: Headers = []
        self._quiet_bytes = 0
        self._head_due = self._complete = self._until_close = False
        self._keep_alive = True
        self._keep_alive_s: float | None = None

    # --- for the exchange and the pool ---

    def begin(self, exchange: Exchange) -> None:
        """Sends a request, and listens for its response."""
        self._forget_response()
        self._exchange = exchange
        self._parser = self._home.found.parser()
        self._listener = exchange.begins(self)
        if self._listener is None:  # it was cancelled in the very moment
            self.cut()

    def write(self, data: bytes) -> None:
        """Hands bytes to the transport, which keeps what the socket does not take."""
        self._transport.write(data)

    def pause_reading(self) -> None:
        """For backpressure."""
        if not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """The end of it."""
        if self._reading_paused and not self._transport.is_closing():
            self._transport.resume_reading()
        self._reading_paused = False

    def cut(self) -> None:
        """Closes it at once, and tells nobody but its pool."""
        self._exchange = self._listener = None
        self._detach()
        self._home.lost(self)
        # Not close(): that waits for what is unwritten, and over TLS for the other side.
        self._transport.abort()

    def give_up(self, reason: str, detail: str) -> None:
        """Closes it at once, and tells whoever waits for a response."""
        exchange = self._exchange
        self.cut()
        if exchange is not None:
            exchange.failed(reason, detail)

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._transport.is_closing()

    @property
    def descriptor(self) -> int:
        """The number of its socket; -1 if it is closed."""
        raw = self._transport.get_extra_info("socket")
        return -1 if raw is None else int(raw.fileno())

    # --- called by the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def _parse(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            if self._listener is None:
                self.cut()  # nobody asked for anything: it would be taken for the next answer
                return
            parser = self._parser = self._home.found.borrow()
        problem, found = "", self._home.found
        found.begin(self)
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as broken:
            problem = _what_is_wrong(broken)
        # Taken before anybody is called, whatever that one then does with this connection or another.
        body = found.take()
        if found.is_between_chunks(data) and not (problem or self._complete):
            self._parser = None
            found.give_back(parser)
        if self._head_due:
            self._open()
        if not body:
            self._quiet_bytes += len(data)
        elif self._listener is not None:
            self._quiet_bytes = 0
            self._listener.received(body)
        if problem or self._complete or self._quiet_bytes > QUIET_BYTES_MAX:
            self._decide(problem)

    def eof_received(self) -> None:
        if self._status and self._until_close and tls.said_goodbye(self._transport):
            self._keep_alive = False
            self._end()
        elif self._status:
            self.give_up("incomplete", "the connection was closed inside the response")
        else:
            self.give_up("closed", "the server closed the connection before it answered")

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.give_up("reset", type(exc).__name__)
        else:
            self.give_up("incomplete" if self._status else "closed", "the connection was closed")

    def pause_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.writable = False

    def resume_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.drained()

    # --- called by the parser, through `Found` ---

    def message_begins(self) -> None:
        if self._complete:
            raise _Refused("more than one response")

    def header_came(self, name: bytes, value: bytes) -> None:
        if self._status:
            return  # a trailer
        if len(self._headers) >= HEADERS_MAX:
            raise _Refused("the response has too many headers")
        self._headers.append((name.lower(), value.strip(b" \t")))

    def headers_are_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        status = parser.get_status_code()
        if status < 100 or status == 101 or parser.get_http_version() not in ("1.1", "1.0"):
            raise _Refused("the status line is not one of HTTP/1.1")
        if status < 200:
            self._headers.clear()  # informational: the response is still to come
            return
        if sum(len(name) + len(value) for name, value in self._headers) > HEAD_BYTES_MAX:
            raise _Refused("the head of the response is too large")
        transfer = [value.lower() for name, value in self._headers if name == b"transfer-encoding"]
        if transfer not in ([], [b"chunked"]):
            raise _Refused("the transfer encoding is not one that was asked for")
        self._status, self._head_due = status, True
        self._keep_alive = parser.should_keep_alive()
        self._keep_alive_s = _keep_alive_s(self._headers)
        self._until_close = not transfer and first(self._headers, b"content-length") is None
        if self._exchange is not None and self._exchange.head_only:
            # The parser cannot be told that no body follows; nor can we know whether the server thinks so too.
            self._complete = True
            raise _Refused("no body follows")

    def message_is_complete(self) -> None:
        self._complete = self._status != 0

    # --- what follows from it ---

    def _open(self) -> None:
        """The head is complete: the listener is told."""
        self._head_due = False
        assert self._exchange is not None
        # A refusal makes the rest of the body pointless; any other answer may be given while the body is read.
        if self._status >= 300 and self._exchange.stop_sending():
            self._keep_alive = False
        if self._listener is not None:  # who was told to stop sending may have cancelled
            headers, self._headers = self._headers, _TOLD
            self._listener.opened(self._status, headers)

    def _decide(self, problem: str) -> None:
        """What came is the end of the response, one way or the other."""
        if self._exchange is None:
            return  # cancelled meanwhile
        if self._complete:
            self._keep_alive = self._keep_alive and not problem
            self._end()
        else:
            self.give_up("protocol", problem or "the response has too much that is not its body")

    def _end(self) -> None:
        """The response was whole."""
        exchange, listener = self._exchange, self._listener
        assert exchange is not None and listener is not None
        self._exchange = self._listener = None
        is_whole = self._keep_alive and exchange.body_finished
        exchange.over()
        if is_whole and not self.is_closing and not self._transport.get_write_buffer_size():
            self._detach()
            self.resume_reading()
            self._home.put_back(self, self._keep_alive_s)
        else:
            self.cut()
        listener.ended()

    def _detach(self) -> None:
        """Forgets what was for one response."""
        self._status, self._until_close = 0, False
        self._parser = None
        self._headers = _TOLD


def _what_is_wrong(broken: Exception) -> str:
    """In words that are the parser's own or ours, never what was received."""
    if isinstance(broken.__context__, _Refused):
        return str(broken.__context__)
    return "the connection was upgraded" if isinstance(broken, HttpParserUpgrade) else str(broken)


def _keep_alive_s(headers: Headers) -> float | None:
    """How long the server keeps an idle connection, if it says so."""
    said = first(headers, b"keep-alive")
    found = None if said is None else _TIMEOUT.search(said)
    return None if found is None else float(found[1])
