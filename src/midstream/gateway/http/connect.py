"""From an origin to an open connection: name, socket, proxy, TLS.

Rule: it ends in a connection or in `ConnectFailed`, and whatever was opened on the way to a failure is closed.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar, cast

from midstream.gateway.http import tls
from midstream.gateway.http.client import ClientConnection
from midstream.gateway.http.origin import Origin
from midstream.gateway.http.proxies import Proxy, Route

# How long an address may be silent before the next one is tried beside it (RFC 8305 §5).
STAGGER_S = 0.25

# A proxy's answer to CONNECT is a few lines, unless it is a page that explains why not: that is not read.
TUNNEL_HEAD_BYTES_MAX = 16 * 1024

# A peer that is gone is noticed after two minutes, and whatever translates addresses on the way does not forget us.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
_P = TypeVar("_P", bound=asyncio.BaseProtocol)


class ConnectFailed(Exception):
    """No connection; reason and detail as `Listener.broke` is told them."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


async def dial(
    route: Route, make: Callable[[], ClientConnection], context: Callable[[], ssl.SSLContext]
) -> ClientConnection:
    """A connection that is ready for its first request."""
    proxy, origin = route.proxy, route.origin
    if proxy is None:
        assert origin is not None
        return await _open(origin, make, context)
    if origin is None:
        return await _open(proxy.origin, make, context)
    tunnel = await _open(proxy.origin, lambda: _Tunnel(origin, proxy), context)
    try:
        await tunnel.opened
        return await _start_tls(tunnel, make(), context(), origin.host)
    except BaseException:
        tunnel.transport.abort()
        raise


async def _open(origin: Origin, make: Callable[[], _P], context: Callable[[], ssl.SSLContext]) -> _P:
    """A socket to an origin, in TLS where its scheme says so."""
    loop = asyncio.get_running_loop()
    secure = {"ssl": context(), "server_hostname": origin.host} if origin.scheme == "https" else {}
    raw = await open_socket(await _resolve(origin.host, origin.port))
    try:
        _, protocol = await loop.create_connection(make, sock=raw, **cast(Any, secure))
    except OSError as problem:
        raw.close()
        raise ConnectFailed(*tls.why_refused(problem)) from None
    except BaseException:
        raw.close()  # if there is a transport already, it has let go of it
        raise
    return protocol


async def _start_tls(
    tunnel: "_Tunnel", connection: ClientConnection, context: ssl.SSLContext, host: str
) -> ClientConnection:
    loop = asyncio.get_running_loop()
    try:
        secure = await loop.start_tls(tunnel.transport, connection, context, server_hostname=host)
    except OSError as problem:
        raise ConnectFailed(*tls.why_refused(problem)) from None
    if secure is None:  # the connection was lost in the very moment
        raise ConnectFailed("tls", "the connection was closed")
    connection.connection_made(secure)
    return connection


# --- names and sockets ---


async def _resolve(host: str, port: int) -> list[Address]:
    """The addresses of a host, the families in turns (RFC 8305 §4)."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return [(family, (host, port))]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ConnectFailed("dns", "the name was not found") from None
    if not found:
        raise ConnectFailed("dns", "the name has no address")
    return _in_turns([(family, address) for family, _, _, _, address in found])


def _in_turns(addresses: list[Address]) -> list[Address]:
    """The first family that the system named first, then the other, and so on."""
    family = addresses[0][0]
    ours = [address for address in addresses if address[0] == family]
    others = [address for address in addresses if address[0] != family]
    mixed = [address for pair in zip(ours, others, strict=False) for address in pair]
    shorter = min(len(ours), len(others))
    return mixed + ours[shorter:] + others[shorter:]


async def open_socket(addresses: list[Address]) -> socket.socket:
    """Connected to the first address that answers; a silent one does not hold up the next for long."""
    if len(addresses) == 1:
        return await _connected(addresses[0])
    waiting, running, failures = iter(addresses), set[asyncio.Task[socket.socket]](), list[BaseException]()
    try:
        while True:
            address = next(waiting, None)
            if address is not None:
                running.add(asyncio.create_task(_connected(address)))
            elif not running:
                raise failures[0]
            await asyncio.wait(running, timeout=STAGGER_S if address else None, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                running.discard(task)
                failure = task.exception()
                if failure is None:
                    return task.result()
                failures.append(failure)
    finally:
        for task in running:
            task.add_done_callback(_close_late)
            task.cancel()


def _close_late(task: "asyncio.Task[socket.socket]") -> None:
    """The race is decided: who arrives later is sent away."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connected(address: Address) -> socket.socket:
    family, where = address
    raw = socket.socket(family, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        await asyncio.get_running_loop().sock_connect(raw, where)
    except BaseException as problem:
        raw.close()
        if isinstance(problem, OSError):
            reason = "connect_timeout" if isinstance(problem, TimeoutError) else "connect"
            raise ConnectFailed(reason, type(problem).__name__) from None
        raise
    return raw


# --- through a proxy ---


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel."""

    def __init__(self, origin: Origin, proxy: Proxy) -> None:
        where = origin.authority_with_port
        self._request = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n" % (where, where)
        if proxy.authorization is not None:
            self._request += b"proxy-authorization: %b\r\n" % proxy.authorization
        self._answer = b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the proxy has opened the tunnel; `ConnectFailed` when it will not."""
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request + b"\r\n")

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, ends, rest = self._answer.partition(b"\r\n\r\n")
        status = _STATUS.match(head + b"\r\n")
        if not ends and len(head) <= TUNNEL_HEAD_BYTES_MAX:
            return
        if ends and status is not None and not status[1].startswith(b"2"):
            self._fail(f"the proxy refused: {status[1].decode()}")
        elif status is None or not ends or rest:
            self._fail("the proxy does not answer as a proxy does")
        elif not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the proxy closed the connection")

    def _fail(self, detail: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectFailed("connect", detail))
            self.opened.exception()  # nobody may be waiting any more
