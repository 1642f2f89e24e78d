"""How a failed stream is told to its consumer."""

import json

import pytest

from midstream.gateway.endings import (
    Refusal,
    answer_of,
    envelope,
    error_of,
    error_type,
    exhausted,
    failed_status,
    refusal,
)
from midstream.recovery.classify import from_error_event
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.reports import Report

REPORT = Report("failed")


def failure(kind: Kind, **more: object) -> Failure:
    return Failure(kind, Phase.WAITING, Origin.SERVICE, "what was seen", **more)  # type: ignore[arg-type]


STATUSES = {
    Kind.TRUNCATED: 502,
    Kind.DISCONNECTED: 502,
    Kind.UNREACHABLE: 502,
    Kind.SILENT: 504,
    Kind.STALLED: 504,
    Kind.OVERLOADED: 529,
    Kind.RATE_LIMITED: 429,
    Kind.SERVER_ERROR: 500,
    Kind.TIMED_OUT: 504,
    Kind.REJECTED: 400,
    Kind.GARBLED: 502,
    Kind.LIMIT: 502,
}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_status_and_a_type_of_the_api(kind: Kind) -> None:
    answer = answer_of(failure(kind), REPORT, "ms-1")
    assert answer.status == STATUSES[kind] == failed_status(failure(kind))
    error = json.loads(answer.body)
    assert error["type"] == "error" and error["error"]["type"] == error_type(answer.status)
    assert (b"x-should-retry", b"false") in answer.headers


@pytest.mark.parametrize("kind", Kind)
def test_a_midstream_further_down_gives_up_at_once(kind: Kind) -> None:
    fields = error_of(failure(kind, request_id="req_1"), REPORT, "ms-1")
    heard = from_error_event(fields, Phase.SHOWING, None)
    assert heard.exhausted
    assert fields["request_id"] == "req_1"
    assert fields["error"]["midstream"] == {"exhausted": True, "kind": str(kind), "phase": "waiting", "stream": "ms-1"}


def test_what_was_rejected_keeps_the_services_words_and_details() -> None:
    body = {"type": "error", "error": {"type": "billing_error", "message": "No.", "details": {"error_code": "x"}}}
    fields = error_of(failure(Kind.REJECTED, error_type="billing_error", api_message="No.", body=body), REPORT, "ms-1")
    assert fields["error"]["type"] == "billing_error"
    assert fields["error"]["message"] == "No."
    assert fields["error"]["details"] == {"error_code": "x"}


def test_what_the_server_asked_for_is_handed_on() -> None:
    headers = answer_of(failure(Kind.OVERLOADED, retry_after_s=2.6, request_id="r"), REPORT, "ms-1").headers
    assert (b"retry-after", b"3") in headers and (b"request-id", b"r") in headers


def test_the_upstreams_own_answer_is_only_marked() -> None:
    plain = Refusal(529, [(b"a", b"b")], b"body")
    assert exhausted(plain) == Refusal(529, [(b"a", b"b"), (b"x-should-retry", b"false")], b"body")
    said = Refusal(429, [(b"x-should-retry", b"true"), (b"a", b"b")], b"")
    assert exhausted(said).headers == [(b"a", b"b"), (b"x-should-retry", b"false")]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 413, 429, 431, 500, 502, 503, 504, 529])
def test_errors_of_ones_own_are_the_apis_envelope(status: int) -> None:
    made = refusal(status, "A sentence.", [(b"retry-after", b"1")])
    assert made.status == status and made.headers[-1] == (b"retry-after", b"1")
    assert json.loads(made.body) == {"type": "error", "error": {"type": error_type(status), "message": "A sentence."}}
    assert json.loads(envelope(status, "x", type="y"))["error"]["type"] == "y"
