"""The two loops: ask the engine, do it, tell the engine.

Rule: an ``if`` about the protocol belongs in the engine. The async class is the text of the sync one, with ``await``.
"""

from collections.abc import Callable
from typing import Literal

from midstream.drivers.clock import Clock
from midstream.drivers.transport import AsyncTransport, Transport
from midstream.recovery.engine import Engine
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.steps import Done, Opened, Read, Step, Wait

Notice = Callable[[Engine, Wait], None]
"""Told of every wait that is not a mere `Read`: that is when something turned."""

Ending = Literal["complete", "failed", "closed"]

CLOSED = Failure(Kind.DISCONNECTED, Phase.SHOWING, Origin.CLIENT, "the stream was closed while it was being read")


class _Loop:
    """What both loops share: the last step, and how it ended."""

    def __init__(self, engine: Engine, clock: Clock, notice: Notice) -> None:
        self.engine = engine
        self.clock = clock
        self.ending: Ending | None = None
        """How the stream ended, once it did."""
        self.failure: Failure | None = None
        self._notice = notice
        self._wait: Wait | None = None
        self._finished = False

    def _took(self, step: Step) -> bytes:
        """Notes a step; the bytes to hand on."""
        self._wait = step.wait
        if type(step.wait) is not Read:
            self._notice(self.engine, step.wait)
        events = step.events
        if len(events) == 1:
            return events[0].raw
        return b"".join([event.raw for event in events])

    def _ended(self, done: Done) -> None:
        self.failure = done.failure
        self.ending = "complete" if done.failure is None else "failed"


class Pump(_Loop):
    """Drives one stream over a `Transport`; iterating gives the consumer's bytes.

    When iteration stops, `ending` says why: ``failed`` leaves `failure` for the face to raise.
    """

    def __init__(self, engine: Engine, transport: Transport, clock: Clock, notice: Notice) -> None:
        super().__init__(engine, clock, notice)
        self._transport = transport

    def open(self) -> bool:
        """Runs until a response stands: true, or until there is none to be had: false, and `failure` says why."""
        self._took(self.engine.start(self.clock()))
        while self._wait is not None and type(self._wait) is not Done:
            heard = self._transport.perform(self._wait)
            self._took(self.engine.receive(heard, self.clock()))
            if type(heard) is Opened and 200 <= heard.status < 300:
                self.clock.leave()
                return True
        self._over()
        return False

    def __iter__(self) -> "Pump":
        return self

    def __next__(self) -> bytes:
        clock = self.clock
        clock.back()
        while True:
            wait, ending = self._wait, self.ending
            if wait is None or type(wait) is Done or ending is not None:
                self._over()
                raise StopIteration
            heard = self._transport.perform(wait)
            if self.ending is not None:  # closed from elsewhere: what was heard is the sound of that
                continue
            now = clock()
            step = self.engine.receive(heard, now)
            if type(step.wait) is Read and len(step.events) == 1:  # the usual step, without a call
                self._wait, data = step.wait, step.events[0].raw
            else:
                data = self._took(step)
            if data:
                clock.leave(now)
                return data

    def _over(self) -> None:
        self.clock.leave()
        if self.ending is None and type(self._wait) is Done:
            self._ended(self._wait)
        if self._finished:
            return
        self._finished = True
        if self.ending == "complete":
            self._transport.finish()
        else:
            self._transport.close()

    def close(self) -> None:
        """The consumer leaves. May be called at any time, by any thread, and again."""
        self.clock.leave()
        if self.ending is None:
            if type(self._wait) is Done:
                self._over()
            else:
                self.ending, self.failure = "closed", CLOSED
        self._transport.close()


class AsyncPump(_Loop):
    """The same for the loop that awaits."""

    def __init__(self, engine: Engine, transport: AsyncTransport, clock: Clock, notice: Notice) -> None:
        super().__init__(engine, clock, notice)
        self._transport = transport

    async def open(self) -> bool:
        """Runs until a response stands: true, or until there is none to be had: false, and `failure` says why."""
        self._took(self.engine.start(self.clock()))
        while self._wait is not None and type(self._wait) is not Done:
            heard = await self._transport.perform(self._wait)
            self._took(self.engine.receive(heard, self.clock()))
            if type(heard) is Opened and 200 <= heard.status < 300:
                self.clock.leave()
                return True
        await self._over()
        return False

    def __aiter__(self) -> "AsyncPump":
        return self

    async def __anext__(self) -> bytes:
        clock = self.clock
        clock.back()
        while True:
            wait, ending = self._wait, self.ending
            if wait is None or type(wait) is Done or ending is not None:
                await self._over()
                raise StopAsyncIteration
            heard = await self._transport.perform(wait)
            if self.ending is not None:  # closed from elsewhere: what was heard is the sound of that
                continue
            now = clock()
            step = self.engine.receive(heard, now)
            if type(step.wait) is Read and len(step.events) == 1:  # the usual step, without a call
                self._wait, data = step.wait, step.events[0].raw
            else:
                data = self._took(step)
            if data:
                clock.leave(now)
                return data

    async def _over(self) -> None:
        self.clock.leave()
        if self.ending is None and type(self._wait) is Done:
            self._ended(self._wait)
        if self._finished:
            return
        self._finished = True
        if self.ending == "complete":
            await self._transport.finish()
        else:
            await self._transport.close()

    async def close(self) -> None:
        """The consumer leaves."""
        self.clock.leave()
        if self.ending is None:
            if type(self._wait) is Done:
                await self._over()
            else:
                self.ending, self.failure = "closed", CLOSED
        await self._transport.close()
