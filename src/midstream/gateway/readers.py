"""One consumer of one stream: what the journal holds, to the bytes of a response.

Rule: a reader has no source but the journal. So no consumer sees what is not durable, and no two disagree.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from midstream.gateway.alarms import Alarms, Slot
from midstream.gateway.endings import JSON_BODY, envelope
from midstream.gateway.frames import Wire, behind, encoded, ping
from midstream.gateway.http.heads import Headers
from midstream.gateway.http.inbound import Response
from midstream.gateway.upstreams.errors import error_frame
from midstream.journal.port import Journal, Kind, Record
from midstream.protocol.dialects import parse
from midstream.protocol.events import Fields
from midstream.usual import Outlet, Totals

if TYPE_CHECKING:
    from midstream.gateway.endings import Refusal

_GIVEN_UP = "the stream was given up, as nobody was reading it; ask again"
_STALLED = "nothing of the stream was taken for too long: read on with Last-Event-ID, or ask again"
_LOST = "the journal does not hold the rest of this stream; ask again"
_ENDING = "the gateway ends, and the stream waits for the next one: read on with Last-Event-ID, or ask again"

# To find them in the enumeration takes as long as what is done with a record.
_ENDED, _SHOWN = Kind.ENDED, Kind.SHOWN

READ_BYTES_MAX = 64 * 1024
"""So much is read from the journal at once: as much as a socket takes."""

CONTENT_TYPES: dict[str, bytes] = {
    "sse": b"text/event-stream; charset=utf-8",
    "eventstream": b"application/vnd.amazon.eventstream",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of a reader, in seconds."""

    ping_s: float
    """A ping is sent when nothing was sent for so long."""
    stall_s: float
    """A consumer that takes nothing for so long is left."""
    totals: Totals
    """What all readers have sent."""


@dataclass(frozen=True, slots=True)
class Room:
    """What all readers share, held by each of them as one thing."""

    journal: Journal
    keeper: "Keeper"
    pace: Pace
    alarms: Alarms


class Head:
    """What of an answer is known before it begins. One for each stream, shared by its readers."""

    __slots__ = ("_lines", "id", "refusal", "wire")

    def __init__(self, id: str, wire: Wire) -> None:
        self.id = id
        self.wire: Wire = wire
        self._lines = b""
        self.refusal: Refusal | None = None
        """The answer for a consumer to whom nothing was sent yet."""

    def keep(self, headers: Headers) -> None:
        """Those of the upstream's answer that are about the reply, in as little room as they need."""
        self._lines = b"\n".join([b"%b:%b" % pair for pair in headers if pair[0] not in _OWN])

    def as_headers(self) -> Headers:
        """The response headers of a stream."""
        lines = [line.partition(b":") for line in self._lines.split(b"\n") if line]
        return [
            *((name, value) for name, _, value in lines),
            (b"content-type", CONTENT_TYPES[self.wire]),
            (b"cache-control", b"no-cache, no-transform"),
            (b"x-accel-buffering", b"no"),
            (b"midstream-stream-id", self.id.encode()),
        ]


_OWN = frozenset(
    b"content-type cache-control x-accel-buffering midstream-stream-id content-encoding content-length date server"
    b" set-cookie alt-svc strict-transport-security".split()
)
"""Headers that describe the upstream's connection or framing, not the reply."""


class Keeper(Protocol):
    """Whose readers they are."""

    def reader_left(self, reader: "Reader", got_all: bool) -> None:
        """It writes no more; whether its consumer was given everything."""


class _Backlog(NamedTuple):
    """Of a consumer that does not keep up."""

    untaken_bytes: int
    """When it was looked at last."""
    stall: asyncio.TimerHandle
    """For the next look."""


class Reader(Outlet):
    """Writes one stream to one response."""

    __slots__ = ("_alarm", "_early", "_head", "_missed", "_news", "_room")

    def __init__(self, head: Head, response: Response, room: Room, *, after: int) -> None:
        self._head, self._response, self._room = head, response, room
        self._totals, self._now = room.pace.totals, room.alarms.now
        self._next = after + 1
        self._sent_at = self._now()
        self._early: asyncio.TimerHandle | None = None
        self._backlog: _Backlog | None = None
        """While the consumer is behind."""
        self._alarm: Slot | None = None
        """For the next ping."""
        self._reading: asyncio.Task[None] | None = None
        self._missed = self._over = False
        self._news: Sequence[Record] = ()
        """What was told last, and has to be read: it began behind what is known here."""

    @property
    def id(self) -> str:
        """Of its stream."""
        return self._head.id

    def start(self, early_s: float, *, fresh: bool) -> None:
        """Begins. Without a frame the answer begins after ``early_s``; ``fresh``: nothing can be in the journal yet."""
        self._response.author = self
        self._room.journal.subscribe(self.id, self)
        if early_s > 0:
            self._early = asyncio.get_running_loop().call_later(early_s, self._answer)
        else:
            self._answer()
        if not fresh:
            self._catch_up()

    # What the journal says.

    def _told(self, records: Sequence[Record]) -> None:
        if self._reading is not None or self._backlog is not None:
            self._missed, self._news = True, records
        elif not self._take(records):
            self._news = records
            self._catch_up()

    def _take(self, records: Sequence[Record]) -> bool:
        """Writes what comes next; false where something is missing before it."""
        parts: list[bytes] = []
        ending: Record | None = None
        for record in records:
            if record.kind is _ENDED:
                ending = record
            elif record.kind is _SHOWN and record.last >= self._next:
                if record.first > self._next:
                    break
                skip = self._next - record.first
                parts.append(behind(record.data, self._head.wire, skip) if skip else record.data)
                self._next = record.last + 1
        else:
            self._write(b"".join(parts) if len(parts) != 1 else parts[0])
            if ending is not None and not self._over:
                self._end(ending)
            return True
        self._write(b"".join(parts))
        return False

    def _catch_up(self) -> None:
        if self._reading is None and not self._over:
            self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        journal, id = self._room.journal, self.id
        while True:
            self._missed = False
            records = await journal.read(id, self._next - 1, READ_BYTES_MAX)
            removed = not records and await journal.find(id) is None
            if self._over:
                break
            if not records and self._missed:
                continue
            # What was told can be read, or else the journal has lost frames: nothing that follows may be shown.
            if not self._take(records) or removed or (not records and self._is_lost()):
                self._lose()
            if not records or self._over:
                break
            if self._backlog is not None:
                break
        self._reading = None

    def _is_lost(self) -> bool:
        news, self._news = self._news, ()
        return any(record.kind is _ENDED or record.last >= self._next for record in news)

    # What the consumer gets.

    def _answer(self) -> None:
        if self._early is not None:
            self._early.cancel()
            self._early = None
        if self._over or self._response.started:
            return
        self._response.start(200, self._head.as_headers())
        self._sent_at = self._now()
        self._alarm = self._room.alarms.set(self, self._sent_at + self._room.pace.ping_s)

    def _write(self, data: bytes) -> None:
        response = self._response
        if not data or self._over:
            return
        if not response.started:
            if self._head.refusal is not None:
                refusal = self._head.refusal
                # The upstream may be a midstream itself, and name a stream of its own.
                headers = [pair for pair in refusal.headers if pair[0] != b"midstream-stream-id"]
                response.send(refusal.status, [*headers, (b"midstream-stream-id", self.id.encode())], refusal.body)
                self._leave(True)
                return
            self._answer()
        self._give(data)

    def drained(self) -> None:
        """The consumer has taken its backlog."""
        if self._backlog is not None:
            self._backlog.stall.cancel()
            self._backlog = None
            self._catch_up()

    def rang(self) -> None:
        """Keeps the client alive: a ping after each ``ping_s`` without a byte."""
        pace, now = self._room.pace, self._now()
        due = self._sent_at + pace.ping_s
        if now >= due:
            if self._backlog is None:
                self._response.write(ping(self._head.wire))
                self._totals.pings += 1
                self._sent_at = now
            due = now + pace.ping_s
        self._alarm = self._room.alarms.set(self, due)

    # The end.

    def _end(self, ending: Record) -> None:
        fields = parse(ending.data)
        outcome = fields.get("outcome") if isinstance(fields, dict) else None
        if not self._response.started:
            self._answer()
        if outcome == "complete":
            self._response.end()
        else:
            if outcome != "failed":  # of a stream that failed, the error is its last frame
                self._response.write(error_frame_of(_GIVEN_UP, self._head.wire, exhausted=True))
            self._response.abort()
        self._leave(True)

    def _is_behind(self) -> None:
        stall = asyncio.get_running_loop().call_later(self._room.pace.stall_s, self._cut_if_stalled)
        self._backlog = _Backlog(self._response.backlog_bytes, stall)

    def _cut_if_stalled(self) -> None:
        """Slow is not stopped: whoever has taken anything of the backlog meanwhile goes on."""
        assert self._backlog is not None, "who is behind is watched"
        if self._response.backlog_bytes < self._backlog.untaken_bytes:
            self._is_behind()
            return
        # It may read again before the connection is dropped, behind a proxy that mends what is broken off.
        self._response.write(error_frame_of(_STALLED, self._head.wire, exhausted=False))
        self._response.abort()
        self._leave(False)

    def _lose(self) -> None:
        self._answer()
        self._response.write(error_frame_of(_LOST, self._head.wire, exhausted=True))
        self._response.abort()
        self._leave(False)

    def gone(self) -> None:
        """The consumer has left."""
        self._leave(False)

    def stop(self) -> None:
        """The process ends: the consumer may come back to the next one.

        It is told so by an event without a number, which is in no journal: behind proxies that close a broken body
        cleanly, nothing else tells a stream that was left from one that is whole.
        """
        if self._over:
            return
        if not self._response.started:
            self._response.send(503, [JSON_BODY, (b"retry-after", b"1")], envelope(503, _ENDING))
        else:
            self._response.write(error_frame_of(_ENDING, self._head.wire, exhausted=False))
            self._response.abort()
        self._leave(False)

    def _leave(self, got_all: bool) -> None:
        if self._over:
            return
        self._over = True
        self._room.journal.unsubscribe(self.id, self)
        for timer in (self._early, self._backlog and self._backlog.stall):
            if timer is not None:
                timer.cancel()
        if self._alarm is not None:
            self._alarm.cancel(self)
        self._alarm = self._early = None
        self._response.author = None
        self._room.keeper.reader_left(self, got_all)


def error_frame_of(message: str, wire: Wire, *, exhausted: bool) -> bytes:
    """An error as a frame without a number. ``exhausted``: a midstream further down need not try again."""
    more: Fields = {"midstream": {"exhausted": True}} if exhausted else {}
    if wire == "eventstream":
        return error_frame("api_error", message, more)
    return encoded({"type": "error", "error": {"type": "api_error", "message": message, **more}}, wire)
