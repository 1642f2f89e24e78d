"""Bedrock's InvokeModel: the model in the path, the reply an AWS event stream.

Rule: who speaks Bedrock already is handed on as it came; everyone else's call is translated.

A client's own signature covers the address that the client was given. The SDK signs the host of its ``base_url``, which
is the gateway's, so upstream that signature is worthless, and the gateway signs anew or refuses. It goes on only where
the client signed for Bedrock's host itself (`signature_holds`), and then nothing of the request may change.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from midstream.gateway.credentials import CREDENTIAL_HEADERS
from midstream.gateway.http.heads import Headers
from midstream.gateway.http.origin import OutRequest
from midstream.gateway.upstreams import errors
from midstream.gateway.upstreams.asked import (
    MESSAGES,
    NEWEST_VERSION,
    Asked,
    as_messages,
    betas_of,
    check_path,
    encoded,
    model_in,
    target_of,
    to_send,
    version_in_header,
)
from midstream.gateway.upstreams.bearer import brings_bearer
from midstream.gateway.upstreams.models import Names, geo_of_region, takes_newest_version
from midstream.gateway.upstreams.options import Base, Options
from midstream.gateway.upstreams.port import BadCall, Call, NotOffered, Wire, signed_by_client
from midstream.gateway.upstreams.sigv4 import AwsAuth

FIRST_VERSION = "bedrock-2023-05-31"
TOKEN = "AWS_BEARER_TOKEN_BEDROCK"
OPTIONS = frozenset(("models", "base_url", "key_env", "geo", "profile"))


class Bedrock:
    """``bedrock:REGION``."""

    wire: Wire = "eventstream"
    never_tried_live = True
    reads_body = True
    # Whether the chain brings any is known only once it was asked.
    holds_credentials = True

    def __init__(self, name: str, region: str, options: Options, environ: Mapping[str, str]) -> None:
        self.name = name
        url = options.base_url or f"https://bedrock-runtime.{region}.amazonaws.com"
        self.base = Base.of(url, f"base_url of the upstream {name}")
        self.names = names_of(region, options)
        own = options.own_key(name, environ, TOKEN)
        self._auth = AwsAuth("bedrock", region, own_token=own, profile=options.profile, name="Bedrock")

    async def request(self, call: Call, fields: dict[str, Any] | None, credentials: Headers | None) -> OutRequest:
        """The call as InvokeModel (`Upstream.request`)."""
        if call.wire == "eventstream":
            return await self._as_it_came(call, fields, credentials)
        asked = as_messages(call, fields, self.names)
        if asked.path != MESSAGES or call.method != "POST":
            raise NotOffered(f"The upstream {self.name} has nothing but /v1/messages.")
        model = self.names.of(model_in(asked))
        what = "invoke-with-response-stream" if asked.streamed else "invoke"
        target = target_of(self.base.path, f"/model/{quote(model, safe=':;')}/{what}", "")
        asked = asked.changed(body_for(asked, model))
        headers, body = to_send(_without_version(asked), streamed=True, translated=True), encoded(asked.fields)
        return await self._out(call.method, target, headers, body, credentials)

    async def _as_it_came(self, call: Call, fields: dict[str, Any] | None, credentials: Headers | None) -> OutRequest:
        """A Bedrock client's: path and bytes as they are."""
        check_path(call.path)
        target = target_of(self.base.path, call.path, call.query)
        if credentials is not None and self.signature_holds(call, credentials):
            if fields is not None:
                raise BadCall("The request is signed by the client, so it cannot be changed.")
            headers = [*call.headers, *(pair for pair in credentials if pair not in call.headers)]
            return OutRequest(call.method.encode(), self.base.origin, target, headers, call.raw)
        dropped = CREDENTIAL_HEADERS if fields is None else CREDENTIAL_HEADERS | {b"content-encoding", b"content-md5"}
        headers = [pair for pair in call.headers if pair[0] not in dropped]
        body = call.raw if fields is None else encoded(fields)
        if body is None:
            raise BadCall(f"The upstream {self.name} signs the body, so it cannot be handed on while it arrives.")
        return await self._out(call.method, target, to_send(headers, streamed=call.streamed), body, credentials)

    async def _out(
        self, method: str, target: bytes, headers: Headers, body: bytes, credentials: Headers | None
    ) -> OutRequest:
        raw, origin = method.encode(), self.base.origin
        headers = await self._auth.headers(raw, origin, target, headers, body, credentials)
        return OutRequest(raw, origin, target, headers, body)

    def signature_holds(self, call: Call, credentials: Headers) -> bool:
        """Whether the client's own signature can be valid upstream: it was made for this very host and path."""
        # Whoever made the call may have taken its credentials out of its headers.
        signed = signed_by_client(replace(call, headers=[*call.headers, *credentials]))
        at_base = not self.base.path and self.base.origin.scheme == "https"
        return signed and at_base and call.host.encode("latin-1", "replace") == self.base.origin.authority

    def takes(self, call: Call, credentials: Headers) -> bool:
        """A bearer token, or a signature for Bedrock's own address (`Upstream.takes`)."""
        return brings_bearer(credentials) or (call.wire == "eventstream" and self.signature_holds(call, credentials))

    def model_key(self, call: Call) -> str:
        """The model itself (`Upstream.model_key`)."""
        return self.names.key(call.model)

    def refusal(self, status: int, headers: Headers, body: bytes, wire: Wire = "sse") -> tuple[int, Headers, bytes]:
        """AWS's errors in the client's words; for who speaks Bedrock, the gateway's own in AWS's."""
        if wire != "eventstream":
            return errors.to_messages(status, headers, body)
        return errors.to_bedrock(status, headers, body) if errors.is_envelope(body) else (status, headers, body)


def names_of(region: str, options: Options) -> Names:
    """Bedrock's names, with the prefix of the region's own geography, of the one that was said, or of none."""
    geo = geo_of_region(region) if options.geo is None else options.geo
    return Names("bedrock", options.models, geo="" if geo == "none" else geo)


def body_for(asked: Asked, model: str) -> dict[str, Any]:
    """The Messages body → InvokeModel's: what stands in path and headers there stands in the body here."""
    body = {name: value for name, value in asked.fields.items() if name not in ("model", "stream")}
    body.setdefault("anthropic_version", version_for(asked.headers, model))
    if betas := betas_of(asked.headers):
        body.setdefault("anthropic_beta", betas)
    return body


def version_for(headers: Headers, model: str) -> str:
    """``anthropic_version``: what the client asked for, where the model takes it (4.7 and later take the newest)."""
    newest = version_in_header(headers) == NEWEST_VERSION and takes_newest_version(model)
    return NEWEST_VERSION if newest else FIRST_VERSION


def _without_version(asked: Asked) -> Headers:
    """The version stands in the body."""
    return [pair for pair in asked.headers if pair[0] != b"anthropic-version"]
