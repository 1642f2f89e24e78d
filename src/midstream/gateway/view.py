"""What the second port may know of the data plane.

Rule: words only. No contents, no credentials: what stands here is shown to whoever reaches the second port.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol, TypeAlias

import msgspec

from midstream.journal.port import Health

Breaker: TypeAlias = Literal["closed", "half_open", "open"]
"""``closed``: asked as usual. ``open``: left out. ``half_open``: one attempt tries whether it works again."""


class StreamView(msgspec.Struct, frozen=True):
    """A running stream, from outside."""

    id: str
    age_s: float
    upstream: str
    """The one that is asked now."""
    attempts: int
    """How many were begun, the running one included."""
    state: str
    """``waiting``, ``showing``, ``sleeping``, … a word of the engine's."""
    readers: int
    offset: int
    """The number of the last frame that is in the journal."""
    size_bytes: int
    """Bytes shown so far."""


class View(Protocol):
    """What the data plane tells. Each is asked at every scrape or request: cheap, and called in the loop's thread."""

    draining: bool
    """The gateway is about to end, and takes no new streams."""

    def streams(self) -> Iterable[StreamView]:
        """The running ones."""

    def open_counts(self) -> "Open":
        """How much is open."""

    def journal_health(self) -> Health:
        """How the journal is."""

    def breakers(self) -> Mapping[str, Breaker]:
        """Each upstream, by its name, in the order in which they are asked."""


class Open(msgspec.Struct, frozen=True):
    """How much is open."""

    streams: int = 0
    readers: int = 0
    connections: int = 0
    """Of clients."""
    upstream_connections: int = 0
    bodies_bytes: int = 0
    """Held of the bodies of requests."""


def reasons_not_ready(view: View) -> list[str]:
    """Why a load balancer should send new streams elsewhere, one sentence each; empty if it need not."""
    reasons = []
    if view.draining:
        reasons.append("the gateway is draining")
    health = view.journal_health()
    if not health.ok:
        reasons.append(f"the journal fails: {health.detail}" if health.detail else "the journal fails")
    breakers = view.breakers()
    if all(state == "open" for state in breakers.values()):
        reasons.append(f"no upstream answers: {', '.join(breakers)}")
    return reasons
