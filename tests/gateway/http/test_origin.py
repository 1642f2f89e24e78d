"""What is written of a request, byte for byte, and what is never written."""

import pytest

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.origin import Origin, OutRequest, declared_length, request_head

HERE = Origin("http", "api.example.com", 8080)


def asked(
    headers: Headers | None = None, body: bytes | None = b"{}", method: bytes = b"POST", target: bytes = b"/v1/x?a=b"
) -> OutRequest:
    return OutRequest(method=method, origin=HERE, target=target, headers=headers or [], body=body)


def test_a_head_is_written_byte_for_byte() -> None:
    assert request_head(asked([(b"x-api-key", b"k"), (b"a", b"\xe2\x82\xac")])) == (
        b"POST /v1/x?a=b HTTP/1.1\r\nhost: api.example.com:8080\r\nx-api-key: k\r\na: \xe2\x82\xac\r\n"
        b"content-length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (Origin("http", "a.example", 80), b"a.example"),
        (Origin("https", "a.example", 443), b"a.example"),
        (Origin("https", "a.example", 80), b"a.example:80"),
        (Origin("http", "::1", 80), b"[::1]"),
        (Origin("http", "::1", 81), b"[::1]:81"),
        (Origin("http", "bücher.example", 80), b"xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_named_with_its_port_where_it_is_unusual(origin: Origin, host: bytes) -> None:
    assert origin.authority == host
    assert origin.authority_with_port == host + (b"" if host.count(b":") in (1, 3) else b":%d" % origin.port)


FRAMINGS = [
    # method, headers, body; the lines about the body
    (b"POST", [], b"", [b"content-length: 0"]),
    (b"GET", [], b"", []),
    (b"HEAD", [], b"", []),
    (b"GET", [], b"x", [b"content-length: 1"]),
    (b"POST", [], None, [b"transfer-encoding: chunked"]),
    (b"POST", [(b"content-length", b"7")], None, [b"content-length: 7"]),
    (b"POST", [(b"content-length", b"007")], None, [b"content-length: 7"]),
    # What the caller's headers say of the body never goes out beside what is true.
    (b"POST", [(b"content-length", b"7")], b"x", [b"content-length: 1"]),
    (b"POST", [(b"transfer-encoding", b"chunked"), (b"Content-Length", b"9")], b"x", [b"content-length: 1"]),
    (b"POST", [(b"transfer-encoding", b"chunked"), (b"content-length", b"9")], None, [b"content-length: 9"]),
]


@pytest.mark.parametrize(("method", "headers", "body", "lines"), FRAMINGS)
def test_where_a_body_ends_is_said_once(
    method: bytes, headers: Headers, body: bytes | None, lines: list[bytes]
) -> None:
    head = request_head(asked(headers, body, method))
    found = [line for line in head.split(b"\r\n") if line.lower().startswith((b"content-length", b"transfer-enc"))]
    assert found == lines


def test_what_is_meant_for_one_hop_goes_no_further() -> None:
    names = b"host connection keep-alive upgrade te trailer expect proxy-authorization proxy-connection".split()
    assert request_head(asked([(name, b"x") for name in names])) == request_head(asked())


def test_a_proxy_is_told_the_whole_url_and_who_asks() -> None:
    head = request_head(asked(), absolute=True, proxy_authorization=b"Basic eA==")
    assert head.startswith(b"POST http://api.example.com:8080/v1/x?a=b HTTP/1.1\r\nhost: api.example.com:8080\r\n")
    assert b"\r\nproxy-authorization: Basic eA==\r\n" in head


@pytest.mark.parametrize(
    "broken",
    [
        asked(target=b"/a b"),
        asked(target=b"/a\r\nx: y"),
        asked(target=b"/a\nb"),
        asked(target=b""),
        asked(target=b"/a\0"),
        asked(method=b"PO ST"),
        asked(method=b""),
        asked(method=b"GET /x HTTP/1.1\r\nhost: x\r\n\r\nGET"),
        asked([(b"a", b"b\r\nc: d")]),
        asked([(b"a", b"b\nc")]),
        asked([(b"a\r\nb", b"c")]),
        asked([(b"", b"c")]),
    ],
    ids=repr,
)
def test_what_could_be_read_as_more_than_it_is_is_not_written(broken: OutRequest) -> None:
    with pytest.raises(ValueError) as refused:
        request_head(broken)
    assert "x: y" not in str(refused.value)


@pytest.mark.parametrize("said", [b"", b"-1", b"+1", b"1, 1", b"0x1", b"1" * 19, "١".encode()])
def test_a_length_that_is_none_is_refused(said: bytes) -> None:
    with pytest.raises(ValueError, match="not a number"):
        declared_length(asked([(b"content-length", said)], None))


def test_a_length_is_read() -> None:
    assert declared_length(asked([(b"content-length", b"12")], None)) == 12
    assert declared_length(asked([], None)) is None
