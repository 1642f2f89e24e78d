"""HTTP/1.1 on raw streams: reading a request, and the bytes around a response.

Rule: it knows nothing of faults, and reads nothing beyond its bounds.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from midstream.faults.routes import Call

# The header lines that real clients send are below 8 kB; a script in a header may have 16.
HEAD_BYTES_MAX = 64 << 10

# Twice what the API takes, so that its own limit is the one that is met.
BODY_BYTES_MAX = 64 << 20

# What is held of a body that is only counted.
_PIECE_BYTES = 64 << 10


class BadRequest(ValueError):
    """Bytes that are no request, or one that is too large."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """The first lines of a request."""

    method: str
    path: str
    version: str
    headers: Mapping[str, str]

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to use the connection again."""
        return self.version == "HTTP/1.1" and "close" not in self.headers.get("connection", "").lower()


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next request's head; ``None`` if the client is gone. Raises `BadRequest`."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError:
        raise BadRequest(431, f"the headers are longer than {HEAD_BYTES_MAX:,} bytes") from None
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(400, "the first line is not one of HTTP/1.1")
    pairs = (line.partition(":") for line in lines)
    return Head(words[0], words[1], words[2], {name.strip().lower(): value.strip() for name, _, value in pairs})


async def read_call(reader: asyncio.StreamReader, head: Head) -> Call | None:
    """The whole request; ``None`` if the client went in the middle of it. Raises `BadRequest`."""
    try:
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            body = await _chunked(reader)
        else:
            body = await reader.readexactly(_size(head.headers.get("content-length", "0"), 10))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Call(head.method, head.path, head.headers, body)


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = _size(await _chunk_size(reader), 16)
        if len(body) + size > BODY_BYTES_MAX:
            raise BadRequest(413, f"the body is longer than {BODY_BYTES_MAX:,} bytes")
        body += (await reader.readexactly(size + 2))[:-2]
        if size == 0:
            return bytes(body)


async def count_body(reader: asyncio.StreamReader, head: Head, kept_bytes: int, bytes_max: int) -> tuple[bytes, int]:
    """The beginning of a body, and its size; the rest is not kept. Raises `BadRequest`, and what a reader raises."""
    kept, size = b"", 0
    async for data in _pieces(reader, head, bytes_max):
        kept += data[: max(0, kept_bytes - size)]
        size += len(data)
    return kept, size


async def _pieces(reader: asyncio.StreamReader, head: Head, bytes_max: int) -> AsyncIterator[bytes]:
    chunked = "chunked" in head.headers.get("transfer-encoding", "").lower()
    left = bytes_max
    while True:
        size = _size(await _chunk_size(reader), 16) if chunked else _size(head.headers.get("content-length", "0"), 10)
        if size > left:
            raise BadRequest(413, f"the body is longer than {bytes_max:,} bytes")
        left -= size
        for at in range(0, size, _PIECE_BYTES):
            yield await reader.readexactly(min(_PIECE_BYTES, size - at))
        if chunked:
            await reader.readexactly(2)
        if not chunked or size == 0:
            return


async def _chunk_size(reader: asyncio.StreamReader) -> str:
    try:
        line = await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError:
        raise BadRequest(400, "the size of a chunk has no end") from None
    return line.split(b";")[0].decode("latin-1").strip()


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        size = -1
    if size < 0:
        raise BadRequest(400, "the length of the body is not a number")
    if size > BODY_BYTES_MAX:
        raise BadRequest(413, f"the body is longer than {BODY_BYTES_MAX:,} bytes")
    return size


def head_bytes(status: int, headers: Mapping[str, str]) -> bytes:
    """The status line and the headers, with the empty line behind them."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Overloaded"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    # A script may have put anything into a header's value; what is not Latin-1 cannot stand there.
    return "\r\n".join(lines).encode("latin-1", "replace")


def chunk_bytes(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
