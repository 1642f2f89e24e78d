"""What ends a read that takes too long."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import httpx2
import pytest
import trio

from midstream.sdk import watchdog
from midstream.sdk.watchdog import NEVER, AsyncAlarm, Watched
from tests.sdk.waiting import until

pytestmark = pytest.mark.sockets


class Stream:
    """What httpcore2 shows of a connection."""

    def __init__(self, found: object) -> None:
        self._found = found

    def get_extra_info(self, name: str) -> object:
        return self._found if name == "socket" else None


def response(found: object, **extensions: Any) -> httpx2.Response:
    return httpx2.Response(200, extensions={"network_stream": Stream(found), **extensions})


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def running() -> bool:
    return "midstream-watchdog" in {thread.name for thread in threading.enumerate()}


def test_it_bites_when_the_deadline_passes_and_then_goes(pair: tuple[socket.socket, socket.socket]) -> None:
    watched = Watched()
    watched.watch(response(pair[0]))
    assert watched.can_bite and running()
    watched.set_deadline(time.monotonic() + 0.02)
    assert pair[0].recv(1) == b""  # shut down under the reader
    assert watched.bit
    until(lambda: not running())
    watched.release()
    assert not watched.can_bite


def test_it_does_not_bite_while_nobody_reads(pair: tuple[socket.socket, socket.socket]) -> None:
    watched, other = Watched(), Watched()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watched.watch(response(pair[0]))
        other.watch(response(ours))
        watched.set_deadline(time.monotonic() + 0.02)
        watched.deadline = NEVER
        other.set_deadline(time.monotonic() + 0.05)
        assert ours.recv(1) == b""
        pair[1].send(b"x")
        assert pair[0].recv(1) == b"x" and not watched.bit
        watched.release()
        other.release()
    until(lambda: not running())


def test_what_was_released_is_left_alone(pair: tuple[socket.socket, socket.socket]) -> None:
    watched = Watched()
    watched.watch(response(pair[0]))
    watched.set_deadline(time.monotonic() + 0.02)
    watched.release()
    until(lambda: not running())
    watched.bite()
    pair[1].send(b"x")
    assert pair[0].recv(1) == b"x"


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200),
        response(None),
        response("no socket"),
        httpx2.Response(200, extensions={"network_stream": object()}),
    ],
    ids=["no stream", "no socket", "something else", "no extra info"],
)
def test_without_a_socket_there_is_nothing_to_bite(answer: httpx2.Response) -> None:
    watched = Watched()
    watched.watch(answer)
    watched.set_deadline(time.monotonic())
    assert not watched.can_bite and not running()
    watched.cut()
    watched.release()


def test_a_socket_that_other_streams_share_is_not_touched(pair: tuple[socket.socket, socket.socket]) -> None:
    watched = Watched()
    watched.watch(response(pair[0], http_version=b"HTTP/2"))
    assert not watched.can_bite


def test_cutting_a_socket_that_is_closed_is_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    watched = Watched()
    watched.watch(response(pair[0]))
    pair[0].close()
    watched.cut()
    assert not watched.bit
    watched.release()


def test_a_sleep_ends_when_it_is_woken_and_every_later_one_too() -> None:
    watched = Watched()
    threading.Timer(0.01, watched.wake).start()
    watched.sleep(600)
    watched.sleep(600)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_a_watchdog_of_its_own() -> None:
    """The lock may be held by the thread at the moment of the fork; in the child nobody would ever let go of it."""
    held, forked = threading.Event(), threading.Event()

    def hold() -> None:
        with watchdog._watchdog._condition:
            held.set()
            forked.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if watchdog._watchdog._condition.acquire(blocking=False) else 1)
    forked.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0


# --- async ----------------------------------------------------------------------------------------------------------


async def forever() -> None:
    await anyio.sleep(600)


async def value() -> str:
    await anyio.sleep(0)
    return "it"


@pytest.mark.anyio
async def test_an_alarm_gives_what_was_awaited_or_nothing() -> None:
    alarm = AsyncAlarm()
    assert await alarm.bounded(value(), time.monotonic() + 600) == "it"
    assert await alarm.bounded(forever(), time.monotonic() + 0.01) is None
    assert await alarm.bounded(forever(), time.monotonic() - 1) is None
    assert await alarm.bounded(value(), NEVER) == "it"
    assert await alarm.bounded(forever(), time.monotonic() + 0.01) is None
    alarm.release()


@pytest.mark.anyio
async def test_what_is_awaited_may_raise() -> None:
    async def fails() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError):
        await AsyncAlarm().bounded(fails(), time.monotonic() + 600)


def test_the_timer_is_not_set_for_each_read() -> None:
    async def main() -> None:
        alarm = AsyncAlarm()
        for _ in range(100):
            await alarm.bounded(value(), time.monotonic() + 0.05)
            first = alarm._timer
        assert alarm._timer is first
        # It goes off early, looks again, and still ends the read that is too long by then.
        assert await alarm.bounded(forever(), time.monotonic() + 0.08) is None
        alarm.release()
        assert alarm._timer is None

    asyncio.run(main())


def test_an_alarm_that_goes_off_while_nobody_reads_is_none() -> None:
    async def main() -> None:
        alarm = AsyncAlarm()
        await alarm.bounded(value(), time.monotonic() + 0.01)
        await asyncio.sleep(0.03)
        assert await alarm.bounded(value(), time.monotonic() + 600) == "it"
        alarm.release()

    asyncio.run(main())


@pytest.mark.anyio
async def test_the_callers_own_cancellation_is_theirs() -> None:
    with anyio.move_on_after(0.01) as scope:
        await AsyncAlarm().bounded(forever(), time.monotonic() + 600)
    assert scope.cancelled_caught


def test_a_cancellation_wins_over_an_alarm_at_the_same_time() -> None:
    async def main() -> None:
        alarm = AsyncAlarm()
        task = asyncio.create_task(alarm.bounded(forever(), time.monotonic() + 600))
        await asyncio.sleep(0)
        alarm.wake()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        task = asyncio.create_task(alarm.bounded(forever(), time.monotonic() + 600))
        await asyncio.sleep(0)
        task.cancel()
        alarm.wake()
        with pytest.raises(asyncio.CancelledError):
            await task
        alarm.release()

    asyncio.run(main())


def test_a_task_that_was_cancelled_before_can_still_read() -> None:
    """In a ``finally`` after a cancellation, say."""

    async def cleaning() -> object:
        alarm = AsyncAlarm()
        try:
            await asyncio.sleep(600)
        finally:
            return await alarm.bounded(forever(), time.monotonic() + 0.01)  # noqa: B012

    async def main() -> None:
        task = asyncio.create_task(cleaning())
        await asyncio.sleep(0)
        task.cancel()
        assert await task is None

    asyncio.run(main())


def test_asyncio_timeout_around_it_works() -> None:
    async def main() -> None:
        alarm = AsyncAlarm()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await alarm.bounded(forever(), time.monotonic() + 600)
        async with asyncio.timeout(600):
            assert await alarm.bounded(forever(), time.monotonic() + 0.01) is None
        alarm.release()

    asyncio.run(main())


@pytest.mark.parametrize("run", [asyncio.run, trio.run], ids=["asyncio", "trio"])
def test_a_sleep_that_another_task_ends(run: Any) -> None:
    async def main(*_: object) -> None:
        alarm = AsyncAlarm()
        async with anyio.create_task_group() as group:
            group.start_soon(alarm.sleep, 600)
            await anyio.sleep(0.01)
            alarm.wake()
        alarm.wake()  # nobody sleeps: nothing happens
        await alarm.sleep(0.001)

    run(main()) if run is asyncio.run else run(main)


def test_a_read_that_another_task_ends() -> None:
    async def main() -> None:
        alarm = AsyncAlarm()
        task = asyncio.create_task(alarm.bounded(forever(), NEVER))
        await asyncio.sleep(0)
        alarm.wake()
        assert await task is None
        alarm.release()

    asyncio.run(main())
