"""What wraps a body comes off, in any pieces; what is damaged is said, and what came before it is kept."""

import gzip
import zlib
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from midstream.doctor.recording import coding
from midstream.doctor.recording.coding import OUTPUT_BYTES_MAX, Inflate, Unchunk, Undoing

TEXT = b'event: ping\ndata: {"type":"ping"}\n\n' * 200


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def undone(undoing: Undoing, data: bytes, step: int) -> bytes:
    out = b""
    for at in range(0, len(data), step):
        more = undoing.feed(data[at : at + step])
        while more:
            assert len(more) <= OUTPUT_BYTES_MAX
            out += more
            more = undoing.feed(b"")
    return out


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("data", "encoding", "name"),
    [
        (gzip.compress(TEXT), "", "gzip"),
        (gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]), "gzip", "gzip"),
        (zlib.compress(TEXT), "", "deflate"),
        (raw_deflate(TEXT), "deflate", "deflate"),
    ],
    ids=["gzip", "two members", "zlib", "deflate"],
)
def test_an_encoding_is_known_by_its_bytes_and_undone(data: bytes, encoding: str, name: str, step: int) -> None:
    assert coding.looks_encoded(data, encoding) == name
    undoing = coding.undoing_of(name, data)
    assert undoing is not None
    assert undone(undoing, data, step) == TEXT
    assert undoing.done and not undoing.problem


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", ""])
@pytest.mark.parametrize("begun", [b"event: ping\n", b'{"type":"error"}', b"<html>", b"\0\0\0\x80", b"xylophone"])
def test_what_can_be_read_is_not_encoded_whatever_the_header_says(begun: bytes, encoding: str) -> None:
    assert coding.looks_encoded(begun, encoding) is None


def test_brotli_has_no_mark_of_its_own_so_the_header_is_believed_where_nothing_can_be_read() -> None:
    assert coding.looks_encoded(b"\x8b\x01\x80\x03", "br") == "br"
    assert coding.looks_encoded(b"\x8b\x01\x80\x03", "") is None


def test_a_damaged_body_is_read_up_to_the_damage() -> None:
    inflate = Inflate()
    assert undone(inflate, gzip.compress(TEXT) + b"something else", 1000) == TEXT
    assert inflate.problem and inflate.feed(gzip.compress(TEXT)) == b""


def test_a_bomb_passes_piece_by_piece() -> None:
    bomb = gzip.compress(b"\0" * (16 << 20))
    assert len(undone(Inflate(), bomb, len(bomb))) == 16 << 20


COMPRESSORS: list[tuple[str, str, str]] = [
    ("br", "brotli", "compress"),
    ("zstd", "compression.zstd", "compress"),
    ("zstd", "backports.zstd", "compress"),
]


def _compressed(name: str) -> bytes | None:
    for encoding, package, function in COMPRESSORS:
        try:
            made: Any = getattr(import_module(package), function)(TEXT) if encoding == name else None
        except ImportError:
            continue
        if made is not None:
            return bytes(made)
    return None


@pytest.mark.parametrize("name", ["br", "zstd"])
def test_what_the_python_here_can_undo_is_undone_and_otherwise_nothing_is_claimed(name: str) -> None:
    data = _compressed(name)
    undoing = coding.undoing_of(name, b"")
    assert (undoing is None) == (data is None)
    if undoing is not None and data is not None:
        assert coding.looks_encoded(data, name) == name
        assert undone(undoing, data, 50) == TEXT
        damaged = coding.undoing_of(name, b"")
        assert damaged is not None
        undone(damaged, b"\x01\x02\x03" * 100, 300)
        assert damaged.problem


def test_a_package_is_asked_for_no_more_than_the_bound_and_its_errors_are_one_problem() -> None:
    def more(data: bytes) -> bytes:
        if data == b"end":
            raise EOFError
        if data == b"bad":
            raise OSError("of some kind")
        return data.upper()

    bounded = coding.Bounded(more)
    assert bounded.feed(b"abc") == b"ABC" and bounded.feed(b"end") == b"" and bounded.done
    assert bounded.feed(b"bad") == b"" and bounded.problem and bounded.feed(b"abc") == b""


@pytest.mark.parametrize("name", ["br", "zstd"])
def test_a_package_that_is_there_is_used_in_bounds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Decompressor:
        def process(self, data: bytes, *, output_buffer_limit: int) -> bytes:
            asked.append(output_buffer_limit)
            return data

        def decompress(self, data: bytes, max_length: int) -> bytes:
            asked.append(max_length)
            return data

    package = SimpleNamespace(Decompressor=Decompressor, ZstdDecompressor=Decompressor)
    monkeypatch.setattr(coding, "import_module", lambda _: package)
    undoing = coding.undoing_of(name, b"")
    assert undoing is not None and undoing.feed(b"x") == b"x" and set(asked) == {OUTPUT_BYTES_MAX}
    del Decompressor.process
    assert (coding.undoing_of(name, b"") is None) == (name == "br")  # an old brotli knows no bounds


CHUNKED = b"5\r\nevent\r\n1;x=y\r\n:\r\nB\r\n ping\ndata:\r\n0\r\n\r\n"


@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_chunks_are_taken_out(step: int) -> None:
    unchunk = Unchunk()
    assert undone(unchunk, CHUNKED, step) == b"event: ping\ndata:"
    assert unchunk.done and not unchunk.problem
    assert coding.looks_chunked(CHUNKED)


@pytest.mark.parametrize("cut", range(len(CHUNKED) - 4))
def test_chunks_that_are_cut_are_not_done(cut: int) -> None:
    unchunk = Unchunk()
    assert b"event: ping\ndata:".startswith(undone(unchunk, CHUNKED[:cut], 3))
    assert not unchunk.done and not unchunk.problem


@pytest.mark.parametrize("data", [b"zz\r\nabc", b"5\r\nevent\r\nzz\r\n", b"1" * 2000])
def test_a_head_that_is_no_number_is_a_problem(data: bytes) -> None:
    unchunk = Unchunk()
    unchunk.feed(data)
    assert unchunk.problem


@pytest.mark.parametrize("begun", [b"event: x\n", b"data: x\n", b"", b"abc", b"\0\0\0\x80\r\n"])
def test_no_stream_looks_chunked(begun: bytes) -> None:
    assert not coding.looks_chunked(begun)
