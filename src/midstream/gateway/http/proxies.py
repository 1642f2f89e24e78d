"""Which way leads to a server: straight, or through a proxy that the environment names.

Rule: pure; a proxy's password is in its `authorization` and in no text.
"""

import base64
import ipaddress
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from midstream.gateway.http.origin import Origin

_PORTS = {"http": 80, "https": 443}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxy(NamedTuple):
    """One proxy."""

    origin: Origin
    authorization: bytes | None = None
    """The value of ``proxy-authorization``."""

    def __repr__(self) -> str:
        return f"Proxy({self.origin.scheme}://{self.origin.host}:{self.origin.port})"


class Route(NamedTuple):
    """What a connection leads to: whatever has an equal route can be asked over it."""

    origin: Origin | None
    """``None``: any http origin, which the proxy finds."""
    proxy: Proxy | None = None


class _Exception(NamedTuple):
    """One entry of ``NO_PROXY``: a name and everything below it, everything below a name, an address, a network."""

    host: str = ""
    below: str = ""
    network: Network | None = None
    port: int | None = None

    def holds_for(self, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            return address is not None and address in self.network
        return host == self.host or host.endswith(self.below)


class Proxies:
    """Which proxy is for which origin."""

    __slots__ = ("_by_scheme", "_exceptions")

    def __init__(
        self, http: Proxy | None = None, https: Proxy | None = None, exceptions: Iterable[_Exception] | None = ()
    ) -> None:
        """``exceptions`` None: no origin goes through a proxy."""
        self._by_scheme = {} if exceptions is None else {"http": http, "https": https}
        self._exceptions = tuple(exceptions or ())

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Proxies":
        """What ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` say; lower case goes before upper case.

        Raises ValueError, in one sentence, for a proxy that cannot be used.
        """
        return cls(_named(environ, "http"), _named(environ, "https"), _exceptions(_value(environ, "no_proxy")))

    def of(self, origin: Origin) -> Proxy | None:
        """The proxy for an origin; ``None`` for the straight way."""
        proxy = self._by_scheme.get(origin.scheme)
        if proxy is None or not self._exceptions:
            return proxy
        host = origin.host.lower().rstrip(".")
        address = _address(host)
        return None if any(entry.holds_for(host, address, origin.port) for entry in self._exceptions) else proxy

    def route(self, origin: Origin) -> Route:
        """The way to an origin. A proxy is told the origin of each http request, and of each https connection once."""
        proxy = self.of(origin)
        return Route(None if proxy is not None and origin.scheme == "http" else origin, proxy)


DIRECT = Proxies()
"""Every origin by the straight way."""


def _value(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _named(environ: Mapping[str, str], scheme: str) -> Proxy | None:
    name = f"{scheme}_proxy"
    # Under CGI, HTTP_PROXY is a header that the client has sent.
    said = environ.get(name, "").strip() if scheme == "http" and "REQUEST_METHOD" in environ else _value(environ, name)
    if not said:
        name, said = "all_proxy", _value(environ, "all_proxy")
    return _proxy(name.upper(), said) if said else None


def _proxy(name: str, said: str) -> Proxy:
    """The proxy of a URL. What is wrong with it is said without the URL, which may hold a password."""
    try:
        url = urlsplit(said if "://" in said else f"http://{said}")
        scheme, host, port = url.scheme.lower(), url.hostname, url.port
    except ValueError:
        raise ValueError(f"{name} is not a URL: it must look like http://proxy:3128") from None
    if scheme not in _PORTS:
        raise ValueError(f"{name} names a proxy of the kind {scheme}: only http and https are spoken")
    if not host:
        raise ValueError(f"{name} names no host: it must look like http://proxy:3128")
    return Proxy(Origin(scheme, host, port or _PORTS[scheme]), _authorization(url))


def _authorization(url: SplitResult) -> bytes | None:
    if url.username is None:
        return None
    pair = unquote_to_bytes(url.username) + b":" + unquote_to_bytes(url.password or "")
    return b"Basic " + base64.b64encode(pair)


def _exceptions(said: str) -> list[_Exception] | None:
    words = said.replace(",", " ").lower().split()
    return None if "*" in words else [_exception(word) for word in words]


def _exception(word: str) -> _Exception:
    """An entry: ``name``, ``.name`` or ``*.name``, an address, a network; each but the last with a port or without."""
    network = _network(word.strip("[]"))
    if network is not None:
        return _Exception(network=network)
    host, _, digits = word.rpartition(":")
    port = int(digits) if host and digits.isdigit() else None
    host = host.strip("[]") if port is not None else word
    network = _network(host)
    if network is not None:
        return _Exception(network=network, port=port)
    host = host.removeprefix("*").rstrip(".")
    if host.startswith("."):
        return _Exception(host=host, below=host, port=port)  # no host's name begins with a dot
    return _Exception(host=host, below=f".{host}", port=port)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
