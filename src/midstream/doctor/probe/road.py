"""The way to the address that is probed: name, socket, TLS; and the bytes that come back, each with its moment.

Rule: no HTTP. What arrives is stamped in the moment when the loop has it, however late anybody looks.
"""

import asyncio
import os
import socket
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal, cast
from urllib.parse import urlsplit

from midstream.doctor.probe.proxies import Proxy, refusal

# A handshake over satellite and through a busy proxy.
CONNECT_S_MAX = 20.0

# The loop needs a turn or two.
CLOSE_S_MAX = 1.0


class NoRoad(Exception):
    """There is no connection; the text is one sentence."""


class NotAnAddress(ValueError):
    """What was given cannot be probed; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that can be probed."""

    secure: bool
    host: str
    port: int
    path: str
    proxy: Proxy | None = None
    """What stands on the way by the will of this machine."""

    @property
    def form(self) -> str:
        """The path as it is asked for: to a proxy that opens no tunnel, all of the address."""
        return f"http://{self.authority}{self.path}" if self.proxy is not None and not self.secure else self.path

    @property
    def authority(self) -> str:
        """As it stands in ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    def at(self, path: str) -> "Target":
        """The same place with something behind its path."""
        return replace(self, path=self.path.rstrip("/") + path)


def target(url: str) -> Target:
    """Where a URL points. Raises `NotAnAddress`."""
    if any(character <= " " or character == "\x7f" for character in url):
        raise NotAnAddress("the address has blanks in it")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        # As the resolver will have it; what it cannot have, it refuses in words that nobody understands.
        host = host and (host if ":" in host else host.encode("idna").decode())
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise NotAnAddress("an address to probe starts with http:// or https:// and names a host")
    if "@" in parts.netloc:
        raise NotAnAddress("an address to probe holds no password; use --header or --key-env")
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, host, port or (443 if secure else 80), path.encode("ascii", "replace").decode())


class Road(asyncio.Protocol):
    """One connection: what arrived, when, and how it ended."""

    def __init__(self) -> None:
        self.arrived: deque[tuple[float, bytes]] = deque()
        self.ended: Literal["", "fin", "reset"] = ""
        self.ended_at = 0.0
        self.alpn = ""
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._lost = asyncio.Event()
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        layer = transport.get_extra_info("ssl_object")
        self.alpn = (layer.selected_alpn_protocol() if layer else None) or ""

    def data_received(self, data: bytes) -> None:
        self.arrived.append((self._loop.time(), data))
        self._news.set()

    def eof_received(self) -> bool | None:
        self._end("fin")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("reset" if exc is not None else "fin")
        self._lost.set()
        self._may_write.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def _end(self, how: Literal["fin", "reset"]) -> None:
        if not self.ended:
            self.ended, self.ended_at = how, self._loop.time()
            self._news.set()

    async def news(self, until: float) -> tuple[float, bytes] | None:
        """The next bytes; ``b""`` when there will be no more; ``None`` when it is too late."""
        while not self.arrived:
            if self.ended:
                return self.ended_at, b""
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), max(0.0, until - self._loop.time()))
            except TimeoutError:
                return None
        return self.arrived.popleft()

    async def write(self, data: bytes) -> None:
        """As fast as the other side takes it; what cannot be written any more is dropped, for `news` tells why."""
        await self._may_write.wait()
        if not self.ended:
            self.transport.write(data)

    async def aclose(self) -> None:
        """Leave at once; the socket is closed when this returns."""
        self.transport.abort()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._lost.wait(), CLOSE_S_MAX)


def open_context(protocols: list[str], insecure: bool) -> ssl.SSLContext:
    """TLS as a client of this machine would speak it."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(protocols)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def open_road(to: Target, protocols: list[str], *, insecure: bool = False) -> Road:
    """A connection to the place. Raises `NoRoad`."""
    context = open_context(protocols, insecure) if to.secure else None
    if to.proxy is None:
        return await _connected(to.authority, to.host, to.port, context)
    proxy = to.proxy
    road = await _connected("the proxy", proxy.host, proxy.port, open_context([], insecure) if proxy.secure else None)
    if context is None:
        return road
    try:
        return await _through(road, to, proxy, context)
    except BaseException:
        await road.aclose()
        raise


async def _connected(name: str, host: str, port: int, context: ssl.SSLContext | None) -> Road:
    loop = asyncio.get_running_loop()
    with _told(name):
        _, road = await asyncio.wait_for(loop.create_connection(Road, host, port, ssl=context), CONNECT_S_MAX)
    return road


async def _through(road: Road, to: Target, proxy: Proxy, context: ssl.SSLContext) -> Road:
    """A tunnel, and TLS inside it."""
    loop = asyncio.get_running_loop()
    host = f"[{to.host}]" if ":" in to.host else to.host
    await road.write(proxy.connect(f"{host}:{to.port}"))
    answer, until = b"", loop.time() + CONNECT_S_MAX
    while (why := refusal(answer)) is None:
        news = await road.news(until)
        if news is None or not news[1]:
            raise NoRoad("the proxy does not answer" if news is None else "the proxy closed the connection")
        answer += news[1]
    if why:
        raise NoRoad(why)
    inside = Road()
    with _told(to.authority):
        tls = loop.start_tls(road.transport, inside, context, server_hostname=to.host)
        transport = await asyncio.wait_for(tls, CONNECT_S_MAX)
    if transport is None:
        raise NoRoad("the proxy closed the connection")
    inside.connection_made(transport)
    return inside


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What goes wrong while connecting, in a sentence."""
    try:
        yield
    except TimeoutError:
        raise NoRoad(f"{name} does not answer") from None
    except ssl.SSLError as problem:
        raise NoRoad(f"TLS with {name} fails: {problem.reason or type(problem).__name__}") from None
    except OSError as problem:
        raise NoRoad(f"no connection to {name}: {reason(problem)}") from None


def reason(problem: OSError) -> str:
    """Why, in one clause. asyncio puts the address into the text of its own errors; where a name is none, only that
    text tells."""
    known = problem.errno is not None and problem.errno > 0 and not isinstance(problem, socket.gaierror)
    return os.strerror(problem.errno) if known and problem.errno else problem.strerror or type(problem).__name__
