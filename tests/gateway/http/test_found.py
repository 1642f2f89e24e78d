"""The chunk that is told without a parser is the same for llhttp; a spare parser goes on like one of its own."""

import random

import pytest
from httptools import HttpParserError, HttpResponseParser

from midstream.gateway.http.found import SIZES_MAX, SPARE_MAX, Found, whole_chunk

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


@pytest.mark.parametrize("size", [1, 2, 9, 10, 15, 16, 17, 141, 255, 256, 4095, 4096, 65535, 65536, 1 << 20])
@pytest.mark.parametrize("form", ["%x", "%X"])
def test_a_whole_chunk_is_what_a_parser_finds(size: int, form: str) -> None:
    body = bytes(random.Random(size).choices(b"\r\n0123456789abcdef;", k=size))
    data = (form % size).encode() + b"\r\n" + body + b"\r\n"
    found, seen = Found(), Seen()
    assert whole_chunk(data) == body == fed(found, between(found, seen), seen, data)[0]


@pytest.mark.parametrize(
    "data",
    [
        b"0\r\n\r\n", b"5\r\nhello", b"5\r\nhello\r", b"5\r\nhello\n\n", b"5\nhello\r\n\n", b"05\r\nhello\r\n",
        b"5;a=b\r\nhello\r\n", b"5 \r\nhello\r\n", b"+5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"5\r\nhell\r\n", b"5",
        b"5\r\nhello!\r\n", b"5\r\nhello\r\n5\r\nhello\r\n", b"\r\n", b"-\r\n\r\n", b"-", b"hello\r\n",
        b"g\r\nhello\r\n",
    ],
)  # fmt: skip
def test_what_is_not_exactly_one_chunk_is_left_to_the_parser(data: bytes) -> None:
    assert whole_chunk(data) == b""


def test_whatever_is_taken_without_a_parser_a_parser_takes_for_the_same_chunk() -> None:
    dice, taken = random.Random(7), 0
    for _ in range(3000):
        body = bytes(dice.choices(b"ab\r\n0", k=dice.randrange(1, 40)))
        said = dice.choice([len(body), dice.randrange(40)])
        data = bytearray(b"%x\r\n%b\r\n" % (said, body))
        for _ in range(dice.randrange(3)):
            data[dice.randrange(len(data))] = dice.choice(b"0aA5\r\n;x")
        if chunk := whole_chunk(bytes(data)):
            taken += 1
            found, seen = Found(), Seen()
            assert fed(found, between(found, seen), seen, bytes(data)) == (chunk, True, True)
    assert taken > 500


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


def test_beginnings_of_any_number_of_sizes_are_known_and_few_are_kept() -> None:
    for size in range(1, SIZES_MAX + 100):
        assert len(whole_chunk(b"%x\r\n" % size + b"x" * size + b"\r\n")) == size
