"""The data plane: who gets what, and who gets nothing."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from midstream.faults.server import FaultServer
from midstream.gateway.main import Gateway
from midstream.journal.port import Info
from tests.gateway.client import ASKED, ask
from tests.gateway.inprocess import run, settings, standing
from tests.gateway.upstream import saying, upstream

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


BEDROCK = "/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke"


@pytest.mark.parametrize(
    ("asking", "line"),
    [
        (("GET", "/v1/models?limit=3", None), "GET /v1/models"),
        (("POST", "/v1/messages", {"model": "m", "messages": []}), "POST /v1/messages"),
        (("POST", BEDROCK, {"max_tokens": 1, "messages": []}), "POST /v1/messages"),
    ],
)
def test_what_is_no_stream_is_handed_on(asking: Any, line: str) -> None:
    async def story() -> None:
        async with upstream(saying(200, b'{"a": 1}')) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            answer = await ask(f"http://127.0.0.1:{gateway.port}", *asking)
            assert (answer.status, await answer.read()) == (200, b'{"a": 1}')
            assert behind.asked[0].line.startswith(line)
            await answer.close()
            await gateway.aclose()

    run(story)


def test_an_upstream_that_must_know_the_body_is_handed_it_whole() -> None:
    async def story() -> None:
        async with upstream(saying(200, b'{"input_tokens": 1}')) as behind:
            table = {behind.url: {"models": {"mine": "theirs"}}}
            gateway = Gateway.build(settings(behind.url, upstreams=table), {})
            await gateway.start()
            url = f"http://127.0.0.1:{gateway.port}"
            answer = await ask(url, "POST", "/v1/messages/count_tokens", {"model": "mine"})
            assert answer.status == 200 and json.loads(behind.asked[0].body) == {"model": "theirs"}
            await answer.close()
            await gateway.aclose()

    run(story)


@pytest.mark.parametrize("how", [{"idempotency_key": "a"}, {"x_stainless_retry_count": "2"}])
def test_a_request_that_comes_again_gets_its_stream_running_or_held_or_a_new_one(how: dict[str, str]) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.01, on_leave="finish", readers_per_stream_max=1) as st:
            first = await ask(st.url, **{name: value for name, value in how.items() if name == "idempotency_key"})
            await first.frames(2)
            if "idempotency_key" in how:
                assert (await refused(st.url, **how))[0] == 429  # it has the one reader that it may have
            await first.close()
            while st.gateway.hub.readers:
                await asyncio.sleep(0.01)
            running = await ask(st.url, **how)
            await running.frames(2)
            await running.close()
            while st.gateway.hub.running:
                await asyncio.sleep(0.01)
            held, new = await ask(st.url, **how), None
            assert (await held.frames())[-1].name == "message_stop"
            new = await ask(st.url, **how)
            ids = [answer.headers["midstream-stream-id"] for answer in (first, running, held, new)]
            assert ids[0] == ids[1] == ids[2] != ids[3]
            for answer in (held, new):
                await answer.close()

    run(story)


def test_a_place_behind_the_end_is_refused_running_or_not() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.01) as st:
            answer = await ask(st.url)
            await answer.frames(2)
            path = f"/midstream/streams/{answer.headers['midstream-stream-id']}"
            for after, status in (("999999", 400), ("x", 400)):
                assert (await refused(st.url, "GET", path, None, last_event_id=after))[0] == status
            whole = await answer.frames()
            for after, status in ((str(len(whole) + 1), 400), ("9" * 18, 400)):
                assert (await refused(st.url, "GET", path, None, last_event_id=after))[0] == status
            again = await ask(st.url, "GET", path, None, last_event_id=str(len(whole)))
            assert await again.frames() == [] and again.whole
            removed = await ask(st.url, "DELETE", path, None)
            assert removed.status == 204
            for each in (again, removed, answer):
                await each.close()

    run(story)


@pytest.mark.parametrize("ended", [False, True])
def test_a_stream_whose_rest_is_lost_is_gone_and_one_that_nobody_can_continue_ends(ended: bool) -> None:
    async def story() -> None:
        async with standing() as st:
            journal, owner = st.gateway.journal, st.gateway.plane.owners.owner_of_headers([(b"x-api-key", b"sk-test")])
            id = f"ms-{0:032}"
            journal.create(id, owner=owner, key=b"k", created_at=1.0, opening=b"no opening")
            answer = await ask(st.url, "GET", f"/midstream/streams/{id}", None)
            frames = await answer.frames()
            assert [frame.name for frame in frames] == ["error"] and not answer.whole
            await answer.close()
            info = await journal.find(id)
            assert info is not None

            async def find(id: str) -> Info:
                return msgspec.structs.replace(info, lossy=True, ended=ended)

            journal.find = find  # type: ignore[method-assign]
            status, error = await refused(st.url, "GET", f"/midstream/streams/{id}", None)
            assert (status, error["type"]) == (410, "not_found_error")

    run(story)


def test_a_stream_that_is_still_being_written_is_not_removed_yet() -> None:
    async def story() -> None:
        async with standing() as st:
            journal, owner = st.gateway.journal, st.gateway.plane.owners.owner_of_headers([(b"x-api-key", b"sk-test")])
            journal.create(f"ms-{0:032}", owner=owner, key=b"k", created_at=1.0, opening=b"")
            assert (await refused(st.url, "DELETE", f"/midstream/streams/ms-{0:032}", None))[0] == 409

    run(story)


def test_who_comes_back_to_the_next_process_goes_on_there(tmp_path: Path) -> None:
    async def story() -> None:
        async with FaultServer("ok", pace_s=0.01) as faults:
            answers = []
            for method, path in (("POST", "/v1/messages"), ("GET", "")):
                gateway = Gateway.build(settings(faults.url, journal=tmp_path / "j.sqlite3"), {})
                await gateway.start()
                url = f"http://127.0.0.1:{gateway.port}"
                path = path or f"/midstream/streams/{answers[0].headers['midstream-stream-id']}"
                answers.append(await ask(url, method, path, ASKED if method == "POST" else None))
                await answers[-1].frames(5 if method == "POST" else None)
                await gateway.aclose()
            assert answers[1].whole
            for answer in answers:
                await answer.close()

    run(story)
