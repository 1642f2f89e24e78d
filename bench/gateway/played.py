"""The bytes that are played: an event of 141 bytes, plain or with the time of its departure in it.

Rule: whoever is measured gets the same bytes; nothing here is made while the clock runs.
"""

import json

EVENT_BYTES = 141
STAMP_DIGITS = 18
"""Of a monotonic clock in nanoseconds: enough for thirty years of uptime."""

_BEFORE = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"'
)
_AFTER = b'"}}\n\n'
_TEXT_BYTES = EVENT_BYTES - len(_BEFORE) - len(_AFTER)


def chunk(data: bytes) -> bytes:
    """As a chunk of an HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


PLAIN = chunk(_BEFORE + b"so it goes, on and on, and on."[:_TEXT_BYTES].ljust(_TEXT_BYTES) + _AFTER)
"""One event, ready to be sent."""

MARK = b'block_delta"'
"""Stands once in each event, whoever passed it on."""
STAMP_MARK = b'"text":"'
"""Stands before the time of departure."""


def stamped(ns: int) -> bytes:
    """An event of the same size that says when it left."""
    return chunk(_BEFORE + b"%0*d" % (STAMP_DIGITS, ns) + b" " * (_TEXT_BYTES - STAMP_DIGITS) + _AFTER)


def stamps(data: bytes) -> list[int]:
    """The times in the events of these bytes."""
    parts = data.split(STAMP_MARK)[1:]
    return [int(part[:STAMP_DIGITS]) for part in parts if part[:STAMP_DIGITS].isdigit()]


def _frame(fields: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(fields["type"]).encode(), json.dumps(fields).encode())


BEGUN = b"content_block_start"
"""Stands in what comes before the first event."""

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nrequest-id: req_bench\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
) + chunk(
    _frame(
        {
            "type": "message_start",
            "message": {
                "id": "msg_bench",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-5-5",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 10, "output_tokens": 1},
            },
        }
    )
    + _frame({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    # A text is shown as it comes once it has a character that is not blank.
    + PLAIN.split(b"\r\n")[1]
)
"""What a stream begins with."""

_BODY = json.dumps(
    {
        "model": "claude-sonnet-5-5",
        "max_tokens": 8192,
        "stream": True,
        "messages": [{"role": "user", "content": "Tell me a very long story."}],
    }
).encode()

REQUEST = (
    b"POST /v1/messages HTTP/1.1\r\nhost: bench\r\nx-api-key: sk-bench\r\nanthropic-version: 2023-06-01\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_BODY)
) + _BODY
"""What a client asks."""
