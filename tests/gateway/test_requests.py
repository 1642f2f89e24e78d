"""What is being asked, from method, path, headers and body."""

import pytest

from midstream.gateway.endings import Refusal
from midstream.gateway.requests import (
    Target,
    What,
    from_elsewhere,
    is_signed,
    last_event_id,
    make_call,
    retry_of,
    target_of,
)

ID = "ms-" + "0f" * 16

RIGHT = [
    ("HEAD", "/", Target(What.PROBE)),
    ("GET", "/", Target(What.PROBE)),
    ("POST", "/v1/messages", Target(What.MESSAGES)),
    ("GET", "/v1/messages", Target(What.PASS)),
    ("POST", "/v1/messages/count_tokens", Target(What.PASS)),
    ("GET", "/v1/models", Target(What.PASS)),
    ("DELETE", "/v1/files/file_1", Target(What.PASS)),
    ("GET", "/inference-profiles", Target(What.PASS)),
    ("POST", "/model/anthropic.claude-v2:1/invoke-with-response-stream",
     Target(What.BEDROCK, "anthropic.claude-v2:1", True)),
    ("POST", "/model/arn%3Aaws%3Abedrock%3Aus%3A1%3Ax%2Fy/invoke", Target(What.BEDROCK, "arn:aws:bedrock:us:1:x/y")),
    ("GET", f"/midstream/streams/{ID}", Target(What.STREAM, stream_id=ID)),
    ("DELETE", f"/midstream/streams/{ID}", Target(What.STREAM, stream_id=ID)),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "target"), RIGHT)
def test_a_path_means_what_the_api_means(method: str, path: str, target: Target) -> None:
    assert target_of(method, path) == target


WRONG = [
    ("POST", "/", 405),
    ("GET", "/model/m/invoke", 405),
    ("POST", "/model/a%00b/invoke", 400),
    ("POST", "/model/..%2f..%2fv1/invoke", 400),
    ("POST", f"/midstream/streams/{ID}", 405),
    ("GET", "/midstream/streams/ms-1", 404),
    ("GET", f"/midstream/streams/{ID}/", 404),
    ("GET", "/midstream/streams/../v1/messages", 400),
    ("GET", "/v1/../midstream/streams", 400),
    ("GET", "/v1/./messages", 400),
    ("GET", "/v1//messages", 400),
    ("GET", "//v1/messages", 400),
    ("GET", "/v1/%2e%2e/admin", 400),
    ("GET", "/v1/a%2Fb", 400),
    ("GET", "/v1/a%5cb", 400),
    ("GET", "/v1/a\\b", 400),
    ("GET", "/v1/a%00", 400),
    ("GET", "/v1", 404),
    ("GET", "/v2/messages", 404),
    ("GET", "/metrics", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), WRONG)
def test_a_path_that_could_be_read_in_two_ways_is_refused(method: str, path: str, status: int) -> None:
    refused = target_of(method, path)
    assert isinstance(refused, Refusal) and refused.status == status


def test_a_call_goes_on_without_credentials_and_without_this_hops_headers() -> None:
    headers = [
        (b"host", b"localhost:8100"), (b"authorization", b"Bearer k"), (b"x-api-key", b"k"), (b"connection", b"x-hop"),
        (b"x-hop", b"1"), (b"anthropic-beta", b"a,b"), (b"x-anything", b"2"), (b"content-length", b"2"),
    ]  # fmt: skip
    call = make_call(
        Target(What.MESSAGES), "POST", "/v1/messages", "beta=true", headers, b'{"model":"claude-x","stream":true}'
    )
    assert call.headers == [(b"anthropic-beta", b"a,b"), (b"x-anything", b"2")]
    assert (call.model, call.streamed, call.wire, call.host) == ("claude-x", True, "sse", "localhost:8100")


@pytest.mark.parametrize("stream", ["false", "1", '"true"', "null"])
def test_only_true_is_streamed(stream: str) -> None:
    body = b'{"stream":%s}' % stream.encode()
    assert not make_call(Target(What.MESSAGES), "POST", "/v1/messages", "", [], body).streamed


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'"x"', b"[" * 10_000])
def test_a_body_that_is_no_object_has_no_fields(body: bytes) -> None:
    assert make_call(Target(What.MESSAGES), "POST", "/v1/messages", "", [], body).fields == {}


def test_a_bedrock_call_has_its_model_in_the_path_and_its_betas_in_the_body() -> None:
    body = b'{"anthropic_beta":["x",3],"messages":[]}'
    call = make_call(Target(What.BEDROCK, "anthropic.claude", True), "POST", "/model/…/x", "", [], body)
    assert (call.wire, call.streamed, call.model) == ("eventstream", True, "anthropic.claude")
    assert call.fields["anthropic_beta"] == ["x", 3]


@pytest.mark.parametrize(
    ("headers", "signed"),
    [
        ([(b"authorization", b"AWS4-HMAC-SHA256 Credential=x")], True),
        ([(b"authorization", b"Bearer x")], False),
        ([], False),
    ],
)
def test_a_signature_is_seen(headers: list[tuple[bytes, bytes]], signed: bool) -> None:
    call = make_call(Target(What.BEDROCK, "m", True), "POST", "/model/m/invoke", "", headers, b"{}")
    assert is_signed(call, headers) is signed


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], None),
        ([(b"x-stainless-retry-count", b"0")], None),
        ([(b"x-stainless-retry-count", b"x")], None),
        ([(b"x-stainless-retry-count", b"-1")], None),
        ([(b"x-stainless-retry-count", b"9" * 5000)], None),
        ([(b"x-stainless-retry-count", b"2")], b""),
        ([(b"idempotency-key", b"abc")], b"abc"),
        ([(b"idempotency-key", b"abc"), (b"x-stainless-retry-count", b"1")], b"abc"),
    ],
)
def test_what_makes_a_request_a_repetition(headers: list[tuple[bytes, bytes]], found: bytes | None) -> None:
    assert retry_of(headers) == found


@pytest.mark.parametrize(("value", "after"), [(b"", 0), (b"0", 0), (b"17", 17)])
def test_from_where_a_consumer_reads_on(value: bytes, after: int) -> None:
    assert last_event_id([(b"last-event-id", value)] if value else []) == after


@pytest.mark.parametrize("value", [b"x", b"-1", b"1.5", b"9" * 21, "١".encode()])
def test_what_is_no_number_of_a_frame_is_refused(value: bytes) -> None:
    refused = last_event_id([(b"last-event-id", value)])
    assert isinstance(refused, Refusal) and refused.status == 400


@pytest.mark.parametrize(
    ("headers", "elsewhere"),
    [
        ([(b"host", b"127.0.0.1:8100")], False),
        ([(b"host", b"[::1]:8100")], False),
        ([(b"host", b"localhost")], False),
        ([], False),
        ([(b"host", b"localhost"), (b"origin", b"https://example.com")], True),
        ([(b"host", b"localhost"), (b"origin", b"null")], True),
        ([(b"host", b"rebound.example.com")], True),
        ([(b"host", b"127.0.0.1.example.com:8100")], True),
        ([(b"host", b"\xff")], True),
    ],
)
def test_a_page_of_somebodys_is_told_from_a_program(headers: list[tuple[bytes, bytes]], elsewhere: bool) -> None:
    assert from_elsewhere(headers) is elsewhere


def test_a_name_that_no_file_can_hold_is_no_name() -> None:
    call = make_call(Target(What.MESSAGES), "POST", "/v1/messages", "", [], b'{"model":"\\ud800","stream":true}')
    assert (call.model, call.fields["model"]) == ("", "\ud800")


def test_an_idempotency_key_counts_whole() -> None:
    assert retry_of([(b"idempotency-key", b"k" * 9999 + b"a")]) == b"k" * 9999 + b"a"
