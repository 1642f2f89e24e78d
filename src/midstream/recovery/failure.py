"""What went wrong, as a value.

Rule: every table that maps a status, an ``error.type`` or an exception name is data, and stands here, with its source.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What kind of thing went wrong (the contract, §5)."""

    TRUNCATED = "truncated"
    DISCONNECTED = "disconnected"
    SILENT = "silent"
    STALLED = "stalled"
    UNREACHABLE = "unreachable"
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    GARBLED = "garbled"
    LIMIT = "limit"


class Phase(StrEnum):
    """How far the stream had come."""

    CONNECTING = "connecting"
    WAITING = "waiting"
    STARTED = "started"
    SHOWING = "showing"
    SETTLED = "settled"


class Origin(StrEnum):
    """Who is to blame, as far as can be known."""

    SERVICE = "service"
    TRANSPORT = "transport"
    PROTOCOL = "protocol"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that went wrong, observed."""

    kind: Kind
    phase: Phase
    origin: Origin
    detail: str = ""
    """One clause for a person: what was seen. Never holds contents of the reply, of the request, or a key."""
    status: int | None = None
    """The HTTP status, of the response or as the in-stream error stands for one; ``None`` where there was none."""
    error_type: str | None = None
    """``error.type`` as received, or the name of the Bedrock exception as received."""
    error_code: str | None = None
    """``error.details.error_code`` as received."""
    api_message: str | None = None
    """``error.message`` as received: the service's words, for the exception; never logged."""
    body: object = None
    """The error body as received (decoded JSON, or text), for the exception."""
    retry_after_s: float | None = None
    """What the server asked for by ``retry-after-ms`` or ``retry-after``."""
    should_retry: bool | None = None
    """``x-should-retry``, where the response had it."""
    exhausted: bool = False
    """A midstream further up has used up its attempts."""
    request_id: str | None = None
    """``request-id``, or Bedrock's ``x-amzn-requestid``."""
    certificate: bool = False
    """The certificate of the upstream was refused: never tried again."""
    connect_timeout: bool = False
    """UNREACHABLE because the connect limit ran out."""
    original_status: int | None = None
    """Bedrock's ``originalStatusCode``."""
    original_message: str | None = None
    """Bedrock's ``originalMessage``."""
