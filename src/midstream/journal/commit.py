"""From what was appended to what is durable: gathers, commits, tells, and goes on when the store fails.

Rule: one batch is with the writer's thread at a time; everything here runs in the event loop's thread, without locks.

A *batch* is everything that was appended since the one before it, by any stream. It is handed over a tick after the one
before it at the earliest: at once where nothing else happens, so that a lone record need not wait.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from midstream.journal import files, table, upkeep
from midstream.journal.files import Ownership
from midstream.journal.live import Share, Stream, Taken, give_back, settle, share, take
from midstream.journal.port import Health, JournalError
from midstream.journal.records import join
from midstream.journal.subscribers import Subscribers
from midstream.journal.worker import Worker
from midstream.usual import settle_rows

RETRY_S = 1.0
"""Between two tries while the store fails: soon enough for a disk that was cleared, and no load on a broken one."""

PILE_BYTES_MAX = 64 << 20
"""What is kept of what could not be stored: with 2,000 streams at ten events a second, twenty seconds."""

LANDMARK_S = 5.0
"""How much of the file a start after a crash has to read at most: what was written in this time."""

_BATCH_BYTES, _ROW_BYTES = 4 << 12, 200
"""About what a commit adds to the write-ahead log, and each of its rows. Checkpoints are guided by it, nothing else."""

_log = logging.getLogger("midstream.journal")


class _Batch:
    """What is with the writer's thread now."""

    def __init__(
        self,
        taken: Taken,
        shares: list[Share],
        waiting: list["asyncio.Future[None]"],
        made_at: float,
        rows: int,
    ) -> None:
        self.taken = taken
        self.shares = shares
        self.waiting = waiting
        self.made_at = made_at
        self.rows = rows


class Committer:
    """Between the streams of a journal and its writer's thread."""

    def __init__(
        self,
        path: Path,
        ownership: Ownership,
        writer: Worker,
        checkpointer: Worker,
        subscribers: Subscribers,
        *,
        eager: bool,
        tick_s: float,
        next_row: int,
        streams: Callable[[], Iterable[Stream]],
        forget: Callable[[Stream], None],
    ) -> None:
        self._path = path
        self._ownership = ownership
        self._writer = writer
        self._checkpointer = checkpointer
        self._subscribers = subscribers
        self._eager = eager
        """Whether subscribers are told before the commit."""
        self._tick_s = tick_s
        self._next_row = next_row
        self._streams = streams
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self.touched: list[Stream] = []
        """Who has appended since the journal looked last: one list for ever, which every writer knows."""
        self._announcing = False
        self._unsaved: dict[Stream, None] = {}
        self._batch: _Batch | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = self._landmark_at = self._since = 0.0
        self._problem = ""
        self._marked = False
        """Whether the file of the lock says that the store fails."""
        self._piled_bytes = 0
        self._logged_bytes = 0
        self._checkpointing = False

    # What is appended.

    def touch(self) -> None:
        """Somebody is about to be the first in `touched`."""
        if not self._unsaved and self._batch is None:
            self._since = self._loop.time()
        if not self._eager and not self._problem:
            if self._timer is None and self._batch is None:
                self._arm()
        elif not self._announcing:
            self._announcing = True
            self._loop.call_soon(self._announce)

    async def durable(self) -> None:
        """Waits until everything is durable that was appended before. Raises `JournalError` if the store fails."""
        if self.touched or self._unsaved or self._batch is not None:
            future: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(future)
            self._arm()
            await future

    def close(self) -> None:
        """No batch begins any more."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def health(self) -> Health:
        """See `port.Journal`."""
        pending_bytes = sum(stream.pending_bytes + stream.piled_bytes for stream in self._streams())
        waits = self.touched or self._unsaved or self._batch is not None
        lag_s = self._loop.time() - self._since if waits else 0.0
        return Health(not self._problem, self._problem, pending_bytes, lag_s)

    def _announce(self) -> None:
        self._announcing = False
        self._gather()
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._batch is None:
            self._timer = self._loop.call_at(max(self._next_at, self._loop.time()), self._tick)

    def _gather(self) -> None:
        """Takes note of who appended, and tells subscribers where they need not wait for the disk."""
        at_once = self._eager or bool(self._problem)
        unsaved = self._unsaved
        for stream in self.touched:
            stream.touched = False
            unsaved[stream] = None
            if at_once or stream.lossy:
                self._tell_pending(stream)
                if self._problem or stream.lossy:
                    self._pile(stream)
        self.touched.clear()

    def _tell_pending(self, stream: Stream) -> None:
        news = stream.pending[stream.told :]
        stream.told = len(stream.pending)
        stream.told_offset = stream.offset
        if news:
            self._subscribers.tell(stream.id, join(news))

    # Batches.

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        self._next_at = now + self._tick_s
        work, first_row = table.Work(), self._next_row
        taken = Taken(first_row)
        # Not who may be in `_unsaved` too: to be in a batch twice would tear the stream's rows apart.
        if not (self._eager or self._problem or self._unsaved):
            taken, self.touched[:] = take(self.touched, work, first_row)
        self._gather()
        shares = [share(stream, work, first_row + work.rows) for stream in self._unsaved]
        self._next_row += work.rows
        self._unsaved = {}
        waiting, self._waiting = self._waiting, []
        self._batch = _Batch(taken, shares, waiting, now, work.rows)
        if work.rows and now >= self._landmark_at:
            work.landmark = self._landmark(taken, shares)
        self._writer.post(partial(self._write, work=work, marks=self._marks()), self._written)

    def _landmark(self, taken: Taken, shares: list[Share]) -> tuple[int, bytes]:
        heads = {stream.no: stream.head.row for stream in self._streams()}
        heads.update((stream.no, row) for row, stream in enumerate(taken.streams, taken.row))
        heads.update((share.stream.no, share.head.row) for share in shares)
        return self._next_row - 1, table.pack_heads(heads.items())

    def _marks(self) -> bytes | None:
        """What the file of the lock should say once this batch is durable; ``None`` for what it says."""
        # Not after the first batch that works again: others were told of meanwhile, and are in the next one.
        return files.WHOLE if self._marked and not self._problem else None

    def _write(self, connection: sqlite3.Connection, work: table.Work, marks: bytes | None) -> bool:
        """In the writer's thread. Gives whether the file of the lock now says that all is well."""
        try:
            if work.landmark is not None:
                self._ownership.verify()
            table.write(connection, work)
        except Exception:
            # Before anyone is told of what is not stored.
            self._ownership.try_mark(files.FAILED)
            raise
        return marks is not None and self._ownership.try_mark(marks)

    def _written(self, whole: bool | None, problem: Exception | None) -> None:
        batch, self._batch = self._batch, None
        assert batch is not None
        if problem is not None:
            self._failed(batch, problem)
        else:
            if whole:
                self._marked = False
            self._stored(batch)
        if self.touched or self._unsaved or self._waiting or self._marked:
            self._arm()

    def _stored(self, batch: _Batch) -> None:
        if self._problem:
            self._problem = ""
            _log.warning("the journal %s works again", self._path)
        self._since = batch.made_at
        if batch.rows and batch.made_at >= self._landmark_at:
            self._landmark_at = batch.made_at + LANDMARK_S
        taken, tell = batch.taken, self._subscribers.tell
        settle_rows(taken.streams, taken.records, taken.row, self._subscribers)
        for stored in batch.shares:
            stream, untold = stored.stream, stored.untold
            self._piled_bytes -= settle(stored)
            if untold:
                stream.told_offset = stored.head.offset
                tell(stream.id, untold)
            if stream.ended_at is not None and self._over(stream):
                self._forget(stream)
        for future in batch.waiting:
            if not future.done():
                future.set_result(None)
        self._logged_bytes += _BATCH_BYTES + batch.rows * _ROW_BYTES
        if self._logged_bytes >= upkeep.WAL_BYTES_IDLE and not self._checkpointing:
            self._checkpointing = True
            self._logged_bytes = 0
            self._checkpointer.post(upkeep.checkpoint, self._checkpointed)

    def _over(self, stream: Stream) -> bool:
        """Whether nothing is left to be stored of a stream that has ended."""
        return not (stream.pending or stream.touched or stream in self._unsaved)

    def _checkpointed(self, wal_bytes: int | None, problem: Exception | None) -> None:
        self._checkpointing = False
        # A checkpoint that fails is no failure yet: the log grows, and then it is the writer who cannot go on.
        if problem is None and wal_bytes is not None and wal_bytes > upkeep.WAL_BYTES_MAX:
            self._writer.post(upkeep.checkpoint, _ignore)

    # When the store fails.

    def _failed(self, batch: _Batch, problem: Exception) -> None:
        self._marked = True
        self._next_at = self._loop.time() + RETRY_S
        begins = not self._problem
        self._problem = (
            f"the journal {self._path} cannot be written ({problem}); make room or repair it: streams go on, and what"
            " is shown now does not survive a crash"
        )
        if begins:
            _log.warning("%s", self._problem)
        give_back(batch.taken)
        for stream in [*batch.taken.streams, *(held.stream for held in batch.shares)]:
            stream.news = True
            self._unsaved[stream] = None
            self._tell_pending(stream)
            self._pile(stream)
        for future in batch.waiting:
            if not future.done():
                future.set_exception(JournalError(self._problem))

    def _pile(self, stream: Stream) -> None:
        """Nobody waits any more for what is pending of a stream: it is kept while there is room for it."""
        size_bytes, stream.pending_bytes = stream.pending_bytes, 0
        stream.piled_bytes += size_bytes
        self._piled_bytes += size_bytes
        if self._piled_bytes > PILE_BYTES_MAX and not stream.lossy:
            stream.lossy = stream.news = True
        if stream.lossy:
            self._piled_bytes -= stream.piled_bytes
            stream.piled_bytes = 0
            stream.pending.clear()
            stream.told = 0
            if stream.ended_at is not None and not stream.opened and not self._flies(stream):
                # Nothing of it was ever stored, so that nothing is to be marked.
                del self._unsaved[stream]
                self._forget(stream)

    def _flies(self, stream: Stream) -> bool:
        return self._batch is not None and any(share.stream is stream for share in self._batch.shares)


def _ignore(result: object, problem: Exception | None) -> None:
    """What comes of this is seen elsewhere."""
