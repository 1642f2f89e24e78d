"""Bytes to messages and back: the AWS event stream (`application/vnd.amazon.eventstream`), with both its checksums.

Rule: a message comes out whole and checked, or not at all; what its headers mean is for `dialects`.

A message is a prelude (total length, length of the headers, CRC-32 of these eight bytes), the headers, the payload,
and the CRC-32 of everything before it. Numbers are big-endian.
"""

import struct
from collections.abc import Mapping
from struct import Struct
from uuid import UUID
from zlib import crc32

import msgspec

from midstream.protocol.frames import FrameTooLarge, WireError

# The limits of the format itself, which the AWS SDKs keep too.
HEADERS_BYTES_MAX = 128 << 10
PAYLOAD_BYTES_MAX = 24 << 20

_PRELUDE = Struct(">III")
_CHECKSUM = Struct(">I")
_PRELUDE_BYTES = _PRELUDE.size
_FRAMING_BYTES = _PRELUDE.size + _CHECKSUM.size
_unpack_prelude, _unpack_checksum = _PRELUDE.unpack_from, _CHECKSUM.unpack_from

# Bedrock sends the same headers with every chunk of every stream, and one other set for each kind of exception: they
# are remembered for all decoders together, in 64 KiB at most. Whoever sends many others makes them be read anew.
_KNOWN_HEADERS_MAX = 64
_KNOWN_HEADERS_BYTES_MAX = 1 << 10


class PreludeChecksumMismatch(WireError):
    """The checksum of the two lengths is wrong, so it is not known where the message ends."""


class MessageChecksumMismatch(WireError):
    """The checksum of the message is wrong: it was damaged on the way."""


class InvalidLength(WireError):
    """The two lengths contradict each other."""


class InvalidHeaders(WireError):
    """The checksums are right, and yet the headers cannot be read."""


class Byte(int):
    """An integer of one byte. It is an `int` that remembers its size on the wire."""


class Short(int):
    """An integer of two bytes."""


class Int(int):
    """An integer of four bytes."""


class Long(int):
    """An integer of eight bytes."""


class Timestamp(int):
    """Milliseconds since 1970, UTC."""


HeaderValue = bool | Byte | Short | Int | Long | bytes | str | Timestamp | UUID

_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9
_INTEGERS: dict[int, tuple[type[Byte | Short | Int | Long | Timestamp], Struct]] = {
    2: (Byte, Struct(">b")),
    3: (Short, Struct(">h")),
    4: (Int, Struct(">i")),
    5: (Long, Struct(">q")),
    8: (Timestamp, Struct(">q")),
}
_INTEGER_CODES = {kind: (code, form) for code, (kind, form) in _INTEGERS.items()}


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message, as the wire had it."""

    headers: Mapping[str, HeaderValue]
    """In the order of the wire. Messages with the same headers share one mapping: read it, never write to it."""
    payload: bytes
    raw: bytes
    """The whole message, framing included, byte for byte."""


class Decoder:
    """Turns chunks of a body into messages. After a broken one it stays failed: no later byte can be placed."""

    __slots__ = ("_headers_bytes_max", "_needed_bytes", "_payload_bytes_max", "_pending", "error")

    def __init__(
        self, *, headers_bytes_max: int = HEADERS_BYTES_MAX, payload_bytes_max: int = PAYLOAD_BYTES_MAX
    ) -> None:
        self.error: WireError | None = None
        """What was wrong with the first broken message."""
        self._headers_bytes_max = headers_bytes_max
        self._payload_bytes_max = payload_bytes_max
        self._pending = bytearray()
        # How many pending bytes there must be before anything more can be said: a prelude, then a whole message.
        self._needed_bytes = _PRELUDE_BYTES

    @property
    def pending(self) -> bytes:
        """What came after the last whole message; after an error, everything from the broken one on, up to then."""
        return bytes(self._pending)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that this chunk completes.

        Raises the error of a broken message, but never in place of whole messages: then the next call raises, and
        `error` tells at once.
        """
        messages, problem = self.feed_until_error(data)
        if problem is not None and not messages:
            raise problem
        return messages

    def feed_until_error(self, data: bytes) -> tuple[list[Message], WireError | None]:
        """The messages that this chunk completes, and what was wrong with the one after them."""
        if self.error is not None:
            return [], self.error
        pending = self._pending
        if pending:
            if len(pending) + len(data) < self._needed_bytes:
                pending += data
                return [], None
            data = bytes(pending) + data
            pending.clear()
        messages: list[Message] = []
        consumed, size = 0, len(data)
        self._needed_bytes = _PRELUDE_BYTES
        try:
            while size - consumed >= _PRELUDE_BYTES and (message := self._message(data, consumed)) is not None:
                messages.append(message)
                consumed += len(message.raw)
        except WireError as problem:
            self.error = problem
        if consumed < size:
            pending += data[consumed:] if consumed else data
        return messages, self.error

    def _message(self, data: bytes, begin: int) -> Message | None:
        """The message whose prelude is there, if it is whole. Else `_needed_bytes` says how long it must become."""
        total_bytes, headers_bytes, prelude_crc = _unpack_prelude(data, begin)
        if crc32(data[begin : begin + 8]) != prelude_crc:
            raise PreludeChecksumMismatch("the checksum of a prelude is wrong")
        payload_bytes = total_bytes - headers_bytes - _FRAMING_BYTES
        if payload_bytes < 0 or headers_bytes > self._headers_bytes_max or payload_bytes > self._payload_bytes_max:
            raise self._wrong_length(headers_bytes, payload_bytes)
        end = begin + total_bytes
        if len(data) < end:
            self._needed_bytes = total_bytes
            return None
        raw = data[begin:end]
        # The checksum covers the prelude too, its own checksum included; that of the first eight bytes is known.
        (checksum,) = _unpack_checksum(raw, total_bytes - 4)
        if crc32(raw[8:-4], prelude_crc) != checksum:
            raise MessageChecksumMismatch(f"the checksum of a message of {total_bytes:,} bytes is wrong")
        headers_end = _PRELUDE_BYTES + headers_bytes
        raw_headers = raw[_PRELUDE_BYTES:headers_end]
        headers = _known_headers.get(raw_headers)
        if headers is None:
            headers = _read_headers(raw_headers)
        return Message(headers, raw[headers_end:-4], raw)

    def _wrong_length(self, headers_bytes: int, payload_bytes: int) -> WireError:
        if headers_bytes > self._headers_bytes_max:
            return FrameTooLarge(headers_bytes, self._headers_bytes_max)
        if payload_bytes > self._payload_bytes_max:
            return FrameTooLarge(payload_bytes, self._payload_bytes_max)
        return InvalidLength(
            f"a message is {-payload_bytes:,} bytes too short for its headers of {headers_bytes:,} bytes"
        )


_known_headers: dict[bytes, dict[str, HeaderValue]] = {}


def _read_headers(raw: bytes) -> dict[str, HeaderValue]:
    headers = _decode_headers(raw)
    if len(raw) <= _KNOWN_HEADERS_BYTES_MAX:
        if len(_known_headers) >= _KNOWN_HEADERS_MAX:
            _known_headers.clear()
        _known_headers[raw] = headers
    return headers


def encode(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """One message as bytes. A number must be one of this module's integers: its size on the wire is part of it."""
    raw_headers = b"".join([_encode_header(name, value) for name, value in headers.items()])
    if len(raw_headers) > HEADERS_BYTES_MAX or len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(
            f"headers of {len(raw_headers):,} or a payload of {len(payload):,} bytes: more than the format has"
        )
    lengths = (len(raw_headers) + len(payload) + _FRAMING_BYTES).to_bytes(4) + len(raw_headers).to_bytes(4)
    message = lengths + _CHECKSUM.pack(crc32(lengths)) + raw_headers + payload
    return message + _CHECKSUM.pack(crc32(message))


def _decode_headers(raw: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    while at < len(raw):
        name_end = at + 1 + raw[at]
        name = _text(raw[at + 1 : name_end])
        if not name or name_end >= len(raw):
            raise InvalidHeaders("a header has no name, or its name goes on past the end of the headers")
        if name in headers:
            raise InvalidHeaders("two headers have the same name")
        headers[name], at = _decode_value(raw, name_end + 1, raw[name_end])
        if at > len(raw):
            raise InvalidHeaders("the value of a header goes on past the end of the headers")
    return headers


def _decode_value(raw: bytes, at: int, code: int) -> tuple[HeaderValue, int]:
    """A value, and where it ends. A value that is cut short is for the caller to find: it ends past the end."""
    if code in (_TRUE, _FALSE):
        return code == _TRUE, at
    if integer := _INTEGERS.get(code):
        kind, form = integer
        end = at + form.size
        return kind.from_bytes(raw[at:end], "big", signed=True), end
    if code in (_BYTES, _STRING):
        begin = at + 2
        end = begin + int.from_bytes(raw[at:begin], "big")
        value = raw[begin:end]
        return (value if code == _BYTES else _text(value)), end
    if code == _UUID:
        end = at + 16
        return UUID(bytes=raw[at:end].ljust(16, b"\0")), end
    raise InvalidHeaders(f"a header has a value of the unknown type {code}")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidHeaders("a name or a text in the headers is not UTF-8") from None


def _encode_header(name: str, value: HeaderValue) -> bytes:
    raw_name = name.encode()
    if not 0 < len(raw_name) <= 255:
        raise ValueError("the name of a header must have 1 to 255 bytes")
    return bytes([len(raw_name)]) + raw_name + _encode_value(value)


def _encode_value(value: HeaderValue) -> bytes:
    if isinstance(value, bool):
        return bytes([_TRUE if value else _FALSE])
    if isinstance(value, UUID):
        return bytes([_UUID]) + value.bytes
    if isinstance(value, str | bytes):
        raw, code = (value, _BYTES) if isinstance(value, bytes) else (value.encode(), _STRING)
        if len(raw) > 0xFFFF:
            raise ValueError("the value of a header must have at most 65,535 bytes")
        return bytes([code]) + len(raw).to_bytes(2) + raw
    try:
        code, form = _INTEGER_CODES[type(value)]
        return bytes([code]) + form.pack(value)
    except KeyError:
        raise TypeError(f"a header cannot hold a value of the type {type(value).__name__}") from None
    except struct.error as problem:
        raise ValueError(f"a header holds a number that is too large: {problem}") from None
