"""Everything that a probe saw, before anybody judges it.

Rule: what was not asked is ``None`` or empty, and no verdict is made of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from midstream.doctor.probe.compare import Seen
from midstream.doctor.probe.heard import Protocol
from midstream.faults.probe_words import Hello


@dataclass(frozen=True, slots=True)
class Passed:
    """Whether a question of some size came to the far end."""

    size_bytes: int
    came: bool
    answer: str
    """What was said instead: ``413``, ``reset``."""


@dataclass(frozen=True, slots=True)
class Observations:
    """One probe of one path."""

    url: str
    up_to_s: float
    hello: Hello
    hello_headers: tuple[tuple[str, str], ...] = ()
    protocols: tuple[Protocol, ...] = ("http/1.1",)
    """Those that were spoken there."""
    delivery: tuple[Seen, ...] = ()
    """Asked once for each version of HTTP, and again where the first looked ill."""
    packed: tuple[Seen, ...] = ()
    hinted: Seen | None = None
    tails: tuple[Seen, ...] = ()
    cuts: tuple[Seen, ...] = ()
    silences: tuple[Seen, ...] = ()
    ladder: tuple[tuple[float, Seen], ...] = ()
    """Shorter silences, where the longest was lost without a sign."""
    pings: Seen | None = None
    flow: Seen | None = None
    before: Seen | None = None
    leaving: Seen | None = None
    bodies: tuple[Passed, ...] = ()
    heads: tuple[Passed, ...] = ()
    late_s: float = 0.0
    """How late this machine itself was, at worst."""

    def streams(self) -> Iterator[Seen]:
        """Every stream that was played."""
        yield from (*self.delivery, *self.packed, *self.tails, *self.cuts, *self.silences)
        yield from (each for _, each in self.ladder)
        yield from (each for each in (self.hinted, self.pings, self.flow, self.before, self.leaving) if each)
