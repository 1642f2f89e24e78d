"""`Recovery`: what is handled, what is handed out, and what is shared."""

import asyncio
import gc
from typing import Any

import anthropic
import pytest

import midstream
from midstream.recovery.engine import Engine
from midstream.sdk.body import AsyncBody, Body
from midstream.sdk.middleware import REPORT_KEY
from midstream.sdk.story import Story
from tests.sdk.calls import ASKED, FOUR_WAYS, Playing, Way, call, over

QUICK = midstream.Policy(attempts=2, attempts_total=3, backoff_s=(0, 0))
four_ways = pytest.mark.parametrize("way", FOUR_WAYS, ids=str)


def test_one_line_is_enough() -> None:
    playing = Playing("overloaded_error@event=1; then ok")
    seen = call(FOUR_WAYS[1], over(playing, middleware=[midstream.Recovery()]))
    assert seen.error is None and len(playing.sent) == 2


@four_ways
def test_it_is_taken_by_both_colours_of_client(way: Way) -> None:
    recovery = midstream.Recovery(QUICK)
    assert isinstance(recovery, anthropic.Middleware)
    assert call(way, over(Playing(), middleware=[recovery])).error is None


@four_ways
def test_a_failure_before_anything_was_shown_is_invisible(way: Way) -> None:
    for fault in ("cut-clean@event=2", "overloaded_error@event=1", "empty-200", "html-200", "http-503", "reset-early"):
        playing = Playing(f"{fault}; then ok")
        bare = call(way, over(Playing()))
        seen = call(way, over(playing, middleware=[midstream.Recovery(QUICK)]))
        assert (seen.error, seen.events) == (None, bare.events), fault
        assert len(playing.sent) == 2
        # A restart is the same request again.
        assert playing.sent[0][1] == playing.sent[1][1]


def test_switched_off_it_does_not_mind_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDSTREAM_SILENCE_S", "soon")
    playing = Playing("http-529; then ok")
    recovery = midstream.Recovery(enabled=False)
    assert call(FOUR_WAYS[1], over(playing, middleware=[recovery], max_retries=0)).error is not None
    with pytest.raises(midstream.PolicyError, match="MIDSTREAM_SILENCE_S"):
        midstream.Recovery()


def test_time_stands_still_when_the_stream_is_over() -> None:
    with over(Playing(), middleware=[midstream.Recovery(QUICK)])(is_async=False) as client:
        with client.messages.stream(**ASKED) as stream:
            stream.until_done()
            first = midstream.report(stream)
            assert midstream.report(stream) == first and first.outcome == "complete"


@four_ways
def test_a_short_timeout_of_the_callers_leaves_time_for_another_attempt(way: Way) -> None:
    policy = midstream.Policy(attempts=2, backoff_s=(0, 0), elapsed_s=100)
    playing = Playing("silence@event=0; then ok")
    seen = call(way, over(playing, middleware=[midstream.Recovery(policy)]), timeout=0.2)
    assert seen.error is None and len(playing.sent) == 2
    assert seen.report is not None and seen.report.elapsed_s < 50


def test_the_caller_gets_the_sdks_own_objects() -> None:
    with over(Playing(), middleware=[midstream.Recovery(QUICK)])(is_async=False) as client:
        stream = client.messages.create(**ASKED, stream=True)
        assert type(stream) is anthropic.Stream
        assert REPORT_KEY in stream.response.extensions
        stream.close()
        with client.messages.stream(**ASKED) as helper:
            assert type(helper).__name__ == "MessageStream" and helper.request_id == "req_00000002"


def test_create_returns_with_the_headers() -> None:
    """And not with the first event, which may take minutes."""
    playing = Playing("always silence@event=0")
    with over(playing, middleware=[midstream.Recovery(QUICK)])(is_async=False) as client:
        stream = client.messages.create(**ASKED, stream=True)
        assert len(playing.sent) == 1 and midstream.report(stream).outcome == "running"
        stream.close()


@pytest.mark.parametrize("script", ["http-400", "always http-529", "always reset-early"])
@pytest.mark.parametrize("access", ["with_raw_response", "with_streaming_response"])
def test_a_failure_before_the_stream_is_raised_by_the_call_itself(script: str, access: str) -> None:
    with over(Playing(script), middleware=[midstream.Recovery(QUICK)])(is_async=False) as client:
        with pytest.raises(midstream.StreamError) as raised:
            made = getattr(client.messages, access).create(**ASKED, stream=True)
            if access == "with_streaming_response":
                made.__enter__()
        assert raised.value.partial == {}


def test_a_failure_before_the_stream_is_raised_by_the_call_itself_async() -> None:
    async def main() -> None:
        async with over(Playing("always http-400"), middleware=[midstream.Recovery(QUICK)])(is_async=True) as client:
            with pytest.raises(midstream.StreamError):
                await client.messages.with_raw_response.create(**ASKED, stream=True)
            with pytest.raises(anthropic.BadRequestError):
                async with client.messages.with_streaming_response.create(**ASKED, stream=True):
                    pass

    asyncio.run(main())


def test_the_memory_of_what_a_model_takes_is_shared() -> None:
    """A 400 to a prefix is met once, not once for each stream."""
    recovery = midstream.Recovery(midstream.Policy(backoff_s=(0, 0)))
    asked = {"model": "claude-haiku-4-5"}
    plans = []
    for script in ("cut-clean@event=20; then http-400; then ok", "cut-clean@event=20; then ok"):
        report = call(FOUR_WAYS[0], over(Playing(script), middleware=[recovery]), **asked).report
        assert report is not None
        plans.append([attempt.plan for attempt in report.attempts])
    assert plans == [["first", "continue (prefix)", "continue (turn)"], ["first", "continue (turn)"]]


def test_a_client_that_was_closed_ends_the_stream_in_a_typed_error() -> None:
    playing = Playing("cut-clean@event=9; then ok")
    client: Any = over(playing, middleware=[midstream.Recovery(QUICK)])(is_async=False)
    stream = client.messages.create(**ASKED, stream=True)
    next(stream)
    client.close()
    with pytest.raises(midstream.StreamError) as raised:
        list(stream)
    assert isinstance(raised.value, anthropic.APIConnectionError)
    assert raised.value.failure.kind is midstream.Kind.UNREACHABLE


def test_a_keyboard_interrupt_passes_and_nothing_stays_open() -> None:
    class Interrupting(anthropic.Middleware):
        def handle(self, request: anthropic.APIRequest, call_next: Any) -> Any:
            call_next(request).http_response.close()
            raise KeyboardInterrupt

    reports: list[midstream.Report] = []
    recovery, playing = midstream.Recovery(QUICK, on_report=reports.append), Playing()
    with over(playing, middleware=[recovery, Interrupting()])(is_async=False) as client:
        with pytest.raises(KeyboardInterrupt):
            client.messages.create(**ASKED, stream=True)
    assert playing.open_streams == 0 and [report.outcome for report in reports] == ["closed"]


def test_nothing_of_a_stream_is_kept_by_the_recovery() -> None:
    recovery = midstream.Recovery(QUICK)
    for way in FOUR_WAYS:
        call(way, over(Playing("cut-clean@event=20; then ok"), middleware=[recovery]))
    gc.collect()
    held = [thing for thing in gc.get_objects() if type(thing) in (Body, AsyncBody, Engine, Story)]
    assert held == []


def test_a_body_that_is_no_json_object_passes_through() -> None:
    playing = Playing()
    with over(playing, max_retries=0, middleware=[midstream.Recovery(QUICK)])(is_async=False) as client:
        with pytest.raises(anthropic.BadRequestError) as raised:
            client.post("/v1/messages", body=[1, 2], cast_to=object, stream=True, stream_cls=anthropic.Stream[object])
    assert not isinstance(raised.value, midstream.StreamError)
