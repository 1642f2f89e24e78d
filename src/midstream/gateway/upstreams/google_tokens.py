"""Access tokens of Google Cloud, by google-auth.

Rule: google-auth asks files and the network, so it is asked in a thread.
"""

import math
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from midstream.gateway.http.heads import Headers
from midstream.gateway.upstreams.bearer import bearer_of
from midstream.gateway.upstreams.port import NoCredentials
from midstream.gateway.upstreams.renewed import Held, Renewed

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# google-auth's own: a token counts as run out 3 minutes and 45 seconds before it is.
_RENEW_S = 225.0


class Default:
    """Google's Application Default Credentials."""

    def __init__(self) -> None:
        self._credentials: Any = None

    def fetch(self) -> Held[str]:
        """Blocks. Raises `NoCredentials`, and whatever google-auth raises."""
        try:
            # By name: its packages have types in part only, and both are an extra.
            auth, transport = import_module("google.auth"), import_module("google.auth.transport.requests")
        except ImportError:
            raise NoCredentials("Tokens of Google's need google-auth: pip install 'midstream[vertex]'.") from None
        if self._credentials is None:
            try:
                self._credentials, _ = auth.default(scopes=[SCOPE])
            except auth.exceptions.DefaultCredentialsError:
                raise NoCredentials(
                    "No Google credentials were found: GOOGLE_APPLICATION_CREDENTIALS, gcloud's own "
                    "(gcloud auth application-default login) and the metadata server were looked at."
                ) from None
        self._credentials.refresh(transport.Request())
        token, expiry = self._credentials.token, self._credentials.expiry
        if not isinstance(token, str) or not token:
            raise NoCredentials("Google's credentials brought no token.")
        if not isinstance(expiry, datetime):
            return Held(token, math.inf, math.inf)
        expires_at = expiry.replace(tzinfo=UTC).timestamp()
        return Held(token, expires_at - _RENEW_S, expires_at)


class GoogleAuth:
    """How one upstream on Google Cloud says who asks."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._token = Renewed(Default().fetch, "google-auth")

    async def headers(self, credentials: Headers | None) -> Headers:
        """The header with the token. Raises `NoCredentials`."""
        if credentials is None:
            token: str | None = await self._token.get()
        else:
            token = bearer_of(credentials, self._name)
        if token is None:
            raise NoCredentials(f"The request brings no token for {self._name}: send one, or let the gateway have it.")
        return [(b"authorization", b"Bearer " + token.encode("latin-1", "replace"))]
