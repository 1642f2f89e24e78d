"""One stream: asks upstreams, hands the engine what they say, and puts what may be shown into the journal.

Rule: callbacks only. Every decision is the engine's; everything that a consumer may see goes through the writer.
"""

import asyncio
from typing import Protocol

from midstream.drivers.clock import Clock
from midstream.gateway import begun
from midstream.gateway.alarms import Alarms, Slot
from midstream.gateway.answered import Answered
from midstream.gateway.asker import Asker
from midstream.gateway.endings import JSON_BODY, Refusal, answer_of, envelope, error_of, exhausted
from midstream.gateway.frames import Framer, Wire
from midstream.gateway.http.decoding import DecodingError
from midstream.gateway.http.heads import Headers
from midstream.gateway.http.outbound import Exchange, OutRequest, Pool
from midstream.gateway.kept import Kept
from midstream.gateway.upstreams.errors import to_bedrock
from midstream.gateway.upstreams.port import BadCall, CannotAsk, Upstream
from midstream.journal.port import Kind as Record
from midstream.journal.port import Writer
from midstream.protocol.dialects import dump
from midstream.recovery.engine import Engine
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.flow import Flow
from midstream.recovery.history import AttemptRecord
from midstream.recovery.past import BrokenPast, Past
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Step, Wait
from midstream.reports import Outcome, Report, described, make_report

_SHOWN = Record.SHOWN  # to find it in the enumeration takes as long as to append

PENDING_BYTES_MAX = 1 << 20
"""So much may wait for the journal: a disk writes it in a tick. Above it the upstream is not read from."""
_LOOK_BYTES = PENDING_BYTES_MAX >> 4  # is shown between two looks at what waits
_RESUME_S = 0.02
"""Two ticks of the journal."""
_RECORDED_S = 0.002
"""Between two looks whether the journal holds an attempt: it takes a tick, and what the disk takes."""
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


class Producer:
    """Drives one engine. The `Listener` of its upstream's responses."""

    __slots__ = tuple(
        "_alarm _alarm_at _alarms _answered _attempts _asker _broke_at _clock _due _engine _exchange _facts _flow"
        " _framer _look_at_bytes _loop _opening _paused _pool _request _shown _started_at _upstream _upstreams _watcher"
        " _wire _writer id over read_bytes shown_bytes".split()
    )

    def __init__(
        self,
        request: Kept,
        asker: Asker,
        engine: Engine,
        writer: Writer,
        watcher: Watcher,
        upstreams: list[Upstream],
        pool: Pool,
        alarms: Alarms,
    ) -> None:
        self.id = writer.id
        self.over = False
        self.read_bytes = self.shown_bytes = self._look_at_bytes = 0
        self._request, self._asker, self._engine = request, asker, engine
        self._writer, self._watcher, self._upstreams = writer, watcher, upstreams
        self._pool, self._alarms = pool, alarms
        self._wire: Wire = request.call.wire
        self._framer = Framer(self._wire, writer.offset)
        self._shown = writer.offset > 0
        self._loop = asyncio.get_running_loop()
        self._clock = Clock(alarms.now)
        self._started_at = self._clock()
        self._exchange: Exchange | None = None
        self._opening: asyncio.Task[None] | None = None
        self._answered = Answered()
        self._upstream, self._attempts, self._facts = -1, 0, 0
        self._due = self._alarm_at = _NEVER
        self._broke_at = 0.0
        self._flow: Flow | None = None
        self._alarm: Slot | None = None
        self._paused = False

    # What the hub calls.

    def start(self) -> None:
        """Asks for the first time."""
        self._took(self._engine.start(self._clock()))

    def adopt(self, past: Past) -> None:
        """Goes on where another process was stopped."""
        self._started_at -= past.elapsed_s
        self._attempts = len(past.attempts)  # judged by the process that made them, or by nobody
        try:
            step = self._engine.adopt(past, self._clock())
        except BrokenPast as problem:
            self._finish(Failure(Kind.LIMIT, Phase.SHOWING, Origin.CLIENT, str(problem)))
            return
        self._took(step)

    def cancel(self) -> None:
        """Nobody wants the reply any more: the upstream is left, and the stream ends so."""
        if not self.over:
            self.abandon()
            report = make_report(self._engine.history, "closed", None, self._clock() - self._started_at)
            self._watcher.ended(report, None)
            self._writer.append(Record.ENDED, dump({"outcome": "cancelled"}))

    def abandon(self) -> None:
        """Stops, and leaves the stream open: another process goes on."""
        self.over = True
        self._flow = None
        self._drop()
        self._disarm()

    @property
    def state(self) -> str:
        """What the stream is waiting for, in a word."""
        if self._paused:
            return "waiting for the journal"
        if self._exchange is None:
            return "opening" if self._opening is not None else "sleeping"
        return "showing" if self._shown else "waiting"

    @property
    def upstream(self) -> str:
        """The name of the one that was asked last; empty if none was."""
        return self._upstreams[self._upstream].name if self._upstream >= 0 else ""

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
        self.read_bytes += len(data)
        if self._flow is not None and self._flow.takes(data, self._clock()):
            self._append(self._framer.next(data), 1)
            return
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
        self._exchange = None
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
        self._exchange = None
        self._tell(Broke(reason, detail))

    def _undecodable(self, problem: Exception) -> None:
        self._drop()
        self._tell(Broke("decoding", str(problem)))

    # The loop of every driver: ask the engine, do it, tell the engine.

    def _tell(self, input: Input) -> None:
        if not self.over:
            self._took(self._engine.receive(input, self._clock()))

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
            self._watcher.spoke(self._loop.time() - self._broke_at)
            self._broke_at = 0.0
        self._append(data, count)

    def _append(self, data: bytes, count: int) -> None:
        self.shown_bytes = shown_bytes = self.shown_bytes + len(data)
        self._writer.append(_SHOWN, data, count)
        if shown_bytes >= self._look_at_bytes:
            self._look_at_bytes = shown_bytes + _LOOK_BYTES
            self._hold_back()

    def _hold_back(self) -> None:
        if self._writer.pending_bytes > PENDING_BYTES_MAX and not self._paused and self._exchange is not None:
            self._paused = True
            self._exchange.pause()
            self._clock.leave()
            self._loop.call_later(_RESUME_S, self._resume)

    def _resume(self) -> None:
        if self.over or self._writer.pending_bytes <= PENDING_BYTES_MAX // 2 or self._exchange is None:
            self._paused = False
            self._clock.back()
            if self._alarm is None and not self.over and self._due != _NEVER:
                self._arm(self._due)
            if self._exchange is not None:
                self._exchange.resume()
        else:
            self._loop.call_later(_RESUME_S, self._resume)

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
                self._broke_at = self._loop.time()
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
        self._alarm = self._alarms.set(self, self._clock.monotonic_at(due))

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel(self)
            self._alarm = None

    def rang(self) -> None:
        """It is time to look whether the upstream has taken too long."""
        self._alarm, self._alarm_at = None, _NEVER
        now = self._clock()
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
        name, elapsed_s = self._upstreams[wait.upstream].name, self._clock() - self._started_at
        self._writer.append(Record.ATTEMPT, begun.write(begun.after(self._engine.history, name, elapsed_s)))
        self._opening = self._loop.create_task(self._ask(wait))

    async def _ask(self, wait: Open) -> None:
        upstream = self._upstreams[wait.upstream]
        if len(self._engine.history.attempts) > 1:
            await self._recorded()
        try:
            call = self._request.call
            request: OutRequest = await upstream.request(call, wait.body, self._asker.credentials_for(upstream, call))
        except CannotAsk as problem:
            self._opening = None
            self._cannot_ask(problem)
            return
        self._opening = None
        self._request.pack()
        if not self.over:
            try:
                self._exchange = self._pool.exchange(request, self, connect_s=wait.connect_s)
            except ValueError as problem:
                self._cannot_ask(BadCall(f"the request cannot be sent on: {problem}"))

    async def _recorded(self) -> None:
        """Waits until the journal holds the attempt, so that a crash loop asks no more often than the limits say.

        Not for the first one: it becomes durable with the stream itself, or nobody knows of either.
        """
        while self._writer.pending_bytes:
            await asyncio.sleep(_RECORDED_S)

    def _cannot_ask(self, problem: CannotAsk) -> None:
        """The answer is one that a service would give."""
        body = envelope(problem.status, str(problem), type=problem.error_type)
        self._answered = Answered(problem.status, [JSON_BODY], body)
        self._tell(Opened(problem.status, {"content-type": "application/json"}))
        self._tell(Received(body))
        self._tell(Ended())

    def _drop(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._exchange is not None:
            self._exchange.cancel()
            self._exchange = None

    # The end.

    def _finish(self, failure: Failure | None) -> None:
        self.over = True
        self._disarm()
        if failure is None and self._exchange is not None:
            self._loop.call_later(_LAST_BYTES_S, self._drop)
        else:
            self._drop()
        outcome: Outcome = "complete" if failure is None else "failed"
        report = make_report(self._engine.history, outcome, failure, self._clock() - self._started_at)
        refusal = self._refusal(failure, report) if failure is not None and not self._shown else None
        self._watcher.ended(report, refusal)
        ending = {"outcome": outcome, "failure": described(failure)}
        if failure is not None and not self._engine.error_was_shown:
            self._writer.append(Record.SHOWN, *self._framer.failed(error_of(failure, report, self.id)))
        self._writer.append(Record.ENDED, dump(ending))

    def _refusal(self, failure: Failure, report: Report) -> Refusal:
        """What to answer instead of a stream: the upstream's own words, where it was the upstream that refused."""
        answered = self._answered
        if not answered.refuses:
            own = answer_of(failure, report, self.id)
            return own if self._wire == "sse" else Refusal(*to_bedrock(own.status, own.headers, own.body))
        answer = Refusal(
            *self._upstreams[self._upstream].refusal(answered.status, answered.headers, answered.body, self._wire)
        )
        return answer if failure.kind is Kind.REJECTED else exhausted(answer)
