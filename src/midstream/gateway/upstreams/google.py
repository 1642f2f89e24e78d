"""Claude on Google Cloud, run by Anthropic: the API itself behind Google's gateway.

Rule: nothing of a request changes but where it goes and who asks.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.origin import OutRequest
from midstream.gateway.upstreams.anthropic import MessagesApi
from midstream.gateway.upstreams.asked import as_messages, target_of, to_send, with_names
from midstream.gateway.upstreams.google_tokens import GoogleAuth
from midstream.gateway.upstreams.models import Names
from midstream.gateway.upstreams.options import Base, Options
from midstream.gateway.upstreams.port import Call, UpstreamError

URL = "https://claude.googleapis.com"
WORKSPACE = "ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID"
OPTIONS = frozenset(("models", "base_url", "workspace", "location"))
# Asked of the organization, not of a workspace (anthropic 2.11, lib/google_cloud/_client.py).
_OF_THE_ORGANIZATION = ("/v1/organizations/", "/v1/user_profiles/")


class GoogleCloud(MessagesApi):
    """``google:PROJECT`` or ``google:PROJECT/WORKSPACE``."""

    # Whether there are any is known only once they were asked for.
    holds_credentials = True

    def __init__(self, name: str, project: str, workspace: str, options: Options, environ: Mapping[str, str]) -> None:
        base = Base.of(options.base_url or URL, f"base_url of the upstream {name}")
        super().__init__(name, base, Names("api", options.models))
        workspace = workspace or options.workspace or environ.get(WORKSPACE, "")
        if not workspace:
            raise UpstreamError(
                f"the upstream {name} needs the id of its workspace; "
                f"set {WORKSPACE}, or name it google:{project}/WORKSPACE"
            )
        location = quote(options.location or "global", safe="")
        self._project = f"/v1/projects/{quote(project, safe=':')}/locations/{location}"
        self._workspace = f"{self._project}/workspaces/{quote(workspace, safe='')}/invoke"
        self._auth = GoogleAuth("Google Cloud")
        self.reads_body = bool(options.models)

    async def request(self, call: Call, fields: dict[str, Any] | None, credentials: Headers | None) -> OutRequest:
        """The client's request, below the workspace's address (`Upstream.request`)."""
        asked = with_names(as_messages(call, fields, self.names), self.names)
        below = self._workspace
        if asked.path == "/v1/user_profiles" or asked.path.startswith(_OF_THE_ORGANIZATION):
            below = f"{self._project}/claudeOrganization/invoke"
        headers = to_send(asked.headers, streamed=asked.streamed) + await self._auth.headers(credentials)
        target = target_of(self.base.path, below + asked.path, asked.query)
        return OutRequest(call.method.encode(), self.base.origin, target, headers, asked.body)
