"""A server in a loop and a thread of its own, and raw sockets to ask it: a test sees what really is on the wire."""

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from midstream.gateway.http.inbound import Handler, Limits, Request, Response, Server

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]

LOOPS = [
    pytest.param(asyncio.SelectorEventLoop, id="asyncio"),
    pytest.param(
        uvloop.new_event_loop if uvloop else None,
        id="uvloop",
        marks=pytest.mark.skipif(uvloop is None, reason="uvloop is not installed"),
    ),
]

DEADLINE_S = 10.0
"""Against hanging. No test waits for it."""

QUICK = Limits(linger_s=0.3, head_s=0.3, body_idle_s=0.3, body_total_s=0.6, keep_alive_s=0.3, flush_s=0.3)
"""Limits that a test can wait for."""

EVENT = b'event: ping\ndata: {"type":"ping"}\n\n'


@dataclass
class Told:
    """What handlers have left for the test."""

    responses: list[Response] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    requests: int = 0


@dataclass
class Serving:
    """A server that runs."""

    server: Server
    port: int
    loop: asyncio.AbstractEventLoop
    told: Told

    def do(self, call: Callable[[], Any]) -> Any:
        """Call in the server's thread; what it returns, awaited where it must be."""

        async def run() -> Any:
            result = call()
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(DEADLINE_S)

    def wait(self, condition: Callable[[], object]) -> None:
        """Until it holds, in the server's thread."""

        async def run() -> None:
            while not condition():
                await asyncio.sleep(0.002)

        self.do(lambda: asyncio.wait_for(run(), DEADLINE_S))

    def connect(self, *, buffer_bytes: int | None = None) -> socket.socket:
        line = socket.socket()
        if buffer_bytes is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        line.settimeout(DEADLINE_S)
        try:
            line.connect(("127.0.0.1", self.port))
        except OSError:
            line.close()
            raise
        return line

    def ask(self, *pieces: bytes) -> "Answer":
        """Send, and read until the other side ends it."""
        with self.connect() as line:
            for piece in pieces:
                line.sendall(piece)
            return read_all(line)


@dataclass
class Answer:
    """Everything that came, and how it ended."""

    raw: bytes
    end: str
    """``fin`` or ``reset``."""

    @property
    def status(self) -> int | None:
        return int(self.raw.split(b" ", 2)[1]) if self.raw else None

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def error(self) -> str:
        """The envelope's type, once it is found to be an envelope and the connection's last word."""
        envelope = json.loads(self.body)
        assert envelope["type"] == "error" and envelope["error"]["message"]
        assert b"\r\nconnection: close" in self.head
        kind = envelope["error"]["type"]
        assert isinstance(kind, str)
        return kind


def read_all(line: socket.socket) -> Answer:
    received = bytearray()
    try:
        while piece := line.recv(65_536):
            received += piece
    except ConnectionResetError:
        return Answer(bytes(received), "reset")
    return Answer(bytes(received), "fin")


def read_until(line: socket.socket, end: bytes) -> bytes:
    received = bytearray()
    while not received.endswith(end):
        piece = line.recv(65_536)
        assert piece, f"the connection ended after {bytes(received)!r}"
        received += piece
    return bytes(received)


def read_some(line: socket.socket, size_bytes: int) -> bytes:
    received = bytearray()
    while len(received) < size_bytes:
        piece = line.recv(65_536)
        assert piece
        received += piece
    return bytes(received)


def answering(told: Told) -> Handler:
    """The handler of these tests: it does what the path says."""

    async def handle(request: Request, response: Response) -> None:
        told.requests += 1
        told.responses.append(response)
        response.author = SimpleNamespace(gone=lambda: told.gone.append(request.path), drained=lambda: None)
        match request.path:
            case "/echo":
                response.send(200, [(b"content-type", b"text/plain")], await request.body(1 << 20))
            case "/small":
                response.send(200, [], await request.body(10))
            case "/pieces":
                response.start(200, [])
                async for piece in request.chunks():
                    response.write(piece)
                response.end()
            case "/whole" | "/cut" | "/open" | "/unread":
                response.start(200, [(b"content-type", b"text/event-stream")])
                response.write(EVENT * 3)
                {"/whole": response.end, "/cut": response.abort}.get(request.path, lambda: None)()
            case "/hello":
                response.send(200, [], b"hello")
            case "/id":
                response.send(200, [(b"midstream-stream-id", b"abc\r\nx-evil: 1")], b"")
            case "/fails":
                raise ValueError("a secret")
            case "/fails-late":
                response.start(200, [])
                response.write(EVENT)
                raise ValueError("a secret")
            case "/waits":
                pass
            case "/hangs":
                await asyncio.sleep(3600)
            case _:
                response.send(404, [], request.target.encode())

    return handle


@contextlib.contextmanager
def serving(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    limits: Limits = QUICK,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Serving]:
    """Serve, and find that nothing has gone wrong that nobody saw, and that nothing is left."""
    told = Told()
    found: list[Serving] = []
    ready = threading.Event()
    stop: list[Callable[[], object]] = []
    unseen: list[dict[str, Any]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unseen.append(context))
        server = Server(answering(told), limits)
        port = await server.listen("127.0.0.1", 0, tls)
        done = asyncio.Event()
        stop.append(lambda: loop.call_soon_threadsafe(done.set))
        found.append(Serving(server, port, loop, told))
        ready.set()
        await done.wait()
        await server.aclose()
        assert server.connections == server.responses == server.bodies.held_bytes == 0

    def work() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(run())

    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as problem:
            failures.append(problem)
        finally:
            ready.set()

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    ready.wait(DEADLINE_S)
    try:
        yield found[0]
    finally:
        for call in stop:
            call()
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), "the server did not end"
    assert failures == []
    assert unseen == []
