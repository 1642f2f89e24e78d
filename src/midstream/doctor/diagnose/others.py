"""Streams that are no Messages streams: Bedrock's Converse, legacy completions, other models, other services' APIs.

Rule: each is judged by its own terminal event, and by nothing else that a Messages stream would need.
"""

from base64 import b64decode
from typing import Any

from midstream.doctor.diagnose.blocks import BLOCKS_MAX, BlockSeen
from midstream.protocol import eventstream, sse
from midstream.protocol.dialects import parse
from midstream.protocol.events import Fields, Unrecognised
from midstream.protocol.frames import WireError
from midstream.protocol.framing import is_sse
from midstream.recovery.history import fit

METRICS = "amazon-bedrock-invocationMetrics"
CONVERSE = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")
"""The events of ConverseStream. Source: botocore, bedrock-runtime."""


class Other:
    """One stream of another API."""

    protocol = ""
    is_bedrock = True

    def __init__(self) -> None:
        self.stop_reason: str | None = None
        self.ended = False
        """Its own terminal event came."""
        self.blocks: list[BlockSeen] = []
        self.open: BlockSeen | None = None
        self.model = ""

    @property
    def settled(self) -> bool:
        """The content is whole, though the terminal event may be missing."""
        return self.ended or self.stop_reason is not None

    @property
    def missing(self) -> str:
        """The terminal event."""
        return "its last event"

    def take(self, name: str, fields: Fields, begin: int) -> None:
        """Adds one event."""
        raise NotImplementedError


class Converse(Other):
    """Bedrock ConverseStream: ``messageStop`` says why it ended, ``metadata`` is the last."""

    protocol = "Bedrock Converse"

    @property
    def missing(self) -> str:
        return "metadata" if self.stop_reason is not None else "messageStop"

    def take(self, name: str, fields: Fields, begin: int) -> None:
        index = fields.get("contentBlockIndex")
        if name == "contentBlockStart":
            tool = _dict(_dict(fields.get("start")).get("toolUse"))
            self._begin(index, "toolUse" if tool else "other", begin, fit(tool.get("name")))
        elif name == "contentBlockDelta":
            delta = _dict(fields.get("delta"))
            kind = next(iter(delta), "")
            if self.open is None or self.open.index != index:
                self._begin(index, fit(kind), begin, "")
            if self.open is not None:
                part = delta.get(kind)
                text = part if isinstance(part, str) else _dict(part).get("input") or _dict(part).get("text") or ""
                self.open.chars += len(text) if isinstance(text, str) else 0
        elif name == "contentBlockStop":
            if self.open is not None:
                self.open.closed = True
            self.open = None
        elif name == "messageStop":
            self.stop_reason, self.open = fit(fields.get("stopReason")) or "unknown", None
        elif name == "metadata":
            self.ended = self.stop_reason is not None

    def _begin(self, index: Any, kind: str, begin: int, name: str) -> None:
        if type(index) is not int or len(self.blocks) >= BLOCKS_MAX:
            return
        self.open = BlockSeen(index, kind, name, begin=begin)
        self.blocks.append(self.open)


class InvokedConverse(Converse):
    """The same events inside the chunks of InvokeModel, as Nova sends them; the metrics of the invocation end it."""

    protocol = "Bedrock InvokeModel of another model (events as in Converse)"

    @property
    def missing(self) -> str:
        return METRICS if self.stop_reason is not None else "messageStop"

    def take(self, name: str, fields: Fields, begin: int) -> None:
        for inner, value in fields.items():
            if inner in CONVERSE:
                super().take(inner, _dict(value), begin)
        self.ended = METRICS in fields


class Invoked(Other):
    """InvokeModel of any other model: only the metrics of the invocation are common to all."""

    protocol = "Bedrock InvokeModel of another model"

    @property
    def missing(self) -> str:
        return METRICS

    def take(self, name: str, fields: Fields, begin: int) -> None:
        self.ended = METRICS in fields


class Completion(Other):
    """The legacy Text Completions API: the event with a stop reason is the last."""

    protocol = "legacy text completions"
    is_bedrock = False

    def __init__(self) -> None:
        super().__init__()
        self.open = BlockSeen(0, "completion")
        self.blocks = [self.open]

    @property
    def missing(self) -> str:
        return "a completion with a stop_reason"

    def take(self, name: str, fields: Fields, begin: int) -> None:
        text, reason = fields.get("completion"), fields.get("stop_reason")
        self.blocks[0].chars += len(text) if isinstance(text, str) else 0
        self.model = fit(fields.get("model")) or self.model
        if isinstance(reason, str):
            self.stop_reason, self.open = fit(reason), None
            self.ended = self.blocks[0].closed = True
        self.ended = self.ended or METRICS in fields


class Foreign(Other):
    """Another service's stream. It is named, and not judged further."""

    is_bedrock = False

    def __init__(self, protocol: str) -> None:
        super().__init__()
        self.protocol = protocol

    def take(self, name: str, fields: Fields, begin: int) -> None:
        pass


def other_of(event: Unrecognised) -> Other | None:
    """Which other API this event is of; ``None`` if it may be noise in a Messages stream."""
    if event.name in CONVERSE and not is_sse(event.raw):
        return Converse()
    fields = fields_of(event)
    if event.name == "completion" or fields.get("type") == "completion":
        return Completion()
    if event.name == "chunk" and not is_sse(event.raw):
        return InvokedConverse() if fields.keys() & set(CONVERSE) else Invoked()
    if str(fields.get("object", "")).startswith("chat.completion"):
        return Foreign("OpenAI chat completions")
    if event.name.startswith("response."):
        return Foreign("OpenAI responses")
    return Foreign("Gemini") if "candidates" in fields else None


def fields_of(event: Unrecognised) -> Fields:
    """The JSON object of an event that the dialects do not know; empty where it has none."""
    if is_sse(event.raw):
        frame = sse.Decoder().parse(event.raw)
        return _dict(parse(frame.data)) if frame is not None else {}
    try:
        (message,) = eventstream.Decoder().feed(event.raw)
    except (WireError, ValueError):
        return {}
    outer = _dict(parse(message.payload))
    inner = outer.get("bytes")
    if message.headers.get(":event-type") == "chunk" and isinstance(inner, str):
        return _dict(parse(_from_base64(inner)))
    return outer


def _from_base64(text: str) -> bytes:
    try:
        return b64decode(text)
    except ValueError:
        return b""


def _dict(value: object) -> Fields:
    return value if isinstance(value, dict) else {}
