"""Transports for httpx2, so that a real SDK client of any kind runs on a script without a socket.

Rule: what they raise is what httpx2 raises over a real socket, with the same class and about the same words.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import httpx2

from midstream.faults.acts import Performance, compressed
from midstream.faults.reply import Reply
from midstream.faults.routes import Call, answer
from midstream.faults.script import Fault, Script
from midstream.faults.service import Attempt, Service
from midstream.faults.transport import Chunking, inputs
from midstream.recovery.steps import Broke, Received

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
