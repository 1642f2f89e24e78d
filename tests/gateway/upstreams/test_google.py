"""Claude on Google Cloud, run by Anthropic, against the official SDK."""

from dataclasses import replace
from typing import Any

import anthropic
import pytest

from midstream.gateway.http.heads import Headers
from midstream.gateway.upstreams.google import GoogleCloud
from midstream.gateway.upstreams.options import Options
from midstream.gateway.upstreams.port import NoCredentials, UpstreamError
from tests.gateway.upstreams.fakes import as_arrived, asked_of, http_client, messages_call, out_of, sdk_request

TOKEN: Headers = [(b"authorization", b"Bearer ya29.token")]


def upstream(named: str = "wrkspc_1", environ: dict[str, str] | None = None, **options: Any) -> GoogleCloud:
    return GoogleCloud("google:my-project", "my-project", named, Options(**options), environ or {})


def sdk(**how: Any) -> Any:
    client = anthropic.AnthropicGoogleCloud(
        project="my-project",
        workspace_id="wrkspc_1",
        token_provider=lambda: "ya29.token",
        http_client=http_client(),
        max_retries=0,
    )
    return sdk_request(client, **how)


@pytest.mark.parametrize("how", [{}, {"streamed": False}, {"count": True}, {"beta": True, "betas": ["a-1"]}])
def test_what_reaches_google_is_what_the_sdk_would_have_sent_there(how: dict[str, Any]) -> None:
    request = sdk(**how)
    theirs, ours = as_arrived(request), asked_of(upstream(), messages_call(**how), None, TOKEN)
    assert (ours.method, ours.target, ours.body) == (theirs.method, theirs.target, theirs.body)
    assert ours.compared == theirs.compared
    assert ours.header(b"authorization") == theirs.header(b"authorization")
    assert ours.header(b"host") == request.url.netloc


def test_what_is_the_organizations_is_asked_of_the_organization() -> None:
    out = out_of(upstream(), replace(messages_call(), path="/v1/user_profiles/u", method="GET"), None, TOKEN)
    assert out.target == b"/v1/projects/my-project/locations/global/claudeOrganization/invoke/v1/user_profiles/u"
    assert out.method == b"GET"


def test_workspace_and_location_come_from_the_settings_too() -> None:
    by_table = upstream("", workspace="wrkspc_2", location="europe")
    assert b"/locations/europe/workspaces/wrkspc_2/" in out_of(by_table, messages_call(), None, TOKEN).target
    by_environment = upstream("", {"ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID": "wrkspc_3"})
    assert b"/workspaces/wrkspc_3/" in out_of(by_environment, messages_call(), None, TOKEN).target
    with pytest.raises(UpstreamError, match="set ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID, or name it google:my-project/W"):
        upstream("")


def test_a_key_of_anthropics_never_reaches_google() -> None:
    with pytest.raises(NoCredentials, match="Google Cloud does not take"):
        out_of(upstream(), messages_call(), None, [(b"authorization", b"Bearer sk-ant-oat01-x")])
