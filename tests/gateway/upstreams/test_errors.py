"""Errors in the words of each API."""

import json
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from midstream.gateway.http.heads import Headers
from midstream.gateway.upstreams.errors import EXTRA_BYTES_MAX, MESSAGE_CHARS_MAX, error_frame, to_bedrock, to_messages
from midstream.recovery.classify import from_exception_frame, from_status
from midstream.recovery.failure import AWS_EXCEPTIONS, ERROR_TYPES, Kind, Phase, kind_of_status

JSON: Headers = [(b"content-type", b"application/json")]
REQUEST_ID: Headers = [(b"x-amzn-requestid", b"aws-1")]


def envelope(error_type: str, message: str = "m") -> bytes:
    return json.dumps({"type": "error", "error": {"type": error_type, "message": message}}).encode()


AWS = [
    # exception, its status at AWS, what the body has besides → status, error.type
    ("ThrottlingException", 429, {}, 429, "rate_limit_error"),
    ("ServiceUnavailableException", 503, {}, 503, "overloaded_error"),
    ("ModelNotReadyException", 429, {}, 529, "overloaded_error"),
    ("InternalServerException", 500, {}, 500, "api_error"),
    ("ModelTimeoutException", 408, {}, 408, "timeout_error"),
    ("ModelErrorException", 424, {}, 500, "api_error"),
    ("ModelErrorException", 424, {"originalStatusCode": 529}, 529, "overloaded_error"),
    ("ModelErrorException", 424, {"originalStatusCode": "503"}, 529, "overloaded_error"),
    ("ValidationException", 400, {}, 400, "invalid_request_error"),
    ("AccessDeniedException", 403, {}, 403, "permission_error"),
    ("ExpiredTokenException", 403, {}, 403, "permission_error"),
    ("ResourceNotFoundException", 404, {}, 404, "not_found_error"),
    ("ServiceQuotaExceededException", 400, {}, 400, "invalid_request_error"),
    ("ConflictException", 400, {}, 400, "invalid_request_error"),
    ("SomethingNewException", 418, {}, 418, "invalid_request_error"),
    ("SomethingNewException", 502, {}, 502, "api_error"),
]


@pytest.mark.parametrize("spelled", ["header", "header with more", "body"])
@pytest.mark.parametrize(("name", "status", "more", "told", "error_type"), AWS)
def test_an_error_of_awss_becomes_the_apis(
    name: str, status: int, more: dict[str, Any], told: int, error_type: str, spelled: str
) -> None:
    body = {"message": "its own words", **more}
    headers = [*JSON, *REQUEST_ID, (b"retry-after", b"3"), (b"content-length", b"99")]
    if spelled == "body":
        body["__type"] = f"com.amazon.coral#{name}"
    else:
        headers.append((b"x-amzn-errortype", f"{name}{':http://x/' if 'more' in spelled else ''}".encode()))
    status, headers, raw = to_messages(status, headers, json.dumps(body).encode())
    assert status == told
    error = {"type": error_type, "message": "its own words"}
    assert json.loads(raw) == {"type": "error", "error": error, "request_id": "aws-1"}
    assert (b"request-id", b"aws-1") in headers and (b"retry-after", b"3") in headers
    assert [value for key, value in headers if key == b"content-type"] == [b"application/json"]
    assert b"content-length" not in dict(headers)


@pytest.mark.parametrize(
    ("status", "said", "error_type"),
    [
        (429, {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}, "rate_limit_error"),
        (503, {"code": 503, "message": "m", "status": "UNAVAILABLE"}, "overloaded_error"),
        (403, {"code": 403, "message": "m", "status": "PERMISSION_DENIED"}, "permission_error"),
        (401, {"code": 401, "message": "m", "status": "UNAUTHENTICATED"}, "authentication_error"),
        (404, {"code": 404, "message": "m", "status": "NOT_FOUND"}, "not_found_error"),
        (400, {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}, "invalid_request_error"),
        (409, {"code": 409, "message": "m", "status": "ABORTED"}, "conflict_error"),
        (413, {"code": 413, "message": "m"}, "request_too_large"),
        (504, {"code": 504, "message": "m", "status": "DEADLINE_EXCEEDED"}, "timeout_error"),
        # Azure's
        (401, {"code": "401", "message": "m"}, "authentication_error"),
        (404, {"code": "DeploymentNotFound", "message": "m"}, "not_found_error"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_an_error_of_googles_or_azures_becomes_the_apis(
    status: int, said: dict[str, Any], error_type: str, listed: bool
) -> None:
    whole: Any = {"error": said}
    told, _, raw = to_messages(status, list(JSON), json.dumps([whole] if listed else whole).encode())
    assert told == status
    assert json.loads(raw) == {"type": "error", "error": {"type": error_type, "message": "m"}}


@pytest.mark.parametrize(
    "body", [envelope("overloaded_error"), envelope("of_next_year"), b"", b"<html>", b'"text"', b"[]", b"7", b"\xff{"]
)
def test_an_envelope_and_what_is_no_object_stay_as_they_are(body: bytes) -> None:
    answer = (529, list(JSON), body)
    assert to_messages(*answer) == answer


BEDROCK = [
    (429, "rate_limit_error", "ThrottlingException", 429),
    (529, "overloaded_error", "ServiceUnavailableException", 503),
    (503, "overloaded_error", "ServiceUnavailableException", 503),
    (504, "timeout_error", "ModelTimeoutException", 408),
    (500, "api_error", "InternalServerException", 500),
    (409, "conflict_error", "InternalServerException", 500),
    (400, "invalid_request_error", "ValidationException", 400),
    (413, "request_too_large", "ValidationException", 400),
    (401, "authentication_error", "AccessDeniedException", 403),
    (403, "permission_error", "AccessDeniedException", 403),
    (402, "billing_error", "AccessDeniedException", 403),
    (404, "not_found_error", "ResourceNotFoundException", 404),
]


@pytest.mark.parametrize(("status", "error_type", "name", "told"), BEDROCK)
def test_an_error_of_the_apis_becomes_awss(status: int, error_type: str, name: str, told: int) -> None:
    headers = [*JSON, (b"request-id", b"req_1"), (b"retry-after", b"3")]
    got, headers, raw = to_bedrock(status, headers, envelope(error_type, "its own words"))
    assert got == told == AWS_EXCEPTIONS[name][1]
    assert json.loads(raw) == {"message": "its own words"}
    for pair in ((b"x-amzn-errortype", name.encode()), (b"x-amzn-requestid", b"req_1"), (b"retry-after", b"3")):
        assert pair in headers


@pytest.mark.parametrize(("status", "error_type", "name", "told"), BEDROCK)
def test_what_an_error_means_is_the_same_in_both_words(status: int, error_type: str, name: str, told: int) -> None:
    there = to_bedrock(status, list(JSON), envelope(error_type))
    back = to_messages(*there)
    kinds = {
        from_status(code, {key.decode(): value.decode() for key, value in headers}, body, Phase.WAITING).kind
        for code, headers, body in ((status, JSON, envelope(error_type)), there, back)
    }
    assert len(kinds) == 1


def test_an_error_of_awss_stays_for_who_speaks_bedrock() -> None:
    answer = (429, [(b"x-amzn-errortype", b"ThrottlingException")], b"{}")
    assert to_bedrock(*answer) == answer


def test_a_proxys_page_is_an_exception_of_awss_without_the_page() -> None:
    status, _, body = to_bedrock(502, [(b"content-type", b"text/html")], b"<html>Bad Gateway</html>")
    assert (status, json.loads(body)) == (500, {"message": "The upstream answered with the status 502."})


FRAMES = [
    ("rate_limit_error", "throttlingException"),
    ("overloaded_error", "serviceUnavailableException"),
    ("timeout_error", "modelTimeoutException"),
    ("api_error", "internalServerException"),
    ("of_next_year", "internalServerException"),
    ("invalid_request_error", "validationException"),
    ("authentication_error", "validationException"),
    ("ThrottlingException", "throttlingException"),
]


@pytest.mark.parametrize(("error_type", "name"), FRAMES)
def test_an_error_in_a_stream_is_the_exception_that_stands_for_it(error_type: str, name: str) -> None:
    """Read by botocore, as the SDK's Bedrock client does."""
    buffer = EventStreamBuffer()
    buffer.add_data(error_frame(error_type, "words ☃", {"midstream": {"exhausted": True}}))
    (event,) = buffer
    assert event.headers[":message-type"] == "exception"
    assert event.headers[":exception-type"] == name
    assert json.loads(event.payload) == {"message": "words ☃", "midstream": {"exhausted": True}}


@pytest.mark.parametrize("error_type", ERROR_TYPES)
def test_an_exception_frame_means_what_the_error_meant(error_type: str) -> None:
    """The inverse of the contract's §5: what is read back is the same kind."""
    buffer = EventStreamBuffer()
    buffer.add_data(error_frame(error_type, "m"))
    (event,) = buffer
    assert (
        from_exception_frame(event.headers[":exception-type"], event.payload, Phase.SHOWING).kind
        is (ERROR_TYPES[error_type][0])
    )


@pytest.mark.parametrize("extra", [{"x": "y" * EXTRA_BYTES_MAX}, {"x": object()}, {"message": "other"}, None])
def test_a_frame_is_made_whatever_it_should_hold_and_is_never_large(extra: Any) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(error_frame("api_error", "m" * (MESSAGE_CHARS_MAX + 1), extra))
    (event,) = buffer
    assert json.loads(event.payload)["message"] == "m" * MESSAGE_CHARS_MAX
    assert len(event.payload) < EXTRA_BYTES_MAX


@given(
    st.integers(300, 599),
    st.binary()
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda x: st.dictionaries(
            st.sampled_from(
                ["error", "type", "message", "Message", "__type", "code", "status", "request_id", "originalStatusCode"]
            ),
            x,
        ),
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"", b"ThrottlingException", b"\xe9#", b":"]),
)
def test_no_answer_makes_it_raise(status: int, body: bytes, name: bytes) -> None:
    headers = [*JSON, (b"x-amzn-errortype", name), (b"request-id", b"\xe9")]
    for translated in (to_messages(status, headers, body), to_bedrock(status, headers[:1], body)):
        assert translated[0] >= 300
    assert kind_of_status(status) in Kind


def test_ids_that_are_there_already_are_left_alone() -> None:
    _, headers, _ = to_messages(429, [*REQUEST_ID, (b"request-id", b"req_1")], b'{"message":"m"}')
    assert [value for name, value in headers if name == b"request-id"] == [b"req_1"]
    _, headers, _ = to_bedrock(429, [*REQUEST_ID, (b"request-id", b"req_1")], envelope("rate_limit_error"))
    assert [value for name, value in headers if name == b"x-amzn-requestid"] == [b"aws-1"]


def test_an_exception_that_awss_body_names_keeps_its_name() -> None:
    status, headers, _ = to_bedrock(400, [], b'{"__type":"x#ServiceQuotaExceededException","message":"m"}')
    assert (status, (b"x-amzn-errortype", b"ServiceQuotaExceededException") in headers) == (400, True)
