"""What nobody else may read is taken out of a text, whatever the text is; what is needed to understand it stays."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.secrets import HIDDEN, is_secret_header, without_secrets, without_secrets_bytes

SECRET = "Zm9vYmFyc2VjcmV0MTIzNDU2Nzg5"

FORMS = [
    f"Authorization: Bearer {SECRET}",
    f"> authorization: AWS4-HMAC-SHA256 Credential={SECRET}/20261121/us-east-1/bedrock, Signature={SECRET}",
    f"{{'Authorization': 'Basic {SECRET}'}}",
    f"(b'authorization', b'Bearer {SECRET}')",
    f'{{\\"x-api-key\\": \\"{SECRET}\\"}}',
    f"x-api-key: {SECRET}",
    f"X-Api-Key:{SECRET}",
    f"ANTHROPIC_API_KEY={SECRET}",
    f'export AWS_SECRET_ACCESS_KEY="{SECRET}"',
    f"aws_session_token = {SECRET}",
    f"Cookie: session={SECRET}; other=1",
    f"https://user:{SECRET}@proxy.example:3128/",
    f"GET /v1?key={SECRET}&alt=sse HTTP/1.1",
    f"https://bucket.example/x?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}&X-Amz-Date=1",
    f'{{"type":"signature_delta","signature":"{SECRET}"}}',
    f"{{'signature': '{SECRET}'}}",
    f"sk-ant-api03-{SECRET}",
    f"sk-proj-{SECRET}",
    "AKIAIOSFODNN7EXAMPLE",
    f"ABSK{SECRET}",
    f"bedrock-api-key-{SECRET}",
    f"ya29.{SECRET}",
    f"ghp_{SECRET}",
    f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n{SECRET}\n-----END",
    f"password: {SECRET}",
]
HARMLESS = [
    "API Error: 529 Overloaded.",
    "max_tokens: 64000, input_tokens=1200, output_tokens: 64000000",
    "Unexpected token: <!DOCTYPE html>",
    "messages.1.content.0: Invalid `signature` in `thinking` block",
    "An error occurred (ExpiredTokenException) when calling the Converse operation: The security token is expired",
    "request_id=req_011CZAau32QzxDkriovTaFCB https://api.anthropic.com:443/v1/messages?beta=true",
    "anthropic-beta: fine-grained-tool-streaming-2025-05-14",
    "",
]


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_hidden_in_whatever_form_it_comes(text: str) -> None:
    hidden = without_secrets(text)
    assert HIDDEN in hidden
    assert SECRET not in hidden and "IOSFODNN7" not in hidden


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_hidden_in_bytes_of_any_encoding(text: str) -> None:
    hidden = without_secrets_bytes(b"\xff\xfe\n" + text.encode() + b"\n\x80")
    assert SECRET.encode() not in hidden and b"IOSFODNN7" not in hidden
    assert hidden.startswith(b"\xff\xfe") and HIDDEN.encode() in hidden


@pytest.mark.parametrize("text", FORMS + HARMLESS)
def test_hiding_twice_changes_nothing(text: str) -> None:
    assert without_secrets(without_secrets(text)) == without_secrets(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text
    assert without_secrets_bytes(text.encode()) == text.encode()


def test_the_lines_around_a_secret_stay() -> None:
    seen = without_secrets(f"POST /v1/messages\nAuthorization: Bearer {SECRET}\nContent-Length: 3\n")
    assert seen == f"POST /v1/messages\nAuthorization: {HIDDEN}\nContent-Length: 3\n"


@pytest.mark.parametrize(
    "name", ["Authorization", "x-api-key", "Set-Cookie", "X-Amz-Security-Token", "x-my-token", "X-Vault-Password"]
)
def test_a_header_that_holds_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret_header(name)


@pytest.mark.parametrize("name", ["anthropic-ratelimit-tokens-remaining", "request-id", "content-type", "retry-after"])
def test_a_header_that_holds_none_is_not(name: str) -> None:
    assert not is_secret_header(name)


@pytest.mark.parametrize(
    "unit", ["a", "://a:", "token=", "Authorization: ", "-----BEGIN PRIVATE KEY-----", "eyJ.", "&key=", "\\\"'", " :"]
)
def test_a_megabyte_of_anything_does_not_hang(unit: str) -> None:
    """A deadline against hanging, a hundred times what it takes; a pattern that goes back and forth takes hours."""
    began = time.monotonic()
    without_secrets(unit * ((1 << 20) // len(unit)))
    assert time.monotonic() - began < 60


@given(st.text())
def test_any_text_can_be_asked(text: str) -> None:
    assert isinstance(without_secrets(text), str)
