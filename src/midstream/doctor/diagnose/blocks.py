"""What is known of a message's blocks, in memory that does not grow with the reply.

Rule: the state table is `protocol.message`'s; what a block held is let go as soon as it has been counted.
"""

from dataclasses import dataclass, field

from midstream.protocol.events import BlockGrew, BlockStarted, BlockStopped, Event, Fields, MessageStarted
from midstream.protocol.message import TOOL_CALLS, Block, Message
from midstream.recovery.history import fit

BLOCKS_MAX = 10_000
"""A reply of 128,000 tokens has no room for more blocks that say anything."""
HELD_BYTES_MAX = 1 << 20
"""What is kept of the fragments of an open text before it is cut down to its end."""
INPUT_BYTES_MAX = 8 << 20
"""The input of a call that is still parsed: more than a reply of 128,000 tokens can write."""
TAIL_CHARS = 2000
"""So much of the end of each text is kept, for who asks to see it; and of all texts together:"""
TAILS_CHARS_MAX = 1 << 20


@dataclass(slots=True)
class BlockSeen:
    """One block, as far as it came."""

    index: int
    type: str
    name: str = ""
    """Of a tool; empty for other blocks."""
    id: str = ""
    begin: int = 0
    """The byte of the body where its first frame begins."""
    closed: bool = False
    chars: int = 0
    """Of text, thought or input."""
    parses: bool | None = None
    """Of a tool call that was closed: whether its input is one JSON object."""
    tail: str = field(default="", repr=False)
    """The end of its text. Contents: shown only if asked for."""

    def __str__(self) -> str:
        return f"block {self.index} ({self.type}{f' {self.name!r}' if self.name else ''})"


class Followed:
    """Follows one message through its events."""

    def __init__(self) -> None:
        self.message = Message()
        self.blocks: list[BlockSeen] = []
        self.stop_details: Fields = {}
        self._held_bytes = self._tails_chars = 0
        self._unparsed = False

    @property
    def open(self) -> BlockSeen | None:
        """The block that is open."""
        return self.blocks[-1] if self.message.open is not None else None

    def receive(self, event: Event, begin: int) -> str | None:
        """Adds one event, or says why it is illegal here."""
        message = self.message
        if isinstance(event, BlockStarted) and len(self.blocks) >= BLOCKS_MAX:
            return f"more than {BLOCKS_MAX:,} blocks, which no reply has"
        problem = message.receive(event)
        if problem is not None:
            return problem
        if type(event) is BlockGrew:
            self._grew(event)
            return None
        if isinstance(event, BlockStarted):
            self.blocks.append(_seen(event.block, event.index, begin))
        elif isinstance(event, BlockStopped):
            self._close()
        elif isinstance(event, MessageStarted):
            self.blocks = [_seen(b.fields, b.index, begin, closed=True) for b in message.blocks[:BLOCKS_MAX]]
            message.blocks = [_slim(block) for block in message.blocks]
        self._let_go()
        return None

    def _grew(self, event: BlockGrew) -> None:
        block, seen = self.message.open, self.blocks[-1]
        assert block is not None
        if event.kind == block.grows_by:
            seen.chars += len(event.value)
        self._held_bytes += len(event.raw)
        bound = INPUT_BYTES_MAX if block.type in TOOL_CALLS else HELD_BYTES_MAX
        if self._held_bytes > bound:
            self._held_bytes = 0
            block.others = None
            if "citations" in block.additions:
                block.additions["citations"] = []
            if block.type in TOOL_CALLS:
                self._unparsed = True
                block.parts.clear()
            else:
                block.parts[:] = ["".join(block.parts)[-TAIL_CHARS:]]

    def _close(self) -> None:
        block, seen = self.message.blocks[-1], self.blocks[-1]
        seen.closed = True
        if block.type in TOOL_CALLS:
            seen.parses = not self._unparsed and block.input is not None
        seen.tail = self._tail_of(block)
        self.message.blocks[-1] = _slim(block)
        self._held_bytes, self._unparsed = 0, False

    def _tail_of(self, block: Block) -> str:
        tail = "".join(block.parts)[-TAIL_CHARS:]
        self._tails_chars += len(tail)
        return tail if self._tails_chars <= TAILS_CHARS_MAX else ""

    def conclude(self) -> None:
        """There will be no more events."""
        if self.message.open is not None:
            self.blocks[-1].tail = self._tail_of(self.message.open)

    def _let_go(self) -> None:
        """What the message gathers besides and nobody here asks for."""
        message = self.message
        fields = message.fields
        details = fields.get("stop_details")
        if isinstance(details, dict):
            self.stop_details = {"category": fit(details.get("category"))}
        kept = {name: fit(fields.get(name)) for name in ("id", "model", "stop_sequence")}
        message.keep_only(kept, {name: v for name, v in list(message.usage.items())[:32] if type(v) is int})


def _seen(fields: Fields, index: int, begin: int, *, closed: bool = False) -> BlockSeen:
    name = fit(fields.get("name")) if fields["type"] in TOOL_CALLS else ""
    return BlockSeen(index, fit(fields["type"]), name, fit(fields.get("id")), begin, closed)


def _slim(block: Block) -> Block:
    """The same block without its contents."""
    fields: Fields = {
        name: fit(block.fields.get(name)) for name in ("id", "name", "tool_use_id") if name in block.fields
    }
    slim = Block(block.index, {"type": fit(block.type), **fields})
    slim.closed = True
    return slim
