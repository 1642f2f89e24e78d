"""The end of a stream in a journal: what was appended to it, until its subscribers are told.

Rule: no store is known here; what is durable is its own matter.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from midstream.usual.kinds import Kind

_ENDED = Kind.ENDED  # to find it in the enumeration takes as long as the rest of `append`
_SHOWN = Kind.SHOWN
NUMBERS = {kind: int(kind) for kind in Kind}
"""Plain numbers: SQLite's module takes a detour for every other."""

NOTHING: list["Record"] = []
"""Nothing is pending: one for all streams that wait for their next word. Never written to."""

STEPS_MAX = 64
"""Rows between two that ``far`` names: the cost of a read that begins in the middle, in both directions."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """An entry of a stream."""

    kind: Kind
    data: bytes
    first: int = 0
    """Of SHOWN: the number of its first frame."""
    count: int = 0
    """Of SHOWN: how many frames it holds."""

    @property
    def last(self) -> int:
        """Of SHOWN: the number of its last frame."""
        return self.first + self.count - 1


class Head(msgspec.Struct, gc=False):
    """Where a stream's next row is attached."""

    row: int = 0
    """Its last row; 0: none."""
    far: int = 0
    """What the next row names as ``far``."""
    steps: int = 0
    """Rows since that one."""
    offset: int = 0
    size_bytes: int = 0

    def move(self, row: int, record: Record) -> None:
        """The record is in this row now."""
        if self.steps + 1 == STEPS_MAX or not self.far:
            self.far, self.steps = row, 0
        else:
            self.steps += 1
        self.row = row
        self.offset += record.count
        self.size_bytes += len(record.data)


class Tail:
    """A stream that can be appended to."""

    __slots__ = (
        "ended_at",
        "epoch",
        "head",
        "id",
        "lossy",
        "news",
        "no",
        "offset",
        "pending",
        "pending_bytes",
        "told",
        "told_offset",
        "touched",
    )

    def __init__(self, id: str, no: int, epoch: int, head: Head) -> None:
        self.id = id
        self.no = no
        self.epoch = epoch
        self.head = head
        """Of what is durable."""
        self.offset = head.offset
        """Of what was appended."""
        self.told_offset = head.offset
        """Of what subscribers may know."""
        self.pending = NOTHING
        """What was appended, and is not durable, or was not told."""
        self.told = 0
        """How many of them subscribers know already."""
        self.pending_bytes = 0
        """Of those in `pending` that whoever produces has to wait for."""
        self.ended_at: float | None = None
        """When ENDED was appended; it may not be durable."""
        self.touched = False
        """Whether something was appended since the journal looked last."""
        self.news = True
        """Whether the store is to be told something besides."""
        self.lossy = False
        """What follows `head` could not be kept."""


class Appender:
    """A `journal.port.Writer`."""

    __slots__ = ("_clock", "_stream", "_touch", "_touched", "epoch", "fenced", "id")

    def __init__(self, stream: Tail, touched: list[Any], touch: Callable[[], None], clock: Callable[[], float]) -> None:
        """``touched`` gathers streams of which the journal knows nothing yet; ``touch`` is called before the first."""
        self.id = stream.id
        self.epoch = stream.epoch
        self.fenced = False
        self._stream = stream
        self._touched = touched
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
        """See `journal.port.Writer`."""
        stream = self._stream
        if self.epoch != stream.epoch:
            self.fenced = True
            return
        if stream.ended_at is not None:
            raise RuntimeError(f"stream {self.id} has ended: nothing can be appended to it")
        if kind is _ENDED:
            stream.ended_at = self._clock()
            stream.news = True
        record = Record(kind, data, stream.offset + 1 if count else 0, count)
        if stream.pending:
            stream.pending.append(record)
        else:
            stream.pending = [record]
        stream.offset += count
        stream.pending_bytes += len(data)
        if not stream.touched:
            self.touch()

    def touch(self) -> None:
        """The journal is to look at the stream. It must not know of it already."""
        self._stream.touched = True
        if not self._touched:
            self._touch()
        self._touched.append(self._stream)


class Audience:
    """Who is told of a stream's records."""

    __slots__ = ("_of",)

    _of: dict[str, Any]

    def tell(self, id: str, records: Sequence[Record]) -> None:
        """Tells everyone of those of the records that are for consumers."""
        raise NotImplementedError

    def _failed(self, id: str, problem: Exception) -> None:
        """One who was told raised this."""
        raise NotImplementedError


Join = Callable[[Sequence[Record]], list[Record]]


def tell_news(streams: list[Any], audience: Audience, join: Join) -> None:
    """Tells of what is pending of these, and was not told."""
    for stream in streams:
        stream.touched = False
        pending, told = stream.pending, stream.told
        stream.told = len(pending)
        audience.tell(stream.id, pending[-1:] if len(pending) == told + 1 else join(pending[told:]))


def take_rows(
    touched: list[Any], values: list[int | bytes], row: int, join: Join
) -> tuple[list[Any], list[Record], list[Any]]:
    """Takes what is pending of those of whom there is nothing to be said but one row, which is nearly everybody: adds
    the columns of their rows to ``values``, numbered from ``row`` on. Gives those streams, their records, and the rest.
    """
    streams: list[Tail] = []
    records: list[Record] = []
    others: list[Tail] = []
    for stream in touched:
        pending = stream.pending
        if stream.news or stream.told or stream.lossy:
            others.append(stream)
            continue
        joined = pending if len(pending) == 1 else join(pending)
        if len(joined) != 1:
            others.append(stream)
            continue
        record = joined[0]
        stream.touched = False
        stream.pending = NOTHING
        head, data = stream.head, record.data
        size_bytes = head.size_bytes + len(data)
        kind = NUMBERS[record.kind]
        values += (row, stream.no, head.row, head.far, kind, head.offset + 1, record.count, size_bytes, data)
        row += 1
        streams.append(stream)
        records.append(record)
    return streams, records, others


def settle_rows(streams: list[Any], records: list[Record], row: int, audience: Audience) -> None:
    """What was taken is durable, in the rows from this one on: tells of it."""
    for stream, record in zip(streams, records, strict=True):
        stream.head.move(row, record)
        stream.pending_bytes -= len(record.data)
        stream.told_offset = stream.head.offset
        audience.tell(stream.id, (record,))
        row += 1
