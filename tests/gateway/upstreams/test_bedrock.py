"""Bedrock's InvokeModel, against the official SDK and a fake that checks the signature as AWS does."""

import json
from dataclasses import replace
from typing import Any

import anthropic
import pytest

from midstream.gateway.upstreams.bedrock import Bedrock
from midstream.gateway.upstreams.options import Options
from midstream.gateway.upstreams.port import BadCall, NoCredentials, NotOffered, signed_by_client
from tests.gateway.upstreams.fakes import (
    ENVIRON,
    KEYS,
    as_arrived,
    asked_of,
    bedrock_call,
    check_signature,
    http_client,
    messages_call,
    out_of,
    sdk_request,
    signature_scope,
)

ORIGIN = "https://bedrock-runtime.eu-central-1.amazonaws.com"


@pytest.fixture(autouse=True)
def keys_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


def upstream(environ: dict[str, str] | None = None, **options: Any) -> Bedrock:
    return Bedrock("bedrock:eu-central-1", "eu-central-1", Options(**options), environ or {})


def sdk(model: str = "eu.anthropic.claude-opus-4-8", **how: Any) -> Any:
    client = anthropic.AnthropicBedrock(
        aws_region="eu-central-1",
        aws_access_key=KEYS.access_key,
        aws_secret_key=KEYS.secret_key,
        http_client=http_client(),
        max_retries=0,
    )
    return sdk_request(client, model=model, **how)


HOW = [
    {},
    {"streamed": False},
    {"beta": True, "betas": ["a-1", "b-2"]},
    {"extra_headers": {"x-mine": "1, 2  3"}, "extra_body": {"unknown": {"deep": [1, None]}}},
]


@pytest.mark.parametrize("how", HOW)
def test_what_reaches_bedrock_is_what_the_sdk_would_have_sent_there(how: dict[str, Any]) -> None:
    theirs, ours = as_arrived(sdk(**how)), asked_of(upstream(), messages_call(**how))
    assert (ours.method, ours.target) == (theirs.method, theirs.target)
    assert ours.fields == theirs.fields
    assert ours.compared == theirs.compared
    assert ours.header(b"host") == ORIGIN.removeprefix("https://").encode() == theirs.header(b"host")
    assert ours.header(b"accept-encoding") == b"identity"


@pytest.mark.parametrize("how", HOW)
def test_the_signature_covers_what_the_sdk_signs_and_is_right(how: dict[str, Any]) -> None:
    ours = asked_of(upstream(), messages_call(**how))
    assert signature_scope(ours.headers) == signature_scope(as_arrived(sdk(**how)).headers)
    check_signature(ours, ORIGIN, "bedrock", "eu-central-1")


def test_a_changed_byte_breaks_the_signature() -> None:
    ours = asked_of(upstream(), messages_call())
    with pytest.raises(AssertionError, match="does not match"):
        check_signature(replace(ours, body=ours.body + b" "), ORIGIN, "bedrock", "eu-central-1")
    with pytest.raises(AssertionError, match="does not match"):
        check_signature(replace(ours, target="/model/other/invoke"), ORIGIN, "bedrock", "eu-central-1")


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("claude-sonnet-4-5", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("arn:aws:bedrock:eu-central-1:1:application-inference-profile/a b", None),
        ("amazon.nova;x", "amazon.nova;x"),
    ],
)
def test_the_model_stands_in_the_path_as_the_sdk_writes_it(asked: str, path: str | None) -> None:
    theirs = as_arrived(sdk(model=path or asked))
    ours = asked_of(upstream(), messages_call(model=asked))
    assert ours.target == theirs.target
    check_signature(ours, ORIGIN, "bedrock", "eu-central-1")


@pytest.mark.parametrize(
    ("model", "said", "version"),
    [
        ("claude-opus-4-8", "2026-10-21", "2026-10-21"),
        ("claude-opus-4-8", "2023-06-01", "bedrock-2023-05-31"),
        ("claude-opus-4-8", None, "bedrock-2023-05-31"),
        ("claude-opus-4-6", "2026-10-21", "bedrock-2023-05-31"),
        ("claude-haiku-4-5", "2026-10-21", "bedrock-2023-05-31"),
        ("arn:aws:bedrock:x:1:application-inference-profile/abc", "2026-10-21", "bedrock-2023-05-31"),
    ],
)
def test_the_version_is_the_one_asked_for_where_the_model_takes_it(model: str, said: str | None, version: str) -> None:
    call = messages_call(model=model)
    headers = [pair for pair in call.headers if pair[0] != b"anthropic-version"]
    if said is not None:
        headers.append((b"anthropic-version", said.encode()))
    assert asked_of(upstream(), replace(call, headers=headers)).fields["anthropic_version"] == version


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ({}, "eu.anthropic.claude-opus-4-8"),
        ({"geo": "global"}, "global.anthropic.claude-opus-4-8"),
        ({"geo": "none"}, "anthropic.claude-opus-4-8"),
        ({"models": {"claude-opus-4-8": "us.anthropic.claude-opus-4-8"}}, "us.anthropic.claude-opus-4-8"),
    ],
)
def test_the_settings_say_which_profile_is_asked(options: dict[str, Any], model: str) -> None:
    assert asked_of(upstream(**options), messages_call()).target == f"/model/{model}/invoke-with-response-stream"


def test_an_edited_body_is_translated_and_signed_like_the_first() -> None:
    call = messages_call()
    ours = asked_of(upstream(), call, {**call.fields, "max_tokens": 9})
    assert ours.fields["max_tokens"] == 9
    assert "model" not in ours.fields and "stream" not in ours.fields
    check_signature(ours, ORIGIN, "bedrock", "eu-central-1")


@pytest.mark.parametrize(
    ("environ", "credentials", "token"),
    [
        ({"AWS_BEARER_TOKEN_BEDROCK": "ABSK1"}, None, b"Bearer ABSK1"),
        ({}, [(b"authorization", b"Bearer theirs")], b"Bearer theirs"),
        ({}, [(b"x-api-key", b"theirs")], b"Bearer theirs"),
        ({"AWS_BEARER_TOKEN_BEDROCK": "ABSK1"}, [(b"authorization", b"bearer theirs")], b"Bearer theirs"),
    ],
)
def test_a_bearer_token_is_sent_without_a_signature(environ: dict[str, str], credentials: Any, token: bytes) -> None:
    ours = asked_of(upstream(environ), messages_call(), None, credentials)
    assert [value for name, value in ours.headers if name == b"authorization"] == [token]
    assert ours.header(b"x-amz-date") is None
    client = anthropic.AnthropicBedrock(
        aws_region="eu-central-1", api_key=token[7:].decode(), http_client=http_client(), max_retries=0
    )
    theirs = as_arrived(sdk_request(client, model="eu.anthropic.claude-opus-4-8"))
    assert theirs.header(b"authorization") == token
    assert ours.compared == theirs.compared


def test_a_bearer_token_is_taken_and_a_key_of_anthropics_is_not() -> None:
    assert upstream().takes(messages_call(), [(b"x-api-key", b"ABSK")])
    assert not upstream().takes(messages_call(), [(b"x-api-key", b"sk-ant-x")])


def test_a_key_of_anthropics_never_reaches_aws() -> None:
    with pytest.raises(NoCredentials, match="a key of Anthropic's, which Bedrock does not take"):
        out_of(upstream(), messages_call(), None, [(b"x-api-key", b"sk-ant-api03-x")])


def test_no_credentials_are_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoCredentials, match="brings no credentials for Bedrock"):
        out_of(upstream(), messages_call(), None, [])
    for name in ENVIRON:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(NoCredentials, match="AWS_BEARER_TOKEN_BEDROCK is not set, and botocore's chain"):
        out_of(upstream(), messages_call())


# --- clients that speak Bedrock ---


def test_a_bedrock_clients_path_and_bytes_go_on_as_they_came_with_the_gateways_signature() -> None:
    call = bedrock_call()
    ours = asked_of(upstream(), call)
    assert (ours.target, ours.body) == (call.path, call.raw)
    check_signature(ours, ORIGIN, "bedrock", "eu-central-1")
    assert ours.header(b"host") == ORIGIN.removeprefix("https://").encode()


def test_a_bedrock_clients_edited_body_is_signed_anew() -> None:
    call = bedrock_call(api_key="token-of-the-gateway")
    assert not signed_by_client(call)
    ours = asked_of(upstream(), call, {**call.fields, "max_tokens": 9})
    assert ours.fields == {**call.fields, "max_tokens": 9}
    check_signature(ours, ORIGIN, "bedrock", "eu-central-1")


def test_what_else_bedrock_has_is_handed_on_too() -> None:
    call = replace(bedrock_call(), path="/model/x/converse-stream", raw=b"{}", query="a=1&b=2")
    ours = asked_of(upstream(), call)
    assert (ours.target, ours.body) == ("/model/x/converse-stream?a=1&b=2", b"{}")
    check_signature(ours, ORIGIN, "bedrock", "eu-central-1")


def test_a_signature_for_the_gateways_address_is_refused_with_the_cure() -> None:
    call = bedrock_call()
    assert signed_by_client(call)
    assert not upstream().takes(call, list(call.headers))
    with pytest.raises(NoCredentials, match=r"signed for the gateway's own address.*let the gateway sign"):
        out_of(upstream(), call, None, [(b"authorization", dict(call.headers)[b"authorization"])])


def test_a_signature_for_bedrocks_own_address_goes_on_and_is_still_right() -> None:
    call = bedrock_call(base_url=ORIGIN)
    credentials = [(b"authorization", dict(call.headers)[b"authorization"])]
    # The gateway takes the credentials out of the headers, and gives them back here.
    call = replace(call, headers=[pair for pair in call.headers if pair[0] != b"authorization"])
    assert upstream().takes(call, credentials)
    assert not upstream().takes(replace(call, host="gateway"), credentials)
    assert not upstream().takes(call, [])
    assert not upstream(base_url="https://proxy/base").takes(call, credentials)
    ours = asked_of(upstream(), call, None, credentials)
    check_signature(
        ours, ORIGIN, "bedrock", "eu-central-1", KEYS._replace(access_key="AKIDCLIENT", secret_key="secret")
    )
    with pytest.raises(BadCall, match="signed by the client"):
        out_of(upstream(), call, {**call.fields, "max_tokens": 9}, credentials)


def test_a_signature_in_the_query_is_one_too() -> None:
    assert signed_by_client(replace(messages_call(), query="a=1&X-Amz-Signature=abc"))
    assert not signed_by_client(messages_call())


# --- what cannot be asked, and errors ---


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/models", "/v1/messages/batches"])
def test_paths_that_bedrock_has_not_are_not_offered(path: str) -> None:
    with pytest.raises(NotOffered, match="nothing but /v1/messages"):
        out_of(upstream(), replace(messages_call(), path=path))


@pytest.mark.parametrize("fields", [{}, {"model": None}, {"model": ""}, {"model": 7}, {"model": ".."}, {"model": ";a"}])
def test_a_body_without_a_models_name_is_a_bad_call(fields: dict[str, Any]) -> None:
    with pytest.raises(BadCall):
        out_of(upstream(), replace(messages_call(), fields=fields, raw=json.dumps(fields).encode()))


@pytest.mark.parametrize(
    "more",
    [{"stream": "yes"}, {"anthropic_beta": 7}, {"anthropic_version": []}, {"messages": None}, {"\ud800": "\udfff"}],
)
def test_a_strange_body_is_asked_for_all_the_same(more: dict[str, Any]) -> None:
    call = messages_call()
    ours = asked_of(upstream(), replace(call, fields={**call.fields, **more}))
    check_signature(ours, ORIGIN, "bedrock", "eu-central-1")


def test_a_body_too_deep_to_be_written_is_a_bad_call() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    call = messages_call()
    with pytest.raises(BadCall, match="nested too deep"):
        out_of(upstream(), replace(call, fields={**call.fields, "deep": deep}))
    while deep:
        deep = deep.pop()


def test_errors_are_in_the_clients_words() -> None:
    answer = (429, [(b"x-amzn-errortype", b"ThrottlingException")], b'{"message":"Too many tokens"}')
    assert upstream().refusal(*answer, "eventstream") == answer
    own = (401, [], b'{"type":"error","error":{"type":"authentication_error","message":"No credentials."}}')
    status, headers, body = upstream().refusal(*own, "eventstream")
    assert (status, json.loads(body)) == (403, {"message": "No credentials."})
    assert (b"x-amzn-errortype", b"AccessDeniedException") in headers
    status, _, body = upstream().refusal(*answer)
    assert status == 429
    assert json.loads(body)["error"] == {"type": "rate_limit_error", "message": "Too many tokens"}


def test_the_key_of_a_model_is_the_model() -> None:
    assert upstream().model_key(messages_call()) == upstream().model_key(bedrock_call()) == "claude-opus-4-8"


def test_a_bedrock_clients_body_that_is_still_arriving_cannot_be_signed() -> None:
    with pytest.raises(BadCall, match="signs the body"):
        out_of(upstream(), replace(bedrock_call(), raw=None))


@pytest.mark.parametrize("model", ["\ud800", "a\r\nb"])
def test_a_models_name_that_no_path_can_say_is_a_bad_call(model: str) -> None:
    call = messages_call()
    with pytest.raises(BadCall, match="cannot stand in a path"):
        out_of(upstream(), replace(call, fields={**call.fields, "model": model}))
