"""Credentials of AWS, and signatures."""

import asyncio
import datetime
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.origin import Origin, OutRequest
from midstream.gateway.upstreams import sigv4
from midstream.gateway.upstreams.port import NoCredentials
from midstream.gateway.upstreams.sigv4 import AwsAuth, Chain, Keys, joined, signed
from tests.gateway.upstreams.fakes import KEYS, arrived, check_signature

ORIGIN = Origin("https", "bedrock-runtime.us-east-1.amazonaws.com", 443)
URL = "https://bedrock-runtime.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("method", "target", "headers", "body"),
    [
        (b"POST", b"/model/a:0/invoke", [(b"content-type", b"application/json")], b"{}"),
        (b"POST", b"/model/arn%3Aaws%2Fx/invoke", [], b"\xff\x00"),
        (b"GET", b"/v1/models?limit=1000&b=&a=%20x", [], b""),
        (b"POST", b"/v1/messages?beta=true", [(b"x-a", b"  two   words "), (b"x-b", b"caf\xe9")], b"{}"),
        (b"POST", b"/x", [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3"), (b"date", b"yesterday")], b"{}"),
        (b"POST", b"/x", [(b"traceparent", b"00-1"), (b"user-agent", b"me")], b"{}"),
    ],
)
def test_what_is_signed_is_what_arrives(method: bytes, target: bytes, headers: Headers, body: bytes) -> None:
    keys = KEYS._replace(token="session")
    headers = signed(keys, "bedrock", "us-east-1", method, ORIGIN, target, joined(headers), body)
    there = arrived(OutRequest(method, ORIGIN, target, headers, body))
    assert there.header(b"x-amz-security-token") == b"session"
    assert there.body == body
    latin = [(name, value.decode("latin-1").encode()) for name, value in there.headers]
    check_signature(type(there)(there.method, there.target, latin, there.body), URL, "bedrock", "us-east-1", keys)


def test_a_port_that_is_not_the_usual_one_is_signed_with_the_host() -> None:
    origin = Origin("http", "127.0.0.1", 9000)
    headers = signed(KEYS, "bedrock", "us-east-1", b"POST", origin, b"/x", [], b"{}")
    there = arrived(OutRequest(b"POST", origin, b"/x", headers, b"{}"))
    assert there.header(b"host") == b"127.0.0.1:9000"
    check_signature(there, "http://127.0.0.1:9000", "bedrock", "us-east-1")


def test_each_name_is_sent_once_in_the_order_it_first_came() -> None:
    assert joined([(b"b", b"1"), (b"a", b"2"), (b"b", b"3")]) == [(b"b", b"1, 3"), (b"a", b"2")]


def test_nothing_that_is_signed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        signed(KEYS._replace(token="session"), "bedrock", "us-east-1", b"POST", ORIGIN, b"/x", [], b"{}")
    assert not [record for record in caplog.records if record.name.startswith("botocore.auth")]


@pytest.mark.parametrize("size", [10, sigv4._LARGE_BYTES + 1])
def test_a_body_of_any_size_is_signed(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chain, "fetch", lambda self: sigv4.Held(KEYS, float("inf"), float("inf")))
    auth = AwsAuth("bedrock", "us-east-1", own_token=None)
    body = b"x" * size
    headers = asyncio.run(auth.headers(b"POST", ORIGIN, b"/x", [], body, None))
    check_signature(arrived(OutRequest(b"POST", ORIGIN, b"/x", headers, body)), URL, "bedrock", "us-east-1")


def test_a_profile_brings_its_own_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text("[mine]\naws_access_key_id = A\naws_secret_access_key = S\naws_session_token = T\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    held = Chain("mine").fetch()
    assert held == (Keys("A", "S", "T"), float("inf"), float("inf"))


def test_a_profile_that_is_not_there_is_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    auth = AwsAuth("bedrock", "us-east-1", own_token=None, profile="mine")
    with pytest.raises(NoCredentials, match=r"^botocore's credential chain failed: ProfileNotFound\.$"):
        asyncio.run(auth.headers(b"POST", ORIGIN, b"/x", [], b"", None))


def test_credentials_that_expire_are_renewed_before_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    expires = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
    frozen = SimpleNamespace(access_key="A", secret_key="S", token="T")
    credentials = SimpleNamespace(get_frozen_credentials=lambda: frozen, _expiry_time=expires)
    monkeypatch.setattr(sigv4, "_session", lambda profile: SimpleNamespace(get_credentials=lambda: credentials))
    held = Chain(None).fetch()
    assert held.secret == Keys("A", "S", "T")
    assert (held.renew_at, held.expires_at) == (expires.timestamp() - 900, expires.timestamp())


def test_botocores_own_refreshable_credentials_say_when_they_expire() -> None:
    from botocore.credentials import RefreshableCredentials

    expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    made: Any = RefreshableCredentials("A", "S", "T", expires, dict, "test")
    assert made._expiry_time == expires


def test_without_botocore_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("botocore.auth", "botocore.session"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NoCredentials, match=r"pip install 'midstream\[bedrock\]'"):
        Chain(None).fetch()
    with pytest.raises(NoCredentials, match=r"pip install 'midstream\[bedrock\]'"):
        signed(KEYS, "bedrock", "us-east-1", b"POST", ORIGIN, b"/x", [], b"")


@pytest.mark.parametrize(
    ("own", "credentials", "said"),
    [
        ("own", None, b"Bearer own"),
        ("own", [(b"x-api-key", b"theirs")], b"Bearer theirs"),
    ],
)
def test_a_token_is_sent_instead_of_a_signature(own: str, credentials: Headers | None, said: bytes) -> None:
    auth = AwsAuth("bedrock", "us-east-1", own_token=own)
    headers = asyncio.run(auth.headers(b"POST", ORIGIN, b"/x", [(b"a", b"b")], b"", credentials))
    assert headers == [(b"a", b"b"), (b"authorization", said)]


@pytest.mark.parametrize(
    ("credentials", "why"),
    [
        ([], "The request brings no credentials for AWS: send a bearer token, or let the gateway sign."),
        ([(b"authorization", b"AWS4-HMAC-SHA256 Credential=x")], "The request is signed for the gateway's own address"),
    ],
)
def test_what_the_client_brought_in_vain_is_told(credentials: Headers, why: str) -> None:
    auth = AwsAuth("bedrock", "us-east-1", own_token="own")
    with pytest.raises(NoCredentials) as raised:
        asyncio.run(auth.headers(b"POST", ORIGIN, b"/x", [], b"", credentials))
    assert str(raised.value).startswith(why)


def test_an_empty_chain_is_told_and_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    chain = Chain(None)
    with pytest.raises(NoCredentials, match="AWS_BEARER_TOKEN_BEDROCK is not set, and botocore's chain"):
        chain.fetch()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S")
    assert chain.fetch().secret == chain.fetch().secret == Keys("A", "S", None)
