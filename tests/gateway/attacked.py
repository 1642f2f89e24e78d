"""A gateway that is attacked: the process, an upstream that remembers every byte it is asked with, raw sockets.

Rule: whoever attacks has a token, so that nothing is refused only because it comes from a stranger.
"""

import asyncio
import hashlib
import http.client
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gateway.gateways import FAST, Gateway, running
from tests.gateway.http.serving import Answer, read_all
from tests.gateway.upstream import Asked, Upstream, upstream

DEADLINE_S = 30.0
"""Against hanging. No test waits for it."""

PROC = Path("/proc")

ALICE, MALLORY = "token-of-alice-0123456789", "token-of-mallory-0123456789"
UPSTREAM_KEY = "sk-ant-api03-of-the-upstream"

QUESTION = "a question that is nobody's business"
BODY = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 9,
    "stream": True,
    "messages": [{"role": "user", "content": QUESTION}],
}
TEXT = "All the words of a reply."

EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [],
     "model": "claude-sonnet-5-5", "stop_reason": None, "stop_sequence": None,
     "usage": {"input_tokens": 1, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
     "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
]  # fmt: skip
REPLY = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in EVENTS)

SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


def whole(head: bytes, body: bytes) -> bytes:
    """An answer with its length."""
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


PLAIN = whole(SSE, REPLY)


class Spy:
    """The upstream. It says what it was told to say, and remembers every request that it can make of the bytes."""

    def __init__(self) -> None:
        self.says = PLAIN
        self._found = Upstream("")
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)

    @property
    def url(self) -> str:
        return self._found.url

    @property
    def asked(self) -> list[Asked]:
        return self._found.asked

    async def _serve(self) -> None:
        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(self.says)
            await writer.drain()

        async with upstream(answer) as found:
            self._found = found
            self._ready.set()
            await self._stop.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE_S)
        self._loop.close()


@dataclass
class Attacked:
    """A gateway with clients' tokens, in front of a spy."""

    gateway: Gateway
    spy: Spy
    tokens: Path

    @property
    def pid(self) -> int:
        pid: int = self.gateway.process.pid
        return pid

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.gateway.port), timeout=DEADLINE_S)

    def send(self, *pieces: bytes) -> Answer:
        """Send, and read until the gateway ends it."""
        with self.connect() as line:
            for piece in pieces:
                line.sendall(piece)
            return read_all(line)

    def ask(self, method: str = "POST", path: str = "/v1/messages", body: Any = None, **headers: str) -> "Said":
        """One request as a client makes it. Header names with ``_`` for ``-``."""
        data = json.dumps(BODY if body is None else body).encode() if method == "POST" else None
        named = {name.replace("_", "-"): value for name, value in headers.items() if value}
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, data, named)
            response = connection.getresponse()
            try:
                content = response.read()
            except http.client.IncompleteRead as problem:
                content = problem.partial
            return Said(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        finally:
            connection.close()

    def stream(self, token: str = ALICE, **headers: str) -> str:
        """A whole stream of somebody's; its name."""
        said = self.ask(x_api_key=token, **headers)
        assert said.status == 200 and TEXT.encode() in said.body
        return said.headers["midstream-stream-id"]

    def control(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(self.gateway.control_url.removeprefix("http://"), timeout=DEADLINE_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def files(self) -> int:
        """Open files of the process; those that its pool keeps for the next request do not count. 0 without Linux."""
        if not PROC.is_dir():
            return 0
        kept = re.search(rb"^midstream_upstream_connections_open (\S+)", self.control("/metrics"), re.MULTILINE)
        assert kept is not None
        return len(list((PROC / str(self.pid) / "fd").iterdir())) - int(float(kept[1]))

    def stored(self) -> bytes:
        """All that is on the disk: the journal with its companions, and the log."""
        folder = self.gateway.journal.parent
        return b"".join(path.read_bytes() for path in folder.glob("*") if path.is_file())

    def check_unharmed(self, files_before: int) -> None:
        """It lives, answers the next one, and has nothing left of those before."""
        self.spy.says = PLAIN
        self.stream()
        until = time.monotonic() + DEADLINE_S
        while True:
            left = json.loads(self.control("/streams"))["total"], self.files()
            if left[0] == 0 and left[1] <= files_before:
                return
            assert time.monotonic() < until, f"streams and files left over: {left}, before: {files_before}"
            time.sleep(0.02)


@dataclass
class Said:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """The type in the API's envelope, once it is found to be one."""
        envelope = json.loads(self.body)
        assert envelope["type"] == "error" and envelope["error"]["message"]
        kind: str = envelope["error"]["type"]
        return kind


def tokens_file(path: Path) -> Path:
    """Alice's and Mallory's."""
    digests = {token.split("-")[2]: hashlib.sha256(token.encode()).hexdigest() for token in (ALICE, MALLORY)}
    path.write_text("".join(f'[[token]]\nname = "{name}"\nsha256 = "{digest}"\n' for name, digest in digests.items()))
    path.chmod(0o600)
    return path


@contextmanager
def attacked(folder: Path, *arguments: str) -> Iterator[Attacked]:
    """The whole place."""
    tokens, spy = tokens_file(folder / "tokens.toml"), Spy()
    try:
        env = {**FAST, "ANTHROPIC_API_KEY": UPSTREAM_KEY}
        with running(spy.url, "--tokens", str(tokens), *arguments, env=env) as gateway:
            yield Attacked(gateway, spy, tokens)
    finally:
        spy.close()


def reset(line: socket.socket) -> None:
    """Leaves as a crash does: RST instead of FIN."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()
