"""One stream: what is asked of upstreams, and what comes into the journal."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from midstream.gateway import begun
from midstream.gateway.main import Gateway
from midstream.gateway.producer import PENDING_BYTES_MAX
from midstream.journal.port import Kind
from tests.gateway.client import ASKED, ask
from tests.gateway.inprocess import Standing, run, settings, standing
from tests.gateway.upstream import Asked, saying, upstream
from tests.wire import call, sse, start, text, whole

pytestmark = pytest.mark.sockets


async def records(st: Standing, answer: Any) -> list[Any]:
    return await st.gateway.journal.read_all(answer.headers["midstream-stream-id"])


def test_the_first_attempt_is_the_clients_request_byte_for_byte() -> None:
    async def story() -> None:
        body = json.dumps(ASKED, indent=3).encode() + b"  \n"

        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            writer.write(sse(*whole(text(0, "Hi"))))
            await writer.drain()
            raise ConnectionError

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            got = await ask(
                f"http://127.0.0.1:{gateway.port}",
                "POST",
                "/v1/messages?beta=true",
                body,
                x_own="1",
                anthropic_beta="b",
            )
            await got.read()
            (one,) = behind.asked
            assert got.whole and one.body == body
            assert one.line == "POST /v1/messages?beta=true HTTP/1.1"
            assert (one.header("x-own"), one.header("anthropic-beta"), one.header("x-api-key")) == ("1", "b", "sk-test")
            await got.close()
            await gateway.aclose()

    run(story)


def test_every_attempt_is_in_the_journal_before_what_it_shows() -> None:
    async def story() -> None:
        async with standing("cut-rst@event=20; http-529; ok") as st:
            answer = await ask(st.url)
            await answer.read()
            assert answer.whole
            found = await records(st, answer)
            kinds = [record.kind for record in found]
            assert kinds[0] is Kind.OPENED and kinds[1] is Kind.ATTEMPT and kinds[-1] is Kind.ENDED
            attempts = [begun.read(record.data) for record in found if record.kind is Kind.ATTEMPT]
            assert [attempt.plan.partition(" ")[0] for attempt in attempts] == ["first", "continue", "continue"]
            assert {attempt.upstream for attempt in attempts} == {st.faults.url}
            assert attempts[-1].slept_s > 0
            await answer.close()

    run(story)


def test_a_remote_call_is_in_the_journal_before_anybody_sees_it() -> None:
    async def story() -> None:
        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            events = [start(), *text(0, "Let me see."), *call(1, "{}", type="mcp_tool_use", server_name="m")]
            writer.write(sse(*events))
            await writer.drain()
            raise ConnectionError

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            got = await ask(f"http://127.0.0.1:{gateway.port}")
            frames = await got.frames()
            assert not got.whole and frames[-1].name == "error" and len(behind.asked) == 1
            found = await gateway.journal.read_all(got.headers["midstream-stream-id"])
            facts = [json.loads(record.data) for record in found if record.kind is Kind.FACT]
            assert [fact["fact"] for fact in facts if fact["fact"] == "mcp_call"] == ["mcp_call"]
            await got.close()
            await gateway.aclose()

    run(story)


@pytest.mark.parametrize("compress", [False, True])
def test_a_refusal_is_told_in_the_upstreams_own_words_readable(compress: bool) -> None:
    async def story() -> None:
        said = b'{"type":"error","error":{"type":"invalid_request_error","message":"exact  words"}}\n'
        headers = ["content-type: application/json", "connection: keep-alive, x-hop", "x-hop: 1"]
        body = gzip.compress(said) if compress else said
        async with upstream(saying(400, body, *headers, *["content-encoding: gzip"][:compress])) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            got = await ask(f"http://127.0.0.1:{gateway.port}")
            assert (got.status, await got.read()) == (400, said)
            assert not {"content-encoding", "x-hop", "x-should-retry"} & set(got.headers)
            await got.close()
            await gateway.aclose()

    run(story)


def test_a_bedrock_client_is_told_in_bedrocks_words_that_nobody_answers() -> None:
    async def story() -> None:
        gateway = Gateway.build(settings("http://127.0.0.1:1"), {})
        await gateway.start()
        path = "/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke-with-response-stream"
        got = await ask(f"http://127.0.0.1:{gateway.port}", "POST", path, {"max_tokens": 1, "messages": []})
        assert (got.status, got.headers["x-amzn-errortype"]) == (500, "InternalServerException")
        assert (
            got.headers["x-should-retry"] == "false"
            and "could not be reached" in json.loads(await got.read())["message"]
        )
        await got.close()
        await gateway.aclose()

    run(story)


def test_nothing_that_lets_anybody_in_is_in_the_journal() -> None:
    async def story() -> None:
        async with standing("cut-rst@event=20; ok") as st:
            answer = await ask(st.url, x_api_key="sk-very-secret", authorization="Bearer sk-other-secret")
            await answer.read()
            assert b"secret" not in b"".join(record.data for record in await records(st, answer))
            await answer.close()

    run(story)


def test_the_limit_of_what_waits_for_the_journal_is_more_than_a_chunk() -> None:
    assert PENDING_BYTES_MAX >= 256 * 1024
