"""What left beside what came: one stream, seen from both ends.

Rule: pure. The two clocks are never compared as they are: the piece that was least late says how far they are apart.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from midstream.doctor.probe.heard import End, Heard, Protocol
from midstream.faults.probe_words import Mark, Told

# What is inflated of an answer: more than any question asks for.
INFLATED_BYTES_MAX = 8 << 20

# Pieces that come closer together than this came at once: they left at least five times as far apart.
TOGETHER_S = 0.010


@dataclass(frozen=True, slots=True)
class Seen:
    """One stream, as both ends saw it."""

    question: str
    protocol: Protocol
    status: int | None
    headers: tuple[tuple[str, str], ...]
    head_at_s: float | None
    end: End
    detail: str
    end_at_s: float
    encoding: str
    """What the body was packed in on its way: ``gzip``, or nothing."""
    told: Told | None
    """``None`` if the far end could not be asked, or knows nothing of it."""
    came_at_s: tuple[float | None, ...]
    """For each piece that left, when it had come whole, by the near clock."""
    body: bytes = b""
    """The beginning of what came, for an answer that is no stream."""

    @property
    def left(self) -> int:
        """Pieces that left."""
        return len(self.came_at_s)

    @property
    def came(self) -> int:
        """Pieces that came."""
        return sum(at is not None for at in self.came_at_s)

    @property
    def lags_s(self) -> tuple[float, ...]:
        """How much later each piece came than the one that was least late; only of those that came."""
        if self.told is None:
            return ()
        found = [came - mark.at_s for came, mark in zip(self.came_at_s, self.told.marks, strict=True) if came]
        return tuple(lag - min(found) for lag in found)

    @property
    def batches(self) -> int:
        """In how many goes the pieces came."""
        came = sorted(at for at in self.came_at_s if at is not None)
        return bool(came) + sum(later - earlier > TOGETHER_S for earlier, later in pairwise(came))

    @property
    def shift_s(self) -> float:
        """What to add to a moment of the far clock for that of the near one; a guess where nothing came."""
        if self.told is None:
            return 0.0
        pairs = zip(self.came_at_s, self.told.marks, strict=True)
        found = [came - mark.at_s for came, mark in pairs if came is not None]
        return min(found, default=0.0)


def seen(question: str, heard: Heard, told: Told | None) -> Seen:
    """Both ends of one stream."""
    arrivals, body = unpacked(heard)
    marks: tuple[Mark, ...] = told.marks if told is not None and heard.status == 200 else ()
    if told is not None and not marks:
        marks = told.marks
        arrivals = []
    return Seen(
        question=question,
        protocol=heard.protocol,
        status=heard.status,
        headers=tuple(heard.headers),
        head_at_s=heard.head_at_s,
        end=heard.end,
        detail=heard.detail,
        end_at_s=heard.end_at_s,
        encoding=_encoding(heard),
        told=told,
        came_at_s=tuple(_whole_at(mark, arrivals) for mark in marks),
        body=body[:2000],
    )


def _whole_at(mark: Mark, arrivals: list[tuple[float, int]]) -> float | None:
    return next((at for at, size in arrivals if size >= mark.end_bytes), None)


def _encoding(heard: Heard) -> str:
    encoding = heard.header("content-encoding").strip().lower()
    return "" if encoding == "identity" else encoding


def unpacked(heard: Heard) -> tuple[list[tuple[float, int]], bytes]:
    """How large the body was at each moment, and the body, once unpacked."""
    arrivals: list[tuple[float, int]] = []
    body = bytearray()
    for at, data in unpacked_pieces(heard):
        body += data
        arrivals.append((at, len(body)))
    return arrivals, bytes(body)


def unpacked_pieces(heard: Heard) -> Iterator[tuple[float, bytes]]:
    """The pieces of the body as they came, each unpacked as far as it could be then."""
    unpack = zlib.decompressobj(wbits=31) if "gzip" in _encoding(heard) else None
    left_bytes = INFLATED_BYTES_MAX
    for at, data in heard.pieces:
        try:
            piece = data if unpack is None else unpack.decompress(data, left_bytes)
        except zlib.error:
            return
        left_bytes -= len(piece)
        yield at, piece
        if left_bytes <= 0:
            return
