"""The journal in a file: SQLite, one writer, append-only.

Rule: what a stream is lives in the event loop's thread; the other threads get finished work and give back an outcome.

Records are gathered for a *tick* (10 ms) and committed together by a thread of its own. What `sync` promises:

``full``     A record is on the disk before a subscriber is told of it: nothing that a consumer saw is lost, also when
             the power fails. Costs the time until the commit: at most a tick and what the disk takes.
``relaxed``  Subscribers are told at once, and the record is committed within the tick. A killed process loses what it
             told in its last tick; a machine that loses power also what the system had not written yet (seconds).
             What is lost is always the end of a stream: what is left has no holes, and the file stays sound. A
             consumer that comes back with an offset beyond the journal's has seen what is gone.
``none``     Like relaxed, and the disk is never asked to write. After a loss of power the file itself may be damaged.

When the store fails (a full disk, a broken file), streams go on: subscribers are told at once, as with ``relaxed``,
and what could not be stored is kept and tried again every second, up to `commit.PILE_BYTES_MAX`. Beyond that the
stream that appends loses its place: it is *lossy* (`Info.lossy`), `read` ends where the gap begins, and nobody may
adopt it. A process that ends while its store fails leaves a mark beside the file, and the next one takes every stream
that was running for lossy.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from midstream.journal import files, schema, table, upkeep
from midstream.journal.commit import Committer
from midstream.journal.live import Stream
from midstream.journal.port import Health, Info, JournalError, Kind, Record, Subscriber, UnknownStream
from midstream.journal.records import join, page
from midstream.journal.subscribers import Subscribers
from midstream.journal.worker import Worker
from midstream.usual import Appender, Head

Sync = Literal["full", "relaxed", "none"]

KEYS_MAX = 16
"""How many streams `find_key` gives, as the port says."""

_SYNCHRONOUS = {"full": "FULL", "relaxed": "NORMAL", "none": "OFF"}


class SqliteJournal:
    """See `port.Journal`, and above what ``sync`` means. ``clock`` gives seconds since 1970; the age of a stream counts
    from its end."""

    def __init__(
        self,
        path: str | Path,
        *,
        sync: Sync = "full",
        tick_s: float = 0.010,
        age_s: float = 86_400.0,
        bytes_max: int = 1 << 30,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = Path(path)
        self._sync = sync
        self._tick_s = tick_s
        self._age_s = age_s
        self._bytes_max = bytes_max
        self._clock = clock
        self._streams: dict[str, Stream] = {}
        self._keys: dict[bytes, tuple[Stream, ...]] = {}
        self._subscribers = Subscribers()

    # Opening and closing.

    async def start(self) -> None:
        """See `port.Journal`."""
        await asyncio.to_thread(schema.look, self._path)
        self._ownership = await asyncio.to_thread(files.own, self._path)
        try:
            connections, next_row, self._next_no = await asyncio.to_thread(self._open)
        except BaseException:
            self._ownership.release()
            raise
        names = ("writer", "reader", "checkpointer")
        workers = [Worker(f"journal-{name}", connection) for name, connection in zip(names, connections, strict=True)]
        self._writer, self._reader, self._checkpointer = workers
        self._committer = Committer(
            self._path,
            self._ownership,
            self._writer,
            self._checkpointer,
            self._subscribers,
            eager=self._sync != "full",
            tick_s=self._tick_s,
            next_row=next_row,
            streams=self._streams.values,
            forget=self._forget,
        )
        self._touch = self._committer.touch  # one for all writers

    def _open(self) -> tuple[list[sqlite3.Connection], int, int]:
        synchronous = _SYNCHRONOUS[self._sync]
        connections: list[sqlite3.Connection] = []
        try:
            connections.append(schema.connect(self._path, synchronous))
            schema.prepare(self._path, connections[0])
            suspect_at = self._clock() if self._ownership.failed else None
            next_row, next_no = upkeep.recover(connections[0], suspect_at)
            if suspect_at is not None:
                self._ownership.mark(files.WHOLE)
            connections.append(schema.connect(self._path, read_only=True))
            connections.append(schema.connect(self._path, synchronous))
            return connections, next_row, next_no
        except BaseException as problem:
            for connection in connections:
                connection.close()
            if isinstance(problem, sqlite3.Error | OSError):
                raise schema.refusal(self._path, problem) from None
            raise

    async def aclose(self) -> None:
        """See `port.Journal`."""
        try:
            await self._committer.durable()
        except JournalError:
            pass  # `health` said so, and the log
        self._committer.close()
        for worker in (self._checkpointer, self._reader, self._writer):
            await worker.aclose()
        self._ownership.release()

    @property
    def health(self) -> Health:
        """See `port.Journal`."""
        return self._committer.health

    # Writing.

    def create(self, id: str, *, owner: bytes, key: bytes, created_at: float, opening: bytes) -> Appender:
        """See `port.Journal`."""
        if id in self._streams:
            raise ValueError(f"there is a stream {id} already: make a new id for each stream")
        stream = Stream(self._next_no, Info(id, owner, key, created_at, 1, False, 0, 0), Head())
        self._next_no += 1
        self._remember(stream)
        writer = Appender(stream, self._committer.touched, self._touch, self._clock)
        writer.append(Kind.OPENED, opening)
        return writer

    async def adopt(self, id: str) -> Appender:
        """See `port.Journal`. Raises `JournalError` if the store fails: the new epoch has to be durable."""
        stream = self._streams.get(id)
        if stream is None:
            stored = await self._reader.call(partial(table.find, id=id))
            stream = self._streams.get(id)  # somebody else may have adopted it meanwhile
            if stream is None and stored is not None and stored.ended_at is None:
                head = Head(stored.last_row, stored.last_row, 0, stored.offset, stored.size_bytes)
                stream = Stream(stored.no, stored.info, head)
                self._remember(stream)
        if stream is None or stream.ended_at is not None or stream.lossy:
            raise UnknownStream(f"there is no open stream {id}")
        stream.epoch += 1
        stream.news = True
        writer = Appender(stream, self._committer.touched, self._touch, self._clock)
        if not stream.touched:
            writer.touch()
        await self._committer.durable()
        return writer

    def _remember(self, stream: Stream) -> None:
        self._streams[stream.id] = stream
        self._keys[stream.key] = (*self._keys.get(stream.key, ()), stream)

    def _forget(self, stream: Stream) -> None:
        del self._streams[stream.id]
        left = tuple(other for other in self._keys[stream.key] if other is not stream)
        if left:
            self._keys[stream.key] = left
        else:
            del self._keys[stream.key]

    # Reading.

    async def find(self, id: str) -> Info | None:
        """See `port.Journal`."""
        stream = self._streams.get(id)
        if stream is not None:
            return stream.info
        stored = await self._reader.call(partial(table.find, id=id))
        return stored.info if stored else None

    async def find_key(self, key: bytes) -> list[Info]:
        """See `port.Journal`."""
        # Before and after: a stream may end, or begin, while the file is being read.
        found = {stream.no: stream.info for stream in self._keys.get(key, ())}
        found.update((s.no, s.info) for s in await self._reader.call(partial(table.find_key, key=key, limit=KEYS_MAX)))
        found.update((stream.no, stream.info) for stream in self._keys.get(key, ()))
        return [found[no] for no in sorted(found, reverse=True)[:KEYS_MAX]]

    async def open_streams(self) -> list[Info]:
        """See `port.Journal`."""
        found = {stored.no: stored.info for stored in await self._reader.call(table.running)}
        found.update((stream.no, stream.info) for stream in self._streams.values())
        return [found[no] for no in sorted(found) if not found[no].ended and not found[no].lossy]

    async def read(self, id: str, after: int, bytes_max: int) -> list[Record]:
        """See `port.Journal`."""
        stream = self._streams.get(id)
        if stream is None:
            return await self._reader.call(partial(table.read_stream, id=id, after=after, bytes_max=bytes_max))
        # Both now, so that the one begins where the other ends.
        row, offset, known = stream.head.row, stream.head.offset, join(stream.pending[: stream.told])
        if after >= offset:
            return page(known, after, bytes_max)
        job = partial(table.read_page, last_row=row, after=after, bytes_max=bytes_max)
        taken = await self._reader.call(job)
        if taken and taken[-1].last == offset:
            return page(known, after, bytes_max, taken)
        return taken

    async def read_all(self, id: str) -> list[Record]:
        """See `port.Journal`."""
        stream = self._streams.get(id)
        if stream is not None:
            return await self._reader.call(partial(table.read_all, last_row=stream.head.row))
        return await self._reader.call(partial(table.read_all_stream, id=id))

    def subscribe(self, id: str, subscriber: Subscriber) -> None:
        """See `port.Journal`."""
        self._subscribers.add(id, subscriber)

    def unsubscribe(self, id: str, subscriber: Subscriber) -> None:
        """See `port.Journal`."""
        self._subscribers.remove(id, subscriber)

    # Removing.

    async def delete(self, id: str) -> bool:
        """See `port.Journal`. Raises `JournalError` if the store fails: what it holds cannot be removed then."""
        stream = self._streams.get(id)
        if stream is not None:
            if stream.ended_at is None:
                return False
            await self._committer.durable()
        try:
            removed = await self._writer.call(partial(upkeep.delete, id=id))
            if removed:
                # The write-ahead log holds the contents too.
                await self._writer.call(partial(upkeep.checkpoint, how="TRUNCATE"))
        except sqlite3.Error as problem:
            raise JournalError(f"stream {id} could not be removed from {self._path} ({problem}); try again") from None
        return removed

    async def sweep(self, now: float) -> int:
        """See `port.Journal`. While the store fails, nothing is removed."""
        room_bytes = self._bytes_max - sum(stream.info.size_bytes for stream in self._streams.values())
        job = partial(upkeep.expire, ended_before=now - self._age_s, room_bytes=room_bytes)
        try:
            removed = await self._writer.call(job)
            while await self._writer.call(upkeep.purge):
                pass
        except sqlite3.Error:
            return 0
        return removed
