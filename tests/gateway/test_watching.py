"""What is told of the gateway, and what the second port is told when it asks."""

import asyncio
import io
import json

import pytest

from midstream.gateway.log import Log
from midstream.gateway.schema import Address
from tests.gateway.client import ask
from tests.gateway.inprocess import run, standing

pytestmark = pytest.mark.sockets


def test_a_recovered_stream_is_told_in_two_lines_without_contents() -> None:
    async def story() -> None:
        async with standing("cut-rst@event=20; ok") as st:
            told = io.StringIO()
            st.gateway.watching.log = Log("json", told)
            answer = await ask(st.url, x_api_key="sk-secret")
            await answer.read()
            lines = [json.loads(line) for line in told.getvalue().splitlines()]
            assert [line["event"] for line in lines] == ["recovery", "stream_ended"]
            assert lines[0]["plan"] == "continue" and lines[0]["after"] == "disconnected"
            assert lines[1]["outcome"] == "complete" and lines[1]["attempts"] == 2
            assert {line["stream"] for line in lines} == {answer.headers["midstream-stream-id"]}
            assert "secret" not in told.getvalue() and "Tell me" not in told.getvalue()
            await answer.close()

    run(story)


def test_the_second_port_tells_of_the_first() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.02, control_listen=Address("127.0.0.1", 0)) as st:
            answer = await ask(st.url)
            await answer.frames(3)
            url = f"http://{st.gateway.watching.control}"
            for path, wanted in (("/healthz", 200), ("/readyz", 200), ("/streams", 200), ("/metrics", 200)):
                got = await ask(url, "GET", path, None)
                body = (await got.read()).decode()
                assert got.status == wanted, path
                await got.close()
                if path == "/streams":
                    (stream,) = json.loads(body)["streams"]
                    assert stream["id"] == answer.headers["midstream-stream-id"]
                    assert (stream["readers"], stream["attempts"], stream["state"]) == (1, 1, "showing")
                if path == "/metrics":
                    assert "midstream_streams_open 1.0" in body and "midstream_readers_open 1.0" in body
            st.gateway.watching.draining = True
            got = await ask(url, "GET", "/readyz", None)
            assert got.status == 503 and "draining" in (await got.read()).decode()
            await got.close()
            await answer.close()

    run(story)


def test_what_happened_is_counted() -> None:
    async def story() -> None:
        async with standing("cut-rst@event=20; ok") as st:
            answer = await ask(st.url)
            await answer.read()
            await answer.close()
            refused = await ask(st.url, "GET", "/nothing", None)
            await refused.close()
            text = st.gateway.watching.metrics.exposition().decode()
            assert 'midstream_streams_ended_total{outcome="complete"} 1.0' in text
            assert 'midstream_recoveries_total{kind="disconnected",plan="continue"} 1.0' in text
            assert "midstream_silence_seconds_count 1.0" in text
            assert 'midstream_requests_refused_total{status="404"} 1.0' in text
            begin = 'midstream_bytes_total{direction="to_clients"'
            sent = next(line for line in text.splitlines() if line.startswith(begin))
            assert float(sent.split()[-1]) >= len(answer.body)

    run(story)


def test_an_upstream_that_may_be_asked_again_does_not_keep_the_gateway_unready() -> None:
    async def story() -> None:
        async with standing(breaker_failures=1, breaker_open_s=0.2) as st:
            watching, (breaker,) = st.gateway.watching, st.gateway.hub.routing.breakers
            breaker.failed(asyncio.get_running_loop().time())
            assert list(watching.breakers().values()) == ["open"]
            await asyncio.sleep(0.3)
            assert list(watching.breakers().values()) == ["half_open"]

    run(story)
