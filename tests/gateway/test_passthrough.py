"""Requests that are no streams of ours go on as they are, and so do their answers."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable

import pytest

from midstream.gateway import passthrough
from midstream.gateway.http.response import Response
from midstream.gateway.main import Gateway
from midstream.gateway.passthrough import ERROR_BYTES_MAX
from midstream.gateway.upstreams.port import Call
from midstream.gateway.upstreams.table import make
from midstream.recovery.policy import Policy
from tests.gateway.client import ASKED, ask
from tests.gateway.inprocess import run, settings
from tests.gateway.upstream import Answer, Asked, saying, upstream

pytestmark = pytest.mark.sockets


async def through(answer: Answer, *asking: object, **headers: str) -> tuple[object, list[Asked]]:
    async with upstream(answer) as behind:
        gateway = Gateway.build(settings(behind.url), {})
        await gateway.start()
        try:
            got = await ask(f"http://127.0.0.1:{gateway.port}", *asking, **headers)  # type: ignore[arg-type]
            await got.read()
            await got.close()
            return got, behind.asked
        finally:
            await gateway.aclose()


PASSED = [
    ("POST", "/v1/messages", {**ASKED, "stream": False}),
    ("POST", "/v1/messages", {"model": "m", "max_tokens": 1}),
    ("POST", "/v1/messages/count_tokens?beta=true", {"model": "m"}),
    ("GET", "/v1/models?limit=1000", None),
    ("GET", "/v1/messages/batches/b_1/results", None),
    ("DELETE", "/v1/files/file_1", None),
    ("POST", "/v1/files", b"--boundary\r\nnot json\r\n" + b"\x00\xff" * 40_000),
]


@pytest.mark.parametrize(("method", "path", "body"), PASSED)
def test_what_is_no_stream_goes_on_as_it_is(method: str, path: str, body: object) -> None:
    async def story() -> None:
        answer = saying(200, b'{"ok":1}', "content-type: application/json", "request-id: req_9", "x-unknown: y")
        got, asked = await through(
            answer, method, path, body, anthropic_beta="a,b", anthropic_version="2026-10-21", x_custom="1",
            authorization="Bearer key",
        )  # fmt: skip
        assert got.body == b'{"ok":1}' and got.status == 200  # type: ignore[attr-defined]
        assert got.headers["request-id"] == "req_9" and got.headers["x-unknown"] == "y"  # type: ignore[attr-defined]
        (one,) = asked
        assert one.line == f"{method} {path} HTTP/1.1"
        assert one.header("anthropic-beta") == "a,b" and one.header("x-custom") == "1"
        assert one.header("authorization") == "Bearer key"
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        assert one.body == sent
        assert one.header("content-length") == (None if body is None else str(len(sent)))
        assert one.header("transfer-encoding") is None

    run(story)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
def test_errors_come_back_unmodified(status: int) -> None:
    async def story() -> None:
        body = b'{"type":"error","error":{"type":"x","message":"exact words \xc3\xa9"},"request_id":"r"}'
        answer = saying(status, body, "content-type: application/json", "retry-after: 7")
        got, _ = await through(answer, "POST", "/v1/messages", {"model": "m"})
        assert (got.status, got.body) == (status, body)  # type: ignore[attr-defined]
        assert got.headers["retry-after"] == "7"  # type: ignore[attr-defined]

    run(story)


SAID = b'{"type":"error","error":{"type":"invalid_request_error","message":"exact words"}}'
INVOKE = ("POST", "/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke", {"max_tokens": 1})


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_compressed_error_stays_as_it_came(encoding: str) -> None:
    async def story() -> None:
        answer = saying(400, gzip.compress(SAID), "content-type: application/json", f"content-encoding: {encoding}")
        got, _ = await through(answer, "POST", "/v1/messages", {"model": "m"})
        assert got.headers["content-encoding"] == encoding  # type: ignore[attr-defined]
        assert gzip.decompress(got.body) == SAID  # type: ignore[attr-defined]

    run(story)


@pytest.mark.parametrize("compress", [False, True])
def test_a_bedrock_client_is_told_an_error_in_its_words_compressed_or_not(compress: bool) -> None:
    async def story() -> None:
        headers = ("content-type: application/json", *(("content-encoding: gzip",) if compress else ()))
        got, _ = await through(saying(400, gzip.compress(SAID) if compress else SAID, *headers), *INVOKE)
        assert got.headers["x-amzn-errortype"] == "ValidationException"  # type: ignore[attr-defined]
        assert "content-encoding" not in got.headers  # type: ignore[attr-defined]
        assert json.loads(got.body) == {"message": "exact words"}  # type: ignore[attr-defined]

    run(story)


def test_a_head_request_is_answered_by_the_upstreams_head() -> None:
    async def story() -> None:
        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 137\r\n\r\n")
            await writer.drain()

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            got = await ask(f"http://127.0.0.1:{gateway.port}", "HEAD", "/v1/models", None)
            assert (got.status, got.headers["content-length"]) == (404, "137")
            await got.close()
            await gateway.aclose()

    run(story)


def test_an_error_of_more_than_a_megabyte_goes_as_it_came() -> None:
    async def story() -> None:
        body = b"x" * (ERROR_BYTES_MAX + 1)
        got, _ = await through(saying(500, body), "GET", "/v1/models", None)
        assert (got.status, got.body) == (500, body)  # type: ignore[attr-defined]

    run(story)


def test_what_an_upstream_does_not_have_is_said_by_the_gateway() -> None:
    async def story() -> None:
        gateway = Gateway.build(settings("bedrock:us-east-1"), {})
        await gateway.start()
        got = await ask(f"http://127.0.0.1:{gateway.port}", "GET", "/v1/models", None)
        assert got.status == 404 and json.loads(await got.read())["error"]["type"] == "not_found_error"
        await got.close()
        await gateway.aclose()

    run(story)


async def send_chunks(url: str, count: int, size_bytes: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The beginning of an upload in chunks, which has no end yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"POST /v1/files HTTP/1.1\r\nhost: a\r\nx-api-key: k\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(count):
        writer.write(b"%x\r\n" % size_bytes + b"x" * size_bytes + b"\r\n")
        await writer.drain()
    return reader, writer


def test_an_upload_in_chunks_goes_on_in_chunks_to_an_upstream_that_is_slow_to_take_it() -> None:
    async def story() -> None:
        taken = asyncio.Event()

        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            assert asked.header("transfer-encoding") == "chunked" and asked.header("content-length") is None
            await saying(200, b"%d" % len(asked.body))(asked, writer)
            taken.set()

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            reader, writer = await send_chunks(f"http://127.0.0.1:{gateway.port}", 200, 65_536)
            writer.write(b"0\r\n\r\n")
            answered = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(8)
            assert answered.startswith(b"HTTP/1.1 200") and answered.endswith(b"13107200")
            assert taken.is_set()
            writer.close()
            await gateway.aclose()

    run(story)


def test_an_upload_that_breaks_off_is_no_request_upstream() -> None:
    async def story() -> None:
        async with upstream(saying(200, b"")) as behind:
            gateway = Gateway.build(settings(behind.url, body_idle_s=0.2), {})
            await gateway.start()
            reader, writer = await send_chunks(f"http://127.0.0.1:{gateway.port}", 1, 10)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 408")
            assert not behind.asked
            writer.close()
            await gateway.aclose()

    run(story)


def test_an_upload_ends_when_its_answer_is_there() -> None:
    async def story() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        gateway = Gateway.build(settings(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), {})
        await gateway.start()
        reader, writer = await send_chunks(f"http://127.0.0.1:{gateway.port}", 1, 10)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413")
        writer.write(b"a\r\n0123456789\r\n")
        assert (await reader.read()).endswith(b"{}")
        writer.close()
        server.close()
        await gateway.aclose()

    run(story)


def test_an_answer_that_the_client_is_slow_to_take_is_not_held_here() -> None:
    async def story() -> None:
        size_bytes = 64 << 20
        sent = 0

        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size_bytes)
            while sent < size_bytes:
                writer.write(b"x" * (1 << 20))
                await writer.drain()
                sent += 1 << 20

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            got = await ask(f"http://127.0.0.1:{gateway.port}", "GET", "/v1/files/f/content", None)
            before = -1
            while before != sent:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.2)
            assert sent < size_bytes // 2
            assert len(await got.read()) == size_bytes and got.whole
            await got.close()
            await gateway.aclose()

    run(story)


def test_an_answer_is_handed_on_while_it_arrives() -> None:
    async def story() -> None:
        release = asyncio.Event()

        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            await writer.drain()
            await release.wait()
            writer.write(b"6\r\nsecond\r\n0\r\n\r\n")
            await writer.drain()

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            got = await ask(f"http://127.0.0.1:{gateway.port}", "GET", "/v1/files/f/content", None)
            assert await got.read(5) == b"first" and not got.whole
            release.set()
            assert await got.read() == b"firstsecond" and got.whole
            await got.close()
            await gateway.aclose()

    run(story)


@pytest.mark.parametrize("cut", [0, 20, 60])
def test_an_answer_that_breaks_off_is_never_a_whole_one(cut: int) -> None:
    async def story() -> None:
        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly a part of it is sent"[:cut])
            await writer.drain()
            raise ConnectionError

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            got = await ask(f"http://127.0.0.1:{gateway.port}", "GET", "/v1/models", None)
            if cut < 60:
                body = json.loads(await got.read())
                assert (got.status, body["error"]["type"]) == (502, "api_error")
            else:
                with pytest.raises(asyncio.IncompleteReadError):
                    await got.read()
            await got.close()
            await gateway.aclose()

    run(story)


def test_an_upstream_that_is_not_there_is_a_502() -> None:
    async def story() -> None:
        gateway = Gateway.build(settings("http://127.0.0.1:1"), {})
        await gateway.start()
        got = await ask(f"http://127.0.0.1:{gateway.port}", "GET", "/v1/models", None)
        assert got.status == 502 and json.loads(await got.read())["error"]["type"] == "api_error"
        await got.close()
        await gateway.aclose()

    run(story)


def test_a_client_that_leaves_takes_its_request_with_it() -> None:
    async def story() -> None:
        gone = asyncio.Event()

        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            try:
                while True:
                    writer.write(b"5\r\nchunk\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.01)
            finally:
                gone.set()

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            got = await ask(f"http://127.0.0.1:{gateway.port}", "GET", "/v1/models", None)
            await got.read(5)
            await got.close()
            await asyncio.wait_for(gone.wait(), 10)
            await gateway.aclose()

    run(story)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("upstream_name", "status", "exception"),
    [("http://127.0.0.1:1", 500, "InternalServerException"), ("anthropic", 403, "AccessDeniedException")],
)
def test_a_bedrock_client_is_told_in_its_words_what_the_gateway_itself_says(
    upstream_name: str, status: int, exception: str, streamed: bool
) -> None:
    async def story() -> None:
        gateway = Gateway.build(settings(upstream_name, policy=Policy(attempts=1)), {})
        await gateway.start()
        method, path, body = INVOKE
        path += "-with-response-stream" * streamed
        signed = "AWS4-HMAC-SHA256 Credential=a/b/c/bedrock/aws4_request, SignedHeaders=host, Signature=d"
        got = await ask(f"http://127.0.0.1:{gateway.port}", method, path, body, authorization=signed)
        assert (got.status, got.headers["x-amzn-errortype"]) == (status, exception)
        assert list(json.loads(await got.read())) == ["message"]
        await got.close()
        await gateway.aclose()

    run(story)


class Still:
    """An exchange, and the body of a request, of which everything is noted and nothing sent."""

    writable = True
    on_drained: object = None

    def __init__(self) -> None:
        self.noted: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given: self.noted.append(name)

    async def chunks(self) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x"


class Wire(Still):
    """A connection to a client."""

    stays_open, backlog_bytes = True, 0


def test_an_answer_that_is_over_is_over_whatever_comes_behind_it() -> None:
    async def story() -> None:
        wire, exchange = Wire(), Still()
        call = Call("/v1/files", "", [], None, {}, "sse", False, "")
        answer = passthrough.Answer(call, make("http://127.0.0.1:1"), Response(wire))
        answer.follow(exchange)  # type: ignore[arg-type]
        answer.opened(200, [])
        answer.received(b"all")
        answer.ended()
        answer.gone()  # as from a response that refused its own headers
        assert answer.done.done() and exchange.noted == []
        await passthrough._upload(exchange, exchange, answer)  # type: ignore[arg-type]
        assert exchange.noted == []  # no byte more than was asked for

    run(story)
