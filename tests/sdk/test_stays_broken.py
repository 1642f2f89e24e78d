"""Against a service that stays broken: one typed error within the limits, and everything received is on it.

The second half: what the plain SDK does well today still works.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import anthropic
import httpx2
import pytest

import midstream
from midstream.faults.catalogue import KINDS, Wire
from midstream.faults.catalogue import Kind as Fault
from midstream.faults.server import FaultServer
from midstream.faults.transport import HTTPXTransport
from midstream.recovery.failure import Kind
from tests.sdk.calls import ALL_WAYS, ASKED, FOUR_WAYS, PLAIN, SIGNED_BEDROCK, Playing, Way, at, call, over, sdk_error
from tests.sdk.waiting import until
from tests.wire import begin, end, grow, sse, start, stopping, text, thinking, whole
from tests.wire import call as tool_call

# Few attempts without waits. The limits are those of the default: what does not hang meets none.
FEW = midstream.Policy(attempts=2, attempts_total=3, backoff_s=(0, 0.01), retry_per_minute_min=100_000)
# For what hangs, the limit that is to be met is short, and it alone: on a busy machine everything else may take long.
SHORT_SILENCE = replace(FEW, silence_s=0.25, silence_after_pings_s=0.25)
SHORT_PROGRESS = replace(FEW, progress_s=0.3, progress_slow_s=0.3)
SHORT_START = replace(FEW, first_event_s=0.3)
HANGING = {
    "silence": SHORT_SILENCE,
    "trickle-size": SHORT_SILENCE,
    "pings-only": SHORT_PROGRESS,
    "trickle": SHORT_PROGRESS,
    "silent-early": SHORT_START,
}


class Ends(NamedTuple):
    """How it must end (the contract, §5)."""

    kind: Kind
    sdk_class: str
    status: int | None = None
    type: str | None = None
    again: bool = True
    """It is tried again."""


COMPLETE = ("no-message-stop", "no-final-blank-line", "error-after-stop", "reset-after-stop", "stall-after-stop")
CUT = Ends(Kind.TRUNCATED, "APIConnectionError")
LOST = Ends(Kind.DISCONNECTED, "APIConnectionError")
SILENT = Ends(Kind.SILENT, "APITimeoutError")
STALLED = Ends(Kind.STALLED, "APITimeoutError")
GARBLED = Ends(Kind.GARBLED, "APIResponseValidationError", 200)


def rejected(sdk_class: str, status: int, type: str) -> Ends:
    return Ends(Kind.REJECTED, sdk_class, status, type, again=False)


def overloaded(type: str | None = "overloaded_error", status: int = 529) -> Ends:
    return Ends(Kind.OVERLOADED, "OverloadedError" if status == 529 else "ServiceUnavailableError", status, type)


def server_error(type: str | None, status: int = 500, sdk_class: str = "InternalServerError") -> Ends:
    return Ends(Kind.SERVER_ERROR, sdk_class, status, type)


BOTH: dict[str, Ends] = {
    "cut-clean": CUT,
    "cut-fin": LOST,
    "cut-rst": LOST,
    "broken-chunk": LOST,
    "gzip-bad": LOST,
    "gzip-cut": CUT,
    "silence": SILENT,
    "pings-only": STALLED,
    "trickle": STALLED,
    "trickle-size": SILENT,
    "overloaded_error": overloaded(),
    "rate_limit_error": Ends(Kind.RATE_LIMITED, "RateLimitError", 429, "rate_limit_error"),
    "api_error": server_error("api_error"),
    "timeout_error": Ends(Kind.TIMED_OUT, "GatewayTimeoutError", 504, "timeout_error"),
    "invalid_request_error": rejected("BadRequestError", 400, "invalid_request_error"),
    "authentication_error": rejected("AuthenticationError", 401, "authentication_error"),
    "billing_error": rejected("PaymentRequiredError", 402, "billing_error"),
    "permission_error": rejected("PermissionDeniedError", 403, "permission_error"),
    "not_found_error": rejected("NotFoundError", 404, "not_found_error"),
    "conflict_error": server_error("conflict_error", 409, "ConflictError"),
    "request_too_large": rejected("ContentTooLargeError", 413, "request_too_large"),
    "unknown_error": server_error("unknown_error"),
    "error-unnamed": overloaded(),
    "error-openai": server_error("server_error"),
    "error-untyped": server_error(None),
    "error-spend-limit": rejected("EnforcedSpendLimitReachedError", 429, "rate_limit_error"),
    "error-exhausted": overloaded()._replace(again=False),
    "half-frame": CUT,
    "garbage": CUT,
    "bad-json": GARBLED,
    "delta-unknown-block": GARBLED,
    "index-gap": GARBLED,
    "second-message-start": GARBLED,
    "delta-after-stop": GARBLED,
    "wrong-delta-type": GARBLED,
    "no-message-start": GARBLED,
    "stop-without-reason": GARBLED,
    "no-message-delta": GARBLED,
    "html-200": GARBLED,
    "json-200": GARBLED,
    "error-json-200": overloaded(),
    "garbage-200": CUT,
    "empty-200": CUT,
    # The connection is taken and then lost; that nobody listens has a test of its own.
    "refused": LOST,
    "closed-early": LOST,
    "reset-early": LOST,
    "half-headers": LOST,
    "silent-early": SILENT,
}
BEDROCK: dict[str, Ends] = {
    # Its frames have a length, so an end inside of one is seen.
    "cut-clean": LOST,
    "gzip-cut": LOST,
    "half-frame": LOST,
    "garbage": GARBLED,
    "garbage-200": GARBLED,
    "bad-crc": GARBLED,
    "bad-prelude": GARBLED,
    "internalServerException": server_error("internalServerException"),
    "modelStreamErrorException": server_error("modelStreamErrorException"),
    "modelTimeoutException": Ends(Kind.TIMED_OUT, "RequestTimeoutError", 408, "modelTimeoutException"),
    "serviceUnavailableException": overloaded("serviceUnavailableException", 503),
    "throttlingException": Ends(Kind.RATE_LIMITED, "RateLimitError", 429, "throttlingException"),
    "validationException": rejected("BadRequestError", 400, "validationException"),
    "modelNotReadyException": overloaded("modelNotReadyException"),
    "unknownException": server_error("unknownException"),
    "error-frame": server_error("InternalFailure"),
}
HTTP: dict[int, Ends] = {
    400: rejected("BadRequestError", 400, "invalid_request_error"),
    401: rejected("AuthenticationError", 401, "authentication_error"),
    402: rejected("PaymentRequiredError", 402, "billing_error"),
    403: rejected("PermissionDeniedError", 403, "permission_error"),
    404: rejected("NotFoundError", 404, "not_found_error"),
    408: Ends(Kind.TIMED_OUT, "RequestTimeoutError", 408, "timeout_error"),
    409: server_error("conflict_error", 409, "ConflictError"),
    413: rejected("ContentTooLargeError", 413, "request_too_large"),
    422: rejected("UnprocessableEntityError", 422, "invalid_request_error"),
    424: server_error("api_error", 424),
    429: Ends(Kind.RATE_LIMITED, "RateLimitError", 429, "rate_limit_error"),
    500: server_error("api_error"),
    502: server_error("api_error", 502),
    503: overloaded("api_error", 503),
    504: Ends(Kind.TIMED_OUT, "GatewayTimeoutError", 504, "timeout_error"),
    529: overloaded(),
}
BEDROCK_HTTP: dict[int, Ends] = {
    400: rejected("BadRequestError", 400, "ValidationException"),
    401: rejected("AuthenticationError", 401, "UnrecognizedClientException"),
    402: rejected("PaymentRequiredError", 402, "AccessDeniedException"),
    403: rejected("PermissionDeniedError", 403, "AccessDeniedException"),
    404: rejected("NotFoundError", 404, "ResourceNotFoundException"),
    408: Ends(Kind.TIMED_OUT, "RequestTimeoutError", 408, "ModelTimeoutException"),
    409: rejected("ConflictError", 409, "ConflictException"),
    413: rejected("ContentTooLargeError", 413, "ValidationException"),
    422: rejected("UnprocessableEntityError", 422, "ValidationException"),
    424: server_error("ModelErrorException", 424),
    429: Ends(Kind.RATE_LIMITED, "RateLimitError", 429, "ThrottlingException"),
    500: server_error("InternalServerException"),
    502: server_error("InternalServerException", 502),
    503: overloaded("ServiceUnavailableException", 503),
    504: server_error("InternalServerException", 504, "GatewayTimeoutError"),
    529: overloaded("ServiceUnavailableException"),
}


def expected(fault: Fault, wire: Wire) -> Ends | None:
    """``None`` where the message is complete all the same."""
    if fault.name in COMPLETE:
        return None
    if fault.name.startswith("http-"):
        return (BEDROCK_HTTP if wire == "bedrock" else HTTP)[int(fault.name.removeprefix("http-"))]
    return BEDROCK.get(fault.name) or BOTH[fault.name] if wire == "bedrock" else BOTH[fault.name]


def cases() -> Iterator[Any]:
    for fault in KINDS:
        for wire in fault.wires:
            if fault.name != "ok":
                yield pytest.param(fault, wire, id=f"{wire}-{fault.name}")


@pytest.mark.sockets
@pytest.mark.parametrize(("fault", "wire"), list(cases()))
def test_every_fault_that_stays_ends_in_one_typed_error(fault: Fault, wire: Wire) -> None:
    ends, maker = expected(fault, wire), SIGNED_BEDROCK if wire == "bedrock" else PLAIN
    # On a border of frames: within one, what follows is only its rest.
    place = "@event=20" if fault.name == "garbage" else ""
    script = f"always {fault.name}{place}{' every=0.05' if 'every' in fault.params else ''}"
    for way in FOUR_WAYS:
        with FaultServer(script) as server:
            seen = call(way, at(server.url, maker, middleware=[midstream.Recovery(HANGING.get(fault.name, FEW))]))
            until(lambda: server.open_connections == 0)
            attempts = len(server.requests)
        if ends is None:
            assert seen.error is None and seen.message["stop_reason"] == "end_turn", way
            assert attempts == 1
            continue
        error = seen.error
        assert isinstance(error, midstream.StreamError), (way, error)
        assert type(error).__mro__[2] is sdk_error(ends.sdk_class), way
        assert isinstance(error, anthropic.APIError)
        assert error.failure.kind is ends.kind
        assert getattr(error, "status_code", None) == ends.status
        assert getattr(error, "type", None) == ends.type
        assert error.partial == seen.so_far
        assert (attempts > 1) is ends.again and attempts <= FEW.attempts_total
        assert len(error.report.attempts) == attempts
        has_id = fault.stage != "connection"
        assert error.request_id == (f"req_{attempts:08d}" if has_id else None)  # type: ignore[attr-defined]
        assert error.report.outcome == "failed" and error.report.gave_up


@pytest.mark.sockets
@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_nobody_listens(way: Way) -> None:
    with FaultServer() as server:
        url = server.url
    seen = call(way, at(url, middleware=[midstream.Recovery(FEW)]))
    assert isinstance(seen.error, midstream.StreamError) and isinstance(seen.error, anthropic.APIConnectionError)
    assert seen.error.failure.kind is Kind.UNREACHABLE
    assert str(seen.error.request.url).startswith(url)
    assert len(seen.error.report.attempts) == FEW.attempts


# --- the SDK's own retries ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["http-529", "http-429 x-should-retry=true", "reset-early", "cut-clean@byte=0", "http-409"]
)
@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_the_retries_of_the_sdk_do_not_multiply_ours(way: Way, fault: str) -> None:
    playing = Playing(f"always {fault}")
    policy = midstream.Policy(attempts=3, backoff_s=(0, 0))
    seen = call(way, over(playing, max_retries=5, middleware=[midstream.Recovery(policy)]))
    assert isinstance(seen.error, midstream.StreamError)
    # The SDK would have slept half a second before each retry of its own, and made six attempts of each.
    assert len(playing.sent) == 3 and seen.error.report.slept_s == 0


@pytest.mark.parametrize("fault", ["http-529", "cut-clean@fraction=0.5", "reset-early"])
@pytest.mark.parametrize("how", ["client", "with_options"])
def test_max_retries_0_is_one_attempt(how: str, fault: str) -> None:
    playing = Playing(f"always {fault}")
    retries = 0 if how == "client" else 4
    with over(playing, max_retries=retries, middleware=[midstream.Recovery(FEW)])(is_async=False) as client:
        asking = client.with_options(max_retries=0) if how == "with_options" else client
        with pytest.raises(midstream.StreamError) as raised:
            list(asking.messages.create(**ASKED, stream=True))
    assert len(playing.sent) == len(raised.value.report.attempts) == 1
    assert raised.value.report.gave_up == "recovery is switched off"


@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_a_retry_after_under_the_ceiling_is_waited_for(way: Way) -> None:
    seen = call(way, over(Playing("http-429 retry-after-ms=20; then ok"), middleware=[midstream.Recovery(FEW)]))
    assert seen.error is None and seen.report is not None
    assert seen.report.slept_s == pytest.approx(0.02)


@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_a_retry_after_over_the_ceiling_ends_it_at_once(way: Way) -> None:
    playing = Playing("always http-429 retry-after=3600")
    error = call(way, over(playing, middleware=[midstream.Recovery(FEW)])).error
    assert isinstance(error, anthropic.RateLimitError) and isinstance(error, midstream.StreamError)
    assert error.failure.retry_after_s == 3600 and len(playing.sent) == 1
    assert error.response.headers["retry-after"] == "3600"
    assert "3,600" in (error.report.gave_up or "")


# --- timeout= -------------------------------------------------------------------------------------------------------


def limits(playing: Playing) -> list[dict[str, Any]]:
    return [dict(request.extensions["timeout"]) for request, _ in playing.sent]


@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_without_a_timeout_the_policy_is_the_limit(way: Way) -> None:
    playing = Playing()
    policy = midstream.Policy(connect_s=3, first_event_s=40, silence_s=30)
    call(way, over(playing, middleware=[midstream.Recovery(policy)]))
    (limit,) = limits(playing)
    assert limit["connect"] == 3
    # Sync, nothing but httpx2 bounds the reads here: there is no socket to watch. Async, an alarm does.
    assert limit["read"] == (None if way.is_async else 30)


@pytest.mark.parametrize("where", ["client", "call"])
@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_a_timeout_of_the_caller_stays_what_it_is(way: Way, where: str) -> None:
    playing, timeout = Playing(), httpx2.Timeout(20, connect=7)
    options = {"timeout": timeout} if where == "client" else {}
    asked = {"timeout": timeout} if where == "call" else {}
    call(way, over(playing, middleware=[midstream.Recovery(FEW)], **options), **asked)
    assert limits(playing) == [{"connect": 7, "read": 20, "write": 20, "pool": 20}]


@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_no_timeout_of_the_caller_is_not_waiting_for_ever(way: Way) -> None:
    playing = Playing("always silent-early")
    seen = call(way, over(playing, middleware=[midstream.Recovery(SHORT_START)]), timeout=None)
    assert isinstance(seen.error, anthropic.APITimeoutError)
    assert all(None not in limit.values() for limit in limits(playing))


@pytest.mark.sockets
@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_a_timeout_of_the_caller_is_the_upper_limit_of_the_silence(way: Way) -> None:
    policy = midstream.Policy(attempts=1)
    with FaultServer("always silence@event=9") as server:
        seen = call(way, at(server.url, middleware=[midstream.Recovery(policy)]), timeout=0.2)
    assert isinstance(seen.error, midstream.StreamError) and seen.error.failure.kind is Kind.SILENT
    assert seen.error.partial == seen.so_far != {}


# --- what the SDK does well -----------------------------------------------------------------------------------------

STORY = whole(
    thinking(0, "Let me ", "see."),
    text(1, "Grüße ", "aus 東京 ", "🎉"),
    tool_call(2, '{"days": ', "36}"),
    reason="tool_use",
)
UNKNOWN = [
    start(),
    {"type": "made_up_event", "what": [1, 2]},
    begin(0, "made_up_block", secret="x"),
    grow(0, "made_up_delta", more="y"),
    end(0),
    *text(1, "and on"),
    stopping(),
    {"type": "message_stop"},
]


def lines(separator: bytes, events: Any = STORY) -> bytes:
    return sse(*events).replace(b"\n", separator)


WELL = {
    "LF": lines(b"\n"),
    "CRLF": lines(b"\r\n"),
    "CR": lines(b"\r"),
    "comments": sse(*STORY).replace(b"event:", b": a comment\nevent:"),
    "several data lines": sse(*STORY).replace(b', "', b',\ndata: "'),
    "ids and retries": sse(*STORY).replace(b"event:", b"id: 7\nretry: 10\nevent:"),
    "unknown events, blocks and deltas": sse(*UNKNOWN),
    "pings": sse(*(part for event in STORY for part in ({"type": "ping"}, event))),
    "20 MB in one event": sse(*whole(text(0, "a" * 20_000_000))),
}

SMALL = [well for well, data in WELL.items() if len(data) < 1_000_000]


class Body(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Answers with these bytes, so many at a time."""

    def __init__(self, data: bytes, size: int, **headers: str) -> None:
        self._data, self._size = data, size
        self._headers = {"content-type": "text/event-stream", "request-id": "req_1", **headers}

    def _response(self) -> httpx2.Response:
        stream = _Chunks(self._data, self._size)
        return httpx2.Response(200, headers=self._headers, stream=stream)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._response()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._response()


class _Chunks(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, data: bytes, size: int) -> None:
        self._parts = [data[at : at + size] for at in range(0, len(data), size)]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    async def __aiter__(self) -> Any:
        for part in self._parts:
            yield part


@pytest.mark.parametrize(("well", "size"), [(well, 1 << 16) for well in WELL] + [(w, s) for w in SMALL for s in (1, 7)])
def test_what_the_sdk_reads_well_it_still_reads(well: str, size: int) -> None:
    data = WELL[well]
    for way in FOUR_WAYS if well in SMALL else FOUR_WAYS[1:3]:
        bare = call(way, over(lambda _: Body(data, size)))
        ours = call(way, over(lambda _: Body(data, size), middleware=[midstream.Recovery(FEW)]))
        assert bare.error is None
        assert (ours.error, ours.message, ours.events) == (None, bare.message, bare.events), way


@pytest.mark.sockets
@pytest.mark.parametrize("maker", [PLAIN, SIGNED_BEDROCK], ids=str)
@pytest.mark.parametrize("way", ALL_WAYS, ids=str)
def test_a_compressed_stream_is_read(way: Way, maker: Any) -> None:
    with FaultServer("ok gzip=yes") as server:
        seen = call(way, at(server.url, maker, middleware=[midstream.Recovery(FEW)]))
    assert seen.error is None and seen.message["stop_reason"] == "end_turn"


def test_the_bytes_are_handed_on_as_they_came() -> None:
    for well, data in WELL.items():
        with over(lambda _: Body(data, 1000), middleware=[midstream.Recovery(FEW)])(is_async=False) as client:  # noqa: B023
            with client.messages.with_streaming_response.create(**ASKED, stream=True) as response:
                assert b"".join(response.iter_bytes()) == data, well


HTTP_ERRORS = {
    400: ("invalid_request_error", None),
    404: ("not_found_error", "file_expired"),
    400.5: ("invalid_request_error", "tool_name_conflict"),
    401: ("authentication_error", None),
    429: ("rate_limit_error", "enforced_spend_limit_reached"),
    413: ("request_too_large", None),
}


@pytest.mark.parametrize("status", HTTP_ERRORS)
@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_an_http_error_is_the_one_that_the_sdk_raises(way: Way, status: float) -> None:
    error_type, code = HTTP_ERRORS[status]
    details = {"details": {"error_code": code, "more": 1}} if code else {}
    envelope = {"type": "error", "error": {"type": error_type, "message": "No.", **details}, "request_id": "req_9"}

    class Refusing(Body):
        def _response(self) -> httpx2.Response:
            return httpx2.Response(int(status), headers={"request-id": "req_9"}, json=envelope)

    bare, ours = (
        call(way, over(lambda _: Refusing(b"", 1), max_retries=0, middleware=middleware)).error
        for middleware in ([], [midstream.Recovery(FEW)])
    )
    assert isinstance(bare, anthropic.APIStatusError) and isinstance(ours, type(bare))
    for name in ("status_code", "request_id", "type", "api_message", "error_code", "details", "body"):
        assert getattr(ours, name) == getattr(bare, name), name
    assert ours.response.json() == bare.response.json() == envelope


def test_text_that_is_no_json_is_on_the_error() -> None:
    transport = HTTPXTransport("always http-502 body=html")
    error = call(FOUR_WAYS[0], over(lambda _: transport, middleware=[midstream.Recovery(FEW)])).error
    assert isinstance(error, anthropic.InternalServerError)
    assert isinstance(error.body, str) and "<html" in error.body.lower() and error.response.text == error.body


def test_what_is_held_of_a_tool_call_is_never_run() -> None:
    """A cut tool input is no dict of another meaning: nothing of the call is shown."""
    cut = [start(), *text(0, "I look it up in the calendar now."), *tool_call(1, '{"days": 36', closed=False)]
    transport = Body(sse(*cut), 1000)
    for way in FOUR_WAYS:
        seen = call(way, over(lambda _: transport, middleware=[midstream.Recovery(FEW)]))
        assert isinstance(seen.error, midstream.StreamError)
        assert {block["type"] for block in seen.error.partial["content"]} == {"text"}
        assert seen.error.partial == seen.so_far
        assert "days" not in json.dumps(seen.events)
