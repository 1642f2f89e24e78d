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
    """How the last common delta began: up to its payload, the next one nearly always begins the same."""

    __slots__ = ("_before", "begin", "index", "kind", "skip")

    def __init__(self, before: bytes = b"") -> None:
        self._before = before
        self.begin: bytes | tuple[()] = ()  # nothing begins so
        self.skip = 0
        self.index = 0
        self.kind = ""

    def learn(self, event: Event | Unreadable, data: bytes) -> None:
        """Remembers the beginning of this event, if it is a delta of the common shape."""
        if type(event) is not BlockGrew or event.fields is not None or not isinstance(event.value, str):
            return
        index, kind = event.index, event.kind
        common = _beginning(self._before, index, kind)
        if data.startswith(common):
            self.begin, self.skip, self.index, self.kind = common, len(common), index, kind


@lru_cache(maxsize=128)  # ten kinds of payload for a dozen blocks: thousands of streams have the same few
def _beginning(before: bytes, index: int, kind: str) -> bytes:
    name = PAYLOADS[kind]
    return before + f'{{"type":"content_block_delta","index":{index},"delta":{{"type":"{kind}","{name}":'.encode()


def payload(data: bytes, skip: int) -> str | None:
    """The payload of a chunk that is one common delta, from behind its common beginning; ``None`` if it is no such."""
    end = data.rfind(b'"') + 1
    if data[end:] not in TAILS:  # else the last quote ends the payload: no quote in the beginning is followed so
        return None
    try:
        return decode_string(data[skip:end])
    except (msgspec.DecodeError, ValueError):
        return None  # more than the common shape
