"""What is raised: the right class, the right numbers, and nothing that must not be there."""

import copy
import pickle
import subprocess
import sys
import traceback
from dataclasses import replace
from typing import Any

import httpx2
import pytest

import midstream
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.history import AttemptRecord
from midstream.reports import Report, sentence
from midstream.sdk import exceptions
from midstream.sdk.exceptions import sdk_class, stream_error
from tests.sdk.calls import FOUR_WAYS, MAKERS, Playing, call, over, sdk_error

KEY = "sk-ant-secret"


def failure(kind: Kind, status: int | None = None, **more: Any) -> Failure:
    return Failure(kind, Phase.SHOWING, Origin.SERVICE, "what was seen", status=status, **more)


# Which class, for each kind and status (the contract, §5).
CLASSES: list[tuple[Failure, str, int | None]] = [
    (failure(Kind.TRUNCATED), "APIConnectionError", None),
    (failure(Kind.DISCONNECTED), "APIConnectionError", None),
    (failure(Kind.UNREACHABLE), "APIConnectionError", None),
    (failure(Kind.UNREACHABLE, connect_timeout=True), "APITimeoutError", None),
    (failure(Kind.SILENT), "APITimeoutError", None),
    (failure(Kind.STALLED), "APITimeoutError", None),
    (failure(Kind.OVERLOADED), "OverloadedError", 529),
    (failure(Kind.OVERLOADED, 503), "ServiceUnavailableError", 503),
    (failure(Kind.RATE_LIMITED), "RateLimitError", 429),
    (failure(Kind.SERVER_ERROR), "InternalServerError", 500),
    (failure(Kind.SERVER_ERROR, 502), "InternalServerError", 502),
    (failure(Kind.SERVER_ERROR, 409), "ConflictError", 409),
    (failure(Kind.SERVER_ERROR, 424), "InternalServerError", 424),
    (failure(Kind.SERVER_ERROR, 501), "HTTPNotImplementedError", 501),
    (failure(Kind.TIMED_OUT), "GatewayTimeoutError", 504),
    (failure(Kind.TIMED_OUT, 408), "RequestTimeoutError", 408),
    *[
        (failure(Kind.REJECTED, status), name, status)
        for status, name in exceptions._BY_STATUS.items()
        if status < 500 and status != 408
    ],
    (failure(Kind.REJECTED, 418), "APIStatusError", 418),
    (failure(Kind.REJECTED, 429, error_code="enforced_spend_limit_reached"), "EnforcedSpendLimitReachedError", 429),
    (failure(Kind.REJECTED, 404, error_code="file_expired"), "FileExpiredError", 404),
    (failure(Kind.REJECTED, 404, error_code="nobody_knows_it"), "NotFoundError", 404),
    (failure(Kind.GARBLED, 200), "APIResponseValidationError", 200),
    (failure(Kind.LIMIT, 200), "APIResponseValidationError", 200),
]
every_class = pytest.mark.parametrize(
    ("failed", "name", "status"), CLASSES, ids=[f"{f.kind}-{s}-{f.error_code or n}" for f, n, s in CLASSES]
)
PARTIAL = {"id": "msg_1", "role": "assistant", "content": [{"type": "text", "text": "a" * 1318}, {"type": "thinking"}]}


UNSHOWN = [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}, "partial_json": '{"at": '}]


def made(failed: Failure, partial: Any = PARTIAL) -> Any:
    request = httpx2.Request(
        "POST",
        "https://api.example.com/v1/messages",
        headers={"authorization": f"Bearer {KEY}", "x-api-key": KEY},
        json={"messages": "private"},
    )
    headers = {"request-id": "req_1", "retry-after": "3", "set-cookie": "a=b", "content-encoding": "gzip"}
    response = httpx2.Response(failed.status or 200, headers=headers, request=request, stream=httpx2.ByteStream(b""))
    attempts = (AttemptRecord(1, "first", 0.0, 0.0), AttemptRecord(2, "restart", 0.1, 0.0))
    return stream_error(failed, partial, UNSHOWN, Report("failed", attempts, failure=failed, elapsed_s=41.24), response)


@every_class
def test_the_class_is_the_most_specific_one(failed: Failure, name: str, status: int | None) -> None:
    found: Any = sdk_error(name)
    assert sdk_class(failed) is found
    error = made(failed)
    assert isinstance(error, midstream.StreamError) and isinstance(error, found)
    assert getattr(error, "status_code", None) == status
    if status is not None:
        assert error.response.status_code == status
    assert type(error).__name__ == name and type(error).__module__ == "midstream"


def test_it_is_the_class_that_the_sdk_itself_would_raise() -> None:
    table = pytest.importorskip("anthropic._error_classes", reason="this version of the SDK has no such table")
    for (status, code), found in table.ERROR_CLASSES.items():
        failed = failure(Kind.REJECTED, status, error_code=code)
        if status < 500 and status != 408:
            assert sdk_class(failed) is found, (status, code)


@every_class
def test_it_goes_through_pickle_and_copy(failed: Failure, name: str, status: int | None) -> None:
    error = made(replace(failed, request_id="req_9", body={"error": {"type": "x", "message": "m"}}))
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error) and isinstance(again, midstream.StreamError)
        assert str(again) == str(error) and again.args == error.args
        for attribute in (
            "failure",
            "partial",
            "unshown",
            "report",
            "request_id",
            "body",
            "message",
            "status_code",
            "type",
        ):
            assert getattr(again, attribute, None) == getattr(error, attribute, None), attribute
        assert again.request.url == error.request.url
        assert str(pickle.loads(pickle.dumps(again))) == str(error)
        if status is not None:
            assert again.response.headers == error.response.headers
            assert again.response.content == error.response.content


def test_what_was_received_and_not_shown_is_on_it() -> None:
    assert made(failure(Kind.TRUNCATED)).unshown == UNSHOWN


def test_a_password_in_the_address_is_not_on_it() -> None:
    request = httpx2.Request("POST", "https://user:secret@api.example.com/v1/messages")
    error: Any = stream_error(failure(Kind.TRUNCATED), {}, [], Report("failed"), httpx2.Response(200, request=request))
    assert str(error.request.url) == "https://api.example.com/v1/messages"


def test_words_of_the_service_that_are_no_unicode_can_be_printed() -> None:
    str(made(failure(Kind.REJECTED, 400, api_message="bad \ud800"))).encode()


def test_what_the_transport_did_has_no_type_and_no_status() -> None:
    error = made(failure(Kind.TRUNCATED))
    assert error.type is None and error.status_code is None


def test_it_can_be_read_by_a_process_that_has_imported_nothing() -> None:
    code = "import pickle, sys; error = pickle.load(sys.stdin.buffer); print(type(error).__mro__, error.partial['id'])"
    pickled = pickle.dumps(made(failure(Kind.OVERLOADED)))
    ran = subprocess.run([sys.executable, "-c", code], input=pickled, capture_output=True, check=True)
    assert b"anthropic.OverloadedError" in ran.stdout and b"midstream.errors.StreamError" in ran.stdout
    assert b"msg_1" in ran.stdout


@every_class
def test_it_can_be_raised_from_another(failed: Failure, name: str, status: int | None) -> None:
    cause = LookupError("mine")
    sdk_error(name)
    with pytest.raises(midstream.StreamError) as raised:
        raise made(failed) from cause
    assert raised.value.__cause__ is cause
    assert f"midstream.{name}: " in "".join(traceback.format_exception(raised.value))


@every_class
def test_what_is_said_is_one_sentence_with_the_numbers(failed: Failure, name: str, status: int | None) -> None:
    said = str(made(failed))
    assert "\n" not in said and not said.endswith(".") and said[0].islower()
    assert said.endswith("(what was seen), after 2 attempts in 41.2 s; 1,318 characters in 2 blocks kept in .partial")


def test_what_the_service_says_is_kept_short_and_on_one_line() -> None:
    failed = failure(Kind.REJECTED, 400, api_message="No.\n\nReally   not. " + "x" * 5000)
    said = sentence(failed, Report("failed", (AttemptRecord(1, "first", 0.0, 0.0),)))
    assert "(No. Really not. xxx" in said and len(said) < 500
    assert said.endswith("after 1 attempt in 0.0 s")


@every_class
def test_neither_credentials_nor_contents_are_on_it(failed: Failure, name: str, status: int | None) -> None:
    error = made(failed)
    raw = pickle.dumps(error) + repr(error).encode() + repr(vars(error)).encode()
    assert KEY.encode() not in raw and b"private" not in raw
    assert not {"authorization", "x-api-key"} & set(error.request.headers)
    assert error.request.content == b""
    assert str(error.request.url) == "https://api.example.com/v1/messages"
    if status is not None:
        assert not {"set-cookie", "content-encoding"} & set(error.response.headers)
        assert error.response.headers["retry-after"] == "3"


@pytest.mark.parametrize("maker", MAKERS, ids=str)
@pytest.mark.parametrize("script", ["always cut-rst@event=9", "always http-529", "always reset-early"])
def test_no_client_leaves_its_credentials_on_an_error(maker: Any, script: str) -> None:
    for way in FOUR_WAYS[::2]:
        policy = midstream.Policy(attempts=2, attempts_total=2, backoff_s=(0, 0))
        error: Any = call(way, over(Playing(script), maker, middleware=[midstream.Recovery(policy)])).error
        assert isinstance(error, midstream.StreamError)
        shown = [pickle.dumps(error), repr(error).encode(), repr(vars(error)).encode()]
        shown += [repr(error.request.headers.raw).encode(), error.request.read()]
        for secret in (b"secret", b"AKIA", b"Signature=", b"Tell me a long story"):
            assert not any(secret in part for part in shown), secret


def test_the_true_words_of_the_service_are_on_it() -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    failed = failure(
        Kind.OVERLOADED, 529, error_type="overloaded_error", api_message="Overloaded", body=body, request_id="req_7"
    )
    error = made(failed)
    assert (error.type, error.api_message, error.body, error.request_id) == (
        "overloaded_error",
        "Overloaded",
        body,
        "req_7",
    )
    assert error.response.json() == body
    assert made(replace(failed, body="<html>")).response.text == "<html>"
