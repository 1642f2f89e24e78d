"""A thread with a connection of its own, for the work that blocks.

Rule: jobs run one after another in the order in which they were given; what comes of each is told in the event loop.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], Any]
Done = Callable[[Any, Exception | None], None]


class Worker:
    """Made, used and closed in the event loop's thread."""

    def __init__(self, name: str, connection: sqlite3.Connection) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._jobs: SimpleQueue[tuple[Job, Done] | None] = SimpleQueue()
        # A daemon: a process that ends without closing its journal must not wait for it.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def post(self, job: Job, done: Done) -> None:
        """Runs a job; ``done`` is called in the event loop with its result, or with what it raised."""
        self._jobs.put((job, done))

    async def call(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a job, and gives what it gives or raises what it raises."""
        future: asyncio.Future[T] = self._loop.create_future()
        self.post(job, partial(_settle, future))
        return await future

    async def aclose(self) -> None:
        """Ends the thread after the jobs that it has, and closes the connection."""
        future: asyncio.Future[None] = self._loop.create_future()
        self.post(sqlite3.Connection.close, partial(_settle, future))
        self._jobs.put(None)
        await future
        self._thread.join()

    def _run(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, done = given
            result, problem = None, None
            try:
                result = job(self._connection)
            except Exception as raised:
                problem = raised
            try:
                self._loop.call_soon_threadsafe(done, result, problem)
            except RuntimeError:  # the loop is closed: nobody is left to be told
                self._connection.close()
                return
            # What a job held must not live until the next one comes.
            del given, job, done, result, problem


def _settle(future: "asyncio.Future[T]", result: T, problem: Exception | None) -> None:
    if future.cancelled():
        return
    if problem is not None:
        future.set_exception(problem)
    else:
        future.set_result(result)
