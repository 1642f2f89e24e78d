"""Which upstream is asked: in order, the first one that is well."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from midstream.gateway.breaker import Breaker
from midstream.gateway.main import Gateway
from midstream.gateway.routing import Routing
from midstream.gateway.upstreams.port import Call
from midstream.gateway.upstreams.table import make
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.history import AttemptRecord
from midstream.recovery.policy import Policy
from midstream.recovery.surroundings import Route
from tests.gateway.client import ask, text_of
from tests.gateway.inprocess import run, settings

CALL = Call(
    path="/v1/messages", query="", headers=[], raw=b"{}", fields={}, wire="sse", streamed=True, model="claude-opus-4-8"
)
NAMES = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]


def broke(kind: Kind = Kind.OVERLOADED) -> Failure:
    return Failure(kind, Phase.WAITING, Origin.SERVICE)


def routed(check: Callable[[Routing, Callable[[Route], int]], None], models: dict[int, str] | None = None) -> None:
    """A routing of three upstreams; ``models`` renames the model at one of them."""

    async def story() -> None:
        tables = [{"models": {"claude-opus-4-8": name}} if (name := (models or {}).get(n)) else {} for n in range(3)]
        upstreams = [make(name, table, {}) for name, table in zip(NAMES, tables, strict=True)]
        routing = Routing(upstreams, Policy(), [Breaker(failures=2, open_s=30) for _ in upstreams])
        around = routing.surroundings(CALL)
        assert around.route is not None
        check(routing, around.route)

    asyncio.run(story())


def test_the_first_is_asked_first_and_the_next_takes_over() -> None:
    def check(routing: Routing, route: Callable[[Route], int]) -> None:
        assert route(Route(None, None, True, False)) == 0
        assert route(Route(0, broke(), True, False)) == 1
        assert route(Route(1, broke(), True, True)) == 2
        assert route(Route(2, broke(), True, False)) == 0

    routed(check)


@pytest.mark.parametrize("kind", [Kind.REJECTED, Kind.LIMIT])
def test_what_would_happen_anywhere_moves_nothing(kind: Kind) -> None:
    routed(lambda routing, route: _is(route(Route(0, broke(kind), True, False)), 0))


def test_a_reply_of_which_something_was_shown_goes_on_only_with_the_same_model() -> None:
    def check(routing: Routing, route: Callable[[Route], int]) -> None:
        assert route(Route(0, broke(), True, False)) == 1
        assert route(Route(0, broke(), True, True)) == 2
        assert route(Route(2, broke(), True, True)) == 0
        assert route(Route(1, broke(), True, True)) == 1

    routed(check, {1: "claude-haiku-4-5"})


def test_a_stream_that_may_not_move_stays() -> None:
    routed(lambda routing, route: _is(route(Route(1, broke(), False, True)), 1))


def test_an_upstream_that_is_left_out_is_passed_over_and_the_last_one_is_better_than_none() -> None:
    def check(routing: Routing, route: Callable[[Route], int]) -> None:
        for number in (0, 1, 2):
            for _ in range(2):
                routing.judged(AttemptRecord(1, "first", 0.0, 0.0, failure=broke(), upstream=number))
            if number == 0:
                assert route(Route(None, None, True, False)) == 1
                assert route(Route(2, broke(), True, False)) == 1
        assert route(Route(1, broke(), True, False)) == 1
        assert route(Route(None, None, True, False)) == 0

    routed(check)


def test_what_is_the_callers_fault_leaves_no_upstream_out() -> None:
    def check(routing: Routing, route: Callable[[Route], int]) -> None:
        for _ in range(20):
            routing.judged(AttemptRecord(1, "first", 0.0, 0.0, failure=broke(Kind.REJECTED), upstream=0))
        assert route(Route(None, None, True, False)) == 0

    routed(check)


def _is(found: int, wanted: int) -> None:
    assert found == wanted


@pytest.mark.sockets
@pytest.mark.parametrize("script", ["always http-529", "always overloaded@event=0", "always cut-rst@event=20"])
def test_the_second_upstream_finishes_what_the_first_cannot(script: str) -> None:
    async def story() -> None:
        async with FaultServer(script) as first, FaultServer("ok") as second:
            gateway = Gateway.build(settings(first.url, second.url), {})
            await gateway.start()
            answer = await ask(f"http://127.0.0.1:{gateway.port}")
            frames = await answer.frames()
            assert answer.whole and text_of(frames) == Reply.builtin("text").text
            assert len(first.service.requests) == 1 and len(second.service.requests) == 1
            await answer.close()
            await gateway.aclose()

    run(story)


@pytest.mark.sockets
def test_an_upstream_that_is_not_there_is_replaced() -> None:
    async def story() -> None:
        async with FaultServer("ok") as second:
            gateway = Gateway.build(settings("http://127.0.0.1:1", second.url), {})
            await gateway.start()
            answer = await ask(f"http://127.0.0.1:{gateway.port}")
            await answer.read()
            assert answer.whole
            await answer.close()
            await gateway.aclose()

    run(story)


def test_streams_of_one_model_share_what_they_know_of_their_upstreams() -> None:
    async def story() -> None:
        renamed = {"models": {"claude-haiku-4-5": "claude-opus-4-8"}}
        upstreams = [make(name, renamed if name == NAMES[0] else {}, {}) for name in NAMES[:2]]
        routing = Routing(upstreams, Policy(), [Breaker(failures=2, open_s=30) for _ in upstreams])
        one, other = routing.surroundings(CALL), routing.surroundings(replace(CALL, model="claude-haiku-4-5"))
        assert routing.surroundings(replace(CALL, model="claude-sonnet-5-5")) is one is not other

    asyncio.run(story())


def test_what_is_passed_on_goes_to_the_first_that_is_well_or_to_the_first() -> None:
    def check(routing: Routing, route: Callable[[Route], int]) -> None:
        for number in range(3):
            assert routing.first_allowed() is routing.upstreams[number]
            for _ in range(2):
                routing.judged(AttemptRecord(1, "first", 0.0, 0.0, failure=broke(), upstream=number))
        assert routing.first_allowed() is routing.upstreams[0]

    routed(check)
