"""The faults, as the facts that an engine is told.

Rule: bytes are broken wherever the place says, in the middle of a frame or of a character.
"""

from collections.abc import Iterator

from midstream.protocol import eventstream, sse
from midstream.recovery.steps import Broke, Elapsed, Ended, Input, Received

FAULTS = {
    "sse": ("clean", "fin", "rst", "silence", "error"),
    "bedrock": ("clean", "fin", "rst", "silence", "half-frame", "crc", "exception"),
}

OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
_ERROR = sse.encode("error", OVERLOADED)
_EXCEPTION_HEADERS = {
    ":exception-type": "serviceUnavailableException",
    ":content-type": "application/json",
    ":message-type": "exception",
}
_EXCEPTION = eventstream.encode(_EXCEPTION_HEADERS, b'{"message":"Service is temporarily unavailable."}')


def inputs(frame: bytes, offset: int, fault: str) -> Iterator[Input]:
    """What comes from the beginning of this frame on, which is broken after so many of its bytes."""
    partial, rest = frame[:offset], frame[offset:]
    if fault == "half-frame":
        partial = frame[: len(frame) // 2]
    if partial:
        yield Received(partial)
    match fault:
        case "fin":
            yield Broke("incomplete")
        case "rst":
            yield Broke("reset")
        case "silence":
            yield Elapsed()
        case "error":
            yield Received(_ERROR)
        case "exception":
            yield Received(_EXCEPTION)
        case "crc" if rest:
            yield Received(bytes([rest[0] ^ 0x55]) + rest[1:])
    yield Ended()
