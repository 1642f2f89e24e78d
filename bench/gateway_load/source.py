"""What is played and what has to arrive: the frames of a reply that is known by its number alone.

Rule: the server and the clients both have it from here, and nothing of midstream is imported: whatever is lost, doubled
or given to somebody else on the way is a frame that differs.
"""

import json
from typing import NamedTuple

TICK_S = 0.01
"""The clock of the server that plays: every frame leaves at one of its ticks."""

_WORDS = 997
"""Different deltas: prime, so that two streams agree nowhere for long."""


class Tempo(NamedTuple):
    """How a reply is played. It goes to the server as the header ``x-load``."""

    events: int
    """Deltas; ``begin`` and the frames at the end come besides."""
    every: int
    """Ticks from one turn to the next."""
    burst: int = 1
    """Deltas in each turn, in one chunk."""
    ends: bool = True
    """If not, the reply stays silent when its deltas are out."""

    @classmethod
    def of(cls, rate: float, seconds: float) -> "Tempo":
        """So many deltas a second, for so long."""
        every = max(1, round(1 / (rate * TICK_S)))
        burst = max(1, round(rate * TICK_S * every))
        return cls(round(rate * seconds), every, burst)

    def header(self, number: int) -> str:
        """The value of ``x-load`` for the reply of this number."""
        return f"{number} {self.events} {self.every} {self.burst} {int(self.ends)}"

    @classmethod
    def read(cls, value: str) -> "tuple[int, Tempo]":
        """The number of the reply, and how it is played."""
        number, events, every, burst, ends = map(int, value.split())
        return number, cls(events, every, burst, bool(ends))


def frame(fields: dict[str, object]) -> bytes:
    """An event as the API sends it."""
    text = json.dumps(fields, separators=(",", ":")).encode()
    return b"event: %b\ndata: %b\n\n" % (str(fields["type"]).encode(), text)


def _delta(word: int) -> bytes:
    text = f" word {word:03} of the reply"
    return frame({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


DELTAS = [_delta(word) for word in range(_WORDS)]
END = [
    frame({"type": "content_block_stop", "index": 0}),
    frame({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}),
    frame({"type": "message_stop"}),
]
BEGIN_FRAMES = 2


def begin(number: int) -> list[bytes]:
    """The frames before the first delta."""
    message = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    return [frame({"type": "message_start", "message": message}), frame(block)]


def delta(number: int, at: int) -> bytes:
    """The delta at this place, counted from 0."""
    return DELTAS[(number * 31 + at) % _WORDS]


def frame_at(number: int, tempo: Tempo, at: int) -> bytes | None:
    """The frame at this place of the whole reply, counted from 0; ``None`` behind its end."""
    if at < BEGIN_FRAMES:
        return begin(number)[at]
    at -= BEGIN_FRAMES
    if at < tempo.events:
        return delta(number, at)
    at -= tempo.events
    return END[at] if tempo.ends and at < len(END) else None


def frames(tempo: Tempo) -> int:
    """How many frames a reply has."""
    return BEGIN_FRAMES + tempo.events + (len(END) if tempo.ends else 0)
