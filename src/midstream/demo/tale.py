"""What is played: a reply written for the demo, or a recording; and where it is cut.

Rule: pure; a tale is a reply and a script, and it is whole before it is broken.
"""

import itertools
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

# Where the first attempt ends: mid-sentence.
_FIRST_CUT = "more than once she hooked the cable,"

# As fast as a model writes. Pauses are between events, and a recording may have thousands.
PACE_S = 0.025
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
    return Tale(reply, _script_in_text(reply, 0, TEXT.index(_FIRST_CUT) + len(_FIRST_CUT)), "on", PROMPT)


def recorded(reply: Reply, name: str) -> Tale:
    """A recording, cut where it can be mended to the letter. Raises `NotWhole`."""
    types = [event.get("type") for event in reply.events]
    if (starts := types.count("message_start")) != 1 or not reply.start:
        raise NotWhole(f"it has {starts} message_start events")
    if "message_stop" not in types:
        raise NotWhole("the reply breaks off, without a message_stop")
    if (block := _best_text(reply)) is None:
        return Tale(reply, _script_early(reply), "off", name)
    return Tale(reply, _script_in_text(reply, block, max(1, len(reply.blocks[block].text) * 2 // 5)), "off", name)


def _best_text(reply: Reply) -> int | None:
    """The longest text before any tool: a call that is complete, or has a container, allows fewer ways to go on.

    Not one with citations: those before a cut do not come again (the contract, §10.2).
    """
    blocks = list(enumerate(reply.blocks))
    before = list(itertools.takewhile(lambda block: "tool" not in block[1].type, blocks))
    texts = [
        [(len(b.text), at) for at, b in some if b.text and not b.content.get("citations")] for some in (before, blocks)
    ]
    chars, at = max(texts[0] or texts[1], default=(0, 0))
    return at if chars else None


def _script_in_text(reply: Reply, block: int, chars: int) -> str:
    """Cut a text after so many characters, and what follows somewhere in its second half."""
    said, first, rest = 0, 0, 0
    for count, event in enumerate(reply.events, 1):
        delta = event.get("delta") or {}
        if event.get("index") == block and "text" in delta:
            if said >= chars:
                rest += 1
            else:
                said += len(str(delta["text"]))
                first = count
    # Three events open a continuation; then it may repeat an anchor, and goes on.
    second = 3 + rest // 2
    return f"cut-clean@event={first}; then cut-rst@event={second}+30; then ok"


def _script_early(reply: Reply) -> str:
    """Cut before anything is complete, twice: a reply without text is then asked for again."""
    first = 1 + next((n for n, event in enumerate(reply.events) if event.get("type") == "content_block_start"), 0)
    return f"cut-clean@event={first}; then cut-rst@event={first}+30; then ok"


def _events() -> list[dict[str, Any]]:
    usage = {"input_tokens": 24, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}
    message: dict[str, Any] = {
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
