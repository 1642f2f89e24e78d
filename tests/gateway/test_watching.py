"""What is told of the gateway, and what the second port is told when it asks."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

from midstream.faults.server import FaultServer
from midstream.gateway.log import Log
from midstream.gateway.main import Gateway
from midstream.gateway.schema import Address
from midstream.gateway.view import Open
from tests.gateway.client import ask
from tests.gateway.inprocess import run, settings, standing

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
        async with standing("cut-rst@event=20; ok", pace_s=0.005) as st:
            answer = await ask(st.url)
            await answer.frames(2)
            back = await ask(st.url, "GET", f"/midstream/streams/{answer.headers['midstream-stream-id']}", None)
            await answer.read()
            for each in (answer, back):
                await each.close()
            refused = await ask(st.url, "GET", "/nothing", None)
            await refused.close()
            text = st.gateway.watching.metrics.exposition().decode()
            assert 'midstream_streams_ended_total{outcome="complete"} 1.0' in text
            assert 'midstream_recoveries_total{kind="disconnected",plan="continue"} 1.0' in text
            assert "midstream_silence_seconds_count 1.0" in text
            assert 'midstream_readers_reattached_total{how="id"} 1.0' in text
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


def watching_of(**changes: Any) -> tuple[Gateway, io.StringIO]:
    """A gateway that is not started yet, and what its log will say."""
    gateway, told = Gateway.build(settings("http://127.0.0.1:1", **changes), {}), io.StringIO()
    gateway.watching.log = Log("json", told)
    return gateway, told


def test_what_is_doubtful_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        tokens = tmp_path / "tokens.toml"
        tokens.write_text('[[token]]\nname = "a"\ntoken = "0123456789abcdef"')
        tokens.chmod(0o644)
        monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
        monkeypatch.setattr("midstream.gateway.watching.raise_file_limit", lambda streams_max: "too few files")
        gateway, told = watching_of(tokens=tokens, otel=True)
        await gateway.start()
        gateway.reload()
        await gateway.aclose()
        lines = [json.loads(line) for line in told.getvalue().splitlines()]
        events = [line["event"] for line in lines]
        assert events == ["warning"] * 3 + ["started", "tokens_read", "warning", "stopped"]
        assert "0123456789abcdef" not in told.getvalue()

    run(story)


def test_what_another_process_left_is_told_when_it_is_adopted(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.05) as faults:
            first = Gateway.build(settings(faults.url, journal=path), {"ANTHROPIC_API_KEY": "sk-own"})
            await first.start()
            answer = await ask(f"http://127.0.0.1:{first.port}", x_api_key="", authorization="")
            await answer.frames(2)
            await first.aclose()
            await answer.close()
            second, told = watching_of(journal=path)
            await second.start()
            assert '"event": "adopted", "streams": 1' in told.getvalue()
            await second.aclose()
            assert '"event": "stopped", "streams_left": 1' in told.getvalue()

    run(story)


def test_before_it_is_started_there_is_nothing_to_tell() -> None:
    async def story() -> None:
        gateway, told = watching_of()
        assert list(gateway.watching.streams()) == [] and gateway.watching.open_counts() == Open()
        gateway.reload()  # no tokens, nothing to read again
        await gateway.watching.aclose()
        assert told.getvalue() == ""

    run(story)
