"""What every store does with records: joins them, and cuts a page of them for a reader.

Rule: whole records in, whole records out. What is in a frame is nobody's business here.
"""

from collections.abc import Iterable, Sequence

from midstream.journal.port import Kind, Record

JOINED_BYTES_MAX = 64 << 10
"""How large a record becomes by joining. A reader that comes back is given whole records, so this is the most that it
gets twice; sixteen pages of a database, so that larger ones would save nothing."""

_TOLD = frozenset({Kind.SHOWN, Kind.ENDED})


def join(records: Sequence[Record]) -> list[Record]:
    """The same frames in fewer records: neighbours that are SHOWN become one, up to `JOINED_BYTES_MAX`."""
    if len(records) == 1:  # nearly always: one chunk of one stream, in one tick
        return list(records)
    joined: list[Record] = []
    parts: list[bytes] = []
    first = count = size_bytes = 0
    for record in records:
        shown = record.kind is Kind.SHOWN
        if parts and not (shown and size_bytes + len(record.data) <= JOINED_BYTES_MAX):
            joined.append(Record(Kind.SHOWN, b"".join(parts), first, count))
            parts = []
        if not shown:
            joined.append(record)
            continue
        if not parts:
            first, count, size_bytes = record.first, 0, 0
        parts.append(record.data)
        count += record.count
        size_bytes += len(record.data)
    if parts:
        joined.append(Record(Kind.SHOWN, b"".join(parts), first, count))
    return joined


def told(records: Iterable[Record]) -> list[Record]:
    """Those that consumers are told of."""
    return [record for record in records if record.kind in _TOLD]


def page(records: Iterable[Record], after: int, bytes_max: int, taken: Sequence[Record] = ()) -> list[Record]:
    """What `Journal.read` gives of these: behind frame ``after``, the first always, then as many as fit.

    ``taken`` is the beginning of the page, if there is one already.
    """
    chosen = list(taken)
    size_bytes = sum(len(record.data) for record in chosen)
    for record in records:
        if not (record.kind is Kind.ENDED or (record.kind is Kind.SHOWN and record.last > after)):
            continue
        size_bytes += len(record.data)
        if chosen and size_bytes > bytes_max:
            break
        chosen.append(record)
    return chosen
