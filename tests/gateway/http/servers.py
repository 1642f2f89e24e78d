"""Servers that misbehave, over real sockets, and a listener that insists on its contract.

Rule: a server does what its answers say, byte for byte, and keeps count of what arrived.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self

import pytest
import uvloop

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.outbound import Exchange, Origin, OutRequest, Pool, PoolLimits

DEADLINE_S = 20.0

on_both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])

Story = Coroutine[Any, Any, None]
Run = Callable[[Story], None]


class Heard:
    """What a listener was told; telling it anything out of turn is an error of the test."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.parts: list[bytes] = []
        self.end: str | None = None
        """``ended``, or the reason why it broke."""
        self.detail = ""
        self.quiet = False
        """Nothing may be told any more."""
        self._changed = asyncio.Event()

    def opened(self, status: int, headers: Headers) -> None:
        assert not self.quiet and not self.status and self.end is None
        self.status, self.headers = status, list(headers)
        self._changed.set()

    def received(self, data: bytes) -> None:
        assert not self.quiet and self.status and self.end is None and data
        self.parts.append(data)
        self._changed.set()

    def ended(self) -> None:
        assert not self.quiet and self.status and self.end is None
        self.end = "ended"
        self._changed.set()

    def broke(self, reason: str, detail: str) -> None:
        assert not self.quiet and self.end is None
        self.end, self.detail = reason, detail
        self._changed.set()

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    async def until(self, seen: Callable[[], object]) -> Self:
        """Waits until something holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not seen():
                self._changed.clear()
                await self._changed.wait()
        return self

    async def over(self) -> Self:
        """Waits for the end."""
        return await self.until(lambda: self.end is not None)


@dataclass
class Answer:
    """What a server does once it has read a request."""

    data: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    then: str = "keep"
    """``keep``, ``close``, ``reset`` (once `Server.go` is set), ``abort``, or ``hang``."""
    by_byte: bool = False
    before_body: bool = False
    """Answers as soon as the head is there, and reads the body no more."""
    held: bool = False
    """Answers once `Server.go` is set."""


OK = Answer()


@dataclass
class Asked:
    """A request as it arrived."""

    head: bytes
    body: bytes
    connection: int
    """Which connection it came over, from 1."""


class Server:
    """The n-th request gets the n-th answer; the last one answers all that follow."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None, scheme: str = "") -> None:
        self.answers = answers or (OK,)
        self.asked: list[Asked] = []
        self.connections = 0
        self.open = 0
        self.go = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []
        self._tls = tls
        self._scheme = scheme or ("https" if tls else "http")
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def origin(self, host: str = "127.0.0.1") -> Origin:
        return Origin(self._scheme, host, self.port)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self.writers:
            writer.transport.abort()
        await settled()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.open += 1
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                while await self.respond(reader, writer, number):
                    pass
        finally:
            self.open -= 1

    def was_left(self) -> bool:
        """Whether the client has closed its end of every connection."""
        # A stream writer that is closed no longer knows its reader.
        open_ones = [writer.transport for writer in self.writers if not writer.is_closing()]
        return all(each.get_protocol()._stream_reader.at_eof() for each in open_ones)  # type: ignore[union-attr]

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        asked = Asked(head, b"", number)
        self.asked.append(asked)
        if not answer.before_body:
            asked.body = await read_body(reader, head)
        if answer.held:
            await self.go.wait()
        for piece in [answer.data[at : at + 1] for at in range(len(answer.data))] if answer.by_byte else [answer.data]:
            writer.write(piece)
            await writer.drain()
            await settled()  # as far as it can be had, the other side reads each byte by itself
        return await self._end(answer.then, writer)

    async def _end(self, then: str, writer: asyncio.StreamWriter) -> bool:
        if then == "close":
            writer.close()
        elif then == "abort":
            await self.go.wait()
            writer.transport.abort()
        elif then == "reset":
            await self.go.wait()
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif then == "hang":
            await asyncio.sleep(3600)
        return then == "keep"


async def read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """The body of a request, by its framing."""
    lines = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
    if b"transfer-encoding" not in lines:
        return await reader.readexactly(int(lines.get(b"content-length", 0)))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


async def settled() -> None:
    """Lets the loop do what is due: closing a transport takes a few turns."""
    for _ in range(6):
        await asyncio.sleep(0)


async def until(seen: Callable[[], object]) -> None:
    """Waits until something holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not seen():
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def pooled(limits: PoolLimits | None = None, **options: Any) -> AsyncIterator[Pool]:
    """A pool that is closed, and then has nothing open."""
    pool = Pool(limits, **options)
    try:
        yield pool
    finally:
        await pool.aclose()
        assert (pool.connections, pool.idle) == (0, 0)
        await settled()


def ask(pool: Pool, asked: OutRequest, connect_s: float = DEADLINE_S) -> tuple[Heard, Exchange]:
    heard = Heard()
    return heard, pool.exchange(asked, heard, connect_s=connect_s)


async def answer_to(pool: Pool, asked: OutRequest, connect_s: float = DEADLINE_S) -> Heard:
    """The whole of one exchange."""
    return await ask(pool, asked, connect_s)[0].over()


def post(
    origin: Origin, body: bytes | None = b"{}", method: bytes = b"POST", headers: Headers | None = None
) -> OutRequest:
    return OutRequest(method=method, origin=origin, target=b"/v1/messages", headers=headers or [], body=body)
