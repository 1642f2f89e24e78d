"""Credentials of AWS, and requests signed with them, by botocore.

Rule: botocore's chain may ask the network, so it is asked in a thread; signing does not, and is done at once.
"""

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from midstream.gateway.http.heads import Headers, first
from midstream.gateway.http.origin import Origin
from midstream.gateway.upstreams.bearer import bearer_of
from midstream.gateway.upstreams.port import NoCredentials
from midstream.gateway.upstreams.renewed import Held, Renewed

_INSTALL = "Signing needs botocore: pip install 'midstream[bedrock]'."
# botocore's own numbers: it looks for new credentials 15 minutes before the old ones expire.
_RENEW_S = 15 * 60.0
# Hashing 1 MiB takes about a millisecond; more than that is not for the event loop.
_LARGE_BYTES = 1 << 20


class Keys(NamedTuple):
    """What a request is signed with. The names are botocore's."""

    access_key: str
    secret_key: str
    token: str | None


class Chain:
    """botocore's chain: environment, profile, sign-on, web identity, container, instance."""

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._credentials: Any = None

    def fetch(self) -> Held[Keys]:
        """Blocks. Raises `NoCredentials`, and whatever botocore raises."""
        if self._credentials is None:
            self._credentials = _session(self._profile).get_credentials()
        if self._credentials is None:
            raise NoCredentials(
                "No AWS credentials were found: AWS_BEARER_TOKEN_BEDROCK is not set, and botocore's chain "
                "(AWS_ACCESS_KEY_ID, the profile, sign-on, a role of the container or the instance) is empty."
            )
        frozen = self._credentials.get_frozen_credentials()
        keys = Keys(frozen.access_key, frozen.secret_key, frozen.token)
        # Private in botocore, and the only place where it says it; without it nothing is asked for beforehand.
        expiry = getattr(self._credentials, "_expiry_time", None)
        if expiry is None:
            return Held(keys, math.inf, math.inf)
        expires_at = expiry.timestamp()
        # An instance's metadata may extend credentials that have run out: they are tried, not thrown away.
        return Held(keys, expires_at - _RENEW_S, max(expires_at, time.time() + 60))


def _session(profile: str | None) -> Any:
    try:
        import botocore.session
    except ImportError:
        raise NoCredentials(_INSTALL) from None
    return botocore.session.Session(profile=profile)


class AwsAuth:
    """How one upstream on AWS says who asks: a bearer token where there is one, else a signature."""

    def __init__(
        self, service: str, region: str, *, own_token: str | None, profile: str | None = None, name: str = "AWS"
    ) -> None:
        self._service, self._region, self._own_token, self._name = service, region, own_token, name
        self._keys = Renewed(Chain(profile).fetch, "botocore's credential chain")

    async def headers(
        self, method: bytes, origin: Origin, target: bytes, headers: Headers, body: bytes, credentials: Headers | None
    ) -> Headers:
        """The headers, credentials included. Raises `NoCredentials`."""
        token = self._own_token if credentials is None else bearer_of(credentials, self._name)
        if token is not None:
            return [*headers, (b"authorization", b"Bearer " + token.encode("latin-1", "replace"))]
        if credentials is not None:
            raise NoCredentials(self._why_not(credentials))
        keys = await self._keys.get()
        parts = (keys, self._service, self._region, method, origin, target, joined(headers), body)
        if len(body) > _LARGE_BYTES:
            return await asyncio.to_thread(signed, *parts)
        return signed(*parts)

    def _why_not(self, credentials: Headers) -> str:
        if (first(credentials, b"authorization") or b"").startswith(b"AWS4-"):
            return (
                "The request is signed for the gateway's own address, and AWS takes a signature only for its own: "
                "let the gateway sign (docs/howto/bedrock.md), or send a bearer token."
            )
        return f"The request brings no credentials for {self._name}: send a bearer token, or let the gateway sign."


def signed(
    keys: Keys, service: str, region: str, method: bytes, origin: Origin, target: bytes, headers: Headers, body: bytes
) -> Headers:
    """The headers with a signature over them, the target and the body. Every header is signed, as the SDK does."""
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
    except ImportError:
        raise NoCredentials(_INSTALL) from None
    # At DEBUG it logs what it signs: session tokens and headers of the client's.
    logging.getLogger("botocore.auth").setLevel(logging.INFO)
    url = f"{origin.scheme}://{origin.authority.decode()}{target.decode('latin-1')}"
    covered: Mapping[str, str] = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    if body:
        covered = {**covered, "content-length": str(len(body))}
    request = AWSRequest(method=method.decode(), url=url, headers=covered, data=body)
    SigV4Auth(keys, service, region).add_auth(request)
    added = ("X-Amz-Date", "X-Amz-Security-Token", "Authorization")
    said = [(name.lower().encode(), request.headers[name]) for name in added]
    return [*headers, *((name, value.encode("latin-1")) for name, value in said if value is not None)]


def joined(headers: Headers) -> Headers:
    """Each name once, its values joined by a comma: so nobody on the way can join them in another order."""
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        # A client's own date would stand in for the one that is signed.
        if name != b"date":
            values[name] = f"{values[name].decode('latin-1')}, ".encode("latin-1") + value if name in values else value
    return list(values.items())
