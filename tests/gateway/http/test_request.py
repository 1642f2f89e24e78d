"""The body of a request, as its reader gets it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from midstream.gateway.http.bodies import Bodies
from midstream.gateway.http.limits import BadRequest, BodyTimeout, BodyTooLarge, ClientGone, Limits, TooManyBodies
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


def make(
    limits: Limits | None = None, *, length: int | None = None, expects: bool = False, bodies: Bodies | None = None
) -> tuple[Request, Wire]:
    wire = Wire()
    head = Head("POST", "/a%2fb/?c=d?e", [(b"host", b"a")], False, length, length is None, True, expects)
    return Request(head, wire, limits or Limits(), bodies or Bodies(1 << 20), "127.0.0.1"), wire


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


def test_a_body_is_counted_from_its_arrival_until_its_handler_is_done() -> None:
    async def story() -> None:
        bodies = Bodies(10)
        request, _ = make(bodies=bodies)
        request.arrived(b"abcd")
        request.arrived(b"ef")
        request.finished()
        assert bodies.held_bytes == 6
        assert await request.body(10) == b"abcdef"
        assert bodies.held_bytes == 6
        request.close()
        assert bodies.held_bytes == 0

    run(story)


def test_a_piece_is_counted_until_the_next_one_is_asked_for() -> None:
    async def story() -> None:
        bodies = Bodies(10)
        request, _ = make(bodies=bodies)
        request.arrived(b"abcd")
        chunks = request.chunks()
        assert await anext(chunks) == b"abcd"
        assert bodies.held_bytes == 4
        asyncio.get_running_loop().call_soon(request.arrived, b"ef")
        assert await anext(chunks) == b"ef"
        assert bodies.held_bytes == 2
        # Who stops in the middle has nothing of it any more, whenever the iterator is thrown away.
        request.close()
        await chunks.aclose()  # type: ignore[attr-defined]
        assert bodies.held_bytes == 0

    run(story)


def test_who_works_on_a_piece_when_the_next_one_is_refused_lets_it_go_once() -> None:
    async def story() -> None:
        bodies = Bodies(10)
        request, _ = make(bodies=bodies)
        request.arrived(b"a" * 6)
        chunks = request.chunks()
        assert await anext(chunks) == b"a" * 6
        request.arrived(b"b" * 5)
        with pytest.raises(TooManyBodies):
            await anext(chunks)
        request.close()
        assert bodies.held_bytes == 0

    run(story)


def test_who_is_beyond_the_limit_of_all_hears_so_and_what_comes_behind_is_not_held() -> None:
    async def story() -> None:
        bodies = Bodies(10)
        announced, wire = make(length=11, expects=True, bodies=bodies)
        with pytest.raises(TooManyBodies):
            await announced.body(100)
        assert wire.asked == []
        request, _ = make(bodies=bodies)
        request.arrived(b"a" * 6)
        request.arrived(b"b" * 5)
        request.arrived(b"c")
        # So that nobody else who arrives in this moment has to fail, too.
        assert bodies.held_bytes == 0
        with pytest.raises(TooManyBodies):
            await request.body(100)
        request.close()
        assert bodies.held_bytes == 0

    run(story)


def test_what_has_arrived_already_is_not_counted_twice() -> None:
    async def story() -> None:
        request, _ = make(length=10, bodies=Bodies(10))
        request.arrived(b"a" * 9)
        asyncio.get_running_loop().call_soon(request.arrived, b"b")
        asyncio.get_running_loop().call_soon(request.finished)
        assert len(await request.body(10)) == 10

    run(story)


def test_what_nobody_reads_any_more_is_let_go_and_read_on() -> None:
    bodies = Bodies(1 << 20)
    request, wire = make(bodies=bodies)
    request.arrived(b"a" * (BODY_HELD_BYTES_MAX + 1))
    request.close()
    request.arrived(b"b" * (BODY_HELD_BYTES_MAX + 1))
    assert wire.asked == ["hold back", "read on"] and bodies.held_bytes == 0
    broken, its_wire = make(bodies=bodies)
    broken.arrived(b"a" * (BODY_HELD_BYTES_MAX + 1))
    broken.fail(BadRequest("no"))
    broken.close()
    # What follows a body that makes no sense is not read: its connection is about to end.
    assert its_wire.asked == ["hold back"] and bodies.held_bytes == 0
