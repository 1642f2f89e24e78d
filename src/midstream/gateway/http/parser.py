"""Bytes → one request: httptools, with a gate before it and a second look behind.

Rule: what two servers could read differently is refused, whether or not the parser of the day lets it pass.
"""

import re
from typing import Final, NamedTuple, Protocol

import httptools

from midstream.gateway.http.heads import TOKEN, VALUE, Headers, listed
from midstream.gateway.http.limits import BadRequest, BodyTooLarge, HeadTooLarge, Limits, Refused

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""What an API has. CONNECT would make a tunnel of us, and TRACE shows a client's credentials to whoever made it ask."""

# A line is taken whole or not at all: one space, no byte outside ASCII, a path and not another server's address.
_LINE = re.compile(rb"([A-Z]{1,16}) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])\r\n")
_TARGET = re.compile(rb"/[^#\\]*")
_HOST = re.compile(rb"[!$&'()*+\-.0-9:;=A-Z\[\]_a-z~%]*")
_LENGTH = re.compile(rb"[0-9]{1,18}")

# Method, version and spaces of a request line.
_LINE_REST_BYTES = 32

# What sizes, extensions and trailers of a chunked body may cost: the smallest honest chunk, of one byte, has five bytes
# around it. Without this bound an extension that never ends is a body that never counts.
_FRAMING_BYTES_PER_BYTE = 8
_FRAMING_BYTES_FREE = 64 << 10


class Head(NamedTuple):
    """The first line and the headers of a request, found to be in order."""

    method: str
    target: str
    headers: Headers
    http_1_0: bool
    content_length: int | None
    chunked: bool
    keeps_alive: bool
    """Whether the client would use the connection again."""
    expects_continue: bool


class Sink(Protocol):
    """Who is told what was read."""

    def head_arrived(self, head: Head) -> None:
        """The head is whole. The body may follow."""

    def body_arrived(self, data: bytes) -> None:
        """A piece of the body."""

    def request_arrived(self) -> None:
        """The request is whole."""


class RequestParser:
    """Reads one request, and no byte beyond it."""

    __slots__ = (
        "_body_bytes", "_head", "_headers", "_held", "_limits", "_line", "_parser", "_raw_bytes", "_refusal",
        "_sink", "_size_bytes", "complete", "excess"
    )  # fmt: skip

    def __init__(self, sink: Sink, limits: Limits) -> None:
        self._sink = sink
        self._limits: Final = limits
        self._parser: httptools.HttpRequestParser | None = None
        self._held = b""
        self._line: tuple[str, str, bool] = ("", "", False)
        self._headers: Headers = []
        self._head: Head | None = None
        self._size_bytes = 0
        self._raw_bytes = 0
        self._body_bytes = 0
        self._refusal: Refused | None = None
        self.complete = False
        """Whether the whole request has arrived."""
        self.excess = False
        """Whether bytes came behind it."""

    @property
    def method(self) -> str:
        """The method, as soon as it is known."""
        return self._line[0]

    def feed(self, data: bytes) -> None:
        """Read on. Raises `Refused`; after that, and after `complete`, nothing more may be fed."""
        if self._parser is None:
            held = self._held + data
            if not self._take_line(held):
                self._held = held
                return
            data, self._held = held, b""
            self._parser = httptools.HttpRequestParser(self)
        self._raw_bytes += len(data)
        self._parse(self._parser, data)
        self._check_sizes()

    def _parse(self, parser: httptools.HttpRequestParser, data: bytes) -> None:
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            if self._refusal is not None:
                raise self._refusal from None
            if not self.complete:
                what = "headers are" if self._head is None else "framing of the body is"
                raise BadRequest(f"The {what} not as HTTP/1.1 has them.") from None
            self.excess = True

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Go on without it: clients offer HTTP/2 with every first request (the JDK's does), and one may say no.

        For llhttp the request ends with the offer. A second parser reads the body, from a head that says only how long
        it is.
        """
        if self.complete:
            self.excess = bool(rest)
            return
        head = self._head
        assert head is not None, "llhttp finds the offer at the end of the head"
        self._parser = httptools.HttpRequestParser(self)
        framing = b"transfer-encoding: chunked" if head.chunked else b"content-length: %d" % (head.content_length or 0)
        self._parse(self._parser, b"POST / HTTP/1.1\r\nhost: a\r\n" + framing + b"\r\n\r\n" + rest)

    def _take_line(self, held: bytes) -> bool:
        """Whether the request line is whole; a wrong one is refused as early as it can be told."""
        if not 0x41 <= held[0] <= 0x5A:
            raise BadRequest("The first line is not one of HTTP/1.1.")
        longest = self._limits.target_bytes + _LINE_REST_BYTES
        end = held.find(b"\n", 0, longest)
        if end < 0:
            if len(held) >= longest:
                raise BadRequest(f"The path is longer than {self._limits.target_bytes:,} bytes.", 414)
            return False
        self._line = line_of(held[: end + 1], self._limits)
        return True

    def _check_sizes(self) -> None:
        if self._head is None and self._raw_bytes > self._limits.head_bytes:
            raise self._too_large()
        free = self._limits.head_bytes + _FRAMING_BYTES_FREE
        if self._raw_bytes > free + self._body_bytes * _FRAMING_BYTES_PER_BYTE:
            raise BadRequest("The chunks of the body are more framing than body.")

    def _too_large(self) -> HeadTooLarge:
        return HeadTooLarge(f"The headers are longer than {self._limits.head_bytes:,} bytes.")

    def _refuse(self, problem: Refused) -> Refused:
        # What a callback raises reaches `feed` as an error of the parser's.
        self._refusal = problem
        return problem

    # --- called by httptools ---

    def on_message_begin(self) -> None:
        """A request; behind a whole one it is one too many, and stops the parser."""
        if self.complete:
            raise BadRequest("Another request came before this one was answered.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; behind the body they are trailers, of which nothing is kept."""
        if self._head is not None:
            return
        self._size_bytes += len(name) + len(value) + 4
        if self._size_bytes > self._limits.head_bytes:
            raise self._refuse(self._too_large())
        if len(self._headers) >= self._limits.headers:
            raise self._refuse(HeadTooLarge(f"There are more than {self._limits.headers} headers."))
        if TOKEN.fullmatch(name) is None or VALUE.fullmatch(value) is None:
            raise self._refuse(BadRequest("A header holds a character that may not stand there."))
        self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._head is not None:
            return
        try:
            self._head = head_of(self._line, self._headers, self._limits)
        except Refused as problem:
            self._refusal = problem
            raise
        self._sink.head_arrived(self._head)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._body_bytes += len(data)
        if self._body_bytes > self._limits.body_bytes:
            raise self._refuse(BodyTooLarge(self._limits.body_bytes))
        self._sink.body_arrived(data)

    def on_message_complete(self) -> None:
        """The request is whole, unless only llhttp thinks so: see `_ignore_upgrade`."""
        head, parser = self._head, self._parser
        offered = parser is not None and parser.should_upgrade()
        if head is not None and offered and (head.chunked or head.content_length):
            return
        self.complete = True
        self._sink.request_arrived()


def line_of(line: bytes, limits: Limits) -> tuple[str, str, bool]:
    """Method, target, and whether it is HTTP/1.0. Raises `BadRequest`."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadRequest("The first line is not one of HTTP/1.1.")
    method, target, major, minor = found.groups()
    if (major, minor) not in ((b"1", b"1"), (b"1", b"0")):
        raise BadRequest("Only HTTP/1.1 and HTTP/1.0 are spoken here.", 505)
    if method.decode() not in METHODS:
        raise BadRequest("This method is not one of the API's.", 405)
    if len(target) > limits.target_bytes:
        raise BadRequest(f"The path is longer than {limits.target_bytes:,} bytes.", 414)
    if _TARGET.fullmatch(target) is None:
        raise BadRequest("What is asked for is not a path.")
    return method.decode(), target.decode(), minor == b"0"


def head_of(line: tuple[str, str, bool], headers: Headers, limits: Limits) -> Head:
    """What the headers say about the request itself. Raises `Refused` if they say it in two ways, or none."""
    method, target, http_1_0 = line
    hosts, lengths, encodings, connections, expects = (
        [value for name, value in headers if name == wanted]
        for wanted in (b"host", b"content-length", b"transfer-encoding", b"connection", b"expect")
    )
    if len(hosts) > 1 or (not hosts and not http_1_0) or any(_HOST.fullmatch(host) is None for host in hosts):
        raise BadRequest("There must be one Host header, with a name or an address in it.")
    length = _length(lengths, limits)
    if encodings and (lengths or http_1_0 or [value.lower() for value in encodings] != [b"chunked"]):
        raise BadRequest("The length of the body must be said in one way: Content-Length, or chunked and nothing else.")
    if any(value.lower() != b"100-continue" for value in expects):
        raise BadRequest("What is expected is not known here.", 417)
    keeps_alive = not http_1_0 and not any(b"close" in listed(value) for value in connections)
    return Head(method, target, headers, http_1_0, length, bool(encodings), keeps_alive, bool(expects) and not http_1_0)


def _length(values: list[bytes], limits: Limits) -> int | None:
    if not values:
        return None
    if len(values) > 1 or _LENGTH.fullmatch(values[0]) is None:
        raise BadRequest("The length of the body is not one number.")
    if int(values[0]) > limits.body_bytes:
        raise BodyTooLarge(limits.body_bytes)
    return int(values[0])
