"""However a stream is left, nothing of it stays: no socket, no thread, no task.

Rule: counted by the operating system and the runtime, before and after.
"""

import asyncio
import contextlib
import gc
import os
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import pytest
import trio

import midstream
from midstream.faults.server import FaultServer
from tests.sdk.calls import ASKED
from tests.sdk.waiting import until

pytestmark = pytest.mark.sockets

POLICY = midstream.Policy(backoff_s=(0, 0.01), attempts_total=4, retry_per_minute_min=100_000)
# Slow enough to be left in the middle; broken on the way, so that later attempts are left too.
SCRIPT = "pace=0.001; cut-rst@fraction=0.3; then overloaded_error@event=4; then http-529; then ok"


def sockets() -> int:
    """The sockets of this process, as the kernel counts them."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return found


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer("pace=0.001") as server:
        yield server


@contextlib.contextmanager
def nothing_stays(server: FaultServer) -> Iterator[None]:
    """Sockets and threads are as many afterwards as before, and the server has no connection left."""
    gc.collect()
    before, threads = sockets(), set(threading.enumerate())
    yield
    until(lambda: server.open_connections == 0)
    gc.collect()
    until(lambda: sockets() <= before)
    # Those of trio wait ten seconds for more work.
    until(lambda: {t for t in threading.enumerate() if not t.name.startswith("Trio")} <= threads)


def connected(server: FaultServer, script: str, recovery: midstream.Recovery, number: int, **options: Any) -> Any:
    headers = {"x-midstream-fault": script, "x-midstream-key": f"stream {number}"}
    return anthropic.Anthropic(
        api_key="k",
        base_url=server.url,
        default_headers=headers,
        middleware=[recovery],
        http_client=anthropic.DefaultHttpxClient(verify=False),
        **options,
    )


# --- sync -----------------------------------------------------------------------------------------------------------


class Left(Exception):
    """The consumer's own."""


def take(stream: Any, count: int) -> None:
    for _, _ in zip(range(count), stream, strict=False):
        pass


def sync_break(client: Any, count: int) -> None:
    with client.messages.stream(**ASKED) as stream:
        take(stream, count)


def sync_exception(client: Any, count: int) -> None:
    with pytest.raises(Left), client.messages.stream(**ASKED) as stream:
        take(stream, count)
        raise Left


def sync_close(client: Any, count: int) -> None:
    stream = client.messages.create(**ASKED, stream=True)
    take(stream, count)
    stream.close()


def sync_never_iterated(client: Any, count: int) -> None:
    client.messages.create(**ASKED, stream=True).close()


def sync_dropped(client: Any, count: int) -> None:
    stream = client.messages.create(**ASKED, stream=True)
    take(stream, count)
    del stream
    gc.collect()


def sync_dropped_unread(client: Any, count: int) -> None:
    client.messages.create(**ASKED, stream=True)
    gc.collect()


def sync_streaming_response(client: Any, count: int) -> None:
    with client.messages.with_streaming_response.create(**ASKED, stream=True) as response:
        take(response.iter_bytes(), count)


def sync_raw_dropped(client: Any, count: int) -> None:
    take(client.messages.with_raw_response.create(**ASKED, stream=True).parse(), count)
    gc.collect()


def sync_to_the_end(client: Any, count: int) -> None:
    with client.messages.stream(**ASKED) as stream:
        stream.until_done()


def sync_closed_by_another_thread(client: Any, count: int) -> None:
    stream = client.messages.create(**ASKED, stream=True)
    take(stream, count)
    closing = threading.Timer(0.005, stream.close)
    closing.start()
    with contextlib.suppress(anthropic.APIError, httpx2.StreamError):
        take(stream, 1000)
    closing.join()


def sync_client_closed(client: Any, count: int) -> None:
    stream = client.messages.create(**ASKED, stream=True)
    take(stream, count)
    client.close()
    with contextlib.suppress(anthropic.APIError):
        take(stream, 1000)


SYNC: tuple[Callable[[Any, int], None], ...] = (
    sync_break,
    sync_exception,
    sync_close,
    sync_never_iterated,
    sync_dropped,
    sync_dropped_unread,
    sync_streaming_response,
    sync_raw_dropped,
    sync_to_the_end,
    sync_closed_by_another_thread,
    sync_client_closed,
)


def test_150_sync_streams_that_are_left_in_every_way_leave_nothing(server: FaultServer) -> None:
    draw, recovery = random.Random(1), midstream.Recovery(POLICY)
    with nothing_stays(server):
        for number in range(150):
            leave = SYNC[number % len(SYNC)]
            with connected(server, SCRIPT if draw.random() < 0.7 else "pace=0.001", recovery, number) as client:
                leave(client, draw.randrange(60))


@pytest.mark.parametrize("leave", SYNC, ids=lambda leave: leave.__name__)
def test_the_connection_is_gone_while_the_client_lives(server: FaultServer, leave: Callable[[Any, int], None]) -> None:
    """Closing the client would close everything; here it stays open."""
    recovery = midstream.Recovery(POLICY)
    with connected(server, SCRIPT, recovery, 0) as client:
        leave(client, 9)
        if leave is sync_to_the_end:
            assert server.open_connections == 1  # kept for the next request
        else:
            until(lambda: server.open_connections == 0)


def test_a_stream_that_nobody_holds_is_freed_without_the_collector(server: FaultServer) -> None:
    gc.disable()
    try:
        with connected(server, "pace=0.001", midstream.Recovery(POLICY), 0) as client:
            stream = client.messages.create(**ASKED, stream=True)
            body = weakref.ref(stream.response.stream)
            take(stream, 5)
            del stream
            assert body() is None
            until(lambda: server.open_connections == 0)
    finally:
        gc.enable()


def test_closing_from_another_thread_wakes_the_reader_and_is_no_fault(server: FaultServer) -> None:
    reports: list[midstream.Report] = []
    recovery = midstream.Recovery(on_report=reports.append)
    with connected(server, "silence@event=9", recovery, 0) as client:
        stream = client.messages.create(**ASKED, stream=True)
        take(stream, 5)
        raised: list[BaseException] = []
        reading = threading.Event()

        def read() -> None:
            reading.set()
            try:
                take(stream, 1000)
            except BaseException as error:
                raised.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        reading.wait()
        until(lambda: server.open_connections == 1)
        # Nothing tells whether the reader is in the kernel yet; it is there after the last event before the silence.
        threading.Event().wait(0.1)
        stream.close()
        reader.join(timeout=10)
        assert not reader.is_alive()
        assert len(server.requests) == 1
        assert [report.outcome for report in reports] == ["closed"]
        (error,) = raised
        assert isinstance(error, midstream.StreamError)
        assert error.failure.origin is midstream.Origin.CLIENT
        assert error.report.outcome == "closed"


def test_closing_ends_the_wait_between_attempts(server: FaultServer) -> None:
    policy = midstream.Policy(retry_after_max_s=3600)
    asleep = threading.Event()
    with connected(server, "always http-529 retry-after=3000", midstream.Recovery(policy), 0) as client:
        pass
    with connected(server, "cut-rst@event=9; then http-529 retry-after=3000", midstream.Recovery(policy), 1) as client:
        stream = client.messages.create(**ASKED, stream=True)
        reader = threading.Thread(target=lambda: (asleep.set(), contextlib.suppress(Exception), _drain(stream)))
        reader.start()
        asleep.wait()
        until(lambda: len(server.requests) == 2)
        stream.close()
        reader.join(timeout=10)
        assert not reader.is_alive() and len(server.requests) == 2


def _drain(stream: Any) -> None:
    with contextlib.suppress(anthropic.APIError, httpx2.StreamError):
        take(stream, 1000)


def test_a_whole_stream_gives_its_connection_back(server: FaultServer) -> None:
    ports = []
    with connected(server, "ok", midstream.Recovery(POLICY), 0) as client:
        for _ in range(3):
            with client.messages.stream(**ASKED) as stream:
                ports.append(_port_of(stream.response))
                stream.until_done()
    assert len(set(ports)) == 1


def test_leaving_at_the_last_event_gives_the_connection_back_too(server: FaultServer) -> None:
    ports = []
    with connected(server, "ok", midstream.Recovery(POLICY), 0) as client:
        for _ in range(3):
            stream = client.messages.create(**ASKED, stream=True)
            ports.append(_port_of(stream.response))
            for event in stream:
                if event.type == "message_stop":
                    break
            stream.close()
            assert midstream.report(stream).outcome == "complete"
    assert len(set(ports)) == 1


def _port_of(response: httpx2.Response) -> Any:
    address: Any = response.extensions["network_stream"].get_extra_info("client_addr")
    return address[1]


def test_a_consumer_that_takes_its_time_is_not_punished(server: FaultServer) -> None:
    # Longer than the events are apart, shorter than the consumer is away.
    policy = midstream.Policy(silence_s=0.3, progress_s=0.3, first_event_s=5)
    with connected(server, "pace=0.01", midstream.Recovery(policy), 0) as client:
        stream = client.messages.create(**ASKED, stream=True)
        for number, _ in enumerate(stream):
            if number in (0, 20):
                threading.Event().wait(0.5)
        assert midstream.report(stream).recoveries == 0


def test_the_watchdog_is_gone_when_nothing_is_read(server: FaultServer) -> None:
    with connected(server, "ok", midstream.Recovery(POLICY), 0) as client, client.messages.stream(**ASKED) as stream:
        names = {thread.name for thread in threading.enumerate()}
        stream.until_done()
    assert "midstream-watchdog" in names
    until(lambda: "midstream-watchdog" not in {thread.name for thread in threading.enumerate()})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_stream_leaves_the_child_able_to_stream(server: FaultServer) -> None:
    with connected(server, "pace=0.001", midstream.Recovery(POLICY), 0) as client:
        stream = client.messages.create(**ASKED, stream=True)
        take(stream, 5)
        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(BaseException):
                with connected(server, "ok", midstream.Recovery(POLICY), 1) as own:
                    with own.messages.stream(**ASKED) as whole:
                        whole.until_done()
                status = 0
            os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        stream.close()


# --- async ----------------------------------------------------------------------------------------------------------


def aconnected(server: FaultServer, script: str, recovery: midstream.Recovery, number: int, **options: Any) -> Any:
    headers = {"x-midstream-fault": script, "x-midstream-key": f"async stream {number}"}
    given = {"http_client": anthropic.DefaultAsyncHttpxClient(verify=False), **options}
    return anthropic.AsyncAnthropic(
        api_key="k", base_url=server.url, default_headers=headers, middleware=[recovery], **given
    )


async def atake(stream: Any, count: int) -> None:
    if count:
        async for _ in stream:
            count -= 1
            if count <= 0:
                return


async def async_break(client: Any, count: int) -> None:
    async with client.messages.stream(**ASKED) as stream:
        await atake(stream, count)


async def async_exception(client: Any, count: int) -> None:
    with pytest.raises(Left):
        async with client.messages.stream(**ASKED) as stream:
            await atake(stream, count)
            raise Left


async def async_close(client: Any, count: int) -> None:
    stream = await client.messages.create(**ASKED, stream=True)
    await atake(stream, count)
    await stream.close()


async def async_never_iterated(client: Any, count: int) -> None:
    await (await client.messages.create(**ASKED, stream=True)).close()


async def async_dropped(client: Any, count: int) -> None:
    stream = await client.messages.create(**ASKED, stream=True)
    await atake(stream, count)
    del stream
    gc.collect()
    await asyncio.sleep(0.01)


async def async_dropped_unread(client: Any, count: int) -> None:
    await client.messages.create(**ASKED, stream=True)
    gc.collect()
    await asyncio.sleep(0.01)


async def async_cancelled(client: Any, count: int) -> None:
    task = asyncio.create_task(async_whole(client, count))
    await asyncio.sleep(count / 1000)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def async_cancelled_while_opening(client: Any, count: int) -> None:
    task = asyncio.create_task(async_whole(client, count))
    for _ in range(count % 12):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def async_timeout(client: Any, count: int) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.001 + count / 1000):
            await async_whole(client, count)


async def async_closed_by_another_task(client: Any, count: int) -> None:
    stream = await client.messages.create(**ASKED, stream=True)
    await atake(stream, count)
    task = asyncio.create_task(stream.close())
    with contextlib.suppress(anthropic.APIError, httpx2.StreamError):
        await atake(stream, 1000)
    await task


async def async_client_closed(client: Any, count: int) -> None:
    stream = await client.messages.create(**ASKED, stream=True)
    await atake(stream, count)
    await client.close()
    with contextlib.suppress(anthropic.APIError):
        await atake(stream, 1000)


async def async_whole(client: Any, count: int) -> None:
    async with client.messages.stream(**ASKED) as stream:
        await stream.until_done()


ASYNC: tuple[Callable[[Any, int], Any], ...] = (
    async_break,
    async_exception,
    async_close,
    async_never_iterated,
    async_dropped,
    async_dropped_unread,
    async_cancelled,
    async_cancelled_while_opening,
    async_timeout,
    async_closed_by_another_task,
    async_client_closed,
    async_whole,
)


async def no_task_stays() -> None:
    """Asyncio itself closes generators that nobody holds in tasks, which take a turn or two."""
    for _ in range(500):
        if asyncio.all_tasks() == {asyncio.current_task()}:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(asyncio.all_tasks())


HTTP = {"httpx2": anthropic.DefaultAsyncHttpxClient, "aiohttp": anthropic.DefaultAioHttpClient}


@pytest.mark.parametrize("http", HTTP)
def test_75_async_streams_that_are_left_in_every_way_leave_nothing(server: FaultServer, http: str) -> None:
    recovery = midstream.Recovery(POLICY)
    draw = random.Random(2)

    async def main() -> None:
        for number in range(75):
            leave = ASYNC[number % len(ASYNC)]
            script = SCRIPT if draw.random() < 0.7 else "pace=0.001"
            options = {"http_client": HTTP[http](verify=False)}
            async with aconnected(server, script, recovery, number, **options) as client:
                await leave(client, draw.randrange(60))
        await no_task_stays()

    with nothing_stays(server):
        asyncio.run(main())


@pytest.mark.parametrize("leave", ASYNC, ids=lambda leave: leave.__name__)
def test_the_connection_is_gone_while_the_async_client_lives(
    server: FaultServer, leave: Callable[[Any, int], Any]
) -> None:
    async def main() -> None:
        async with aconnected(server, SCRIPT, midstream.Recovery(POLICY), 0) as client:
            await leave(client, 9)
            kept = 1 if leave is async_whole else 0
            await asyncio.to_thread(until, lambda: server.open_connections == kept)
            await no_task_stays()

    asyncio.run(main())


def test_cancellation_during_the_second_attempt_reaches_the_caller(server: FaultServer) -> None:
    async def main() -> None:
        for second in ("silent-early", "silence@event=2", "http-529 retry-after=50"):
            script, had = f"cut-rst@event=9; then {second}; then ok", len(server.requests)
            async with aconnected(server, script, midstream.Recovery(), had) as client:
                task = asyncio.create_task(async_whole(client, 0))
                while len(server.requests) < had + 2:
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert len(server.requests) == had + 2

    with nothing_stays(server):
        asyncio.run(main())


def test_closing_from_another_task_is_no_fault(server: FaultServer) -> None:
    reports: list[midstream.Report] = []

    async def main() -> None:
        for script in (
            "silence@event=9",
            "cut-rst@event=9; then silent-early",
            "cut-rst@event=9; then http-529 retry-after=50",
        ):
            had = len(server.requests)
            async with aconnected(server, script, midstream.Recovery(on_report=reports.append), had) as client:
                stream = await client.messages.create(**ASKED, stream=True)
                reader = asyncio.create_task(atake(stream, 1000))
                while len(server.requests) < had + (2 if "then" in script else 1):
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.05)
                await stream.close()
                with pytest.raises(midstream.StreamError) as raised:
                    await asyncio.wait_for(reader, 10)
                assert raised.value.failure.origin is midstream.Origin.CLIENT

    with nothing_stays(server):
        asyncio.run(main())
    assert [report.outcome for report in reports] == ["closed"] * 3


# The SDK's own generators, and those of httpx2, are left to the collector, with and without midstream.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
def test_trio_streams_heals_and_leaves_nothing(server: FaultServer) -> None:
    async def main() -> None:
        recovery = midstream.Recovery(POLICY)
        for number in range(20):
            async with aconnected(server, SCRIPT, recovery, number) as client:
                if number % 4 == 0:
                    async with client.messages.stream(**ASKED) as stream:
                        message = await stream.get_final_message()
                        assert message.stop_reason == "end_turn"
                        assert midstream.report(stream).recoveries >= 1
                elif number % 4 == 1:
                    with trio.move_on_after(0.01 * number):
                        await async_whole(client, 0)
                elif number % 4 == 2:
                    await async_break(client, number)
                else:
                    stream = await client.messages.create(**ASKED, stream=True)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(_aread, stream)
                        await trio.sleep(0.01)
                        nursery.start_soon(stream.close)

    with nothing_stays(server):
        trio.run(main)


async def _aread(stream: Any) -> None:
    with contextlib.suppress(anthropic.APIError, httpx2.StreamError):
        await atake(stream, 1000)


def test_the_limits_hold_under_trio(server: FaultServer) -> None:
    policy = midstream.Policy(attempts=1, silence_s=0.1, first_event_s=0.3)

    async def main() -> None:
        for script in ("silence@event=9", "silent-early"):
            async with aconnected(server, script, midstream.Recovery(policy), len(server.requests)) as client:
                with pytest.raises(midstream.StreamError) as raised:
                    await async_whole(client, 0)
                assert raised.value.failure.kind is midstream.Kind.SILENT

    with nothing_stays(server):
        trio.run(main)
