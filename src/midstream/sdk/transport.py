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
from midstream.recovery.policy import Policy
from midstream.recovery.steps import Broke, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Wait
from midstream.sdk.call import attempt_request
from midstream.sdk.watchdog import NEVER, AsyncAlarm, Watched

# After the last event only the end of the body is missing: what takes longer is not worth a connection.
DRAIN_S = 0.25
DRAIN_CHUNKS_MAX = 16


class Limits:
    """The time limits of one call, in the terms of httpx2."""

    def __init__(self, timeout: httpx2.Timeout | None, *, is_default: bool, policy: Policy, now: float) -> None:
        self._timeout = timeout
        self._is_default = is_default
        """The caller asked for nothing of their own."""
        self._ends_at = NEVER if policy.elapsed_s is None else now + policy.elapsed_s
        self._slow_s = max(policy.silence_s, policy.progress_slow_s)
        self._silence_s = policy.silence_s

    def headers_at(self, wait: Open) -> float:
        """When the headers must be there. What the caller asked for counts in the place of the policy's limit."""
        asked = not self._is_default and self._timeout is not None and self._timeout.read is not None
        return self._ends_at if asked else wait.deadline

    def of_attempt(self, wait: Open, now: float, *, watched: bool) -> httpx2.Timeout | None:
        """What the attempt is sent with; ``None`` for what the client has.

        Where the wait for the headers is ``watched`` by ourselves, the limit of a read need not be it too.
        """
        # Whole milliseconds: the SDK tells the service its limits in a header.
        ours_s, ends_s = max(round(wait.deadline - now, 3), 0.001), max(self._ends_at - now, 0.001)
        connect_s, read_s = min(wait.connect_s, ours_s), max(ours_s, self._slow_s) if watched else ours_s
        if self._is_default:
            return httpx2.Timeout(ours_s, connect=connect_s, read=read_s)
        asked = self._timeout
        if asked is None or (self._ends_at == NEVER and None not in asked.as_dict().values()):
            return None
        ours = {"connect": connect_s, "read": read_s, "write": ours_s, "pool": ours_s}
        # Where the caller wants no limit, there is still the policy's.
        merged = {name: ours[name] if own is None else own for name, own in asked.as_dict().items()}
        return httpx2.Timeout(**{name: min(limit_s, ends_s) for name, limit_s in merged.items()})

    @property
    def read_timeout_s(self) -> float | None:
        """The caller's own limit between two reads, which is the upper limit of the silence."""
        return None if self._is_default or self._timeout is None else self._timeout.read

    def of_reads(self, *, watched: bool) -> float | None:
        """What httpx2 is told for the body: nothing where the reads are watched, else the silence at least."""
        asked = self.read_timeout_s
        if asked is not None:
            return asked
        return None if watched else self._silence_s


class _Port:
    """What both ports share."""

    _watches_headers: bool

    def __init__(
        self, request: APIRequest, call_next: Callable[[APIRequest], Any], clock: Clock, limits: Limits
    ) -> None:
        self._first: Any = None
        self._answered_well = False
        self.last_response: httpx2.Response | None = None
        self.last_request: httpx2.Request | None = None
        self.closed = False
        self._request = request
        self._call_next = call_next
        self._clock = clock
        self._limits = limits
        self._response: httpx2.Response | None = None

    def take_first(self) -> Any:
        """The SDK's response to the first attempt that was answered 2xx: what the caller is given, its body replaced.

        It is given away: kept, it and the body would hold each other, and a dropped stream would linger.
        """
        first, self._first = self._first, None
        return first

    def _attempt(self, wait: Open) -> APIRequest:
        timeout = self._limits.of_attempt(wait, self._clock(), watched=self._watches_headers)
        return attempt_request(self._request, wait.body, timeout)

    def _answered(self, answer: Any, *, watched: bool) -> Opened:
        response: httpx2.Response = answer.http_response
        self._response = self.last_response = response
        self.last_request = response.request
        if not self._answered_well and response.is_success:
            self._first, self._answered_well = answer, True
        limit_s = self._limits.of_reads(watched=watched)
        timeout = response.request.extensions.get("timeout")
        if isinstance(timeout, dict):
            timeout["read"] = limit_s  # httpx2 takes it from here when the body is first read (HTTP/1.1)
        return Opened(response.status_code, _headers(response), limit_s)

    def _failed_to_open(self, problem: Exception, wait: Open) -> Input:
        if isinstance(problem, anthropic.APIConnectionError):
            self.last_request = problem.request
        heard = broke_before_headers(problem)
        if heard is None:
            if not self._answered_well:
                raise problem
            return Broke("connect", type(problem).__name__)
        return heard

    def _timed_out(self, deadline: float) -> Input:
        """The wait is over, by a timer that may be a moment ahead of the engine's clock."""
        if self.closed:  # that is what ended it
            return Broke("closed")
        self._clock.skip_to(deadline)
        return Elapsed()

    def _failed_to_read(self, problem: Exception, wait: Read) -> Input:
        if isinstance(problem, httpx2.TimeoutException) or self._clock() >= wait.deadline:
            return self._timed_out(wait.deadline)
        return broke_in_body(problem)


class SyncPort(_Port):
    """The port for ``Anthropic`` and its relatives."""

    _watches_headers = False

    def __init__(
        self, request: APIRequest, call_next: Callable[[APIRequest], Any], clock: Clock, limits: Limits
    ) -> None:
        super().__init__(request, call_next, clock, limits)
        self._chunks: Iterator[bytes] | None = None
        self._watched = Watched()

    def perform(self, wait: Wait) -> Input:
        """Does the one thing, and says what happened."""
        if type(wait) is not Read:  # reading stands here: a call more for each chunk can be measured
            return self._open(wait) if isinstance(wait, Open) else self._sleep(wait)
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
        finally:
            self._watched.deadline = NEVER  # the consumer takes as long as they like

    def _sleep(self, wait: Wait) -> Input:
        assert isinstance(wait, Sleep)
        self._drop()
        self._watched.sleep(max(0.0, wait.deadline - self._clock()))
        if not self.closed:
            self._clock.skip_to(wait.deadline)
        return Elapsed()

    def _open(self, wait: Open) -> Input:
        self._drop()
        try:
            answer = self._call_next(self._attempt(wait))
        except Exception as problem:
            return self._failed_to_open(problem, wait)
        # The watchdog sees to the limits, where it can; else the silence alone is bounded, by httpx2.
        self._watched.watch(answer.http_response)
        heard = self._answered(answer, watched=self._watched.can_bite)
        if self.closed:  # the consumer left while the request was under way
            self._drop()
            return Broke("closed")
        self._chunks = _chunks_of(answer.http_response)
        return heard

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
        self._watched.cut()
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

    _watches_headers = True

    def __init__(
        self, request: APIRequest, call_next: Callable[[APIRequest], Any], clock: Clock, limits: Limits
    ) -> None:
        super().__init__(request, call_next, clock, limits)
        self._chunks: AsyncIterator[bytes] | None = None
        self._alarm = AsyncAlarm()

    async def perform(self, wait: Wait) -> Input:
        """Does the one thing, and says what happened."""
        if type(wait) is not Read:  # reading stands here: a coroutine more for each chunk would cost as much again
            return await self._open(wait) if isinstance(wait, Open) else await self._sleep(wait)
        assert self._chunks is not None
        try:
            while True:
                chunk = await self._alarm.bounded(self._chunks.__anext__(), self._clock.monotonic_at(wait.deadline))
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

    async def _sleep(self, wait: Wait) -> Input:
        assert isinstance(wait, Sleep)
        await self._drop()
        if not self.closed:
            await self._alarm.sleep(max(0.0, wait.deadline - self._clock()))
        if not self.closed:
            self._clock.skip_to(wait.deadline)
        return Elapsed()

    async def _open(self, wait: Open) -> Input:
        await self._drop()
        headers_at = self._clock.monotonic_at(self._limits.headers_at(wait))
        try:
            answer = await self._alarm.bounded(self._call_next(self._attempt(wait)), headers_at)
        except Exception as problem:
            return self._failed_to_open(problem, wait)
        if answer is None:
            return Elapsed()
        heard = self._answered(answer, watched=True)
        if self.closed:  # the consumer left while the request was under way
            await self._drop()
            return Broke("closed")
        self._chunks = _async_chunks_of(answer.http_response)
        return heard

    async def finish(self) -> None:
        """Reads to the end of the body, so that the connection can be used again; but not for long."""
        if self._chunks is not None and not self.closed:
            deadline = self._clock.monotonic_at(self._clock() + DRAIN_S)
            try:
                for _ in range(DRAIN_CHUNKS_MAX):
                    if await self._alarm.bounded(self._chunks.__anext__(), deadline) is None:
                        break
            except Exception:
                pass  # the message is whole: how the connection ends changes nothing
            finally:
                await self._drop()
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
        finally:  # also when this task is being cancelled
            if response is not None:
                await _closed(response)


async def _closed(response: httpx2.Response) -> None:
    try:
        await response.aclose()
    except Exception:
        pass  # it is being dropped


def _chunks_of(response: httpx2.Response) -> Iterator[bytes]:
    """The body, decoded."""
    return response.iter_raw() if _is_plain(response) else response.iter_bytes()


def _async_chunks_of(response: httpx2.Response) -> AsyncIterator[bytes]:
    """The body, decoded."""
    return response.aiter_raw() if _is_plain(response) else response.aiter_bytes()


def _is_plain(response: httpx2.Response) -> bool:
    """Whether there is nothing to decode, and nobody has read it before: then a layer of httpx2 less will do."""
    return "content-encoding" not in response.headers and not response.is_stream_consumed


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
