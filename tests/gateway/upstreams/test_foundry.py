"""Microsoft Foundry, against the official SDK."""

from pathlib import Path
from typing import Any

import anthropic
import pytest

from midstream.gateway.http.heads import Headers
from midstream.gateway.upstreams.foundry import Foundry
from midstream.gateway.upstreams.options import Options
from midstream.gateway.upstreams.port import NoCredentials
from tests.gateway.upstreams.fakes import as_arrived, asked_of, http_client, messages_call, out_of, sdk_request

ENTRA = "eyJhbGciOi.eyJzdWIiOi.c2lnbmVk"


def upstream(environ: dict[str, str] | None = None, **options: Any) -> Foundry:
    environ = {"ANTHROPIC_FOUNDRY_API_KEY": "foundry-key"} if environ is None else environ
    return Foundry("foundry:my-resource", "my-resource", Options(**options), environ)


def sdk(**keys: Any) -> Any:
    return anthropic.AnthropicFoundry(
        resource="my-resource", http_client=http_client(), max_retries=0, **(keys or {"api_key": "foundry-key"})
    )


def of_credentials(headers: Headers) -> Headers:
    return sorted(pair for pair in headers if pair[0] in (b"authorization", b"x-api-key", b"api-key"))


@pytest.mark.parametrize("how", [{}, {"streamed": False}, {"beta": True, "betas": ["a-1"]}])
def test_what_reaches_foundry_is_what_the_sdk_would_have_sent_there(how: dict[str, Any]) -> None:
    request = sdk_request(sdk(), **how)
    theirs, ours = as_arrived(request), asked_of(upstream(), messages_call(**how))
    assert (ours.method, ours.target, ours.body) == (theirs.method, theirs.target, theirs.body)
    assert ours.compared == theirs.compared
    assert of_credentials(ours.headers) == of_credentials(theirs.headers)
    assert ours.header(b"host") == request.url.netloc


def test_an_entra_token_is_sent_as_the_sdk_sends_it_and_alone(tmp_path: Path) -> None:
    theirs = as_arrived(sdk_request(sdk(azure_ad_token_provider=lambda: ENTRA)))
    file = tmp_path / "token"
    file.write_text(f"{ENTRA}\n")
    own = asked_of(upstream(token_file=str(file)), messages_call())
    brought = asked_of(upstream(), messages_call(), None, [(b"authorization", f"Bearer {ENTRA}".encode())])
    assert of_credentials(own.headers) == of_credentials(brought.headers) == of_credentials(theirs.headers)


@pytest.mark.parametrize("brought", [[(b"x-api-key", b"k")], [(b"api-key", b"k")], [(b"authorization", b"Bearer k")]])
def test_the_clients_key_is_sent_in_both_headers_however_it_came(brought: Headers) -> None:
    ours = asked_of(upstream(), messages_call(), None, brought)
    assert of_credentials(ours.headers) == [(b"api-key", b"k"), (b"x-api-key", b"k")]


def test_a_deployment_is_named_by_the_table() -> None:
    service = upstream(models={"claude-opus-4-8": "my-deployment"})
    assert asked_of(service, messages_call()).fields["model"] == "my-deployment"
    assert service.model_key(messages_call()) == "claude-opus-4-8"


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"two\nlines"])
def test_a_token_file_that_is_none_is_told_in_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(NoCredentials, match="The file with the Entra token"):
        out_of(upstream(token_file=str(file)), messages_call())


def test_without_credentials_the_sentence_says_where_to_give_them() -> None:
    assert not upstream({}).holds_credentials
    with pytest.raises(NoCredentials, match="set ANTHROPIC_FOUNDRY_API_KEY"):
        out_of(upstream({}), messages_call())
    with pytest.raises(NoCredentials, match="brings no credentials for Foundry"):
        out_of(upstream(), messages_call(), None, [])
