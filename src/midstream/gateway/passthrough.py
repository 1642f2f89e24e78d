"""Requests that are no streams of ours: handed on, and the answer handed back, while they arrive.

Rule: nothing is changed, nothing is buffered, nothing is tried twice.
"""

import asyncio

import msgspec

from midstream.gateway.answered import Answered
from midstream.gateway.endings import JSON_BODY, envelope
from midstream.gateway.http.decoding import DecodingError
from midstream.gateway.http.heads import Headers, first, without_hop_by_hop
from midstream.gateway.http.inbound import Request, Response
from midstream.gateway.http.outbound import Exchange, OutRequest, Pool
from midstream.gateway.upstreams.errors import to_bedrock
from midstream.gateway.upstreams.port import Call, CannotAsk, Upstream, Wire

ERROR_BYTES_MAX = 1 << 20
"""An error's body is read whole where it has to be put into other words."""


class Answer:
    """The `Listener` of the upstream's answer: what comes goes to the client."""

    __slots__ = ("_exchange", "_held", "_response", "_status", "_upstream", "_wire", "done", "headers")

    def __init__(self, call: Call, upstream: Upstream, response: Response) -> None:
        self._wire = call.wire
        self._upstream = upstream
        self._response = response
        self._exchange: Exchange | None = None
        self._status = 0
        self._held: bytearray | None = None
        self.headers: Headers = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def follow(self, exchange: Exchange) -> None:
        """The exchange whose answer this is."""
        self._exchange = exchange
        self._response.author = self

    def opened(self, status: int, headers: Headers) -> None:
        """The response headers. Those of an error wait for its body, which may have to be put into other words."""
        self._status, self.headers = status, headers
        if status >= 400 and not self._response.bodiless:
            self._held = bytearray()
            return
        length = first(headers, b"content-length")
        whole = int(length) if length is not None and length.isdigit() else None
        self._response.start(status, without_hop_by_hop(headers), length=whole)

    def received(self, data: bytes) -> None:
        """A chunk of the body."""
        if self._held is not None:
            self._held += data
            if len(self._held) > ERROR_BYTES_MAX:
                self._release()
            return
        self._response.write(data)
        if not self._response.writable and self._exchange is not None:
            self._exchange.pause()

    def ended(self) -> None:
        """The body ended as its framing says."""
        if self._held is not None:
            self._response.send(*self._in_other_words(bytes(self._held)))
        else:
            self._response.end()
        self._over()

    def _in_other_words(self, body: bytes) -> tuple[int, Headers, bytes]:
        """An error in the words of the client's API; where it has them already, as it came: it may be compressed."""
        as_it_came = self._status, without_hop_by_hop(self.headers), body
        try:
            answered = Answered(self._status, self.headers)
            plain = answered.more(body) + answered.rest()
        except DecodingError:
            return as_it_came
        said = self._upstream.refusal(self._status, answered.headers, plain, self._wire)
        return as_it_came if said == (self._status, answered.headers, plain) else said

    def broke(self, reason: str, detail: str) -> None:
        """The connection failed."""
        if self._response.started:
            self._response.abort()
        else:
            told = (
                f"the upstream could not be asked ({reason})"
                if self._status == 0
                else "the upstream's answer broke off"
            )
            self._response.send(*_refused(502, told, self._wire))
        self._over()

    def _release(self) -> None:
        """An error of more than a megabyte is none of the API's: it goes as it came."""
        held, self._held = self._held, None
        self._response.start(self._status, without_hop_by_hop(self.headers))
        self._response.write(bytes(held or b""))

    def drained(self) -> None:
        """The client takes more."""
        if self._exchange is not None:
            self._exchange.resume()

    def gone(self) -> None:
        """The client has left."""
        if self._exchange is not None:
            self._exchange.cancel()
        self._over()

    def _over(self) -> None:
        self._exchange = None
        self._response.author = None
        if not self.done.done():
            self.done.set_result(None)


async def pass_on(
    call: Call, credentials: Headers | None, upstream: Upstream, pool: Pool, request: Request, response: Response,
    connect_s: float,
) -> None:  # fmt: skip
    """Hands a request on. Its body too, while it arrives, where the call has none."""
    try:
        asked = await upstream.request(call, None, credentials)
    except CannotAsk as problem:
        response.send(*_refused(problem.status, str(problem), call.wire, problem.error_type))
        return
    if asked.body is None:
        asked = _framed(asked, request)
    answer = Answer(call, upstream, response)
    exchange = pool.exchange(asked, answer, connect_s=connect_s)
    answer.follow(exchange)
    if asked.body is None:
        await _upload(request, exchange, answer)
    await answer.done


def _refused(status: int, message: str, wire: Wire, type: str | None = None) -> tuple[int, Headers, bytes]:
    """An error of midstream's own, in the words of the client's API."""
    answer = status, [JSON_BODY], envelope(status, message, type=type)
    return to_bedrock(*answer) if wire == "eventstream" else answer


def _framed(asked: OutRequest, request: Request) -> OutRequest:
    """The body goes on framed as it came: of a known length, in chunks, or there is none."""
    if (length := request.content_length) is not None:
        return msgspec.structs.replace(asked, headers=[*asked.headers, (b"content-length", b"%d" % length)])
    if first(request.headers, b"transfer-encoding") is None:
        return msgspec.structs.replace(asked, body=b"")
    return asked


async def _upload(request: Request, exchange: Exchange, answer: Answer) -> None:
    drained = asyncio.Event()
    exchange.on_drained = drained.set
    answer.done.add_done_callback(lambda _: drained.set())
    try:
        async for chunk in request.chunks():
            if answer.done.done():
                return
            exchange.send(chunk)
            if not exchange.writable:
                drained.clear()
                await drained.wait()
        exchange.finish()
    except Exception:
        exchange.cancel()
        raise


__all__ = ["Answer", "pass_on"]
