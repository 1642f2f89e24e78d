"""A secret that expires."""

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable

import pytest

from midstream.gateway.upstreams import renewed
from midstream.gateway.upstreams.port import NoCredentials
from midstream.gateway.upstreams.renewed import RETRY_S, Held, Renewed


class Source:
    """Brings what the test says, and counts how often it was asked."""

    def __init__(self, *answers: Held[str] | Exception) -> None:
        self.answers, self.asked, self.now = list(answers), 0, 0.0
        self.renewed = Renewed(self.fetch, "the source", clock=lambda: self.now)

    def fetch(self) -> Held[str]:
        assert threading.current_thread() is not threading.main_thread(), "it was asked on the event loop"
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def at(self, now: float) -> str:
        self.now = now
        return await self.renewed.get()


def told(story: Callable[[], Awaitable[object]]) -> object:
    async def run() -> object:
        return await story()

    return asyncio.run(run())


def test_what_never_expires_is_fetched_once() -> None:
    source = Source(Held("a", math.inf, math.inf))

    async def story() -> object:
        return [await source.at(0), await source.at(1e9)]

    assert told(story) == ["a", "a"]
    assert source.asked == 1


def test_it_is_renewed_before_it_expires() -> None:
    source = Source(Held("a", 100, 200), Held("b", 300, 400))

    async def story() -> object:
        return [await source.at(99), await source.at(100), await source.at(299)]

    assert told(story) == ["a", "b", "b"]


def test_while_it_may_still_be_used_a_failed_renewal_is_no_failure_and_is_not_repeated_at_once() -> None:
    source = Source(Held("a", 100, 200), OSError("down"), Held("b", 300, 400))

    async def story() -> object:
        return [await source.at(now) for now in (0, 150, 151, 150 + RETRY_S)]

    assert told(story) == ["a", "a", "a", "b"]
    assert source.asked == 3


def test_a_renewal_that_brings_nothing_newer_is_not_repeated_at_once() -> None:
    source = Source(Held("a", 100, 200), Held("a", 100, 200), Held("b", 300, 400))

    async def story() -> object:
        return [await source.at(now) for now in (0, 150, 151, 150 + RETRY_S)]

    assert told(story) == ["a", "a", "a", "b"]
    assert source.asked == 3


def test_once_it_has_expired_a_failed_renewal_is_told_without_the_words_of_a_library() -> None:
    source = Source(Held("a", 100, 200), ValueError("secret=hunter2"), NoCredentials("Nothing is set."))

    async def story() -> object:
        return [await source.at(0), await source.at(200)]

    with pytest.raises(NoCredentials, match=r"^the source failed: ValueError\.$"):
        told(story)
    with pytest.raises(NoCredentials, match=r"^Nothing is set\.$"):
        told(lambda: source.at(300))


def test_one_who_leaves_does_not_take_the_fetch_from_the_others() -> None:
    gate = threading.Event()

    def fetch() -> Held[str]:
        assert gate.wait(10)
        return Held("a", math.inf, math.inf)

    async def story() -> object:
        secret = Renewed(fetch, "the source")
        waiting = [asyncio.ensure_future(secret.get()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    first, *others = told(story)  # type: ignore[misc]
    assert isinstance(first, asyncio.CancelledError)
    assert others == ["a", "a"]


def test_a_fetch_that_hangs_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewed, "FETCH_S", 0.01)
    gate = threading.Event()

    def fetch() -> Held[str]:
        assert gate.wait(10)
        return Held("a", math.inf, math.inf)

    async def story() -> object:
        secret = Renewed(fetch, "the source")
        try:
            with pytest.raises(NoCredentials, match="the source did not answer within"):
                await secret.get()
        finally:
            gate.set()
        monkeypatch.setattr(renewed, "FETCH_S", 10)
        return await secret.get()

    assert told(story) == "a"
