"""Connections that are used again, and those that must not be: no request arrives twice."""

import asyncio
import gc
import random
import socket

import pytest

from midstream.gateway.http.outbound import Origin, Pool, PoolLimits
from tests.gateway.http.servers import (
    OK,
    Answer,
    Run,
    Server,
    answer_to,
    ask,
    on_both_loops,
    pooled,
    post,
    settled,
    until,
)


@on_both_loops
def test_what_was_used_last_is_used_first(run: Run) -> None:
    async def story() -> None:
        async with Server() as server, pooled() as pool:
            both = [ask(pool, post(server.origin()))[0] for _ in range(2)]
            for heard in both:
                await heard.over()
            assert (server.connections, pool.idle, pool.connections) == (2, 2, 2)
            last = server.asked[-1].connection
            for _ in range(3):
                await answer_to(pool, post(server.origin()))
            assert {asked.connection for asked in server.asked[2:]} == {last}

    run(story())


@on_both_loops
def test_a_connection_serves_no_other_origin(run: Run) -> None:
    async def story() -> None:
        async with Server() as one, Server() as other, pooled() as pool:
            for server in (one, other, one, other):
                await answer_to(pool, post(server.origin()))
            assert (one.connections, other.connections, pool.idle) == (1, 1, 2)

    run(story())


@on_both_loops
def test_what_is_idle_for_too_long_is_closed(run: Run) -> None:
    async def story() -> None:
        async with Server() as server, pooled(PoolLimits(idle_s=0.03)) as pool:
            for _ in range(2):
                await answer_to(pool, post(server.origin()))
                assert pool.idle == 1
                await until(lambda: pool.connections == 0 and server.open == 0)
            assert server.connections == 2

    run(story())


@on_both_loops
def test_each_idle_connection_is_closed_in_its_own_time(run: Run) -> None:
    async def story() -> None:
        held = Answer(OK.data, held=True)
        async with Server(held, OK) as server, pooled(PoolLimits(idle_s=0.04)) as pool:
            late, _ = ask(pool, post(server.origin()))
            await until(lambda: server.asked)
            await answer_to(pool, post(server.origin()))
            await asyncio.sleep(0.02)
            server.go.set()
            await late.over()
            await until(lambda: pool.connections == 0 and server.open == 0)

    run(story())


@on_both_loops
def test_what_was_idle_for_too_long_is_not_used_though_nobody_closed_it_yet(run: Run) -> None:
    async def story() -> None:
        async with Server() as server, pooled(PoolLimits(idle_s=0.001)) as pool:
            for _ in range(2):
                await answer_to(pool, post(server.origin()))
                late = asyncio.get_running_loop().time() + 0.002
                while asyncio.get_running_loop().time() < late:
                    pass  # no timer can fire meanwhile
            assert server.connections == 2

    run(story())


@on_both_loops
@pytest.mark.parametrize(
    ("said", "is_kept"),
    [
        (b"timeout=5", True),
        (b"max=100, timeout = 60", True),
        (b"timeout=1", False),
        (b"timeout=0", False),
        (b"x", True),
    ],
)
def test_a_server_that_says_how_long_it_waits_is_believed(run: Run, said: bytes, is_kept: bool) -> None:
    async def story() -> None:
        answer = b"HTTP/1.1 200 OK\r\nkeep-alive: %b\r\ncontent-length: 2\r\n\r\nok" % said
        async with Server(Answer(answer)) as server, pooled() as pool:
            await answer_to(pool, post(server.origin()))
            assert pool.idle == (1 if is_kept else 0)

    run(story())


@on_both_loops
def test_the_idle_are_bounded_and_the_oldest_goes(run: Run) -> None:
    async def story() -> None:
        async with Server() as server, pooled(PoolLimits(idle_max=2)) as pool:
            heards = [ask(pool, post(server.origin()))[0] for _ in range(5)]
            for heard in heards:
                await heard.over()
            assert pool.idle == 2
            await until(lambda: pool.connections == 2 == server.open)

    run(story())


@on_both_loops
def test_past_the_bound_there_is_no_connection_unless_an_idle_one_can_go(run: Run) -> None:
    async def story() -> None:
        async with Server(OK, Answer(b"", "hang")) as server, Server(Answer(b"", "hang")) as other:
            async with pooled(PoolLimits(connections_max=2)) as pool:
                await answer_to(pool, post(server.origin()))
                running = [ask(pool, post(other.origin()))[1] for _ in range(2)]  # the idle one gives way
                heard, exchange = ask(pool, post(server.origin()))
                assert heard.end is None  # never from within the call
                await heard.over()
                assert (heard.end, heard.detail) == ("pool", "2 connections are open already")
                assert not exchange.sent
                running[0].cancel()
                await until(lambda: pool.connections == 1)
                heard, exchange = ask(pool, post(server.origin()))
                await until(lambda: len(server.asked) == 2)
                exchange.cancel()

    run(story())


@on_both_loops
@pytest.mark.parametrize("what", ["close", "speak"])
def test_an_idle_connection_that_ends_or_speaks_is_dropped_at_once(run: Run, what: str) -> None:
    async def story() -> None:
        async with Server() as server, pooled() as pool:
            await answer_to(pool, post(server.origin()))
            writer = server.writers[0]
            if what == "close":
                writer.close()
            else:
                writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
            await until(lambda: pool.connections == 0)
            assert (await answer_to(pool, post(server.origin()))).status == 200
            assert (server.connections, len(server.asked)) == (2, 2)

    run(story())


@on_both_loops
@pytest.mark.parametrize("what", ["closes", "speaks"])
def test_what_the_loop_has_not_seen_yet_is_seen_before_a_request_is_written(run: Run, what: str) -> None:
    """Between the server's FIN and the loop's next turn a connection looks alive."""

    async def story() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            origin = Origin("http", *listening.getsockname())
            async with pooled() as pool:
                heard, _ = ask(pool, post(origin))
                first, _ = await loop.sock_accept(listening)
                with first:
                    await loop.sock_recv(first, 65536)
                    await loop.sock_sendall(first, OK.data)
                    await heard.over()
                    assert pool.idle == 1
                    if what == "closes":
                        first.shutdown(socket.SHUT_WR)
                    else:
                        first.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
                    heard, exchange = ask(pool, post(origin))  # in the same turn of the loop
                    assert not exchange.sent
                    second, _ = await loop.sock_accept(listening)
                    with second:
                        assert b"POST" in await loop.sock_recv(second, 65536)
                        await loop.sock_sendall(second, OK.data)
                        assert (await heard.over()).end == "ended"
                    assert b"POST" not in await _rest(first)
        await settled()

    run(story())


async def _rest(connection: socket.socket) -> bytes:
    try:
        return await asyncio.get_running_loop().sock_recv(connection, 65536)
    except ConnectionError:
        return b""


@on_both_loops
@pytest.mark.parametrize(("then", "end"), [("close", "closed"), ("reset", "reset")])
def test_a_request_that_was_written_is_never_written_again(run: Run, then: str, end: str) -> None:
    async def story() -> None:
        async with Server(OK, Answer(b"", then), OK) as server, pooled() as pool:
            server.go.set()
            await answer_to(pool, post(server.origin()))
            heard, exchange = ask(pool, post(server.origin()))
            assert exchange.sent  # at once, over the connection that was there
            await heard.over()
            assert (heard.end, len(server.asked), server.connections) == (end, 2, 1)

    run(story())


@on_both_loops
def test_where_a_server_closes_whenever_it_likes_no_request_arrives_twice(run: Run) -> None:
    async def story() -> None:
        draw = random.Random(7)
        loop = asyncio.get_running_loop()
        async with Server() as server, pooled() as pool:
            ends: dict[bytes, str | None] = {}
            for number in range(400):
                body = b"%d" % number
                ends[body] = (await answer_to(pool, post(server.origin(), body))).end
                closing = server.writers[-1]
                if draw.random() < 0.5:
                    loop.call_later(draw.random() * 0.002, closing.close)
                await asyncio.sleep(draw.random() * 0.002)
            arrived = [asked.body for asked in server.asked]
            assert len(arrived) == len(set(arrived))
            assert {body for body, end in ends.items() if end == "ended"} <= set(arrived)
            assert set(ends.values()) <= {"ended", "closed", "reset"}
            assert server.connections > 20

    run(story())


@on_both_loops
def test_a_thousand_at_once_all_get_their_own_answer(run: Run) -> None:
    class Echo(Server):
        async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(4)
            self.asked.append(head)  # type: ignore[arg-type]
            if len(self.asked) == 1000:
                self.go.set()
            await self.go.wait()  # none is answered before all have asked
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n" + body)
            return True

    async def story() -> None:
        async with Echo() as server, pooled(PoolLimits(idle_max=100)) as pool:
            heards = [ask(pool, post(server.origin(), b"%04d" % number))[0] for number in range(1000)]
            for heard in heards:
                await heard.over()
            assert [heard.body for heard in heards] == [b"%04d" % number for number in range(1000)]
            assert (server.connections, pool.idle) == (1000, 100)

    run(story())


@on_both_loops
def test_a_pool_that_closes_breaks_what_runs(run: Run) -> None:
    async def story() -> None:
        async with Server(OK, Answer(b"", "hang")) as server, Server(scheme="https") as silent:
            pool = Pool()
            await answer_to(pool, post(server.origin()))
            waiting, _ = ask(pool, post(server.origin()))
            connecting, _ = ask(pool, post(silent.origin()))
            await until(lambda: len(server.asked) == 2 and silent.connections)
            await pool.aclose()
            assert (waiting.end, connecting.end) == ("closed", "closed")
            assert (pool.connections, pool.idle) == (0, 0)
            late, exchange = ask(pool, post(server.origin()))
            await late.over()
            assert (late.end, late.detail, exchange.sent) == ("pool", "the gateway is closing", False)

    run(story())


@on_both_loops
def test_what_is_over_is_freed_without_the_collector(run: Run) -> None:
    """Otherwise a gateway's memory would grow between two collections with everything that streams hold."""

    async def story() -> None:
        async with Server(OK, Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no", "close"), OK) as server:
            async with pooled() as pool:
                await answer_to(pool, post(server.origin()))
                gc.collect()
                gc.disable()
                try:
                    for _ in range(3):
                        await answer_to(pool, post(server.origin()))
                    await settled()
                    left = [found for found in gc.get_objects() if type(found).__name__ == "Exchange"]
                    parsers = [found for found in gc.get_objects() if type(found).__name__ == "HttpResponseParser"]
                    assert (left, parsers) == ([], [])
                finally:
                    gc.enable()

    run(story())


def test_a_request_that_cannot_be_written_is_refused_before_anything_is_opened() -> None:
    async def story() -> None:
        async with Server() as server, pooled() as pool:
            for headers in ([(b"a", b"b\r\nc: d")], [(b"a b", b"c")], [(b"a", b"b\0")]):
                with pytest.raises(ValueError, match="header"):
                    ask(pool, post(server.origin(), headers=headers))
            assert (pool.connections, server.connections) == (0, 0)

    asyncio.run(story())
