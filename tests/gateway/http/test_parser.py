"""Bytes of requests: every attack, every way to cut a request, and any bytes at all."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.gateway.http.limits import BadRequest, BodyTooLarge, HeadTooLarge, Limits, Refused
from midstream.gateway.http.parser import Head, RequestParser, head_of
from tests.gateway.http.attacks import ATTACKS, CHUNKED, GET, HARMLESS, HIDDEN, POST


@dataclass
class Heard:
    """A sink that remembers."""

    heads: list[Head] = field(default_factory=list)
    body: bytes = b""
    ends: int = 0

    def head_arrived(self, head: Head) -> None:
        self.heads.append(head)

    def body_arrived(self, data: bytes) -> None:
        self.body += data

    def request_arrived(self) -> None:
        self.ends += 1


def read(*pieces: bytes, limits: Limits | None = None) -> tuple[Heard, RequestParser]:
    heard = Heard()
    parser = RequestParser(heard, limits or Limits())
    for piece in pieces:
        parser.feed(piece)
    return heard, parser


def in_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize(("data", "status"), ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_refused_with_its_status(data: bytes, status: int) -> None:
    with pytest.raises(Refused) as caught:
        read(data)
    assert caught.value.status == status


@pytest.mark.parametrize(("data", "status"), [row for row in ATTACKS.values() if len(row[0]) < 400], ids=str)
def test_an_attack_byte_by_byte_is_refused_the_same_way(data: bytes, status: int) -> None:
    with pytest.raises(Refused) as caught:
        read(*in_bytes(data))
    assert caught.value.status == status


@pytest.mark.parametrize(("data", "body"), HARMLESS.values(), ids=HARMLESS)
def test_a_request_cut_anywhere_is_the_same_request(data: bytes, body: bytes) -> None:
    whole, parser = read(data)
    assert (whole.body, whole.ends, len(whole.heads)) == (body, 1, 1)
    assert parser.complete and not parser.excess
    for pieces in ([data[:at], data[at:]] for at in range(1, len(data))):
        assert read(*pieces)[0] == whole
    assert read(*in_bytes(data))[0] == whole


@pytest.mark.parametrize(("data", "body"), HARMLESS.values(), ids=HARMLESS)
def test_a_second_request_behind_is_not_read(data: bytes, body: bytes) -> None:
    heard, parser = read(data + HIDDEN)
    assert parser.complete and parser.excess
    assert (heard.body, heard.ends, len(heard.heads)) == (body, 1, 1)


def test_a_head_says_what_stands_in_it() -> None:
    data = b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: [::1]:80\r\nX-One:  a b\t\r\nx-one:\r\nX-Two: \xc3\xbc\r\n"
    heard, parser = read(data + b"Expect: 100-Continue\r\nContent-Length: 4\r\n\r\n")
    head = heard.heads[0]
    assert (head.method, head.target, head.http_1_0) == ("POST", "/v1/messages?beta=true", False)
    assert head.headers[:4] == [(b"host", b"[::1]:80"), (b"x-one", b"a b"), (b"x-one", b""), (b"x-two", b"\xc3\xbc")]
    assert (head.content_length, head.chunked, head.keeps_alive, head.expects_continue) == (4, False, True, True)
    assert parser.method == "POST" and not parser.complete


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"connection: keep-alive\r\n", True),
        (b"1.1", b"connection: close\r\n", False),
        (b"1.1", b"connection: x, Close\r\n", False),
        (b"1.1", b"connection: x\r\nconnection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"connection: keep-alive\r\n", False),
    ],
)
def test_whether_a_client_stays(version: bytes, connection: bytes, keeps: bool) -> None:
    heard, _ = read(b"GET / HTTP/" + version + b"\r\nhost: a\r\n" + connection + b"\r\n")
    assert heard.heads[0].keeps_alive is keeps


def test_http_1_0_expects_no_invitation() -> None:
    heard, _ = read(b"POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n")
    assert not heard.heads[0].expects_continue


def test_a_trailer_is_no_header() -> None:
    heard, _ = read(CHUNKED + b"0\r\nx-api-key: stolen\r\n\r\n")
    assert [name for name, _ in heard.heads[0].headers] == [b"host", b"transfer-encoding"]


def test_the_last_byte_that_fits_is_taken() -> None:
    limits = Limits(target_bytes=100, headers=3, body_bytes=5)
    line = b"GET /" + b"a" * 99 + b" HTTP/1.1\r\nhost: a\r\nb: c\r\nd: e\r\n\r\n"
    assert read(line, limits=limits)[1].complete
    for body in (b"content-length: 5\r\n\r\nabcde", b"transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"):
        assert read(POST + body, limits=limits)[0].body == b"abcde"


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"GET /" + b"a" * 100 + b" HTTP/1.1\r\nhost: a\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nhost: a\r\nb: c\r\nd: e\r\nf: g\r\n\r\n", HeadTooLarge),
        (POST + b"content-length: 6\r\n\r\n", BodyTooLarge),
        (CHUNKED + b"6\r\nabcdef", BodyTooLarge),
        (CHUNKED + b"5\r\nabcde\r\n1\r\nf", BodyTooLarge),
        (CHUNKED + b"ffffffffffffffff\r\nabcdef", BodyTooLarge),
    ],
    ids=lambda value: str(value)[:60],
)
def test_one_byte_more_is_refused(data: bytes, refusal: type[Refused]) -> None:
    with pytest.raises(refusal):
        read(data, limits=Limits(target_bytes=100, headers=3, body_bytes=5))


def test_the_smallest_chunks_are_no_attack() -> None:
    size_bytes = 100_000
    heard, _ = read(*([CHUNKED] + [b"1\r\na\r\n" * 1000] * (size_bytes // 1000) + [b"0\r\n\r\n"]))
    assert len(heard.body) == size_bytes


def test_a_refusal_holds_nothing_of_the_clients() -> None:
    for data, _ in ATTACKS.values():
        with pytest.raises(Refused) as caught:
            read(data.replace(b"foo", b"sekrit").replace(b"/echo", b"/sekrit"))
        assert "sekrit" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"), [(b"a b", b""), (b"", b""), (b"a\0", b""), (b"a", b"\0"), (b"a", b"b\rc"), (b"a", b"b\nc")]
)
def test_headers_are_looked_at_twice(name: bytes, value: bytes) -> None:
    """The llhttp of today lets none of these through. Older ones did, and it is not pinned."""
    with pytest.raises(BadRequest, match="may not stand there"):
        RequestParser(Heard(), Limits()).on_header(name, value)


@pytest.mark.parametrize(
    "framing",
    [
        [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"3"), (b"content-length", b"4")],
        [(b"content-length", b"3"), (b"content-length", b"3")],
        [(b"content-length", b"+3")],
        [(b"content-length", b"3_0")],
        [(b"content-length", b"")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"identity")],
        [(b"transfer-encoding", b"gzip, chunked")],
    ],
    ids=str,
)
def test_the_length_of_a_body_is_looked_at_twice(framing: list[tuple[bytes, bytes]]) -> None:
    """The same: what decides where a request ends does not depend on the parser's version."""
    with pytest.raises(BadRequest, match="length of the body"):
        head_of(("POST", "/", False), [(b"host", b"a"), *framing], Limits())


def well_formed() -> st.SearchStrategy[bytes]:
    """Pieces from which a request could grow, in any order."""
    pieces = [
        POST,
        GET,
        CHUNKED,
        b"\r\n",
        b"content-length: 3\r\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"\n",
        b"\0",
    ]
    return st.lists(st.sampled_from(pieces) | st.binary(max_size=6), max_size=12).map(b"".join)


@given(st.binary(max_size=300) | well_formed(), st.lists(st.integers(1, 50), max_size=8))
def test_any_bytes_are_a_request_or_refused(data: bytes, sizes: list[int]) -> None:
    heard = Heard()
    parser = RequestParser(heard, Limits())
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    for piece in [*pieces, data]:
        if not piece or parser.complete:
            continue
        try:
            parser.feed(piece)
        except Refused as problem:
            assert 400 <= problem.status < 600
            return
    assert parser.complete == (heard.ends == 1)
    assert len(heard.heads) <= 1
