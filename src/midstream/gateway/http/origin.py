"""What is asked of a server, and the head that says so.

Rule: the lines that frame a request (host, length, transfer encoding, connection) are written here, whatever the
caller's headers hold: two opinions about where a body ends are how requests are smuggled.
"""

import re
from typing import NamedTuple

import msgspec

from midstream.gateway.http.heads import Headers, first, head_bytes

DEFAULT_PORTS = {"http": 80, "https": 443}

# What this file writes itself, and what is meant for one hop only. `expect`: the body is sent without being asked for.
_OWN = frozenset(
    b"host content-length transfer-encoding connection keep-alive proxy-connection proxy-authorization te trailer"
    b" upgrade expect".split()
)

# Methods whose request may have no body and says nothing about it then.
_WITHOUT_BODY = frozenset((b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE"))

_TARGET = re.compile(rb"[\x21-\x7e\x80-\xff]+")
_METHOD = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")


class Origin(NamedTuple):
    """Where a server is."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """A name or an address; an IPv6 address without its brackets."""
    port: int

    @property
    def authority(self) -> bytes:
        """Host and port as a request names them: the port only where it is not the usual one."""
        named = self.authority_with_port
        return named.rpartition(b":")[0] if self.port == DEFAULT_PORTS.get(self.scheme) else named

    @property
    def authority_with_port(self) -> bytes:
        """Host and port, always both."""
        host = f"[{self.host}]".encode() if ":" in self.host else _host_bytes(self.host)
        return b"%b:%d" % (host, self.port)


class OutRequest(msgspec.Struct, frozen=True):
    """One request to be sent."""

    method: bytes
    origin: Origin
    target: bytes
    """Path and query, as they stand in the request line."""
    headers: Headers
    """Names in lower case. What frames the request is added, and what stands here of it is left out."""
    body: bytes | None = b""
    """``None``: it comes through `Exchange.send`, in chunks, or as it is where the headers have a content-length."""


def declared_length(request: OutRequest) -> int | None:
    """How many bytes a streamed body has, where its headers say so. Raises ValueError if what they say is no length."""
    said = first(request.headers, b"content-length")
    if said is None:
        return None
    if not _LENGTH.fullmatch(said):
        raise ValueError("the content-length of the request is not a number")
    return int(said)


def request_head(request: OutRequest, *, absolute: bool = False, proxy_authorization: bytes | None = None) -> bytes:
    """The request line and the headers. Raises ValueError where a part of it could be read as more than that part.

    ``absolute``: for a proxy, the target is a whole URL.
    """
    method, target, origin = request.method, request.target, request.origin
    if not _METHOD.fullmatch(method) or not _TARGET.fullmatch(target):
        raise ValueError("the method or the target of the request has a byte that may not stand there")
    if absolute:
        target = b"%b://%b%b" % (origin.scheme.encode(), origin.authority, target)
    headers = [(b"host", origin.authority), *(pair for pair in request.headers if pair[0].lower() not in _OWN)]
    if proxy_authorization is not None:
        headers.append((b"proxy-authorization", proxy_authorization))
    headers += _framing(request)
    return head_bytes(b"%b %b HTTP/1.1" % (method, target), headers)


def _framing(request: OutRequest) -> Headers:
    """What says where the body ends."""
    if request.body is None:
        length = declared_length(request)
        return [(b"transfer-encoding", b"chunked")] if length is None else [(b"content-length", b"%d" % length)]
    if not request.body and request.method.upper() in _WITHOUT_BODY:
        return []
    return [(b"content-length", b"%d" % len(request.body))]


def _host_bytes(host: str) -> bytes:
    try:
        return host.encode("ascii")
    except UnicodeEncodeError:
        return host.encode("idna")
