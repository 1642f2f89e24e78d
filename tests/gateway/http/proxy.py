"""A real HTTP proxy, as small as it can be: CONNECT, and absolute-form requests.

Rule: every name leads to one server of the test.
"""

import asyncio
import contextlib
import ssl
from typing import Self

from midstream.gateway.http.proxies import Proxy
from tests.gateway.http.servers import Answer, Server


class ConnectProxy(Server):
    """CONNECT opens a tunnel to ``target``; every other request is answered here, by the first of the answers."""

    def __init__(
        self,
        target: Server,
        *,
        authorization: bytes | None = None,
        to_connect: bytes = b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n",
        then: str = "tunnel",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nproxied"), tls=tls)
        self._target = target
        self._authorization = authorization
        self._to_connect = to_connect
        self._then = then
        self.tunnels: list[bytes] = []
        """What each tunnel was asked for: the head of its CONNECT."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.proxy = Proxy(self.origin("localhost" if self._tls else "127.0.0.1"), self._authorization)
        return self

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        first = await reader.readuntil(b"\n")
        if not first.startswith(b"CONNECT "):
            reader._buffer[:0] = first  # type: ignore[attr-defined]  # as if it had not been read
            return await super().respond(reader, writer, number)
        head = first + await reader.readuntil(b"\r\n\r\n")
        self.tunnels.append(head)
        if self._authorization is not None and b"proxy-authorization: " + self._authorization not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            return False
        writer.write(self._to_connect)
        if self._then == "tunnel":
            await self._pipe(reader, writer)
        return await self._end(self._then, writer)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target.port)
        ways = [asyncio.ensure_future(_copy(reader, back)), asyncio.ensure_future(_copy(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            back.transport.abort()
            writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
