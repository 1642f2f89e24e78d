"""Frames to events and back, for each API that spells them differently.

Rule: a dialect says what arrived, never whether it was allowed to; the order of events is `message`'s business.
"""

import base64
import json
from collections.abc import Callable
from math import isfinite, isnan
from typing import Any, Protocol, TypeAlias

import msgspec

from midstream.protocol import eventstream, sse
from midstream.protocol.common import TAILS, Common, decode_string
from midstream.protocol.events import (
    PAYLOADS,
    BlockGrew,
    BlockStarted,
    BlockStopped,
    ErrorReported,
    Event,
    Fields,
    MessageStarted,
    MessageStopped,
    MessageStopping,
    Pinged,
    Unreadable,
    Unrecognised,
)
from midstream.protocol.frames import FrameTooLarge, WireError

Events: TypeAlias = list[Event | Unreadable]

_any = msgspec.json.Decoder()

_ENDLESS, _ENDLESS_NEGATIVE, _NAN = msgspec.Raw(b"1e999"), msgspec.Raw(b"-1e999"), msgspec.Raw(b"NaN")

_DELTA_LINE = b"event: content_block_delta\ndata: "
_UNKNOWN, _UNKNOWN_INNER = Common(_DELTA_LINE), Common()
_BLOCK_END = b"\n\n"


class Dialect(Protocol):
    """One way of writing Messages streams."""

    name: str

    def receive(self, data: bytes) -> Events:
        """The events that this chunk completes; an `Unreadable` is always the last. Never raises."""

    def end(self) -> Events:
        """The end of the input, as a fact: what the bytes left over are worth."""

    @property
    def pending(self) -> bytes:
        """The bytes of a frame that has only begun."""

    def encode(self, fields: Fields) -> bytes:
        """One event as the bytes of one frame."""


class Anthropic:
    """Server-sent events: the Messages API itself, and every cloud that keeps its framing."""

    name = "sse"
    __slots__ = ("_common", "_frames", "_idle")

    def __init__(self, *, frame_bytes_max: int = sse.FRAME_BYTES_MAX) -> None:
        self._frames = sse.Decoder(frame_bytes_max=frame_bytes_max)
        self._common = _UNKNOWN
        self._idle = False  # no block has only begun

    @property
    def pending(self) -> bytes:
        return self._frames.pending

    def receive(self, data: bytes) -> Events:
        # One more delta like the last, and nothing else: the usual chunk. There is nothing to split in it, because what
        # decodes as a JSON string has no line end.
        common = self._common
        if self._idle and data.startswith(common.begin):
            end = data.rfind(b'"') + 1
            if data[end:] in TAILS:  # then the last quote ends the payload, or it is the first, and nothing decodes
                try:
                    return [BlockGrew(common.index, common.kind, decode_string(data[common.skip : end]), data)]
                except (msgspec.DecodeError, ValueError):
                    pass  # more than the common shape: the general way finds out what
        try:
            blocks = self._frames.split(data)
        except FrameTooLarge as problem:
            return [Unreadable(str(problem), too_large=True)]
        self._idle = self._frames.idle
        return self._read_blocks(blocks)

    def _read_blocks(self, blocks: list[bytes]) -> Events:
        events: Events = []
        append, decode, common = events.append, decode_string, self._common
        begin, skip, index, kind = common.begin, common.skip, common.index, common.kind
        for block in blocks:
            if block.startswith(begin):
                end = block.rfind(b'"') + 1
                if block[end:] in TAILS:
                    try:
                        append(BlockGrew(index, kind, decode(block[skip:end]), block))
                        continue
                    except (msgspec.DecodeError, ValueError):
                        pass
            event = self._general(block)
            append(event)
            if type(event) is Unreadable:
                break
            self._common = common = common.after(event, block)
            begin, skip, index, kind = common.begin, common.skip, common.index, common.kind
        return events

    @property
    def usual(self) -> tuple[bytes, int, str] | None:
        """How the next chunk begins if it is one more delta like the last and nothing else, and that one's index and
        kind; from its last byte on, a quote, the rest is for `common.payload`."""
        common = self._common
        return (common.begin, common.index, common.kind) if self._idle and common.begin else None

    def end(self) -> Events:
        frame = self._frames.parse_pending()
        if frame is None or not isinstance(parse(frame.data), dict):
            return []
        # Only a frame whose JSON is whole is believed; its blank line is restored, as an encoder would have sent it.
        event = _read(frame.name, frame.data, self._frames.pending.rstrip(b"\r\n") + _BLOCK_END)
        return [] if isinstance(event, Unreadable | Unrecognised) else [event]

    def encode(self, fields: Fields) -> bytes:
        return sse.encode(str(fields.get("type", "message")), dump(fields, exactly=True))

    def _general(self, block: bytes) -> Event | Unreadable:
        frame = self._frames.parse(block)
        if frame is None:
            if _looks_like_a_page(block):
                return Unreadable("the body is a page or a document, not an event stream")
            return Unrecognised("", block)
        return _read(frame.name, frame.data, block)


class _Chunk(msgspec.Struct):
    """The payload of a Bedrock ``chunk`` event; ``p``, the padding against side channels, is ignored."""

    bytes: bytes


_chunk = msgspec.json.Decoder(_Chunk)


class Bedrock:
    """AWS event stream: InvokeModelWithResponseStream, each chunk one Messages event in base64."""

    name = "eventstream"
    __slots__ = ("_chunk_headers", "_common", "_frames")

    def __init__(self, *, frame_bytes_max: int = sse.FRAME_BYTES_MAX) -> None:
        bound = min(frame_bytes_max, eventstream.PAYLOAD_BYTES_MAX)
        self._frames = eventstream.Decoder(payload_bytes_max=bound)
        self._common = _UNKNOWN_INNER
        # The headers of a chunk, once one was seen: the decoder gives the same object for the same headers.
        self._chunk_headers: object = None

    @property
    def pending(self) -> bytes:
        return self._frames.pending

    def receive(self, data: bytes) -> Events:
        messages, problem = self._frames.feed_until_error(data)
        events: Events = []
        append, common, chunk_headers = events.append, self._common, self._chunk_headers
        for message in messages:
            if message.headers is chunk_headers:
                try:
                    inner = _chunk.decode(message.payload).bytes
                    if inner.endswith(b'"}}') and inner.startswith(common.begin):  # padding is outside of it
                        value = decode_string(inner[common.skip : -2])
                        append(BlockGrew(common.index, common.kind, value, message.raw))
                        continue
                except (msgspec.DecodeError, ValueError, RecursionError):
                    pass  # no chunk, or more than the common shape: the general way finds out what
            event = self._event(message)
            append(event)
            if type(event) is Unreadable:
                return events
            common, chunk_headers = self._common, self._chunk_headers
        if problem is not None:
            append(_unreadable(problem))
        return events

    def end(self) -> Events:
        return []

    def encode(self, fields: Fields) -> bytes:
        payload = dump({"bytes": base64.b64encode(dump(fields, exactly=True)).decode()})
        headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
        return eventstream.encode(headers, payload)

    def _event(self, message: eventstream.Message) -> Event | Unreadable:
        headers, raw = message.headers, message.raw
        kind = headers.get(":message-type")
        if kind == "event":
            if headers.get(":event-type") != "chunk":
                return self._other(message)
            try:
                data = _chunk.decode(message.payload).bytes
            except (msgspec.DecodeError, ValueError, RecursionError):
                return self._other(message)
            event = _read("chunk", data, raw)
            self._common = self._common.after(event, data)
            self._chunk_headers = headers
            return event
        if kind in ("exception", "error"):
            name = headers.get(":exception-type" if kind == "exception" else ":error-code")
            fields: Fields = {} if kind == "exception" else {"message": str(headers.get(":error-message", ""))}
            return ErrorReported(fields, raw, str(name or "unknown"), message.payload)
        return Unreadable("an event-stream message that is neither event, exception nor error")

    def _other(self, message: eventstream.Message) -> Event | Unreadable:
        """An event that is no chunk, or a chunk that is not one: an error if it says so, noise if it is unknown."""
        fields = parse(message.payload)
        if isinstance(fields, dict) and _is_error(fields):
            return ErrorReported(fields, message.raw)
        if message.headers.get(":event-type") == "chunk":
            return Unreadable("a chunk whose payload is not base64 in JSON")
        return Unrecognised(str(message.headers.get(":event-type", "")), message.raw)


NESTING_MAX = 200
"""The deepest event of the API nests under twenty levels; copying, printing and pickling fail from a few hundred on."""


def parse(data: bytes) -> Any:
    """The JSON value in these bytes, or `Unreadable`. What the standard library reads will do: the SDK uses it."""
    try:
        value = _any.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return Unreadable(f"{len(data):,} bytes of data that are not JSON")
    if data.count(b"{") + data.count(b"[") > NESTING_MAX and _is_deep(value):
        return Unreadable(f"data that nest more than {NESTING_MAX} deep")
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(NESTING_MAX):
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [child for children in inner for child in children]
        if not level:
            return False
    return True


def dump(value: Any, *, exactly: bool = False) -> bytes:
    """A JSON value as bytes; bytes in it are base64. Lone surrogates, which the SDK lets through, are escaped.

    Numbers that no float can hold are null, but ``exactly``: then they are as large as they came.
    """
    try:
        data = msgspec.json.encode(value)
        return msgspec.json.encode(_spelt(value)) if exactly and b"null" in data else data
    except (UnicodeEncodeError, ValueError, RecursionError):
        return json.dumps(value, separators=(",", ":"), default=msgspec.to_builtins).encode()


def _spelt(value: Any) -> Any:
    """A value whose endless numbers are spelt as they may have come."""
    match value:
        case dict():
            return {name: _spelt(inner) for name, inner in value.items()}
        case list():
            return [_spelt(inner) for inner in value]
        case float() if not isfinite(value):
            return _NAN if isnan(value) else _ENDLESS if value > 0 else _ENDLESS_NEGATIVE
    return value


def _read(name: str, data: bytes, raw: bytes) -> Event | Unreadable:
    """One event from its JSON. The object's own ``type`` decides; the wire's name only where there is no type."""
    if not data:
        return Pinged(raw) if name == "ping" else Unrecognised(name, raw)
    fields = parse(data)
    if not isinstance(fields, dict):
        return _read_no_object(name, data, raw, fields)
    kind = fields.get("type")
    kind = kind if isinstance(kind, str) else ""
    reader = _READERS.get(kind)
    if reader is not None:
        event = reader(fields, raw)
        if name not in (kind, "chunk") and not isinstance(event, Unreadable):
            # The SDK passes over events whose name is missing: give it the name that the object says.
            event.raw = sse.encode(kind, data) if kind != "error" else raw
        return event
    if name == "error" or _is_error(fields):
        return ErrorReported(fields, raw)
    return Pinged(raw) if name == "ping" else Unrecognised(kind or name, raw)


def _read_no_object(name: str, data: bytes, raw: bytes, value: Any) -> Event | Unreadable:
    if name == "ping":
        return Pinged(raw)
    if name == "error":
        return ErrorReported({"type": "error", "error": {"message": data.decode(errors="replace")[:1000]}}, raw)
    if data.strip() == b"[DONE]":  # other APIs' last word; says nothing here
        return Unrecognised(name, raw)
    return value if isinstance(value, Unreadable) else Unreadable("data that are JSON, but no object")


def _is_error(fields: Fields) -> bool:
    """Errors come without a type too: ``{"error": …}`` and ``{"message": …}``."""
    if "type" in fields and isinstance(fields["type"], str) and fields["type"] != "error":
        return False
    return "error" in fields or isinstance(fields.get("message", fields.get("Message")), str)


def _started(fields: Fields, raw: bytes) -> Event | Unreadable:
    message = fields.get("message")
    if not isinstance(message, dict):
        return Unreadable("a message_start without a message")
    content = message.get("content")
    if content is not None and not (isinstance(content, list) and all(map(_is_block, content))):
        return Unreadable("a message_start whose content is no list of blocks")
    return MessageStarted(message, fields, raw)


def _block_started(fields: Fields, raw: bytes) -> Event | Unreadable:
    index, block = fields.get("index"), fields.get("content_block")
    if type(index) is not int or not isinstance(block, dict) or not _is_block(block):
        return Unreadable("a content_block_start without an index or a block")
    return BlockStarted(index, block, fields, raw)


def _is_block(block: Any) -> bool:
    return isinstance(block, dict) and isinstance(block.get("type"), str)


def _block_grew(fields: Fields, raw: bytes) -> Event | Unreadable:
    index, delta = fields.get("index"), fields.get("delta")
    if type(index) is not int or not isinstance(delta, dict) or not isinstance(delta.get("type"), str):
        return Unreadable("a content_block_delta without an index or a delta")
    kind = delta["type"]
    payload = PAYLOADS.get(kind)
    if payload is None:
        return BlockGrew(index, kind, delta, raw, fields)
    value = delta.get(payload)
    if not isinstance(value, dict if kind == "citations_delta" else str):
        return Unreadable(f"a {kind} whose {payload} is missing or of another type")
    common = len(delta) == 2 and len(fields) == 3
    return BlockGrew(index, kind, value, raw, None if common else fields)


def _block_stopped(fields: Fields, raw: bytes) -> Event | Unreadable:
    index = fields.get("index")
    return (
        BlockStopped(index, fields, raw) if type(index) is int else Unreadable("a content_block_stop without an index")
    )


def _stopping(fields: Fields, raw: bytes) -> Event | Unreadable:
    delta, usage = fields.get("delta"), fields.get("usage")
    if not isinstance(delta, dict) or not isinstance(delta.get("stop_reason"), str | None):
        return Unreadable("a message_delta without a delta, or with a stop reason that is no text")
    return MessageStopping(delta, usage if isinstance(usage, dict) else None, fields, raw)


_READERS: dict[str, Callable[[Fields, bytes], Event | Unreadable]] = {
    "message_start": _started,
    "content_block_start": _block_started,
    "content_block_delta": _block_grew,
    "content_block_stop": _block_stopped,
    "message_delta": _stopping,
    "message_stop": MessageStopped,
    "ping": lambda fields, raw: Pinged(raw),
    "error": ErrorReported,
}


def _looks_like_a_page(block: bytes) -> bool:
    return block.lstrip()[:1] in (b"<", b"{", b"[")


def _unreadable(problem: WireError) -> Unreadable:
    return Unreadable(str(problem), too_large=isinstance(problem, FrameTooLarge))
