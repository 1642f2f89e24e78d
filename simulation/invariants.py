"""What must hold of one world: after every step, at the end of every attempt, and at the end.

Rule: asks the checkers and raises `Violation`; drives nothing, draws nothing.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

from midstream.drivers.clock import Clock
from midstream.protocol.dialects import Anthropic, Bedrock
from midstream.recovery.engine import Engine
from midstream.recovery.failure import Failure
from midstream.recovery.policy import Policy
from midstream.recovery.steps import Done, Ended, Open, Read, Sleep, Step
from simulation.answers import Answer, Fields
from simulation.checkers import Truth, Violation, check_calls, check_usage, deadline, must_stop, way_on
from simulation.consumer import Consumer, Illegal, Source
from simulation.draws import Call
from simulation.faults import DISCONNECTS, Breaker, Feed, encode_json
from simulation.upstream import SLOPPY, Model, Reply

NEVER = float("inf")
EPSILON_S = 1e-6
QUIET = frozenset({"none", "ended", "silence", *DISCONNECTS})
"""Faults that add no bytes of their own."""
SHOWS = frozenset({"content_block_start", "content_block_delta"})


@dataclass(slots=True)
class Outcome:
    """What became of one world, for the counts."""

    ending: str = ""
    faults: list[str] = field(default_factory=list)
    plans: list[str] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)
    seams: list[str] = field(default_factory=list)
    failure: str = ""
    gave_up: str = ""
    style: str = ""
    steps: int = 0
    flow: Counter[str] = field(default_factory=Counter)
    """What was asked of flows: chunks that were taken, and that were left."""


class Invariants:
    """The half of a world that watches; the other half, `world.World`, makes things happen."""

    answers: list[Answer]
    body_before: bytes
    breaker: Breaker
    call: Call
    clock: Clock
    consumer: Consumer
    denied: bool
    engine: Engine
    feed: Feed
    form: str | None
    jitters: list[float]
    model: Model
    opens: int
    outcome: Outcome
    policy: Policy
    reply: Reply | None
    row: int
    slept_s: float
    source: Source
    sse: bool
    started_at: float
    story: list[str] | None
    total_at: float
    truth: Truth
    usages: list[Fields]
    attempt_shown_bytes: int
    first_at: float
    heard_at: float
    progressed_at: float
    extended: bool
    stop_held: bool
    showed: bool

    def tell(self, what: str) -> None:
        """A line of the story, if somebody wants it."""
        if self.story is not None:
            self.story.append(f"{self.clock():12.3f}  {what}")

    def _check(self, step: Step) -> None:
        """Everything that can be said after one step."""
        consumer, wait = self.consumer, step.wait
        for event in step.events:
            self.attempt_shown_bytes += len(event.raw)
            try:
                taken = consumer.take(event.raw)
            except Illegal as problem:
                raise Violation(str(problem)) from problem
            if taken is not None:
                self.truth.take(taken, consumer)
                self.showed = self.showed or taken["type"] in SHOWS
        if self.story is not None:
            self.tell(f"-> {[event.raw for event in step.events]!r:.600} {self.engine._doing} {wait!r:.200}")
        if step.events or type(wait) is not Read:
            self._check_snapshot()
        if type(wait) is Read:
            self._check_read(wait)
        elif self.opens:
            self._check_ended(wait)
        if type(wait) is Open:
            self._check_open(wait)

    def _check_snapshot(self) -> None:
        ours, theirs = self.consumer.snapshot(), self.engine.snapshot()
        if ours != theirs:
            names = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
            parts = "; ".join(f"{name}: shown {ours.get(name)!r}, snapshot {theirs.get(name)!r}" for name in names)
            raise Violation(f"the snapshot is not what was shown: {parts}"[:1500])

    def _check_read(self, wait: Read) -> None:
        now, source = self.clock(), self.source
        times = (self.heard_at, self.progressed_at, self.first_at, self.total_at)
        right = deadline(source, self.policy, *times, pings=source.pings)
        wrong = abs(wait.deadline - right) > EPSILON_S
        if wrong and not self.pings_sure:  # an attempt broke inside a chunk: it may have had pings that nobody saw
            wrong = all(abs(wait.deadline - deadline(source, self.policy, *times, pings=n)) > EPSILON_S for n in (0, 2))
        if wrong and self.frame_sure:
            raise Violation(f"waits until {wait.deadline - now:.3f} s from now, not {right - now:.3f}")
        if wait.wake_at is not None and not now < wait.wake_at <= now + self.policy.seam_hold_s + EPSILON_S:
            raise Violation(f"wakes at {wait.wake_at - now:.3f} s from now")
        if self.form is None and source.at:
            held = self.feed.ends[source.at - 1] - self.attempt_shown_bytes
            if held > self.policy.held_bytes_max:
                raise Violation(f"{held} bytes are held")

    def _check_open(self, wait: Open) -> None:
        now, policy = self.clock(), self.policy
        if self.opens >= policy.attempts_total:
            raise Violation(f"attempt {self.opens + 1} of {policy.attempts_total}")
        right = min(now + policy.first_event_limit_s(len(self.body_before)), self.total_at)
        if abs(wait.deadline - right) > EPSILON_S or wait.connect_s != policy.connect_s:
            raise Violation(f"opens until {wait.deadline - now:.3f} s from now, not {right - now:.3f}")

    def _check_ended(self, wait: object) -> None:
        """An attempt is over, or a sleep."""
        record = self.engine.history.attempts[-1] if type(wait) is not Open else self.engine.history.attempts[-2]
        if self.slept and type(wait) is Open:
            self.slept = False
            return
        ended_by_source = self.consumer.where == "over" and not self.engine.history.settled and not self.stop_returned
        if self.showed or ended_by_source:
            self.usages.append(self.source.usage)
        if self.showed:
            self.row = 1
        failure = record.failure
        if failure is None:
            self._check_good_end(wait)
            return
        self.pings_sure = self.pings_sure and failure.kind in ("truncated", "disconnected", "silent", "stalled")
        self._check_kind(failure)
        self._check_next(failure, wait)

    slept = False
    pings_sure = True
    frame_sure = True

    @property
    def stop_returned(self) -> bool:
        """The held stop at max_tokens ended the message, as its continuation failed."""
        return self.stop_held and self.engine.history.gave_up is not None

    def _check_good_end(self, wait: object) -> None:
        if type(wait) is Done:
            return
        self.extended = self.stop_held = True
        if self.source.stop_reason != "max_tokens" or not self.policy.continue_max_tokens:
            raise Violation("a further attempt after one that was complete")

    def _check_kind(self, failure: Failure) -> None:
        kinds, policy = set(self.feed.kinds), self.policy
        if self.total_at < NEVER:
            kinds |= {"stalled", "garbled"} if self.feed.fault.endswith(" 200") else {"stalled"}
            # The time may be over before the body has come that says more than the status.
            kinds |= {"HTTP 429": {"rate_limited"}, "HTTP 400": {"rejected"}}.get(self.feed.fault, set())
        if policy.held_bytes_max < 1 << 20 or policy.frame_bytes_max < 1 << 20:
            kinds.add("limit")
        if self.reply is not None:
            if self.reply.may_fail or not self.reply.faithful or self.model.answer.spoiled:
                kinds.add("garbled")
            if self.form and self.reply.stop_reason == "compaction":
                kinds.add("limit")
        if failure.kind.value not in kinds:
            raise Violation(f"{failure.kind.value} ({failure.detail}) after the fault {self.feed.fault!r}")
        named = self.feed.hints.get("retry_after_s")
        if failure.retry_after_s != named and failure.kind != "stalled":
            raise Violation(f"retry-after was {named}, the failure says {failure.retry_after_s}")

    def _check_next(self, failure: Failure, wait: object) -> None:
        """Whether there had to be a further attempt, or must not be one, and when."""
        policy, hints, source = self.policy, self.feed.hints, self.source
        if (source.stop_reason is not None or not self.frame_sure) and self.engine.history.stop_added:
            if type(wait) is not Done or wait.failure is not None:
                raise Violation("a failure after the stop reason")
            return
        way = way_on(self.consumer, source, self.call.facts, policy)
        if failure.kind == "garbled" and type(wait) is not Done:
            # The attempt was over before the end of its chunk: remote calls behind that place were not read.
            way = way_on(self.consumer, source, self.call.facts, replace(policy, repeat_remote_tools=True))
        mcp = any(block.type == "mcp_tool_use" for block in self.consumer.blocks)
        goes_on = type(wait) is not Done
        refused = self.form is not None and failure.kind == "rejected" and not self.showed
        if refused:
            stop = None if failure.status == 400 and self.form != "quote" else "refused"
            hints = {"retry_after_s": 0.0}
            if self.form == "turn" and mcp and not policy.repeat_remote_tools:
                stop = stop or "a quote does not send the result back"
            stop = stop or must_stop(self.last_cause, hints, policy, self.row, self.opens)
        else:
            stop = must_stop(failure, hints, policy, self.row, self.opens)
            if way == "continue":
                self.last_cause = failure
        if goes_on and (way in ("none", "settle") or stop):
            raise Violation(f"a further attempt, though the way is {way!r} ({stop})")
        if type(wait) is Sleep or goes_on:
            self._check_delay(wait, hints)
        elif isinstance(wait, Done):
            self._check_gave_up(way, stop, hints, wait)
        self.outcome.plans.append(way if not refused else f"after refused {self.form}")

    last_cause: Failure | None = None

    def _check_delay(self, wait: object, hints: dict[str, object]) -> None:
        delay_s = wait.deadline - self.clock() if isinstance(wait, Sleep) else 0.0
        right_s = self._delay_s(hints)
        if abs(delay_s - right_s) > EPSILON_S:
            raise Violation(f"sleeps {delay_s:.3f} s, not {right_s:.3f}")
        self.slept_s += delay_s
        self.slept = isinstance(wait, Sleep)
        if self.policy.waiting_s is not None and self.slept_s > self.policy.waiting_s + EPSILON_S:
            raise Violation(f"slept {self.slept_s} s of {self.policy.waiting_s}")
        if isinstance(wait, Sleep) and wait.deadline > self.total_at:
            raise Violation("sleeps beyond the end of its time")

    def _delay_s(self, hints: dict[str, object]) -> float:
        asked = hints.get("retry_after_s")
        if isinstance(asked, float):
            return asked
        low, high = self.policy.backoff_s
        return self.jitters[-1] * min(high, low * 2 ** (self.row - 1)) if self.jitters else 0.0

    def _check_gave_up(self, way: str, stop: str | None, hints: dict[str, object], wait: Done) -> None:
        if way == "settle":
            if not self.engine.history.settled or wait.failure is not None:
                raise Violation("not settled, though a complete call was shown")
            return
        delay_s = self._delay_s(hints)
        policy, spent = self.policy, self.clock() - self.started_at
        late = policy.waiting_s is not None and self.slept_s + delay_s > policy.waiting_s - EPSILON_S
        late = late or (policy.elapsed_s is not None and spent + delay_s >= policy.elapsed_s - EPSILON_S)
        if way != "none" and stop is None and not late and not self.denied:
            raise Violation(f"gave up ({self.engine.history.gave_up}), though the way is {way!r}")

    def _over(self, wait: Done) -> Outcome:
        consumer, history, outcome = self.consumer, self.engine.history, self.outcome
        outcome.seams = [seam.rule for seam in history.seams]
        outcome.gave_up = history.gave_up or ""
        if encode_json(self.call.body) != self.body_before:
            raise Violation("the caller's request was changed")
        if (consumer.where == "over") is not (wait.failure is None) or history.complete is not (wait.failure is None):
            raise Violation(f"ended with {wait.failure!r}, but the message is {consumer.where!r}")
        check_calls(consumer, self.answers)
        if self.engine.receive(Ended(), self.clock()).events:
            raise Violation("events after the end")
        if wait.failure is not None:
            outcome.ending, outcome.failure = "failed", wait.failure.kind.value
            return outcome
        outcome.ending = "settled" if history.settled else "stop added" if history.stop_added else "complete"
        if history.gave_up:
            outcome.ending = "stopped at max_tokens"
        self._check_complete()
        return outcome

    def _check_complete(self) -> None:
        consumer, history = self.consumer, self.engine.history
        if history.settled:
            if consumer.stop_reason != "tool_use" or not any(b.type == "tool_use" for b in consumer.blocks):
                raise Violation("settled without a call")
        elif self.source.stop_reason != consumer.stop_reason and not history.gave_up:
            raise Violation(f"stopped with {consumer.stop_reason!r}, the source with {self.source.stop_reason!r}")
        if not history.gave_up and self.model.style not in SLOPPY:
            self.truth.ended(settled=history.settled)
        if all(record.failure is None or record.failure.kind != "limit" for record in history.attempts):
            check_usage(consumer, self.usages)  # a limit ends an attempt inside a chunk, before its last events
        if self.opens == 1 and not history.settled and self.feed.fault in QUIET:
            data = b"".join(self.feed_frames())
            if b"".join(consumer.bytes) != data:
                raise Violation("an unbroken stream was not handed on byte for byte")

    def feed_frames(self) -> list[bytes]:
        """The bytes of the events that arrived, and of the stop that was added."""
        frame = self.breaker.frame
        frames = [frame(event) for event in self.feed.events[: self.source.at]]
        if self.engine.history.stop_added:
            frames.append((Anthropic() if self.sse else Bedrock()).encode({"type": "message_stop"}))
        return frames
