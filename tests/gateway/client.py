"""A plain HTTP client for tests: one request, and every byte of the answer as it came."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from midstream.protocol.events import Fields

ASKED: Fields = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 1000,
    "stream": True,
    "messages": [{"role": "user", "content": "Tell me."}],
}


@dataclass
class Frame:
    """A server-sent event, as the standard reads it."""

    id: str
    name: str
    data: Fields


@dataclass
class Answer:
    """A response that is being read."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int
    headers: dict[str, str]
    body: bytes = b""
    whole: bool = False
    """The body ended as its framing says."""
    _buffer: bytes = field(default=b"", repr=False)

    async def read(self, until: int | None = None) -> bytes:
        """The body to its end, or to so many bytes of it."""
        while until is None or len(self.body) < until:
            chunk = await self._chunk()
            if chunk is None:
                break
            self.body += chunk
        return self.body

    async def frames(self, count: int | None = None) -> list[Frame]:
        """The events of the body, all or the first few."""
        while count is None or len(frames_of(self.body)) < count:
            chunk = await self._chunk()
            if chunk is None:
                break
            self.body += chunk
        return frames_of(self.body)[:count]

    async def close(self) -> None:
        """Leaves."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass

    async def _chunk(self) -> bytes | None:
        if "content-length" in self.headers:
            if self.whole:
                return None
            self.whole = True
            return await self.reader.readexactly(int(self.headers["content-length"]))
        if self.headers.get("transfer-encoding") != "chunked":
            data = await self.reader.read(65536)
            self.whole = not data
            return data or None
        line = await self.reader.readline()
        if not line.endswith(b"\r\n"):
            return None
        size = int(line, 16)
        data = await self.reader.readexactly(size + 2)
        if size == 0:
            self.whole = True
            return None
        return data[:-2]


def frames_of(body: bytes) -> list[Frame]:
    """The events of a body, by the standard: the id is the last one that was said."""
    found, last = [], ""
    for block in body.split(b"\n\n")[:-1]:
        fields = [line.partition(": ")[::2] for line in block.decode().split("\n") if not line.startswith(":")]
        last = next((value for name, value in fields if name == "id"), last)
        data = "\n".join(value for name, value in fields if name == "data")
        own = next((value for name, value in fields if name == "id"), "")
        if data:
            name = next((value for name, value in fields if name == "event"), "")
            found.append(Frame(own, name, json.loads(data)))
    return found


async def ask(
    url: str, method: str = "POST", path: str = "/v1/messages", body: Any = ASKED, *, version: str = "1.1",
    **headers: str,
) -> Answer:  # fmt: skip
    """Sends a request, and reads the head of the answer. Header names with ``_`` for ``-``."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/{version}", f"Host: {headers.pop('host', host)}"]
    if body is not None:
        lines.append(f"Content-Length: {len(data)}")
    if "x_api_key" not in headers and "authorization" not in headers:
        headers["x_api_key"] = "sk-test"
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    found = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    return Answer(reader, writer, int(head[0].split()[1]), found)


def text_of(frames: list[Frame]) -> str:
    """All the text that these events say."""
    return "".join(frame.data["delta"].get("text", "") for frame in frames if frame.name == "content_block_delta")


def numbered(frames: list[Frame]) -> list[Frame]:
    """Without the gateway's own pings."""
    return [frame for frame in frames if frame.id]
