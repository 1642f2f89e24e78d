"""What is asked for an attempt, and what a client is told where there is no answer to hand on."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from midstream.gateway.main import Gateway
from midstream.recovery.policy import Policy
from tests.gateway.client import ASKED, ask
from tests.gateway.inprocess import run, settings, standing
from tests.gateway.upstream import Asked, saying, upstream
from tests.wire import sse, text, whole

pytestmark = pytest.mark.sockets


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


def test_whose_credentials_are_looked_for_is_opening_and_can_be_left() -> None:
    async def story() -> None:
        async with standing() as st:
            (one,), looked_for = st.gateway.hub.routing.upstreams, asyncio.Event()

            async def request(*given: Any) -> Any:
                looked_for.set()
                await asyncio.sleep(3600)

            one.request = request  # type: ignore[method-assign]
            asking = asyncio.create_task(ask(st.url))
            await looked_for.wait()
            (stream,) = st.gateway.hub.running.values()
            producer = stream.producer
            assert producer is not None and (producer.state, producer.upstream) == ("opening", one.name)
            for _ in range(2):
                producer.cancel()
            assert not st.gateway.hub.running
            answer = await asking
            assert (await answer.frames())[-1].name == "error" and not answer.whole
            await answer.close()

    run(story)


def test_a_call_that_cannot_be_made_is_answered_as_a_service_would() -> None:
    async def story() -> None:
        gateway = Gateway.build(settings("anthropic"), {})
        await gateway.start()
        url = f"http://127.0.0.1:{gateway.port}"
        no_key = await ask(url, x_api_key="", authorization="")
        assert no_key.status == 401
        assert json.loads(await no_key.read())["error"]["type"] == "authentication_error"

        def exchange(*given: Any, **options: Any) -> Any:
            raise ValueError("a header that is none")

        gateway.hub.pool.exchange = exchange  # type: ignore[method-assign]
        unfit = await ask(url)
        assert unfit.status == 400 and "cannot be sent on" in (await unfit.read()).decode()
        for answer in (no_key, unfit):
            await answer.close()
        await gateway.aclose()

    run(story)


def test_another_attempt_is_made_when_the_journal_holds_it(tmp_path: Path) -> None:
    async def story() -> None:
        policy = Policy(attempts=2, backoff_s=(0.0, 0.001))
        async with standing("http-529; ok", journal=tmp_path / "j.sqlite3", journal_tick_s=0.05, policy=policy) as st:
            pending = []
            (one,) = st.gateway.hub.routing.upstreams
            request = one.request

            async def noted(*given: Any) -> Any:
                (stream,) = st.gateway.hub.running.values()
                assert stream.producer is not None
                pending.append(stream.producer._writer.pending_bytes)
                return await request(*given)

            one.request = noted  # type: ignore[method-assign]
            answer = await ask(st.url)
            await answer.read()
            assert answer.whole and pending[0] > 0 and pending[1:] == [0]
            await answer.close()

    run(story)
