"""A strict reader of finished streams: bytes in, message out, or what is illegal about them.

Rule: it shares no code with `midstream`; a check that trusted the code under test could not fail.
"""

import base64
import json
import re
import struct
import zlib
from typing import Any

Fields = dict[str, Any]

_SSE_END = re.compile(rb"(?>\r\n|\n|\r){2}")
_LINE = re.compile(rb"\r\n|\n|\r")

_GROWS: dict[str, str] = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class Illegal(Exception):
    """The bytes are no legal Messages stream, nor the beginning of one."""


def frames_of(data: bytes, wire: str) -> list[bytes]:
    """The body cut into whole frames; what is left over is the last."""
    if wire == "sse" and b"\r" not in data:
        blocks = data.split(b"\n\n")
        return [block + b"\n\n" for block in blocks[:-1]] + blocks[-1:] * bool(blocks[-1])
    if wire == "sse":
        ends = [found.end() for found in _SSE_END.finditer(data)]
    else:
        ends, at = [], 0
        while at + 4 <= len(data) and at + (size := struct.unpack_from(">I", data, at)[0]) <= len(data):
            at += size
            ends.append(at)
    begins = [0, *ends]
    frames = [data[begin:end] for begin, end in zip(begins, ends, strict=False)]
    return [*frames, data[begins[-1] :]] if begins[-1] < len(data) else frames


def event_of(frame: bytes, wire: str) -> Fields | None:
    """The event in one frame; ``None`` where there is none that can be read."""
    if wire != "sse":
        return _chunk(frame)
    frame = frame.removeprefix(b"\xef\xbb\xbf")
    lines = _LINE.split(frame) if b"\r" in frame else frame.split(b"\n")
    data = [line[5:].removeprefix(b" ") for line in lines if line[:5] == b"data:"]
    return _object(b"\n".join(data))


def _chunk(frame: bytes) -> Fields | None:
    if len(frame) < 16:
        return None
    _, headers, check = struct.unpack_from(">III", frame)
    if zlib.crc32(frame[:8]) != check or zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "big"):
        return None
    outer = _object(frame[12 + headers : -4]) or {}
    return _object(base64.b64decode(outer["bytes"])) if "bytes" in outer else None


def _object(data: bytes) -> Fields | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class Reader:
    """Adds up one stream as its consumer would, and refuses whatever is out of order."""

    def __init__(self, wire: str) -> None:
        self.wire = wire
        self.begun = False
        self.stopped = False
        self.message: Fields = {}
        """The fields of ``message_start``, with those of every ``delta`` of the message."""
        self.extras: Fields = {}
        """What stands beside them in a ``message_delta``."""
        self.blocks: list[Fields] = []
        """Each block as it stands; its gathered input, as text, under ``"\\0json"``."""
        self.open: int | None = None
        self.stop_reason: str | None = None
        self.usage: Fields = {}
        self.crc32 = 0
        """Over all bytes so far."""

    def fork(self) -> "Reader":
        """A copy that can go another way."""
        copy = Reader(self.wire)
        vars(copy).update(vars(self))
        copy.message, copy.extras, copy.usage = dict(self.message), dict(self.extras), dict(self.usage)
        copy.blocks = [*self.blocks[:-1], *map(dict, self.blocks[-1:])]
        return copy

    def feed(self, data: bytes) -> None:
        """Bytes that were handed on, whole frames. Raises `Illegal`."""
        self.crc32 = zlib.crc32(data, self.crc32)
        for frame in frames_of(data, self.wire):
            event = event_of(frame, self.wire)
            if event is None:
                if self.wire != "sse":
                    raise Illegal("a frame without an event")
                continue
            self.take(event)

    def take(self, event: Fields) -> None:
        """One event."""
        kind = event.get("type")
        if self.stopped:
            raise Illegal(f"{kind} after message_stop")
        match kind:
            case "message_start":
                self._start(event["message"])
            case "content_block_start":
                self._begin(event)
            case "content_block_delta":
                self._grow(event)
            case "content_block_stop":
                self._need(self.open == event["index"] is not None, event)
                self.open = None
            case "message_delta":
                self._need(self.begun, event)
                self._delta(event)
            case "message_stop":
                self._need(self.stop_reason is not None, event)
                self.stopped = True
            case "error":
                raise Illegal("an error event was handed on")

    def _need(self, fine: bool, event: Fields) -> None:
        if not fine:
            raise Illegal(f"{event.get('type')} {event.get('index', '')} with block {self.open} open")

    def _start(self, message: Fields) -> None:
        if self.begun:
            raise Illegal("a second message_start")
        self.begun = True
        self.message = dict(message)
        self.blocks = [dict(block) for block in message.get("content") or ()]
        self.stop_reason = message.get("stop_reason")
        self.usage = dict(message.get("usage") or {})

    def _begin(self, event: Fields) -> None:
        fine = self.begun and self.open is None and self.stop_reason is None and event["index"] == len(self.blocks)
        self._need(fine, event)
        self.open = event["index"]
        self.blocks.append(dict(event["content_block"]))

    def _grow(self, event: Fields) -> None:
        self._need(self.open == event["index"] is not None and self.stop_reason is None, event)
        block, delta = self.blocks[-1], event["delta"]
        kind = delta["type"]
        if kind in _GROWS:
            name = "\0json" if kind == "input_json_delta" else _GROWS[kind]
            block[name] = (block.get(name) or "") + delta[_GROWS[kind]]
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        else:
            block.update({name: value for name, value in delta.items() if name != "type"})

    def _delta(self, event: Fields) -> None:
        self.stop_reason = event["delta"].get("stop_reason") or self.stop_reason
        self.extras |= {name: value for name, value in event.items() if name not in ("type", "usage", "delta")}
        self.message |= {name: value for name, value in event["delta"].items() if value is not None}
        self.usage |= {name: value for name, value in (event.get("usage") or {}).items() if value is not None}


def read(data: bytes, wire: str) -> Reader:
    """The whole stream at once. Raises `Illegal`."""
    reader = Reader(wire)
    reader.feed(data)
    return reader
