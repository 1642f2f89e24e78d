"""Anthropic's API, and every service that speaks it at another address.

Rule: the client's bytes go on as they came, unless an attempt after the first edits them or the user's table renames
the model.
"""

from collections.abc import Mapping
from typing import Any

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.origin import OutRequest
from midstream.gateway.upstreams import errors
from midstream.gateway.upstreams.asked import as_messages, target_of, to_send, with_names
from midstream.gateway.upstreams.bearer import brings_bearer
from midstream.gateway.upstreams.models import Names
from midstream.gateway.upstreams.options import Base, Options
from midstream.gateway.upstreams.port import Call, NoCredentials, Wire

API = "https://api.anthropic.com"
KEY, TOKEN = "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"
OPTIONS = frozenset(("models", "base_url", "key_env"))


class MessagesApi:
    """A service that speaks the Messages API itself. What is common to them; each adds its credentials."""

    wire: Wire = "sse"
    never_tried_live = True
    reads_body = True
    names: Names

    def __init__(self, name: str, base: Base, names: Names) -> None:
        self.name, self.base, self.names = name, base, names

    def takes(self, call: Call, credentials: Headers) -> bool:
        """A cloud takes a bearer token, and no key of Anthropic's (`Upstream.takes`)."""
        return brings_bearer(credentials)

    def model_key(self, call: Call) -> str:
        """The model itself (`Upstream.model_key`)."""
        return self.names.key(call.model)

    def refusal(self, status: int, headers: Headers, body: bytes, wire: Wire = "sse") -> tuple[int, Headers, bytes]:
        """An error in the client's words. A cloud's front door may speak before the Messages API does."""
        if wire == "eventstream":
            return errors.to_bedrock(status, headers, body)
        return errors.to_messages(status, headers, body)


class Anthropic(MessagesApi):
    """``anthropic``, or any ``http(s)://host:port/base``."""

    def __init__(self, name: str, options: Options, environ: Mapping[str, str]) -> None:
        super().__init__(name, _base(name, options), Names("api", options.models))
        # As the SDK: where both are set, the key wins; and either is sent as a bearer.
        self._own = options.own_key(name, environ, KEY, TOKEN)
        self._is_url = name != "anthropic"
        self.holds_credentials = self._own is not None
        self.reads_body = bool(options.models)

    async def request(self, call: Call, fields: dict[str, Any] | None, credentials: Headers | None) -> OutRequest:
        """The client's request, to this address (`Upstream.request`)."""
        asked = with_names(as_messages(call, fields, self.names), self.names)
        headers = to_send(asked.headers, streamed=asked.streamed)
        headers += self._own_credentials() if credentials is None else _brought(credentials)
        target = target_of(self.base.path, asked.path, asked.query)
        return OutRequest(call.method.encode(), self.base.origin, target, headers, asked.body)

    def takes(self, call: Call, credentials: Headers) -> bool:
        """Whatever the Messages API knows (`Upstream.takes`)."""
        return bool(_known(credentials)) and not _is_signed(credentials)

    def refusal(self, status: int, headers: Headers, body: bytes, wire: Wire = "sse") -> tuple[int, Headers, bytes]:
        """Untouched for who speaks this API."""
        return (status, headers, body) if wire == "sse" else errors.to_bedrock(status, headers, body)

    def _own_credentials(self) -> Headers:
        if self._own is not None:
            return [(b"authorization", b"Bearer " + self._own.encode("latin-1", "replace"))]
        if self._is_url:  # a service of one's own may need none
            return []
        raise NoCredentials(f"The gateway has no key for Anthropic: neither {KEY} nor {TOKEN} is set for it.")


def _brought(credentials: Headers) -> Headers:
    """The client's own, as they are. Its signature for AWS is none of them."""
    if _is_signed(credentials):
        raise NoCredentials(
            "The request is signed for AWS, and this upstream is not AWS: send a key or token of the upstream's, or "
            "let the gateway bring its own."
        )
    return _known(credentials)


def _known(credentials: Headers) -> Headers:
    """What of a client's credentials the Messages API knows."""
    return [pair for pair in credentials if pair[0] in (b"authorization", b"x-api-key")]


def _is_signed(credentials: Headers) -> bool:
    return any(value.startswith(b"AWS4-") for _, value in _known(credentials))


def _base(name: str, options: Options) -> Base:
    if name == "anthropic":
        return Base.of(options.base_url or API, "base_url of the upstream anthropic")
    return Base.of(options.base_url or name, "the URL of an upstream")
