"""A spare parser goes on like one of its own."""

import pytest
from httptools import HttpParserError, HttpResponseParser

from midstream.gateway.http.found import SPARE_MAX, Found

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Seen:
    """Whose response is read: what a parser tells, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def message_begins(self) -> None:
        self.told.append("begins")

    def header_came(self, name: bytes, value: bytes) -> None:
        self.told.append(f"{name.decode()}: {value.decode()}")

    def headers_are_complete(self) -> None:
        self.told.append("head")

    def message_is_complete(self) -> None:
        self.told.append("complete")


def fed(found: Found, parser: HttpResponseParser, seen: Seen, data: bytes) -> tuple[bytes, bool, bool]:
    """What is found of the body, whether a chunk ended there, and whether the parser took it."""
    found.begin(seen)
    try:
        parser.feed_data(data)
        taken = True
    except HttpParserError:
        taken = False
    return found.take(), found.is_between_chunks(data), taken


def between(found: Found, seen: Seen) -> HttpResponseParser:
    """A parser of its own, behind a first chunk."""
    parser = found.parser()
    assert fed(found, parser, seen, HEAD + b"2\r\nhi\r\n") == (b"hi", True, True)
    return parser


@pytest.mark.parametrize("cut", range(13))
def test_a_chunk_that_is_cut_ends_only_where_it_ends(cut: int) -> None:
    found, seen = Found(), Seen()
    data = b"5\r\nhe\r\no\r\n3\r\n"
    _, between_chunks, taken = fed(found, between(found, seen), seen, data[: cut + 1])
    assert (between_chunks, taken) == (cut + 1 == len(b"5\r\nhe\r\no\r\n"), True)


@pytest.mark.parametrize(
    ("rest", "body", "told", "taken"),
    [
        (b"3\r\nyou\r\n0\r\n\r\n", b"you", ["complete"], True),
        (b"0\r\na: b\r\n\r\n", b"", ["a: b", "complete"], True),
        (b"0\r\n\r\nHTTP/1.1 200 OK\r\n", b"", ["complete", "begins"], True),
        (b"3\r\nyou", b"you", [], True),
        (b"3\r\nyou!\r\n", b"you", [], False),
        (b"x\r\nyou\r\n", b"", [], False),
    ],
)
def test_a_spare_parser_goes_on_like_one_of_its_own(rest: bytes, body: bytes, told: list[str], taken: bool) -> None:
    found = Found()
    for spare in (False, True):
        seen = Seen()
        parser = found.borrow() if spare else between(found, seen)
        seen.told.clear()
        assert fed(found, parser, seen, rest)[::2] == (body, taken)
        assert seen.told == told


def test_parsers_that_are_given_back_are_lent_again_and_few_are_kept() -> None:
    found, seen = Found(), Seen()
    parsers = [found.borrow() for _ in range(SPARE_MAX + 3)]
    for parser in parsers:
        assert fed(found, parser, seen, b"2;x\r\nhi\r\n") == (b"hi", True, True)
        found.give_back(parser)
    again = [found.borrow() for _ in parsers]
    assert len({*map(id, parsers)} & {*map(id, again)}) >= SPARE_MAX and not seen.told
