"""Whether new streams should come here, from what the data plane tells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from midstream.gateway.view import Breaker, Open, StreamView, reasons_not_ready
from midstream.journal.port import Health


@dataclass
class Told:
    """A data plane that tells what a test says."""

    draining: bool = False
    health: Health = field(default_factory=lambda: Health(ok=True))
    states: dict[str, Breaker] = field(default_factory=lambda: {"anthropic": "closed"})
    running: list[StreamView] = field(default_factory=list)
    counts: Open = field(default_factory=Open)

    def streams(self) -> Iterable[StreamView]:
        return self.running

    def open_counts(self) -> Open:
        return self.counts

    def journal_health(self) -> Health:
        return self.health

    def breakers(self) -> Mapping[str, Breaker]:
        return self.states


ROWS = [
    (Told(), []),
    (Told(states={"a": "open", "b": "half_open"}), []),
    (Told(states={"a": "open", "b": "closed"}), []),
    (Told(states={"a": "open", "b": "open"}), ["no upstream answers: a, b"]),
    (Told(draining=True), ["the gateway is draining"]),
    (Told(health=Health(ok=False)), ["the journal fails"]),
    (
        Told(draining=True, health=Health(ok=False, detail="the disk is full"), states={"a": "open"}),
        ["the gateway is draining", "the journal fails: the disk is full", "no upstream answers: a"],
    ),
]


@pytest.mark.parametrize(("view", "reasons"), ROWS)
def test_the_gateway_is_ready_unless_there_are_reasons(view: Told, reasons: list[str]) -> None:
    assert reasons_not_ready(view) == reasons
