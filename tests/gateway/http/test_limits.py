"""How a client is told that it went beyond."""

import json

import pytest

from midstream.gateway.http.limits import (
    BadRequest,
    BodyTimeout,
    BodyTooLarge,
    HeadTooLarge,
    Limits,
    Refused,
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
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_refusal_has_its_status_and_its_type(refused: Refused, status: int, kind: str) -> None:
    assert (refused.status, refused.kind, str(refused)) == (status, kind, refused.message)


def test_an_envelope_is_the_apis() -> None:
    assert json.loads(envelope("api_error", 'a "b" ü')) == {
        "type": "error",
        "error": {"type": "api_error", "message": 'a "b" ü'},
    }


def test_a_body_may_be_as_large_as_the_apis() -> None:
    assert Limits().body_bytes == 32 << 20
