"""Where credentials stand, and that they can be taken out."""

import pytest

from midstream.gateway.credentials import fit_to_store, only_credentials, secrets_of, without_credentials

HEADERS = [
    (b"x-api-key", b"one"),
    (b"user-agent", b"a"),
    (b"authorization", b"Bearer two"),
    (b"api-key", b"three"),
    (b"x-goog-api-key", b"four"),
    (b"x-amz-security-token", b"five"),
    (b"x-amz-date", b"six"),
    (b"anthropic-version", b"b"),
]


def test_every_secret_is_found_once_and_in_one_order() -> None:
    assert secrets_of(HEADERS) == sorted([b"one", b"two", b"three", b"four"])
    assert secrets_of([*reversed(HEADERS), (b"x-api-key", b"two")]) == secrets_of(HEADERS)
    assert secrets_of([(b"authorization", b"Bearer "), (b"x-api-key", b"")]) == []


SIGNED = b"AWS4-HMAC-SHA256 Credential=AKIA/1, Signature=1"
AUTHORIZATIONS = [
    ([(b"authorization", SIGNED)], [SIGNED]),
    ([(b"authorization", SIGNED), (b"x-amz-security-token", b"session")], [b"session"]),
    ([(b"authorization", SIGNED), (b"x-amz-security-token", b"")], [SIGNED]),
    ([(b"authorization", b"Bearer a"), (b"x-amz-security-token", b"session")], [b"a"]),
    ([(b"authorization", b"Basic a")], [b"Basic a"]),
    ([(b"authorization", b"")], []),
]


@pytest.mark.parametrize(("headers", "found"), AUTHORIZATIONS)
def test_a_secret_is_what_others_do_not_know(headers: list[tuple[bytes, bytes]], found: list[bytes]) -> None:
    assert secrets_of(headers) == found


def test_headers_are_told_apart() -> None:
    assert without_credentials(HEADERS) == [(b"user-agent", b"a"), (b"anthropic-version", b"b")]
    assert only_credentials(HEADERS)[-2:] == [(b"x-amz-security-token", b"five"), (b"x-amz-date", b"six")]
    assert sorted(without_credentials(HEADERS) + only_credentials(HEADERS)) == sorted(HEADERS)


def test_what_sounds_like_a_secret_is_not_stored_though_it_goes_on() -> None:
    made_up = [
        (b"cf-access-client-secret", b"s"),
        (b"x-corp-token", b"s"),
        (b"cookie", b"s"),
        (b"x-subscription-key", b"s"),
    ]
    plain = [(b"anthropic-beta", b"b"), (b"idempotency-key", b"i"), (b"x-stainless-retry-count", b"0")]
    assert fit_to_store([*HEADERS, *made_up, *plain]) == [(b"user-agent", b"a"), (b"anthropic-version", b"b"), *plain]
    assert without_credentials(made_up) == made_up
