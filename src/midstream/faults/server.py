"""Plays a script over real sockets, on raw streams: below ASGI, because it must cut a chunk in half.

Rule: it decides nothing; it does what a `Performance` says, and lets go of every socket when it is closed.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from midstream.faults import http
from midstream.faults.acts import (
    Act,
    End,
    Hang,
    Pause,
    Performance,
    PingsForEver,
    Send,
    Trickle,
    TrickleSize,
    compressed,
)
from midstream.faults.listening import Listening
from midstream.faults.play import error_event, whole
from midstream.faults.reply import Reply
from midstream.faults.routes import answer
from midstream.faults.script import Fault, Script
from midstream.faults.service import Attempt, Service
from midstream.faults.sockets import Gone, Line

# A silence that nobody ends: a client that waits for an hour has no limit, which is what one wanted to know.
HANG_S_MAX = 3600.0

# What a chunk that is cut announces beyond what it holds.
_MISSING_BYTES = 37


class FaultServer(Listening):
    """A server of faults: ``with FaultServer("cut-rst@byte=900") as server: … server.url``, or ``async with``."""

    head_bytes_max = http.HEAD_BYTES_MAX

    thinks_s = 0.0
    """How long it waits before each answer."""

    def __init__(
        self,
        script: Script | Fault | str = "ok",
        reply: Reply | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        **options: Any,
    ) -> None:
        """``options`` are those of `Service`; port 0 is any free one."""
        self.service = Service(script, reply, **options)
        super().__init__(host, port)
        self._timers: set[asyncio.Task[None]] = set()

    @property
    def requests(self) -> list[Attempt]:
        """Every attempt, in order."""
        return self.service.requests

    async def aclose(self) -> None:
        """Close every socket, and wait until they are closed."""
        for timer in self._timers:
            timer.cancel()
        await asyncio.gather(*self._timers, return_exceptions=True)
        await super().aclose()

    def _refuse_for(self, seconds: float) -> None:
        """Really refuse: nobody listens at the port for so long."""
        if self._listener is None or not seconds:
            return
        self._listener.close()
        self._listener = None

        async def listen_again() -> None:
            await asyncio.sleep(seconds)
            await self._listen()

        timer = asyncio.get_running_loop().create_task(listen_again())
        self._timers.add(timer)
        timer.add_done_callback(self._timers.discard)

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection may be used again."""
        try:
            head = await asyncio.wait_for(http.read_head(reader), HANG_S_MAX)
            if head is None:
                return False
            if "100-continue" in head.headers.get("expect", "").lower():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            call = await http.read_call(reader, head)
        except http.BadRequest as problem:
            envelope = error_event("invalid_request_error", str(problem), "req_00000000")
            await _Stage(writer, chunked=False).perform(whole(envelope, problem.status, {"connection": "close"}))
            return False
        if call is None:
            return False
        if self.thinks_s:
            await asyncio.sleep(self.thinks_s)
        performance = compressed(answer(self.service, call))
        if performance.before == "refused":
            self._refuse_for(performance.refuse_s)
        stage = _Stage(writer, chunked=head.version == "HTTP/1.1", silent=head.method == "HEAD")
        return await stage.perform(performance) and head.keeps_alive


class _Stage:
    """Where one response is performed."""

    def __init__(self, writer: asyncio.StreamWriter, *, chunked: bool, silent: bool = False) -> None:
        self._line = Line(writer)
        self._chunked = chunked
        self._silent = silent
        self._inside_chunk = False

    async def perform(self, performance: Performance) -> bool:
        """Play it; whether the connection may be used again."""
        if performance.before is not None:
            await self._before(performance.before)
            return False
        headers = {"server": "midstream-faults", **performance.headers}
        acts = performance.acts
        streams = "text/event-stream" in headers.get("content-type", "") or "amazon" in headers.get("content-type", "")
        body = b"".join(act.data for act in acts if isinstance(act, Send))
        if not streams:
            headers["content-length"] = str(len(body))
            await self._line.write(http.head_bytes(performance.status, headers) + (b"" if self._silent else body))
            return headers.get("connection") != "close"
        if self._chunked:
            headers["transfer-encoding"] = "chunked"
        await self._line.write(http.head_bytes(performance.status, headers))
        for number, act in enumerate(acts):
            following = acts[number + 1] if number + 1 < len(acts) else None
            await self._act(act, following)
        return self._chunked and acts[-1:] == (End("clean"),)

    async def _before(self, before: str) -> None:
        if before == "silent":
            await self._line.wait(HANG_S_MAX)
        elif before == "half-headers":
            await self._line.write(b"HTTP/1.1 200 OK\r\nserver: midstream-faults\r\ncontent-ty")
        elif before in ("refused", "reset"):
            await self._line.reset()
            raise Gone

    async def _act(self, act: Act, following: Act | None) -> None:
        match act:
            case Send(data) if following == End("fin-in-chunk") and self._chunked:
                self._inside_chunk = True
                await self._line.write(b"%x\r\n%b" % (len(data) + _MISSING_BYTES, data))
            case Send(data):
                await self._send(data)
            case Pause(seconds):
                await self._line.wait(seconds)
            case Hang():
                await self._line.wait(HANG_S_MAX)
                raise Gone
            case PingsForEver(frame, every_s):
                await self._for_ever(lambda: self._send(frame), every_s)
            case TrickleSize(every_s):
                await self._for_ever(lambda: self._line.write(b"0"), every_s)
            case Trickle(data, every_s):
                for at in range(len(data)):
                    await self._line.wait(every_s)
                    await self._send(data[at : at + 1])
            case End(how):
                await self._end(how)

    async def _end(self, how: str) -> None:
        if how == "clean" and self._chunked:
            await self._line.write(b"0\r\n\r\n")
        elif how == "fin-in-chunk" and self._chunked and not self._inside_chunk:
            await self._line.write(b"%x\r\n" % _MISSING_BYTES)
        elif how == "bad-chunk":
            await self._line.write(b"zz\r\n")
        elif how == "reset":
            await self._line.reset()
            raise Gone

    async def _for_ever(self, send: Callable[[], Any], every_s: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + HANG_S_MAX
        while loop.time() < until:
            # Never faster than a thousand a second, whatever the script says.
            await self._line.wait(max(every_s, 0.001))
            await send()
        raise Gone

    async def _send(self, data: bytes) -> None:
        await self._line.write(http.chunk_bytes(data) if self._chunked else data)
