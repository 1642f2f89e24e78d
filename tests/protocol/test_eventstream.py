"""AWS event streams: every vector runs whole, byte by byte, and cut at every position."""

import copy
import struct
from base64 import b64decode
from collections.abc import Iterator
from typing import Any
from uuid import UUID
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.protocol import eventstream
from midstream.protocol.eventstream import (
    Byte,
    Decoder,
    HeaderValue,
    Int,
    InvalidHeaders,
    InvalidLength,
    Long,
    Message,
    MessageChecksumMismatch,
    PreludeChecksumMismatch,
    Short,
    Timestamp,
    encode,
)
from midstream.protocol.frames import FrameTooLarge, WireError
from tests import shared_data

VECTORS = shared_data.lines("eventstream_vectors/vectors.jsonl")
VALID = [vector for vector in VECTORS if vector["expect"] == "ok"]
INVALID = [vector for vector in VECTORS if vector["expect"] == "error"]
CAPTURES = shared_data.captures("aws-eventstream")

TYPES: dict[str, type] = {
    "bool_true": bool,
    "bool_false": bool,
    "byte": Byte,
    "int16": Short,
    "int32": Int,
    "int64": Long,
    "bytes": bytes,
    "string": str,
    "timestamp": Timestamp,
    "uuid": UUID,
}

# What each name that the sources give an error is here. A message that is only cut short is no error: it is pending.
# The damaged headers of smithy-rs were made without a new checksum, so the checksum speaks first.
ERRORS: dict[str, type[WireError] | None] = {
    "Prelude checksum mismatch": PreludeChecksumMismatch,
    "Message checksum mismatch": MessageChecksumMismatch,
    "invalid_prelude_checksum": PreludeChecksumMismatch,
    "invalid_message_checksum": MessageChecksumMismatch,
    "invalid_header_name_length": MessageChecksumMismatch,
    "invalid_header_name_length_too_long": MessageChecksumMismatch,
    "invalid_header_string_length_cut_off": MessageChecksumMismatch,
    "invalid_header_string_value_length": MessageChecksumMismatch,
    "invalid_header_value_type": MessageChecksumMismatch,
    "invalid_headers_length": InvalidLength,
    "message crc at 0": InvalidLength,
    "trailing 13 bytes": InvalidLength,
    "DuplicateHeader": InvalidHeaders,
    "InvalidHeadersLength": FrameTooLarge,
    "InvalidPayloadLength": FrameTooLarge,
    "InvalidEventBytes": None,
    "damaged frame": PreludeChecksumMismatch,
}

CHUNK = encode({":event-type": "chunk", ":message-type": "event"}, b'{"bytes":"e30="}')


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """One piece, single bytes, and two pieces in every way."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def outcome(chunks: list[bytes]) -> tuple[list[Message], type[WireError] | None, bytes]:
    """All whole messages, the class of the error, and the bytes that are in neither."""
    decoder = Decoder()
    messages = []
    for chunk in chunks:
        whole, error = decoder.feed_until_error(chunk)
        messages += whole
        assert error is decoder.error
    kept, wire = b"".join(message.raw for message in messages) + decoder.pending, b"".join(chunks)
    if decoder.error is not None:
        assert wire.startswith(kept)
        return messages, type(decoder.error), b""
    assert kept == wire
    return messages, None, decoder.pending


def wire_of(vector: dict[str, Any]) -> bytes:
    if "encoded_b64" in vector:
        return b64decode(vector["encoded_b64"])
    parts = vector["encoded_parts"]
    return b"".join(b64decode(part.get("b64") or part["repeat_b64"]) * part.get("times", 1) for part in parts)


def value_of(header: dict[str, Any]) -> HeaderValue:
    kind = TYPES[header["type_name"]]
    if kind is UUID:
        return UUID(bytes=b64decode(header["value"]))
    return b64decode(header["value"]) if kind is bytes else kind(header["value"])


@pytest.mark.shared
@pytest.mark.parametrize("vector", shared_data.parameters(VALID))
def test_valid_vectors_are_read_and_written_back(vector: dict[str, Any]) -> None:
    shared_data.require()
    wire = wire_of(vector)
    messages, error, pending = outcome([wire])
    assert (error, pending) == (None, b"")
    assert len(messages) == len(vector["decoded"])
    for message, expected in zip(messages, vector["decoded"], strict=True):
        headers = {header["name"]: value_of(header) for header in expected["headers"]}
        assert list(message.headers.items()) == list(headers.items())
        assert [type(value) for value in message.headers.values()] == [type(value) for value in headers.values()]
        assert message.payload == b64decode(expected["payload_b64"])
    assert b"".join(encode(message.headers, message.payload) for message in messages) == wire
    for cut in cuts(wire):
        assert outcome(cut) == (messages, None, b"")


@pytest.mark.shared
@pytest.mark.parametrize("vector", shared_data.parameters(INVALID))
def test_invalid_vectors_are_refused_with_a_typed_error(vector: dict[str, Any]) -> None:
    shared_data.require()
    wire = wire_of(vector)
    if vector["error"] == "ChecksumMismatch":  # one name for both checksums, but the test is named for what it damages
        name = "Prelude" if vector["name"].endswith("length") else "Message"
        expected = ERRORS[f"{name} checksum mismatch"]
    else:
        expected = ERRORS[vector["error"]]
    assert outcome([wire])[1] is expected
    for cut in cuts(wire) if len(wire) < 1000 else [[wire[:7], wire[7:]]]:
        assert outcome(cut)[1:] == outcome([wire])[1:]
    if expected is None:
        assert outcome([wire]) == ([], None, wire)


@pytest.mark.shared
@pytest.mark.parametrize("capture", shared_data.parameters(CAPTURES))
def test_recorded_streams_are_read_in_any_pieces_and_written_back(capture: shared_data.Capture) -> None:
    shared_data.require()
    body = capture.body
    messages, error, pending = outcome([body])
    assert (error, pending) == (None, b"")
    assert len(messages) == sum(capture.notes["event_counts"].values())
    assert b"".join(encode(message.headers, message.payload) for message in messages) == body
    for size_bytes in (1, 7, 1000):
        assert outcome([body[at : at + size_bytes] for at in range(0, len(body), size_bytes)])[0] == messages


# --- what comes when ---


def test_whole_messages_are_handed_over_before_the_error() -> None:
    broken = CHUNK[:-1] + bytes([CHUNK[-1] ^ 1])
    decoder = Decoder()
    assert [message.raw for message in decoder.feed(CHUNK + CHUNK + broken + CHUNK)] == [CHUNK, CHUNK]
    assert isinstance(decoder.error, MessageChecksumMismatch)
    assert decoder.pending == broken + CHUNK
    with pytest.raises(MessageChecksumMismatch):
        decoder.feed(CHUNK)


def test_a_decoder_that_failed_stays_failed_and_keeps_no_more_bytes() -> None:
    decoder = Decoder()
    _, error = decoder.feed_until_error(bytes(12))
    assert isinstance(error, PreludeChecksumMismatch)
    assert decoder.feed_until_error(CHUNK) == ([], error)
    assert decoder.pending == bytes(12)


def test_a_broken_prelude_is_told_before_the_message_is_there() -> None:
    with pytest.raises(PreludeChecksumMismatch):
        Decoder().feed(b"\xff" * 12)


@pytest.mark.parametrize("at", range(len(CHUNK)))
def test_no_byte_can_be_changed_unseen(at: int) -> None:
    damaged = CHUNK[:at] + bytes([CHUNK[at] ^ 0x10]) + CHUNK[at + 1 :]
    _, error, _ = outcome([damaged])
    assert error is (PreludeChecksumMismatch if at < 12 else MessageChecksumMismatch)


def test_the_first_message_of_a_stream_of_one_is_not_copied() -> None:
    assert Decoder().feed(CHUNK)[0].raw is CHUNK


def test_more_sets_of_headers_than_are_remembered_are_read_all_the_same() -> None:
    wires = [encode({"number": Int(number)}, b"") for number in range(100)] + [encode({"long": "x" * 2000}, b"")]
    messages = Decoder().feed(b"".join(wires * 2))
    assert [message.headers for message in messages[:101]] == [message.headers for message in messages[101:]]
    assert messages[99].headers == {"number": 99}
    assert messages[100].headers == {"long": "x" * 2000}


def test_a_copy_goes_on_by_itself() -> None:
    decoder = Decoder()
    decoder.feed(CHUNK + CHUNK[:20])
    other = copy.deepcopy(decoder)
    assert len(decoder.feed(CHUNK[20:])) == len(other.feed(CHUNK[20:])) == 1


# --- headers ---


def message_with_headers(raw_headers: bytes) -> bytes:
    """A message whose checksums are right, whatever its headers are."""
    lengths = struct.pack(">II", 16 + len(raw_headers), len(raw_headers))
    checked = lengths + struct.pack(">I", crc32(lengths)) + raw_headers
    return checked + struct.pack(">I", crc32(checked))


@pytest.mark.parametrize(
    "raw_headers",
    [
        pytest.param(b"\x00\x00", id="no name"),
        pytest.param(b"\x05abc", id="a name cut short"),
        pytest.param(b"\x01a", id="no type"),
        pytest.param(b"\x01a\x0a", id="an unknown type"),
        pytest.param(b"\x01a\x02", id="no byte"),
        pytest.param(b"\x01a\x05\0\0\0", id="a long cut short"),
        pytest.param(b"\x01a\x06\0", id="a length cut short"),
        pytest.param(b"\x01a\x07\0\x02a", id="a text cut short"),
        pytest.param(b"\x01a\x09" + bytes(15), id="a uuid cut short"),
        pytest.param(b"\x01a\x00\x01a\x01", id="a name twice"),
        pytest.param(b"\x01\xff\x00", id="a name that is not UTF-8"),
        pytest.param(b"\x01a\x07\0\x01\xff", id="a text that is not UTF-8"),
    ],
)
def test_headers_that_cannot_be_read_are_refused(raw_headers: bytes) -> None:
    with pytest.raises(InvalidHeaders):
        Decoder().feed(message_with_headers(raw_headers))


def test_a_number_is_an_int_that_remembers_its_size() -> None:
    (message,) = Decoder().feed(encode({"a": Byte(-5), "b": Timestamp(5)}, b""))
    assert message.headers == {"a": -5, "b": 5}
    assert [type(value) for value in message.headers.values()] == [Byte, Timestamp]


@pytest.mark.parametrize(
    ("name", "value"),
    [("", True), ("n" * 256, True), ("a", Byte(128)), ("a", Long(1 << 63)), ("a", "x" * 65_536), ("a", bytes(65_536))],
)
def test_what_does_not_fit_a_header_is_not_encoded(name: str, value: HeaderValue) -> None:
    with pytest.raises(ValueError, match="header"):
        encode({name: value}, b"")


def test_a_number_without_a_size_is_not_encoded() -> None:
    with pytest.raises(TypeError, match="int"):
        encode({"a": 5}, b"")  # type: ignore[dict-item]


# --- the bounds ---


def test_headers_and_payloads_over_the_bounds_are_refused_by_their_prelude() -> None:
    wire = encode({"a": "b"}, b"12345")
    assert len(Decoder(headers_bytes_max=6, payload_bytes_max=5).feed(wire)) == 1
    for decoder in (Decoder(headers_bytes_max=5), Decoder(payload_bytes_max=4)):
        with pytest.raises(FrameTooLarge):
            decoder.feed(wire[:12])


@pytest.mark.parametrize(
    ("headers", "payload"),
    [({"a": "x" * 60_000, "b": "x" * 60_000, "c": "x" * 60_000}, b""), ({}, bytes((24 << 20) + 1))],
)
def test_more_than_the_format_has_is_not_encoded(headers: dict[str, HeaderValue], payload: bytes) -> None:
    with pytest.raises(ValueError, match="more than the format"):
        encode(headers, payload)


def test_the_largest_message_comes_through_in_small_pieces() -> None:
    """Pieces are gathered in linear time: with a copy for each piece this would not end."""
    wire = encode({}, bytes(eventstream.PAYLOAD_BYTES_MAX))
    messages, error, pending = outcome([wire[at : at + 256] for at in range(0, len(wire), 256)])
    assert [message.raw == wire for message in messages] == [True]
    assert (error, pending) == (None, b"")


# --- any bytes ---

values = st.one_of(
    st.booleans(),
    st.integers(-(1 << 7), (1 << 7) - 1).map(Byte),
    st.integers(-(1 << 15), (1 << 15) - 1).map(Short),
    st.integers(-(1 << 31), (1 << 31) - 1).map(Int),
    st.integers(-(1 << 63), (1 << 63) - 1).map(Long),
    st.integers(-(1 << 63), (1 << 63) - 1).map(Timestamp),
    st.binary(max_size=40),
    st.text(max_size=20),
    st.uuids(),
)
messages = st.builds(encode, st.dictionaries(st.text(min_size=1, max_size=20), values, max_size=4), st.binary())
unreadable = st.binary(max_size=20).map(message_with_headers)


@given(st.dictionaries(st.text(min_size=1, max_size=20), values), st.binary())
def test_what_is_encoded_is_read_back(headers: dict[str, HeaderValue], payload: bytes) -> None:
    wire = encode(headers, payload)
    (message,) = Decoder().feed(wire)
    assert message == Message(headers, payload, wire)
    assert [type(value) for value in message.headers.values()] == [type(value) for value in headers.values()]
    assert encode(message.headers, message.payload) == wire


@given(st.lists(messages | unreadable | st.binary(max_size=20), max_size=5).map(b"".join), st.data())
@settings(deadline=None)
def test_any_bytes_in_any_chunks_end_in_messages_a_typed_error_or_pending_bytes(
    wire: bytes, data: st.DataObject
) -> None:
    at = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    chunks = [wire[begin:end] for begin, end in zip([0, *at], [*at, len(wire)], strict=True)]
    whole, error, pending = outcome([wire])
    assert outcome(chunks) == (whole, error, pending)
    for message in whole:
        assert encode(message.headers, message.payload) == message.raw
