"""What a client may send, how much of it and how slowly; and how it is told when it goes beyond.

Rule: every limit has its reason beside it, and every refusal is one sentence in which nothing of the client's stands.
"""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The bounds of one server."""

    head_bytes: int = 64 << 10
    """Request line and headers. Those of the SDKs are below 4 KB, those of a browser with cookies below 16."""
    headers: int = 200
    """Header lines of one request. The SDKs send about 20, and proxies add a few."""
    target_bytes: int = 16 << 10
    """Path and query. The longest the API has are pages of a list, below 1 KB."""
    head_s: float = 10.0
    """From the first byte of a request, or from the connection, to the end of its head: one packet, in earnest."""
    body_bytes: int = 32 << 20
    """What the API itself takes."""
    bodies_bytes: int = 1 << 30
    """Held of all bodies together: 32 of the largest at a time, beside which a small machine still has memory."""
    body_idle_s: float = 30.0
    """Between two pieces of a body that is waited for."""
    body_total_s: float = 300.0
    """A whole body: 32 MB at 1 Mbit/s."""
    keep_alive_s: float = 75.0
    """A connection without a request. Longer than the 60 s of an ALB: it is not we who close under a request."""
    connections: int = 8192
    """Open at once. Each costs a file descriptor and, while a stream runs, another one upstream."""
    backlog_bytes: int = 64 << 10
    """Written and not yet taken, above which a response is not `writable`."""
    flush_s: float = 30.0
    """How long a client may take nothing of a response that is over before the connection is dropped."""
    flush_total_s: float = 300.0
    """The same in all, however steadily it takes a little: what waits then is a backlog, or one whole small body."""
    linger_s: float = 2.0
    """How long what a client still sends is read and thrown away after our FIN. Closing at once would be answered with
    a reset, and a reset takes from the client's buffers what it has not read: the error event among it."""


# More than the largest body, so that a client that sends all of it before it reads the refusal gets to read it.
LINGER_BYTES_MAX = 64 << 20


class Refused(Exception):
    """Something that a client sent, or did not, is answered with an error. Its text may be shown to the client."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        """The API's ``error.type``."""
        self.message = message
        self.retry_after_s: int | None = None
        """When to try again, where that is of use."""


class BadRequest(Refused):
    """Bytes that are no request, or could be read as two different ones."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(status, "invalid_request_error", message)


class HeadTooLarge(BadRequest):
    """The headers are longer, or more, than the limit."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 431)


class BodyTooLarge(Refused):
    """The body is longer than the limit."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(413, "request_too_large", f"The body is longer than {limit_bytes:,} bytes.")


class TooSlow(Refused):
    """The head did not come in time."""

    def __init__(self, message: str) -> None:
        super().__init__(408, "timeout_error", message)


class BodyTimeout(TooSlow):
    """The body did not come in time."""

    def __init__(self) -> None:
        super().__init__("The body of the request did not arrive in time.")


OVERLOADED_RETRY_AFTER_S = 5
"""Bodies are let go as streams end, and those last a quarter of a minute; an SDK tries twice more, so ten seconds."""


class Overloaded(Refused):
    """There is no room for now. 503 and not 529, the API's own: proxies and load balancers know that one, too."""

    def __init__(self, message: str) -> None:
        super().__init__(503, "overloaded_error", message)
        self.retry_after_s = OVERLOADED_RETRY_AFTER_S


class TooManyBodies(Overloaded):
    """All bodies together would be longer than the limit."""

    def __init__(self) -> None:
        super().__init__("The gateway holds as many bytes of requests as it may; try again when some have ended.")


class ClientGone(Exception):
    """The client has left before its request was whole: there is nobody to answer."""


def envelope(kind: str, message: str) -> bytes:
    """An error as the API writes it."""
    error = {"type": "error", "error": {"type": kind, "message": message}}
    return json.dumps(error, ensure_ascii=False, separators=(",", ":")).encode()
