"""The state table of a Messages stream, and the accumulator: events add up to a message.

Rule: what is legal stands in `MOVES`; what a block is made of stands in `Block`. Work grows linearly with the reply:
fragments are gathered in lists and joined when somebody asks. Thousands of messages may be idle beside each other: what
is empty takes no room, and what is seldom asked for is packed.
"""

import marshal
from enum import StrEnum
from typing import Any

from midstream.protocol.dialects import parse
from midstream.protocol.events import (
    BlockGrew,
    BlockStarted,
    BlockStopped,
    Event,
    Fields,
    MessageStarted,
    MessageStopped,
    MessageStopping,
)


class State(StrEnum):
    """Where a message is between its first and its last event."""

    EMPTY = "empty"
    BETWEEN = "between"
    INSIDE = "inside"
    STOPPING = "stopping"
    COMPLETE = "complete"


MOVES: dict[tuple[State, type], State] = {
    (State.EMPTY, MessageStarted): State.BETWEEN,
    (State.BETWEEN, BlockStarted): State.INSIDE,
    (State.INSIDE, BlockGrew): State.INSIDE,
    (State.INSIDE, BlockStopped): State.BETWEEN,
    (State.BETWEEN, MessageStopping): State.STOPPING,
    (State.INSIDE, MessageStopping): State.STOPPING,  # the source left a block open
    (State.STOPPING, MessageStopping): State.STOPPING,
    (State.STOPPING, MessageStopped): State.COMPLETE,
    (State.BETWEEN, MessageStopped): State.COMPLETE,  # the stop reason stood in message_start
}
"""Every legal move. Pings, errors and unknown events are not moves: they may come anywhere."""

STEPS = (MessageStarted, BlockStarted, BlockGrew, BlockStopped, MessageStopping, MessageStopped)

TOOL_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
"""Blocks whose ``input`` arrives as fragments of JSON."""

_GROWS_BY = {"text": "text_delta", "thinking": "thinking_delta"} | dict.fromkeys(TOOL_CALLS, "input_json_delta")
_ALSO = {"text": {"citations_delta"}, "thinking": {"signature_delta"}, "compaction": {"compaction_delta"}}
_KNOWN_DELTAS = {*_GROWS_BY.values(), *(kind for kinds in _ALSO.values() for kind in kinds)}
_KNOWN_BLOCKS = _GROWS_BY.keys() | _ALSO.keys() | {"redacted_thinking"}

_PACKED_BYTES_MAX = 4096
"""Five times what the API begins a message with. It is unpacked for each ``message_delta``, of which there may be many:
so it must be little."""

_EMPTY_TEXT: Fields = {"type": "text", "text": ""}
"""How nearly every text begins: one for all. Like all that was received, it is never written to."""

_NOTHING: Fields = {}
"""Stands for every dict that is empty yet. Never written to: who has something to say makes one."""


class Block:
    """One content block, as far as it is known."""

    __slots__ = (
        "_blank_parts",
        "_input",
        "_joined",
        "additions",
        "closed",
        "fields",
        "grows_by",
        "index",
        "others",
        "parts",
        "type",
    )

    def __init__(self, index: int, fields: Fields) -> None:
        self.index = index
        self.fields = _EMPTY_TEXT if fields == _EMPTY_TEXT else fields
        """The block as ``content_block_start`` had it."""
        self.type: str = self.fields["type"]
        self.closed = False
        self.grows_by = _GROWS_BY.get(self.type)
        self.parts: list[str] = []
        """The fragments of its text, thought or input; those of old were joined to longer ones."""
        self.additions = _NOTHING
        """What other deltas set: signature, citations, the compaction."""
        self.others: list[Fields] | None = None
        """Deltas of kinds, or with fields, that this version does not know; as received. ``None``: there were none."""
        self._joined = 0  # so many of the parts are joined ones
        self._blank_parts = 0  # so many of the parts are known to be blank; -1: one is not
        self._input: Fields | None = None

    @property
    def id(self) -> str:
        """The block's id; empty if it has none."""
        id = self.fields.get("id")
        return id if isinstance(id, str) else ""

    def grow(self, event: BlockGrew) -> str | None:
        """Adds one delta, or says why it cannot belong here."""
        if event.fields is not None:
            self.others = _with(self.others, event.fields)
        if event.kind == self.grows_by:
            self.parts.append(event.value)
        elif event.kind in _ALSO.get(self.type, ()):
            self._add(event.kind, event.value)
        elif event.kind in _KNOWN_DELTAS and self.type in _KNOWN_BLOCKS:
            return f"a {event.kind} in a block of type {self.type}"
        return None

    def _add(self, kind: str, value: Any) -> None:
        if not self.additions:
            self.additions = {}
        if kind == "citations_delta":
            begun = self.fields.get("citations")
            citations = self.additions.setdefault("citations", [*begun] if isinstance(begun, list) else [])
            citations.append(value)
        elif kind == "signature_delta":
            self.additions["signature"] = value
        else:
            self.additions |= {name: part for name, part in value.items() if name != "type"}

    def join(self) -> None:
        """Makes one long fragment of the short ones that came since the last time: it takes a third of the room.

        Each is joined once, so work grows linearly however often this is called.
        """
        parts, joined = self.parts, self._joined
        if len(parts) > joined + 1:
            parts[joined:] = ["".join(parts[joined:])]
            self._blank_parts = min(self._blank_parts, joined)
        self._joined = len(parts)

    @property
    def text(self) -> str:
        """The text of a text block so far, or the thought of a thinking block."""
        begun = self.fields.get("thinking" if self.type == "thinking" else "text")
        return "".join([begun if isinstance(begun, str) else "", *self.parts])

    @property
    def blank(self) -> bool:
        """A text block without a visible character. Looks at each part once, however often it is asked."""
        if self._blank_parts == 0:
            begun = self.fields.get("text")
            if isinstance(begun, str) and begun.strip():
                self._blank_parts = -1
        parts = self.parts
        while 0 <= self._blank_parts < len(parts):
            self._blank_parts = -1 if parts[self._blank_parts].strip() else self._blank_parts + 1
        return self._blank_parts >= 0

    @property
    def has_fragment(self) -> bool:
        """Whether a non-empty fragment of the input came."""
        return any(self.parts)

    @property
    def input(self) -> Fields | None:
        """The input of a tool call: one JSON object, or ``None`` while (or because) it is not one."""
        if self._input is not None:
            return self._input
        if self.has_fragment:
            value = parse("".join(self.parts).encode(errors="surrogatepass"))
        else:
            value = self.fields.get("input", {})
        found = value if isinstance(value, dict) else None
        if self.closed:  # it grows no more
            self._input = found
        return found

    @property
    def signed(self) -> bool:
        """Whether a thinking block has its signature, without which it is worth nothing."""
        return bool(self.additions.get("signature") or self.fields.get("signature"))

    @property
    def caller_is_direct(self) -> bool:
        """Whether the model itself made this call, not a program of its."""
        caller = self.fields.get("caller")
        return not isinstance(caller, dict) or caller.get("type", "direct") == "direct"

    def content(self) -> Fields:
        """The block as a plain dict, in the API's own form. Unfinished input is left as it began."""
        content = {**self.fields, **self.additions}
        if self.grows_by == "input_json_delta":
            if (value := self.input) is not None:
                content["input"] = value
        elif self.grows_by:
            content["thinking" if self.type == "thinking" else "text"] = self.text
        return content

    def received(self) -> Fields:
        """As `content`; input that is no JSON object (yet) stands in ``partial_json``, as it came."""
        cut = self.grows_by == "input_json_delta" and self.input is None
        return {**self.content(), "partial_json": "".join(self.parts)} if cut else self.content()


class Message:
    """What is known of one message. Feed it events in order."""

    __slots__ = (
        "_begun",
        "_changes",
        "_usage_changes",
        "awaited",
        "blocks",
        "extras",
        "open",
        "said_early",
        "state",
        "stop_reason",
    )

    def __init__(self) -> None:
        self.state = State.EMPTY
        self.blocks: list[Block] = []
        self.awaited: set[str] | None = None
        """The ids of the server and MCP calls that are whole and whose result has not come."""
        self.open: Block | None = None
        self.stop_reason: str | None = None
        self.said_early: str | None = None
        """A stop reason that stood in ``message_start`` already, and counts when the message stops."""
        self.extras: list[Fields] | None = None
        """The fields of ``message_delta`` and ``message_stop`` events that this version does not know."""
        # The message as ``message_start`` had it: packed, if it is small, as it is asked for when a message ends.
        self._begun: bytes | Fields = _NOTHING
        self._changes = self._usage_changes = _NOTHING

    @property
    def started(self) -> Fields:
        """The message as ``message_start`` had it. Each time a copy."""
        begun = self._begun
        return marshal.loads(begun) if isinstance(begun, bytes) else dict(begun)

    @property
    def fields(self) -> Fields:
        """The message as ``message_start`` had it, with what ``message_delta`` changed."""
        return self.started | self._changes

    def field(self, name: str) -> Any:
        """One of `fields`, without a copy of all of them."""
        if name in self._changes:
            return self._changes[name]
        begun = self._begun
        return (marshal.loads(begun) if isinstance(begun, bytes) else begun).get(name)

    @property
    def usage(self) -> Fields:
        """Cumulative: later values replace earlier ones."""
        usage = self.started.get("usage")
        return (usage if isinstance(usage, dict) else {}) | self._usage_changes

    def begin_as(self, other: "Message") -> None:
        """Takes over what stood in another's ``message_start``, but for its blocks."""
        self._begun = other._begun

    def keep_only(self, fields: Fields, usage: Fields) -> None:
        """Forgets all else that ``message_start`` and ``message_delta`` said, for whoever needs no more."""
        self._begun = {**fields, "usage": usage}
        self._changes = self._usage_changes = _NOTHING
        self.extras = None

    def receive(self, event: Event) -> str | None:
        """Adds one event; or says, in a clause, why it is illegal here, and changes nothing."""
        kind = type(event)
        if kind is BlockGrew:
            block = self.open
            if block is None or event.index != block.index or self.state is not State.INSIDE:  # type: ignore[union-attr]
                return f"a delta for block {event.index}, which is not open"  # type: ignore[union-attr]
            if event.kind == block.grows_by and event.fields is None:  # type: ignore[union-attr]
                block.parts.append(event.value)  # type: ignore[union-attr]
                return None  # `grow` would do the same; a call for each event costs as much as the rest
            return block.grow(event)  # type: ignore[arg-type]
        if kind not in STEPS:
            return None
        after = MOVES.get((self.state, kind))
        if after is None:
            return f"{_WIRE_NAMES[kind]} while the message is {self.state}"
        problem = self._move(event)
        if problem is None:
            self.state = after
        return problem

    def _move(self, event: Event) -> str | None:
        match event:
            case MessageStarted():
                self._start(event.message)
            case BlockStarted():
                if self.stop_reason is not None:
                    return "a block after the stop reason"
                if event.index != len(self.blocks):
                    return f"block {event.index} where block {len(self.blocks)} had to begin"
                self.open = Block(event.index, event.block)
                self.blocks.append(self.open)
            case BlockStopped():
                if self.open is None or event.index != self.open.index:
                    return f"the stop of block {event.index}, which is not open"
                self._close(self.open)
            case MessageStopping():
                self._stopping(event)
            case _:
                assert isinstance(event, MessageStopped)
                self.stop_reason = self.stop_reason or self.said_early
                if self.stop_reason is None:
                    return "message_stop without a stop reason"
                self._note(event.fields, {"type"})
        return None

    def _close(self, block: Block) -> None:
        block.closed, self.open = True, None
        block.join()
        if is_remote(block):
            if self.awaited is None:
                self.awaited = set()
            self.awaited.add(block.id)
        elif self.awaited and (answered := result_of(block)) is not None:
            self.awaited.discard(answered)

    def _start(self, message: Fields) -> None:
        packed = marshal.dumps(message)
        self._begun = packed if len(packed) <= _PACKED_BYTES_MAX else message
        for fields in message.get("content") or ():
            block = Block(len(self.blocks), fields)
            block.closed = True
            self.blocks.append(block)
        reason = message.get("stop_reason")
        self.said_early = reason if isinstance(reason, str) and reason else None
        # Together with its content it says that this is all; without, the content is still to come.
        self.stop_reason = self.said_early if self.blocks else None

    def _stopping(self, event: MessageStopping) -> None:
        self._changes = self._changes or {}
        self._changes |= {name: value for name, value in event.delta.items() if value is not None}
        self.stop_reason = event.delta.get("stop_reason") or self.stop_reason
        if event.usage is not None:
            self._usage_changes = self._usage_changes or {}
            self._usage_changes |= {name: value for name, value in event.usage.items() if value is not None}
        self._note(event.fields, {"type", "delta", "usage"})

    def _note(self, fields: Fields, known: set[str]) -> None:
        if unknown := {name: value for name, value in fields.items() if name not in known}:
            self.extras = _with(self.extras, unknown)

    def unpaired(self) -> list[Block]:
        """Server and MCP tool calls whose result has not come."""
        answered = {result_of(block) for block in self.blocks if block.closed}
        return [block for block in self.blocks if is_remote(block) and block.id not in answered]

    def snapshot(self) -> Fields:
        """The message as a plain dict, in the API's own form."""
        content = [block.content() for block in self.blocks]
        return {**self.fields, "content": content, "stop_reason": self.stop_reason, "usage": self.usage}


def _with(found: list[Fields] | None, one: Fields) -> list[Fields]:
    """A list that is made when something stands in it."""
    if found is None:
        return [one]
    found.append(one)
    return found


def is_remote(block: Block) -> bool:
    """A tool call that the service runs by itself."""
    return block.type in ("server_tool_use", "mcp_tool_use")


def result_of(block: Block) -> str | None:
    """The id of the call that this block answers, if it is a result."""
    id = block.fields.get("tool_use_id")
    return id if isinstance(id, str) else None


_WIRE_NAMES = {
    MessageStarted: "message_start",
    BlockStarted: "content_block_start",
    BlockStopped: "content_block_stop",
    MessageStopping: "message_delta",
    MessageStopped: "message_stop",
}
