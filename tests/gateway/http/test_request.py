"""The body of a request, as its reader gets it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from midstream.gateway.http.limits import BadRequest, BodyTimeout, BodyTooLarge, ClientGone, Limits
from midstream.gateway.http.parser import Head
from midstream.gateway.http.request import BODY_HELD_BYTES_MAX, Request


class Wire:
    """A source that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def invite(self) -> None:
        self.asked.append("invite")

    def hold_back(self) -> None:
        self.asked.append("hold back")

    def read_on(self) -> None:
        self.asked.append("read on")


def make(limits: Limits | None = None, *, length: int | None = None, expects: bool = False) -> tuple[Request, Wire]:
    wire = Wire()
    head = Head("POST", "/a%2fb/?c=d?e", [(b"host", b"a")], False, length, length is None, True, expects)
    return Request(head, wire, limits or Limits(), "127.0.0.1"), wire


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 10))


def test_a_request_is_what_its_head_says() -> None:
    request, _ = make(length=3)
    assert (request.method, request.target) == ("POST", "/a%2fb/?c=d?e")
    assert (request.path, request.query) == ("/a%2fb/", "c=d?e")
    assert (request.headers, request.http_1_0, request.content_length) == ([(b"host", b"a")], False, 3)
    assert request.peer == "127.0.0.1"


def test_a_body_is_whole_however_it_came() -> None:
    async def story() -> None:
        request, _ = make()
        request.arrived(b"ab")
        reading = asyncio.ensure_future(request.body(10))
        await asyncio.sleep(0)
        for piece in (b"c", b"d"):
            request.arrived(piece)
            await asyncio.sleep(0)
        request.arrived(b"ef")
        request.finished()
        assert await reading == b"abcdef"
        # There is no more of it, and nobody waits.
        assert await request.body(10) == b""

    run(story)


def test_a_body_that_is_none_is_empty_at_once() -> None:
    async def story() -> None:
        request, wire = make(expects=True)
        request.finished()
        assert await request.body(10) == b""
        assert [part async for part in request.chunks()] == []
        assert wire.asked == []

    run(story)


def test_chunks_come_as_they_arrive() -> None:
    async def story() -> None:
        request, _ = make()
        seen = []
        request.arrived(b"ab")
        async for part in request.chunks():
            seen.append(part)
            if len(seen) == 1:
                request.arrived(b"c")
                request.arrived(b"d")
            elif len(seen) == 2:
                asyncio.get_running_loop().call_soon(request.finished)
        assert seen == [b"ab", b"cd"]

    run(story)


def test_a_client_that_asks_is_invited_once_and_only_when_the_body_is_wanted() -> None:
    async def story() -> None:
        request, wire = make(expects=True, length=2)
        reading = asyncio.ensure_future(request.body(10))
        await asyncio.sleep(0)
        assert wire.asked == ["invite"]
        request.arrived(b"a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        request.arrived(b"b")
        request.finished()
        assert await reading == b"ab"
        assert wire.asked == ["invite"]

    run(story)


def test_nobody_is_invited_to_send_what_is_too_large_or_has_come() -> None:
    async def story() -> None:
        request, wire = make(expects=True, length=11)
        with pytest.raises(BodyTooLarge):
            await request.body(10)
        eager, its_wire = make(expects=True, length=2)
        eager.arrived(b"a")
        reading = asyncio.ensure_future(eager.body(10))
        await asyncio.sleep(0)
        eager.arrived(b"b")
        eager.finished()
        assert await reading == b"ab"
        assert wire.asked == its_wire.asked == []

    run(story)


def test_a_body_in_chunks_is_as_large_as_the_limit_at_most() -> None:
    async def story() -> None:
        for size, fits in ((10, True), (11, False)):
            request, _ = make()
            request.arrived(b"a" * size)
            request.finished()
            if fits:
                assert len(await request.body(10)) == 10
            else:
                with pytest.raises(BodyTooLarge, match="10 bytes"):
                    await request.body(10)

    run(story)


def test_a_client_is_held_back_until_its_body_is_read() -> None:
    async def story() -> None:
        request, wire = make()
        request.arrived(b"a" * BODY_HELD_BYTES_MAX)
        assert wire.asked == []
        request.arrived(b"b")
        request.arrived(b"c")
        assert wire.asked == ["hold back"]
        chunks = request.chunks()
        assert len(await anext(chunks)) == BODY_HELD_BYTES_MAX + 2
        assert wire.asked == ["hold back", "read on"]
        request.arrived(b"a")
        assert await anext(chunks) == b"a"
        assert wire.asked == ["hold back", "read on"]

    run(story)


def test_a_body_that_stands_still_is_not_waited_for() -> None:
    async def story() -> None:
        request, _ = make(Limits(body_idle_s=0.02, body_total_s=100))
        request.arrived(b"a")
        with pytest.raises(BodyTimeout):
            await request.body(10)

    run(story)


def test_a_body_that_trickles_has_an_end() -> None:
    async def story() -> None:
        request, _ = make(Limits(body_idle_s=100, body_total_s=0.1))

        async def trickle() -> None:
            while True:
                request.arrived(b"a")
                await asyncio.sleep(0.005)

        trickling = asyncio.ensure_future(trickle())
        with pytest.raises(BodyTimeout):
            await request.body(1 << 20)
        trickling.cancel()

    run(story)


@pytest.mark.parametrize("problem", [ClientGone("gone"), BadRequest("no")], ids=repr)
def test_who_reads_is_told_why_the_body_will_not_come(problem: Exception) -> None:
    async def story() -> None:
        request, _ = make()
        asyncio.get_running_loop().call_soon(request.fail, problem)
        with pytest.raises(type(problem)):
            await request.body(10)
        # And again, and the first reason stays.
        request.fail(BodyTimeout())
        with pytest.raises(type(problem)):
            await anext(request.chunks())

    run(story)


def test_what_came_whole_cannot_fail_any_more() -> None:
    async def story() -> None:
        request, _ = make()
        request.arrived(b"abc")
        request.finished()
        request.fail(ClientGone("gone"))
        assert await request.body(10) == b"abc"

    run(story)


def test_a_reader_that_is_cancelled_leaves_nothing_behind() -> None:
    async def story() -> None:
        request, _ = make(Limits(body_idle_s=0.02))
        reading = asyncio.ensure_future(request.body(10))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await asyncio.sleep(0.05)
        request.arrived(b"abc")
        request.finished()
        assert await request.body(10) == b"abc"

    run(story)
