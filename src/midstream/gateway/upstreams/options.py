"""What can be said about one upstream besides its name: the tables of the file, ``[upstreams."…"]``.

Rule: checked here, once, at start; every mistake is one sentence that names the thing and the cure.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from midstream.gateway.http.origin import DEFAULT_PORTS, Origin
from midstream.gateway.upstreams.models import GEOS
from midstream.gateway.upstreams.port import UpstreamError

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]+")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@%-]+)*/?")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table of one upstream. What an upstream has no use for it refuses (`of`)."""

    models: dict[str, str] = {}
    """The upstream's name for a model, by the name that clients use. It beats the built-in table."""
    base_url: str | None = None
    """Where the service is instead: a private endpoint, a proxy of one's own."""
    key_env: str | None = None
    """The environment variable that has the gateway's own key, instead of the usual one."""
    geo: str | None = None
    """Bedrock: the prefix of the inference profiles, ``us`` to ``global``; ``none`` for the model alone."""
    profile: str | None = None
    """AWS: the profile of the AWS configuration whose credentials are used."""
    workspace: str | None = None
    """Claude Platform on AWS, Google Cloud: the id of the workspace."""
    location: str | None = None
    """Google Cloud: the location, where it is not ``global``."""
    token_file: str | None = None
    """Foundry: a file with an Entra token, which somebody else keeps fresh. It is read again every 30 s."""

    @classmethod
    def of(cls, name: str, table: "Options | Mapping[str, Any] | None", known: frozenset[str]) -> "Options":
        """The table of an upstream. Raises `UpstreamError` for one that it cannot use."""
        if isinstance(table, Options):
            return table
        for key in table or {}:
            if key not in known:
                raise UpstreamError(
                    f"the table of the upstream {name} has {key}, which it does not know; "
                    f"it knows {', '.join(sorted(known))}"
                )
        try:
            options = msgspec.convert(dict(table or {}), cls)
        except msgspec.ValidationError as problem:
            raise UpstreamError(f"the table of the upstream {name} is wrong: {problem}") from None
        if options.geo not in (None, "none", *GEOS):
            raise UpstreamError(f"the upstream {name} has an unknown geo; give one of none, {', '.join(GEOS)}")
        return options

    def own_key(self, name: str, environ: Mapping[str, str], *usual: str) -> str | None:
        """The gateway's own key: from the variable that was named, else from the first usual one that is set."""
        if self.key_env == "":
            return None
        named = (self.key_env,) if self.key_env else usual
        variable = next((variable for variable in named if environ.get(variable)), None)
        if variable is None:
            if self.key_env is None:
                return None
            raise UpstreamError(
                f"key_env of the upstream {name} names a variable that is not set; set it, or name another"
            )
        key = environ[variable].strip()
        if not key.isascii() or not key.isprintable():
            raise UpstreamError(f"{variable} has a character that no key has; set it to the key and nothing else")
        return key


class Base(msgspec.Struct, frozen=True):
    """Where a service is: its origin, and the path below which everything of it stands, without a slash at its end."""

    origin: Origin
    path: str

    @classmethod
    def of(cls, url: str, name: str) -> "Base":
        """A base URL, taken apart. Raises `UpstreamError`, which never repeats the URL: it may hold a key."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UpstreamError(f"{name} is no URL; give one like https://host:8443/base") from None
        if "@" in parts.netloc:
            raise UpstreamError(f"{name} holds a user or a password; name the variable with the key as key_env instead")
        if parts.scheme not in DEFAULT_PORTS or not _HOST.fullmatch(parts.hostname or ""):
            raise UpstreamError(f"{name} is no URL of http or https; give one like https://host:8443/base")
        if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
            raise UpstreamError(f"{name} has more than a path behind its host; leave out what begins with ? or #")
        path = parts.path.rstrip("/")
        if path.endswith("/v1"):
            raise UpstreamError(f"{name} ends in /v1, which every path of the API begins with; leave it out")
        if any(segment in (".", "..") for segment in path.split("/")):
            raise UpstreamError(f"{name} has a path with dots for a segment; give the path itself")
        scheme, host = parts.scheme, (parts.hostname or "").lower()
        return cls(Origin(scheme, host, DEFAULT_PORTS[scheme] if port is None else port), path)
