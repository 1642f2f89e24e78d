"""The requirements, each with the two sides that are measured for it.

Rule: a row is a claim and the runs that can refute it; how they are run and judged is `bench.__main__`'s business.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bench import sides
from bench.bodies import bedrock_frames, chunked, sse_frames
from bench.sides import Side
from midstream.protocol.dialects import Anthropic, Bedrock

DELTAS = 5_000
"""A long reply: 20,000 tokens or so."""
FEW, MANY = 2_000, 100_000
"""Between these the cost per event must not grow."""


@dataclass(frozen=True)
class Row:
    """One requirement."""

    name: str
    claim: str
    ours: Side
    theirs: Side
    ours_events: int
    theirs_events: int
    at_least: float | None = None
    """How many times the cost of ours theirs must be, per event."""
    at_most: float | None = None
    """Or: how many times the cost of theirs ours may be."""
    rounds: int = 40

    def ratio(self, ours_us: float, theirs_us: float) -> float:
        """What the requirement speaks of, from the CPU time of one event on either side."""
        return theirs_us / ours_us if self.at_least is not None else ours_us / theirs_us

    def holds(self, ratio: float) -> bool:
        """Whether this ratio fulfils the requirement."""
        if self.at_least is not None:
            return ratio >= self.at_least
        return ratio <= (self.at_most or 0.0)

    @property
    def needs(self) -> str:
        """The requirement, in signs."""
        return f">= {self.at_least:g}x" if self.at_least is not None else f"<= {self.at_most:g}x"


def rows(*, quick: bool = False) -> list[Row]:
    """All of them. The quick ones show only that they run."""
    deltas = 50 if quick else DELTAS
    few, many = (20, 100) if quick else (FEW, MANY)
    frames = sse_frames(deltas)
    return [*_decoding(frames), *_bedrock(bedrock_frames(deltas)), *_growth(few, many), *_middleware(frames)]


def _decoding(frames: list[bytes]) -> list[Row]:
    count, chunks = len(frames), chunked(frames)
    at_16k, one_by_one = sides.typed(Anthropic, chunks), sides.typed(Anthropic, frames)
    stream, stream_one = sides.sdk_stream(chunks), sides.sdk_stream(frames)
    claim = "typed and order-checked decoding, and the message with it, beside the SDK's Stream"
    helper = "typed and order-checked decoding and the message, beside the SDK's MessageStream"
    return [
        Row("stream-16k", f"{claim}: 16 KiB chunks", at_16k, stream, count, count, at_least=15),
        Row("stream-1", f"{claim}: one event per chunk", one_by_one, stream_one, count, count, at_least=8),
        Row(
            "message-16k",
            f"{helper}: 16 KiB chunks",
            at_16k,
            sides.sdk_message_stream(chunks),
            count,
            count,
            at_least=40,
        ),
    ]


def _bedrock(frames: list[bytes]) -> list[Row]:
    count, chunks = len(frames), chunked(frames)
    claim = "Bedrock frames, typed, order-checked and added up, beside botocore's frames alone"
    return [
        Row(
            f"bedrock-{name}",
            f"{claim}: {how}",
            sides.typed(Bedrock, read),
            sides.botocore_frames(read),
            count,
            count,
            at_least=2.5,
        )
        for name, how, read in (("16k", "16 KiB chunks", chunks), ("1", "one event per chunk", frames))
    ]


def _growth(few: int, many: int) -> list[Row]:
    """Both do the same work in all: a short run would have more chances to be a lucky one."""

    def row(name: str, what: str, side: Callable[[list[bytes], int], Side], shape: Callable[..., list[bytes]]) -> Row:
        short, long = sse_frames(few), sse_frames(many)
        return Row(
            name,
            f"{what}: an event of {many:,} deltas beside one of {few:,}",
            side(shape(long), 1),
            side(shape(short), many // few),
            len(long),
            len(short),
            at_most=1.3,
            rounds=12,
        )

    return [
        row("growth-16k", "decoding and the message, 16 KiB chunks", _typed_sse, chunked),
        row("growth-1", "decoding and the message, one event per chunk", _typed_sse, list),
        row("growth-engine", "the whole engine, one event per chunk", sides.engine, list),
    ]


def _typed_sse(chunks: list[bytes], repeats: int) -> Side:
    return sides.typed(Anthropic, chunks, repeats)


def _middleware(frames: list[bytes]) -> list[Row]:
    count = len(frames)
    claim = "messages.stream() with the middleware beside without, one event per chunk"
    return [
        Row(
            f"middleware-{name}",
            f"{claim}: {name}",
            side(frames, recovery=True),
            side(frames, recovery=False),
            count,
            count,
            at_most=at_most,
            rounds=30,
        )
        for name, side, at_most in (("sync", sides.call, 1.15), ("async", sides.async_call, 1.25))
    ]
