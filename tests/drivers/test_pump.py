"""The two loops, over a hand-written upstream: one table, two runners."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from midstream.drivers.clock import Clock
from midstream.drivers.pump import CLOSED, AsyncPump, Pump
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.failure import Failure, Kind
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Wait
from tests.wire import PING, STOP, begin, end, request, say, sse, start, stopping, text, thinking, whole

HELLO = whole(text(0, "Hello, ", "world"))


class Upstream:
    """Answers each wait with the next fact; its clock jumps to the deadline of a sleep."""

    def __init__(self, *facts: Input) -> None:
        self.facts = list(facts)
        self.waits: list[Wait] = []
        self.now = 0.0
        self.finished = self.closed = 0
        self.on_perform: Callable[[], None] = lambda: None

    def clock(self) -> float:
        return self.now

    def perform(self, wait: Wait) -> Input:
        self.waits.append(wait)
        self.on_perform()
        if isinstance(wait, Sleep):
            self.now = wait.deadline
            return Elapsed()
        self.now += 1
        return self.facts.pop(0)

    def finish(self) -> None:
        self.finished += 1

    def close(self) -> None:
        self.closed += 1


class AsyncUpstream(Upstream):
    """The same for the loop that awaits."""

    async def perform(self, wait: Wait) -> Input:  # type: ignore[override]
        return super().perform(wait)

    async def finish(self) -> None:  # type: ignore[override]
        super().finish()

    async def close(self) -> None:  # type: ignore[override]
        super().close()


class Run:
    """What one of the loops made of an upstream."""

    def __init__(self, awaits: bool, *facts: Input, policy: Policy | None = None, works_s: float = 0.0) -> None:
        self.upstream = AsyncUpstream(*facts) if awaits else Upstream(*facts)
        self.notices: list[Wait] = []
        engine = Engine(Request(request()), policy or Policy(), Surroundings(lambda: 1.0))
        kind: Any = AsyncPump if awaits else Pump
        self.pump = kind(engine, self.upstream, Clock(self.upstream.clock), lambda _, wait: self.notices.append(wait))
        self._awaits = awaits
        self._works_s = works_s
        self.chunks: list[bytes] = []
        self.opened: bool | None = None

    def now(self, value: Any) -> Any:
        return asyncio.run(value) if self._awaits else value

    def all(self, *, leave_after: int | None = None) -> "Run":
        self.now(self._all_async(leave_after)) if self._awaits else self._all(leave_after)
        return self

    def _all(self, leave_after: int | None) -> None:
        self.opened = self.pump.open()
        for chunk in self.pump:
            self.chunks.append(chunk)
            self.upstream.now += self._works_s
            if len(self.chunks) == leave_after:
                self.pump.close()

    async def _all_async(self, leave_after: int | None) -> None:
        self.opened = await self.pump.open()
        async for chunk in self.pump:
            self.chunks.append(chunk)
            self.upstream.now += self._works_s
            if len(self.chunks) == leave_after:
                await self.pump.close()

    @property
    def counts(self) -> tuple[int, int]:
        return self.upstream.finished, self.upstream.closed

    @property
    def ending(self) -> str | None:
        ending: str | None = self.pump.ending
        return ending

    @property
    def failure(self) -> Failure | None:
        failure: Failure | None = self.pump.failure
        return failure


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def awaits(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_an_unbroken_stream_is_handed_on_chunk_by_chunk(awaits: bool) -> None:
    body = sse(*HELLO)
    run = Run(awaits, Opened(200, {}), Received(body[:-30]), Received(body[-30:])).all()
    assert run.opened
    assert b"".join(run.chunks) == body
    assert (run.ending, run.failure) == ("complete", None)
    assert run.counts == (1, 0), "the connection may be used again"
    assert isinstance(run.upstream.waits[0], Open)
    assert all(isinstance(wait, Read) for wait in run.upstream.waits[1:])


def test_what_shows_nothing_gives_nothing(awaits: bool) -> None:
    facts = [Received(sse(event)) for event in (PING, start(), *thinking(0, "a"), begin(1))]
    run = Run(
        awaits, Opened(200, {}), *facts, Received(sse(say(1, "a"))), Received(sse(end(1), stopping(), STOP))
    ).all()
    assert len(run.chunks) == 2
    assert run.chunks[0].startswith(sse(PING, start()))


def test_a_stream_that_breaks_is_one_stream(awaits: bool) -> None:
    run = Run(awaits, Opened(200, {}), Broke("reset"), Opened(200, {}), Received(sse(*HELLO))).all()
    assert b"".join(run.chunks) == sse(*HELLO)
    assert [type(wait).__name__ for wait in run.notices] == ["Open", "Sleep", "Open", "Done"]
    assert run.ending == "complete"


def test_a_stream_that_fails_says_why(awaits: bool) -> None:
    policy = Policy(attempts=1)
    run = Run(awaits, Opened(200, {}), Received(sse(*HELLO[:3])), Ended(), policy=policy).all()
    assert run.chunks == [sse(*HELLO[:3])]
    assert run.ending == "failed"
    assert run.failure is not None and run.failure.kind is Kind.TRUNCATED
    assert run.counts == (0, 1)


def test_without_a_response_there_is_nothing_to_iterate(awaits: bool) -> None:
    run = Run(awaits, Broke("certificate")).all()
    assert run.opened is False
    assert run.chunks == []
    assert run.failure is not None and run.failure.certificate
    assert run.counts == (0, 1)


def test_an_error_status_is_no_response(awaits: bool) -> None:
    run = Run(awaits, Opened(529, {}), Ended(), Opened(200, {}), Received(sse(*HELLO))).all()
    assert run.opened
    assert b"".join(run.chunks) == sse(*HELLO)
    refused = Run(awaits, Opened(401, {}), Ended()).all()
    assert refused.opened is False
    assert refused.failure is not None and refused.failure.kind is Kind.REJECTED


def test_who_leaves_closes_the_upstream_at_once(awaits: bool) -> None:
    run = Run(awaits, Opened(200, {}), Received(sse(*HELLO[:3])), Received(sse(HELLO[3]))).all(leave_after=1)
    assert len(run.chunks) == 1
    assert (run.ending, run.failure) == ("closed", CLOSED)
    assert run.counts[0] == 0 and run.counts[1] >= 1
    assert len(run.upstream.waits) == 2
    run.now(run.pump.close())
    assert run.ending == "closed"


def test_who_leaves_with_the_last_chunk_leaves_a_stream_that_is_complete(awaits: bool) -> None:
    run = Run(awaits, Opened(200, {}), Received(sse(*HELLO))).all(leave_after=1)
    assert (run.ending, run.failure) == ("complete", None)
    assert run.upstream.finished == 1


def test_what_is_heard_after_closing_is_the_sound_of_that(awaits: bool) -> None:
    run = Run(awaits, Opened(200, {}), Received(sse(*HELLO[:3])), Broke("closed"))

    def close_from_elsewhere() -> None:
        if len(run.upstream.waits) == 3:
            run.pump.ending, run.pump.failure = "closed", CLOSED

    run.upstream.on_perform = close_from_elsewhere
    run.all()
    assert len(run.chunks) == 1
    assert run.ending == "closed"
    assert len(run.upstream.waits) == 3, "nothing more was asked for"
    assert run.counts == (0, 1)


def test_before_it_is_opened_there_is_nothing_and_closing_is_allowed(awaits: bool) -> None:
    run = Run(awaits)
    run.now(run.pump.close())
    assert run.ending == "closed"
    never = Run(awaits)
    with pytest.raises(StopAsyncIteration if awaits else StopIteration):
        never.now(never.pump.__anext__() if awaits else never.pump.__next__())


def test_the_time_that_the_consumer_takes_is_not_the_upstream_s(awaits: bool) -> None:
    """§9: the clock stands still while the consumer works."""
    facts = [Received(sse(event)) for event in HELLO]
    run = Run(awaits, Opened(200, {}), *facts, works_s=100_000).all()
    assert run.ending == "complete"
    assert b"".join(run.chunks) == sse(*HELLO)
    deadlines = [wait.deadline for wait in run.upstream.waits if isinstance(wait, Read)]
    assert max(deadlines) < 500


def test_a_loop_iterates_itself() -> None:
    sync, awaiting = Run(False), Run(True)
    assert iter(sync.pump) is sync.pump
    assert awaiting.pump.__aiter__() is awaiting.pump


def test_notices_are_of_turns_only(awaits: bool) -> None:
    run = Run(awaits, Opened(200, {}), *[Received(sse(event)) for event in HELLO]).all()
    assert [type(notice) for notice in run.notices] == [Open, Done]
