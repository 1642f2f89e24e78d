"""Content encodings: what was packed comes out, in any pieces; nothing else does."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.gateway.http.decoding import MEMBERS_MAX, OUTPUT_BYTES_MAX, Decoder, DecodingError, decoder_for
from midstream.gateway.http.heads import Headers

TEXT = "data: Brücken hängen.\n\n".encode() * 40


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": (b"gzip", gzip.compress),
    "x-gzip": (b"X-GZip", gzip.compress),
    "deflate": (b"deflate", zlib.compress),
    "bare deflate": (b" deflate ", raw_deflate),
    "two members": (b"gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
}


def decoder(encoding: bytes) -> Decoder:
    found = decoder_for([(b"content-encoding", encoding)])
    assert found is not None
    return found


@pytest.mark.parametrize("name", PACKERS)
def test_what_was_packed_comes_out_wherever_it_is_cut_in_two(name: str) -> None:
    encoding, pack = PACKERS[name]
    packed = pack(TEXT)
    for cut in range(len(packed) + 1):
        unpacking = decoder(encoding)
        assert unpacking.feed(packed[:cut]) + unpacking.feed(packed[cut:]) + unpacking.end() == TEXT


@pytest.mark.parametrize("name", PACKERS)
def test_what_was_packed_comes_out_byte_by_byte(name: str) -> None:
    encoding, pack = PACKERS[name]
    unpacking = decoder(encoding)
    assert b"".join(unpacking.feed(bytes([byte])) for byte in pack(TEXT)) + unpacking.end() == TEXT


@pytest.mark.parametrize("name", ["gzip", "deflate", "bare deflate"])
def test_a_packed_body_that_is_cut_is_not_taken_for_whole(name: str) -> None:
    encoding, pack = PACKERS[name]
    packed = pack(TEXT)
    for cut in range(1, len(packed)):
        unpacking = decoder(encoding)
        assert TEXT.startswith(unpacking.feed(packed[:cut]))
        with pytest.raises(DecodingError, match="too early"):
            unpacking.end()


def test_an_event_comes_out_as_soon_as_the_server_flushes_it() -> None:
    packer, unpacking = zlib.compressobj(wbits=31), decoder(b"gzip")
    for number in range(5):
        event = b"data: %d\n\n" % number
        assert unpacking.feed(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)) == event


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
def test_an_empty_body_is_whole(encoding: bytes) -> None:
    assert decoder(encoding).end() == b""


NO_ENCODING: list[Headers] = [[], [(b"content-encoding", b"identity")], [(b"content-encoding", b"")], [(b"x", b"gzip")]]


@pytest.mark.parametrize("headers", NO_ENCODING)
def test_without_an_encoding_there_is_nothing_to_undo(headers: Headers) -> None:
    assert decoder_for(headers) is None


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"deflate, br", b"secret"])
def test_an_encoding_that_was_not_offered_is_refused(encoding: bytes) -> None:
    with pytest.raises(DecodingError) as refused:
        decoder_for([(b"content-encoding", encoding)])
    assert str(refused.value) == "the content-encoding is neither gzip nor deflate"


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(OUTPUT_BYTES_MAX + 1))
    with pytest.raises(DecodingError, match="more than 16777216 bytes"):
        decoder(b"gzip").feed(bomb)
    whole = bytes(OUTPUT_BYTES_MAX)
    assert decoder(b"gzip").feed(gzip.compress(whole)) == whole


def test_a_bomb_in_two_members_is_one_bomb() -> None:
    half = gzip.compress(bytes(OUTPUT_BYTES_MAX // 2 + 1))
    with pytest.raises(DecodingError, match="more than 16777216 bytes"):
        decoder(b"gzip").feed(half + half)


def test_thousands_of_empty_members_are_refused() -> None:
    empty = gzip.compress(b"")
    assert decoder(b"gzip").feed(empty * MEMBERS_MAX) == b""
    with pytest.raises(DecodingError, match="more than 64 compressed members"):
        decoder(b"gzip").feed(empty * 5_000)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        (b"gzip", b"data: hello\n\n"),
        (b"deflate", b"\xff\xff\xff"),
        (b"gzip", gzip.compress(TEXT) + b"rubbish"),
        (b"deflate", zlib.compress(TEXT) + b"rubbish"),
        (b"gzip", gzip.compress(TEXT)[:-8] + bytes(8)),
    ],
    ids=["not packed", "no such block", "rubbish behind gzip", "rubbish behind deflate", "a wrong checksum"],
)
def test_what_is_not_what_it_says_is_refused(encoding: bytes, data: bytes) -> None:
    with pytest.raises(DecodingError):
        decoder(encoding).feed(data)


@given(st.sampled_from([b"gzip", b"deflate"]), st.lists(st.binary(max_size=64), max_size=8))
def test_any_bytes_give_bytes_or_a_decoding_error(encoding: bytes, pieces: list[bytes]) -> None:
    unpacking = decoder(encoding)
    try:
        for piece in pieces:
            assert isinstance(unpacking.feed(piece), bytes)
        unpacking.end()
    except DecodingError as refused:
        assert str(refused)
