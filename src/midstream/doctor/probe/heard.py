"""What came of one question on this side: bytes, moments, and how it ended.

Rule: it says what was seen and judges nothing; a clock of zero is the moment when the question began to leave.
"""

from dataclasses import dataclass, field
from typing import Literal

Protocol = Literal["http/1.1", "h2"]

End = Literal["complete", "unframed", "broken", "reset", "garbled", "left", "waited", "refused"]
"""``complete``: the framing says so. ``unframed``: the connection was closed, and nothing else could have said that it
is over. ``broken``: closed inside the framing. ``reset``: RST, or RST_STREAM. ``garbled``: bytes that are no HTTP.
``left``: we did. ``waited``: as long as we wanted to wait. ``refused``: no connection."""

SILENT_ENDS: frozenset[End] = frozenset({"complete", "unframed"})
"""To a client, these look like the end of a whole reply."""

CUT_ENDS: frozenset[End] = frozenset({"broken", "reset", "garbled"})
"""These do not."""

Framing = Literal["chunked", "length", "close", "frames", "none"]


@dataclass(slots=True)
class Heard:
    """One answer, as it came."""

    protocol: Protocol
    sent_at_s: float | None = None
    """When the whole question had been handed over."""
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Names in lower case."""
    head_at_s: float | None = None
    framing: Framing = "none"
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    """The body as it came, its content encoding kept."""
    end: End = "waited"
    end_at_s: float = 0.0
    detail: str = ""
    """What else is known of the end: ``RST_STREAM INTERNAL_ERROR(2)``."""

    def header(self, name: str) -> str:
        """The values of a header, joined; empty if there is none."""
        return ", ".join(value for each, value in self.headers if each == name)

    @property
    def body(self) -> bytes:
        """All of the body that came."""
        return b"".join(data for _, data in self.pieces)
