"""How a client is told that it went beyond."""

import json

import pytest

from midstream.gateway.http.limits import (
    BadRequest,
    BodyTimeout,
    BodyTooLarge,
    HeadTooLarge,
    Limits,
    Overloaded,
    Refused,
    TooManyBodies,
    TooSlow,
    envelope,
)


@pytest.mark.parametrize(
    ("refused", "status", "kind"),
    [
        (BadRequest("no"), 400, "invalid_request_error"),
        (BadRequest("no", 505), 505, "invalid_request_error"),
        (HeadTooLarge("no"), 431, "invalid_request_error"),
        (BodyTooLarge(1024), 413, "request_too_large"),
        (TooSlow("no"), 408, "timeout_error"),
        (BodyTimeout(), 408, "timeout_error"),
        (Overloaded("no"), 503, "overloaded_error"),
        (TooManyBodies(), 503, "overloaded_error"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_refusal_has_its_status_and_its_type(refused: Refused, status: int, kind: str) -> None:
    assert (refused.status, refused.kind, str(refused)) == (status, kind, refused.message)
    # Only what passes by itself is worth another try.
    assert (refused.retry_after_s is None) == (status != 503)


def test_an_envelope_is_the_apis() -> None:
    assert json.loads(envelope("api_error", 'a "b" ü')) == {
        "type": "error",
        "error": {"type": "api_error", "message": 'a "b" ü'},
    }


def test_a_body_may_be_as_large_as_the_apis() -> None:
    assert Limits().body_bytes == 32 << 20
    assert Limits().bodies_bytes >= Limits().body_bytes
