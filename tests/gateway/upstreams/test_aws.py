"""The places on AWS that speak the Messages API, against the official SDK and a fake that checks the signature."""

from dataclasses import replace
from typing import Any

import anthropic
import pytest

from midstream.gateway.upstreams.aws import AwsMessages
from midstream.gateway.upstreams.options import Options
from midstream.gateway.upstreams.port import BadCall, NoCredentials, UpstreamError
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

REGION = "eu-central-1"
PLACES = {
    "mantle": ("https://bedrock-mantle.eu-central-1.api.aws", "bedrock-mantle"),
    "aws": ("https://aws-external-anthropic.eu-central-1.api.aws", "aws-external-anthropic"),
    "aws-messages": ("https://bedrock-runtime.eu-central-1.amazonaws.com", "bedrock"),
}


@pytest.fixture(autouse=True)
def keys_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


def upstream(kind: str, environ: dict[str, str] | None = None, **options: Any) -> AwsMessages:
    if kind == "aws":
        options = {"workspace": "wrkspc_1", **options}
    return AwsMessages(f"{kind}:{REGION}", kind, REGION, Options(**options), environ or {})


def client(kind: str, **keys: Any) -> Any:
    keys = keys or {"aws_access_key": KEYS.access_key, "aws_secret_key": KEYS.secret_key}
    if kind == "mantle":
        return anthropic.AnthropicBedrockMantle(aws_region=REGION, http_client=http_client(), max_retries=0, **keys)
    return anthropic.AnthropicAWS(
        aws_region=REGION, workspace_id="wrkspc_1", http_client=http_client(), max_retries=0, **keys
    )


HOW = [
    ("mantle", "anthropic.claude-opus-4-8", {}),
    ("mantle", "anthropic.claude-opus-4-8", {"streamed": False, "beta": True, "betas": ["a-1"]}),
    ("mantle", "anthropic.claude-opus-4-8", {"count": True}),
    ("mantle", "anthropic.claude-opus-4-8", {"extra_headers": {"anthropic-user-profile-id": "uprof_1"}}),
    ("aws", "claude-opus-4-8", {}),
    ("aws", "claude-opus-4-8", {"count": True}),
    ("aws", "claude-opus-4-8", {"streamed": False, "beta": True, "betas": ["a-1"]}),
]


@pytest.mark.parametrize(("kind", "model", "how"), HOW)
def test_what_reaches_the_place_is_what_the_sdk_would_have_sent_there(
    kind: str, model: str, how: dict[str, Any]
) -> None:
    theirs = as_arrived(sdk_request(client(kind), model=model, **how))
    ours = asked_of(upstream(kind), messages_call(**how))
    assert (ours.method, ours.target, ours.fields) == (theirs.method, theirs.target, theirs.fields)
    assert list(ours.fields) == list(theirs.fields)
    assert ours.compared == theirs.compared
    assert ours.header(b"host") == theirs.header(b"host") == PLACES[kind][0].removeprefix("https://").encode()
    assert signature_scope(ours.headers) == signature_scope(theirs.headers)
    check_signature(ours, *PLACES[kind], REGION)


@pytest.mark.parametrize(
    ("kind", "variable"),
    [("mantle", "AWS_BEARER_TOKEN_BEDROCK"), ("mantle", "ANTHROPIC_AWS_API_KEY"), ("aws", "ANTHROPIC_AWS_API_KEY")],
)
def test_a_bearer_token_is_sent_as_the_sdk_sends_it(kind: str, variable: str) -> None:
    theirs = as_arrived(sdk_request(client(kind, api_key="tok")))
    ours = asked_of(upstream(kind, {variable: "tok"}), messages_call())
    assert ours.header(b"authorization") == theirs.header(b"authorization") == b"Bearer tok"
    assert ours.header(b"x-amz-date") is None


def test_the_bytes_of_the_client_stay_where_the_model_has_the_same_name() -> None:
    call = messages_call()
    raw = b" " + (call.raw or b"")
    assert asked_of(upstream("aws"), replace(call, raw=raw)).body == raw


def test_the_messages_api_at_bedrocks_old_endpoint_has_the_version_in_the_body() -> None:
    ours = asked_of(upstream("aws-messages"), messages_call())
    assert ours.target == "/anthropic/v1/messages"
    expected = {**messages_call().fields, "model": "eu.anthropic.claude-opus-4-8", "anthropic_version": "2026-10-21"}
    assert ours.fields == expected
    check_signature(ours, *PLACES["aws-messages"], REGION)


def test_the_clients_own_workspace_is_left_alone() -> None:
    call = messages_call(extra_headers={"anthropic-workspace-id": "wrkspc_2"})
    ours = asked_of(upstream("aws"), call)
    assert [value for name, value in ours.headers if name == b"anthropic-workspace-id"] == [b"wrkspc_2"]


def test_without_a_workspace_the_sentence_says_where_to_give_it() -> None:
    with pytest.raises(UpstreamError, match="set ANTHROPIC_AWS_WORKSPACE_ID"):
        upstream("aws", workspace=None)
    upstream("aws", {"ANTHROPIC_AWS_WORKSPACE_ID": "wrkspc_3"}, workspace=None)


def test_a_body_that_is_still_arriving_cannot_be_signed() -> None:
    service = upstream("mantle")
    assert service.reads_body
    with pytest.raises(BadCall):
        out_of(service, replace(messages_call(), path="/v1/files", raw=None, fields={}))


def test_a_bedrock_client_can_be_in_front() -> None:
    ours = asked_of(upstream("mantle"), bedrock_call())
    assert ours.fields["model"] == "anthropic.claude-opus-4-8"
    assert ours.target == "/anthropic/v1/messages"
    check_signature(ours, *PLACES["mantle"], REGION)


@pytest.mark.parametrize("credentials", [[], [(b"x-api-key", b"sk-ant-x")], [(b"authorization", b"Basic eDp5")]])
def test_credentials_that_aws_does_not_take_are_not_sent_there(credentials: Any) -> None:
    with pytest.raises(NoCredentials):
        out_of(upstream("mantle"), messages_call(), None, credentials)


@pytest.mark.parametrize("fields", [{}, {"model": 3}, {"user_profile_id": 1}, {"anthropic_version": None}])
@pytest.mark.parametrize("kind", PLACES)
def test_a_strange_body_is_asked_for_all_the_same(kind: str, fields: dict[str, Any]) -> None:
    call = messages_call(extra_headers={"anthropic-user-profile-id": "u"})
    check_signature(asked_of(upstream(kind), replace(call, fields=fields)), *PLACES[kind], REGION)
