"""Microsoft Foundry: the Messages API at a resource's address; a model is the name of a deployment.

Rule: a key goes in both headers that Foundry knows, an Entra token as a bearer; never both.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.origin import OutRequest
from midstream.gateway.upstreams.anthropic import MessagesApi
from midstream.gateway.upstreams.asked import as_messages, target_of, to_send, with_names
from midstream.gateway.upstreams.bearer import bearer_of
from midstream.gateway.upstreams.models import Names
from midstream.gateway.upstreams.options import Base, Options
from midstream.gateway.upstreams.port import Call, NoCredentials
from midstream.gateway.upstreams.renewed import Held, Renewed

KEY = "ANTHROPIC_FOUNDRY_API_KEY"
OPTIONS = frozenset(("models", "base_url", "key_env", "token_file"))

TOKEN_FILE_BYTES_MAX = 64 << 10
"""Of a file with a token: Entra's are a few thousand bytes, and what is longer is no token."""


class Foundry(MessagesApi):
    """``foundry:RESOURCE``."""

    def __init__(self, name: str, resource: str, options: Options, environ: Mapping[str, str]) -> None:
        url = options.base_url or f"https://{resource}.services.ai.azure.com/anthropic"
        super().__init__(name, Base.of(url, f"base_url of the upstream {name}"), Names("api", options.models))
        self._key = options.own_key(name, environ, KEY)
        self._token: Renewed[str] | None = None
        if options.token_file is not None:
            self._token = Renewed(_TokenFile(Path(options.token_file)).fetch, "The file with the Entra token")
        self.holds_credentials = self._key is not None or self._token is not None
        self.reads_body = bool(options.models)

    async def request(self, call: Call, fields: dict[str, Any] | None, credentials: Headers | None) -> OutRequest:
        """The client's request, to this resource (`Upstream.request`)."""
        asked = with_names(as_messages(call, fields, self.names), self.names)
        headers = to_send(asked.headers, streamed=asked.streamed)
        headers += await self._own() if credentials is None else _brought(credentials)
        target = target_of(self.base.path, asked.path, asked.query)
        return OutRequest(call.method.encode(), self.base.origin, target, headers, asked.body)

    async def _own(self) -> Headers:
        if self._token is not None:
            return _as_headers(await self._token.get(), entra=True)
        if self._key is None:
            raise NoCredentials(f"The gateway has no key for Foundry: set {KEY}, or the upstream's `token_file`.")
        return _as_headers(self._key, entra=False)


class _TokenFile:
    """A file that somebody else keeps fresh."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fetch(self) -> Held[str]:
        """Blocks. Raises `NoCredentials`."""
        try:
            with self._path.open("rb") as file:
                token = file.read(TOKEN_FILE_BYTES_MAX).decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise NoCredentials("The file with the Entra token cannot be read, or is not text.") from None
        if not token.isprintable() or not token:
            raise NoCredentials("The file with the Entra token holds no token.")
        # The file says nothing of when it is written next: it is read again every `RETRY_S`.
        return Held(token, 0.0, math.inf)


def _brought(credentials: Headers) -> Headers:
    """The client's own. SDK 2.x sends a key as a bearer too; Entra's tokens are JWTs, and keys are not."""
    token = bearer_of(credentials, "Foundry")
    if token is None:
        raise NoCredentials("The request brings no credentials for Foundry: send a key or an Entra token.")
    return _as_headers(token, entra=token.startswith("ey") and token.count(".") == 2)


def _as_headers(secret: str, *, entra: bool) -> Headers:
    value = secret.encode("latin-1", "replace")
    if entra:
        return [(b"authorization", b"Bearer " + value)]
    return [(b"x-api-key", value), (b"api-key", value)]
