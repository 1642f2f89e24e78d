"""Events to the bytes that the journal holds: whole frames in the consumer's framing, numbered.

Rule: an event that came in the consumer's own framing keeps its bytes, but for the ``id:`` line before them.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from midstream.gateway.upstreams.errors import error_frame
from midstream.protocol import eventstream, sse
from midstream.protocol.dialects import Anthropic, Bedrock, Dialect
from midstream.protocol.events import BlockGrew, Event, Fields, Unrecognised
from midstream.protocol.framing import fields_of, is_sse
from midstream.usual import Numbered

Wire: TypeAlias = Literal["sse", "eventstream"]

_BOM = b"\xef\xbb\xbf"
_EVENT_STREAM_MAX = 2
"""The first byte of an event-stream message is that of its length: 0 or 1, for all that is under 32 MiB."""

DIALECTS: dict[str, Dialect] = {"sse": Anthropic(), "eventstream": Bedrock()}
"""To encode with. Encoding keeps no state."""


class Framer(Numbered):
    """Makes one stream's frames. Server-sent events are numbered on the wire; event-stream frames only counted."""

    __slots__ = ("_comments", "_sse")

    def __init__(self, wire: Wire, number: int = 0) -> None:
        super().__init__(number)
        self._sse = wire == "sse"
        self._comments = b""

    @property
    def wire(self) -> Wire:
        """How its consumer is spoken to."""
        return "sse" if self._sse else "eventstream"

    @property
    def passes_on(self) -> bool:
        """Whether a server-sent event without a number of its own only needs one."""
        return self._sse and not self._comments

    def frames(self, events: Sequence[Event]) -> tuple[bytes, int]:
        """The bytes of these events, and how many frames they are. A comment is no frame, and goes with one."""
        if len(events) == 1 and self._sse and not self._comments:  # the usual chunk, without the loop
            event = events[0]
            raw = event.raw
            if type(event) is BlockGrew and raw.startswith(b"event: ") and b"\nid" not in raw:
                self.number = number = self.number + 1
                return b"id: %d\n%b" % (number, raw), 1
        number, sse = self.number, self._sse
        parts: list[bytes] = []
        for event in events:
            raw = event.raw
            if (raw[0] < _EVENT_STREAM_MAX) is sse and is_sse(raw) is not sse:
                raw = _transcoded(event, sse)
            if not sse:
                if raw:
                    number += 1
                    parts.append(raw)
            elif type(event) is Unrecognised and not event.name:
                parts.append(raw)
            else:
                number += 1
                if b"\nid" in raw or raw[:2] == b"id" or raw[:3] == _BOM:
                    raw = _without_id(raw)
                parts.append(b"id: %d\n%b" % (number, raw))
        count, self.number = number - self.number, number
        data = b"".join(parts)
        if not count:
            self._comments += data
            return b"", 0
        if self._comments:
            data, self._comments = self._comments + data, b""
        return data, count

    def own(self, fields: Fields) -> tuple[bytes, int]:
        """A frame of midstream's own."""
        self.number += 1
        frame = encoded(fields, self.wire)
        return (b"id: %d\n%b" % (self.number, frame) if self._sse else frame), 1

    def given(self, frame: bytes) -> tuple[bytes, int]:
        """A frame that stands ready in the consumer's framing, without a number."""
        self.number += 1
        return (b"id: %d\n%b" % (self.number, frame) if self._sse else frame), 1

    def failed(self, error: Fields) -> tuple[bytes, int]:
        """The error that ends a stream."""
        if self._sse:
            return self.own(error)
        about = error["error"]
        return self.given(error_frame(about["type"], about["message"], about["midstream"]))


def encoded(fields: Fields, wire: Wire) -> bytes:
    """One event as a frame, without a number."""
    return DIALECTS[wire].encode(fields)


def ping(wire: Wire) -> bytes:
    """A ping of a reader's own: outside of the journal, and without a number."""
    return encoded({"type": "ping"}, wire)


def _transcoded(event: Event, sse: bool) -> bytes:
    fields = fields_of(event)
    return b"" if fields is None else encoded(fields, "sse" if sse else "eventstream")


def _without_id(raw: bytes) -> bytes:
    """An upstream's own numbers mean nothing to our consumers: it may be a midstream itself."""
    lines = raw.removeprefix(_BOM).splitlines(keepends=True)
    return b"".join(line for line in lines if line.partition(b":")[0].strip(b"\r\n") != b"id")


def behind(data: bytes, wire: Wire, skip: int) -> bytes:
    """These frames without the first ``skip`` of them."""
    if wire == "eventstream":
        messages, _ = eventstream.Decoder().feed_until_error(data)
        return b"".join(message.raw for message in messages[skip:])
    frames = sse.Decoder(frame_bytes_max=max(len(data), 1)).split(data)
    for at, frame in enumerate(frames):
        if frame.startswith(b"id: "):
            if not skip:
                return b"".join(frames[at:])
            skip -= 1
    return b""
