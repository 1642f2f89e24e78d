"""Who reads the stream: takes the bytes that were handed on, by a grammar of its own.

Rule: knows the wire and the documentation of the Messages API, and nothing of midstream.
"""

import base64
from typing import Any

import msgspec

from simulation.answers import Fields

decode_json = msgspec.json.decode

# What may come, by where the message is. Pings and unknown events may come anywhere.
AFTER = {
    "nothing": {"message_start": "between"},
    "between": {"content_block_start": "inside", "message_delta": "stopping", "message_stop": "over"},
    "inside": {"content_block_delta": "inside", "content_block_stop": "between", "message_delta": "stopping"},
    "stopping": {"message_delta": "stopping", "message_stop": "over"},
    "over": {},
}
STEPS = {name for moves in AFTER.values() for name in moves}
PAYLOADS = {"text_delta": ("text", "text"), "thinking_delta": ("thinking", "thinking")}


class Illegal(Exception):
    """What was handed on is no legal beginning of a message."""


def decode(raw: bytes, sse: bool) -> Fields | None:
    """The one event in these bytes; nothing for a comment, or what every client passes over."""
    if sse and raw.count(b"\n") != 3:
        raw = _plain(raw)
    if sse:
        at = 0 if raw.startswith(b"data: ") else raw.find(b"\ndata: ") + 1
        if (at == 0 and not raw.startswith(b"data: ")) or raw.startswith(b"event: ping\n"):
            return None  # a comment, a field without data, or a ping: every client passes over it
        data = raw[at + 6 :]
        if not data.endswith(b"\n\n"):
            raise Illegal(f"a frame without its end: {raw[-20:]!r}")
        try:
            event = decode_json(data)
        except msgspec.DecodeError as problem:
            raise Illegal(f"data that are not JSON: {raw!r}") from problem
        if not isinstance(event, dict):
            return None
        if raw.startswith(b"event: ") and raw[7 : raw.index(b"\n")].decode() != event.get("type"):
            raise Illegal("an event whose name is not its type")
        return dict(event)
    total, head = int.from_bytes(raw[:4], "big"), int.from_bytes(raw[4:8], "big")
    if total != len(raw):
        raise Illegal("a frame whose length is not its length")
    return dict(decode_json(base64.b64decode(decode_json(raw[12 + head : -4])["bytes"])))


def _plain(raw: bytes) -> bytes:
    """A frame of other lines than ``event`` and ``data``, by the standard: the last name, all the data."""
    lines = [line.partition(b":") for line in raw.splitlines()]
    names = [value.removeprefix(b" ") for field, _, value in lines if field == b"event"]
    data = [value.removeprefix(b" ") for field, _, value in lines if field == b"data"]
    if not data:
        return b""
    return b"event: " + (names or [b"message"])[-1] + b"\ndata: " + b" ".join(data) + b"\n\n"


class Shown:
    """One block as the consumer has it."""

    __slots__ = ("additions", "closed", "json", "start", "text", "type")

    def __init__(self, start: Fields) -> None:
        self.start = start
        self.type: str = start["type"]
        self.closed = False
        self.text: list[str] = []
        self.json: list[str] = []
        self.additions: Fields = {}

    @property
    def input(self) -> Any:
        """What the fragments come to; ``None`` where they are no JSON object."""
        said = "".join(self.json)
        if not said:
            return self.start.get("input")
        try:
            value = decode_json(said)
        except msgspec.DecodeError:
            return None
        return value if isinstance(value, dict) else None

    def content(self) -> Fields:
        """As the API would give it without streaming."""
        content = {**self.start, **self.additions}
        if self.type in ("text", "thinking"):
            content[self.type] = self.start.get(self.type, "") + "".join(self.text)
        elif self.type.endswith("tool_use") and (value := self.input) is not None:
            content["input"] = value
        return content


class Consumer:
    """Reads one stream."""

    def __init__(self, sse: bool) -> None:
        self.sse = sse
        self.where = "nothing"
        self.fields: Fields = {}
        self.usage: Fields = {}
        self.stop_reason: str | None = None
        self.blocks: list[Shown] = []
        self.bytes: list[bytes] = []

    @property
    def open(self) -> Shown | None:
        """The block that has not had its stop."""
        return self.blocks[-1] if self.where == "inside" else None

    def take(self, raw: bytes) -> Fields | None:
        """One event; `Illegal` if it may not come here."""
        self.bytes.append(raw)
        event = decode(raw, self.sse)
        kind = event.get("type") if event is not None else None
        if kind not in STEPS or event is None:
            if kind == "error":
                raise Illegal("an error event was handed on")
            return None
        after = AFTER[self.where].get(kind)
        if after is None:
            raise Illegal(f"{kind} while the message is {self.where!r}")
        if kind == "content_block_delta":
            self._grow(event)
        elif kind == "content_block_start":
            self._index(event, len(self.blocks))
            self.blocks.append(Shown(event["content_block"]))
        elif kind == "content_block_stop":
            self._index(event, len(self.blocks) - 1)
            self.blocks[-1].closed = True
        elif kind == "message_start":
            self.fields = dict(event["message"])
            self.usage = dict(self.fields.get("usage") or {})
            self.stop_reason = self.fields.get("stop_reason")
        elif kind == "message_delta":
            self._stop(event)
        elif self.stop_reason is None:
            raise Illegal("message_stop without a stop reason")
        self.where = after
        return event

    def _index(self, event: Fields, right: int) -> None:
        if event["index"] != right:
            raise Illegal(f"{event['type']} with index {event['index']}, not {right}")

    def _grow(self, event: Fields) -> None:
        self._index(event, len(self.blocks) - 1)
        block, delta = self.blocks[-1], event["delta"]
        kind = delta["type"]
        if kind in PAYLOADS:
            type_, payload = PAYLOADS[kind]
            if block.type != type_:
                raise Illegal(f"a {kind} in a block of type {block.type}")
            block.text.append(delta[payload])
        elif kind == "input_json_delta":
            block.json.append(delta["partial_json"])
        elif kind == "signature_delta":
            block.additions["signature"] = delta["signature"]
        elif kind == "citations_delta":
            block.additions.setdefault("citations", list(block.start.get("citations") or ())).append(delta["citation"])
        elif kind == "compaction_delta":
            block.additions |= {name: value for name, value in delta.items() if name != "type"}

    def _stop(self, event: Fields) -> None:
        delta = event["delta"]
        self.fields |= {name: value for name, value in delta.items() if value is not None}
        self.stop_reason = delta.get("stop_reason") or self.stop_reason
        self.usage |= {name: value for name, value in (event.get("usage") or {}).items() if value is not None}

    def snapshot(self) -> Fields:
        """The message so far; empty before it began."""
        if self.where == "nothing":
            return {}
        content = [block.content() for block in self.blocks]
        return {**self.fields, "content": content, "stop_reason": self.stop_reason, "usage": dict(self.usage)}


class Source:
    """What one attempt has delivered to midstream, event by event."""

    def __init__(self, pings: int = 0) -> None:
        self.at = 0
        self.begun = False
        self.blocks: list[Shown] = []
        self.open: Shown | None = None
        self.stop_reason: str | None = None
        self.over = False
        self.pings = pings
        """Those of the whole stream: the attempts before count."""
        self.usage: Fields = {}
        self.container: str | None = None

    def note(self, event: Fields) -> bool:
        """One event has arrived whole; whether it changes the message."""
        kind = event["type"]
        if kind == "content_block_delta":
            return self._delta(event["delta"])
        if kind == "content_block_start":
            self.open = Shown(event["content_block"])
            self.blocks.append(self.open)
        elif kind == "content_block_stop":
            if self.open is not None:
                self.open.closed = True
            self.open = None
        elif kind == "message_start":
            self.begun, self.usage = True, dict(event["message"].get("usage") or {})
            self.container = (event["message"].get("container") or {}).get("id")
        elif kind == "message_delta":
            self.stop_reason = event["delta"].get("stop_reason") or self.stop_reason
            self.usage |= event.get("usage") or {}
        elif kind == "message_stop":
            self.over = True
        else:
            self.pings += kind == "ping"
            return False
        return True

    def _delta(self, delta: Fields) -> bool:
        kind = delta["type"]
        if kind == "input_json_delta" and self.open is not None:
            self.open.json.append(delta["partial_json"])
        return "estimated_tokens" in delta or any(value for name, value in delta.items() if name != "type")

    @property
    def slow(self) -> bool:
        """Whether the service may take long: it thinks, writes a call, or waits for a result."""
        kind = self.open.type if self.open is not None else ""
        if kind in ("thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use", "compaction"):
            return True
        answered = {block.start.get("tool_use_id") for block in self.blocks if block.closed}
        return any(
            block.type in ("server_tool_use", "mcp_tool_use") and block.start["id"] not in answered
            for block in self.blocks
        )
