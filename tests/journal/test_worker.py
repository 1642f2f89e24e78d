"""A thread for blocking work."""

import asyncio
import sqlite3
import threading

import pytest

from midstream.journal.worker import Worker


def make() -> Worker:
    return Worker("test", sqlite3.connect(":memory:", check_same_thread=False))


def test_jobs_run_in_order_in_a_thread_of_their_own_and_are_answered_in_the_loop() -> None:
    async def main() -> None:
        worker, said = make(), []
        for n in range(5):
            worker.post(lambda connection, n=n: (n, threading.current_thread().name), lambda *said_: said.append(said_))
        assert await worker.call(lambda connection: connection.execute("SELECT 1").fetchall()) == [(1,)]
        assert said == [((n, "test"), None) for n in range(5)]
        await worker.aclose()

    asyncio.run(main())
    assert "test" not in {thread.name for thread in threading.enumerate()}


def test_what_a_job_raises_is_raised_where_it_was_called_and_the_next_one_runs() -> None:
    def broken(connection: sqlite3.Connection) -> None:
        raise LookupError("why")

    async def main() -> None:
        worker, said = make(), []
        with pytest.raises(LookupError, match="why"):
            await worker.call(broken)
        worker.post(broken, lambda result, problem: said.append((result, type(problem))))
        assert await worker.call(lambda connection: 7) == 7
        assert said == [(None, LookupError)]
        await worker.aclose()

    asyncio.run(main())


def test_a_caller_who_was_cancelled_is_not_told() -> None:
    async def main() -> None:
        worker, gate = make(), threading.Event()
        calling = asyncio.create_task(worker.call(lambda connection: gate.wait(10)))
        await asyncio.sleep(0.01)
        calling.cancel()
        gate.set()
        await worker.call(lambda connection: None)
        assert calling.cancelled()
        await worker.aclose()

    asyncio.run(main())


def test_a_loop_that_is_gone_ends_the_thread_and_its_connection() -> None:
    gate = threading.Event()

    async def main() -> Worker:
        worker = make()
        worker.post(lambda connection: gate.wait(10), lambda *said: None)
        return worker

    worker = asyncio.run(main())
    gate.set()
    worker._thread.join(10)
    assert not worker._thread.is_alive()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        worker._connection.execute("SELECT 1")
