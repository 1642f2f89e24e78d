"""Vertex AI, against the official SDK."""

from dataclasses import replace
from typing import Any

import anthropic
import pytest

from midstream.gateway.http.heads import Headers
from midstream.gateway.upstreams.options import Options
from midstream.gateway.upstreams.port import BadCall, NoCredentials, NotOffered
from midstream.gateway.upstreams.vertex import Vertex
from tests.gateway.upstreams.fakes import (
    as_arrived,
    asked_of,
    bedrock_call,
    http_client,
    messages_call,
    out_of,
    sdk_request,
)

TOKEN: Headers = [(b"authorization", b"Bearer ya29.token")]


def upstream(region: str = "europe-west1", **options: Any) -> Vertex:
    return Vertex(f"vertex:my-project/{region}", "my-project", region, Options(**options))


def sdk(region: str = "europe-west1", **how: Any) -> Any:
    client = anthropic.AnthropicVertex(
        region=region, project_id="my-project", access_token="ya29.token", http_client=http_client(), max_retries=0
    )
    return sdk_request(client, **how)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"streamed": False},
        {"count": True},
        {"beta": True, "betas": ["a-1", "b-2"]},
        {"extra_headers": {"x-mine": "1"}, "extra_body": {"unknown": [1]}},
    ],
)
def test_what_reaches_vertex_is_what_the_sdk_would_have_sent_there(how: dict[str, Any]) -> None:
    request = sdk(**how)
    theirs, ours = as_arrived(request), asked_of(upstream(), messages_call(**how), None, TOKEN)
    assert (ours.method, ours.target, ours.fields) == (theirs.method, theirs.target, theirs.fields)
    assert ours.compared == theirs.compared
    assert ours.header(b"authorization") == theirs.header(b"authorization") == b"Bearer ya29.token"
    assert ours.header(b"host") == request.url.netloc


@pytest.mark.parametrize("region", ["global", "us", "eu", "us-east5"])
def test_each_region_has_the_host_that_the_sdk_asks(region: str) -> None:
    out = out_of(upstream(region), messages_call(), None, TOKEN)
    request = sdk(region)
    assert out.origin.authority == request.url.netloc
    assert out.target == request.url.raw_path


@pytest.mark.parametrize("model", ["claude-opus-4-5@20251101", "claude-x@default", "my;model/ä"])
def test_a_model_stands_in_the_path_as_the_sdk_writes_it(model: str) -> None:
    assert asked_of(upstream(), messages_call(model=model), None, TOKEN).target == as_arrived(sdk(model=model)).target


def test_a_models_name_of_the_api_becomes_vertexs() -> None:
    ours = asked_of(upstream(), messages_call(model="claude-opus-4-5"), None, TOKEN)
    assert "/models/claude-opus-4-5@20251101:streamRawPredict" in ours.target
    counted = asked_of(upstream(), messages_call(model="claude-opus-4-5", count=True), None, TOKEN)
    assert counted.fields["model"] == "claude-opus-4-5@20251101"


def test_the_first_version_is_vertexs_own() -> None:
    call = messages_call()
    headers = [(name, b"2023-06-01" if name == b"anthropic-version" else value) for name, value in call.headers]
    assert asked_of(upstream(), replace(call, headers=headers), None, TOKEN).fields["anthropic_version"] == (
        "vertex-2023-10-16"
    )


def test_a_bedrock_client_can_be_in_front() -> None:
    ours = asked_of(upstream(), bedrock_call(), None, TOKEN)
    assert ours.target.endswith("/models/claude-opus-4-8:streamRawPredict")
    assert ours.fields["anthropic_version"] == "2026-10-21"
    assert ours.fields["stream"] is True


@pytest.mark.parametrize("path", ["/v1/models", "/v1/messages/batches"])
def test_what_vertex_has_not_is_not_offered(path: str) -> None:
    with pytest.raises(NotOffered):
        out_of(upstream(), replace(messages_call(), path=path), None, TOKEN)


@pytest.mark.parametrize("fields", [{}, {"model": 1}, {"model": "."}])
def test_a_body_without_a_models_name_is_a_bad_call(fields: dict[str, Any]) -> None:
    with pytest.raises(BadCall):
        out_of(upstream(), replace(messages_call(), fields=fields), None, TOKEN)


def test_a_key_of_anthropics_never_reaches_google() -> None:
    with pytest.raises(NoCredentials, match="Vertex AI does not take"):
        out_of(upstream(), messages_call(), None, [(b"x-api-key", b"sk-ant-x")])


def test_a_private_endpoint_is_asked_instead() -> None:
    for url in ("https://vertex.internal/v1", "https://vertex.internal"):
        out = out_of(upstream(base_url=url), messages_call(), None, TOKEN)
        assert out.origin.host == "vertex.internal"
        assert out.target.startswith(b"/v1/projects/")
