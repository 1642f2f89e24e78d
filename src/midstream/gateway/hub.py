"""The streams that are running, and who reads them.

Rule: one producer for each stream, any number of readers; a stream belongs to the credential that made it.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from sys import intern
from typing import Protocol

from midstream.gateway import opening
from midstream.gateway.alarms import Alarms
from midstream.gateway.asker import Asker
from midstream.gateway.endings import Refusal, refusal
from midstream.gateway.frames import DIALECTS, Wire
from midstream.gateway.http.heads import Headers
from midstream.gateway.http.inbound import Bodies, Response
from midstream.gateway.http.outbound import Pool
from midstream.gateway.kept import Kept
from midstream.gateway.owners import same
from midstream.gateway.producer import Means, Producer
from midstream.gateway.readers import Head, Pace, Reader, Room
from midstream.gateway.routing import Routing
from midstream.gateway.tracing import NOBODY, Span
from midstream.gateway.upstreams.port import Call
from midstream.journal.port import Info, Journal, Record, Writer
from midstream.journal.port import Kind as RecordKind
from midstream.recovery.engine import Engine
from midstream.recovery.failure import Kind
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
    """Who counts and tells: the log, metrics, spans."""

    def stream_started(self, stream: "Stream", headers: Headers, *, adopted: bool) -> None:
        """A stream begins; ``headers`` are those of its request, without credentials."""

    def attempt_ended(self, stream: "Stream", record: AttemptRecord, after: Kind | None) -> None:
        """An attempt is over; ``after`` is what had ended the one before it."""

    def stream_spoke(self, silence_s: float) -> None:
        """A stream goes on, so long after an attempt of it failed."""

    def stream_ended(self, stream: "Stream", report: Report) -> None:
        """A stream is over."""

    def reader_attached(self, stream: "Stream", *, by_retry: bool) -> None:
        """A reader came back."""


class Stream:
    """One reply that is being made. The `Watcher` of its producer."""

    __slots__ = (
        "asker",
        "created_at",
        "head",
        "hub",
        "key",
        "leaving",
        "model",
        "producer",
        "readers",
        "span",
    )

    def __init__(self, hub: "Hub", head: Head, asker: Asker, key: bytes, model: str, created_at: float) -> None:
        self.hub, self.head, self.asker, self.key = hub, head, asker, key
        self.model = intern(model)  # thousands of streams ask for the same few
        self.created_at = created_at
        self.readers: tuple[Reader, ...] = ()
        self.producer: Producer | None = None
        self.leaving: asyncio.TimerHandle | None = None
        self.span: Span = NOBODY

    @property
    def id(self) -> str:
        """The stream's name in the journal."""
        return self.head.id

    def headed(self, headers: Headers) -> None:
        self.head.keep(headers)

    def judged(self, record: AttemptRecord) -> None:
        self.hub.routing.judged(record)
        before = self.producer.attempts[record.number - 2].failure if record.number > 1 and self.producer else None
        self.hub.observer.attempt_ended(self, record, before.kind if before is not None else None)

    def spoke(self, silence_s: float) -> None:
        self.hub.observer.stream_spoke(silence_s)

    def ended(self, report: Report, refusal: Refusal | None) -> None:
        self.head.refusal = refusal
        self.hub.ended(self, report)

    def told(self, records: Sequence[Record]) -> None:
        """By the journal, once the producer has come to its end."""
        if records[-1].kind is RecordKind.ENDED:
            self.hub.closed(self)


DELIVERED_MAX = 10_000
"""Ids of ended streams that are remembered: a minute of them, at the rate that one machine can serve."""


class Recent:
    """The last few names that were added."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Remembers a name, and forgets the oldest."""
        self._names[name] = None
        if len(self._names) > self._most:
            del self._names[next(iter(self._names))]

    def __contains__(self, name: object) -> bool:
        return name in self._names


@dataclass
class Hub:
    """Makes streams, finds them again, and lets them go."""

    limits: Limits
    journal: Journal
    routing: Routing
    pool: Pool
    observer: Observer
    bodies: Bodies
    running: dict[str, Stream] = field(default_factory=dict)
    _closing: dict[str, Stream] = field(default_factory=dict)
    """Streams that have ended, while the journal does not hold their end yet: who comes back finds them here."""
    _by_key: dict[bytes, tuple[Stream, ...]] = field(default_factory=dict)
    _owners: Counter[bytes] = field(default_factory=Counter)
    _askers: dict[bytes, Asker] = field(default_factory=dict)
    """Of each owner of running streams, the one that came last: nearly always it is as all before it."""
    _late: set[Reader] = field(default_factory=set)
    """Readers of streams that are over."""
    delivered: "Recent" = field(default_factory=lambda: Recent(DELIVERED_MAX))
    """Streams that a reader got to the end: a retry of their request is a request of its own."""
    closing: bool = False

    def __post_init__(self) -> None:
        alarms = Alarms()
        self._means = Means(self.routing.upstreams, self.pool, alarms)
        self._room = Room(self.journal, self, self.limits.pace, alarms)

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
        asker = self._known(asker)
        id = f"{'ms' if call.wire == 'sse' else 'mb'}-{secrets.token_hex(16)}"
        own = not asker.is_needed(self.routing.upstreams, call)
        data = opening.write(call, signed=signed, own_credentials=own, client=asker.name)
        created_at = time.time()
        writer = self.journal.create(id, owner=asker.owner, key=key, created_at=created_at, opening=data)
        stream = self._stream(id, call, asker, key, created_at, adopted=False)
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
        stream = self._stream(info.id, call, self._known(asker), info.key, time.time(), adopted=True)
        stream.producer = self._producer(stream, call, writer, signed=found.signed)
        stream.producer.adopt(past)
        self._left(stream)
        return stream

    def _known(self, asker: Asker) -> Asker:
        """The same, or rather one: thousands of streams may be asked for with one credential."""
        known = self._askers.get(asker.owner)
        return known if known is not None and known == asker else asker

    def _stream(self, id: str, call: Call, asker: Asker, key: bytes, created_at: float, *, adopted: bool) -> Stream:
        stream = Stream(self, Head(id, call.wire), asker, key, call.model, created_at)
        self.bodies.hold(len(call.raw or b""))
        self.running[id] = stream
        self._by_key[key] = (*self._by_key.get(key, ()), stream)
        self._owners[asker.owner] += 1
        self._askers[asker.owner] = asker
        self.observer.stream_started(stream, call.headers, adopted=adopted)
        return stream

    def _producer(self, stream: Stream, call: Call, writer: Writer, *, signed: bool) -> Producer:
        routing, limits, kept = self.routing, self.limits, Kept(call, signed=signed)
        engine = Engine(
            kept,
            limits.policy,
            routing.surroundings(call),
            hold_live_after_s=limits.hold_s,
            one_wire=False,
            wire=DIALECTS[call.wire],
        )
        return Producer(kept, stream.asker, engine, writer, stream, self._means)

    def ended(self, stream: Stream, report: Report) -> None:
        """The producer has come to its end, whatever it was."""
        if self.running.pop(stream.id, None) is None:
            return
        if stream.leaving is not None:
            stream.leaving.cancel()
            stream.leaving = None
        self._owners[stream.asker.owner] -= 1
        if not self._owners[stream.asker.owner]:
            del self._owners[stream.asker.owner], self._askers[stream.asker.owner]
        self._closing[stream.id] = stream
        self.journal.subscribe(stream.id, stream.told)
        self.observer.stream_ended(stream, report)

    def closed(self, stream: Stream) -> None:
        """The journal holds the end of a stream: from now on it is read as one that is over."""
        del self._closing[stream.id]
        assert stream.producer is not None, "it is what ended"
        self.bodies.release(stream.producer.request_bytes)
        self.journal.unsubscribe(stream.id, stream.told)
        self._by_key[stream.key] = left = tuple(other for other in self._by_key[stream.key] if other is not stream)
        if not left:
            del self._by_key[stream.key]
        self._late.update(stream.readers)

    # Readers.

    def attach(
        self, head: Head, stream: Stream | None, response: Response, *, after: int = 0, fresh: bool = False,
        by_retry: bool = False,
    ) -> None:  # fmt: skip
        """A reader of a stream; ``stream`` is ``None`` for one that is over. ``fresh``: the one that asked for it."""
        reader = Reader(head, response, self._room, after=after)
        if stream is None:
            self._late.add(reader)
        else:
            stream.readers += (reader,)
            if stream.leaving is not None:
                stream.leaving.cancel()
                stream.leaving = None
            if not fresh:
                self.observer.reader_attached(stream, by_retry=by_retry)
        reader.start(self.limits.early_s if stream is not None and not after else 0.0, fresh=fresh)

    def find_running(self, id: str, owner: bytes) -> Stream | None:
        """A stream that is running, or whose end is being written, for the one whose it is."""
        stream = self.running.get(id) or self._closing.get(id)
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

    def reader_left(self, reader: Reader, got_all: bool) -> None:
        """A reader is done, one way or the other."""
        self._late.discard(reader)
        if got_all:
            self.delivered.add(reader.id)
        stream = self.running.get(reader.id) or self._closing.get(reader.id)
        if stream is not None and reader in stream.readers:
            stream.readers = tuple(other for other in stream.readers if other is not reader)
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

    @property
    def readers(self) -> int:
        """How many there are; those of streams that are over, too."""
        return len(self._late) + sum(len(stream.readers) for stream in self._streams())

    @property
    def busy(self) -> bool:
        """Whether a stream runs, or is still being read."""
        return bool(self.running or self.readers)

    def abandon(self) -> None:
        """Leaves what is still running to the next process."""
        self.closing = True
        for stream in list(self.running.values()):
            assert stream.producer is not None
            stream.producer.abandon()
            if stream.leaving is not None:
                stream.leaving.cancel()
        for stream in list(self._streams()):
            for reader in stream.readers:
                reader.stop()
        for reader in list(self._late):
            reader.stop()

    def _streams(self) -> Iterator[Stream]:
        """All that may have readers."""
        return chain(self.running.values(), self._closing.values())


def head_of(id: str) -> Head:
    """The head of a stream of which nothing else is known."""
    wire: Wire = "sse" if id.startswith("ms-") else "eventstream"
    return Head(id, wire)


def _too_many(what: str) -> Refusal:
    return refusal(429, f"{what}; try again when one of them has ended", [(b"retry-after", b"1")])
