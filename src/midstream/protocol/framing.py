"""Which framing an event came in, and what it says, so that it can be put into the other.

Rule: only for consumers that are spoken to otherwise than the upstream speaks. What passes through is not looked at.
"""

from base64 import b64decode

from midstream.protocol import eventstream, sse
from midstream.protocol.dialects import parse
from midstream.protocol.events import PAYLOADS, BlockGrew, Event, Fields, Pinged, Unrecognised
from midstream.protocol.frames import WireError


def is_sse(raw: bytes) -> bool:
    """Whether these bytes are a server-sent event; otherwise they are one whole message of an AWS event stream.

    Such a message begins with its own length. As text, four bytes would stand for a length of 16 MiB at least.
    """
    return raw[:1] > b"\1" or int.from_bytes(raw[:4], "big") != len(raw)


def fields_of(event: Event) -> Fields | None:
    """The whole JSON object of an event; ``None`` for what no other framing carries: a comment, data without a type."""
    if type(event) is BlockGrew:
        return event.fields if event.fields is not None else delta_fields(event)
    if isinstance(event, Pinged):
        return {"type": "ping"}
    if isinstance(event, Unrecognised):
        return _unrecognised(event)
    return event.fields


def delta_fields(event: BlockGrew) -> Fields:
    """The object of a delta that holds nothing but its index, its type and its payload."""
    payload = PAYLOADS.get(event.kind)
    delta = {"type": event.kind, payload: event.value} if payload else event.value
    return {"type": "content_block_delta", "index": event.index, "delta": delta}


def _unrecognised(event: Unrecognised) -> Fields | None:
    fields = parse(_data(event.raw)) if event.name else None
    return fields if isinstance(fields, dict) and isinstance(fields.get("type"), str) else None


def _data(raw: bytes) -> bytes:
    """The JSON of a frame; empty where it has none."""
    if is_sse(raw):
        frame = sse.Decoder().parse(raw)
        return frame.data if frame is not None else b""
    try:
        messages = eventstream.Decoder().feed(raw)
    except WireError:
        return b""
    inner = parse(messages[0].payload) if messages else None
    if isinstance(inner, dict) and isinstance(inner.get("bytes"), str):
        try:
            return b64decode(inner["bytes"])
        except ValueError:
            return b""
    return messages[0].payload if messages else b""
