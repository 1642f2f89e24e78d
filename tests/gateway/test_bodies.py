"""One bound for the requests that are in memory, of the whole gateway: who is beyond it comes back, and gets in."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from midstream.gateway.main import Gateway
from tests.gateway.client import ASKED, Answer, ask, text_of
from tests.gateway.inprocess import Standing, run, settings, standing
from tests.gateway.upstream import Asked, saying, upstream

pytestmark = pytest.mark.sockets

BIG: dict[str, Any] = {**ASKED, "system": "x" * 5_000}
BIG_BYTES = len(json.dumps(BIG))
LEAVERS = 200


def held(st: Standing) -> int:
    return st.gateway.server.bodies.held_bytes


async def nothing_held(st: Standing) -> None:
    while held(st):
        await asyncio.sleep(0.005)


async def is_beyond(answer: Answer) -> None:
    error = json.loads(await answer.read())["error"]
    await answer.close()
    assert (answer.status, error["type"], answer.headers["retry-after"]) == (503, "overloaded_error", "5")


def test_a_stream_counts_until_it_is_over_and_who_was_beyond_the_limit_gets_in_then() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.01, bodies_bytes_max=BIG_BYTES + 1_000) as st:
            first = await ask(st.url, body=BIG)
            await first.frames(2)
            assert held(st) == BIG_BYTES
            told = st.gateway.watching.metrics.exposition().decode()
            assert f"midstream_bodies_held_bytes {BIG_BYTES}.0" in told
            for path in ("/v1/messages", "/model/a.b/invoke-with-response-stream"):
                await is_beyond(await ask(st.url, path=path, body=BIG))
            assert len(st.faults.service.requests) == 1
            # What fits is served, and a reader that comes back needs no room.
            small = await ask(st.url)
            back = await ask(st.url, "GET", f"/midstream/streams/{first.headers['midstream-stream-id']}", None)
            for answer in (first, small, back):
                assert text_of(await answer.frames()) == Reply.builtin("text").text and answer.whole
                await answer.close()
            await nothing_held(st)
            again = await ask(st.url, body=BIG)
            assert text_of(await again.frames()) == Reply.builtin("text").text
            await again.close()
            told = st.gateway.watching.metrics.exposition().decode()
            assert 'midstream_requests_refused_total{status="503"} 2.0' in told
            await nothing_held(st)

    run(story)


@pytest.mark.parametrize("on_leave", ["finish", "cancel", "grace"])
def test_a_stream_that_nobody_wants_any_more_lets_its_request_go(on_leave: str) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.01, on_leave=on_leave, grace_s=0.05) as st:
            answer = await ask(st.url, body=BIG)
            await answer.frames(2)
            assert held(st) == BIG_BYTES
            await answer.close()
            await nothing_held(st)

    run(story)


def test_a_stream_that_is_adopted_counts_beyond_the_limit_too_and_the_client_comes_back_to_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with FaultServer("ok", pace_s=0.01) as faults:
            first = Gateway.build(settings(faults.url, journal=tmp_path / "j.sqlite3"), {})
            await first.start()
            answer = await ask(f"http://127.0.0.1:{first.port}", body=BIG)
            seen = await answer.frames(3)
            await first.aclose()
            await answer.close()
            second = Gateway.build(settings(faults.url, journal=tmp_path / "j.sqlite3", bodies_bytes_max=1024), {})
            await second.start()
            url, path = f"http://127.0.0.1:{second.port}", f"/midstream/streams/{answer.headers['midstream-stream-id']}"
            back = await ask(url, "GET", path, None, last_event_id=seen[-1].id)
            assert second.server.bodies.held_bytes == BIG_BYTES
            await is_beyond(await ask(url))
            assert text_of(seen + await back.frames()) == Reply.builtin("text").text
            await back.close()
            while second.server.bodies.held_bytes:
                await asyncio.sleep(0.005)
            await second.aclose()

    run(story)


def test_what_is_passed_on_whole_counts_until_it_is_answered_and_what_goes_piece_by_piece_hardly() -> None:
    async def story() -> None:
        goes_on = asyncio.Event()

        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await goes_on.wait()
            await saying(200, b"%d" % len(asked.body))(asked, writer)

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url, bodies_bytes_max=1 << 20), {})
            await gateway.start()
            url, bodies = f"http://127.0.0.1:{gateway.port}", gateway.server.bodies
            whole = {**ASKED, "stream": False, "system": "x" * 900_000}
            asking = asyncio.create_task(ask(url, body=whole))
            while not behind.asked:
                await asyncio.sleep(0.005)
            assert bodies.held_bytes == len(json.dumps(whole))
            await is_beyond(await ask(url, body=whole))
            goes_on.set()
            answered = [await asking, await ask(url, path="/v1/files", body=b"x" * (8 << 20))]
            assert [int(await each.read()) for each in answered] == [len(json.dumps(whole)), 8 << 20]
            for each in answered:
                await each.close()
            while bodies.held_bytes:
                await asyncio.sleep(0.005)
            await gateway.aclose()

    run(story)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_stays_counted_of_clients_that_break_off_at_random_moments(seed: int) -> None:
    draw = random.Random(seed)

    async def story() -> None:
        most = 12 * BIG_BYTES
        async with standing("ok", pace_s=0.002, bodies_bytes_max=most, on_leave="cancel", hold_s=5.0) as st:
            for _ in range(LEAVERS // 20):
                await asyncio.gather(*(_break_off(st, draw.random(), draw.random()) for _ in range(20)))
                assert 0 <= held(st) <= most
            await nothing_held(st)
            assert not st.gateway.hub.running
            answer = await ask(st.url, body=BIG)
            assert text_of(await answer.frames()) == Reply.builtin("text").text
            await answer.close()

    run(story)


async def _break_off(st: Standing, at: float, how: float) -> None:
    """Anywhere in the head, the body or the reply, with FIN or RST; the body as a whole or in chunks."""
    body = json.dumps(BIG).encode()
    framing = b"content-length: %d" % len(body) if how < 0.5 else b"transfer-encoding: chunked"
    path = b"/v1/files" if 0.2 < how < 0.3 or 0.7 < how < 0.8 else b"/v1/messages"
    sent = b"POST %b HTTP/1.1\r\nhost: a\r\nx-api-key: sk-test\r\n%b\r\n\r\n" % (path, framing)
    sent += body if how < 0.5 else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    _, writer = await asyncio.open_connection("127.0.0.1", st.gateway.port)
    cut = int(at * 1.3 * len(sent))
    for piece in (sent[: cut // 2], sent[cut // 2 : cut]):
        writer.write(piece)
        await asyncio.sleep(at * 0.02)
    if int(how * 100) % 2:
        writer.transport.abort()
    writer.close()
