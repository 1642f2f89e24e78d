"""Undoes what wraps a body: a content encoding, or the chunks of HTTP/1.1 that a raw capture still has.

Rule: the bytes decide, the headers only where bytes say nothing: curl undoes an encoding and leaves its header.
"""

import re
import zlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Protocol

KNOWN = ("gzip", "deflate", "br", "zstd")

OUTPUT_BYTES_MAX = 1 << 20
"""What one step gives at most, so that a bomb passes by piece by piece instead of filling the memory."""


class Undoing(Protocol):
    """Undoes one wrapping. What is wrong is told once by `problem`, and what came before it is kept."""

    problem: str
    """What is wrong with the wrapping; empty while all is well."""
    done: bool
    """The wrapping says that this is all."""

    def feed(self, data: bytes) -> bytes:
        """What more can be read; at most `OUTPUT_BYTES_MAX`, and then `feed` with nothing gives more."""


class Inflate:
    """gzip and zlib, members in a row included."""

    def __init__(self, *, raw: bool = False) -> None:
        self.problem, self.done = "", False
        self._bits = -zlib.MAX_WBITS if raw else 32 + zlib.MAX_WBITS
        self._inflate = zlib.decompressobj(self._bits)
        self._waiting = b""

    def feed(self, data: bytes) -> bytes:
        if self.problem:
            return b""
        data, self._waiting, out = self._waiting + data, b"", b""
        while data and not out and not self.problem:
            if self._inflate.eof:  # one member may follow another
                self._inflate = zlib.decompressobj(self._bits)
            try:
                out = self._inflate.decompress(data, OUTPUT_BYTES_MAX)
            except zlib.error:
                self.problem = "the compressed body is damaged"
                break
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
        self._waiting = data
        self.done = self._inflate.eof and not data
        return out


class Bounded:
    """brotli and zstd, by whichever package is there and gives its output in bounds."""

    def __init__(self, more: Callable[[bytes], bytes]) -> None:
        self.problem, self.done = "", False
        self._more = more

    def feed(self, data: bytes) -> bytes:
        if self.problem:
            return b""
        try:
            return self._more(data)
        except EOFError:
            self.done = True
        except Exception:  # each package has an error of its own, and none says more than that
            self.problem = "the compressed body is damaged"
        return b""


class Unchunk:
    """The chunks of HTTP/1.1 (RFC 9112 §7.1), as a raw capture has them."""

    def __init__(self) -> None:
        self.problem, self.done = "", False
        self._held = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        self._held += data
        out: list[bytes] = []
        while self._held and not self.done and not self.problem:
            if self._left > 2:  # the two are the line end behind the data
                part = self._held[: self._left - 2]
                out.append(part)
                self._left -= len(part)
                self._held = self._held[len(part) :]
            elif self._left > 0:
                size = min(self._left, len(self._held))
                self._left -= size
                self._held = self._held[size:]
            elif not self._head():
                break
        return b"".join(out)

    def _head(self) -> bool:
        end = self._held.find(b"\n")
        if end < 0:
            if len(self._held) > CHUNK_HEAD_BYTES_MAX:
                self.problem = "the head of a chunk has no end"
            return False
        match = CHUNK_HEAD.fullmatch(self._held[: end + 1])
        if match is None:
            self.problem = "the head of a chunk is no number"
            return False
        size = int(match[1], 16)
        self._held = self._held[end + 1 :]
        self.done, self._left = size == 0, size + 2 if size else 0
        return True


CHUNK_HEAD_BYTES_MAX = 1024
"""A size has at most 16 digits; extensions, which nobody sends, fit besides."""
CHUNK_HEAD = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_CHUNKED_BEGIN = re.compile(rb"[0-9a-fA-F]{1,8}(?:;[^\r\n]{0,200})?\r\n")


def looks_chunked(begun: bytes) -> bool:
    """Whether a body begins with the head of a chunk. No line of an event stream is a bare number in hexadecimal."""
    return _CHUNKED_BEGIN.match(begun) is not None


def looks_encoded(begun: bytes, encoding: str = "") -> str | None:
    """The name of the content encoding that a body is really in; ``None`` for none."""
    if begun.startswith(b"\x1f\x8b"):
        return "gzip"
    if begun.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    if begun[:2] in (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"):  # RFC 1950 at the levels that zlib has
        return "deflate"
    named = encoding.strip().lower()
    if named in ("br", "deflate") and not _is_readable(begun):
        return named
    return None


def undoing_of(encoding: str, begun: bytes) -> Undoing | None:
    """What undoes this encoding; ``None`` if the package that it needs is not installed."""
    if encoding == "gzip":
        return Inflate()
    if encoding == "deflate":
        return Inflate(raw=looks_encoded(begun) != "deflate")
    return _brotli() if encoding == "br" else _zstd()


def _zstd() -> Undoing | None:
    """Python 3.14 has it; for older ones there is its backport."""
    for package in ("compression.zstd", "backports.zstd"):
        try:
            inner = import_module(package).ZstdDecompressor()
        except ImportError:
            continue
        return Bounded(partial(inner.decompress, max_length=OUTPUT_BYTES_MAX))
    return None


def _brotli() -> Undoing | None:
    """The package ``Brotli``, from 1.2 on: before, it gave all that a few bytes stand for at once, however much."""
    try:
        inner = import_module("brotli").Decompressor()
        inner.process(b"", output_buffer_limit=OUTPUT_BYTES_MAX)
    except (ImportError, AttributeError, TypeError):
        return None
    return Bounded(lambda data: inner.process(data, output_buffer_limit=OUTPUT_BYTES_MAX))


def _is_readable(begun: bytes) -> bool:
    """Whether these bytes are an event stream, a document or a page as they stand."""
    head = begun.removeprefix(b"\xef\xbb\xbf").lstrip()[:64]
    return begun[:1] in (b"\0", b"\1") or all(byte >= 0x20 or byte in b"\r\n\t" for byte in head)
