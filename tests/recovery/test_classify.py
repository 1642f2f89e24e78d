"""What was seen on the wire, and the failure that it is."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.recovery import classify
from midstream.recovery.classify import from_broke, from_error_event, from_exception_frame, from_status, request_id_of
from midstream.recovery.failure import (
    AWS_EXCEPTIONS,
    BREAKS,
    ERROR_TYPES,
    STATUSES,
    Failure,
    Kind,
    Origin,
    Phase,
    kind_of_status,
    status_of,
)

W = Phase.WAITING


def envelope(error_type: object = "api_error", **error: object) -> dict[str, Any]:
    return {"type": "error", "error": {"type": error_type, "message": "Sorry", **error}, "request_id": "req_body"}


def dumped(body: object) -> bytes:
    return json.dumps(body).encode()


def status(code: int, body: object = b"", **headers: str) -> Failure:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return from_status(code, names, body if isinstance(body, bytes) else dumped(body), W)


# HTTP errors


@pytest.mark.parametrize(("code", "kind"), STATUSES.items())
def test_a_status_decides_whatever_the_body_is(code: int, kind: Kind) -> None:
    for body in (b"", b"<html>Bad gateway</html>", b"\xff\xfe", b"[]", b'{"error":7}', dumped(envelope())):
        failure = status(code, body)
        assert (failure.kind, failure.status, failure.phase) == (kind, code, W)


def test_everything_in_the_envelope_is_kept() -> None:
    body = envelope("rate_limit_error", details={"error_code": "ramp_limit_exceeded"})
    failure = status(429, body)
    assert failure.kind is Kind.RATE_LIMITED
    assert failure.error_type == "rate_limit_error"
    assert failure.error_code == "ramp_limit_exceeded"
    assert failure.api_message == "Sorry"
    assert failure.request_id == "req_body"
    assert failure.body == body
    assert failure.origin is Origin.SERVICE
    assert failure.detail == "HTTP 429 rate_limit_error"


def test_googles_body_is_understood() -> None:
    failure = status(503, {"error": {"code": 503, "message": "Busy", "status": "UNAVAILABLE"}})
    assert (failure.kind, failure.error_type, failure.api_message) == (Kind.OVERLOADED, "UNAVAILABLE", "Busy")


@pytest.mark.parametrize("code", ["enforced_spend_limit_reached", "contract_spend_limit_reached"])
def test_a_spend_limit_is_a_rejection_with_status_429(code: str) -> None:
    body = envelope("rate_limit_error", details={"error_code": code})
    for failure in (status(429, body, x_should_retry="true"), from_error_event(body, W)):
        assert (failure.kind, status_of(failure), failure.error_code) == (Kind.REJECTED, 429, code)
        assert failure.origin is Origin.CLIENT


def test_an_upload_that_was_too_slow_timed_out() -> None:
    body = envelope("invalid_request_error", details={"error_code": "request_body_timeout"})
    for failure in (status(400, body), from_error_event(body, W)):
        assert (failure.kind, failure.status) == (Kind.TIMED_OUT, 400)


def test_another_code_under_the_same_status_changes_nothing() -> None:
    body = envelope("invalid_request_error", details={"error_code": "thread_already_continued"})
    assert status(400, body).kind is Kind.REJECTED
    body = envelope("api_error", details={"error_code": "enforced_spend_limit_reached"})
    assert status(500, body).kind is Kind.SERVER_ERROR


@pytest.mark.parametrize(
    ("code", "name", "body", "kind", "raised"),
    [
        (429, "ThrottlingException", {"message": "slow"}, Kind.RATE_LIMITED, 429),
        (429, "ModelNotReadyException", {"message": "wait"}, Kind.OVERLOADED, 529),
        (503, "ServiceUnavailableException", {"message": "no"}, Kind.OVERLOADED, 503),
        (500, "InternalServerException", {"message": "oh"}, Kind.SERVER_ERROR, 500),
        (400, "ValidationException", {"message": "bad"}, Kind.REJECTED, 400),
        (400, "ServiceQuotaExceededException", {"message": "much"}, Kind.REJECTED, 400),
        (403, "AccessDeniedException", {"message": "no"}, Kind.REJECTED, 403),
        (404, "ResourceNotFoundException", {"message": "where"}, Kind.REJECTED, 404),
        (408, "ModelTimeoutException", {"message": "long"}, Kind.TIMED_OUT, 408),
        (424, "ModelErrorException", {"message": "x"}, Kind.SERVER_ERROR, 424),
        (424, "ModelErrorException", {"message": "x", "originalStatusCode": 429}, Kind.RATE_LIMITED, 429),
        (424, "ModelErrorException", {"message": "x", "originalStatusCode": 400}, Kind.REJECTED, 424),
        (424, "ModelErrorException", {"message": "x", "originalStatusCode": 200}, Kind.SERVER_ERROR, 424),
        (400, "ThrottlingException", {"message": "slow"}, Kind.RATE_LIMITED, 429),
        (502, "NobodyKnowsException", {"message": "?"}, Kind.SERVER_ERROR, 502),
    ],
)
def test_the_name_of_an_aws_exception_decides(code: int, name: str, body: object, kind: Kind, raised: int) -> None:
    """restJson1, operation errors: the name may have a namespace before it and an address after it."""
    for spelling in (name, f"com.amazon.coral#{name}", f"{name}:http://internal.amazon.com/coral/"):
        failure = status(code, body, x_amzn_errortype=spelling)
        assert (failure.kind, failure.error_type, status_of(failure)) == (kind, name, raised)
        assert failure.status == code
        assert failure.api_message == body["message"]  # type: ignore[index]


def test_the_name_may_stand_in_the_body_instead() -> None:
    failure = status(400, {"__type": "com.amazonaws#ThrottlingException", "Message": "slow"})
    assert (failure.kind, failure.error_type, failure.api_message) == (Kind.RATE_LIMITED, "ThrottlingException", "slow")


def test_a_body_that_is_not_json_is_kept_as_text() -> None:
    assert status(502, b"<html>\xff</html>").body == "<html>\ufffd</html>"


def test_a_remotes_words_stay_out_of_the_detail() -> None:
    secret = "you wrote: my password is"
    for failure in (
        status(400, envelope(secret, message=secret)),
        status(400, {"message": secret}, x_amzn_errortype=secret),
        from_error_event(envelope(secret, message=secret), W),
        from_exception_frame(secret, dumped({"message": secret}), W),
    ):
        assert "password" not in failure.detail
        assert "not a plain word" in failure.detail


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": ".5"}, 0.5),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 7.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:30 GMT"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:00:00 GMT"}, None),
        ({"retry-after": "Sun, 31 Feb 1994 08:49:37 GMT"}, None),
        ({"retry-after": "Sun, 06 Nov 0000 08:49:37 GMT"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:61 GMT"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37"}, None),
        *(({"retry-after": bad}, None) for bad in ("0", "-1", "nan", "inf", "-inf", "1e9", "1_0", "٣", "", "9" * 400)),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_spellings(headers: dict[str, str], expected: float | None) -> None:
    """RFC 9110 §10.2.3; the moment is the 6th of November 1994, 08:49:30."""
    failure = from_status(429, headers, b"", W, now_unix_s=784_111_770.0)
    assert failure.retry_after_s == expected


def test_without_a_clock_a_date_says_nothing() -> None:
    assert status(429, retry_after="Sun, 06 Nov 1994 08:49:37 GMT").retry_after_s is None


@pytest.mark.parametrize(
    ("text", "meant"), [("true", True), ("false", False), ("False", False), ("1", None), ("", None)]
)
def test_x_should_retry_is_read(text: str, meant: bool | None) -> None:
    assert status(500, x_should_retry=text).should_retry is meant


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"request-id": "req_1", "x-amzn-requestid": "aws", "x-request-id": "proxy"}, "req_1"),
        ({"x-amzn-requestid": "aws", "x-request-id": "proxy"}, "aws"),
        ({"x-request-id": "proxy"}, "proxy"),
        ({"request-id": "", "x-request-id": "proxy"}, "proxy"),
        ({"request-id": "a\nb"}, None),
        ({"request-id": "x" * 257}, None),
        ({}, None),
    ],
)
def test_the_request_id_is_found_under_its_names(headers: dict[str, str], expected: str | None) -> None:
    assert request_id_of(headers) == expected
    assert from_status(500, headers, b"", W).request_id == expected
    assert from_status(500, headers, dumped(envelope()), W).request_id == (expected or "req_body")


# Errors inside the stream


@pytest.mark.parametrize(("error_type", "meaning"), ERROR_TYPES.items())
def test_a_known_error_type_stands_for_its_kind_and_status(error_type: str, meaning: tuple[Kind, int]) -> None:
    for body in (envelope(error_type), {"error": {"type": error_type}}):
        failure = from_error_event(body, Phase.SHOWING, "req_header")
        assert (failure.kind, failure.status) == meaning
        assert (failure.phase, failure.request_id, failure.error_type) == (Phase.SHOWING, "req_header", error_type)
        assert failure.body == body


@pytest.mark.parametrize(
    ("body", "kind", "code", "message"),
    [
        (envelope("brand_new_error"), Kind.SERVER_ERROR, 500, "Sorry"),
        (envelope(7), Kind.SERVER_ERROR, 500, "Sorry"),
        ({"type": "error"}, Kind.SERVER_ERROR, 500, None),
        ({"type": "error", "error": None}, Kind.SERVER_ERROR, 500, None),
        ({"type": "error", "error": "broken"}, Kind.SERVER_ERROR, 500, "broken"),
        ({"message": "The system encountered an error"}, Kind.SERVER_ERROR, 500, "The system encountered an error"),
        ({"error": {"message": "x", "type": "None", "code": "429"}}, Kind.RATE_LIMITED, 429, "x"),
        ({"error": {"message": "x", "code": 400}}, Kind.REJECTED, 400, "x"),
        ({"error": {"message": "x", "code": 200}}, Kind.SERVER_ERROR, 500, "x"),
        ({"error": {"message": "x", "code": True}}, Kind.SERVER_ERROR, 500, "x"),
        ({"error": {"message": "x", "code": 429.0}}, Kind.SERVER_ERROR, 500, "x"),
        ({"error": {"message": "x", "code": "rate_limit"}}, Kind.SERVER_ERROR, 500, "x"),
        ({"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}, Kind.RATE_LIMITED, 429, "x"),
        (envelope("throttlingException"), Kind.RATE_LIMITED, 429, "Sorry"),
        (envelope("overloaded_error", code=400), Kind.OVERLOADED, 529, "Sorry"),
        ({}, Kind.SERVER_ERROR, 500, None),
    ],
)
def test_an_error_without_a_known_type_is_still_an_error(
    body: dict[str, Any], kind: Kind, code: int, message: str | None
) -> None:
    failure = from_error_event(body, W)
    assert (failure.kind, failure.status, failure.api_message) == (kind, code, message)


@pytest.mark.parametrize(
    ("marker", "exhausted"),
    [
        ({"exhausted": True}, True),
        ({"exhausted": False}, False),
        ({"exhausted": 1}, False),
        ({}, False),
        (True, False),
    ],
)
def test_a_midstream_further_up_says_that_it_gave_up(marker: object, exhausted: bool) -> None:
    body = envelope("overloaded_error", midstream=marker)
    assert from_error_event(body, W).exhausted is exhausted
    assert status(529, body).exhausted is exhausted
    assert from_error_event({"midstream": marker, **envelope()}, W).exhausted is False


def test_without_a_header_the_request_id_is_the_bodys() -> None:
    assert from_error_event(envelope(), W).request_id == "req_body"


# Bedrock's frames


@pytest.mark.parametrize(("name", "meaning"), AWS_EXCEPTIONS.items())
def test_an_exception_frame_is_known_by_either_spelling(name: str, meaning: tuple[Kind, int]) -> None:
    for spelling in (name, name[0].lower() + name[1:]):
        failure = from_exception_frame(spelling, b'{"message":"Sorry"}', W, "aws-id")
        assert (failure.kind, failure.status) == meaning
        assert (failure.error_type, failure.api_message, failure.request_id) == (spelling, "Sorry", "aws-id")
        assert failure.detail == f"exception frame {spelling}"


@pytest.mark.parametrize(
    ("original", "kind", "code"),
    [
        (429, Kind.RATE_LIMITED, 429),
        (529, Kind.OVERLOADED, 529),
        (503, Kind.OVERLOADED, 503),
        (500, Kind.SERVER_ERROR, 500),
        (424, Kind.SERVER_ERROR, 424),
        (408, Kind.TIMED_OUT, 408),
        (400, Kind.REJECTED, 400),
    ],
)
def test_a_model_stream_error_goes_by_its_original_status(original: int, kind: Kind, code: int) -> None:
    payload = dumped({"message": "m", "originalStatusCode": original, "originalMessage": "o"})
    failure = from_exception_frame("modelStreamErrorException", payload, W)
    assert (failure.kind, failure.status, status_of(failure)) == (kind, code, code)
    assert (failure.original_status, failure.original_message) == (original, "o")
    other = from_exception_frame("throttlingException", payload, W)
    assert (other.kind, other.original_status, other.original_message) == (Kind.RATE_LIMITED, original, "o")


@pytest.mark.parametrize("original", [None, 200, 0, -1, 10**30, True, 429.0, "x", [], {}])
def test_an_original_status_that_is_none_leaves_a_server_error(original: object) -> None:
    payload = dumped({"message": "m", "originalStatusCode": original})
    failure = from_exception_frame("modelStreamErrorException", payload, W)
    assert (failure.kind, failure.status, failure.original_status) == (Kind.SERVER_ERROR, 500, None)


@pytest.mark.parametrize("name", ["brandNewException", "", ":", "#", "x" * 5000])
def test_an_unknown_exception_is_a_server_error(name: str) -> None:
    failure = from_exception_frame(name, b"", W)
    assert (failure.kind, failure.status, failure.error_type) == (Kind.SERVER_ERROR, 500, name)


def test_the_message_of_an_error_frame_stands_in_its_header() -> None:
    failure = from_exception_frame("InternalFailure", b"", W, message="An internal server error occurred")
    assert (failure.kind, failure.api_message) == (Kind.SERVER_ERROR, "An internal server error occurred")
    failure = from_exception_frame("InternalFailure", b'{"message":"in the payload"}', W, message="in the header")
    assert failure.api_message == "in the payload"


# The transport


@pytest.mark.parametrize(("reason", "kind"), BREAKS.items())
def test_a_broken_transport_goes_by_its_reason(reason: str, kind: Kind) -> None:
    for phase in Phase:
        failure = from_broke(reason, "errno 104", phase)
        assert (failure.kind, failure.phase, failure.origin) == (kind, phase, Origin.TRANSPORT)
        assert failure.certificate is (reason == "certificate")
        assert failure.connect_timeout is (reason == "connect_timeout")
        assert failure.detail == f"{reason}: errno 104"
        assert failure.status is None


@pytest.mark.parametrize("phase", Phase)
def test_an_unknown_reason_goes_by_the_phase(phase: Phase) -> None:
    kind = Kind.UNREACHABLE if phase is Phase.CONNECTING else Kind.DISCONNECTED
    assert from_broke("gremlins", "", phase).kind is kind


def test_the_detail_of_a_broken_transport_is_bounded() -> None:
    assert from_broke("reset", "", W).detail == "reset"
    assert len(from_broke("reset", "x" * 10_000, W).detail) == classify.DETAIL_CHARS_MAX


# Whatever a remote sends


def nested(depth: int) -> bytes:
    return b'{"error":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(
    "body",
    [
        nested(20_000),
        nested(500),
        b"[" * 100_000,
        b'{"error":{"code":' + b"9" * 5000 + b"}}",
        b'{"originalStatusCode":' + b"9" * 5000 + b"}",
        b'{"a":1e999}',
        b'{"error":{"type":"\\ud800","message":"\\ud800"}}',
        b"\xff" * 100,
        b"NaN",
        b"null",
        b'"text"',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_extreme_bodies_make_failures_that_can_be_handled(body: bytes) -> None:
    for failure in (from_status(500, {}, body, W), from_exception_frame("modelStreamErrorException", body, W)):
        assert failure.kind is Kind.SERVER_ERROR
        assert pickle.loads(pickle.dumps(failure)) == failure
        assert repr(failure)


def test_a_body_that_nests_too_deep_is_not_kept() -> None:
    kept: dict[str, Any] = {}
    for _ in range(classify.BODY_DEPTH_MAX - 1):
        kept = {"error": kept}
    assert from_error_event(kept, W).body == kept
    assert from_error_event({"error": kept}, W).body is None
    lists: Any = []
    for _ in range(5000):
        lists = [lists]
    failure = from_error_event({**envelope("overloaded_error"), "x": lists}, W)
    assert failure.body is None
    assert (failure.kind, failure.api_message) == (Kind.OVERLOADED, "Sorry")


KEYS = (
    *("type", "error", "message", "Message", "details", "error_code", "code", "status", "request_id"),
    *("__type", "originalStatusCode", "originalMessage", "midstream", "exhausted"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([429, "429"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=5),
            inner,
            max_size=8,
        )
    ),
    max_leaves=20,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda body: json.dumps(body).encode())
HEADERS = st.dictionaries(
    st.sampled_from(
        ["retry-after", "retry-after-ms", "x-should-retry", "request-id", "x-amzn-requestid", "x-amzn-errortype"]
    ),
    st.text(max_size=40)
    | st.sampled_from([*AWS_EXCEPTIONS, "nan", "inf", "-1", "1e400", "9" * 400, "Sun, 99 Nov 9999 99:99:99 GMT"]),
)
NAMES = st.text(max_size=40) | st.sampled_from([*AWS_EXCEPTIONS, *ERROR_TYPES])


def is_sound(failure: Failure) -> bool:
    raised = status_of(failure)
    return (
        (failure.retry_after_s is None or 0 < failure.retry_after_s < float("inf"))
        and (raised is None or raised >= 300 or failure.kind is Kind.GARBLED)
        and all(value is None or isinstance(value, str) for value in (failure.error_type, failure.error_code))
        and all(value is None or isinstance(value, str) for value in (failure.api_message, failure.request_id))
        and (failure.original_status is None or 400 <= failure.original_status <= 599)
        and failure.detail.isascii()
        and len(failure.detail) <= classify.DETAIL_CHARS_MAX
    )


@settings(max_examples=300, deadline=None)
@given(st.integers(), HEADERS, BODIES, st.none() | st.floats())
def test_any_http_error_is_a_sound_failure(
    code: int, headers: dict[str, str], body: bytes, now_unix_s: float | None
) -> None:
    failure = from_status(code, headers, body, W, now_unix_s=now_unix_s)
    assert is_sound(failure)
    if not AWS_EXCEPTIONS.keys() & set(headers.values()) and b"__type" not in body and failure.error_code is None:
        assert failure.kind is kind_of_status(code)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "error", "message", "request_id", "__type"]), JSON) | st.just({}))
def test_any_error_event_is_a_sound_failure(error: dict[str, object]) -> None:
    assert is_sound(from_error_event(error, W))


@settings(max_examples=300, deadline=None)
@given(NAMES, BODIES)
def test_any_exception_frame_is_a_sound_failure(name: str, payload: bytes) -> None:
    failure = from_exception_frame(name, payload, W)
    assert is_sound(failure)
    assert failure.error_type == name
