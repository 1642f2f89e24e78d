"""One seed, one world: a caller, a policy, a model, faults, and a clock that jumps to the next thing that happens.

Rule: nothing here waits, and nothing comes from anywhere but the seed.
"""

from dataclasses import dataclass, field
from random import Random

from midstream.drivers.clock import Clock
from midstream.protocol.dialects import Anthropic, Bedrock
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.failure import Failure
from midstream.recovery.request import Request
from midstream.recovery.steps import Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Step
from simulation.answers import Answer, Asked, Fields, draw_answer, pick
from simulation.checkers import Truth, Violation, check_calls, check_usage, deadline, must_stop, way_on
from simulation.consumer import Consumer, Illegal, Source
from simulation.draws import draw_call, draw_policy
from simulation.faults import CUTS, DISCONNECTS, FRAME_CUTS, Breaker, Feed, encode_json
from simulation.upstream import SLOPPY, STYLES, Model, Reply, objection, read_request

NEVER = float("inf")
STEPS_MAX = 200_000
"""No world of ours has so many; one that has does not end."""
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


class World:
    """One stream on a virtual clock."""

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.rng = rng = Random(seed)
        self.story: list[str] | None = [] if trace else None
        self.call, self.policy = draw_call(rng), draw_policy(rng)
        facts, policy = self.call.facts, self.policy
        self.sse = rng.random() < 0.85
        self.asked = Asked(
            facts.thinks,
            facts.structured,
            facts.forced,
            facts.eager,
            rng.random() < 0.15,
            policy.continue_max_tokens > 0,
        )
        style = pick(rng, STYLES)
        self.answers: list[Answer] = []
        self.model = Model(rng, self._new_answer(), style, facts.thinks)
        self.truth = Truth(self.model.answer)
        self.breaker = Breaker(rng, self.sse, self._unit_s())
        self.broken = pick(rng, (0, 0, 1, 1, 1, 2, 2, 3, 4, 100))
        self.refuses = pick(rng, ((), (), (), (), (), ("prefix",), ("prefix", "turn"), ("prefix", "turn", "quote")))
        self.retries = pick(rng, (1000, 1000, 1000, 1000, 1000, 0, 1, 2))
        self.closes_at = int(rng.random() * 20) if rng.random() < 0.05 else -1
        self.slow_s = pick(rng, (0.0, 0.0, 0.0, 5.0, 1e5))
        self.wakes = rng.random() < 0.6
        self.monotonic = rng.random() * 1000
        self.clock = Clock(lambda: self.monotonic)
        self.jitters: list[float] = []
        around = Surroundings(self._jitter, self._take_retry)
        request = Request(self.call.body, self.call.betas, self.call.signed)
        self.body_before = encode_json(self.call.body)
        self.engine = Engine(request, policy, around)
        self.consumer = Consumer(self.sse)
        self.outcome = Outcome(style=style)
        self.feed = Feed("", frozenset())
        self.reply: Reply | None = None
        self.source = Source()
        self.usages: list[Fields] = []
        self.opens = self.row = 0
        self.slept_s = 0.0
        self.started_at = self.heard_at = self.progressed_at = self.first_at = 0.0
        self.total_at = NEVER
        self.showed = self.form_refused = self.denied = False
        self.form: str | None = None
        self.cause: frozenset[str] = frozenset()
        self.extended = self.stop_held = False
        self.attempt_shown_bytes = 0
        self.lost_call = False

    def _new_answer(self) -> Answer:
        answer = draw_answer(self.rng, self.asked, f"msg_{len(self.answers)}")
        self.answers.append(answer)
        return answer

    def _unit_s(self) -> float:
        policy = self.policy
        return 0.1 * min(policy.first_event_s, policy.silence_s, policy.silence_after_pings_s, policy.progress_s)

    def _jitter(self) -> float:
        self.jitters.append(self.rng.random())
        return self.jitters[-1]

    def _take_retry(self) -> bool:
        self.retries -= 1
        self.denied = self.retries < 0
        return not self.denied

    def tell(self, what: str) -> None:
        """A line of the story, if somebody wants it."""
        if self.story is not None:
            self.story.append(f"{self.clock():12.3f}  {what}")

    # The loop.

    def run(self) -> Outcome:
        """Lives through it; raises `Violation` where something does not hold."""
        self.started_at = now = self.clock()
        if self.policy.elapsed_s is not None:
            self.total_at = now + self.policy.elapsed_s
        if self.story is not None:
            self.tell(f"asks {self.call.body!r}\n  by {self.policy!r}\n  of {self.model.style} {self.model.answer!r}")
        step = self.engine.start(now)
        outcome = self.outcome
        while True:
            outcome.steps += 1
            self._check(step)
            if type(step.wait) is Done:
                return self._over(step.wait)
            if outcome.steps == self.closes_at:
                outcome.ending = "closed early"
                return outcome
            if outcome.steps > STEPS_MAX:
                raise Violation("the stream does not end")
            if step.events and self.slow_s:
                self._let_consumer_work()
            input = self._perform(step)
            self._told(input)
            now = self.clock()
            try:
                step = self.engine.receive(input, now)
            except Exception as problem:
                raise Violation(f"receive({type(input).__name__}) raised {problem!r}") from problem

    def _let_consumer_work(self) -> None:
        self.clock.leave()
        self.monotonic += self.rng.random() * self.slow_s
        self.clock.back()

    def _perform(self, step: Step) -> Input:
        wait, now = step.wait, self.clock()
        if type(wait) is Sleep:
            return self._wait_until(wait.deadline)
        if type(wait) is Open:
            self._open(wait)
        assert isinstance(wait, Open | Read)
        until = wait.deadline
        if type(wait) is Read and wait.wake_at is not None and self.wakes:
            until = min(until, wait.wake_at)
        feed = self.feed
        if not feed.items and feed.pings_s:
            feed.items.append((feed.pings_s, Received(feed.ping)))
        if (
            type(wait) is Read
            and wait.wake_at is not None
            and (not feed.items or now + feed.items[0][0] >= wait.wake_at)
        ):
            self.truth.strict = False  # the hold ends before the join is known (§7.1)
        if not feed.items or now + feed.items[0][0] > until:
            if feed.items:
                delay, late = feed.items.popleft()
                feed.items.appendleft((delay - (until - now), late))
            return self._wait_until(until)
        delay, input = feed.items.popleft()
        self.monotonic += delay
        return input

    def _wait_until(self, at: float) -> Input:
        """Never early: a float that was added to another may fall short of it."""
        self.monotonic += max(0.0, at - self.clock())
        self.monotonic += 1e-6 if self.clock() < at else 0.0
        return Elapsed()

    def _told(self, input: Input) -> None:
        """Notes what this input tells the engine, before the engine is told."""
        feed, source, now = self.feed, self.source, self.clock()
        if type(input) is Received:
            feed.sent_bytes += len(input.data)
            if feed.sent_bytes >= feed.cut_at and feed.cut_at not in feed.ends:
                self.pings_sure = False  # half a ping, or rubbish after it, may be one
            self.heard_at = now
            self._note(min(feed.sent_bytes, feed.cut_at))
            source.pings += input.data is feed.ping and feed.cut_at in (0, *feed.ends)
        elif type(input) is Opened:
            pass
        elif type(input) is not Elapsed and feed.sse and not source.over:
            self._note(min(feed.sent_bytes, feed.cut_at) + 2)  # a last frame that lacks its blank line only
        if self.story is not None:
            self.tell(f"<- {input!r:.300}")

    def _note(self, sent: int) -> None:
        feed, source = self.feed, self.source
        ends = feed.ends
        if feed.sent_bytes == 0 and sent:
            return
        while source.at < len(ends) and ends[source.at] <= sent and not source.over:
            if source.note(feed.events[source.at]):
                self.progressed_at = self.clock()
            source.at += 1

    # One attempt.

    def _open(self, wait: Open) -> None:
        """The service gets a request."""
        now = self.clock()
        self.first_at = now + self.policy.first_event_limit_s(len(self.body_before))
        self.opens += 1
        self.row += 1
        self.source, self.showed, self.attempt_shown_bytes = Source(self.source.pings), False, 0
        self.heard_at = self.progressed_at = now
        self.form = None
        self.reply = None
        self.feed = self._answer(wait)
        self.outcome.faults.append(self.feed.fault)
        self.outcome.forms.append(self.form or "whole")
        if self.story is not None:
            events = len(self.feed.ends)
            self.tell(f"-- attempt {self.opens}: {self.form or 'whole'}, fault: {self.feed.fault}, {events} events")

    def _answer(self, wait: Open) -> Feed:
        rng, body = self.rng, wait.body
        asked = read_request(body, len(self.call.body["messages"])) if body is not None else None
        if asked is None:
            if self.consumer.blocks:
                raise Violation("the whole request again, though content was shown")
            if self.opens > 1 and rng.random() < 0.3:
                self.model.answer = self._new_answer()
            self.truth = Truth(self.model.answer)
        else:
            assert body is not None
            self.form = asked.form
            self._check_request(asked, body)
        self.broken -= 1
        fails = self.broken >= 0 and rng.random() < 0.95
        if fails and rng.random() < 0.3:
            return self.breaker.instead()
        if asked is not None and asked.form in self.refuses:
            return self.breaker.refusal(400, f"refused: {asked.form}")
        if asked is None:
            self.reply = self.model.whole()
        else:
            self.truth.resumed, self.truth.may_split = True, asked.where == "between" or asked.form == "quote"
            self.reply = self.model.go_on(asked, self.truth.seen(self.consumer), self.extended)
            if self.reply.notes and self.truth.strict:
                raise Violation("; ".join(self.reply.notes))
            if len(asked.anchor) + 60 > self.policy.seam_hold_chars:
                self.reply.faithful = False  # the hold ends inside the element (§7.1)
            self.truth.strict = self.truth.strict and self.reply.faithful
        self.extended = False
        cut = pick(rng, CUTS if self.sse or rng.random() < 0.5 else FRAME_CUTS) if fails else None
        return self.breaker.stream(self.reply.events, cut)

    def _check_request(self, asked: object, body: dict[str, object]) -> None:
        if self.truth.strict:
            problem = objection(asked, body, self.call.body, self.truth.seen(self.consumer), self.call.family)  # type: ignore[arg-type]
            if problem is not None:
                raise Violation(f"a resume request of the form {self.form}: {problem}")
        named = (self.consumer.fields.get("container") or {}).get("id")
        if "container" not in self.call.body and body.get("container") != named:
            raise Violation(f"the container is {body.get('container')!r}, not {named!r}")

    # What must hold.

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
        if wrong:
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
        if source.stop_reason is not None and self.engine.history.stop_added:
            if type(wait) is not Done or wait.failure is not None:
                raise Violation("a failure after the stop reason")
            return
        way = way_on(self.consumer, source, self.call.facts, policy)
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
