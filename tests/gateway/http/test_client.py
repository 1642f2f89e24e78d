"""Responses of every shape, whole, byte by byte and cut at every byte, over real sockets."""

import asyncio

import pytest

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.outbound import Exchange
from tests.gateway.http.servers import OK, Answer, Heard, Run, Server, answer_to, ask, on_both_loops, pooled, post

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\na: b\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nhello, world"

# What a server answers; then status, body, and whether the connection serves the next request.
WHOLE = {
    "sized": (SIZED, 200, b"hello, world", True),
    "chunked, with a trailer": (CHUNKED, 200, b"hello, world", True),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
    "no reason phrase": (b"HTTP/1.1 529\r\ncontent-length: 2\r\n\r\nno", 529, b"no", True),
    "an empty line first": (b"\r\n" + SIZED, 200, b"hello, world", True),
    "100 first": (b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED, 200, b"hello, world", True),
    "102, 103 first": (b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\na: b\r\n\r\n" + CHUNKED, 200, b"hello, world", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b"", True),
    "connection: close": (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
    "HTTP/1.0, kept alive": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", True
    ),
    "rubbish behind it": (SIZED + b"rubbish", 200, b"hello, world", False),
    "a second response behind it": (SIZED + SIZED, 200, b"hello, world", False),
    "an unasked Keep-Alive of 0 s": (
        b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=0\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False
    ),
}  # fmt: skip


@on_both_loops
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_response_is_told_whole(run: Run, name: str) -> None:
    data, status, body, is_kept = WHOLE[name]

    async def story() -> None:
        async with Server(Answer(data), OK) as server, pooled() as pool:
            heard = await answer_to(pool, post(server.origin()))
            assert (heard.end, heard.status, heard.body) == ("ended", status, body), heard.detail
            again = await answer_to(pool, post(server.origin()))
            assert (again.end, again.body) == ("ended", b"ok")
            assert server.connections == (1 if is_kept else 2)

    run(story())


@on_both_loops
@pytest.mark.parametrize("name", WHOLE)
def test_a_response_that_comes_byte_by_byte_is_told_the_same(run: Run, name: str) -> None:
    data, status, body, _ = WHOLE[name]

    async def story() -> None:
        async with Server(Answer(data, by_byte=True)) as server, pooled() as pool:
            heard = await answer_to(pool, post(server.origin()))
            assert (heard.end, heard.status, heard.body) == ("ended", status, body), heard.detail
            assert len(heard.parts) > 2 or len(body) < 12

    run(story())


@on_both_loops
def test_names_are_in_lower_case_and_values_stripped(run: Run) -> None:
    async def story() -> None:
        answer = b"HTTP/1.1 200 OK\r\nX-A:  b \t\r\nEmpty:\r\nx-a: c\r\nContent-Length: 0\r\n\r\n"
        async with Server(Answer(answer)) as server, pooled() as pool:
            heard = await answer_to(pool, post(server.origin()))
            assert heard.headers == [(b"x-a", b"b"), (b"empty", b""), (b"x-a", b"c"), (b"content-length", b"0")]

    run(story())


@on_both_loops
@pytest.mark.parametrize("framing", [b"content-length: 12", b"transfer-encoding: chunked", b"x: y"])
def test_a_response_to_head_has_no_body(run: Run, framing: bytes) -> None:
    async def story() -> None:
        async with Server(Answer(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing), OK) as server, pooled() as pool:
            heard = await answer_to(pool, post(server.origin(), b"", b"HEAD"))
            assert (heard.end, heard.status, heard.body) == ("ended", 200, b"")
            assert (await answer_to(pool, post(server.origin()))).body == b"ok"

    run(story())


UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello, world"


@on_both_loops
@pytest.mark.parametrize(("then", "end"), [("close", "ended"), ("reset", "reset")])
def test_a_body_without_framing_ends_with_the_connection(run: Run, then: str, end: str) -> None:
    async def story() -> None:
        async with Server(Answer(UNTIL_CLOSE, then)) as server, pooled() as pool:
            heard, _ = ask(pool, post(server.origin()))
            await heard.until(lambda: heard.body == b"hello, world" or heard.end)
            server.go.set()
            await heard.over()
            assert (heard.end, heard.body) == (end, b"hello, world")
            assert pool.connections == 0

    run(story())


def what_a_cut_is(whole: bytes, cut: int) -> str:
    """How a response that has a framing ends where the server closes after so many bytes."""
    if cut >= len(whole):
        return "ended"
    return "incomplete" if cut >= whole.index(b"\r\n\r\n") + 4 else "closed"


@on_both_loops
@pytest.mark.parametrize("whole", [SIZED, CHUNKED, b"HTTP/1.1 103 E\r\n\r\n" + SIZED], ids=["sized", "chunked", "103"])
def test_a_response_that_is_cut_at_any_byte_is_not_taken_for_whole(run: Run, whole: bytes) -> None:
    async def story() -> None:
        answers = [Answer(whole[:cut], "close") for cut in range(len(whole) + 1)]
        async with Server(*answers) as server, pooled() as pool:
            start = 18 if b"103" in whole else 0
            for cut in range(len(whole) + 1):
                heard = await answer_to(pool, post(server.origin()))
                assert heard.end == what_a_cut_is(whole[start:], cut - start), cut
                assert b"hello, world".startswith(heard.body)
                assert heard.end != "ended" or heard.body == b"hello, world"
            assert len(server.asked) == len(whole) + 1

    run(story())


@on_both_loops
@pytest.mark.parametrize("cut", [0, 9, len(SIZED) - 12, len(SIZED) - 1], ids=["at once", "head", "body", "last byte"])
def test_a_reset_is_told_as_one(run: Run, cut: int) -> None:
    async def story() -> None:
        async with Server(Answer(SIZED[:cut], "reset")) as server, pooled() as pool:
            heard, exchange = ask(pool, post(server.origin()))
            server.go.set()
            await heard.over()
            assert (heard.end, exchange.sent, len(server.asked)) == ("reset", True, 1)

    run(story())


HEAD = b"HTTP/1.1 200 OK\r\n"
NOT_HTTP = {
    "a page": b"<html>no</html>",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18),
    "HTTP/2 in words": b"HTTP/2.0 200 OK\r\n\r\n",
    "a version that is none": b"HTTP/1.2 200 OK\r\n\r\n",
    "a status that is none": b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n",
    "lines without CR": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nxx",
    "101 without a word of why": b"HTTP/1.1 101 Switching Protocols\r\n\r\nxx",
    "two lengths": HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "a length and chunks": HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length below nothing": HEAD + b"content-length: -2\r\n\r\nok",
    "chunks inside gzip": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an encoding that was not asked for": HEAD + b"transfer-encoding: gzip\r\n\r\nxx",
    "a name with a blank": HEAD + b"content-length : 0\r\n\r\n",
    "a folded header": HEAD + b"a: b\r\n c\r\ncontent-length: 0\r\n\r\n",
    "NUL in a header": HEAD + b"a: b\0c\r\ncontent-length: 0\r\n\r\n",
    "too many headers": HEAD + b"a: b\r\n" * 201 + b"\r\n",
    "a head that is too large": HEAD + b"a: %b\r\nb: %b\r\n\r\n" % (b"x" * 40_000, b"x" * 40_000),
    "a header without an end": HEAD + b"a: " + b"x" * 70_000,
    "1xx without an end": b"HTTP/1.1 103 E\r\n\r\n" * 4_000,
}
BROKEN_BODY = {
    "a size that is none": b"zz\r\n",
    "a size without an end": b"f" * 17,
    "a chunk longer than its size": b"2\r\nxxx\r\n",
    "an extension without an end": b"5;" + b"x" * 700_000,
    "a trailer without an end": b"0\r\na: " + b"x" * 700_000,
    "trailers without an end": b"0\r\n" + b"a: b\r\n" * 120_000,
}


@on_both_loops
@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http_is_said_to_be_none(run: Run, name: str) -> None:
    async def story() -> None:
        async with Server(Answer(NOT_HTTP[name], "hang"), OK) as server, pooled() as pool:
            heard = await answer_to(pool, post(server.origin()))
            assert (heard.end, heard.status, heard.body) == ("protocol", 0, b"")
            assert heard.detail and "xx" not in heard.detail
            assert pool.connections == 0

    run(story())


@on_both_loops
@pytest.mark.parametrize("name", BROKEN_BODY)
def test_what_was_whole_of_a_broken_body_is_told(run: Run, name: str) -> None:
    async def story() -> None:
        data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n" + BROKEN_BODY[name]
        async with Server(Answer(data, "hang")) as server, pooled() as pool:
            heard = await answer_to(pool, post(server.origin()))
            assert heard.end == "protocol"
            assert heard.body.startswith(b"hello") and len(heard.body) <= 8
            assert pool.connections == 0

    run(story())


@on_both_loops
def test_chunks_that_came_together_are_told_together(run: Run) -> None:
    async def story() -> None:
        data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100 + b"0\r\n\r\n"
        async with Server(Answer(data)) as server, pooled() as pool:
            heard = await answer_to(pool, post(server.origin()))
            assert heard.parts == [b"x" * 100]

    run(story())


def _own(number: int, length: int = 400) -> bytes:
    """A response that no other one is like, in its header, its chunks and its body."""
    chunks = b"".join(b"2\r\n%02d\r\n" % number for _ in range(length // 2))
    return b"HTTP/1.1 200 OK\r\nx-own: %d\r\ntransfer-encoding: chunked\r\n\r\n%b0\r\n\r\n" % (number, chunks)


@on_both_loops
@pytest.mark.parametrize("by_byte", [True, False])
def test_responses_that_come_at_once_are_kept_apart(run: Run, by_byte: bool) -> None:
    async def story() -> None:
        answers = [Answer(_own(number), by_byte=by_byte, held=True) for number in range(20)]
        async with Server(*answers) as server, pooled() as pool:
            asked = [ask(pool, post(server.origin()))[0] for _ in answers]
            server.go.set()
            heard = [await each.over() for each in asked]
            assert {each.end for each in heard} == {"ended"}
            own = [int(dict(each.headers)[b"x-own"]) for each in heard]
            assert sorted(own) == list(range(20))
            assert [each.body for each in heard] == [b"%02d" % number * 200 for number in own]

    run(story())


class _Canceller(Heard):
    """As soon as it is told of the head, it gives up another exchange, or its own."""

    def __init__(self, exchanges: list[Exchange]) -> None:
        super().__init__()
        self.exchanges = exchanges

    def opened(self, status: int, headers: Headers) -> None:
        super().opened(status, headers)
        self.exchanges.pop().cancel()


@on_both_loops
@pytest.mark.parametrize("whose", ["another's", "its own"])
def test_who_gives_up_an_exchange_when_told_of_a_head_is_told_no_other_body(run: Run, whose: str) -> None:
    async def story() -> None:
        held = [Answer(_own(number), held=True) for number in (17, 18)]
        async with Server(*held, OK) as server, pooled() as pool:
            exchanges: list[Exchange] = []
            heard = _Canceller(exchanges)
            own = pool.exchange(post(server.origin()), heard, connect_s=5)
            other, others = ask(pool, post(server.origin()))
            exchanges.append(own if whose == "its own" else others)
            server.go.set()
            if whose == "its own":
                await other.over()
                while exchanges:
                    await asyncio.sleep(0.001)
                assert (heard.status, heard.body, heard.end) == (200, b"", None)
                assert other.body in (b"17" * 200, b"18" * 200)
            else:
                await heard.over()
                assert heard.body == b"%b" % dict(heard.headers)[b"x-own"] * 200
                assert other.body in (b"", b"17" * 200, b"18" * 200)
            assert (await answer_to(pool, post(server.origin()))).end == "ended"

    run(story())
