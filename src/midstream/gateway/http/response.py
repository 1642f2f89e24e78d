"""One response: head, chunks, and one of three ends.

Rule: an end that looks right is written by `end` alone; and on the way of a chunk nothing is scheduled or awaited.
"""

from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

from midstream.gateway.http.heads import Headers, head_bytes
from midstream.gateway.http.limits import Refused, envelope
from midstream.usual import Body

# Framing and the connection are this hop's own business, whoever made the headers.
_OURS = frozenset((b"connection", b"content-length", b"keep-alive", b"transfer-encoding", b"upgrade", b"trailer"))

_LAST_CHUNK = b"0\r\n\r\n"


class Line(Protocol):
    """The connection that a response is written to."""

    @property
    def backlog_bytes(self) -> int:
        """Written, and not taken by the client yet."""

    @property
    def stays_open(self) -> bool:
        """Whether another request may follow, as far as can be told."""

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket, or to what waits for it."""

    def soon(self, call: Callable[[], None]) -> None:
        """Call at the end of this turn of the event loop."""

    def answered(self, whole: bool) -> None:
        """The response is over; if it is not `whole`, the connection is, too."""


class Author(Protocol):
    """Who writes a response, and is told how it goes."""

    def gone(self) -> None:
        """The client has left before the end; told once."""

    def drained(self) -> None:
        """`Response.writable` has become true again."""


class Response(Body):
    """The answer to one request. Every method may be called at any time; what comes too late does nothing."""

    __slots__ = ("_over", "_until_close", "author", "bodiless")

    def __init__(self, line: Line, *, http_1_0: bool = False, bodiless: bool = False) -> None:
        super().__init__()
        self._line = line
        self.bodiless = bodiless
        """Whether this answers a HEAD: all but the body."""
        self.author: Author | None = None
        self._head = None
        # Until it has begun, whether it may be.
        self._chunked = not http_1_0
        self._until_close = False
        self._left_bytes = None
        # Two flags, because a HEAD is answered to its end without a body: no write has effect, and nothing has.
        self._mute = True
        self._over = False

    @property
    def backlog_bytes(self) -> int:
        """Written, and not taken by the client yet."""
        return 0 if self.gone else self._line.backlog_bytes

    def start(self, status: int, headers: Headers, *, length: int | None = None) -> None:
        """Write the head; without a `length` the body is chunked, or lasts until the end of an HTTP/1.0 connection.

        Headers that would break out of their line are the client's to see as a 500, without them.
        """
        if self._over:
            return
        if self.started:
            raise RuntimeError("the response has been started before")
        try:
            self._head = self._make_head(status, headers, length)
        except ValueError:
            self._refuse_own()
            return
        self.started = True
        self._mute = self.bodiless or not _has_body(status)
        # The head waits for what comes with it in this turn of the event loop, so that both are one packet.
        self._line.soon(self._flush)

    def end(self) -> None:
        """The right end of the body; one that is shorter than its `length` has none."""
        if self._over:
            return
        if not self.started or (self._left_bytes and not self._mute):
            self.abort()
            return
        if self._chunked and not self._mute:
            self._flush(_LAST_CHUNK)
        else:
            self._flush()
        self._close()
        self._line.answered(not self._until_close)

    def abort(self) -> None:
        """The wrong end: all that was written, then FIN where the last chunk should be."""
        if self._over:
            return
        self._flush()
        self._close()
        self._line.answered(False)

    def send(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole response."""
        self.start(status, headers, length=len(body))
        self.write(body)
        self.end()

    def refuse(self, problem: Refused) -> None:
        """The API's envelope, if the client can still be told; the wrong end otherwise. The connection is closed."""
        if self.started:
            self.abort()
            return
        self._until_close = True
        headers = [(b"content-type", b"application/json")]
        if problem.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % problem.retry_after_s))
        self.send(problem.status, headers, envelope(problem.kind, problem.message))

    # --- told by the connection ---

    def lost(self) -> None:
        """The client has left."""
        if self._over:
            return
        author = self.author
        self._close()
        self.gone = True
        self._head = None
        if author is not None:
            author.gone()

    def paused(self) -> None:
        """The backlog is above its mark."""
        self.writable = False

    def resumed(self) -> None:
        """The backlog is below its mark again."""
        self.writable = True
        if self.author is not None and not self._over:
            self.author.drained()

    # --- inside ---

    def _make_head(self, status: int, headers: Headers, length: int | None) -> bytes:
        self._left_bytes = length
        self._until_close = self._until_close or (length is None and not self._chunked)
        self._chunked = self._chunked and length is None and _has_body(status)
        lines = [pair for pair in headers if pair[0] not in _OURS]
        if not any(name == b"date" for name, _ in lines):
            lines.append((b"date", formatdate(usegmt=True).encode()))
        if self._chunked:
            lines.append((b"transfer-encoding", b"chunked"))
        elif length is not None and _has_body(status):
            lines.append((b"content-length", b"%d" % length))
        if self._until_close or not self._line.stays_open:
            lines.append((b"connection", b"close"))
        return head_bytes(_status_line(status), lines)

    def _refuse_own(self) -> None:
        author = self.author
        self.refuse(Refused(500, "api_error", "The gateway was about to send headers that are not headers."))
        # Whoever was about to write a body has nobody to write it to; it hears so when it has returned from here.
        self.gone = True
        if author is not None:
            self._line.soon(author.gone)

    def _close(self) -> None:
        self._mute = self._over = True
        # Whoever listens holds this response: what was a circle would wait for the collector.
        self.author = None

    def _flush(self, data: bytes = b"") -> None:
        if self._head is not None:
            data, self._head = self._head + data, None
        if data:
            self._line.write(data)


def _has_body(status: int) -> bool:
    return status not in (204, 304)


def _status_line(status: int) -> bytes:
    """The first line. Raises `ValueError` for what cannot be a final status."""
    if not 200 <= status <= 999:
        raise ValueError("the status is none that ends a request")
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}
_STATUS_LINES[529] = b"HTTP/1.1 529 Overloaded"
