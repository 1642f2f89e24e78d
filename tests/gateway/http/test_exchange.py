"""Bodies that are sent, pauses, and leaving early: what the one who asks can do."""

import asyncio
from collections.abc import Callable

import pytest

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.outbound import Exchange, Origin
from tests.gateway.http.servers import (
    OK,
    Answer,
    Heard,
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

BIG = bytes(range(256)) * 4096 * 4


# --- the body of a request ---


@on_both_loops
@pytest.mark.parametrize("body", [b"", b"{}", BIG], ids=["empty", "small", "big"])
def test_a_body_arrives_as_it_is(run: Run, body: bytes) -> None:
    async def story() -> None:
        async with Server() as server, pooled() as pool:
            heard, exchange = ask(pool, post(server.origin(), body))
            assert not exchange.sent
            await heard.over()
            assert exchange.sent and heard.end == "ended"
            assert server.asked[0].body == body
            assert b"content-length: %d\r\n" % len(body) in server.asked[0].head

    run(story())


@on_both_loops
@pytest.mark.parametrize("headers", [[], [(b"content-length", b"10")]], ids=["chunked", "declared"])
@pytest.mark.parametrize("early", [False, True], ids=["once connected", "before there is a connection"])
def test_a_streamed_body_arrives_as_it_is(run: Run, headers: Headers, early: bool) -> None:
    async def story() -> None:
        async with Server() as server, pooled() as pool:
            for _ in range(2):  # the second time over the same connection
                heard, exchange = ask(pool, post(server.origin(), None, headers=headers))
                if not early:
                    await until(lambda sending=exchange: sending.sent)
                for piece in (b"01234", b"", b"567", b"89"):
                    exchange.send(piece)
                    await asyncio.sleep(0)
                exchange.finish()
                exchange.finish()
                exchange.send(b"after the end")
                await heard.over()
                assert heard.end == "ended"
            assert [asked.body for asked in server.asked] == [b"0123456789"] * 2
            assert server.connections == 1
            framing = b"content-length: 10" if headers else b"transfer-encoding: chunked"
            assert framing in server.asked[0].head

    run(story())


@on_both_loops
def test_a_body_that_is_not_as_long_as_declared_is_not_sent(run: Run) -> None:
    async def story() -> None:
        async with Server() as server, pooled() as pool:
            heard, exchange = ask(pool, post(server.origin(), None, headers=[(b"content-length", b"4")]))
            exchange.send(b"abc")
            with pytest.raises(ValueError, match="less of the body"):
                exchange.finish()
            with pytest.raises(ValueError, match="more of the body"):
                exchange.send(b"de")
            exchange.send(b"d")
            exchange.finish()
            await heard.over()
            assert server.asked[0].body == b"abcd"

    run(story())


@on_both_loops
def test_a_server_that_reads_slowly_slows_the_sender(run: Run) -> None:
    async def story() -> None:
        async with Server(Answer(then="hang", data=b"", before_body=True)) as server, pooled() as pool:
            heard, exchange = ask(pool, post(server.origin(), None, headers=[]))
            assert not exchange.writable  # there is no connection yet
            drained = asyncio.Event()
            exchange.on_drained = drained.set
            async with asyncio.timeout(10):
                await drained.wait()
            assert exchange.writable
            drained.clear()
            pieces = 0
            while exchange.writable and pieces < 10_000:
                exchange.send(BIG[:65536])
                pieces += 1
                await asyncio.sleep(0)
            assert pieces < 1_000  # the buffers of the kernel, and then no more
            reader = server.writers[0].transport.get_protocol()._stream_reader  # type: ignore[union-attr]
            async with asyncio.timeout(10):
                while not drained.is_set():
                    await reader.read(1 << 20)
            assert exchange.writable and heard.end is None
            exchange.cancel()

    run(story())


# --- answers that come early ---

REFUSAL = b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 5\r\n\r\nlarge"


@on_both_loops
def test_a_refusal_before_the_body_is_sent_ends_the_sending(run: Run) -> None:
    async def story() -> None:
        async with Server(Answer(REFUSAL, "hang", before_body=True), OK) as server, pooled() as pool:
            heard, exchange = ask(pool, post(server.origin(), None))
            exchange.send(b"abc")
            await heard.over()
            assert (heard.end, heard.status, heard.body) == ("ended", 413, b"large")
            exchange.send(b"def")
            exchange.finish()
            # What follows such an answer on its connection would be read as the rest of the body.
            assert (await answer_to(pool, post(server.origin()))).body == b"ok"
            assert server.connections == 2

    run(story())


@on_both_loops
def test_who_waits_to_send_is_woken_by_a_refusal(run: Run) -> None:
    async def story() -> None:
        async with Server(Answer(REFUSAL, "hang", before_body=True, held=True)) as server, pooled() as pool:
            heard, exchange = ask(pool, post(server.origin(), None))
            await until(lambda: server.asked)
            while exchange.writable:
                exchange.send(BIG)
            woken = asyncio.Event()
            exchange.on_drained = woken.set
            server.go.set()
            await heard.over()
            assert (heard.end, heard.status, woken.is_set(), exchange.writable) == ("ended", 413, True, True)
            await until(lambda: pool.connections == 0)

    run(story())


@on_both_loops
def test_a_refusal_is_told_though_a_body_that_was_given_is_not_yet_sent(run: Run) -> None:
    async def story() -> None:
        async with Server(Answer(REFUSAL, "hang", before_body=True)) as server, pooled() as pool:
            heard = await answer_to(pool, post(server.origin(), BIG * 4))
            assert (heard.end, heard.status, heard.body) == ("ended", 413, b"large")
            assert pool.connections == 0

    run(story())


@on_both_loops
def test_an_answer_that_is_no_refusal_does_not_end_the_sending(run: Run) -> None:
    async def story() -> None:
        start = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        async with Server(Answer(start, "hang", before_body=True)) as server, pooled() as pool:
            heard, exchange = ask(pool, post(server.origin(), None))
            await heard.until(lambda: heard.status)
            exchange.send(b"more")
            exchange.finish()
            reader = server.writers[0].transport.get_protocol()._stream_reader  # type: ignore[union-attr]
            await until(lambda: bytes(reader._buffer) == b"4\r\nmore\r\n0\r\n\r\n")
            exchange.cancel()

    run(story())


@on_both_loops
def test_an_answer_that_is_whole_before_the_body_is_ends_both(run: Run) -> None:
    async def story() -> None:
        async with Server(Answer(before_body=True), OK) as server, pooled() as pool:
            heard, exchange = ask(pool, post(server.origin(), None))
            await heard.over()
            assert (heard.end, heard.body) == ("ended", b"ok")
            exchange.send(b"GET /smuggled HTTP/1.1\r\n\r\n")
            assert (await answer_to(pool, post(server.origin()))).end == "ended"
            assert [asked.connection for asked in server.asked] == [1, 2]

    run(story())


# --- backpressure ---


@on_both_loops
def test_a_pause_stops_the_server_and_loses_nothing(run: Run) -> None:
    async def story() -> None:
        data = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(BIG) * 8) + BIG * 8
        async with Server(Answer(data)) as server, pooled() as pool:
            heard, exchange = ask(pool, post(server.origin()))
            exchange.pause()  # before there is a connection
            await until(lambda: server.asked)
            for _ in range(50):
                await asyncio.sleep(0)
            assert heard.status == 0
            exchange.resume()
            await heard.until(lambda: len(heard.body) > 100_000)
            exchange.pause()
            exchange.pause()
            await settled()
            had = len(heard.body)
            await until(lambda: server.writers[0].transport.get_write_buffer_size() > 65536)
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(heard.body) == had < len(BIG) * 8
            exchange.resume()
            await heard.over()
            assert (heard.end, heard.body == BIG * 8) == ("ended", True)
            assert pool.idle == 1

    run(story())


@on_both_loops
def test_a_connection_that_was_paused_at_the_end_can_be_used_again(run: Run) -> None:
    async def story() -> None:
        class Pausing(Heard):
            def received(self, data: bytes) -> None:
                super().received(data)
                exchanges[-1].pause()

        async with Server() as server, pooled() as pool:
            exchanges: list[Exchange] = []
            for _ in range(2):
                heard = Pausing()
                exchanges.append(pool.exchange(post(server.origin()), heard, connect_s=5))
                await heard.over()
                assert heard.body == b"ok"
            assert server.connections == 1

    run(story())


# --- leaving ---

STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"

MOMENTS: dict[str, Callable[[Server, Heard], object]] = {
    "while connecting": lambda server, heard: True,
    "before the answer": lambda server, heard: server.asked,
    "in the body": lambda server, heard: heard.body,
}


@on_both_loops
@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_cancel_nothing_is_told_and_the_server_sees_it_at_once(run: Run, moment: str) -> None:
    async def story() -> None:
        data = STREAM if moment == "in the body" else b""
        async with Server(Answer(data, "keep")) as server, pooled() as pool:
            heard, exchange = ask(pool, post(server.origin()))
            await until(lambda: MOMENTS[moment](server, heard))
            exchange.cancel()
            heard.quiet = True
            exchange.cancel()
            exchange.pause()
            exchange.resume()
            exchange.send(b"x")
            exchange.finish()
            await until(lambda: pool.connections == 0 and server.open == 0)
            assert heard.end is None

    run(story())


@on_both_loops
def test_what_is_over_does_not_touch_who_has_its_connection_now(run: Run) -> None:
    async def story() -> None:
        async with Server(OK, Answer(OK.data, held=True)) as server, pooled() as pool:
            first, gone = ask(pool, post(server.origin()))
            await first.over()
            second, _ = ask(pool, post(server.origin()))
            gone.pause()
            gone.send(b"x")
            gone.finish()
            gone.cancel()
            server.go.set()
            await second.over()
            assert (second.end, second.body, server.connections) == ("ended", b"ok", 1)

    run(story())


@on_both_loops
@pytest.mark.parametrize("call", ["opened", "received"])
def test_a_listener_may_cancel_while_it_is_told(run: Run, call: str) -> None:
    class Leaving(Heard):
        def opened(self, status: int, headers: Headers) -> None:
            super().opened(status, headers)
            if call == "opened":
                self.leave()

        def received(self, data: bytes) -> None:
            super().received(data)
            self.leave()

        def leave(self) -> None:
            self.exchange.cancel()
            self.quiet = True

    async def story() -> None:
        # All of it in one read, so that there would be more to tell.
        async with Server(Answer(STREAM + b"0\r\n\r\n")) as server, pooled() as pool:
            heard = Leaving()
            heard.exchange = pool.exchange(post(server.origin()), heard, connect_s=5)  # type: ignore[attr-defined]
            await heard.until(lambda: heard.quiet)
            await until(lambda: pool.connections == 0 and server.open == 0)
            assert heard.end is None

    run(story())


@on_both_loops
def test_a_listener_may_ask_again_when_it_is_told_the_end(run: Run) -> None:
    class Again(Heard):
        def ended(self) -> None:
            super().ended()
            self.next_one = Heard()
            self.pool.exchange(self.again, self.next_one, connect_s=5)  # type: ignore[attr-defined]

    async def story() -> None:
        async with Server() as server, pooled() as pool:
            heard = Again()
            heard.pool, heard.again = pool, post(server.origin())  # type: ignore[attr-defined]
            pool.exchange(heard.again, heard, connect_s=5)  # type: ignore[attr-defined]
            await heard.over()
            await heard.next_one.over()
            assert heard.next_one.end == "ended"
            assert server.connections == 1

    run(story())


@on_both_loops
def test_leaving_while_names_and_sockets_are_awaited_leaves_nothing_behind(run: Run) -> None:
    async def story() -> None:
        async with Server(Answer(b"", "keep"), scheme="https") as server, pooled() as pool:
            for turns in range(12):  # as many as there are steps in making a connection
                for origin in (server.origin("localhost"), server.origin(), Origin("http", "localhost", server.port)):
                    heard, exchange = ask(pool, post(origin))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    exchange.cancel()
                    heard.quiet = True
            await until(lambda: pool.connections == 0 and server.open == 0)

    run(story())
