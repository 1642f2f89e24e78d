"""The clients: thousands of them in one process, each of which checks every frame that it is given.

Rule: a client knows what has to come, and keeps nothing of what came.
"""

import asyncio
import json
import re
import socket
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NamedTuple

import httptools

from bench.gateway_load import source
from bench.gateway_load.process import run_loop

OWNERS = 10
"""Credentials among which the streams are shared out: a gateway limits those of one."""

_BODY = json.dumps(
    {
        "model": "claude-sonnet-5-5",
        "max_tokens": 8192,
        "stream": True,
        "messages": [{"role": "user", "content": "Tell me a very long story."}],
    }
).encode()
_PING = b'event: ping\ndata: {"type":"ping"}'
_CUT = re.compile(
    rb"event: error\n"
    rb'data: {"type":"error","error":{"type":"api_error","message":"nothing of the stream was taken [^"]+"}}'
)
"""What a reader that has stopped is told, without a number, before its connection is broken off."""


class Crowd(NamedTuple):
    """Clients of one process."""

    port: int
    numbers: range
    tempo: source.Tempo
    per_second: int = 400
    """How fast they come."""


@dataclass
class Told:
    """What came of a crowd."""

    whole: int = 0
    """Streams that came to their end, with every frame once, in order."""
    frames: int = 0
    pings: int = 0
    wrong: list[str] = field(default_factory=list)


class Checker:
    """Compares one answer with what was played, as it comes in. The callbacks are httptools'."""

    def __init__(self, number: int, tempo: source.Tempo, after: int = 0, *, may_be_cut: bool = False) -> None:
        self.number, self.tempo = number, tempo
        self.may_be_cut = may_be_cut
        self.told_cut = False
        """It was told that it is cut off; nothing may come behind that, and no right end."""
        self.frames = after
        self.pings = 0
        self.whole = False
        """The body ended as its framing says."""
        self.stream_id = ""
        self.problem = ""
        self._rest = b""
        self.parser = httptools.HttpResponseParser(self)

    @property
    def complete(self) -> bool:
        """All of it is here."""
        return self.whole and not self.problem and self.frames == source.frames(self.tempo)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"midstream-stream-id":
            self.stream_id = value.decode()

    def on_headers_complete(self) -> None:
        if (status := self.parser.get_status_code()) != 200:
            self.problem = f"status {status}"

    def on_body(self, data: bytes) -> None:
        if self.problem:
            return
        *frames, self._rest = (self._rest + data).split(b"\n\n")
        for frame in frames:
            if not self.problem:
                self._check(frame)
        if self.told_cut and self._rest and not self.problem:
            self.problem = f"behind the last word stands {self._rest[:80]!r}"

    def _check(self, frame: bytes) -> None:
        if self.told_cut:
            self.problem = f"behind the last word stands {frame[:80]!r}"
        elif frame == _PING:
            self.pings += 1
        elif self.may_be_cut and _CUT.fullmatch(frame):
            self.told_cut = True
        else:
            expected = source.frame_at(self.number, self.tempo, self.frames)
            self.frames += 1
            if expected is None or frame != b"id: %d\n%b" % (self.frames, expected[:-2]):
                self.problem = f"frame {self.frames} is not what was played: {frame[:200]!r}"

    def on_message_complete(self) -> None:
        self.whole = True
        if self.told_cut:
            self.problem = "a reader that was cut off was given a right end"

    def feed(self, data: bytes) -> None:
        """Bytes of the connection."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as problem:
            self.problem = self.problem or f"no HTTP: {problem}"


def request(checker: Checker) -> bytes:
    """The bytes of a request: for the stream itself, or for the rest of it."""
    owner = f"x-api-key: sk-load-{checker.number % OWNERS}"
    if checker.stream_id:
        lines = [f"GET /midstream/streams/{checker.stream_id} HTTP/1.1", "host: load", owner]
        lines += [f"last-event-id: {checker.frames}"] if checker.frames else []
        return "\r\n".join([*lines, "", ""]).encode()
    lines = ["POST /v1/messages HTTP/1.1", "host: load", owner, "content-type: application/json"]
    lines += [f"x-load: {checker.tempo.header(checker.number)}", f"content-length: {len(_BODY)}"]
    return "\r\n".join([*lines, "", ""]).encode() + _BODY


class Client(asyncio.Protocol):
    """Reads as fast as it is given."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(request(self.checker))

    def data_received(self, data: bytes) -> None:
        self.checker.feed(data)
        if self.checker.whole or self.checker.problem:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


def read_all(crowd: Crowd, told: Connection) -> None:
    """The process of a crowd: comes, says so, reads to the end, and says what it saw."""
    run_loop(_read_all(crowd, told))


async def _read_all(crowd: Crowd, told: Connection) -> None:
    clients = await _come(crowd)
    told.send("here")
    await asyncio.wait([client.over for client in clients])
    told.send(_summary([client.checker for client in clients]))


def stay(crowd: Crowd, told: Connection) -> None:
    """The same for replies that fall silent: says how many have all that was played, and stays until it is ended."""
    run_loop(_stay(crowd, told))


async def _stay(crowd: Crowd, told: Connection) -> None:
    clients = await _come(crowd)
    want = source.frames(crowd.tempo)
    broken: list[object] = []
    while not broken and any(client.checker.frames < want for client in clients):
        await asyncio.sleep(0.1)
        broken = [client.checker.problem for client in clients if client.checker.problem or client.over.done()]
    told.send(sum(client.checker.frames == want for client in clients))
    await asyncio.Event().wait()


async def _come(crowd: Crowd) -> list[Client]:
    loop, clients = asyncio.get_running_loop(), []
    begun_at = loop.time()
    for at, number in enumerate(crowd.numbers):
        await asyncio.sleep(begun_at + at / crowd.per_second - loop.time())
        checker = Checker(number, crowd.tempo)
        _, client = await loop.create_connection(lambda c=checker: Client(c), "127.0.0.1", crowd.port)  # type: ignore[misc]
        clients.append(client)
    return clients


def _summary(checkers: list[Checker]) -> Told:
    told = Told()
    for checker in checkers:
        told.whole += checker.complete
        told.frames += checker.frames
        told.pings += checker.pings
        if not checker.complete:
            why = checker.problem or f"it ended after {checker.frames} frames, {'whole' if checker.whole else 'broken'}"
            told.wrong.append(f"stream {checker.number}: {why}")
    return told


TRIES_MAX = 5
"""A reader that reads as fast as it is given is not cut off again and again."""


class Slow(NamedTuple):
    """How the readers of a slow crowd behave."""

    bytes_per_s: int
    """0: stops when its first bytes are here."""
    seconds: float
    """At most. Then it reads what is left, as fast as it is given; if it was cut off, it comes back for it."""

    @property
    def stops(self) -> bool:
        """Whether it takes nothing at all."""
        return not self.bytes_per_s


RECEIVE_BUFFER_BYTES = 4096
"""Of a slow reader's socket, so that it is the gateway that waits, and not its kernel."""


def read_slowly(crowd: Crowd, slow: Slow, told: Connection) -> None:
    """The process of slow readers: says when all have their first frame, and is told when they have been slow for long
    enough; says how many noticed that they were cut off, and what they saw."""
    run_loop(_read_slowly(crowd, slow, told))


async def _read_slowly(crowd: Crowd, slow: Slow, told: Connection) -> None:
    checkers = [Checker(number, crowd.tempo, may_be_cut=slow.stops) for number in crowd.numbers]
    sockets = [await _connected(crowd.port, checker) for checker in checkers]
    await asyncio.gather(*map(_begin, sockets, checkers))
    told.send("here")
    enough = asyncio.Event()
    crawling = [asyncio.create_task(_crawl(*pair, slow, enough)) for pair in zip(sockets, checkers, strict=True)]
    while not told.poll():
        await asyncio.sleep(0.05)
    enough.set()
    told.send(sum(await asyncio.gather(*crawling)))
    ends = await asyncio.gather(*map(_rest, [crowd.port] * len(sockets), sockets, checkers))
    told.send(_summary(ends))


async def _connected(port: int, checker: Checker) -> socket.socket:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", port))
    await loop.sock_sendall(raw, request(checker))
    return raw


async def _begin(raw: socket.socket, checker: Checker) -> None:
    while not checker.frames and not checker.problem and await _take(raw, checker, 256):
        pass


CRAWL_S = 0.25
"""Between two looks of a slow reader at its socket."""


async def _crawl(raw: socket.socket, checker: Checker, slow: Slow, enough: asyncio.Event) -> bool:
    """Reads as slowly as it should, for as long as it should; whether it found that it was cut off meanwhile.

    What it is late with, on a busy machine, it makes up for: it is the average that it reads at.
    """
    loop = asyncio.get_running_loop()
    begun_at, taken_bytes = loop.time(), 0
    while not enough.is_set():
        await asyncio.sleep(CRAWL_S)
        due_bytes = int((loop.time() - begun_at) * slow.bytes_per_s) - taken_bytes
        if due_bytes > 0:
            now_bytes = await _take(raw, checker, due_bytes)
            if not now_bytes:
                return True
            taken_bytes += now_bytes
    return False


async def _take(raw: socket.socket, checker: Checker, most: int) -> int:
    """So many bytes, or fewer; none at the end."""
    try:
        data = await asyncio.get_running_loop().sock_recv(raw, most)
    except ConnectionError:
        return 0
    if data:
        checker.feed(data)
    return len(data)


async def _rest(port: int, raw: socket.socket, checker: Checker) -> Checker:
    """All that is left; with another request where this connection has no more."""
    for _ in range(TRIES_MAX):
        while not (checker.whole or checker.problem) and await _take(raw, checker, 1 << 20):
            pass
        raw.close()
        if checker.whole or checker.problem or not checker.stream_id:
            return checker
        before = checker
        checker = Checker(before.number, before.tempo, before.frames, may_be_cut=before.may_be_cut)
        checker.stream_id = before.stream_id
        raw = await _connected(port, checker)
    raw.close()
    return checker
