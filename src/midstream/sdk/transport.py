"""The ports over the SDK: each attempt is one ``call_next``, so the SDK signs and sends it anew.

Rule: what a network library raises is caught here and nowhere else. What is not its doing (the caller's own mistakes,
other middleware) passes through, unless the consumer already has content: then it is one more way to break.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anthropic
import httpx2
from anthropic import APIRequest

from midstream.drivers.clock import Clock
from midstream.recovery.steps import Broke, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Wait
from midstream.sdk.call import attempt_request
from midstream.sdk.watchdog import AsyncAlarm, Watched

# After the last event only the end of the body is missing: what takes longer is not worth a connection.
DRAIN_S = 0.25
DRAIN_CHUNKS_MAX = 16


class Limits:
    """The time limits of one call, in the terms of httpx2."""

    def __init__(self, timeout: httpx2.Timeout | None, *, is_default: bool, silence_s: float) -> None:
        self.timeout = timeout
        self.is_default = is_default
        self.silence_s = silence_s
        """For one read of the body, where nothing else can watch it."""

    def of_attempt(self, wait: Open, now: float) -> httpx2.Timeout | None:
        """What the attempt is sent with; ``None`` for what the caller asked for."""
        if not self.is_default:
            return None
        limit_s = max(wait.deadline - now, 0.001)
        return httpx2.Timeout(limit_s, connect=min(wait.connect_s, limit_s))

    @property
    def read_timeout_s(self) -> float | None:
        """The caller's own limit between two reads, which is the upper limit of the silence."""
        if self.is_default or self.timeout is None:
            return None
        return self.timeout.read


class _Port:
    """What both ports share."""

    def __init__(
        self, request: APIRequest, call_next: Callable[[APIRequest], Any], clock: Clock, limits: Limits
    ) -> None:
        self.first: Any = None
        """The SDK's response to the first attempt that was answered 2xx: what the caller is given, its body replaced."""
        self.last_response: httpx2.Response | None = None
        self.closed = False
        self._request = request
        self._call_next = call_next
        self._clock = clock
        self._limits = limits
        self._response: httpx2.Response | None = None

    def _attempt(self, wait: Open) -> APIRequest:
        return attempt_request(self._request, wait.body, self._limits.of_attempt(wait, self._clock()))

    def _answered(self, answer: Any) -> Opened:
        response: httpx2.Response = answer.http_response
        self._response = self.last_response = response
        if self.first is None and response.is_success:
            self.first = answer
        return Opened(response.status_code, _headers(response), self._limits.read_timeout_s)

    def _limit_reads(self, response: httpx2.Response, limit_s: float | None) -> None:
        """httpx2 takes the read timeout from the request when the body is first read (HTTP/1.1)."""
        timeout = response.request.extensions.get("timeout")
        if self._limits.is_default and isinstance(timeout, dict):
            timeout["read"] = limit_s

    def _failed_to_open(self, problem: Exception, wait: Open) -> Input:
        heard = broke_before_headers(problem)
        if heard is None:
            if self.first is None:
                raise problem
            return Broke("connect", type(problem).__name__)
        return heard

    def _timed_out(self, deadline: float) -> Elapsed:
        self._clock.skip_to(deadline)
        return Elapsed()

    def _failed_to_read(self, problem: Exception, wait: Read) -> Input:
        if isinstance(problem, httpx2.TimeoutException) or self._clock() >= wait.deadline:
            return self._timed_out(wait.deadline)
        return broke_in_body(problem)


class SyncPort(_Port):
    """The port for ``Anthropic`` and its relatives."""

    def __init__(
        self, request: APIRequest, call_next: Callable[[APIRequest], Any], clock: Clock, limits: Limits
    ) -> None:
        super().__init__(request, call_next, clock, limits)
        self._chunks: Iterator[bytes] | None = None
        self._watched = Watched()

    def perform(self, wait: Wait) -> Input:
        """Does the one thing, and says what happened."""
        if type(wait) is Read:
            return self._read(wait)
        if isinstance(wait, Open):
            return self._open(wait)
        assert isinstance(wait, Sleep)
        self._drop()
        self._watched.sleep(max(0.0, wait.deadline - self._clock()))
        return self._timed_out(wait.deadline)

    def _open(self, wait: Open) -> Input:
        self._drop()
        try:
            answer = self._call_next(self._attempt(wait))
        except Exception as problem:
            return self._failed_to_open(problem, wait)
        heard = self._answered(answer)
        if self.closed:  # the consumer left while the request was under way
            self._drop()
            return Broke("closed")
        self._watched.watch(answer.http_response)
        # The watchdog sees to the limits, where it can; else the silence alone is bounded, by httpx2.
        self._limit_reads(answer.http_response, None if self._watched.can_bite else self._limits.silence_s)
        self._chunks = answer.http_response.iter_bytes()
        return heard

    def _read(self, wait: Read) -> Input:
        assert self._chunks is not None
        self._watched.set_deadline(self._clock.monotonic_at(wait.deadline))
        try:
            for chunk in self._chunks:
                if chunk:
                    return Received(chunk)
                if self._clock() >= wait.deadline:
                    return Elapsed()
            return self._timed_out(wait.deadline) if self._watched.bit else Ended()
        except Exception as problem:
            if self._watched.bit:
                return self._timed_out(wait.deadline)
            return self._failed_to_read(problem, wait)

    def finish(self) -> None:
        """Reads to the end of the body, so that the connection can be used again; but not for long."""
        if self._chunks is not None and self._watched.can_bite and not self.closed:
            self._watched.set_deadline(self._clock.monotonic_at(self._clock() + DRAIN_S))
            try:
                for _ in zip(range(DRAIN_CHUNKS_MAX), self._chunks, strict=False):
                    pass
            except Exception:
                pass  # the message is whole: how the connection ends changes nothing
        self._drop()

    def close(self) -> None:
        """Drops the connection at once."""
        self.closed = True
        self._watched.wake()
        self._drop()

    def _drop(self) -> None:
        response, self._response, self._chunks = self._response, None, None
        self._watched.release()
        if response is not None:
            try:
                response.close()
            except Exception:
                pass  # it is being dropped


class AsyncPort(_Port):
    """The port for ``AsyncAnthropic`` and its relatives."""

    def __init__(
        self, request: APIRequest, call_next: Callable[[APIRequest], Any], clock: Clock, limits: Limits
    ) -> None:
        super().__init__(request, call_next, clock, limits)
        self._chunks: AsyncIterator[bytes] | None = None
        self._alarm = AsyncAlarm()

    async def perform(self, wait: Wait) -> Input:
        """Does the one thing, and says what happened."""
        if type(wait) is Read:
            return await self._read(wait)
        if isinstance(wait, Open):
            return await self._open(wait)
        assert isinstance(wait, Sleep)
        await self._drop()
        await self._alarm.sleep(max(0.0, wait.deadline - self._clock()))
        return self._timed_out(wait.deadline)

    async def _open(self, wait: Open) -> Input:
        await self._drop()
        try:
            answer = await self._call_next(self._attempt(wait))
        except Exception as problem:
            return self._failed_to_open(problem, wait)
        heard = self._answered(answer)
        if self.closed:  # the consumer left while the request was under way
            await self._drop()
            return Broke("closed")
        self._limit_reads(answer.http_response, None)
        self._chunks = answer.http_response.aiter_bytes()
        return heard

    async def _read(self, wait: Read) -> Input:
        assert self._chunks is not None
        try:
            while True:
                chunk = await self._alarm.bounded(self._chunks, self._clock.monotonic_at(wait.deadline))
                if chunk is None:
                    return self._timed_out(wait.deadline)
                if chunk:
                    return Received(chunk)
                if self._clock() >= wait.deadline:
                    return Elapsed()
        except StopAsyncIteration:
            return Ended()
        except Exception as problem:
            return self._failed_to_read(problem, wait)

    async def finish(self) -> None:
        """Reads to the end of the body, so that the connection can be used again; but not for long."""
        if self._chunks is not None and not self.closed:
            deadline = self._clock.monotonic_at(self._clock() + DRAIN_S)
            try:
                for _ in range(DRAIN_CHUNKS_MAX):
                    if await self._alarm.bounded(self._chunks, deadline) is None:
                        break
            except (Exception, StopAsyncIteration):
                pass  # the message is whole: how the connection ends changes nothing
        await self._drop()

    async def close(self) -> None:
        """Drops the connection at once."""
        self.closed = True
        self._alarm.wake()
        await self._drop()

    async def _drop(self) -> None:
        response, chunks = self._response, self._chunks
        self._response, self._chunks = None, None
        self._alarm.release()
        try:
            if chunks is not None and hasattr(chunks, "aclose"):
                await chunks.aclose()
        except Exception:
            pass  # closed while another task reads from it: closing the response is what counts
        try:
            if response is not None:
                await response.aclose()
        except Exception:
            pass  # it is being dropped


def _headers(response: httpx2.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def broke_before_headers(problem: Exception) -> Input | None:
    """What kept the headers from coming; ``None`` if it was not the network."""
    if not isinstance(problem, anthropic.APIConnectionError | httpx2.TransportError):
        return None
    cause = problem.__cause__ if isinstance(problem, anthropic.APIConnectionError) else problem
    match cause:
        case httpx2.ConnectTimeout():
            return Broke("connect_timeout")
        case httpx2.PoolTimeout():
            return Broke("pool", "no connection became free")
        case httpx2.ReadTimeout():
            return Elapsed()
        case httpx2.ConnectError() | httpx2.ProxyError():
            return Broke(*_why_not_connected(cause))
        case httpx2.TransportError():
            return broke_in_body(cause)
    return Broke("connect", type(cause or problem).__name__)


def _why_not_connected(problem: BaseException) -> tuple[str, str]:
    seen: BaseException | None = problem
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(seen):
            return "certificate", "the certificate was refused"
        if isinstance(seen, ssl.SSLError):
            return "tls", type(seen).__name__
        if type(seen).__name__ == "gaierror" or "Name or service not known" in str(seen):
            return "dns", "the name was not found"
        seen = seen.__cause__ or seen.__context__
    return "connect", type(problem).__name__


def broke_in_body(problem: BaseException) -> Broke:
    """How the body broke. Only the class of the exception is kept: its text may quote what was received."""
    name = type(problem).__name__
    match problem:
        case httpx2.RemoteProtocolError():
            return Broke(
                "incomplete" if "incomplete" in str(problem) or "without" in str(problem) else "protocol", name
            )
        case httpx2.DecodingError():
            return Broke("decoding", name)
        case httpx2.NetworkError() | OSError():
            return Broke("reset", name)
        case httpx2.StreamError():
            return Broke("closed", name)
    return Broke("protocol", name)
