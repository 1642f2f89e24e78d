"""Every recorded stream of a whole message comes through the middleware as it is.

Rule: the bare SDK says what is right. A drawn share of the recordings is in CI, all of them behind ``slow``.
"""

import random
import warnings
from collections import Counter
from typing import Any

import httpx2
import pytest

import midstream
from midstream.faults.reply import Reply
from midstream.faults.wire import NotAStream
from midstream.recovery.failure import Kind
from tests import shared_data
from tests.sdk.calls import ALL_WAYS, ASKED, FOUR_WAYS, PLAIN, SIGNED_BEDROCK, Maker, Way, call, over
from tests.shared_data import Capture

pytestmark = [
    pytest.mark.shared,
    # Recorded blocks may be newer than the SDK: it says so when it writes them down.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]


def events(capture: Capture) -> Counter[str]:
    """Its events by name; those of another API, such as Bedrock's Converse, have none."""
    try:
        return Counter(str(event.get("type")) for event in Reply.from_bytes(capture.body).events)
    except NotAStream:
        return Counter()


CLAUDE = [(capture, events(capture)) for capture in shared_data.captures() if capture.claude]
WHOLE = [capture for capture, count in CLAUDE if (count["message_start"], count["message_stop"]) == (1, 1)]
GARBLED = [capture for capture, count in CLAUDE if count["message_start"] > 1 and count["message_stop"] <= 1]
SHARE = random.Random(20_261_121).sample(WHOLE, min(40, len(WHOLE)))


class Replaying(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Answers with the recording, cut into chunks of drawn sizes."""

    def __init__(self, capture: Capture) -> None:
        self._body, self._capture = capture.body, capture

    def _response(self) -> httpx2.Response:
        kind = "text/event-stream" if self._capture.protocol == "sse" else "application/vnd.amazon.eventstream"
        headers = {"content-type": kind, "request-id": "req_1"}
        return httpx2.Response(200, headers=headers, stream=_Chunks(self._body))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._response()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._response()


class _Chunks(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        draw, at, self._parts = random.Random(len(body)), 0, []
        while at < len(body):
            size = draw.choice((1, 3, 40, 500, 5000))
            self._parts.append(body[at : at + size])
            at += size

    def __iter__(self) -> Any:
        return iter(self._parts)

    async def __aiter__(self) -> Any:
        for part in self._parts:
            yield part


def maker_of(capture: Capture) -> Maker:
    return PLAIN if capture.protocol == "sse" else SIGNED_BEDROCK


def comes_through(capture: Capture, way: Way) -> None:
    transport = lambda _: Replaying(capture)  # noqa: E731
    maker, policy = maker_of(capture), midstream.Policy(attempts=1)
    bare = call(way, over(transport, maker))
    ours = call(way, over(transport, maker, middleware=[midstream.Recovery(policy)]))
    if isinstance(bare.error, ValueError):
        # A source that ends in ``data: [DONE]``: the bare SDK trips over it after the whole message.
        assert ours.error is None and ours.so_far["stop_reason"]
        return
    assert bare.error is None and ours.error is None
    assert ours.message == bare.message
    # The event that no blank line ends is lost to the bare SDK; midstream adds the line.
    assert ours.events[: len(bare.events)] == bare.events
    assert ours.events[len(bare.events) :] in ([], [{"type": "message_stop"}])
    assert ours.report is not None and ours.report.outcome == "complete" and ours.report.recoveries == 0


def bytes_come_through(capture: Capture) -> None:
    options: dict[str, Any] = {"middleware": [midstream.Recovery(midstream.Policy(attempts=1))]}
    with over(lambda _: Replaying(capture), maker_of(capture), **options)(is_async=False) as client:
        with client.messages.with_streaming_response.create(**ASKED, stream=True) as response:
            received = b"".join(response.iter_bytes())
    body = capture.body
    end = body.find(b"\n\n", body.find(b'"type":"message_stop"')) if capture.protocol == "sse" else -1
    if received != body:
        # All that may differ is what comes after the message.
        assert received.rstrip(b"\r\n") == body.rstrip(b"\r\n") or (end > 0 and received == body[: end + 2])


@pytest.mark.parametrize("capture", shared_data.parameters(SHARE))
def test_the_message_is_the_one_that_the_bare_sdk_makes(capture: Capture | None) -> None:
    shared_data.require()
    assert capture is not None
    for way in (FOUR_WAYS[1], FOUR_WAYS[2], ALL_WAYS[7]):
        comes_through(capture, way)


@pytest.mark.parametrize("capture", shared_data.parameters(SHARE))
def test_the_bytes_handed_on_are_the_bytes_received(capture: Capture | None) -> None:
    shared_data.require()
    assert capture is not None
    bytes_come_through(capture)


@pytest.mark.slow
def test_every_recording_comes_through_in_every_way() -> None:
    shared_data.require()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for capture in WHOLE:
            bytes_come_through(capture)
            for way in ALL_WAYS:
                comes_through(capture, way)
    assert len(WHOLE) > 250 and {capture.protocol for capture in WHOLE} == {"sse", "aws-eventstream"}


@pytest.mark.parametrize("capture", shared_data.parameters(GARBLED))
def test_a_second_message_start_is_garbled(capture: Capture | None) -> None:
    shared_data.require()
    assert capture is not None
    policy = midstream.Policy(attempts=1)
    for way in FOUR_WAYS:
        seen = call(way, over(lambda _: Replaying(capture), middleware=[midstream.Recovery(policy)]))
        assert isinstance(seen.error, midstream.StreamError)
        assert seen.error.failure.kind is Kind.GARBLED
