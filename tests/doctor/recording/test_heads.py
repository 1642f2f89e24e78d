"""Heads of requests and replies."""

import pytest

from midstream.doctor.recording import heads


def test_a_reply_is_its_status_its_version_and_its_headers_in_lower_case() -> None:
    head = heads.answered([b"HTTP/1.1 200 OK\r\n", b"Content-Type: text/event-stream\r\n", b"X: a:b\r\n", b"junk\r\n"])
    assert head is not None
    assert (head.status, head.version, head.headers) == (
        200,
        "HTTP/1.1",
        {"content-type": "text/event-stream", "x": "a:b"},
    )


@pytest.mark.parametrize("line", [b"HTTP/2 200 \r\n", b"HTTP/2 200\n", b"HTTP/1.0 503 Service Unavailable"])
def test_a_status_line_need_not_have_words(line: bytes) -> None:
    assert heads.answered([line]) is not None


@pytest.mark.parametrize("lines", [[], [b""], [b"HTTP/1.1 20\r\n"], [b"event: ping\n"], [b"POST / HTTP/1.1\r\n"]])
def test_what_is_no_reply_is_none(lines: list[bytes]) -> None:
    assert heads.answered(lines) is None


def test_a_request_has_its_host_in_its_url() -> None:
    head = heads.asked([b"POST /v1/messages HTTP/1.1\r\n", b"Host: api.example\r\n"])
    assert head is not None
    assert (head.method, head.url) == ("POST", "//api.example/v1/messages")
    assert heads.asked([b"hello\r\n"]) is None
