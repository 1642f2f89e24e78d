"""Requests are read within bounds, in either form of a body."""

import asyncio

import pytest

from midstream.faults import http
from midstream.faults.http import BadRequest, chunk_bytes, head_bytes, read_call, read_head
from midstream.faults.routes import Call


def read(raw: bytes) -> Call | None:
    async def run() -> Call | None:
        reader = asyncio.StreamReader(limit=http.HEAD_BYTES_MAX)
        reader.feed_data(raw)
        reader.feed_eof()
        head = await read_head(reader)
        return None if head is None else await read_call(reader, head)

    return asyncio.run(run())


def test_a_body_has_a_length_or_comes_in_chunks() -> None:
    one = read(b"POST /a?b=c HTTP/1.1\r\nContent-Length: 3\r\nX-Y:  z \r\n\r\nabc")
    two = read(b"POST /a?b=c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n")
    assert one == Call("POST", "/a?b=c", {"content-length": "3", "x-y": "z"}, b"abc")
    assert two is not None and two.body == b"abc"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"POST /a HTTP/1.1\r\nconte",
        b"POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nab",
        b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_a_client_that_goes_in_the_middle_is_no_request(raw: bytes) -> None:
    assert read(raw) is None


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / SPDY/3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nfffffffff\r\n", 413),
        (b"GET / HTTP/1.1\r\na: " + b"b" * http.HEAD_BYTES_MAX + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_or_too_large_is_named(raw: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        read(raw)
    assert caught.value.status == status


def test_many_small_chunks_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_BYTES_MAX", 5)
    with pytest.raises(BadRequest, match="longer than 5"):
        read(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + b"3\r\nabc\r\n" * 2 + b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("first", "header", "keeps"),
    [("HTTP/1.1", "", True), ("HTTP/1.1", "connection: Close\r\n", False), ("HTTP/1.0", "", False)],
)
def test_a_connection_is_kept_where_the_client_wants_it(first: str, header: str, keeps: bool) -> None:
    async def run() -> bool:
        reader = asyncio.StreamReader()
        reader.feed_data(f"GET / {first}\r\n{header}\r\n".encode())
        head = await read_head(reader)
        assert head is not None
        return head.keeps_alive

    assert asyncio.run(run()) is keeps


def test_a_response_has_a_phrase_for_every_status() -> None:
    assert head_bytes(404, {"a": "b"}) == b"HTTP/1.1 404 Not Found\r\na: b\r\n\r\n"
    assert head_bytes(529, {}) == b"HTTP/1.1 529 Overloaded\r\n\r\n"


def test_a_chunk_begins_with_its_size() -> None:
    assert chunk_bytes(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


def counted(raw: bytes, kept_bytes: int = 4, bytes_max: int = 200_000) -> tuple[bytes, int]:
    async def run() -> tuple[bytes, int]:
        reader = asyncio.StreamReader(limit=http.HEAD_BYTES_MAX)
        reader.feed_data(raw)
        reader.feed_eof()
        head = await read_head(reader)
        assert head is not None
        return await http.count_body(reader, head, kept_bytes, bytes_max)

    return asyncio.run(run())


def test_of_a_body_that_is_counted_only_the_beginning_is_kept() -> None:
    whole = b"abcdef" + b" " * 150_000
    assert counted(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(whole), whole)) == (b"abcd", 150_006)
    chunks = chunk_bytes(b"ab") + chunk_bytes(b"cdef") + chunk_bytes(b" " * 150_000) + b"0\r\n\r\n"
    assert counted(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + chunks) == (b"abcd", 150_006)
    assert counted(b"POST / HTTP/1.1\r\n\r\n") == (b"", 0)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST / HTTP/1.1\r\ncontent-length: 200001\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
            + chunk_bytes(b"x" * 199_999)
            + b"2\r\nab\r\n0\r\n\r\n",
            413,
        ),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + b"1" * 70_000, 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_a_body_that_is_counted_has_bounds_too(raw: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        counted(raw)
    assert refused.value.status == status
