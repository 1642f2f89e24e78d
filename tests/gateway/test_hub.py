"""The streams that run, whose they are, and what becomes of those that nobody reads."""

import asyncio
from pathlib import Path

import pytest

from midstream.faults.server import FaultServer
from midstream.gateway import opening
from midstream.gateway.asker import Asker
from midstream.gateway.boot import past_of
from midstream.gateway.hub import Recent, head_of
from midstream.gateway.main import Gateway
from midstream.journal.port import Kind, Record
from midstream.reports import Report
from tests.gateway.client import ask
from tests.gateway.inprocess import run, settings, standing

pytestmark = pytest.mark.sockets


def test_what_is_remembered_is_bounded() -> None:
    recent = Recent(3)
    for number in range(5):
        recent.add(str(number))
    assert [str(number) in recent for number in range(5)] == [False, False, True, True, True]
    recent.add("3")
    assert "2" in recent


@pytest.mark.parametrize(("id", "wire"), [("ms-1", "sse"), ("mb-1", "eventstream")])
def test_the_framing_of_a_stream_is_in_its_name(id: str, wire: str) -> None:
    assert head_of(id).wire == wire


@pytest.mark.parametrize("script", ["ok", "always http-529", "always cut-rst@event=12"])
def test_nothing_is_left_of_a_stream_that_has_ended(script: str) -> None:
    async def story() -> None:
        async with standing(script) as st:
            answer = await ask(st.url)
            await answer.read()
            await answer.close()
            hub = st.gateway.hub
            assert not hub.running and not hub.busy
            assert not hub._by_key and not hub._owners and not hub._askers

    run(story)


def test_streams_of_one_credential_hold_it_once_and_those_of_another_do_not() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.05) as st:
            answers = [await ask(st.url, x_api_key=key) for key in ("sk-one", "sk-one", "sk-two")]
            askers = [stream.asker for stream in st.gateway.hub.running.values()]
            brought = sorted(dict(asker.brought or ())[b"x-api-key"] for asker in askers)
            assert brought == [b"sk-one", b"sk-one", b"sk-two"]
            assert len({id(asker) for asker in askers}) == 2
            for answer in answers:
                await answer.read()
                await answer.close()

    run(story)


@pytest.mark.parametrize("on_leave", ["finish", "cancel", "grace"])
def test_the_upstream_is_left_when_nobody_wants_the_reply(on_leave: str) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.02, on_leave=on_leave, grace_s=0.05) as st:
            answer = await ask(st.url)
            await answer.frames(2)
            await answer.close()
            await asyncio.sleep(0.3)
            running = bool(st.gateway.hub.running)
            assert running is (on_leave == "finish")
            assert bool(st.gateway.hub.pool.connections - st.gateway.hub.pool.idle) is running

    run(story)


def test_a_stream_with_another_reader_is_not_left_alone() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.02, on_leave="cancel") as st:
            one = await ask(st.url)
            await one.frames(2)
            two = await ask(st.url, "GET", f"/midstream/streams/{one.headers['midstream-stream-id']}", None)
            await two.frames(1)
            await one.close()
            frames = await two.frames()
            assert two.whole and frames[-1].name == "message_stop"
            await two.close()

    run(story)


@pytest.mark.parametrize("limit", [{"streams_max": 1}, {"streams_per_owner_max": 1}])
def test_there_are_no_more_streams_than_the_limits_say(limit: dict[str, int]) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.02, **limit) as st:
            one = await ask(st.url)
            two, other = await ask(st.url), await ask(st.url, x_api_key="sk-other")
            assert (two.status, two.headers["retry-after"]) == (429, "1")
            assert other.status == (429 if "streams_max" in limit else 200)
            for answer in (one, two, other):
                await answer.close()

    run(story)


@pytest.mark.parametrize("how", [{"x_stainless_retry_count": "1"}, {"idempotency_key": "one"}])
def test_a_repeated_request_finds_its_stream_and_lets_it_live(how: dict[str, str]) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.02, readers_per_stream_max=1) as st:
            answer = await ask(st.url, **{name: value for name, value in how.items() if name == "idempotency_key"})
            await answer.frames(2)
            await answer.close()
            while any(stream.leaving is None for stream in st.gateway.hub.running.values()):
                await asyncio.sleep(0.01)
            back = await ask(st.url, **how)
            assert back.headers["midstream-stream-id"] == answer.headers["midstream-stream-id"]
            assert st.gateway.hub.readers == 1 and all(
                stream.leaving is None for stream in st.gateway.hub.running.values()
            )
            again = await ask(st.url, "GET", f"/midstream/streams/{back.headers['midstream-stream-id']}", None)
            assert again.status == 429  # one reader is all that it may have
            await back.read()
            ended = await ask(st.url, "GET", f"/midstream/streams/{back.headers['midstream-stream-id']}", None)
            assert (await ended.frames())[-1].name == "message_stop"
            for each in (again, back, ended):
                await each.close()

    run(story)


def test_at_the_end_of_the_process_everything_is_let_go_for_the_next_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.05, journal=tmp_path / "j.sqlite3") as st:
            left, read = await ask(st.url), await ask(st.url)
            await left.frames(2)
            await left.close()
            await read.frames(2)
            hub = st.gateway.hub
            while not any(stream.leaving for stream in hub.running.values()):
                await asyncio.sleep(0.01)
            hub.abandon()
            assert len(hub.running) == 2 and hub.readers == 0
            assert all(
                stream.leaving and stream.leaving.cancelled() for stream in hub.running.values() if stream.leaving
            )
            assert (await read.frames())[-1].name == "error" and not read.whole
            await read.close()
            assert len(await st.gateway.journal.open_streams()) == 2

    run(story)


def test_those_who_adopt_a_stream_at_once_get_the_same_one(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.05) as faults:
            first = Gateway.build(settings(faults.url, journal=path), {})
            await first.start()
            answer = await ask(f"http://127.0.0.1:{first.port}")
            await answer.frames(2)
            await first.aclose()
            await answer.close()
            second = Gateway.build(settings(faults.url, journal=path), {})
            await second.start()
            hub, (info,) = second.hub, await second.journal.open_streams()
            records = await second.journal.read_all(info.id)
            found = opening.read(records[0].data)
            assert found is not None
            call = opening.call_of(found)
            assert call is not None
            asking = [
                hub.adopt(info, found, call, past_of(records, [faults.url]), Asker(info.owner, brought=[]))
                for _ in "ab"
            ]
            one, two = await asyncio.gather(*asking)
            three = await hub.adopt(info, found, call, past_of(records, [faults.url]), Asker(info.owner, brought=[]))
            assert one is two is three and list(hub.running) == [info.id]
            await second.aclose()

    run(story)


def test_what_is_over_ends_once_and_not_before_the_journal_holds_its_end() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.02) as st:
            answer = await ask(st.url)
            await answer.frames(2)
            (stream,) = st.gateway.hub.running.values()
            await answer.read()
            hub = st.gateway.hub
            assert not hub.running
            hub.ended(stream, Report("complete"))  # once more, and nothing happens
            hub._closing[stream.id] = stream
            stream.told([Record(Kind.SHOWN, b"x", 1, 1)])
            assert hub.find_running(stream.id, stream.asker.owner) is stream
            del hub._closing[stream.id]
            await answer.close()

    run(story)


def test_who_still_reads_a_stream_that_is_over_is_told_of_the_end_too() -> None:
    async def story() -> None:
        async with standing() as st:
            answer = await ask(st.url)
            await answer.read()
            read, asked_for = st.gateway.journal.read, asyncio.Event()

            async def slow(id: str, after: int, bytes_max: int) -> list[Record]:
                asked_for.set()
                await asyncio.sleep(0.05)
                return await read(id, after, bytes_max)

            st.gateway.journal.read = slow  # type: ignore[method-assign]
            back = await ask(st.url, "GET", f"/midstream/streams/{answer.headers['midstream-stream-id']}", None)
            await asked_for.wait()
            assert st.gateway.hub.busy and st.gateway.hub.readers == 1
            st.gateway.hub.abandon()
            assert [frame.name for frame in await back.frames()] == ["error"] and not back.whole
            assert not st.gateway.hub.busy
            for each in (answer, back):
                await each.close()

    run(story)
