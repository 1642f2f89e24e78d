"""A raw socket client, so that a test sees what really is on the wire."""

import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

REQUEST: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 1024,
    "stream": True,
    "messages": [{"role": "user", "content": "Why do suspension bridges span so far?"}],
}

BEDROCK_PATH = "/model/anthropic.claude-sonnet-5-5/invoke-with-response-stream"


@dataclass
class Answer:
    """Everything that came over the wire, and how it ended."""

    raw: bytes
    end: str
    """``fin``, ``reset`` or ``timeout``."""

    @property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").lower()

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def framed(self) -> bytes:
        """The body with its chunk sizes."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def chunks(self) -> list[bytes]:
        """The whole chunks, the last empty one included."""
        return self._take()[0]

    @property
    def rest(self) -> bytes:
        """What stands behind the last whole chunk."""
        return self._take()[1]

    @property
    def body(self) -> bytes:
        """The body, content encoding kept; what a cut chunk held included."""
        if "transfer-encoding: chunked" not in self.head:
            return self.framed
        chunks, rest = self._take()
        size, found, data = rest.partition(b"\r\n")
        return b"".join(chunks) + (data if found and _is_size(size) else b"")

    @property
    def complete(self) -> bool:
        """Whether the framing says that the body is whole."""
        if "transfer-encoding: chunked" in self.head:
            return self.chunks[-1:] == [b""]
        return f"content-length: {len(self.framed)}" in self.head

    def _take(self) -> tuple[list[bytes], bytes]:
        chunks: list[bytes] = []
        rest = self.framed
        while True:
            line, found, after = rest.partition(b"\r\n")
            if not found or not _is_size(line):
                return chunks, rest
            size = int(line, 16)
            if len(after) < size + 2:
                return chunks, rest
            chunks.append(after[:size])
            rest = after[size + 2 :]
            if size == 0:
                return chunks, rest


def _is_size(line: bytes) -> bool:
    return bool(line) and all(byte in b"0123456789abcdefABCDEF" for byte in line)


def ask(
    url: str,
    path: str = "/v1/messages",
    body: dict[str, Any] | bytes | None = None,
    *,
    timeout_s: float = 5.0,
    total_s: float = 30.0,
    method: str = "POST",
    **headers: str,
) -> Answer:
    """Send one request, and read until the other side ends it, stays silent for so long, or goes on for too long."""
    with connect(url, timeout_s) as line:
        return exchange(line, path, body, total_s=total_s, method=method, **headers)


def connect(url: str, timeout_s: float = 2.0) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=timeout_s)


def exchange(
    line: socket.socket,
    path: str,
    body: dict[str, Any] | bytes | None = None,
    *,
    total_s: float = 30.0,
    method: str = "POST",
    **headers: str,
) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(REQUEST if body is None else body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: test", f"content-length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in {"connection": "close", **headers}.items()]
    received = bytearray()
    try:
        line.sendall("\r\n".join([*lines, "", ""]).encode() + data)
        # A stream that trickles never lets one read time out: there is a limit for all of them, too.
        until = time.monotonic() + total_s
        while time.monotonic() < until and (piece := line.recv(65_536)):
            received += piece
        if time.monotonic() >= until:
            return Answer(bytes(received), "timeout")
    except TimeoutError:
        return Answer(bytes(received), "timeout")
    except ConnectionResetError:
        return Answer(bytes(received), "reset")
    return Answer(bytes(received), "fin")


def events_of(body: bytes) -> list[dict[str, Any]]:
    """The events of a body of server-sent events, as far as their JSON can be read."""
    events = []
    for block in body.decode("utf-8", "replace").split("\n\n"):
        data = [line[6:] for line in block.split("\n") if line.startswith("data: ")]
        if data:
            events.append(_loads("\n".join(data)))
    return events


def _loads(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {"type": "unreadable"}
    return value if isinstance(value, dict) else {"type": "unreadable"}


def messages_of(body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """The messages of an AWS event stream, read without any check: headers and payload."""
    found, at = [], 0
    while at + 16 <= len(body):
        total, size = struct.unpack_from(">II", body, at)
        if at + total > len(body):
            break
        headers, here = {}, at + 12
        while here < at + 12 + size:
            name_end = here + 1 + body[here]
            name = body[here + 1 : name_end].decode()
            length = struct.unpack_from(">H", body, name_end + 1)[0]
            headers[name] = body[name_end + 3 : name_end + 3 + length].decode()
            here = name_end + 3 + length
        found.append((headers, body[at + 12 + size : at + total - 4]))
        at += total
    return found
