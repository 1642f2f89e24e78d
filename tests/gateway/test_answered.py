"""What an upstream has answered to one attempt."""

import gzip

import pytest

from midstream.gateway.answered import BODY_BYTES_MAX, Answered
from midstream.gateway.http.decoding import DecodingError

GZIP = [(b"content-encoding", b"gzip")]


@pytest.mark.parametrize("headers", [[], GZIP])
def test_the_content_encoding_is_undone(headers: list[tuple[bytes, bytes]]) -> None:
    body = b"event: ping\n\n" * 20
    sent = gzip.compress(body) if headers else body
    answered = Answered(200, headers)
    got = b"".join(answered.more(sent[at : at + 7]) for at in range(0, len(sent), 7)) + answered.rest()
    assert got == body and answered.body == b"" and not answered.refuses


def test_the_beginning_of_an_errors_body_is_kept() -> None:
    answered = Answered(529, [(b"A", b"b")])
    answered.more(b"x" * (BODY_BYTES_MAX - 1))
    answered.more(b"yz")
    assert answered.refuses and answered.body == b"x" * (BODY_BYTES_MAX - 1) + b"y"
    assert answered.plain_headers() == {"A": "b"}


def test_what_is_not_encoded_as_it_says_is_an_error() -> None:
    with pytest.raises(DecodingError):
        Answered(200, GZIP).more(b"this is no gzip")
    with pytest.raises(DecodingError):
        Answered(200, [(b"content-encoding", b"rot13")])
    half = Answered(200, GZIP)
    half.more(gzip.compress(b"x" * 1000)[:-5])
    with pytest.raises(DecodingError):
        half.rest()


def test_what_is_handed_on_says_what_is_true_of_it() -> None:
    headers = [(b"a", b"b"), (b"connection", b"keep-alive, x-hop"), (b"x-hop", b"1"), (b"keep-alive", b"timeout=5")]
    assert Answered(400, [*headers, *GZIP, (b"content-length", b"9")]).headers == [(b"a", b"b")]
    assert Answered(400, [(b"content-encoding", b"identity")]).headers == [(b"content-encoding", b"identity")]


def test_what_a_stream_holds_of_a_plain_answer_is_shared_and_of_another_its_own() -> None:
    plain = [Answered(status, [(b"request-id", b"req_1")]).without_headers() for status in (200, 206)]
    assert plain[0] is plain[1] and plain[0].is_plain and not plain[0].headers and plain[0].rest() == b""
    coded = [Answered(200, [(b"content-encoding", b"gzip")]).without_headers() for _ in range(2)]
    assert coded[0] is not coded[1]
    refused = Answered(500, [(b"x", b"y")], b"body").without_headers()
    assert (refused.status, refused.headers, refused.body) == (500, [], b"body")
