"""The streams that run, whose they are, and what becomes of those that nobody reads."""

import asyncio

import pytest

from midstream.gateway.hub import Recent, head_of
from tests.gateway.client import ask
from tests.gateway.inprocess import run, standing

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
