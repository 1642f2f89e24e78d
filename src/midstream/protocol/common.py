"""The common delta: what nine of ten events look like, told by its beginning and its end.

Rule: what is taken for a common delta here means the same as JSON; everything else is left to the general way.
"""

from functools import lru_cache

import msgspec

from midstream.protocol.events import PAYLOADS, BlockGrew, Event, Unreadable

TAILS = frozenset(b"}" + b" " * blanks + b"}\n\n" for blanks in range(64))
"""What may stand behind a delta's payload: the service pads with blanks between the braces."""

decode_string = msgspec.json.Decoder(str).decode


class Common:
    """How the last common delta began: up to its payload, the next one nearly always begins the same.

    Thousands of streams share a few of them, so they are never written to.
    """

    __slots__ = ("_before", "begin", "index", "kind", "skip")

    def __init__(self, before: bytes = b"", begin: bytes | tuple[()] = (), index: int = 0, kind: str = "") -> None:
        self._before = before
        self.begin = begin
        """Nothing begins with ``()``. The first quote of the payload is the last of it: before that quote JSON allows a
        line end, which would end the event's line of data."""
        self.skip = len(begin) - 1
        self.index = index
        self.kind = kind

    def after(self, event: Event | Unreadable, data: bytes) -> "Common":
        """What this event teaches, if it is a delta of the common shape; else what is known already."""
        if type(event) is not BlockGrew or event.fields is not None or not isinstance(event.value, str):
            return self
        common = _common(self._before, event.index, event.kind)
        if data.startswith(common.begin):
            return common
        return self


@lru_cache(maxsize=128)  # ten kinds of payload for a dozen blocks: thousands of streams have the same few
def _common(before: bytes, index: int, kind: str) -> Common:
    begin = f'{{"type":"content_block_delta","index":{index},"delta":{{"type":"{kind}","{PAYLOADS[kind]}":"'.encode()
    return Common(before, before + begin, index, kind)


def payload(data: bytes, skip: int) -> str | None:
    """The payload of a chunk that begins like a common delta, from its first quote on; ``None`` if it is none."""
    end = data.rfind(b'"') + 1
    if data[end:] not in TAILS:  # else the last quote ends the payload, or it is the first, which decodes as nothing
        return None
    try:
        return decode_string(data[skip:end])
    except (msgspec.DecodeError, ValueError):
        return None  # more than the common shape
