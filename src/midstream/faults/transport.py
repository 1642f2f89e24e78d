"""Plays a script inside the process: for the engine on a virtual clock, and for any client over httpx2.

Rule: what a real transport would report is reported here, in the same words and the same order.
"""

import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from itertools import count
from typing import Any

import httpx2

from midstream.faults.acts import (
    Act,
    End,
    Hang,
    How,
    Pause,
    Performance,
    PingsForEver,
    Send,
    Trickle,
    TrickleSize,
    compressed,
)
from midstream.faults.catalogue import Wire
from midstream.faults.reply import Reply
from midstream.faults.routes import Call, answer
from midstream.faults.script import Fault, Script
from midstream.faults.service import Attempt, Service
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Wait

# How a transport names the ends that are not clean, and a response that never began.
_BROKE: Mapping[How, str] = {
    "fin": "incomplete",
    "fin-in-chunk": "incomplete",
    "reset": "reset",
    "bad-chunk": "protocol",
    "gzip-bad": "decoding",
}
_BEFORE: Mapping[str, str] = {"refused": "connect", "closed": "closed", "reset": "reset", "half-headers": "protocol"}

# Pings and trickles go on for ever; a reader that is still there after so many has no limit of its own.
_FOR_EVER = 1_000_000

# A transport is one stream, unless it is told whose attempts it makes.
_NUMBERS = count(1)

Chunking = str | int
"""``whole``, ``events`` (one frame for each chunk), ``bytes``, a number of bytes, or ``random:SEED``."""


class ScriptedTransport:
    """The engine's port: ``perform(wait) -> Input``, on a clock of its own that jumps instead of waiting."""

    def __init__(
        self,
        script: Script | Fault | str = "ok",
        reply: Reply | None = None,
        *,
        request: Mapping[str, Any] | None = None,
        wire: Wire = "sse",
        chunking: Chunking = "events",
        now: float = 0.0,
        service: Service | None = None,
        key: str | None = None,
        **options: Any,
    ) -> None:
        """``request`` is the caller's own, sent where `Open` has no body; ``options`` are those of `Service`."""
        self.now = now
        self.service = service or Service(script, reply, **options)
        self.opened_at: list[float] = []
        """When each attempt was opened."""
        self._request = request or {"model": "claude-sonnet-5-5", "max_tokens": 1024, "stream": True, "messages": []}
        self._wire: Wire = wire
        self._chunking = chunking
        self._key = key if key is not None else f"transport {next(_NUMBERS)}"
        self._inputs: Iterator[Input | float] = iter(())
        self._left_s = 0.0

    @property
    def requests(self) -> list[Attempt]:
        """Every attempt, in order."""
        return self.service.requests

    def clock(self) -> float:
        """The time, as the engine is to be told it."""
        return self.now

    def perform(self, wait: Wait) -> Input:
        """Do the one thing, and say what happened."""
        match wait:
            case Open():
                return self._open(wait)
            case Read(deadline):
                return self._read(deadline)
            case Sleep(deadline):
                self.close()
                return self._elapse(deadline)
            case Done():
                raise AssertionError("nothing is left to perform once the stream is over")

    def finish(self) -> None:
        """The message is complete."""
        self.close()

    def close(self) -> None:
        """Drop the attempt's connection."""
        self._inputs, self._left_s = iter(()), 0.0

    def _open(self, wait: Open) -> Input:
        self.opened_at.append(self.now)
        body = self._request if wait.body is None else wait.body
        performance = self.service.respond({**body, "stream": True}, wire=self._wire, key=self._key)
        if performance.before == "silent":
            return self._elapse(wait.deadline)
        if performance.before is not None:
            return Broke(_BEFORE[performance.before])
        self._inputs, self._left_s = inputs(performance, self._chunking), 0.0
        return Opened(performance.status, dict(performance.headers))

    def _read(self, deadline: float) -> Input:
        while True:
            if self._left_s:
                if self.now + self._left_s > deadline:
                    self._left_s -= max(0.0, deadline - self.now)
                    return self._elapse(deadline)
                self.now, self._left_s = self.now + self._left_s, 0.0
            found = next(self._inputs, None)
            if found is None:
                # Silence, and whatever is read after the end.
                return self._elapse(deadline)
            if not isinstance(found, float):
                return found
            self._left_s = found

    def _elapse(self, deadline: float) -> Elapsed:
        self.now = max(self.now, deadline)
        return Elapsed()


class AsyncScriptedTransport:
    """The same for the loop that awaits."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.inner = ScriptedTransport(*args, **options)

    async def perform(self, wait: Wait) -> Input:
        """Do the one thing, and say what happened."""
        return self.inner.perform(wait)

    async def finish(self) -> None:
        """The message is complete."""
        self.inner.finish()

    async def close(self) -> None:
        """Drop the attempt's connection."""
        self.inner.close()


def inputs(performance: Performance, chunking: Chunking) -> Iterator[Input | float]:
    """What a reader of the body is told, one after another; a number is a pause in seconds. Then silence."""
    for item in _merged(performance.acts, chunking):
        match item:
            case bytes():
                yield from (Received(piece) for piece in _chunks(item, chunking))
            case Pause(seconds):
                yield float(seconds)
            case PingsForEver(frame, every_s):
                for _ in range(_FOR_EVER):
                    yield float(every_s)
                    yield Received(frame)
            case Trickle(data, every_s):
                for at in range(len(data)):
                    yield float(every_s)
                    yield Received(data[at : at + 1])
            case End(how):
                yield Broke(_BROKE[how]) if how in _BROKE else Ended()
                return
            case Hang() | TrickleSize():
                return


def _merged(acts: tuple[Act, ...], chunking: Chunking) -> Iterator[bytes | Act]:
    """The acts, with what is sent without a pause in between as one: a transport knows no frames."""
    held = bytearray()
    for act in acts:
        if isinstance(act, Send) and chunking != "events":
            held += act.data
            continue
        if held:
            yield bytes(held)
            held.clear()
        yield act.data if isinstance(act, Send) else act
    if held:
        yield bytes(held)


def _chunks(data: bytes, chunking: Chunking) -> Iterator[bytes]:
    if chunking in ("whole", "events"):
        yield data
        return
    draw: Callable[[], int]
    if isinstance(chunking, str) and chunking.startswith("random:"):
        # Mostly small, sometimes large: both sides of every boundary are met.
        source = random.Random(f"{chunking} {len(data)}")
        draw = lambda: source.choice((1, 2, 3, 7, 31, 200, 4096))  # noqa: E731
    else:
        size = 1 if chunking == "bytes" else int(chunking)
        draw = lambda: size  # noqa: E731
    at = 0
    while at < len(data):
        end = at + draw()
        yield data[at:end]
        at = end


# --- over httpx2 ---------------------------------------------------------------------------------------------------

_INCOMPLETE = "peer closed connection without sending complete message body (incomplete chunked read)"
_RAISED: Mapping[str, tuple[type[httpx2.TransportError], str]] = {
    "incomplete": (httpx2.RemoteProtocolError, _INCOMPLETE),
    "reset": (httpx2.ReadError, "[Errno 104] Connection reset by peer"),
    "protocol": (httpx2.RemoteProtocolError, "illegal chunk header: bytearray(b'zz\\r\\n')"),
}
_RAISED_BEFORE: Mapping[str, tuple[type[httpx2.TransportError], str]] = {
    "refused": (httpx2.ConnectError, "[Errno 111] Connection refused"),
    "closed": (httpx2.RemoteProtocolError, "Server disconnected without sending a response."),
    "reset": (httpx2.ReadError, "[Errno 104] Connection reset by peer"),
    "half-headers": (httpx2.RemoteProtocolError, "Server disconnected without sending a response."),
}


class HTTPXTransport(httpx2.BaseTransport):
    """Plays a script to a synchronous client.

    Nothing waits unless ``wait`` is given (`time.sleep`): a pause moves ``now``, and a silence ends at once in the
    read timeout that the request asked for.
    """

    def __init__(
        self,
        script: Script | Fault | str = "ok",
        reply: Reply | None = None,
        *,
        chunking: Chunking = "events",
        service: Service | None = None,
        wait: Callable[[float], None] | None = None,
        **options: Any,
    ) -> None:
        """``options`` are those of `Service`."""
        self.service = service or Service(script, reply, **options)
        self.now = 0.0
        """Seconds that passed on the transport's own clock."""
        self.open_streams = 0
        """Responses that were begun and not yet closed."""
        self._chunking = chunking
        self._wait = wait

    @property
    def requests(self) -> list[Attempt]:
        """Every attempt, in order."""
        return self.service.requests

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request, or raise what a real transport would."""
        return self.respond(request, request.read(), _Body)

    def respond(self, request: httpx2.Request, body: bytes, kind: "type[_Body] | type[_AsyncBody]") -> httpx2.Response:
        """The response to one request whose body was read."""
        path = request.url.raw_path.decode("ascii")
        performance = answer(self.service, Call(request.method, path, _headers(request), body))
        if performance.before == "silent":
            self._silence(request)
        if performance.before is not None:
            error, text = _RAISED_BEFORE[performance.before]
            raise error(text, request=request)
        chunks = self._chunks(compressed(performance), request)
        return httpx2.Response(performance.status, headers=dict(performance.headers), stream=kind(self, chunks))

    def _chunks(self, performance: Performance, request: httpx2.Request) -> Iterator[bytes]:
        for item in inputs(performance, self._chunking):
            match item:
                case float():
                    self._pause(item, request)
                case Received(data):
                    yield data
                case Broke(reason):
                    error, text = _RAISED[reason]
                    raise error(text, request=request)
                case _:
                    return
        self._silence(request)

    def _pause(self, seconds: float, request: httpx2.Request) -> None:
        # httpx2 reads the limit anew at each read, so it may have been lowered since the headers.
        limit_s = _read_timeout_s(request)
        if limit_s is not None and seconds > limit_s:
            self._silence(request)
        self._pass(seconds)

    def _silence(self, request: httpx2.Request) -> None:
        # Without a limit a real reader would wait for ever; a test must not.
        self._pass(_read_timeout_s(request) or 0.0)
        raise httpx2.ReadTimeout("The read operation timed out", request=request)

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        if self._wait:
            self._wait(seconds)


class AsyncHTTPXTransport(httpx2.AsyncBaseTransport):
    """The same for the asynchronous clients."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """The arguments are those of `HTTPXTransport`, which plays for it: ``inner``."""
        self.inner = HTTPXTransport(*args, **options)

    @property
    def requests(self) -> list[Attempt]:
        """Every attempt, in order."""
        return self.inner.requests

    @property
    def open_streams(self) -> int:
        """Responses that were begun and not yet closed."""
        return self.inner.open_streams

    @property
    def now(self) -> float:
        """Seconds that passed on the transport's own clock."""
        return self.inner.now

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request, or raise what a real transport would."""
        return self.inner.respond(request, await request.aread(), _AsyncBody)


class _Body(httpx2.SyncByteStream):
    def __init__(self, transport: HTTPXTransport, chunks: Iterator[bytes]) -> None:
        self._transport, self._chunks, self._closed = transport, chunks, False
        transport.open_streams += 1

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.open_streams -= 1


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, transport: HTTPXTransport, chunks: Iterator[bytes]) -> None:
        self._body = _Body(transport, chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._body:
            yield chunk

    async def aclose(self) -> None:
        self._body.close()


def _headers(request: httpx2.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _read_timeout_s(request: httpx2.Request) -> float | None:
    seconds = (request.extensions.get("timeout") or {}).get("read")
    return None if seconds is None else float(seconds)
