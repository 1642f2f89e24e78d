"""Asks a URL itself, over HTTP/1.1, and tells what comes.

Rule: whatever the network does is a `Finished`; no exception of it gets out.
"""

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from midstream.doctor.record.masking import Masking, of_request
from midstream.doctor.record.writer import Bounds, Writer
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Finished, How

READ_BYTES = 1 << 16
CONNECT_S = 10.0
"""For a connection: the SDK allows 5 s, and a recording may be made on a bad day."""

Tell = Callable[[Asked | Answered | Arrived | Finished], None]


@dataclass(frozen=True, slots=True)
class Question:
    """A request."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class BadUrl(ValueError):
    """A URL that nothing can be asked from. Its text is the one sentence that the user reads."""


def record(question: Question, writer: Writer, bounds: Bounds | None = None) -> None:
    """Asks, and writes what comes, to its end. Raises `BadUrl` before anything is sent."""
    bounds = bounds or Bounds()
    connection, target = _connection(question.url)
    headers = {name.lower(): value for name, value in question.headers.items()}
    writer.masking = Masking(of_request(headers.items(), question.url))
    writer.tell(Asked(question.method, question.url, headers, body=question.body))
    try:
        sock, reply = _ask(connection, target, question, bounds)
        writer.tell(Answered(reply.status, _headers(reply), f"HTTP/{reply.version // 10}.{reply.version % 10}"))
        writer.tell(_read(sock, reply, writer, bounds))
    except KeyboardInterrupt:
        writer.tell(Finished(How.STOPPED, "interrupted"))
        raise
    except TimeoutError:
        writer.tell(Finished(How.TIMEOUT, f"nothing came for {bounds.idle_s:g} s, before the headers"))
    except (OSError, http.client.HTTPException) as problem:
        writer.tell(Finished(How.NO_ANSWER, _words(problem)))
    finally:
        connection.close()


def _ask(
    connection: http.client.HTTPConnection, target: str, question: Question, bounds: Bounds
) -> tuple[socket.socket, http.client.HTTPResponse]:
    connection.connect()
    sock: socket.socket = connection.sock
    sock.settimeout(min(bounds.idle_s, bounds.seconds))
    connection.request(question.method, target, question.body or None, dict(question.headers))
    # The connection forgets its socket when the reply says that it will be closed; the limits still need it.
    return sock, connection.getresponse()


def _read(sock: socket.socket, reply: http.client.HTTPResponse, writer: Writer, bounds: Bounds) -> Finished:
    """The body, to its end, and how that was."""
    while not reply.isclosed():  # from 3.13 on the last byte closes it, and its socket with it if nothing may follow
        left_s = bounds.seconds - writer.elapsed_s
        if left_s <= 0 or writer.bytes >= bounds.bytes:
            return Finished(How.STOPPED, "a bound of the recorder was reached")
        sock.settimeout(min(bounds.idle_s, left_s))
        try:
            data = reply.read1(READ_BYTES)
        except TimeoutError:
            if bounds.seconds - writer.elapsed_s <= 0.01:
                return Finished(How.STOPPED, "a bound of the recorder was reached")
            return Finished(How.TIMEOUT, f"nothing came for {bounds.idle_s:g} s")
        except http.client.IncompleteRead:
            return Finished(How.INCOMPLETE, "the connection was closed inside the chunks, or they are illegal")
        except (OSError, http.client.HTTPException, ValueError) as problem:
            return Finished(How.RESET, _words(problem))
        if not data:
            break
        writer.tell(Arrived(data))
    return _ended(reply)


def _ended(reply: http.client.HTTPResponse) -> Finished:
    if reply.length:
        return Finished(How.INCOMPLETE, f"{reply.length:,} bytes of its content-length are missing")
    chunked = "chunked" in (reply.getheader("transfer-encoding") or "").lower()
    framed = chunked or reply.getheader("content-length") is not None
    return Finished(How.CLEAN if framed else How.CLOSED)


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    """A connection, not yet opened, and what to ask it for."""
    try:
        parts = urlsplit(url)
        host, port, scheme = parts.hostname, parts.port, parts.scheme.lower()
    except ValueError:
        raise BadUrl("the URL cannot be read") from None
    if scheme not in ("http", "https") or not host or parts.username is not None:
        raise BadUrl("the URL must be http:// or https://, with a host and without a user")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if any(not 0x20 < ord(char) < 0x7F for char in host + target):
        raise BadUrl("the URL has a character that must be escaped")
    proxy = "" if proxy_bypass(host) else getproxies().get(scheme, "")
    way = urlsplit(proxy if "://" in proxy or not proxy else f"http://{proxy}")
    if way.hostname is None:
        return _to(scheme, host, port), target
    if scheme == "http":
        return _to("http", way.hostname, way.port), url
    connection = _to(scheme, way.hostname, way.port or 80)
    connection.set_tunnel(host, port or 443)
    return connection, target


def _to(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=CONNECT_S, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=CONNECT_S)


def _headers(reply: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in reply.getheaders()}


def _words(problem: Exception) -> str:
    said = getattr(problem, "strerror", None) or str(problem)
    return f"{type(problem).__name__}: {said}"[:300]
