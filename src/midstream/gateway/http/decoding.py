"""Undoes the content encoding of a response: gzip and deflate, which need nothing but the standard library.

Rule: what goes in is not trusted: it gives bytes, in bounds, or `DecodingError`.
"""

import zlib

from midstream.gateway.http.heads import Headers

# One read of a socket is 256 KiB at most, and text as services send it shrinks to a thirtieth at the very best: twice
# that. A bomb shrinks to a thousandth.
OUTPUT_BYTES_MAX = 16 * 1024 * 1024

# One chunk may hold the end of a member and whole ones; thousands of empty ones are made to keep us busy.
MEMBERS_MAX = 64

_GZIP = 16 + zlib.MAX_WBITS


class DecodingError(Exception):
    """The body is not what its content-encoding says; the text is one sentence, without anything of the body."""


class Decoder:
    """Undoes one encoding; for one response."""

    __slots__ = ("_begun", "_held", "_inflate", "_is_gzip")

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._inflate = zlib.decompressobj(_GZIP) if is_gzip else None
        self._held = b""
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """What more can be read, as soon as it can. Raises DecodingError."""
        self._begun = self._begun or bool(data)
        inflate = self._inflate
        if inflate is None:
            data = self._held + data
            if len(data) < 2:
                self._held = data
                return b""
            self._held = b""
            inflate = self._inflate = zlib.decompressobj(zlib.MAX_WBITS if _has_zlib_header(data) else -zlib.MAX_WBITS)
        out = self._more(inflate, data)
        for _ in range(MEMBERS_MAX):
            data = inflate.unused_data
            if not data:
                return out
            if not self._is_gzip:
                raise DecodingError("bytes follow the compressed body")
            inflate = self._inflate = zlib.decompressobj(_GZIP)  # one member may follow another
            out += self._more(inflate, data, len(out))
        raise DecodingError(f"one chunk of the body holds more than {MEMBERS_MAX} compressed members")

    def end(self) -> bytes:
        """The body ended: what is left. Raises DecodingError if there should have been more."""
        if self._begun and (self._inflate is None or not self._inflate.eof):
            raise DecodingError("the compressed body ends too early")
        return b""

    def _more(self, inflate: "zlib._Decompress", data: bytes, had_bytes: int = 0) -> bytes:
        left_bytes = OUTPUT_BYTES_MAX - had_bytes
        try:
            out = inflate.decompress(data, left_bytes + 1)
        except zlib.error:
            raise DecodingError("the body is not compressed as its content-encoding says") from None
        if len(out) > left_bytes:
            raise DecodingError(f"one chunk of the body holds more than {OUTPUT_BYTES_MAX} bytes")
        return out


def decoder_for(headers: Headers) -> Decoder | None:
    """What undoes the content encoding of a response; ``None`` where there is none.

    Raises DecodingError for an encoding that was never offered.
    """
    words = [
        word.strip().lower()
        for name, value in headers
        if name == b"content-encoding"
        for word in value.split(b",")
        if word.strip().lower() not in (b"", b"identity")
    ]
    if not words:
        return None
    if len(words) > 1 or words[0] not in (b"gzip", b"x-gzip", b"deflate"):
        raise DecodingError("the content-encoding is neither gzip nor deflate")
    return Decoder(is_gzip=words[0] != b"deflate")


def _has_zlib_header(data: bytes) -> bool:
    """Whether the two bytes are those of RFC 1950: some servers send the bare stream instead."""
    return data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
