"""One seed, one world: a caller, a policy, a model, faults, and a clock that jumps to the next thing that happens.

Rule: nothing here waits, and nothing comes from anywhere but the seed.
"""

from random import Random

from midstream.drivers.clock import Clock
from midstream.protocol.dialects import Anthropic
from midstream.protocol.events import BlockGrew
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.request import Request
from midstream.recovery.steps import Done, Elapsed, Input, Open, Opened, Read, Received, Sleep, Step
from simulation.answers import Answer, Asked, Fields, draw_answer, pick
from simulation.checkers import Truth, Violation
from simulation.consumer import Consumer, Source
from simulation.crashes import Crashes, draw_crashes
from simulation.draws import draw_call, draw_policy
from simulation.faults import CUTS, FRAME_CUTS, Breaker, Feed, encode_json
from simulation.invariants import Outcome
from simulation.upstream import STYLES, Model, Reply, objection, read_request

NEVER = float("inf")
STEPS_MAX = 200_000
"""No world of ours has so many; one that has does not end."""


class World(Crashes):
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
        self.body_before = encode_json(self.call.body)
        self.engine = self.new_engine()
        self.crashes_at = draw_crashes(seed)
        self.asks_flow = seed % 2 == 1
        self.begin_journal()
        self.consumer = Consumer(self.sse)
        self.outcome = Outcome(style=style)
        self.feed = Feed("", frozenset())
        self.reply: Reply | None = None
        self.source = Source()
        self.frame_sure = True
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

    def new_engine(self) -> Engine:
        """A process's own: what it learned ends with it."""
        request = Request(self.call.body, self.call.betas, self.call.signed)
        return Engine(request, self.policy, Surroundings(self._jitter, self._take_retry))

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
            self.record(step)
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
            if outcome.steps in self.crashes_at:
                step = self.crash()
                continue
            self._told(input)
            now = self.clock()
            try:
                step = self._receive(input, now)
            except Exception as problem:
                raise Violation(f"receive({type(input).__name__}) raised {problem!r}") from problem

    def _receive(self, input: Input, now: float) -> Step:
        """Every other world lets the flow take what it takes, as the gateway does."""
        flow = self.engine.flow() if self.asks_flow and type(input) is Received else None
        if flow is None or type(input) is not Received:
            return self.engine.receive(input, now)
        taken = flow.takes(input.data, now)
        self.outcome.flow["taken" if taken else "left"] += 1
        if not taken:
            return self.engine.receive(input, now)
        return Step([event for event in Anthropic().receive(input.data) if type(event) is BlockGrew], Read(flow.due))

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
            if self.reply is not None:
                self.reply.faithful = False
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
                self.frame_sure = False  # and the frame that was cut may be whole: rubbish is a line without a name
            self.heard_at = now
            glued = feed.hints.get("ends_a_frame") and feed.sent_bytes > feed.cut_at and feed.cut_at + 1 in feed.ends
            self._note(min(feed.sent_bytes, feed.cut_at + bool(glued)))
            source.pings += input.data is feed.ping and feed.cut_at in (0, *feed.ends)
        elif type(input) is Opened:
            pass
        elif type(input) is not Elapsed and feed.sse and not source.over:
            lacking = 2 if feed.sent_bytes <= feed.cut_at else int(bool(feed.hints.get("passed_over")))
            self._note(min(feed.sent_bytes, feed.cut_at) + lacking)  # a last frame that lacks its blank line only
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
        self.recorded.append([])
        self.source, self.showed, self.attempt_shown_bytes = Source(self.source.pings), False, 0
        self.frame_sure = True
        self.heard_at = self.progressed_at = now
        self.reply = None
        self.feed = self._answer(wait)
        form = self.form or "whole"
        self.outcome.faults.append(self.feed.fault)
        self.outcome.forms.append(form)
        if self.story is not None:
            events = len(self.feed.ends)
            self.tell(f"-- attempt {self.opens}: {form}, fault: {self.feed.fault}, {events} events")

    def _answer(self, wait: Open) -> Feed:
        rng, body = self.rng, wait.body
        asked = read_request(body, len(self.call.body["messages"])) if body is not None else None
        self.form = asked.form if asked is not None else None
        if asked is None:
            if self.consumer.blocks:
                raise Violation("the whole request again, though content was shown")
            if self.opens > 1 and rng.random() < 0.3:
                self.model.answer = self._new_answer()
            self.truth = Truth(self.model.answer)
        else:
            assert body is not None
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
