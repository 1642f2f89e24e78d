"""A journal in memory: for tests, and for a gateway whose streams need not outlive it.

Rule: what was appended is durable at once, and subscribers are told in the next turn of the event loop.

Durable means here: as long as this process lives. A process that is killed takes every stream with it.
"""

import asyncio
import time
from collections.abc import Callable

from midstream.journal.port import Health, Info, Kind, Record, Subscriber, UnknownStream
from midstream.journal.records import join, page
from midstream.journal.subscribers import Subscribers
from midstream.usual import Appender, Head, Tail, tell_news

KEYS_MAX = 16
"""How many streams `find_key` gives, as the port says."""


class _Stream(Tail):
    """A stream. All its records are ``pending``: what subscribers were told of, and what they were not."""

    __slots__ = ("created_at", "key", "owner")

    def __init__(self, id: str, owner: bytes, key: bytes, created_at: float) -> None:
        super().__init__(id, 0, 1, Head())
        self.owner = owner
        self.key = key
        self.created_at = created_at

    @property
    def info(self) -> Info:
        ended, size_bytes = self.ended_at is not None, self.pending_bytes
        return Info(self.id, self.owner, self.key, self.created_at, self.epoch, ended, self.offset, size_bytes)


class MemoryWriter(Appender):
    """Appends to a stream of a `MemoryJournal`: nobody has to wait for it."""

    __slots__ = ()

    pending_bytes = 0


class MemoryJournal:
    """Streams in a dictionary. ``clock`` gives seconds since 1970; the age of a stream counts from its end."""

    def __init__(
        self, *, age_s: float = 86_400.0, bytes_max: int = 1 << 30, clock: Callable[[], float] = time.time
    ) -> None:
        self._age_s = age_s
        self._bytes_max = bytes_max
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._subscribers = Subscribers()
        self._untold: list[_Stream] = []

    async def start(self) -> None:
        """Nothing is to be opened or checked."""

    def create(self, id: str, *, owner: bytes, key: bytes, created_at: float, opening: bytes) -> MemoryWriter:
        """See `port.Journal`."""
        if id in self._streams:
            raise ValueError(f"there is a stream {id} already: make a new id for each stream")
        stream = self._streams[id] = _Stream(id, owner, key, created_at)
        writer = self._writer(stream)
        writer.append(Kind.OPENED, opening)
        return writer

    def _writer(self, stream: _Stream) -> MemoryWriter:
        return MemoryWriter(stream, self._untold, self._touched, self._clock)

    async def adopt(self, id: str) -> MemoryWriter:
        """See `port.Journal`."""
        stream = self._streams.get(id)
        if stream is None or stream.ended_at is not None:
            raise UnknownStream(f"there is no open stream {id}")
        stream.epoch += 1
        return self._writer(stream)

    async def find(self, id: str) -> Info | None:
        """See `port.Journal`."""
        stream = self._streams.get(id)
        return stream.info if stream else None

    async def find_key(self, key: bytes) -> list[Info]:
        """See `port.Journal`."""
        found = [stream.info for stream in self._streams.values() if stream.key == key]
        return found[: -KEYS_MAX - 1 : -1]

    async def open_streams(self) -> list[Info]:
        """See `port.Journal`."""
        return [stream.info for stream in self._streams.values() if stream.ended_at is None]

    async def read(self, id: str, after: int, bytes_max: int) -> list[Record]:
        """See `port.Journal`."""
        stream = self._streams.get(id)
        return page(stream.pending, after, bytes_max) if stream else []

    async def read_all(self, id: str) -> list[Record]:
        """See `port.Journal`."""
        stream = self._streams.get(id)
        return list(stream.pending) if stream else []

    def subscribe(self, id: str, subscriber: Subscriber) -> None:
        """See `port.Journal`."""
        self._subscribers.add(id, subscriber)

    def unsubscribe(self, id: str, subscriber: Subscriber) -> None:
        """See `port.Journal`."""
        self._subscribers.remove(id, subscriber)

    async def delete(self, id: str) -> bool:
        """See `port.Journal`."""
        stream = self._streams.get(id)
        if stream is None or stream.ended_at is None:
            return False
        del self._streams[id]
        return True

    async def sweep(self, now: float) -> int:
        """See `port.Journal`."""
        ended = [stream for stream in self._streams.values() if stream.ended_at is not None]
        ended.sort(key=lambda stream: stream.ended_at or 0.0)
        size_bytes = sum(stream.pending_bytes for stream in self._streams.values())
        removed = 0
        for stream in ended:
            if size_bytes <= self._bytes_max and (stream.ended_at or 0.0) >= now - self._age_s:
                break
            size_bytes -= stream.pending_bytes
            del self._streams[stream.id]
            removed += 1
        return removed

    @property
    def health(self) -> Health:
        """Always well."""
        return Health(ok=True)

    async def aclose(self) -> None:
        """Tells what was not told yet."""
        self._tell()

    def _touched(self) -> None:
        asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        untold = self._untold.copy()
        self._untold.clear()
        tell_news(untold, self._subscribers, join)
