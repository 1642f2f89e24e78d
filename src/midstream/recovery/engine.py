"""The state machine that ties recovery together: facts in, one step out.

Rule: whatever a remote sends, `receive` returns. It raises only when it is called wrongly: an input that nothing
waits for.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from midstream.protocol.dialects import Anthropic, Dialect
from midstream.protocol.events import Event, Fields, MessageStopping
from midstream.protocol.message import Block, State
from midstream.recovery import classify
from midstream.recovery.attempt import FLOWING, GOING, Attempt, Outcome, Verdict
from midstream.recovery.choice import Chooser
from midstream.recovery.commit import rules_of
from midstream.recovery.facts import extended
from midstream.recovery.failure import Failure, Kind
from midstream.recovery.history import AttemptRecord, History
from midstream.recovery.past import Past, crash, fold
from midstream.recovery.plan import NEXT_FORM, RESTART, Continue, Form, Plan, Settle, generated_bytes, make_plan
from midstream.recovery.policy import GiveUp, Policy, Spent
from midstream.recovery.request import Request
from midstream.recovery.standing import Standing, dropped_record
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Step, Wait
from midstream.recovery.stitch import Splice, shown_of, stop
from midstream.recovery.surroundings import Surroundings as Surroundings
from midstream.recovery.watch import NEVER, Watch
from midstream.usual import Flow


class Doing(StrEnum):
    """What the engine is waiting for."""

    OPENING = "opening"
    READING = "reading"
    REFUSED = "reading what came instead of a stream"
    SLEEPING = "sleeping"
    OVER = "over"


_READING = Doing.READING  # asked for with every chunk


class Engine:
    """Recovers one stream. Call `start` once, then `receive` with each fact, until the step says `Done`."""

    __slots__ = tuple(
        "_around _attempt _cause _delay_s _doing _extensions _flow _hold_live_after_s _known _next _one_wire _pings"
        " _policy _recovers _request _started_at _upstream _wire _wire_name error_was_shown facts"
        " failure history unshown".split()
    )

    def __init__(
        self,
        request: Request,
        policy: Policy,
        surroundings: Surroundings,
        *,
        recovers: bool = True,
        hold_live_after_s: float = NEVER,
        one_wire: bool = True,
        wire: Dialect | None = None,
    ) -> None:
        """``wire`` is how the consumer is spoken to; else as the first attempt spoke. With ``one_wire`` no attempt may
        speak otherwise; without it, who hands the events on puts each into the consumer's framing."""
        self.history = History()
        self.failure: Failure | None = None
        """What ended the stream, if it failed."""
        self.unshown: Sequence[Fields] = ()
        """What the attempt that broke last had received and not shown, block by block."""
        self.facts: list[Fields] = []
        """What was received and limits recovery, whether it was shown or not: for a journal, as they come."""
        self.error_was_shown = False
        """The stream that was adopted had failed already, and its consumer was told."""
        self._request, self._policy, self._around = request, policy, surroundings
        self._recovers, self._one_wire, self._hold_live_after_s = recovers, one_wire, hold_live_after_s
        self._doing = Doing.SLEEPING
        self._next: Plan = RESTART
        self._delay_s = self._started_at = 0.0
        self._attempt: Attempt | None = None
        self._flow: Flow | None = None
        self._upstream: int | None = None
        self._known: Standing | None = None
        self._wire: Dialect = wire or Anthropic()  # how frames of our own are written
        self._wire_name = wire.name if wire is not None else None
        self._cause: Failure | None = None  # what made the present Continue necessary
        self._extensions = self._pings = 0

    # What a driver calls.

    def start(self, now: float) -> Step:
        """The first thing to do."""
        self._started_at = now
        self._upstream = Chooser(self._request, self._policy, self._around).first()
        return Step([], self._open(now))

    def adopt(self, past: Past, now: float) -> Step:
        """Instead of `start`: goes on with a stream whose process has ended, as after a connection that was cut.

        Raises `BrokenPast` where what was recorded is no beginning of a message.
        """
        if not past.attempts:
            return self.start(now)
        folded, history = fold(past), self.history
        self._started_at = now - past.elapsed_s
        history.slept_s, history.shown_live = past.slept_s, folded.shown_live
        self._known, self._extensions, self._pings = folded.standing, folded.extensions, folded.pings
        self._upstream, history.attempts = past.attempts[-1].upstream, folded.records
        self._standing.followed = self._policy.tools == "hold"  # then no call was shown before it was complete
        shown = self._standing.shown
        if self._wire_name is None and shown.state is not State.EMPTY:
            self._wire, self._wire_name = folded.dialect, folded.dialect.name
        failure = history.attempts[-1].failure = crash(shown)
        if folded.error is not None or shown.state is State.COMPLETE:
            self.error_was_shown = folded.error is not None
            return self._finish([], folded.error)
        if shown.stop_reason is not None:
            history.stop_added = True
            return self._end_with([stop(self._wire.encode)], [])
        if not self._recovers:
            return self._give_up(failure, [], _SWITCHED_OFF)
        if shown.state is not State.EMPTY and (not shown.blocks or shown.state is State.STOPPING):
            return self._give_up(failure, [], "what was shown is no place to go on from")
        return self._go_on(failure, [], [], now, None, ours=True)

    def flow(self) -> Flow | None:
        """What may take the next chunks instead of `receive`, until that is called."""
        if self._doing is _READING and self._flow is None:
            self._flow = self._current.flow()
        return self._flow

    def receive(self, input: Input, now: float) -> Step:
        """Takes one fact; says what to hand on, and the one thing to wait for next."""
        if self._flow is not None:
            self._current.flowed(self._flow)
            self._flow = None
        if self._doing is not _READING or type(input) is not Received:
            return self._turn(input, now)
        attempt = self._attempt
        assert attempt is not None
        watch = attempt.watch
        out: list[Event] = []
        if now >= watch.quiet_until and (expired := watch.expired(now)) is not None:
            return self._fail(attempt.expired(expired), out, now)
        outcome = attempt.feed(input.data, now, out)
        if outcome is FLOWING:
            return Step(out, Read(watch.flowed(now)))
        if outcome is GOING:
            return Step(out, Read(watch.heard(now), attempt.wake_at(now, out)))
        return self._concluded(outcome, out, now)

    def _turn(self, input: Input, now: float) -> Step:
        """Every fact but a chunk of the body."""
        doing = self._doing
        match doing, input:
            case Doing.READING, Ended():
                return self._ended(now)
            case Doing.OPENING, Opened():
                return Step([], self._opened(input, now))
            case Doing.REFUSED, Received() | Ended():
                return self._refused(input, now)
            case Doing.SLEEPING, Elapsed():
                self.history.slept_s += self._delay_s
                return Step([], self._open(now))
            case Doing.OPENING | Doing.READING | Doing.REFUSED, Broke() | Elapsed():
                return self._lost(input, now)
            case Doing.OVER, _:
                return Step([], Done(self.failure))
        raise AssertionError(f"{type(input).__name__} while {doing}")

    def snapshot(self) -> Fields:
        """What the consumer was shown, as a plain message; empty before the first content."""
        shown, attempt = self._standing.shown, self._attempt
        if attempt is not None and attempt.splice is None:
            shown = attempt.message if attempt.settled else shown_of(attempt.message, attempt.commit)[0]
        return shown.snapshot() if shown.state is not State.EMPTY else {}

    # Opening.

    def _open(self, now: float) -> Wait:
        policy, plan, known, upstream = self._policy, self._next, self._known, self._upstream or 0
        if known is not None:
            known.attempts += 1
        number = len(self.history.attempts) + 1
        name = "first" if number == 1 else f"continue ({plan.form})" if isinstance(plan, Continue) else "restart"
        record = AttemptRecord(number, name, self._delay_s, (now - self._started_at) or 0.0, upstream=upstream)
        self.history.attempts.append(record)
        total_at = NEVER if policy.elapsed_s is None else self._started_at + policy.elapsed_s
        watch = Watch(policy, self._request.size_bytes, now, total_at, self._pings)
        self._attempt = attempt = Attempt(plan, record, watch, rules_of(policy, self._request), policy, self.facts)
        attempt.wire = self._wire_name if self._one_wire else None
        attempt.shown_before = known is not None and known.has_shown
        attempt.extendable = self._recovers and self._extensions < policy.continue_max_tokens
        attempt.hold_live_after_s = self._hold_live_after_s
        if isinstance(plan, Continue):
            standing, encode, hold_chars = self._standing, self._wire.encode, policy.seam_hold_chars
            attempt.splice = Splice(number, standing.shown, plan, encode, standing.usages, hold_chars)
        self._doing = Doing.OPENING
        return Open(plan.body if isinstance(plan, Continue) else None, watch.deadline, policy.connect_s, upstream)

    def _opened(self, opened: Opened, now: float) -> Wait:
        attempt = self._current
        attempt.headers = opened.headers
        attempt.record.status = opened.status
        attempt.record.request_id = classify.request_id_of(opened.headers)
        attempt.watch.opened(opened.read_timeout_s, now)
        self._doing = Doing.READING if 200 <= opened.status < 300 else Doing.REFUSED
        return Read(attempt.watch.deadline)

    @property
    def _standing(self) -> Standing:
        """What the attempts before this one came to. Made when it is asked for: most streams have but one."""
        if self._known is None:
            self._known = Standing(attempts=len(self.history.attempts))
        return self._known

    @property
    def _current(self) -> Attempt:
        assert self._attempt is not None
        return self._attempt

    def _refused(self, input: Received | Ended, now: float) -> Step:
        attempt = self._current
        limit = self._policy.error_body_bytes_max
        if isinstance(input, Received):
            attempt.keep_body(input.data, limit)
            expired = attempt.watch.expired(now)
            if len(attempt.body) < limit and expired is None:
                return Step([], Read(attempt.watch.deadline))
        return self._fail(self._refusal(), [], now)

    def _refusal(self) -> Failure:
        unix_s = self._around.unix_s
        return self._current.refused(unix_s() if unix_s is not None else None)

    # Reading.

    def _concluded(self, outcome: Outcome, out: list[Event], now: float, lost: Failure | None = None) -> Step:
        """The attempt is over, or takes a turn. ``lost`` is what ended it, if no more bytes can come."""
        if outcome is GOING:
            if lost is None:
                return Step(out, Read(self._current.watch.heard(now)))
            outcome = lost
        if isinstance(outcome, Failure):
            return self._fail(outcome, out, now)
        if outcome is Verdict.COMPLETE:
            self._current.close_record(now - self._started_at, None)
            self._note_attempt()
            return self._finish(out)
        if outcome is Verdict.EXTEND:
            return self._extend(out, now, lost)
        self._doing = Doing.REFUSED
        return Step(out, Read(self._current.watch.deadline))

    def _ended(self, now: float) -> Step:
        attempt, out = self._current, list[Event]()
        outcome = attempt.end(now, out)
        return self._concluded(outcome, out, now, attempt.truncated())

    def _lost(self, input: Broke | Elapsed, now: float) -> Step:
        attempt, out = self._current, list[Event]()
        if isinstance(input, Elapsed):
            expired = attempt.watch.expired(now)
            if expired is None and self._doing is Doing.OPENING:
                expired = "first"  # the caller's own limit for the headers is shorter
            if expired is None:  # woken for the sake of a hold
                return Step(out, Read(attempt.watch.deadline, attempt.wake_at(now, out)))
            return self._fail(self._refusal() if self._doing is Doing.REFUSED else attempt.expired(expired), out, now)
        if self._doing is Doing.REFUSED:
            return self._fail(self._refusal(), out, now)
        outcome = attempt.end(now, out)
        failure = classify.from_broke(input.reason, input.detail, attempt.phase)
        return self._concluded(outcome, out, now, replace(failure, request_id=attempt.record.request_id))

    # The end of an attempt.

    def _finish(self, out: list[Event], failure: Failure | None = None) -> Step:
        self._doing, self.failure = Doing.OVER, failure
        self.history.complete = failure is None
        return Step(out, Done(failure))

    def _note_attempt(self) -> None:
        attempt = self._current
        self._pings = attempt.watch.pings
        if self._wire_name is None and attempt.dialect is not None:
            self._wire, self._wire_name = attempt.dialect, attempt.dialect.name
        self.history.shown_live = self.history.shown_live or attempt.went_live
        if attempt.splice is not None and (seam := attempt.splice.seam_record()) is not None:
            self.history.seams += (seam,)

    def _fail(self, failure: Failure, out: list[Event], now: float) -> Step:
        attempt = self._current
        attempt.close_record(now - self._started_at, failure)
        self._note_attempt()
        if attempt.settled:
            self.history.stop_added = True
            return self._finish([*out, stop(self._wire.encode)])
        dropped = self._absorb(attempt)
        if not self._recovers:
            return self._give_up(failure, out, _SWITCHED_OFF)
        return self._recover(attempt, failure, dropped, out, now)

    def _absorb(self, attempt: Attempt) -> list[Block]:
        """Adds what the attempt showed to what the consumer has; returns the blocks that it did not show."""
        dropped = self._standing.absorb(attempt)
        self.history.dropped += tuple(dropped_record(attempt.record.number, block) for block in dropped)
        self.unshown = [block.received() for block in dropped]
        self._attempt = None
        return dropped

    def _recover(self, attempt: Attempt, failure: Failure, dropped: list[Block], out: list[Event], now: float) -> Step:
        form: Form | None = None
        if (refused := _refused_form(attempt, failure)) is not None:
            # The service does not take this way of continuing: the next plainer one, if it is only that.
            form = NEXT_FORM.get(refused) if failure.status == 400 else None
            if refused == "prefix" and failure.status == 400:
                self._around.memory.refused_prefix(self._request.model)
            failure = self._cause or failure
            if form is None:
                return self._give_up(failure, out, "the service refused to continue it")
        self._standing.failed_at |= {self._upstream}
        return self._go_on(failure, dropped, out, now, form, ours=False)

    def _go_on(
        self, failure: Failure, dropped: list[Block], out: list[Event], now: float, form: Form | None, *, ours: bool
    ) -> Step:
        standing, spent = self._standing, self._spent(now)
        chooser = Chooser(self._request, self._policy, self._around)
        choice = chooser.after(failure, standing, dropped, self._upstream, spent, form=form, ours=ours)
        if isinstance(choice, Settle):
            return self._end_with(standing.settled(self._wire.encode), out, settled=True)
        if isinstance(choice, GiveUp):
            return self._give_up(failure, out, choice.reason)
        if isinstance(choice.plan, Continue) and form is None:
            self._cause = failure
        self._upstream = choice.upstream
        return self._try_again(choice.plan, choice.delay_s, out, now)

    def _spent(self, now: float) -> Spent:
        history, attempts = self.history, self._standing.attempts
        total, elapsed_s = len(history.attempts), now - self._started_at
        return Spent(attempts=attempts, attempts_total=total, slept_s=history.slept_s, elapsed_s=elapsed_s)

    def _try_again(self, plan: Plan, delay_s: float, out: list[Event], now: float) -> Step:
        self._next, self._delay_s = plan, delay_s
        if isinstance(plan, Continue):
            self._standing.cut = plan.cut
        if delay_s <= 0:
            return Step(out, self._open(now))
        self._doing = Doing.SLEEPING
        return Step(out, Sleep(now + delay_s))

    def _end_with(self, ending: list[Event], out: list[Event], *, settled: bool = False) -> Step:
        """The last events are midstream's own."""
        self.history.settled = settled
        for event in ending:
            problem = self._standing.shown.receive(event)
            assert problem is None, problem
        return self._finish([*out, *ending])

    def _extend(self, out: list[Event], now: float, lost: Failure | None) -> Step:
        """A reply that stopped at ``max_tokens`` is continued, because the policy says so; if there is a way."""
        attempt, standing = self._current, self._standing
        shown, dropped = standing.beside(attempt)
        paid_bytes = generated_bytes(shown)
        cut_before = None if attempt.showed else standing.cut
        situation = standing.situation(self._request, shown, dropped, cut_before, self._upstream)
        plan = make_plan(replace(situation, paid_bytes=paid_bytes), self._policy, self._around.memory)
        if not isinstance(plan, Continue) or len(self.history.attempts) >= self._policy.attempts_total:
            attempt.extendable = False
            return self._concluded(attempt.weigh([*attempt.rest], now, out), out, now, lost)
        self._extensions += 1
        event = attempt.rest[0]
        assert isinstance(event, MessageStopping)
        attempt.message.receive(event)
        attempt.close_record(now - self._started_at, None)
        self._note_attempt()
        self._absorb(attempt)
        standing.stop_held, standing.paid_bytes, self._cause = event.fields, paid_bytes, None
        self.facts.append(extended(attempt.record.number, event.fields, paid_bytes))
        return self._try_again(plan, 0.0, out, now)

    def _give_up(self, failure: Failure, out: list[Event], reason: str) -> Step:
        self.history.gave_up = reason
        if (held := self._standing.stop_held) is not None:
            # The reply had ended by itself, at max_tokens; only its continuation failed, without a word.
            return self._end_with(self._standing.stopped(held, self._wire.encode), out)
        return self._finish(out, failure)


_SWITCHED_OFF = "recovery is switched off"


def _refused_form(attempt: Attempt, failure: Failure) -> Form | None:
    """The form of a *Continue* that the service refused, before anything of it was shown."""
    if failure.kind is not Kind.REJECTED or not isinstance(attempt.plan, Continue) or attempt.showed:
        return None
    return attempt.plan.form
