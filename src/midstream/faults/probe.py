"""The far end of a probe: plays the streams that it is asked for, and tells afterwards what left, and when.

Rule: it stands on the internet: without the token it says nothing, and nobody can ask it for more than a bound.

A question is the whole body of a POST to any path, for a body is what no proxy on the way takes away.
"""

import asyncio
import contextlib
import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from midstream._version import __version__
from midstream.faults import http, probe_words
from midstream.faults.listening import Listening
from midstream.faults.probe_words import PING, Ask, Hello, Mark, Refused, Rest, Send, Told
from midstream.faults.sockets import Gone, Line

# Streams at once: one probe asks for about a dozen.
STREAMS_MAX = 128

# A probe has one connection for each stream, and a few more.
CONNECTIONS_MAX = 512

# Who connects and says nothing, or says it byte by byte, does not hold a place for long.
QUESTION_S_MAX = 120.0

# Streams that can still be told of: some hundred probes.
REMEMBERED_MAX = 4_096

# Marks that are kept in all, 60 bytes each: the oldest streams are forgotten before they fill the memory.
REMEMBERED_MARKS_MAX = 400_000

# Before each answer. Behind Traefik 3.7 a reply that begins as soon as its request was read is cut now and then, after
# its head or its first event: 31 of 379 were; of 242 that began 20 ms later, none. Services take longer than that.
THINKS_S = 0.02

# What a chunk that is cut announces beyond what it holds.
_MISSING_BYTES = 37

_HINTS = {"x-accel-buffering": "no", "cache-control": "no-cache, no-transform"}

# Only names and these two values of a question's headers are told: the others may be somebody's keys.
_Asked = http.Head


@dataclass
class Stream:
    """What is remembered of one stream."""

    name: str
    head: _Asked
    started_at: float
    headers_at_s: float | None = None
    marks: list[Mark] = field(default_factory=list)
    ended: Literal["playing", "clean", "fin", "rst", "left"] = "playing"
    ended_at_s: float | None = None
    left_at_s: float | None = None

    def told(self, now_s: float) -> Told:
        """The same as the prober is told it."""
        return Told(
            stream=self.name,
            http=self.head.version,
            framing="chunked" if self.head.version == "HTTP/1.1" else "close",
            request_header_names=tuple(sorted(self.head.headers)),
            via=self.head.headers.get("via", "")[:200],
            accept_encoding=self.head.headers.get("accept-encoding", "")[:200],
            now_s=now_s,
            headers_at_s=self.headers_at_s,
            marks=tuple(self.marks),
            ended=self.ended,
            ended_at_s=self.ended_at_s,
            left_at_s=self.left_at_s,
        )


class FarEnd(Listening):
    """``with FarEnd() as far_end: … far_end.url``, or ``async with``. A token is required of whoever asks, if given."""

    head_bytes_max = probe_words.HEAD_BYTES_MAX

    def __init__(self, token: str = "", *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        self._token = token.encode()
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._playing = 0

    @property
    def on_loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = Line(writer)
        try:
            if self.open_connections > CONNECTIONS_MAX:
                raise Refused(503, f"{CONNECTIONS_MAX} connections are open; that is the most")
            asked = await asyncio.wait_for(self._read(reader, writer), QUESTION_S_MAX)
            if asked is None:
                return False
            head, raw, size_bytes = asked
            ask = self._understood(head, raw)
            await asyncio.sleep(THINKS_S)
            match ask.do:
                case "hello":
                    return await _answer(line, head, _hello(head, size_bytes))
                case "tell":
                    return await _answer(line, head, self._tell(ask))
                case "play":
                    return await self._play(line, head, ask)
        except Refused as problem:
            await _refuse(line, problem.status, str(problem))
        except http.BadRequest as problem:
            await _refuse(line, problem.status, str(problem))
        return False

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[http.Head, bytes, int] | None:
        head = await http.read_head(reader)
        if head is None:
            return None
        if "100-continue" in head.headers.get("expect", "").lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            return head, *await http.count_body(reader, head, probe_words.ASK_BYTES_MAX, probe_words.REQUEST_BYTES_MAX)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def _understood(self, head: http.Head, raw: bytes) -> Ask:
        if head.method != "POST":
            raise Refused(405, "this is the far end of a probe; a question is the body of a POST")
        ask = probe_words.read_ask(raw)
        if not hmac.compare_digest(ask.token.encode(), self._token):
            raise Refused(401, "this far end answers only those who know its token")
        return ask

    def _tell(self, ask: Ask) -> Told:
        stream = self._streams.get(ask.stream or "")
        if stream is None:
            raise Refused(404, "this far end knows no stream of that name")
        return stream.told(asyncio.get_running_loop().time() - stream.started_at)

    def _remember(self, ask: Ask, head: http.Head) -> Stream:
        assert ask.stream is not None
        if ask.stream in self._streams:
            raise Refused(409, "there was a stream of that name; a proxy may have asked twice")
        if self._playing >= STREAMS_MAX:
            raise Refused(503, f"{STREAMS_MAX} streams are being played; that is the most")
        stream = Stream(ask.stream, head, asyncio.get_running_loop().time())
        self._streams[ask.stream] = stream
        while len(self._streams) > REMEMBERED_MAX or self._marks() > REMEMBERED_MARKS_MAX:
            self._streams.popitem(last=False)
        return stream

    def _marks(self) -> int:
        return sum(len(stream.marks) for stream in self._streams.values())

    async def _play(self, line: Line, head: http.Head, ask: Ask) -> bool:
        stream = self._remember(ask, head)
        self._playing += 1
        try:
            await _Player(line, stream).play(ask)
            stream.ended = ask.end
        except (Gone, ConnectionError):
            stream.ended = "left"
            went_at = line.gone_at or asyncio.get_running_loop().time()
            stream.left_at_s = went_at - stream.started_at
        finally:
            self._playing -= 1
            stream.ended_at_s = asyncio.get_running_loop().time() - stream.started_at
        return stream.ended == "clean" and head.keeps_alive


class _Player:
    """Plays one stream."""

    def __init__(self, line: Line, stream: Stream) -> None:
        self._line = line
        self._stream = stream
        self._chunked = stream.head.version == "HTTP/1.1"
        self._sent_bytes = 0
        self._number = 0
        # The rhythm is kept from step to step: what one wait was late, the next is shorter.
        self._due_at = stream.started_at

    async def play(self, ask: Ask) -> None:
        await self._wait(ask.before_s)
        await self._line.write(http.head_bytes(200, self._headers(ask.hints)))
        self._stream.headers_at_s = self._now_s()
        for step in ask.steps:
            match step:
                case Send():
                    await self._events(step)
                case Rest():
                    await self._rest(step)
        if ask.end == "rst":
            await self._line.reset()
        elif self._chunked:
            await self._line.write(b"0\r\n\r\n" if ask.end == "clean" else b"%x\r\n" % _MISSING_BYTES)

    def _headers(self, hints: bool) -> dict[str, str]:
        framing = {"transfer-encoding": "chunked"} if self._chunked else {"connection": "close"}
        return {
            "server": "midstream-faults",
            "content-type": "text/event-stream; charset=utf-8",
            **({"cache-control": "no-cache"} | (_HINTS if hints else {})),
            **framing,
        }

    async def _events(self, step: Send) -> None:
        for place in range(step.times):
            if place:
                await self._wait(step.every_s)
            await self._send(probe_words.event(self._number, self._now_s(), step.bytes), "event")
            self._number += 1

    async def _rest(self, step: Rest) -> None:
        left_s = step.seconds
        while step.ping_s and left_s > step.ping_s:
            await self._wait(step.ping_s)
            left_s -= step.ping_s
            await self._send(PING, "ping")
        await self._wait(left_s)

    async def _send(self, data: bytes, kind: Literal["event", "ping"]) -> None:
        await self._line.write(http.chunk_bytes(data) if self._chunked else data)
        self._sent_bytes += len(data)
        self._stream.marks.append(Mark(round(self._now_s(), 6), self._sent_bytes, kind))

    async def _wait(self, seconds: float) -> None:
        self._due_at += seconds
        await self._line.wait(max(0.0, self._due_at - asyncio.get_running_loop().time()))

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time() - self._stream.started_at


def _hello(head: http.Head, size_bytes: int) -> Hello:
    return Hello(
        midstream_probe=probe_words.VERSION,
        version=__version__,
        http=head.version,
        request_bytes=size_bytes,
        head_bytes=sum(len(name) + len(value) + 4 for name, value in head.headers.items()),
        request_header_names=tuple(sorted(head.headers)),
        via=head.headers.get("via", "")[:200],
        accept_encoding=head.headers.get("accept-encoding", "")[:200],
    )


async def _answer(line: Line, head: http.Head, answer: msgspec.Struct) -> bool:
    body = msgspec.json.encode(answer)
    await line.write(_whole(200, body, {} if head.keeps_alive else {"connection": "close"}))
    return head.keeps_alive


async def _refuse(line: Line, status: int, text: str) -> None:
    body = msgspec.json.encode({"midstream_probe": probe_words.VERSION, "refused": text})
    with contextlib.suppress(Gone):
        await line.write(_whole(status, body, {"connection": "close"}))


def _whole(status: int, body: bytes, headers: Mapping[str, Any]) -> bytes:
    own = {"server": "midstream-faults", "content-type": "application/json", "cache-control": "no-store"}
    return http.head_bytes(status, {**own, **headers, "content-length": str(len(body))}) + body
