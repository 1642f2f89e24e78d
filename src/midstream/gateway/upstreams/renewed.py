"""A secret that expires, got off the event loop: one fetch at a time, whoever waits for it.

Rule: nobody waits while what is held may still be used and was asked for lately; and no fetch is waited for forever.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from midstream.gateway.upstreams.port import NoCredentials

FETCH_S = 15.0
"""How long a fetch is waited for. An instance's role answers within a second, a sign-on service in a few; and it is
under the 20 s in which a client is told of an error with its status."""

RETRY_S = 30.0
"""How long after a failed fetch the next one is made, while what is held may still be used."""

T = TypeVar("T")


class Held(NamedTuple, Generic[T]):
    """What a fetch brought. Times are those of the clock that the `Renewed` was given."""

    secret: T
    renew_at: float
    """From then on a new one is looked for. Never, where that is infinite."""
    expires_at: float


class Renewed(Generic[T]):
    """One secret, renewed as needed.

    ``fetch`` blocks, and is called in a thread. It raises `NoCredentials`; anything else that it raises counts as
    that, by the name of its class alone: an exception of a library may quote what it was given.
    """

    def __init__(self, fetch: Callable[[], Held[T]], what: str, *, clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._what = what
        self._clock = clock
        self._held: Held[T] | None = None
        self._retry_at = 0.0
        self._running: asyncio.Task[Held[T] | NoCredentials] | None = None

    async def get(self) -> T:
        """The secret. Raises `NoCredentials`."""
        now = self._clock()
        held = self._held
        usable = held is not None and now < held.expires_at
        if held is not None and usable and (now < held.renew_at or now < self._retry_at):
            return held.secret
        got = await self._shared_fetch()
        if isinstance(got, NoCredentials):
            self._retry_at = self._clock() + RETRY_S
            if held is not None and usable:
                return held.secret
            raise NoCredentials(str(got))
        self._held = got
        if got.renew_at <= self._clock():  # nothing newer was to be had
            self._retry_at = self._clock() + RETRY_S
        return got.secret

    async def _shared_fetch(self) -> Held[T] | NoCredentials:
        """The fetch that runs, or a new one. Who waits for it and is cancelled does not cancel it."""
        loop = asyncio.get_running_loop()
        running = self._running
        if running is None or running.done() or running.get_loop() is not loop:
            running = self._running = loop.create_task(self._fetched())
        done, _ = await asyncio.wait((running,), timeout=FETCH_S)
        return running.result() if done else NoCredentials(f"{self._what} did not answer within {FETCH_S:.0f} s.")

    async def _fetched(self) -> Held[T] | NoCredentials:
        try:
            return await asyncio.to_thread(self._fetch)
        except NoCredentials as problem:
            return problem
        except Exception as problem:
            return NoCredentials(f"{self._what} failed: {type(problem).__name__}.")
