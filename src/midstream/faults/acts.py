"""The words between `play`, which decides what to send, and the players, which send it.

Rule: an act is about the body as it is before compression and chunking; those belong to the players.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal

from midstream.faults.catalogue import Wire
from midstream.faults.script import Fault, Place
from midstream.faults.wire import Event, Piece, encode

How = Literal["clean", "clean-gzip-cut", "gzip-bad", "fin", "fin-in-chunk", "reset", "bad-chunk"]
Before = Literal["refused", "closed", "reset", "half-headers", "silent"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send these bytes of the body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Send nothing more, ever, and keep the connection open."""


@dataclass(frozen=True, slots=True)
class PingsForEver:
    """Send this frame each ``every_s``, until the client goes."""

    frame: bytes
    every_s: float


@dataclass(frozen=True, slots=True)
class Trickle:
    """Send these bytes one by one, ``every_s`` apart."""

    data: bytes
    every_s: float


@dataclass(frozen=True, slots=True)
class TrickleSize:
    """Send a chunk-size line that does not end, one byte each ``every_s``."""

    every_s: float


@dataclass(frozen=True, slots=True)
class End:
    """The body is over."""

    how: How


Act = Send | Pause | Hang | PingsForEver | Trickle | TrickleSize | End


@dataclass(frozen=True, slots=True)
class Performance:
    """One response, as it is to be played."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    acts: tuple[Act, ...] = ()
    before: Before | None = None
    """What happens instead of a response."""
    refuse_s: float = 0.0
    """How long further connections are refused."""
    gzip: bool = False
    """The body is to be compressed by whoever sends bytes; the acts hold it as it was before."""

    def with_headers(self, headers: Mapping[str, str]) -> "Performance":
        """The same, with these headers added."""
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a fault can work with."""

    fault: Fault
    frames: Sequence[Piece]
    wire: Wire
    whole: Callable[[], object]
    """The message as an answer that is not streamed has it."""
    request_id: str = "req_fault"

    def offset(self) -> int:
        """The byte of the body at which the fault happens."""
        place = self.fault.place or Place("fraction", 1.0)
        ends = [0, *accumulate(len(frame.raw) for frame in self.frames)]
        if place.unit == "event":
            at = ends[min(int(place.value), len(self.frames))]
        else:
            at = int(place.value if place.unit == "byte" else place.value * ends[-1])
        return min(max(at + place.shift_bytes, 0), ends[-1])

    def boundary(self) -> int:
        """The number of whole frames before that byte."""
        at, offset = 0, self.offset()
        for number, frame in enumerate(self.frames):
            at += len(frame.raw)
            if at > offset:
                return number
        return len(self.frames)

    def until_byte(self) -> tuple[list[Act], bytes]:
        """What is sent before that byte, frame by frame; and what would have come after it."""
        number, offset = self.boundary(), self.offset()
        sent = [frame.raw for frame in self.frames[:number]]
        rest = b"".join(frame.raw for frame in self.frames[number:])
        into = offset - sum(map(len, sent))
        return sends([*sent, rest[:into]]), rest[into:]

    def around(self) -> tuple[list[Act], Sequence[Piece]]:
        """What is sent before the frame in which that byte is; and the frames from there on."""
        number = self.boundary()
        return sends(frame.raw for frame in self.frames[:number]), self.frames[number:]

    def encode(self, event: Event) -> bytes:
        """One event as a frame of this wire."""
        return encode(event, self.wire)


def sends(frames: Iterable[bytes]) -> list[Act]:
    """One act for each frame that is not empty."""
    return [Send(raw) for raw in frames if raw]


def compressed(performance: Performance) -> Performance:
    """The same as it goes over the wire: with Content-Encoding: gzip, each act's bytes flushed at once."""
    if not performance.gzip:
        return performance
    packer = zlib.compressobj(wbits=31)
    acts: list[Act] = []
    for act in performance.acts:
        match act:
            case Send(data):
                acts.append(Send(packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)))
            case End("clean"):
                acts += [Send(packer.flush(zlib.Z_FINISH)), act]
            case End("clean-gzip-cut"):
                # Nothing at all is no gzip body; with its header it is one that was cut.
                acts += [*([] if acts else [Send(packer.flush(zlib.Z_SYNC_FLUSH))]), End("clean")]
            case End("gzip-bad"):
                acts += [*([] if acts else [Send(packer.flush(zlib.Z_SYNC_FLUSH))]), Send(b"\xff" * 64), End("clean")]
            case _:
                acts.append(act)
    return replace(performance, acts=tuple(acts), gzip=False)
