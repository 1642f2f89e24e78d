"""The typed steps in the life of a message.

Rule: past tense, because they already happened; and each keeps the bytes of its frame (``raw``), so that what passes
through unchanged is handed on unchanged. Field by field: the Messages API's streaming reference.
"""

from typing import Any, TypeAlias

import msgspec

Fields: TypeAlias = dict[str, Any]


class MessageStarted(msgspec.Struct):
    """``message_start``."""

    message: Fields
    fields: Fields
    """The whole JSON object, as received."""
    raw: bytes


class BlockStarted(msgspec.Struct):
    """``content_block_start``."""

    index: int
    block: Fields
    fields: Fields
    raw: bytes


class BlockGrew(msgspec.Struct, gc=False):
    """``content_block_delta``: nine of ten events, so it is one flat object."""

    index: int
    kind: str
    """The delta's ``type``."""
    value: Any
    """The one payload of the delta (a text, a fragment of JSON, a citation); the whole delta where it has no such."""
    raw: bytes
    fields: Fields | None = None
    """The whole JSON object, where it holds more than index, type and payload."""


class BlockStopped(msgspec.Struct):
    """``content_block_stop``."""

    index: int
    fields: Fields
    raw: bytes


class MessageStopping(msgspec.Struct):
    """``message_delta``: the stop reason and the usage."""

    delta: Fields
    usage: Fields | None
    fields: Fields
    raw: bytes


class MessageStopped(msgspec.Struct):
    """``message_stop``."""

    fields: Fields
    raw: bytes


class Pinged(msgspec.Struct):
    """``ping``."""

    raw: bytes


class ErrorReported(msgspec.Struct):
    """An error inside the stream: an ``error`` event, an untyped error payload, a Bedrock exception or error frame."""

    fields: Fields
    raw: bytes
    exception: str | None = None
    """The name on a Bedrock exception or error frame."""
    payload: bytes = b""
    """The payload of a Bedrock exception frame."""


class Unrecognised(msgspec.Struct):
    """Something this version does not know, or that means nothing (a comment): it keeps its place."""

    name: str
    raw: bytes


class Unreadable(msgspec.Struct):
    """The bytes are not the protocol. Always the last thing that a dialect says."""

    detail: str
    """What is wrong, without contents."""
    too_large: bool = False


Event: TypeAlias = (
    MessageStarted
    | BlockStarted
    | BlockGrew
    | BlockStopped
    | MessageStopping
    | MessageStopped
    | Pinged
    | ErrorReported
    | Unrecognised
)

PAYLOADS = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "citations_delta": "citation",
}
"""Which field of a delta is its payload. Source: the SDK's ``types/raw_content_block_delta.py``."""
