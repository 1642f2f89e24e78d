"""The events of a body, each with the byte where it begins.

Rule: frames are split by the decoders of `protocol`, one at a time, so that no byte is counted twice or not at all.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from midstream.protocol import eventstream, sse
from midstream.protocol.dialects import Anthropic, Bedrock, parse
from midstream.protocol.events import Event, Unreadable, Unrecognised
from midstream.protocol.frames import FrameTooLarge


class Placed(NamedTuple):
    """One event, and where its frame stands."""

    event: Event | Unreadable
    begin: int
    """In bytes of the body."""
    raw: bytes
    """The frame as received."""


class Frames(Protocol):
    """The frames of one body, in one framing."""

    name: str
    at: int
    """Where the next frame begins."""

    def feed(self, data: bytes) -> Iterator[Placed]:
        """The events that these bytes complete; after an `Unreadable` nothing more comes."""

    def end(self) -> Iterator[Placed]:
        """There will be no more bytes: what the rest is worth."""

    @property
    def pending(self) -> bytes:
        """What there is of a frame that has only begun."""


class SseFrames:
    """Server-sent events."""

    name = "sse"

    def __init__(self, frame_bytes_max: int = sse.FRAME_BYTES_MAX) -> None:
        self.at = 0
        self._split = sse.Decoder(frame_bytes_max=frame_bytes_max)
        self._dialect = Anthropic(frame_bytes_max=frame_bytes_max)

    @property
    def pending(self) -> bytes:
        return self._split.pending

    def feed(self, data: bytes) -> Iterator[Placed]:
        try:
            blocks = self._split.split(data)
        except FrameTooLarge as problem:
            yield Placed(Unreadable(str(problem), too_large=True), self.at, b"")
            return
        receive = self._dialect.receive
        for block in blocks:
            begin = self.at
            self.at += len(block)
            for event in receive(block):
                yield Placed(event, begin, block)

    def end(self) -> Iterator[Placed]:
        rest = self._split.pending
        if not rest:
            return
        self._dialect.receive(rest)
        found = self._dialect.end()
        frame = self._split.parse_pending() if not found else None
        if frame is not None and isinstance(fields := parse(frame.data), dict):
            # The dialect believes only what it knows; other APIs' last events may lack their blank line as well.
            found = [Unrecognised(str(fields.get("type", frame.name)), rest)]
        for event in found:
            yield Placed(event, self.at, rest)


class BedrockFrames:
    """AWS event stream."""

    name = "eventstream"

    def __init__(self) -> None:
        self.at = 0
        self._split = eventstream.Decoder()
        self._dialect = Bedrock()

    @property
    def pending(self) -> bytes:
        return self._split.pending

    def feed(self, data: bytes) -> Iterator[Placed]:
        messages, problem = self._split.feed_until_error(data)
        for message in messages:
            begin = self.at
            self.at += len(message.raw)
            headers = message.headers
            if ":event-type" in headers and ":message-type" not in headers:
                # AWS always says both; gateways that speak Converse leave the second out.
                yield Placed(Unrecognised(str(headers[":event-type"]), message.raw), begin, message.raw)
                continue
            for event in self._dialect.receive(message.raw):
                yield Placed(event, begin, message.raw)
        if problem is not None:
            yield Placed(Unreadable(str(problem), isinstance(problem, FrameTooLarge)), self.at, b"")

    def end(self) -> Iterator[Placed]:
        return iter(())
