"""A stream of the SQLite journal that has a writer, as the event loop's thread knows it.

Rule: this is the only place where a record exists that is not durable.

``pending`` holds what was appended and is not durable, in order; of what a batch has `Taken`, that batch holds it. Its
first ``told`` records are known to subscribers already: with relaxed durability soon after they were appended, and
whenever the store fails.
"""

from collections.abc import Callable

import msgspec

from midstream.journal.port import Info, Kind, Record
from midstream.journal.records import join
from midstream.journal.table import Head, Value, Work

_NOTHING: list[Record] = []
"""Nothing is pending: one for all streams that wait for their next word. Never written to."""

_ENDED = Kind.ENDED  # to find it in the enumeration takes as long as the rest of `append`


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
        "news",
        "no",
        "offset",
        "opened",
        "owner",
        "pending",
        "pending_bytes",
        "piled_bytes",
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
        self.news = True
        """Whether `streams` is to be told something."""
        self.ended_at: float | None = None
        """When ENDED was appended; it may not be durable."""
        self.lossy = False
        """What follows `head` could not be kept."""
        self.offset = head.offset
        """Of what was appended."""
        self.told_offset = head.offset
        """Of what subscribers may know."""
        self.pending = _NOTHING
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

    __slots__ = ("_clock", "_stream", "_touch", "_touched", "epoch", "fenced", "id")

    def __init__(
        self, stream: Stream, touched: list[Stream], touch: Callable[[], None], clock: Callable[[], float]
    ) -> None:
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
        """See `port.Writer`."""
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
        """The stream is in the next batch. It must not be in it already."""
        self._stream.touched = True
        if not self._touched:
            self._touch()
        self._touched.append(self._stream)


STEPS_MAX = 64
"""Rows between two that ``far`` names: the cost of a read that begins in the middle, in both directions."""


class Taken(msgspec.Struct, gc=False):
    """What a batch holds of those of whom there is nothing to be said but one row: nearly everybody, nearly always.

    No object is made for each of them.
    """

    row: int
    """That of the first; the others follow."""
    streams: list[Stream] = []
    records: list[Record] = []


def take(touched: list[Stream], work: Work, row: int) -> tuple[Taken, list[Stream]]:
    """Takes what is pending of those, and adds it to the work, numbered from ``row`` on; gives also who is left.

    What is taken is not pending any more: it is nowhere but here until it is durable, or given back.
    """
    taken, others = Taken(row), []
    streams, records, values = taken.streams, taken.records, work.values
    for stream in touched:
        pending = stream.pending
        if stream.news or stream.told or stream.lossy:
            others.append(stream)
            continue
        if len(pending) != 1:
            joined = join(pending)
            if len(joined) != 1:
                others.append(stream)
                continue
            record = joined[0]
        else:
            record = pending[0]
        stream.touched = False
        stream.pending = _NOTHING
        head, data = stream.head, record.data
        size_bytes = head.size_bytes + len(data)
        kind = _NUMBERS[record.kind]
        values += (row, stream.no, head.row, head.far, kind, head.offset + 1, record.count, size_bytes, data)
        row += 1
        streams.append(stream)
        records.append(record)
    return taken, others


def settle_taken(stream: Stream, record: Record, row: int) -> None:
    """It is durable, in this row."""
    head = stream.head
    if head.steps + 1 == STEPS_MAX or not head.far:
        head.far, head.steps = row, 0
    else:
        head.steps += 1
    size_bytes = len(record.data)
    head.row = row
    head.offset += record.count
    head.size_bytes += size_bytes
    stream.pending_bytes -= size_bytes
    stream.told_offset = head.offset


def give_back(taken: Taken) -> None:
    """It could not be stored."""
    for stream, record in zip(taken.streams, taken.records, strict=True):
        stream.pending = [record, *stream.pending]


class Share(msgspec.Struct, gc=False):
    """What a batch holds of one stream."""

    stream: Stream
    taken: int
    """How many of its pending records."""
    head: Head
    """Its last row, once they are durable."""
    untold: list[Record]
    """For the subscribers, once they are durable."""


def share(stream: Stream, work: Work, row: int) -> Share:
    """Adds what is pending of a stream to the work, in rows that are numbered from ``row`` on."""
    pending, told = stream.pending, stream.told
    untold = join(pending[told:])
    head = _attach(stream, [*join(pending[:told]), *untold] if told else untold, row, work.values)
    if stream.news:
        stream.news = False
        _tell_of_stream(stream, head, row, work)
    return Share(stream, len(pending), head, untold)


def _attach(stream: Stream, records: list[Record], row: int, values: list[Value]) -> Head:
    """Attaches records to the stream's last row; gives the new last one."""
    head = stream.head
    prev, far, steps, offset, size_bytes = head.row, head.far, head.steps, head.offset, head.size_bytes
    no = stream.no
    for record in records:
        data, count = record.data, record.count
        size_bytes += len(data)
        values += (row, no, prev, far, _NUMBERS[record.kind], offset + 1, count, size_bytes, data)
        offset += count
        prev = row
        steps += 1
        if steps == STEPS_MAX or not far:
            far, steps = row, 0
        row += 1
    return Head(prev, far, steps, offset, size_bytes)


_NUMBERS = {kind: int(kind) for kind in Kind}
"""Plain numbers: SQLite's module takes a detour for every other."""


def _tell_of_stream(stream: Stream, head: Head, row: int, work: Work) -> None:
    """What the stream's own row has to say from now on."""
    if not stream.opened:
        if not stream.pending:  # it was lost before it was stored: it will not be
            return
        about = (stream.no, stream.id, stream.owner, stream.key, stream.created_at, stream.epoch, row, head.row)
        work.opened.append(about)
    else:
        work.adopted.append((stream.epoch, stream.no))
    if stream.ended_at is not None or stream.lossy:
        end = (stream.ended_at, int(stream.lossy), head.row, head.offset, head.size_bytes, stream.no)
        work.ended.append(end)


def settle(share: Share) -> int:
    """It is durable: the stream lets go of it. Gives how many bytes nobody waited for any more."""
    stream, taken = share.stream, share.taken
    stream.head = share.head
    if taken:
        stream.opened = True
    if stream.lossy:  # it lost its place while this was on its way, and with it what was pending
        return 0
    pending = stream.pending
    freed_bytes = sum([len(record.data) for record in pending[:taken]])
    del pending[:taken]
    if not pending:
        stream.pending = _NOTHING
    if stream.told:
        stream.told = max(0, stream.told - taken)
    # The piled ones are the first, so that they go first.
    piled_bytes = stream.piled_bytes and min(stream.piled_bytes, freed_bytes)
    stream.piled_bytes -= piled_bytes
    stream.pending_bytes -= freed_bytes - piled_bytes
    return piled_bytes
