"""What parsers of responses call and share.

Rule: a parser is lent for what is no whole chunk, and is no connection's own.

Of thousands of streams each waits for its next word nearly all the time, and each word is one chunk. A parser of its
own would be half a kilobyte of every stream, and three more objects to be fetched into a cold cache for each word.
"""

from functools import partial
from typing import Protocol

from httptools import HttpResponseParser

SPARE_MAX = 16
"""Parsers that wait for a connection whose chunks come in pieces; one is made in two microseconds."""

_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_LINE_FEED = 10


class Told(Protocol):
    """Whose response is being read."""

    def message_begins(self) -> None:
        """A response, or one too many."""

    def header_came(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""

    def headers_are_complete(self) -> None:
        """The head is whole."""

    def message_is_complete(self) -> None:
        """The response is whole."""


class _Nobody:
    """Is told of the head that a spare parser begins with."""

    def message_begins(self) -> None: ...
    def header_came(self, name: bytes, value: bytes) -> None: ...
    def headers_are_complete(self) -> None: ...
    def message_is_complete(self) -> None: ...


class Found:
    """What a parser calls. One for all connections of an event loop: each parser has returned before another is fed.

    A parser keeps what it calls; bound to each connection that would be half a kilobyte of every stream.
    """

    __slots__ = (
        "_ends",
        "_spare",
        "connection",
        "on_body",
        "on_chunk_complete",
        "on_chunk_header",
        "on_header",
        "on_headers_complete",
        "on_message_begin",
        "on_message_complete",
        "parts",
    )

    def __init__(self) -> None:
        self.connection: Told = _Nobody()
        """Whose parser is being fed."""
        self.parts: list[bytes] = []
        """What it has found of the body."""
        self._ends: list[bool] = []
        """Not empty: a chunk ended, and no other has begun since."""
        self._spare: list[HttpResponseParser] = []
        # Without a function of ours in between, as they are called for each chunk.
        self.on_body = self.parts.append
        self.on_chunk_header = self._ends.clear
        self.on_chunk_complete = partial(self._ends.append, True)
        self.on_message_begin = lambda: self.connection.message_begins()
        self.on_header = lambda name, value: self.connection.header_came(name, value)
        self.on_headers_complete = lambda: self.connection.headers_are_complete()
        self.on_message_complete = lambda: self.connection.message_is_complete()

    def begin(self, connection: Told) -> None:
        """A parser of this connection is about to be fed."""
        self.connection = connection
        self._ends.clear()

    def take(self) -> bytes:
        """What there is of the body, once."""
        parts = self.parts
        if len(parts) == 1:
            return parts.pop()
        body = b"".join(parts)
        parts.clear()
        return body

    def is_between_chunks(self, data: bytes) -> bool:
        """Whether these bytes, fed since `begin`, end where a chunk ends.

        What follows a chunk is nothing, or the line of the next, of which nobody hears before its end.
        """
        return bool(self._ends) and data[-1] == _LINE_FEED

    def parser(self) -> HttpResponseParser:
        """For a response, from its head on."""
        return HttpResponseParser(self)

    def borrow(self) -> HttpResponseParser:
        """For a response in chunks that is between two of them: all that are there differ in nothing that follows."""
        if self._spare:
            return self._spare.pop()
        parser, connection = HttpResponseParser(self), self.connection
        self.connection = _Nobody()
        parser.feed_data(_CHUNKED)
        self.connection = connection
        return parser

    def give_back(self, parser: HttpResponseParser) -> None:
        """The same."""
        if len(self._spare) < SPARE_MAX:
            self._spare.append(parser)
