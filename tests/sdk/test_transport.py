"""The ports: one wait performed, one input reported, and every exception of the network said in one word."""

import asyncio
import socket
import ssl
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import APIRequest
from anthropic._models import FinalRequestOptions

from midstream.drivers.clock import Clock
from midstream.recovery.policy import Policy
from midstream.recovery.steps import Broke, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Wait
from midstream.sdk.transport import AsyncPort, Limits, SyncPort, broke_before_headers, broke_in_body

REQUEST = httpx2.Request("POST", "https://api.example.com/v1/messages", extensions={"timeout": {"read": 600.0}})
OPEN = Open(None, deadline=180.0, connect_s=5.0)
POLICY = Policy()


# --- limits ---------------------------------------------------------------------------------------------------------


def limits(timeout: httpx2.Timeout | None, policy: Policy = POLICY, *, is_default: bool = False) -> Limits:
    return Limits(timeout, is_default=is_default, policy=policy, now=0.0)


def told(of: Limits, *, watched: bool = False, now: float = 0.0) -> dict[str, float | None] | None:
    timeout = of.of_attempt(OPEN, now, watched=watched)
    return None if timeout is None else timeout.as_dict()


DEFAULT = anthropic.DEFAULT_TIMEOUT
OWN = httpx2.Timeout(20, connect=7)


@pytest.mark.parametrize(
    ("of", "watched", "expected"),
    [
        (limits(DEFAULT, is_default=True), False, {"connect": 5, "read": 180, "write": 180, "pool": 180}),
        # Watched by an alarm, a read may take as long as the longest silence there is.
        (limits(DEFAULT, is_default=True), True, {"connect": 5, "read": 1800, "write": 180, "pool": 180}),
        # What the caller asked for is what the client sends.
        (limits(OWN), False, None),
        (limits(None), False, None),
        # But no limit at all is not waiting for ever.
        (limits(httpx2.Timeout(None)), False, {"connect": 5, "read": 180, "write": 180, "pool": 180}),
        (limits(httpx2.Timeout(None, read=20)), False, {"connect": 5, "read": 20, "write": 180, "pool": 180}),
        # And the end of the stream's time is the end.
        (limits(OWN, Policy(elapsed_s=9)), False, {"connect": 7, "read": 9, "write": 9, "pool": 9}),
    ],
)
def test_what_an_attempt_is_sent_with(of: Limits, watched: bool, expected: dict[str, float] | None) -> None:
    assert told(of, watched=watched) == expected


def test_the_time_that_is_left_counts() -> None:
    of = limits(DEFAULT, is_default=True)
    assert told(of, now=179.0) == {"connect": 1, "read": 1, "write": 1, "pool": 1}
    assert told(of, now=500.0) == {"connect": 0.001, "read": 0.001, "write": 0.001, "pool": 0.001}


def test_until_when_the_headers_are_waited_for() -> None:
    assert limits(DEFAULT, is_default=True).headers_at(OPEN) == 180
    assert limits(None).headers_at(OPEN) == limits(httpx2.Timeout(None)).headers_at(OPEN) == 180
    assert limits(OWN).headers_at(OPEN) == float("inf")  # httpx2 sees to it
    assert limits(OWN, Policy(elapsed_s=9)).headers_at(OPEN) == 9


def test_the_limit_of_a_read() -> None:
    assert limits(OWN).read_timeout_s == limits(OWN).of_reads(watched=True) == 20
    for of in (limits(DEFAULT, is_default=True), limits(None), limits(httpx2.Timeout(None))):
        assert of.read_timeout_s is None
        assert of.of_reads(watched=True) is None
        assert of.of_reads(watched=False) == POLICY.silence_s


# --- exceptions -----------------------------------------------------------------------------------------------------


def chained(outer: Exception, *inner: BaseException) -> Exception:
    at: BaseException = outer
    for cause in inner:
        at.__cause__ = cause
        at = cause
    return outer


def connection_error(*inner: BaseException) -> Exception:
    return chained(anthropic.APIConnectionError(request=REQUEST), *inner)


BEFORE: list[tuple[Exception, Input | None]] = [
    (chained(anthropic.APITimeoutError(REQUEST), httpx2.ConnectTimeout("x")), Broke("connect_timeout")),
    (
        chained(anthropic.APITimeoutError(REQUEST), httpx2.PoolTimeout("x")),
        Broke("pool", "no connection became free"),
    ),
    (chained(anthropic.APITimeoutError(REQUEST), httpx2.ReadTimeout("x")), Elapsed()),
    (connection_error(httpx2.ConnectError("Connection refused")), Broke("connect", "ConnectError")),
    (
        connection_error(httpx2.ConnectError("x"), ssl.SSLCertVerificationError("self-signed")),
        Broke("certificate", "the certificate was refused"),
    ),
    (
        connection_error(httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")),
        Broke("certificate", "the certificate was refused"),
    ),
    (connection_error(httpx2.ConnectError("x"), ssl.SSLError("wrong version")), Broke("tls", "SSLError")),
    (connection_error(httpx2.ConnectError("x"), socket.gaierror(-2, "no")), Broke("dns", "the name was not found")),
    (
        connection_error(httpx2.ConnectError("[Errno -2] Name or service not known")),
        Broke("dns", "the name was not found"),
    ),
    (connection_error(httpx2.ProxyError("407")), Broke("connect", "ProxyError")),
    (connection_error(httpx2.ReadError("reset")), Broke("reset", "ReadError")),
    (connection_error(httpx2.WriteError("reset")), Broke("reset", "WriteError")),
    (
        connection_error(httpx2.RemoteProtocolError("Server disconnected without sending a response.")),
        Broke("incomplete", "RemoteProtocolError"),
    ),
    (connection_error(RuntimeError("the client has been closed")), Broke("connect", "RuntimeError")),
    (connection_error(), Broke("connect", "APIConnectionError")),
    (httpx2.ReadError("bare"), Broke("reset", "ReadError")),
    (LookupError("mine"), None),
    (anthropic.AnthropicError("no credentials"), None),
]


@pytest.mark.parametrize(("problem", "expected"), BEFORE, ids=range(len(BEFORE)))
def test_what_kept_the_headers_from_coming(problem: Exception, expected: Input | None) -> None:
    assert broke_before_headers(problem) == expected


IN_BODY: list[tuple[BaseException, Broke]] = [
    (
        httpx2.RemoteProtocolError(
            "peer closed connection without sending complete message body (incomplete chunked read)"
        ),
        Broke("incomplete", "RemoteProtocolError"),
    ),
    (httpx2.RemoteProtocolError("illegal chunk header"), Broke("protocol", "RemoteProtocolError")),
    (httpx2.LocalProtocolError("x"), Broke("protocol", "LocalProtocolError")),
    (httpx2.DecodingError("x"), Broke("decoding", "DecodingError")),
    (httpx2.ReadError("x"), Broke("reset", "ReadError")),
    (ConnectionResetError(104, "x"), Broke("reset", "ConnectionResetError")),
    (ssl.SSLError("eof"), Broke("reset", "SSLError")),
    (httpx2.StreamClosed(), Broke("closed", "StreamClosed")),
    (ValueError("contents of the reply"), Broke("protocol", "ValueError")),
]


@pytest.mark.parametrize(("problem", "expected"), IN_BODY, ids=range(len(IN_BODY)))
def test_how_the_body_broke_without_what_was_in_it(problem: BaseException, expected: Broke) -> None:
    assert broke_in_body(problem) == expected


# --- the ports ------------------------------------------------------------------------------------------------------


class Chunks(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that is told what to do: bytes to give, exceptions to raise."""

    def __init__(self, *acts: bytes | BaseException) -> None:
        self.acts, self.closed = list(acts), 0

    def __iter__(self) -> Any:
        for act in self.acts:
            if isinstance(act, BaseException):
                raise act
            yield act

    async def __aiter__(self) -> Any:
        for act in self.acts:
            if isinstance(act, BaseException):
                raise act
            yield act

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class Answer:
    """What the SDK hands to middleware."""

    def __init__(self, body: Chunks, status: int = 200) -> None:
        self.http_response = httpx2.Response(status, headers={"Request-Id": "req_1"}, stream=body, request=REQUEST)


ASKED = APIRequest(
    options=FinalRequestOptions(method="post", url="/v1/messages", json_data={"model": "m", "messages": [1]}),
    cast_to=object,
    stream=True,
)


class Driven:
    """A port of either colour, driven the same way, at a time that stands still."""

    def __init__(self, is_async: bool, *plays: Any, of: Limits | None = None) -> None:
        self.asked: list[APIRequest] = []
        self.now = 0.0
        self.clock = Clock(lambda: self.now)
        plan = iter(plays)
        of = of or limits(DEFAULT, is_default=True)

        def call_next(request: APIRequest) -> Any:
            self.asked.append(request)
            play = next(plan)
            if isinstance(play, Exception):
                raise play
            return play() if callable(play) else play

        async def acall_next(request: APIRequest) -> Any:
            return call_next(request)

        self.is_async = is_async
        self.port: Any = (
            AsyncPort(ASKED, acall_next, self.clock, of) if is_async else SyncPort(ASKED, call_next, self.clock, of)
        )

    def run(self, *names: str | Wait) -> list[Any]:
        """Performs waits, or calls methods, one after another."""
        if self.is_async:
            return asyncio.run(self._arun(names))
        return [self._now(name) for name in names]

    def _now(self, name: str | Wait) -> Any:
        return getattr(self.port, name)() if isinstance(name, str) else self.port.perform(name)

    async def _arun(self, names: Any) -> list[Any]:
        return [await self._now(name) for name in names]


both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
READ = Read(deadline=1000.0)
SILENCE_S = 180.0
"""What httpx2 is told where there is no socket to watch: then the engine must count with it too."""


@both
def test_an_attempt_is_opened_and_read_to_its_end(is_async: bool) -> None:
    body = Chunks(b"one", b"", b"two")
    driven = Driven(is_async, Answer(body))
    opened, *read = driven.run(OPEN, READ, READ, READ, "finish", "finish", "close")
    assert opened == Opened(200, {"request-id": "req_1"}, None if is_async else SILENCE_S)
    assert read[:3] == [Received(b"one"), Received(b"two"), Ended()]
    assert body.closed >= 1
    assert driven.port.take_first() is not None and driven.port.take_first() is None


@both
def test_an_error_status_is_opened_like_any_other(is_async: bool) -> None:
    driven = Driven(is_async, Answer(Chunks(b"{}"), 529), Answer(Chunks(b"x")))
    results = driven.run(OPEN, READ, READ, OPEN, READ, "close")
    assert results[0] == Opened(529, {"request-id": "req_1"}, None if is_async else SILENCE_S)
    assert results[1:3] == [Received(b"{}"), Ended()]
    assert driven.port.take_first().http_response.status_code == 200
    assert driven.port.last_response.status_code == 200


@both
@pytest.mark.parametrize(("problem", "expected"), [row for row in BEFORE if row[1]], ids=lambda value: None)
def test_a_request_that_gets_no_answer_is_reported_not_raised(
    is_async: bool, problem: Exception, expected: Input
) -> None:
    assert Driven(is_async, problem).run(OPEN, "close")[0] == expected


@both
def test_what_is_not_the_networks_passes_the_first_time_and_is_a_break_later(is_async: bool) -> None:
    with pytest.raises(LookupError):
        Driven(is_async, LookupError("mine")).run(OPEN)
    driven = Driven(is_async, Answer(Chunks(b"x")), LookupError("mine"))
    assert driven.run(OPEN, READ, OPEN, "close")[2] == Broke("connect", "LookupError")


@both
@pytest.mark.parametrize(("problem", "expected"), IN_BODY, ids=range(len(IN_BODY)))
def test_a_body_that_breaks_is_reported_not_raised(is_async: bool, problem: BaseException, expected: Broke) -> None:
    body = Chunks(b"x", problem)
    assert Driven(is_async, Answer(body)).run(OPEN, READ, READ, "close")[1:3] == [Received(b"x"), expected]
    assert body.closed >= 1


@both
def test_a_timeout_of_httpx2_is_the_deadline(is_async: bool) -> None:
    driven = Driven(is_async, Answer(Chunks(httpx2.ReadTimeout("x"))))
    assert driven.run(OPEN, READ, "close")[1] == Elapsed()
    assert driven.clock() == READ.deadline


@both
def test_empty_chunks_do_not_outlast_the_deadline(is_async: bool) -> None:
    driven = Driven(is_async, Answer(Chunks(*[b""] * 50)))
    late = Read(deadline=-1.0)
    assert driven.run(OPEN, late, "close")[1] in (Elapsed(), Ended())  # httpx2 itself may leave them out


@both
def test_a_new_attempt_drops_the_one_before(is_async: bool) -> None:
    first, second = Chunks(b"a"), Chunks(b"b")
    driven = Driven(is_async, Answer(first), Answer(second))
    results = driven.run(OPEN, READ, OPEN, READ, "close")
    assert results[3] == Received(b"b")
    assert first.closed >= 1 and second.closed >= 1


@both
def test_a_sleep_drops_the_connection_and_never_ends_early(is_async: bool) -> None:
    body = Chunks(b"a")
    driven = Driven(is_async, Answer(body))
    results = driven.run(OPEN, Sleep(deadline=0.01))
    assert results[1] == Elapsed() and driven.clock() >= 0.01 and body.closed >= 1


@both
def test_a_continued_request_is_sent_with_its_own_body_and_nothing_else_changed(is_async: bool) -> None:
    driven = Driven(is_async, Answer(Chunks()), Answer(Chunks()))
    driven.run(OPEN, replace_body(OPEN, {"model": "m", "messages": [1, 2]}), "close")
    first, second = driven.asked
    assert first.json is ASKED.json  # not copied: a conversation may be long
    assert second.json == {"model": "m", "messages": [1, 2]}
    assert (second.url, second.method, second.stream) == (ASKED.url, ASKED.method, True)
    assert ASKED.json == {"model": "m", "messages": [1]}


def replace_body(wait: Open, body: dict[str, Any]) -> Open:
    return Open(body, wait.deadline, wait.connect_s)


@both
def test_a_port_that_was_closed_while_it_opened_keeps_nothing(is_async: bool) -> None:
    body = Chunks(b"a")

    def closing() -> Answer:
        driven.port.closed = True
        return Answer(body)

    driven = Driven(is_async, closing)
    assert driven.run(OPEN) == [Broke("closed")]
    assert body.closed >= 1


@both
def test_the_rest_of_a_whole_body_is_read_within_bounds(is_async: bool) -> None:
    body = Chunks(*[b"more"] * 1000)
    driven = Driven(is_async, Answer(body))
    driven.run(OPEN, READ, "finish")
    assert body.closed >= 1
    broken = Chunks(b"a", httpx2.ReadError("x"))
    assert Driven(is_async, Answer(broken)).run(OPEN, READ, "finish")[2] is None
    assert broken.closed >= 1


@both
def test_the_limit_of_a_read_is_told_to_httpx2(is_async: bool) -> None:
    driven = Driven(is_async, Answer(Chunks(b"a")))
    driven.run(OPEN, "close")
    timeout = driven.port.last_response.request.extensions["timeout"]
    assert timeout["read"] == (None if is_async else POLICY.silence_s)
    own = Driven(is_async, Answer(Chunks(b"a")), of=limits(OWN))
    assert own.run(OPEN, "close")[0].read_timeout_s == 20
