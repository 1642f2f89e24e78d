"""One complete unit of the wire.

Rule: a frame says what stood on the wire, never what it means.
"""

import msgspec


class Frame(msgspec.Struct, frozen=True):
    """A server-sent event, or one message of an AWS event stream, as the wire had it."""

    name: str
    """The event name; ``"message"`` where the wire had none (WHATWG HTML §9.2.6)."""
    data: bytes
    """The payload, without the framing."""
    id: str | None = None
    """The ``id`` field of this very frame, if it had one."""


class WireError(ValueError):
    """Bytes that are not the framing they claim to be. Raised inside ``protocol`` only; a `Failure` outside."""


class FrameTooLarge(WireError):
    """A frame that is longer than the bound it was given."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"a frame of at least {size_bytes:,} bytes is over the limit of {limit_bytes:,} bytes")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
