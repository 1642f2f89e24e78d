"""Recorded bytes taken apart, and events made into bytes.

Rule: it decodes by itself; only the encoders are `midstream.protocol`'s, which have tests of their own.
"""

import base64
import json
import re
import struct
import zlib
from typing import Any, NamedTuple

from midstream.faults.catalogue import Wire
from midstream.protocol import eventstream, sse

Event = dict[str, Any]

CONTENT_TYPE: dict[Wire, str] = {
    "sse": "text/event-stream; charset=utf-8",
    "bedrock": "application/vnd.amazon.eventstream",
}

# The names that an event of the Messages API can have: enough to tell its streams from others.
EVENT_TYPES = frozenset(
    (
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    )
)

_METRICS = "amazon-bedrock-invocationMetrics"
_METRICS_VALUE = {"inputTokenCount": 25, "outputTokenCount": 100, "invocationLatency": 1200, "firstByteLatency": 300}
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Piece(NamedTuple):
    """One frame of a body: its exact bytes, and the event in it, if there is one."""

    raw: bytes
    event: Event | None


class NotAStream(ValueError):
    """A file that is no recorded stream of the Messages API; the message says why in one clause."""


# Made once: `json.dumps` makes one for each call, which is most of what a played reply costs.
_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dumps(value: object) -> bytes:
    """JSON the way the API writes it: compact, UTF-8."""
    try:
        return _encode_json(value).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, which a model can say and UTF-8 cannot.
        return json.dumps(value, separators=(",", ":")).encode()


def encode(event: Event, wire: Wire) -> bytes:
    """One event as one frame."""
    if wire == "sse":
        if _METRICS in event:
            event = {name: value for name, value in event.items() if name != _METRICS}
        return sse.encode(str(event.get("type", "message")), dumps(event))
    if event.get("type") == "message_stop" and _METRICS not in event:
        event = {**event, _METRICS: _METRICS_VALUE}
    return chunk(dumps(event))


def chunk(inner: bytes) -> bytes:
    """A Bedrock ``chunk`` frame around these bytes, padded as AWS pads it."""
    # AWS pads by a random length; one that follows from the content keeps every run the same.
    padding = _PADDING[: zlib.crc32(inner) % len(_PADDING)]
    payload = dumps({"bytes": base64.b64encode(inner).decode(), "p": padding})
    return message({":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}, payload)


def message(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of an AWS event stream."""
    return eventstream.encode(headers, payload)


def split(data: bytes) -> tuple[Wire, list[Piece]]:
    """The frames of a recorded body, whichever framing it has. Raises `NotAStream`."""
    if not data.strip():
        raise NotAStream("it is empty")
    # An event stream begins with the four bytes of a length: the first is zero below 16 MiB.
    wire: Wire = "bedrock" if data[0] == 0 else "sse"
    pieces = _split_bedrock(data) if wire == "bedrock" else _split_sse(data)
    seen = {str(piece.event.get("type")) for piece in pieces if piece.event is not None}
    if not seen & EVENT_TYPES:
        raise NotAStream("no event of the Messages API is in it")
    if "message_start" not in seen and "error" not in seen:
        raise NotAStream("it has neither a message_start nor an error")
    return wire, pieces


_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r){2}")
_LINE = re.compile(rb"\r\n|\n|\r")


def _split_sse(data: bytes) -> list[Piece]:
    pieces, at = [], 0
    for end in [found.end() for found in _BLANK_LINE.finditer(data)]:
        pieces.append(Piece(data[at:end], _sse_event(data[at:end])))
        at = end
    # What no blank line ends is no event: it is played as it stands.
    return [*pieces, Piece(data[at:], None)] if at < len(data) else pieces


def _sse_event(raw: bytes) -> Event | None:
    lines = [line.removeprefix(b"\xef\xbb\xbf") for line in _LINE.split(raw)]
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return _event(b"\n".join(data))


def _event(data: bytes) -> Event | None:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _split_bedrock(data: bytes) -> list[Piece]:
    pieces, at = [], 0
    while at + 16 <= len(data):
        total, headers, check = struct.unpack_from(">III", data, at)
        if zlib.crc32(data[at : at + 8]) != check:
            raise NotAStream(f"the checksum of the frame at byte {at:,} does not match")
        if total < 16 + headers or at + total > len(data):
            break
        raw = data[at : at + total]
        pieces.append(Piece(raw, _bedrock_event(raw[12 + headers : -4])))
        at += total
    return [*pieces, Piece(data[at:], None)] if at < len(data) else pieces


def _bedrock_event(payload: bytes) -> Event | None:
    outer = _event(payload) or {}
    try:
        return _event(base64.b64decode(outer["bytes"]))
    except (KeyError, TypeError, ValueError):
        return None
