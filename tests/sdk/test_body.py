"""The body that the SDK reads instead of the upstream's own."""

import asyncio
import gc
import threading
from datetime import timedelta
from typing import Any

import anthropic
import httpx2
import pytest

import midstream
from midstream.sdk.body import AsyncBody, Body, Raising
from tests.sdk.calls import ASKED, Playing, over
from tests.sdk.waiting import until

POLICY = midstream.Policy(attempts=2, attempts_total=2, backoff_s=(0, 0))


def client(script: str = "ok", *, is_async: bool = False, **options: Any) -> tuple[Any, Playing]:
    playing = Playing(script)
    recovery = midstream.Recovery(POLICY, **options)
    return over(playing, middleware=[recovery])(is_async=is_async), playing


def test_it_is_a_class_so_closing_it_unread_closes_the_upstream() -> None:
    made, playing = client()
    with made:
        stream = made.messages.create(**ASKED, stream=True)
        body = stream.response.stream
        assert isinstance(body, Body) and iter(body) is body
        assert playing.open_streams == 1
        body.close()
        assert playing.open_streams == 0 and midstream.report(stream).outcome == "closed"
        body.close()


def test_what_the_response_says_stays_true() -> None:
    made, _ = client("ok gzip=yes")
    with made:
        stream = made.messages.create(**ASKED, stream=True)
        response = stream.response
        assert response.status_code == 200 and response.headers["request-id"] == "req_00000001"
        assert response.headers["content-type"].startswith("text/event-stream")
        assert not {"content-encoding", "content-length"} & set(response.headers)
        assert response.request.url.path == "/v1/messages" and response.http_version == "HTTP/1.1"
        with pytest.raises(RuntimeError, match=r"\.elapsed"):
            _ = response.elapsed
        events = [event.type for event in stream]
        assert events[-1] == "message_stop" and response.is_closed
        assert timedelta(0) <= response.elapsed < timedelta(minutes=1)


def test_it_is_read_to_its_end_once_and_then_empty() -> None:
    made, playing = client()
    with made:
        body = made.messages.create(**ASKED, stream=True).response.stream
        assert b"".join(body).endswith(b'{"type":"message_stop"}\n\n')
        assert list(body) == [] and playing.open_streams == 0
        assert body.report.outcome == "complete"


def test_an_error_is_raised_after_everything_that_was_received() -> None:
    made, playing = client("always cut-clean@event=9")
    with made:
        body = made.messages.create(**ASKED, stream=True).response.stream
        received = []
        with pytest.raises(midstream.StreamError) as raised:
            for chunk in body:
                received.append(chunk)
        assert b"".join(received).count(b"text_delta") >= 5
        assert playing.open_streams == 0
        with pytest.raises(midstream.StreamError) as again:
            next(body)
        assert str(again.value) == str(raised.value)


def test_reading_on_after_closing_is_an_error_and_no_end() -> None:
    made, playing = client()
    with made:
        body = made.messages.create(**ASKED, stream=True).response.stream
        next(body)
        body.close()
        with pytest.raises(midstream.StreamError) as raised:
            next(body)
    error = raised.value
    assert error.failure.origin is midstream.Origin.CLIENT and isinstance(error, anthropic.APIConnectionError)
    assert error.report.outcome == "closed" and len(playing.sent) == 1


def test_a_body_that_nobody_holds_closes_and_reports() -> None:
    reports: list[midstream.Report] = []
    made, playing = client(on_report=reports.append)
    with made:
        made.messages.create(**ASKED, stream=True)
        gc.collect()
        assert playing.open_streams == 0
    assert [report.outcome for report in reports] == ["closed"]


def test_a_body_may_be_read_in_another_thread() -> None:
    made, _ = client("cut-rst@event=30; then ok")
    with made:
        stream = made.messages.create(**ASKED, stream=True)
        events: list[Any] = []
        thread = threading.Thread(target=lambda: events.extend(stream))
        thread.start()
        thread.join()
        assert events[-1].type == "message_stop" and midstream.report(stream).recoveries == 1


def test_the_async_body_is_the_same() -> None:
    reports: list[midstream.Report] = []

    async def main() -> None:
        made, playing = client("always cut-clean@event=9", is_async=True, on_report=reports.append)
        async with made:
            stream = await made.messages.create(**ASKED, stream=True)
            body = stream.response.stream
            assert isinstance(body, AsyncBody) and body.__aiter__() is body
            with pytest.raises(midstream.StreamError):
                async for _ in body:
                    pass
            assert playing.open_streams == 0 and body.report.outcome == "failed"
            unread = (await made.messages.create(**ASKED, stream=True)).response.stream
            await unread.aclose()
            assert playing.open_streams == 0 and unread.report.outcome == "closed"
            with pytest.raises(midstream.StreamError):
                await unread.__anext__()
            await made.messages.create(**ASKED, stream=True)
            gc.collect()
            for _ in range(5):
                await asyncio.sleep(0)
            assert playing.open_streams == 0
        assert [report.outcome for report in reports] == ["failed", "closed", "closed"]

    asyncio.run(main())


def test_an_async_body_that_is_dropped_in_another_thread_is_closed_in_its_loop() -> None:
    async def main() -> None:
        made, playing = client(is_async=True)
        async with made:
            held = [await made.messages.create(**ASKED, stream=True)]
            await asyncio.to_thread(held.clear)
            gc.collect()
            await asyncio.to_thread(until, lambda: playing.open_streams == 0)

    asyncio.run(main())


def test_an_async_body_that_outlives_its_loop_is_no_trouble() -> None:
    async def main() -> Any:
        made, _ = client(is_async=True)
        return await made.messages.create(**ASKED, stream=True), made

    held = asyncio.run(main())
    del held
    gc.collect()


def test_a_response_that_never_was_raises_when_it_is_read() -> None:
    error = LookupError("mine")
    response = httpx2.Response(599, stream=Raising(error))
    with pytest.raises(LookupError) as raised:
        response.read()
    assert raised.value is error

    async def main() -> None:
        with pytest.raises(LookupError):
            await httpx2.Response(599, stream=Raising(error)).aread()

    asyncio.run(main())
