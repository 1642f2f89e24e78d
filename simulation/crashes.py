"""The process ends, and another one goes on with what a journal holds: what was shown, what was noted, what was spent.

Rule: nothing else is handed over. What the new engine does then is held against the contract's table.
"""

from abc import abstractmethod
from random import Random

from midstream.protocol.events import Event, Pinged
from midstream.recovery.engine import Engine
from midstream.recovery.past import Past, PastAttempt
from midstream.recovery.steps import Done, Open, Step
from simulation.answers import Fields, pick
from simulation.checkers import Violation, must_stop, way_on
from simulation.invariants import EPSILON_S, Invariants

SHARE = 0.15
"""So many worlds have a process that ends."""


def draw_crashes(seed: int) -> frozenset[int]:
    """After which steps a process ends. Drawn apart, so that a seed's world is otherwise as it was without."""
    rng = Random(seed * 1_000_003 + 31)
    if rng.random() >= SHARE:
        return frozenset()
    return frozenset(1 + int(rng.random() * pick(rng, (3, 10, 30, 100))) for _ in range(pick(rng, (1, 1, 1, 2, 3))))


class Crashes(Invariants):
    """The part of a world that ends processes."""

    crashed = False
    adopting = False

    @abstractmethod
    def new_engine(self) -> Engine:
        """An engine that has seen nothing."""

    def begin_journal(self) -> None:
        """Nothing is recorded yet."""
        self.recorded: list[list[bytes]] = []  # what was shown, attempt by attempt
        self.facts: list[Fields] = []
        self.facts_taken = self.pings_shown = 0

    def record(self, step: Step) -> None:
        """What the journal is given of a step, before the consumer sees it."""
        events: list[Event] = step.events
        if events:
            self.recorded[-1] += [event.raw for event in events]
            self.pings_shown += sum(isinstance(event, Pinged) for event in events)
        self.facts += self.engine.facts[self.facts_taken :]
        self.facts_taken = len(self.engine.facts)

    def crash(self) -> Step:
        """Another process takes over."""
        history, now = self.engine.history, self.clock()
        attempts = [
            PastAttempt(shown=b"".join(frames), plan=record.plan)
            for frames, record in zip(self.recorded, history.attempts, strict=True)
        ]
        past = Past(
            attempts=attempts, facts=tuple(self.facts), slept_s=history.slept_s, elapsed_s=now - self.started_at
        )
        self.crashed, self.facts_taken = True, 0
        self.row = 1 if self.showed else self.row
        self.showed = self.denied = self.slept = False
        self.slept_s = history.slept_s
        self.usages = [dict(self.consumer.usage)] if self.consumer.where != "nothing" else []
        self.engine = self.new_engine()
        step = self.engine.adopt(past, now)
        self.tell(f"** the process ends; {len(attempts)} attempts, facts {self.facts!r}")
        self._check_adopted(step)
        self.source.pings, self.pings_sure, self.adopting = self.pings_shown, True, True
        return step

    def _check_ended(self, wait: object) -> None:
        if not self.adopting:
            super()._check_ended(wait)
        self.adopting = False

    def _check_adopted(self, step: Step) -> None:
        consumer, wait, way = self.consumer, step.wait, self._way_after()
        if type(wait) is not Open and type(wait) is not Done:
            raise Violation(f"{wait!r} after the process ended: nobody needs a rest")
        whole = way in ("complete", "settle")
        if isinstance(wait, Done) and whole is not (wait.failure is None) and not (self.stop_returned and not whole):
            raise Violation(f"ended with {wait.failure!r} after the process ended, though the way is {way!r}")
        stop = must_stop(None, {}, self.policy, self.row, self.opens)
        late = self.clock() >= self.total_at - EPSILON_S
        if type(wait) is Open and (way not in ("restart", "continue") or stop):
            raise Violation(f"a further attempt after the process ended, though the way is {way!r} ({stop})")
        if type(wait) is Done and way in ("restart", "continue") and not stop and not late:
            raise Violation(f"gave up ({self.engine.history.gave_up}) as the process ended, though the way is {way!r}")
        if way == "settle" and not self.engine.history.settled:
            raise Violation("not settled after the process ended, though a complete call was shown")
        if type(wait) is Open and (wait.body is None) is not (not consumer.blocks):
            raise Violation(f"the way is {way!r}, but the request is not its")
        self.last_cause = self.engine.history.attempts[len(self.recorded) - 1].failure
        self.outcome.plans.append(f"adopted {way}")

    def _way_after(self) -> str:
        """The row of the contract's table, by what was shown and received before the process ended."""
        consumer = self.consumer
        if consumer.stop_reason is not None:
            return "complete"
        held = self.policy.tools == "hold"
        return way_on(consumer, self.source, self.call.facts, self.policy, followed=held)
