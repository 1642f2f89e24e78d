"""A stream of the SQLite journal that has a writer, as the event loop's thread knows it.

Rule: this is the only place where a record exists that is not durable.

``pending`` holds what was appended and is not durable, in order. Its first ``told`` records are known to subscribers
already: with relaxed durability soon after they were appended, and whenever the store fails.
"""

from collections.abc import Callable

from midstream.journal.port import Info, Kind, Record
from midstream.journal.records import join
from midstream.journal.table import Head, Row, Work


class Stream:
    """Made by `create` or `adopt`; kept until its ENDED record is durable."""

    __slots__ = (
        "created_at",
        "ended_at",
        "epoch",
        "head",
        "id",
        "key",
        "lossy",
        "no",
        "offset",
        "opened",
        "owner",
        "pending",
        "pending_bytes",
        "piled_bytes",
        "stored_epoch",
        "told",
        "told_offset",
        "touched",
    )

    def __init__(self, no: int, info: Info, head: Head) -> None:
        self.no = no
        self.id = info.id
        self.owner = info.owner
        self.key = info.key
        self.created_at = info.created_at
        self.epoch = info.epoch
        self.head = head
        """Of what is durable."""
        self.opened = head.row > 0
        """Whether `streams` has a row of it."""
        self.stored_epoch = info.epoch
        self.ended_at: float | None = None
        """When ENDED was appended; it may not be durable."""
        self.lossy = False
        """What follows `head` could not be kept."""
        self.offset = head.offset
        """Of what was appended."""
        self.told_offset = head.offset
        """Of what subscribers may know."""
        self.pending: list[Record] = []
        self.told = 0
        self.pending_bytes = 0
        """Of those in `pending` that whoever produces has to wait for."""
        self.piled_bytes = 0
        """Of those in `pending` that were told because the store fails: nobody waits for them."""
        self.touched = False
        """Whether something was appended since the journal looked last."""

    @property
    def info(self) -> Info:
        """What the port says of it."""
        ended = self.ended_at is not None and (not self.pending or self.told == len(self.pending))
        size_bytes = self.head.size_bytes + self.pending_bytes + self.piled_bytes
        return Info(
            self.id,
            self.owner,
            self.key,
            self.created_at,
            self.epoch,
            ended,
            self.told_offset,
            size_bytes,
            self.lossy,
        )


class LiveWriter:
    """See `port.Writer`."""

    __slots__ = ("_clock", "_stream", "_touch", "epoch", "fenced", "id")

    def __init__(self, stream: Stream, touch: Callable[[Stream], None], clock: Callable[[], float]) -> None:
        self.id = stream.id
        self.epoch = stream.epoch
        self.fenced = False
        self._stream = stream
        self._touch = touch
        self._clock = clock

    @property
    def offset(self) -> int:
        """The number of the last frame that was appended."""
        return self._stream.offset

    @property
    def pending_bytes(self) -> int:
        """Of the stream, not durable yet."""
        return self._stream.pending_bytes

    def append(self, kind: Kind, data: bytes, count: int = 0) -> None:
        """See `port.Writer`."""
        stream = self._stream
        if self.epoch != stream.epoch:
            self.fenced = True
            return
        if stream.ended_at is not None:
            raise RuntimeError(f"stream {self.id} has ended: nothing can be appended to it")
        if kind is Kind.ENDED:
            stream.ended_at = self._clock()
        stream.pending.append(Record(kind, data, stream.offset + 1 if count else 0, count))
        stream.offset += count
        stream.pending_bytes += len(data)
        if not stream.touched:
            stream.touched = True
            self._touch(stream)


STEPS_MAX = 64
"""Rows between two that ``far`` names: the cost of a read that begins in the middle, in both directions."""


class Share:
    """What a batch holds of one stream."""

    __slots__ = ("_epoch", "_piled_bytes", "head", "lossy", "pending_bytes", "rows", "stream", "taken", "untold")

    def __init__(self, stream: Stream, work: Work, row: int) -> None:
        """Adds the rows of the stream to the work, numbered from ``row`` on."""
        self.stream = stream
        self.taken = len(stream.pending)
        self.pending_bytes = stream.pending_bytes
        self._piled_bytes = stream.piled_bytes
        self._epoch = stream.epoch
        self.lossy = stream.lossy
        known = join(stream.pending[: stream.told]) if stream.told else []
        self.untold = join(stream.pending[stream.told :]) if self.taken > stream.told else []
        """For the subscribers, once it is durable."""
        self.rows = len(known) + len(self.untold)
        self.head = _rows(stream.no, stream.head, [*known, *self.untold], row, work.rows)
        if stream.opened or self.taken:  # else it was lost before it was stored: it will not be
            self._about_stream(work, row)

    def _about_stream(self, work: Work, row: int) -> None:
        stream, head = self.stream, self.head
        if not stream.opened:
            about = (stream.no, stream.id, stream.owner, stream.key, stream.created_at, stream.epoch, row, head.row)
            work.opened.append(about)
        elif stream.epoch != stream.stored_epoch:
            work.adopted.append((stream.epoch, stream.no))
        if stream.ended_at is not None or stream.lossy:
            work.ended.append(
                (stream.ended_at, int(stream.lossy), head.row, head.offset, head.size_bytes, stream.no),
            )

    def settle(self) -> int:
        """It is durable: the stream lets go of it. Gives how many bytes nobody waited for any more."""
        stream = self.stream
        stream.head = self.head
        stream.stored_epoch = self._epoch
        if self.taken:
            stream.opened = True
        if stream.lossy and not self.lossy:  # it lost its place while this was on its way, and with it its pending ones
            return 0
        del stream.pending[: self.taken]
        stream.told = max(0, stream.told - self.taken)
        stream.pending_bytes -= self.pending_bytes
        stream.piled_bytes -= self._piled_bytes
        return self._piled_bytes


def _rows(no: int, head: Head, records: list[Record], row: int, rows: list[Row]) -> Head:
    """Attaches records to the stream's last row; gives the new last one."""
    prev, far, steps, offset, size_bytes = head.row, head.far, head.steps, head.offset, head.size_bytes
    for record in records:
        size_bytes += len(record.data)
        rows.append((row, no, prev, far, int(record.kind), offset + 1, record.count, size_bytes, record.data))
        offset += record.count
        prev = row
        steps += 1
        if steps == STEPS_MAX or not far:
            far, steps = row, 0
        row += 1
    return Head(prev, far, steps, offset, size_bytes)
