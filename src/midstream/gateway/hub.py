"""The streams that are running, and who reads them.

Rule: one producer for each stream, any number of readers; a stream belongs to the credential that made it.
"""

import asyncio
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from midstream.gateway import opening
from midstream.gateway.endings import Refusal, refusal
from midstream.gateway.frames import DIALECTS, Wire
from midstream.gateway.http.heads import Headers
from midstream.gateway.http.inbound import Response
from midstream.gateway.http.outbound import Pool
from midstream.gateway.owners import same
from midstream.gateway.producer import Producer
from midstream.gateway.readers import Head, Pace, Reader
from midstream.gateway.requests import engine_request, no_such_stream
from midstream.gateway.routing import Routing
from midstream.gateway.upstreams.port import Call
from midstream.journal.port import Info, Journal
from midstream.recovery.engine import Engine
from midstream.recovery.history import AttemptRecord
from midstream.recovery.past import Past
from midstream.recovery.policy import Policy
from midstream.reports import Report


@dataclass(frozen=True)
class Limits:
    """What the hub goes by; the settings of the same names."""

    policy: Policy
    early_s: float
    pace: Pace
    on_leave: str
    grace_s: float
    hold_s: float
    streams_max: int
    streams_per_owner_max: int
    readers_per_stream_max: int


class Observer(Protocol):
    """Who counts and tells: metrics and the log."""

    def stream_started(self, stream: "Stream") -> None: ...

    def attempt_ended(self, stream: "Stream", record: AttemptRecord) -> None: ...

    def stream_ended(self, stream: "Stream", report: Report) -> None: ...

    def reader_attached(self, stream: "Stream", *, again: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Asker:
    """Who makes a request."""

    owner: bytes
    """The keyed hash of the credential."""
    name: str = ""
    """Of the client's token, if the gateway knows its clients."""
    credentials: Headers | None = None
    """To ask upstreams with; ``None`` for the gateway's own."""
    streams_max: int | None = None


class Stream:
    """One reply that is being made. The `Watcher` of its producer."""

    __slots__ = ("asker", "created_at", "delivered", "head", "hub", "key", "leaving", "model", "producer", "readers", "upstream")

    def __init__(self, hub: "Hub", head: Head, asker: Asker, key: bytes, model: str) -> None:
        self.hub, self.head, self.asker, self.key, self.model = hub, head, asker, key, model
        self.created_at = time.time()
        self.readers: list[Reader] = []
        self.producer: Producer | None = None
        self.leaving: asyncio.TimerHandle | None = None
        self.delivered = False
        """A reader got all of it."""
        self.upstream = ""

    @property
    def id(self) -> str:
        """The stream's name in the journal."""
        return self.head.id

    def headed(self, status: int, headers: Headers) -> None:
        self.head.status, self.head.headers = status, headers

    def judged(self, record: AttemptRecord) -> None:
        self.hub.routing.judged(record)
        self.hub.observer.attempt_ended(self, record)

    def ended(self, report: Report, refusal: Refusal | None) -> None:
        self.head.refusal = refusal
        self.hub.ended(self, report)


@dataclass
class Hub:
    """Makes streams, finds them again, and lets them go."""

    limits: Limits
    journal: Journal
    routing: Routing
    pool: Pool
    observer: Observer
    running: dict[str, Stream] = field(default_factory=dict)
    _by_key: dict[bytes, list[Stream]] = field(default_factory=dict)
    _owners: Counter[bytes] = field(default_factory=Counter)
    _readers: set[Reader] = field(default_factory=set)
    closing: bool = False

    # Streams.

    def refuses(self, asker: Asker) -> Refusal | None:
        """Why there may be no further stream, for now."""
        limits = self.limits
        if len(self.running) >= limits.streams_max:
            return _too_many(f"{limits.streams_max:,} streams are open at this gateway")
        most = min(limits.streams_per_owner_max, asker.streams_max or limits.streams_per_owner_max)
        if self._owners[asker.owner] >= most:
            return _too_many(f"{most:,} streams of this credential are open at this gateway")
        return None

    def open(self, call: Call, asker: Asker, key: bytes, *, signed: bool) -> Stream:
        """A new stream; its producer is not running yet."""
        id = f"{'ms' if call.wire == 'sse' else 'mb'}-{secrets.token_hex(16)}"
        own = asker.credentials is None
        data = opening.write(call, signed=signed, own_credentials=own, client=asker.name)
        writer = self.journal.create(id, owner=asker.owner, key=key, created_at=time.time(), opening=data)
        stream = self._stream(id, call, asker, key)
        stream.producer = self._producer(stream, call, writer, signed=signed)
        self.routing.requested()
        return stream

    async def adopt(self, info: Info, found: opening.Opening, call: Call, past: Past, asker: Asker) -> Stream:
        """A stream that another process left open."""
        if (running := self.running.get(info.id)) is not None:
            return running
        writer = await self.journal.adopt(info.id)
        if (running := self.running.get(info.id)) is not None:  # somebody else came back at the same moment
            return running
        stream = self._stream(info.id, call, asker, info.key)
        stream.producer = self._producer(stream, call, writer, signed=found.signed)
        stream.producer.adopt(past)
        self._left(stream)
        return stream

    def _stream(self, id: str, call: Call, asker: Asker, key: bytes) -> Stream:
        stream = Stream(self, Head(id, call.wire), asker, key, call.model)
        self.running[id] = stream
        self._by_key.setdefault(key, []).append(stream)
        self._owners[asker.owner] += 1
        self.observer.stream_started(stream)
        return stream

    def _producer(self, stream: Stream, call: Call, writer: Any, *, signed: bool) -> Producer:
        routing, limits = self.routing, self.limits
        around = routing.surroundings(call, lambda name: setattr(stream, "upstream", name))
        engine = Engine(
            engine_request(call, signed),
            limits.policy,
            around,
            hold_live_after_s=limits.hold_s,
            one_wire=False,
            wire=DIALECTS[call.wire],
        )
        return Producer(call, stream.asker.credentials, engine, writer, stream, routing.upstreams, self.pool)

    def ended(self, stream: Stream, report: Report) -> None:
        """The producer has come to its end, whatever it was."""
        if self.running.pop(stream.id, None) is None:
            return
        if stream.leaving is not None:
            stream.leaving.cancel()
            stream.leaving = None
        self._owners[stream.asker.owner] -= 1
        if not self._owners[stream.asker.owner]:
            del self._owners[stream.asker.owner]
        with_key = self._by_key.get(stream.key, [])
        if stream in with_key:
            with_key.remove(stream)
            if not with_key:
                del self._by_key[stream.key]
        self.observer.stream_ended(stream, report)

    # Readers.

    def attach(self, head: Head, stream: Stream | None, response: Response, *, after: int, fresh: bool = False) -> None:
        """A reader of a stream; ``stream`` is ``None`` for one that is over."""
        reader = Reader(
            head, self.journal, response, after=after, pace=self.limits.pace,
            on_left=lambda reader, got_all: self._reader_left(reader, stream, got_all),
        )  # fmt: skip
        self._readers.add(reader)
        if stream is not None:
            stream.readers.append(reader)
            if stream.leaving is not None:
                stream.leaving.cancel()
                stream.leaving = None
            self.observer.reader_attached(stream, again=not fresh)
        reader.start(self.limits.early_s if stream is not None and not after else 0.0, fresh=fresh)

    def find_running(self, id: str, owner: bytes) -> Stream | None:
        """A running stream, for the one whose it is."""
        stream = self.running.get(id)
        return stream if stream is not None and same(stream.asker.owner, owner) else None

    def left_alone(self, key: bytes) -> Stream | None:
        """A running stream of this request whose reader broke off."""
        return next((stream for stream in self._by_key.get(key, ()) if not stream.readers), None)

    def running_with(self, key: bytes) -> Stream | None:
        """A running stream of this request, read or not."""
        return next(iter(self._by_key.get(key, ())), None)

    def too_many_readers(self, stream: Stream) -> Refusal | None:
        """Why there may be no further reader of this stream."""
        most = self.limits.readers_per_stream_max
        return _too_many(f"{most:,} readers read this stream already") if len(stream.readers) >= most else None

    def _reader_left(self, reader: Reader, stream: Stream | None, got_all: bool) -> None:
        self._readers.discard(reader)
        if stream is None:
            return
        if reader in stream.readers:
            stream.readers.remove(reader)
        stream.delivered = stream.delivered or got_all
        self._left(stream)

    def _left(self, stream: Stream) -> None:
        """The last reader has left, or there was none: goes by the setting."""
        if stream.readers or self.closing or stream.id not in self.running:
            return
        producer, on_leave = stream.producer, self.limits.on_leave
        assert producer is not None
        if on_leave == "cancel":
            producer.cancel()
        elif on_leave == "grace" and stream.leaving is None:
            stream.leaving = asyncio.get_running_loop().call_later(self.limits.grace_s, producer.cancel)

    # The end of the process.

    def abandon(self) -> None:
        """Leaves what is still running to the next process."""
        self.closing = True
        for stream in list(self.running.values()):
            if stream.producer is not None:
                stream.producer.abandon()
            if stream.leaving is not None:
                stream.leaving.cancel()
        for reader in list(self._readers):
            reader.stop()


def head_of(id: str) -> Head:
    """The head of a stream of which nothing else is known."""
    wire: Wire = "sse" if id.startswith("ms-") else "eventstream"
    return Head(id, wire)


def _too_many(what: str) -> Refusal:
    return refusal(429, f"{what}; try again when one of them has ended", [(b"retry-after", b"1")])


__all__ = ["Asker", "Hub", "Limits", "Observer", "Stream", "head_of", "no_such_stream"]
