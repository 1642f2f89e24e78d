"""The words that drivers and engine share.

Rule: what happened is in the past tense (`Input`), what is wanted is in the imperative (`Wait`).
"""

from typing import Any

import msgspec

from midstream.protocol.events import Event
from midstream.recovery.failure import Failure


class Opened(msgspec.Struct, frozen=True):
    """The response headers of the attempt arrived. The body of an error status is read like any other."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    read_timeout_s: float | None = None
    """The caller's own limit between two reads, if there is one: the upper limit of the silence."""


class Received(msgspec.Struct, frozen=True, gc=False):
    """A chunk of the body, content encoding undone."""

    data: bytes


class Ended(msgspec.Struct, frozen=True):
    """The body ended as its framing says."""


class Broke(msgspec.Struct, frozen=True):
    """The transport failed: no connection, or one that was lost."""

    reason: str
    """``connect``, ``connect_timeout``, ``dns``, ``tls``, ``certificate``, ``pool`` before the headers;
    ``reset``, ``incomplete``, ``decoding``, ``protocol`` or ``closed`` once the request was sent."""
    detail: str = ""


class Elapsed(msgspec.Struct, frozen=True):
    """The deadline of the wait passed and nothing else happened. Never reported early."""


Input = Opened | Received | Ended | Broke | Elapsed


class Open(msgspec.Struct, frozen=True):
    """Start an attempt: send the request."""

    body: dict[str, Any] | None
    """The request as it is to be sent; ``None`` for the caller's own, unchanged."""
    deadline: float
    """When to report `Elapsed`, on the clock that the engine is given."""
    connect_s: float
    """The limit for the connection alone."""
    upstream: int = 0
    """Which of the upstreams, where there are several."""


class Read(msgspec.Struct, frozen=True, gc=False):
    """Wait for the next chunk."""

    deadline: float
    wake_at: float | None = None
    """A driver that can wait without losing the connection reports `Elapsed` at this time too; others need not."""


class Sleep(msgspec.Struct, frozen=True):
    """Drop the attempt's connection, wait until the deadline, then report `Elapsed`."""

    deadline: float


class Done(msgspec.Struct, frozen=True):
    """The stream is over: complete, or failed with everything gathered so far."""

    failure: Failure | None = None


Wait = Open | Read | Sleep | Done


class Step(msgspec.Struct, frozen=True, gc=False):
    """What to hand on, in order; then the one thing to wait for."""

    events: list[Event]
    wait: Wait
