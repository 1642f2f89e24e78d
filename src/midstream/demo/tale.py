"""What is played: a reply written for the demo, or a recording; and where it is cut.

Rule: pure; a tale is a reply and a script, and it is whole before it is broken.
"""

import re
from dataclasses import dataclass
from typing import Any

from midstream.faults.reply import Reply

PROMPT = "How was the first lasting telegraph cable laid across the Atlantic?"

TEXT = """\
By losing one first. In July 1865 the Great Eastern, the largest ship afloat, steamed out of Valentia in Ireland \
with 2,300 nautical miles of cable coiled in her tanks. The men on board talked to the shore through the very cable \
that ran out over the stern: while it carried a signal, it was whole.

Two thirds of the way across, it broke. The end sank in more than two miles of water. For days the ship dragged \
a grapnel over the sea bed; more than once she hooked the cable, and each time the rope gave way. They marked the \
place with a buoy, and went home.

A year later she came back with a new cable and a better one, and on 27 July 1866 landed it at Heart's Content in \
Newfoundland. That would have been enough. But she turned round, sailed to where the old line had parted, and fished \
for it again: some thirty tries, until in September it came up over the bow.

An electrician touched his instrument to the end. In Valentia, after a year of silence, a spot of light began to move. \
They spliced the cable where it had been cut, and paid out the rest. Nothing that had been laid was laid twice – and \
there were two lines across the Atlantic, not one."""

# Where the first attempt ends, and how far the second one comes: mid-sentence, and inside an event.
_FIRST_CUT = "more than once she hooked the cable,"
_SECOND_CUT = "cut-rst@55%"

# As fast as a model writes. Pauses are between events, and a recording may have thousands.
PACE_S = 0.03
PLAYED_S_MAX = 6.0


class NotWhole(ValueError):
    """A recording that does not hold one whole reply; the text is a clause for the person who named the file."""


@dataclass(frozen=True)
class Tale:
    """A reply, and how it is broken."""

    reply: Reply
    script: str
    """The same for both sides; the bare SDK comes only as far as its first fault."""
    rules: str
    """Whether the played service refuses what the real one would: a recording has no request to go by."""
    prompt: str

    @property
    def pace_s(self) -> float:
        """Seconds between two events, so that the whole lasts no longer than a person watches."""
        return min(PACE_S, PLAYED_S_MAX / max(1, len(self.reply.events)))

    @property
    def model(self) -> str:
        """The model that the reply names."""
        return str(self.reply.start.get("model") or "claude-sonnet-5-5")


def own() -> Tale:
    """The reply that was written for this."""
    reply = Reply.from_events(_events())
    return Tale(reply, _script(_event_behind(reply, TEXT.index(_FIRST_CUT) + len(_FIRST_CUT))), "on", PROMPT)


def recorded(reply: Reply, name: str) -> Tale:
    """A recording, cut where about two fifths of it have been said. Raises `NotWhole`."""
    if not reply.start:
        raise NotWhole("it has no message_start")
    if not any(event.get("type") == "message_stop" for event in reply.events):
        raise NotWhole("its reply breaks off: it has no message_stop")
    said = len(reply.text)
    cut = _event_behind(reply, said * 2 // 5) if said else len(reply.events) // 2
    return Tale(reply, _script(cut), "off", f"a recording: {name}")


def _script(event: int) -> str:
    return f"cut-clean@event={event}; then {_SECOND_CUT}; then ok"


def _event_behind(reply: Reply, chars: int) -> int:
    """How many events it takes until so many characters of text have been said."""
    said = 0
    for count, event in enumerate(reply.events, 1):
        said += len(str((event.get("delta") or {}).get("text") or ""))
        if said >= chars > 0:
            return count
    return len(reply.events) // 2


def _events() -> list[dict[str, Any]]:
    usage = {"input_tokens": 24, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}
    message = {
        "id": "msg_01CableOf1866HeartsContent",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    # A word or two at a time, as tokens come.
    words = re.findall(r"\s*\S+(?:\s+\S{1,3}(?=\s))?", TEXT)
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in words),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {**usage, "output_tokens": 312},
        },
        {"type": "message_stop"},
    ]
