"""Vertex AI: the model in the path, everything else as the Messages API has it.

Rule: the paths and the version stand here; the token is `google_tokens`'s.
"""

from typing import Any
from urllib.parse import quote

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.origin import OutRequest
from midstream.gateway.upstreams.anthropic import MessagesApi
from midstream.gateway.upstreams.asked import (
    COUNT_TOKENS,
    MESSAGES,
    NEWEST_VERSION,
    Asked,
    as_messages,
    model_in,
    target_of,
    to_send,
    version_in_header,
    with_names,
)
from midstream.gateway.upstreams.google_tokens import GoogleAuth
from midstream.gateway.upstreams.models import Names
from midstream.gateway.upstreams.options import Base, Options
from midstream.gateway.upstreams.port import Call, NotOffered

FIRST_VERSION = "vertex-2023-10-16"
OPTIONS = frozenset(("models", "base_url"))

# anthropic 2.11, lib/vertex/_client.py; every other region has a host of its own.
_HOSTS = {
    "global": "aiplatform.googleapis.com",
    "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}
# What may stand in a segment of a path (RFC 3986 §3.3), without ";": a server that drops what follows one would drop
# what is asked of the model.
_SEGMENT = "!$&'()*+,=:@"


class Vertex(MessagesApi):
    """``vertex:PROJECT/REGION``."""

    # Whether there are any is known only once they were asked for.
    holds_credentials = True

    def __init__(self, name: str, project: str, region: str, options: Options) -> None:
        url = options.base_url or f"https://{_HOSTS.get(region) or f'{region}-aiplatform.googleapis.com'}/v1"
        base = Base.of(url.removesuffix("/").removesuffix("/v1"), f"base_url of the upstream {name}")
        super().__init__(name, base, Names("vertex", options.models))
        self._models = f"/v1/projects/{project}/locations/{region}/publishers/anthropic/models"
        self._auth = GoogleAuth("Vertex AI")

    async def request(self, call: Call, fields: dict[str, Any] | None, credentials: Headers | None) -> OutRequest:
        """The call as a raw prediction (`Upstream.request`)."""
        asked = with_names(as_messages(call, fields, self.names), self.names)
        if call.method != "POST" or asked.path not in (MESSAGES, COUNT_TOKENS):
            raise NotOffered(f"The upstream {self.name} has nothing but /v1/messages and its count_tokens.")
        asked, what = _raw_prediction(asked)
        headers = [pair for pair in asked.headers if pair[0] != b"anthropic-version"]
        headers = to_send(headers, streamed=asked.streamed, translated=True)
        headers += await self._auth.headers(credentials)
        target = target_of(self.base.path, f"{self._models}/{what}", "")
        return OutRequest(b"POST", self.base.origin, target, headers, asked.body)


def _raw_prediction(asked: Asked) -> tuple[Asked, str]:
    """The body as Vertex has it, and the end of the path. To count tokens, the model stays in the body."""
    model = model_in(asked)
    version = NEWEST_VERSION if version_in_header(asked.headers) == NEWEST_VERSION else FIRST_VERSION
    body = {**asked.fields, "anthropic_version": asked.fields.get("anthropic_version", version)}
    if asked.path == COUNT_TOKENS:
        return asked.changed(body), "count-tokens:rawPredict"
    del body["model"]
    what = "streamRawPredict" if asked.streamed else "rawPredict"
    return asked.changed(body), f"{quote(model, safe=_SEGMENT)}:{what}"
