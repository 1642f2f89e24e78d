"""The places on AWS that speak the Messages API itself.

Rule: each row of `PLACES` says where it is and what it is called there; the rest is one class.

Three places, not one. *Mantle* (``mantle:REGION``) is Bedrock's newer endpoint, with its own service name and its own
names for models. ``aws-messages:REGION`` is the Messages API at the old endpoint of Bedrock: AWS documents it for its
own SDKs, with ``anthropic_version`` in the body. The *Claude Platform on AWS* (``aws:REGION``) is neither: it is run by
Anthropic, billed by AWS, at ``aws-external-anthropic.REGION.api.aws``; it has the API's own names for models, and every
request names its workspace.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from midstream.gateway.http.heads import Headers, first
from midstream.gateway.http.origin import OutRequest
from midstream.gateway.upstreams.anthropic import MessagesApi
from midstream.gateway.upstreams.asked import COUNT_TOKENS, MESSAGES, Asked, as_messages, target_of, to_send, with_names
from midstream.gateway.upstreams.bedrock import names_of, version_for
from midstream.gateway.upstreams.models import Names
from midstream.gateway.upstreams.options import Base, Options
from midstream.gateway.upstreams.port import BadCall, Call, UpstreamError
from midstream.gateway.upstreams.sigv4 import AwsAuth

WORKSPACE = "ANTHROPIC_AWS_WORKSPACE_ID"
_WORKSPACE_HEADER, _USER_PROFILE_HEADER = b"anthropic-workspace-id", b"anthropic-user-profile-id"


@dataclass(frozen=True, slots=True)
class Place:
    """One of the endpoints."""

    url: str
    service: str
    """The service of the signature."""
    tokens: tuple[str, ...]
    """The environment variables with a bearer token, in their order."""
    title: str
    options: frozenset[str]


_COMMON = frozenset(("models", "base_url", "key_env", "profile"))

PLACES: Mapping[str, Place] = {
    # anthropic 2.11, lib/bedrock/_mantle.py
    "mantle": Place(
        "https://bedrock-mantle.{region}.api.aws/anthropic",
        "bedrock-mantle",
        ("AWS_BEARER_TOKEN_BEDROCK", "ANTHROPIC_AWS_API_KEY"),
        "Mantle",
        _COMMON,
    ),
    # docs.aws.amazon.com/bedrock/latest/userguide/inference-messages-api.html; no client of the SDK's speaks it
    "aws-messages": Place(
        "https://bedrock-runtime.{region}.amazonaws.com/anthropic",
        "bedrock",
        ("AWS_BEARER_TOKEN_BEDROCK",),
        "Bedrock",
        _COMMON | {"geo"},
    ),
    # anthropic 2.11, lib/aws/_client.py
    "aws": Place(
        "https://aws-external-anthropic.{region}.api.aws",
        "aws-external-anthropic",
        ("ANTHROPIC_AWS_API_KEY",),
        "the Claude Platform on AWS",
        _COMMON | {"workspace"},
    ),
}


class AwsMessages(MessagesApi):
    """``mantle:REGION``, ``aws-messages:REGION`` or ``aws:REGION``."""

    # Whether the chain brings any is known only once it was asked.
    holds_credentials = True

    def __init__(self, name: str, kind: str, region: str, options: Options, environ: Mapping[str, str]) -> None:
        place = PLACES[kind]
        url = options.base_url or place.url.format(region=region)
        super().__init__(name, Base.of(url, f"base_url of the upstream {name}"), _names(kind, region, options))
        self._kind = kind
        self._workspace = _workspace(name, options, environ) if kind == "aws" else None
        own = options.own_key(name, environ, *place.tokens)
        self._auth = AwsAuth(place.service, region, own_token=own, profile=options.profile, name=place.title)

    async def request(self, call: Call, fields: dict[str, Any] | None, credentials: Headers | None) -> OutRequest:
        """The client's request, signed for this place (`Upstream.request`)."""
        asked = self._here(with_names(as_messages(call, fields, self.names), self.names))
        body = asked.body
        if body is None:
            raise BadCall(f"The upstream {self.name} signs the body, so it cannot be handed on while it arrives.")
        headers = to_send(asked.headers, streamed=asked.streamed)
        if self._workspace is not None and first(headers, _WORKSPACE_HEADER) is None:
            headers.append((_WORKSPACE_HEADER, self._workspace.encode()))
        origin, target = self.base.origin, target_of(self.base.path, asked.path, asked.query)
        method = call.method.encode()
        headers = await self._auth.headers(method, origin, target, headers, body, credentials)
        return OutRequest(method, origin, target, headers, body)

    def _here(self, asked: Asked) -> Asked:
        """What a place wants in the body that the API has in a header."""
        if asked.path not in (MESSAGES, COUNT_TOKENS) or not asked.fields:
            return asked
        if self._kind == "mantle" and (profile := first(asked.headers, _USER_PROFILE_HEADER)) is not None:
            changed = asked.changed({"user_profile_id": profile.decode("latin-1"), **asked.fields})
            kept = [pair for pair in changed.headers if pair[0] != _USER_PROFILE_HEADER]
            return replace(changed, headers=kept)
        if self._kind == "aws-messages" and "anthropic_version" not in asked.fields:
            model = asked.fields.get("model")
            version = version_for(asked.headers, model if isinstance(model, str) else "")
            return asked.changed({**asked.fields, "anthropic_version": version})
        return asked


def _names(kind: str, region: str, options: Options) -> Names:
    if kind == "aws-messages":
        return names_of(region, options)
    return Names("mantle" if kind == "mantle" else "api", options.models)


def _workspace(name: str, options: Options, environ: Mapping[str, str]) -> str:
    workspace = options.workspace or environ.get(WORKSPACE)
    if not workspace or not workspace.isascii() or not workspace.isprintable():
        raise UpstreamError(f"the upstream {name} needs the id of its workspace; set {WORKSPACE} or its `workspace`")
    return workspace
