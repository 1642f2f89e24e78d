"""One stream: asks upstreams, hands the engine what they say, and puts what may be shown into the journal.

Rule: callbacks only. Every decision is the engine's; everything that a consumer may see goes through the writer.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from midstream.drivers.clock import Clock
from midstream.gateway import begun
from midstream.gateway.alarms import Alarms, Slot
from midstream.gateway.answered import Answered
from midstream.gateway.asker import Asker
from midstream.gateway.asking import answered_instead, ask, refusal_of
from midstream.gateway.endings import Refusal, error_of
from midstream.gateway.frames import Framer
from midstream.gateway.http.decoding import DecodingError
from midstream.gateway.http.heads import Headers
from midstream.gateway.http.outbound import Exchange, Pool
from midstream.gateway.kept import Kept
from midstream.gateway.upstreams.port import CannotAsk, Upstream
from midstream.journal.port import Kind as Record
from midstream.journal.port import Writer
from midstream.protocol.dialects import dump
from midstream.recovery.engine import Engine
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.history import AttemptRecord
from midstream.recovery.past import BrokenPast, Past
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Step, Wait
from midstream.reports import Outcome, Report, described, make_report
from midstream.usual import Passage

PENDING_BYTES_MAX = 1 << 20
"""So much may wait for the journal: a disk writes it in a tick. Above it the upstream is not read from."""
_RESUME_S = 0.02
"""Two ticks of the journal."""
_LAST_BYTES_S = 1.0
"""How long a connection may take to end a body whose message is complete, so that it can be used again."""
_NEVER = float("inf")


class Watcher(Protocol):
    """Who has to know what becomes of a stream."""

    def headed(self, headers: Headers) -> None:
        """Those of the response whose content is shown first."""

    def judged(self, record: AttemptRecord) -> None:
        """An attempt is over."""

    def spoke(self, silence_s: float) -> None:
        """Something new is shown, for the first time since an attempt failed."""

    def ended(self, report: Report, refusal: Refusal | None) -> None:
        """The stream is over. ``refusal`` is what to answer where nothing was sent yet. Called before the journal is
        told."""


@dataclass(frozen=True, slots=True)
class Means:
    """What all producers share, held by each of them as one thing."""

    upstreams: list[Upstream]
    pool: Pool
    alarms: Alarms


class Producer(Passage):
    """Drives one engine. The `Listener` of its upstream's responses."""

    __slots__ = tuple(
        "_alarm _alarm_at _answered _asked _asker _attempts _broke_at _clock _due _engine _facts"
        " _means _paused _request _shown _started_at _upstream _watcher over".split()
    )

    _framer: Framer
    _writer: Writer

    def __init__(
        self, request: Kept, asker: Asker, engine: Engine, writer: Writer, watcher: Watcher, means: Means
    ) -> None:
        super().__init__()
        self.over = False
        self._request, self._asker, self._engine = request, asker, engine
        self._writer, self._watcher, self._means = writer, watcher, means
        self._framer = Framer(request.call.wire, writer.offset)
        self._shown = writer.offset > 0
        self._clock: Clock | None = None
        """The engine's, once it has stood still."""
        self._now = means.alarms.now
        self._started_at = self._now()
        self._asked: asyncio.Task[None] | Exchange | None = None
        """What is under way: the task of asking, and then the exchange."""
        self._answered = Answered()
        self._upstream, self._attempts, self._facts = -1, 0, 0
        self._due = self._alarm_at = _NEVER
        self._broke_at = 0.0
        self._alarm: Slot | None = None
        self._paused = False

    # What the hub calls.

    def start(self) -> None:
        """Asks for the first time."""
        self._took(self._engine.start(self._started_at))

    def adopt(self, past: Past) -> None:
        """Goes on where another process was stopped."""
        self._started_at -= past.elapsed_s
        self._attempts = len(past.attempts)  # judged by the process that made them, or by nobody
        try:
            step = self._engine.adopt(past, self._now())
        except BrokenPast as problem:
            self._finish(Failure(Kind.LIMIT, Phase.SHOWING, Origin.CLIENT, str(problem)))
            return
        self._took(step)

    def cancel(self) -> None:
        """Nobody wants the reply any more: the upstream is left, and the stream ends so."""
        if not self.over:
            self.abandon()
            report = make_report(self._engine.history, "closed", None, self._now() - self._started_at)
            self._watcher.ended(report, None)
            self._writer.append(Record.ENDED, dump({"outcome": "cancelled"}))

    def abandon(self) -> None:
        """Stops, and leaves the stream open: another process goes on."""
        self.over = True
        self._flow = None
        self._drop()
        self._disarm()

    @property
    def id(self) -> str:
        """The stream's name in the journal."""
        return self._writer.id

    @property
    def request_bytes(self) -> int:
        """Of the request's body, which is held."""
        return self._request.size_bytes

    @property
    def state(self) -> str:
        """What the stream is waiting for, in a word."""
        if self._paused:
            return "waiting for the journal"
        if not isinstance(self._asked, Exchange):
            return "opening" if self._asked is not None else "sleeping"
        return "showing" if self._shown else "waiting"

    @property
    def upstream(self) -> str:
        """The name of the one that was asked last; empty if none was."""
        return self._means.upstreams[self._upstream].name if self._upstream >= 0 else ""

    @property
    def offset(self) -> int:
        """The number of the last frame."""
        return self._framer.number

    @property
    def attempts(self) -> list[AttemptRecord]:
        """The attempts so far."""
        return self._engine.history.attempts

    # What the upstream's connection calls.

    def opened(self, status: int, headers: Headers) -> None:
        """The response headers."""
        try:
            self._answered = Answered(status, headers)
        except DecodingError as problem:
            self._undecodable(problem)
            return
        self._tell(Opened(status, self._answered.plain_headers()))

    def received(self, data: bytes) -> None:
        """A chunk of the body."""
        if self.takes(data):
            return
        self.read_bytes += len(data)
        if not self._answered.is_plain:
            try:
                data = self._answered.more(data)
            except DecodingError as problem:
                self._undecodable(problem)
                return
        if data:
            self._tell(Received(data))

    def ended(self) -> None:
        """The body ended as its framing says."""
        self._asked = None
        try:
            rest = self._answered.rest()
        except DecodingError as problem:
            self._undecodable(problem)
            return
        if rest:
            self._tell(Received(rest))
        self._tell(Ended())

    def broke(self, reason: str, detail: str) -> None:
        """The connection failed."""
        self._asked = None
        self._tell(Broke(reason, detail))

    def _undecodable(self, problem: Exception) -> None:
        self._drop()
        self._tell(Broke("decoding", str(problem)))

    # The loop of every driver: ask the engine, do it, tell the engine.

    def _tell(self, input: Input) -> None:
        if not self.over:
            self._took(self._engine.receive(input, self._now()))

    def _took(self, step: Step) -> None:
        if step.events:
            self._show(step)
        if len(self._engine.facts) > self._facts:
            self._note_facts()
        wait = step.wait
        if type(wait) is Read:
            usual = self._shown and self._framer.passes_on and self._answered.is_plain
            self._flow = self._engine.flow() if usual else None
            due = wait.deadline if wait.wake_at is None else min(wait.deadline, wait.wake_at)
            self._due = due
            if due < self._alarm_at:
                self._arm(due)
        else:
            self._flow = None
            self._turned(wait)

    def _show(self, step: Step) -> None:
        data, count = self._framer.frames(step.events)
        if not count:
            return
        if not self._shown:
            self._shown = True
            self._watcher.headed(self._answered.headers)
            self._answered = self._answered.without_headers()
        if self._broke_at:
            self._watcher.spoke(self._means.alarms.now() - self._broke_at)
            self._broke_at = 0.0
        self._append(data, count)

    def _hold_back(self) -> None:
        asked = self._asked
        if self._writer.pending_bytes > PENDING_BYTES_MAX and not self._paused and isinstance(asked, Exchange):
            self._paused = True
            asked.pause()
            if self._clock is None:
                self._now = self._clock = Clock(self._now)
            self._clock.leave()
            asyncio.get_running_loop().call_later(_RESUME_S, self._resume)

    def _resume(self) -> None:
        exchange = self._asked if isinstance(self._asked, Exchange) else None
        if self.over or self._writer.pending_bytes <= PENDING_BYTES_MAX // 2 or exchange is None:
            self._paused = False
            assert self._clock is not None, "it was stopped"
            self._clock.back()
            if self._alarm is None and not self.over and self._due != _NEVER:
                self._arm(self._due)
            if exchange is not None:
                exchange.resume()
        else:
            asyncio.get_running_loop().call_later(_RESUME_S, self._resume)

    def _note_facts(self) -> None:
        for fact in self._engine.facts[self._facts :]:
            self._writer.append(Record.FACT, dump(fact))
        self._facts = len(self._engine.facts)

    def _turned(self, wait: Wait) -> None:
        """Something else than the next chunk is wanted."""
        records = self._engine.history.attempts
        done = records[:-1] if type(wait) is Open else records
        for record in done[self._attempts :]:
            self._watcher.judged(record)
            if record.failure is not None and not self._broke_at:
                self._broke_at = self._means.alarms.now()
        self._attempts = len(done)
        if type(wait) is Done:
            self._finish(wait.failure)
            return
        self._drop()
        assert isinstance(wait, Open | Sleep)
        self._due = wait.deadline
        self._arm(wait.deadline)
        if type(wait) is Open:
            self._open(wait)

    # Time.

    def _arm(self, due: float) -> None:
        self._disarm()
        self._alarm_at = due
        self._alarm = self._means.alarms.set(self, due if self._clock is None else self._clock.monotonic_at(due))

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel(self)
            self._alarm = None

    def rang(self) -> None:
        """It is time to look whether the upstream has taken too long."""
        self._alarm, self._alarm_at = None, _NEVER
        now = self._now()
        if self._flow is not None:
            self._due = self._flow.due
        if self.over or self._due == _NEVER:
            return
        if self._paused:  # the clock stands still: `_resume` makes it go on
            return
        if now < self._due:
            self._arm(self._due)
        else:
            self._tell(Elapsed())

    # One attempt.

    def _open(self, wait: Open) -> None:
        self._upstream = wait.upstream
        self._answered = Answered()
        name, elapsed_s = self._means.upstreams[wait.upstream].name, self._now() - self._started_at
        self._writer.append(Record.ATTEMPT, begun.write(begun.after(self._engine.history, name, elapsed_s)))
        self._asked = asyncio.get_running_loop().create_task(self._ask(wait))

    async def _ask(self, wait: Open) -> None:
        upstream, again = self._means.upstreams[wait.upstream], len(self._engine.history.attempts) > 1
        first = self._writer if again else None
        try:
            self._asked = await ask(self._request, self._asker, upstream, wait, self._means.pool, self, first)
        except CannotAsk as problem:
            self._asked = None
            self._cannot_ask(problem)

    def _cannot_ask(self, problem: CannotAsk) -> None:
        self._answered = answered = answered_instead(problem)
        self._tell(Opened(answered.status, answered.plain_headers()))
        self._tell(Received(answered.body))
        self._tell(Ended())

    def _drop(self) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.cancel()

    # The end.

    def _finish(self, failure: Failure | None) -> None:
        self.over = True
        self._disarm()
        if failure is None and self._asked is not None:
            asyncio.get_running_loop().call_later(_LAST_BYTES_S, self._drop)
        else:
            self._drop()
        outcome: Outcome = "complete" if failure is None else "failed"
        report = make_report(self._engine.history, outcome, failure, self._now() - self._started_at)
        refusal = None
        if failure is not None and not self._shown:
            upstream = self._means.upstreams[self._upstream]
            refusal = refusal_of(failure, report, self.id, self._framer.wire, self._answered, upstream)
        self._watcher.ended(report, refusal)
        ending = {"outcome": outcome, "failure": described(failure)}
        if failure is not None and not self._engine.error_was_shown:
            self._writer.append(Record.SHOWN, *self._framer.failed(error_of(failure, report, self.id)))
        self._writer.append(Record.ENDED, dump(ending))
