"""The reply that is played: a list of Messages events, and what they add up to.

Rule: a recording that is not broken on purpose leaves as it came, byte for byte.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from midstream.faults import builtin
from midstream.faults.catalogue import Wire
from midstream.faults.wire import Event, Piece, encode, split

REPLY_NAMES = tuple(builtin.REPLIES)


@dataclass(frozen=True, slots=True)
class Block:
    """One content block of the reply, whole."""

    start: Event
    """The ``content_block`` of its start."""
    deltas: tuple[Event, ...]
    content: Event
    """What it adds up to."""
    stopped: bool = True
    """The source itself closed it."""

    @property
    def type(self) -> str:
        """Its type, as the wire names it."""
        return str(self.start.get("type"))

    @property
    def text(self) -> str:
        """The text of a text block; empty for the others."""
        return str(self.content.get("text") or "") if self.type == "text" else ""


@dataclass(frozen=True)
class Reply:
    """One whole reply of the Messages API, from whatever it was made."""

    pieces: tuple[Piece, ...]
    wire: Wire | None = None
    """The framing that it was recorded in; ``None`` for one that was made from events."""
    _encoded: dict[Wire, tuple[Piece, ...]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_events(cls, events: Iterable[Event]) -> "Reply":
        """A reply made of events."""
        return cls(tuple(Piece(b"", event) for event in events))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Reply":
        """A recorded body, server-sent events or an AWS event stream. Raises `wire.NotAStream`."""
        wire, pieces = split(data)
        return cls(tuple(pieces), wire)

    @classmethod
    @cache
    def builtin(cls, name: str = "text") -> "Reply":
        """One of the replies that are built in: `REPLY_NAMES`."""
        return cls.from_events(builtin.REPLIES[name])

    def frames(self, wire: Wire) -> tuple[Piece, ...]:
        """The reply as the frames of this wire: the recorded bytes where they are of this wire."""
        if wire == self.wire:
            return self.pieces
        if wire not in self._encoded:
            self._encoded[wire] = tuple(
                Piece(encode(piece.event, wire), piece.event) for piece in self.pieces if piece.event is not None
            )
        return self._encoded[wire]

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Its events, in order."""
        return tuple(piece.event for piece in self.pieces if piece.event is not None)

    @cached_property
    def start(self) -> Event:
        """The message of its ``message_start``; empty if there is none."""
        starts = [event for event in self.events if event.get("type") == "message_start"]
        message = starts[0].get("message") if starts else None
        return message if isinstance(message, dict) else {}

    @cached_property
    def endings(self) -> tuple[Event, ...]:
        """Its ``message_delta`` events."""
        return tuple(event for event in self.events if event.get("type") == "message_delta")

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Its content blocks, whole, in order."""
        starts: dict[int, Event] = {}
        deltas: dict[int, list[Event]] = {}
        stopped: set[int] = set()
        for event in self.events:
            index = event.get("index")
            if not isinstance(index, int):
                continue
            match event.get("type"):
                case "content_block_start":
                    starts.setdefault(index, event.get("content_block") or {})
                case "content_block_delta":
                    deltas.setdefault(index, []).append(event.get("delta") or {})
                case "content_block_stop":
                    stopped.add(index)
        return tuple(_block(starts[at], tuple(deltas.get(at, ())), at in stopped) for at in sorted(starts))

    @cached_property
    def text(self) -> str:
        """All its texts, one after another."""
        return "".join(block.text for block in self.blocks)

    def message(self) -> dict[str, Any]:
        """The whole message, as an answer that is not streamed has it."""
        content: list[Event] = [dict(block.content) for block in self.blocks]
        message: dict[str, Any] = {**self.start, "content": content or list(self.start.get("content") or ())}
        usage = dict(message.get("usage") or {})
        for ending in self.endings:
            message.update(ending.get("delta") or {})
            usage.update({name: value for name, value in (ending.get("usage") or {}).items() if value is not None})
        return {**message, "usage": usage}


def _block(start: Event, deltas: tuple[Event, ...], stopped: bool) -> Block:
    content = dict(start)
    json_parts: list[str] = []
    for delta in deltas:
        _grow(content, delta, json_parts)
    if document := "".join(json_parts):
        content["input"] = _loads(document)
    return Block(start, deltas, content, stopped)


_APPENDED: Mapping[str, str] = {"text_delta": "text", "thinking_delta": "thinking"}


def _grow(content: Event, delta: Event, json_parts: list[str]) -> None:
    kind = str(delta.get("type"))
    if kind in _APPENDED:
        name = _APPENDED[kind]
        content[name] = str(content.get(name) or "") + str(delta.get(name) or "")
    elif kind == "input_json_delta":
        json_parts.append(str(delta.get("partial_json") or ""))
    elif kind == "citations_delta":
        content["citations"] = [*(content.get("citations") or ()), delta.get("citation")]
    else:
        # A signature or a compaction: what the delta carries takes the place of what was there.
        content.update({name: value for name, value in delta.items() if name != "type"})


def _loads(document: str) -> object:
    try:
        return json.loads(document)
    except (ValueError, RecursionError):
        return document
