"""A stream of the SQLite journal that has a writer, as the event loop's thread knows it.

Rule: this is the only place where a record exists that is not durable.

``pending`` holds what was appended and is not durable, in order; of what a batch has `Taken`, that batch holds it. Its
first ``told`` records are known to subscribers already: with relaxed durability soon after they were appended, and
whenever the store fails.
"""

import msgspec

from midstream.journal.port import Info, Record
from midstream.journal.records import join
from midstream.journal.table import Value, Work
from midstream.usual import Head, Tail, take_rows
from midstream.usual.storing import NOTHING, NUMBERS


class Stream(Tail):
    """Made by `create` or `adopt`; kept until its ENDED record is durable. Its writer knows it as a `Tail`."""

    __slots__ = ("created_at", "key", "opened", "owner", "piled_bytes")

    def __init__(self, no: int, info: Info, head: Head) -> None:
        super().__init__(info.id, no, info.epoch, head)
        self.owner = info.owner
        self.key = info.key
        self.created_at = info.created_at
        self.opened = head.row > 0
        """Whether `streams` has a row of it."""
        self.piled_bytes = 0
        """Of those in `pending` that were told because the store fails: nobody waits for them."""

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
    streams, records, others = take_rows(touched, work.values, row, join)
    return Taken(row, streams, records), others


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
    last = stream.head
    head = Head(last.row, last.far, last.steps, last.offset, last.size_bytes)
    for record in records:
        data, count = record.data, record.count
        size_bytes = head.size_bytes + len(data)
        kind = NUMBERS[record.kind]
        values += (row, stream.no, head.row, head.far, kind, head.offset + 1, count, size_bytes, data)
        head.move(row, record)
        row += 1
    return head


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
        stream.pending = NOTHING
    if stream.told:
        stream.told = max(0, stream.told - taken)
    # The piled ones are the first, so that they go first.
    piled_bytes = stream.piled_bytes and min(stream.piled_bytes, freed_bytes)
    stream.piled_bytes -= piled_bytes
    stream.pending_bytes -= freed_bytes - piled_bytes
    return piled_bytes
