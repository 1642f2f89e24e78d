"""The data plane: who gets what, and who gets nothing."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.client import ASKED, ask
from tests.gateway.inprocess import run, standing

pytestmark = pytest.mark.sockets


async def refused(url: str, *asking: Any, **headers: Any) -> tuple[int, dict[str, Any]]:
    answer = await ask(url, *asking, **headers)
    body = json.loads(await answer.read())
    await answer.close()
    assert body["type"] == "error" and body["error"]["message"]
    return answer.status, body["error"]


def test_a_probe_is_answered() -> None:
    async def story() -> None:
        async with standing() as st:
            for method in ("GET", "HEAD"):
                answer = await ask(st.url, method, "/", None)
                assert answer.status == 200
                await answer.close()

    run(story)


@pytest.mark.parametrize(
    ("asking", "status"),
    [
        (("POST", "/v1/messages", b"{"), 400),
        (("POST", "/v1/messages", b"[]"), 400),
        (("POST", "/v1/messages", b"\xff"), 400),
        (("POST", "/v1/messages", b""), 400),
        (("GET", "/nothing", None), 404),
        (("GET", "/v1/../etc/passwd", None), 400),
        (("GET", "/midstream/streams/ms-00000000000000000000000000000000", None), 404),
        (("GET", "/midstream/streams/x", None), 404),
        (("DELETE", "/midstream/streams/ms-00000000000000000000000000000000", None), 404),
        (("POST", "/midstream/streams/ms-00000000000000000000000000000000", b"{}"), 405),
    ],
)
def test_a_malformed_request_gets_the_apis_envelope(asking: Any, status: int) -> None:
    async def story() -> None:
        async with standing() as st:
            assert (await refused(st.url, *asking))[0] == status
            assert not st.faults.service.requests

    run(story)


@pytest.mark.parametrize("body", [b"{}", b" { }\n"])
def test_an_empty_object_is_the_upstreams_to_refuse(body: bytes) -> None:
    async def story() -> None:
        async with standing() as st:
            answer = await ask(st.url, "POST", "/v1/messages", body)
            await answer.close()
            assert len(st.faults.service.requests) == 1

    run(story)


def test_a_body_over_the_limit_is_refused() -> None:
    async def story() -> None:
        async with standing(body_bytes_max=2000) as st:
            status, error = await refused(st.url, "POST", "/v1/messages", {**ASKED, "system": "x" * 3000})
            assert (status, error["type"]) == (413, "request_too_large")

    run(story)


@pytest.mark.parametrize("limit", [{"streams_max": 1}, {"streams_per_owner_max": 1}])
def test_streams_over_the_limit_get_a_429(limit: dict[str, int]) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.02, **limit) as st:
            one = await ask(st.url)
            await one.frames(1)
            status, error = await refused(st.url)
            assert (status, error["type"]) == (429, "rate_limit_error")
            other = await ask(st.url, x_api_key="other")
            assert other.status == (429 if "streams_max" in limit else 200)
            await one.read()
            await other.close()
            again = await ask(st.url)
            assert again.status == 200
            await again.close()
            await one.close()

    run(story)


def test_readers_over_the_limit_get_a_429() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.02, readers_per_stream_max=2) as st:
            one = await ask(st.url)
            await one.frames(1)
            path = f"/midstream/streams/{one.headers['midstream-stream-id']}"
            two = await ask(st.url, "GET", path, None)
            assert two.status == 200
            assert (await refused(st.url, "GET", path, None))[0] == 429
            await one.close()
            await two.close()

    run(story)


def tokens_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.toml"
    digests = {name: hashlib.sha256(f"token-of-{name}-0123456789".encode()).hexdigest() for name in ("ann", "bob")}
    path.write_text("".join(f'[[token]]\nname = "{name}"\nsha256 = "{digest}"\n' for name, digest in digests.items()))
    path.chmod(0o600)
    return path


def test_with_tokens_the_gateway_asks_with_its_own_credentials(tmp_path: Path) -> None:
    async def story() -> None:
        changes = {"tokens": tokens_file(tmp_path)}
        async with standing("ok", environ={"ANTHROPIC_API_KEY": "sk-own"}, **changes) as st:
            for headers in ({"x_api_key": "wrong"}, {"authorization": "Bearer wrong"}, {"x_api_key": "sk-own"}):
                status, error = await refused(st.url, **headers)
                assert (status, error["type"]) == (401, "authentication_error")
            for headers in (
                {"x_api_key": "token-of-ann-0123456789"},
                {"authorization": "Bearer token-of-bob-0123456789"},
            ):
                answer = await ask(st.url, **headers)
                assert answer.status == 200
                await answer.read()
                await answer.close()
            sent = [attempt.headers for attempt in st.faults.service.requests]
            assert len(sent) == 2
            assert all("token-of" not in repr(headers) and "sk-own" in repr(headers) for headers in sent)

    run(story)


def test_with_tokens_a_stream_belongs_to_the_name(tmp_path: Path) -> None:
    async def story() -> None:
        changes = {"tokens": tokens_file(tmp_path)}
        async with standing("ok", environ={"ANTHROPIC_API_KEY": "sk-own"}, **changes) as st:
            answer = await ask(st.url, x_api_key="token-of-ann-0123456789")
            await answer.read()
            path = f"/midstream/streams/{answer.headers['midstream-stream-id']}"
            assert (await refused(st.url, "GET", path, None, x_api_key="token-of-bob-0123456789"))[0] == 404
            own = await ask(st.url, "GET", path, None, authorization="Bearer token-of-ann-0123456789")
            assert own.status == 200
            await own.close()
            await answer.close()

    run(story)


def test_a_stream_that_runs_cannot_be_removed_by_others_and_ends_when_its_owner_removes_it() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.02) as st:
            answer = await ask(st.url)
            await answer.frames(2)
            path = f"/midstream/streams/{answer.headers['midstream-stream-id']}"
            assert (await refused(st.url, "DELETE", path, None, x_api_key="other"))[0] == 404
            removed = await ask(st.url, "DELETE", path, None)
            assert removed.status == 204
            await asyncio.sleep(0.05)
            assert not st.gateway.hub.running
            await answer.read()
            assert not answer.whole
            await removed.close()
            await answer.close()

    run(story)


@pytest.mark.parametrize(
    ("headers", "own"),
    [({}, True), ({"origin": "https://example.com"}, False), ({"host": "rebound.example.com"}, False)],
)
def test_a_web_page_does_not_get_the_gateways_own_credentials(headers: dict[str, str], own: bool) -> None:
    async def story() -> None:
        async with standing("ok", environ={"ANTHROPIC_API_KEY": "sk-own"}) as st:
            answer = await ask(st.url, x_api_key="", authorization="", **headers)
            (attempt,) = st.faults.service.requests
            assert ("sk-own" in repr(attempt.headers)) is own
            await answer.close()

    run(story)
