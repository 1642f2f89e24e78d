"""The proxy that clients on this machine go through: which one it is, and how a tunnel through it is opened.

Rule: it chooses as clients do, by the environment; its password is sent to it and told to nobody.
"""

import base64
import os
import re
import urllib.request
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

# An answer to CONNECT is a few lines, or a page that explains why not: that is not read.
HEAD_BYTES_MAX = 16 << 10

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")


class NoProxy(ValueError):
    """What was given is no proxy that can be gone through; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is spoken to in HTTP."""

    host: str
    port: int
    secure: bool = False
    credentials: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"

    @property
    def authorization(self) -> str:
        """What it is sent, if it wants to know who comes."""
        return f"Basic {base64.b64encode(self.credentials.encode()).decode()}" if self.credentials else ""

    def connect(self, authority: str) -> bytes:
        """The question for a tunnel."""
        lines = [f"CONNECT {authority} HTTP/1.1", f"host: {authority}"]
        lines += [f"proxy-authorization: {self.authorization}"] if self.credentials else []
        return "\r\n".join([*lines, "", ""]).encode("ascii", "replace")


def proxy_of(url: str) -> Proxy:
    """The proxy that a URL names. Raises `NoProxy`."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme.startswith("socks"):
        raise NoProxy("a stream cannot be probed through a SOCKS proxy; --proxy none goes the straight way")
    if not host or parts.scheme not in ("http", "https"):
        raise NoProxy("a proxy is http://HOST:PORT")
    secure = parts.scheme == "https"
    credentials = ""
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(host, port or (443 if secure else 80), secure, credentials)


def proxy_for(secure: bool, host: str, asked: str | None = None) -> Proxy | None:
    """The proxy on the way to a host: the one that was asked for, or that of the environment. Raises `NoProxy`."""
    if asked is not None:
        return None if asked == "none" else proxy_of(asked)
    found = urllib.request.getproxies_environment()
    url = found.get("https" if secure else "http") or found.get("all")
    # The loopback is never behind a proxy, whatever is set: clients agree about that.
    if not url or host in ("localhost", "127.0.0.1", "::1") or _bypassed(host):
        return None
    return proxy_of(url)


def _bypassed(host: str) -> bool:
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = [name.strip().lower().lstrip(".").partition(":")[0] for name in listed.split(",")]
    return any(name == "*" or (name and (host == name or host.endswith(f".{name}"))) for name in names)


def refusal(answer: bytes) -> str | None:
    """Why a proxy's answer is no tunnel, or nothing if it is one; ``None`` while the answer is not whole."""
    head, ends, rest = answer.partition(b"\r\n\r\n")
    if not ends and len(head) <= HEAD_BYTES_MAX:
        return None
    status = _STATUS.match(head)
    if not ends or status is None or (rest and status[1].startswith(b"2")):
        return "the proxy does not answer as a proxy does"
    return "" if status[1].startswith(b"2") else f"the proxy refuses: HTTP {status[1].decode()}"
