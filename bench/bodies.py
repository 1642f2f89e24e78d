"""The bytes that both sides read: replies of any length, as the Messages API and Bedrock write them.

Rule: drawn from one seed, so that a figure can be had again; shaped like recorded streams (a few words for each delta,
now and then an escape or another script, blanks or ``p`` as padding against side channels).
"""

import json
from base64 import b64encode
from random import Random
from typing import Any

from midstream.protocol import eventstream

MODEL = "claude-opus-4-8"
CHUNK_BYTES = 16 << 10
"""What one read of a busy connection brings."""

_WORDS = (
    "the stream of a reply that was long in coming had been cut twice and yet it ended where its writer meant it to"
    " and nobody who read it could have told at which word the two halves met because nothing was lost and nothing"
    ' came again \n\n • “quoted” "plain" naïve 日本語 🎈 | table | def f(x): `code`'
).split(" ")
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_HEADERS: dict[str, eventstream.HeaderValue] = {
    ":event-type": "chunk",
    ":content-type": "application/json",
    ":message-type": "event",
}


def sse_frames(deltas: int) -> list[bytes]:
    """One reply of so many text deltas; one frame of server-sent events for each event."""
    random = Random(deltas)
    return [_sse_frame(event, " " * random.randrange(16)) for event in _events(deltas, random)]


def bedrock_frames(deltas: int) -> list[bytes]:
    """The same as chunks of an AWS event stream."""
    random = Random(deltas)
    return [_bedrock_frame(event, _PADDING[: random.randrange(62)]) for event in _events(deltas, random)]


def chunked(frames: list[bytes]) -> list[bytes]:
    """The same bytes as a busy connection brings them."""
    body = b"".join(frames)
    return [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]


def _events(deltas: int, random: Random) -> list[dict[str, Any]]:
    usage = {"input_tokens": 25, "cache_read_input_tokens": 0, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": []}
    grew = [{"type": "text_delta", "text": _words(random)} for _ in range(deltas)]
    return [
        {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in grew),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 4 * deltas},
        },
        {"type": "message_stop"},
    ]


def _words(random: Random) -> str:
    return " " + " ".join(random.choices(_WORDS, k=random.randrange(1, 6)))


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _sse_frame(event: dict[str, Any], padding: str) -> bytes:
    return f"event: {event['type']}\ndata: {_dump(event)[:-1]}{padding}}}\n\n".encode()


def _bedrock_frame(event: dict[str, Any], padding: str) -> bytes:
    inner = b64encode(_dump(event).encode()).decode()
    return eventstream.encode(_HEADERS, _dump({"bytes": inner, "p": padding}).encode())
