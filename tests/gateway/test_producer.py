"""One stream: what is asked of upstreams, and what comes into the journal."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from midstream.faults.reply import Reply
from midstream.gateway import begun, opening
from midstream.gateway.main import Gateway
from midstream.gateway.producer import PENDING_BYTES_MAX
from midstream.gateway.upstreams.port import Call
from midstream.journal.port import Kind
from midstream.recovery.policy import Policy
from tests.gateway.client import ASKED, ask, text_of
from tests.gateway.inprocess import Standing, run, settings, standing
from tests.gateway.upstream import Answer, Asked, saying, upstream
from tests.wire import call, sse, start, text, whole

pytestmark = pytest.mark.sockets


async def records(st: Standing, answer: Any) -> list[Any]:
    return await st.gateway.journal.read_all(answer.headers["midstream-stream-id"])


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


def sent(body: bytes, *headers: str) -> Answer:
    """A whole answer that says of itself what is not true."""
    return saying(200, body, "content-type: text/event-stream", *headers)


REPLY = sse(*whole(text(0, "Hi")))


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        (REPLY, "rot13", "content-encoding"),
        (REPLY, "gzip", "decoded"),
        (gzip.compress(REPLY)[:-6], "gzip", "decoded"),
    ],
)
def test_what_is_not_encoded_as_it_says_is_a_failure_like_a_cut(body: bytes, encoding: str, said: str) -> None:
    async def story() -> None:
        async with upstream(sent(body, f"content-encoding: {encoding}")) as behind:
            gateway = Gateway.build(settings(behind.url, policy=Policy(attempts=2, backoff_s=(0.0, 0.001))), {})
            await gateway.start()
            got = await ask(f"http://127.0.0.1:{gateway.port}")
            frames = await got.frames() if got.status == 200 else []
            assert got.status == 502 or not got.whole or frames[-1].name == "message_stop"
            assert len(behind.asked) >= (1 if frames else 2)
            await got.close()
            await gateway.aclose()

    run(story)


def test_a_stream_says_in_a_word_what_it_waits_for() -> None:
    async def story() -> None:
        scripts = {"waiting": "silence@event=0", "showing": "silence@event=9", "sleeping": "always http-529"}
        for word, script in scripts.items():
            async with standing(script, policy=Policy(backoff_s=(5.0, 5.0)), early_s=0.0) as st:
                answer, state = await ask(st.url), ""
                while state != word:
                    await asyncio.sleep(0.005)
                    (stream,) = st.gateway.hub.running.values()
                    assert stream.producer is not None
                    state = stream.producer.state
                await answer.close()

    run(story)


def test_an_upstream_is_not_read_from_while_too_much_waits_for_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.setattr("midstream.gateway.producer.PENDING_BYTES_MAX", 200)
        policy = Policy(silence_s=0.1, silence_after_pings_s=0.1, progress_s=0.1, progress_slow_s=0.1, first_event_s=9)
        words = set()
        path = tmp_path / "j.sqlite3"
        async with standing("ok", journal=path, journal_tick_s=0.3, policy=policy) as st:
            asking = asyncio.create_task(ask(st.url))
            while not asking.done() or st.gateway.hub.running:
                words |= {stream.producer.state for stream in st.gateway.hub.running.values() if stream.producer}
                await asyncio.sleep(0.005)
            answer = await asking
            frames = await answer.frames()
            # The upstream was not silent: nobody listened. So no attempt was made but the first.
            assert answer.whole and frames[-1].name == "message_stop" and len(st.faults.requests) == 1
            assert "waiting for the journal" in words
            await answer.close()

    run(story)


@pytest.mark.parametrize("shown", [b"", b"id: 1\n" + sse(*text(0, "no message before it"))])
def test_what_another_process_left_goes_on_or_ends_in_an_error(tmp_path: Path, shown: bytes) -> None:
    async def story() -> None:
        async with standing(journal=tmp_path / "j.sqlite3") as st:
            call = Call("/v1/messages", "", [], json.dumps(ASKED).encode(), ASKED, "sse", True, "claude-sonnet-5-5")
            data = opening.write(call, signed=False, own_credentials=False)
            owner = st.gateway.plane.owners.owner_of_headers([(b"x-api-key", b"sk-test")])
            id = f"ms-{0:032}"
            writer = st.gateway.journal.create(id, owner=owner, key=b"k", created_at=1.0, opening=data)
            writer.append(Kind.ATTEMPT, begun.write(begun.Attempt(st.faults.url, "first")))
            if shown:
                writer.append(Kind.SHOWN, shown, 1)
            while writer.pending_bytes:
                await asyncio.sleep(0.005)
            answer = await ask(st.url, "GET", f"/midstream/streams/{id}", None)
            frames = await answer.frames()
            assert (answer.whole, frames[-1].name) == ((False, "error") if shown else (True, "message_stop"))
            await answer.close()

    run(story)


def test_a_comment_is_no_frame_and_events_that_come_one_by_one_are_the_same_as_all_at_once() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.002) as st:
            paced = await ask(st.url)
            frames = await paced.frames()
            assert paced.whole and text_of(frames) == Reply.builtin("text").text
            await paced.close()

        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            for part in (b": a comment\n\n", REPLY[:40], REPLY[40:]):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)
            raise ConnectionError

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            got = await ask(f"http://127.0.0.1:{gateway.port}")
            others = await got.frames()
            assert got.whole and text_of(others) == "Hi" and b": a comment" in got.body
            await got.close()
            await gateway.aclose()

    run(story)
