"""Checks that were missing: without them a mutant of `bench.mutants` would have survived.

Rule: each names what it protects. One that a module's own tests have come to cover moves there.
"""

import asyncio
import logging
import pickle
import threading
from typing import Any

import anthropic
import pytest

import midstream
from midstream.faults.server import FaultServer
from midstream.recovery.failure import Kind
from tests.sdk.calls import ASKED, FOUR_WAYS, MAKERS, PLAIN, Maker, Playing, Way, at, call, over
from tests.sdk.waiting import until
from tests.wire import STOP, Drive, begin, end, grow, say, sse, start, stopping, text
from tests.wire import call as tool_call

ONCE = midstream.Policy(attempts=1, backoff_s=(0, 0.01))
TWICE = midstream.Policy(attempts=2, backoff_s=(0, 0.01))
PROMPT = ASKED["messages"][0]["content"]
SECRETS = ("secret", "AKIAIOSFODNN7EXAMPLE", PROMPT)


def everything_said(value: Any, seen: set[int] | None = None) -> list[str]:
    """All texts that can be reached from an object by its attributes, items and headers."""
    seen = set() if seen is None else seen
    if isinstance(value, str | bytes):
        return [value.decode(errors="replace") if isinstance(value, bytes) else value]
    if id(value) in seen or isinstance(value, type) or callable(value):
        return []
    seen.add(id(value))
    inner: list[Any] = list(value) if isinstance(value, list | tuple | set | frozenset) else []
    if isinstance(value, dict) or hasattr(value, "multi_items"):
        inner += [part for pair in value.items() for part in pair]
    inner += list(getattr(value, "__dict__", {}).values())
    return [said for part in inner for said in everything_said(part, seen)]


@pytest.mark.parametrize("maker", MAKERS, ids=str)
@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_no_error_holds_a_credential_or_the_request(maker: Maker, way: Way) -> None:
    for script in ("always cut-rst", "always http-529"):
        seen = call(way, over(Playing(script), maker, middleware=[midstream.Recovery(ONCE)]))
        assert isinstance(seen.error, midstream.StreamError), seen.error
        assert isinstance(seen.error, anthropic.APIError)
        said = [*everything_said(seen.error), str(seen.error), repr(seen.error)]
        said += everything_said(dict(seen.error.request.headers))
        again = pickle.dumps(seen.error).decode(errors="replace")
        for secret in SECRETS:
            assert not [text for text in said if secret in text], (script, secret)
            assert secret not in again


@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_a_recovery_is_one_line_in_the_log_without_contents(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="midstream"):
        seen = call(way, over(Playing("once overloaded_error"), PLAIN, middleware=[midstream.Recovery(TWICE)]))
    assert seen.error is None
    lines = [record for record in caplog.records if record.name.startswith("midstream")]
    assert [record.levelname for record in lines] == ["WARNING", "INFO"]
    told, ended = (record.getMessage() for record in lines)
    assert "attempt 1 ended with overloaded" in told and "attempt 2" in told and "\n" not in told
    assert ended == "stream complete after 2 attempts"
    words = [block["text"] for block in seen.message["content"] if block["type"] == "text"]
    assert words and "Overloaded" not in told, told
    for kept in [*words, *SECRETS]:
        assert kept[:20] not in told, kept


def test_what_is_held_back_is_bounded_by_its_own_limit() -> None:
    drive = Drive(policy=midstream.Policy(held_bytes_max=2000)).attempt(start(), begin(0, "thinking"))
    for _ in range(20):
        if not drive.done:
            drive.gets(grow(0, "thinking_delta", thinking="x" * 100))
    assert drive.failure.kind is Kind.LIMIT and "held back" in drive.failure.detail
    assert drive.seen == b""


@pytest.mark.parametrize("said", ["<last_words></last_words>", "<last_words>  ", "<last_words/>"])
def test_an_empty_element_before_a_call_is_a_failed_attempt(said: str) -> None:
    drive = Drive().attempt(start(), begin(0), say(0, "Then she went down to the river and looked")).breaks()
    drive.attempt(start("msg_2"), text(0, said), tool_call(1, '{"at": "it"}'), stopping("tool_use"), STOP)
    assert not drive.done and len(drive.engine.history.attempts) == 3
    assert [block["type"] for block in drive.content] == ["text"]
    assert drive.texts == ["Then she went down to the river and looked"]


def watchdogs() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "midstream-watchdog"]


@pytest.mark.sockets
@pytest.mark.parametrize("count", [0, 5])
def test_closing_drops_the_upstream_though_the_stream_is_still_held(count: int) -> None:
    """Whoever lets go of a closed stream frees everything anyway: here it is held until the end."""
    with (
        FaultServer("pace=0.02") as server,
        at(server.url, middleware=[midstream.Recovery()])(is_async=False) as client,
    ):
        stream = client.messages.create(**ASKED, stream=True)
        kept = [event for _, event in zip(range(count), stream, strict=False)]
        stream.close()
        until(lambda: server.open_connections == 0)
        until(lambda: not watchdogs())
        assert len(kept) == count and stream.response.is_closed


@pytest.mark.sockets
@pytest.mark.parametrize("count", [0, 5])
def test_closing_drops_the_upstream_though_the_async_stream_is_still_held(count: int) -> None:
    async def main(server: FaultServer) -> None:
        async with at(server.url, middleware=[midstream.Recovery()])(is_async=True) as client:
            stream = await client.messages.create(**ASKED, stream=True)
            for _ in range(count):
                await anext(stream)
            await stream.close()
            await asyncio.to_thread(until, lambda: server.open_connections == 0)
            assert stream.response.is_closed

    with FaultServer("pace=0.02") as server:
        asyncio.run(main(server))


@pytest.mark.parametrize("together", [1, 2, 3])
def test_deltas_of_a_text_that_is_shown_are_handed_on_as_they_came(together: int) -> None:
    """The hot path: chunks of nothing but deltas."""
    deltas = [sse(say(0, f"word {number} ")) for number in range(12)]
    drive = Drive().attempt(start(), begin(0), say(0, "The first word. "))
    before = drive.seen
    for at_delta in range(0, len(deltas), together):
        drive.gets(*deltas[at_delta : at_delta + together])
    assert drive.seen == before + b"".join(deltas)
    drive.gets(end(0), stopping(), STOP)
    assert drive.complete and drive.texts == ["The first word. " + "".join(f"word {number} " for number in range(12))]
