"""One request to a gateway, and its answer, frame by frame as it arrives.

Rule: written from RFC 9112 and the standard of server-sent events alone; nothing of midstream is imported.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


class Broken(Exception):
    """The connection ended before its answer did."""


@dataclass(frozen=True)
class Frame:
    """One server-sent event."""

    number: int | None
    """Its id; a ping of the gateway's own has none."""
    name: str
    raw: bytes


@dataclass
class Answer:
    """A response whose head is here."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    whole: bool = False
    """The body ended as its framing says."""
    rest: bytes = field(default=b"", repr=False)

    async def body(self) -> bytes:
        """All of a short answer."""
        parts = [chunk async for chunk in self._chunks()]
        return b"".join(parts)

    async def frames(self) -> AsyncIterator[Frame]:
        """Each event, once it is whole. Raises `Broken`."""
        pending = b""
        async for chunk in self._chunks():
            *frames, pending = (pending + chunk).split(b"\n\n")
            for raw in frames:
                yield _frame(raw)
        self.rest = pending

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            if "content-length" in self.headers:
                yield await self.reader.readexactly(int(self.headers["content-length"]))
            else:
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    yield (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readexactly(2)
        except (asyncio.IncompleteReadError, OSError) as problem:
            raise Broken from problem
        self.whole = True

    async def close(self) -> None:
        """Leaves."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass


def _frame(raw: bytes) -> Frame:
    number, name = None, ""
    for line in raw.split(b"\n"):
        if line.startswith(b"id: "):
            number = int(line[4:])
        elif line.startswith(b"event: "):
            name = line[7:].decode()
    return Frame(number, name, raw)


async def ask(port: int, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
    """Sends a request, and reads the head of its answer. Raises `Broken`."""
    lines = [f"{method} {path} HTTP/1.1", "host: gateway", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}"] if body is not None else []
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except (asyncio.IncompleteReadError, OSError) as problem:
        if writer is not None:
            writer.close()
        raise Broken from problem
    except asyncio.CancelledError:
        if writer is not None:
            writer.close()
        raise
    found = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    return Answer(int(head[0].split()[1]), found, reader, writer)
