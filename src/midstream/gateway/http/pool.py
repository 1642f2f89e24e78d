"""Connections to servers, kept for their next use.

Rule: a request is written to one connection, once. Before the first byte another connection may be taken; after it,
never: nobody can know what the server did with what it got.
"""

import asyncio
import select
import ssl
from collections.abc import Iterator

import msgspec

from midstream.gateway.http import tls
from midstream.gateway.http.client import ClientConnection
from midstream.gateway.http.connect import ConnectFailed, dial
from midstream.gateway.http.exchange import Exchange, Listener
from midstream.gateway.http.found import Found
from midstream.gateway.http.origin import Origin, OutRequest, request_head
from midstream.gateway.http.proxies import DIRECT, Proxies, Route

# How much earlier than the server a connection is given up: its FIN is on the way for so long at most.
_BEFORE_THE_SERVER_S = 1.0


class PoolLimits(msgspec.Struct, frozen=True):
    """What a pool may hold."""

    idle_s: float = 20.0
    """How long a connection waits for its next use. Servers and load balancers usually close after 60 s or more."""
    idle_max: int = 256
    """Connections that wait: what a burst leaves behind is of use to the next one, within reason."""
    connections_max: int = 8192
    """Connections in all; more than streams are allowed by default, under what a process may usually open."""


class Pool:
    """Sends requests. Belongs to one event loop."""

    def __init__(
        self,
        limits: PoolLimits | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxies: Proxies = DIRECT,
    ) -> None:
        """``ssl_context``: see `tls.client_context`, which is what is used without one."""
        self.found = Found()
        self._limits = limits or PoolLimits()
        self._ssl_context = ssl_context
        self._proxies = proxies
        self._routes: dict[Origin, Route] = {}
        """As many as there are upstreams."""
        self._idle: dict[Route, list[ClientConnection]] = {}
        self._idle_count = 0
        self._open: dict[ClientConnection, None] = {}  # of thousands, half as large as a set
        self._connecting: dict[asyncio.Task[None], Exchange] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def connections(self) -> int:
        """Connections that are open or being opened."""
        return len(self._open) + len(self._connecting)

    @property
    def idle(self) -> int:
        """Connections that wait for their next use."""
        return self._idle_count

    def exchange(self, request: OutRequest, listener: Listener, *, connect_s: float) -> Exchange:
        """Sends a request. ``connect_s`` bounds everything before its first byte: name, socket, proxy, TLS.

        Raises ValueError for a request that cannot be written, and then nothing was sent.
        """
        route = self._routes.get(request.origin)
        if route is None:
            route = self._routes[request.origin] = self._proxies.route(request.origin)
        absolute = route.origin is None
        authorization = route.proxy.authorization if absolute and route.proxy is not None else None
        head = request_head(request, absolute=absolute, proxy_authorization=authorization)
        exchange = Exchange(request, head, listener)
        connection = self._take(route)
        if connection is not None:
            connection.begin(exchange)
            return exchange
        loop = asyncio.get_running_loop()
        if self._closed:
            loop.call_soon(exchange.failed, "pool", "the gateway is closing")
        elif self.connections >= self._limits.connections_max and not self._drop_one_idle():
            loop.call_soon(exchange.failed, "pool", f"{self.connections} connections are open already")
        else:
            task = loop.create_task(self._connect(route, exchange, connect_s))
            self._connecting[task] = exchange
            task.add_done_callback(self._connecting.pop)
            exchange.waits_for(task)
        return exchange

    async def aclose(self) -> None:
        """Breaks what is running, and closes every connection."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        connecting = dict(self._connecting)
        for task, exchange in connecting.items():
            task.cancel()
            exchange.failed("closed", "the gateway is closing")
        for connection in list(self._open):
            connection.give_up("closed", "the gateway is closing")
        await asyncio.gather(*connecting, return_exceptions=True)
        # An aborted transport closes its socket in the turn of the loop after the next; that of TLS one turn later.
        for _ in range(4):
            await asyncio.sleep(0)

    async def _connect(self, route: Route, exchange: Exchange, connect_s: float) -> None:
        try:
            async with asyncio.timeout(connect_s):
                connection = await dial(route, lambda: ClientConnection(self, route), self._context)
        except ConnectFailed as problem:
            exchange.failed(problem.reason, problem.detail)
        except TimeoutError:
            exchange.failed("connect_timeout", f"no connection after {connect_s:g} s")
        except Exception as problem:  # whatever it is, somebody waits for an answer
            exchange.failed("connect", type(problem).__name__)
        else:
            if connection.is_closing:
                exchange.failed("connect", "the server closed the connection before it was asked anything")
                return
            self._open[connection] = None
            connection.begin(exchange)

    def _context(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = tls.client_context()  # takes a while: only where TLS is spoken
        return self._ssl_context

    # --- the idle ones ---

    def put_back(self, connection: ClientConnection, keep_alive_s: float | None) -> None:
        """A connection whose response was whole; the server closes it after so long."""
        idle_s = self._limits.idle_s
        if keep_alive_s is not None:
            idle_s = min(idle_s, keep_alive_s - _BEFORE_THE_SERVER_S)
        if self._closed or idle_s <= 0 or (self._idle_count >= self._limits.idle_max and not self._drop_one_idle()):
            connection.cut()
            return
        loop = asyncio.get_running_loop()
        connection.expires_at = loop.time() + idle_s
        self._idle.setdefault(connection.route, []).append(connection)
        self._idle_count += 1
        if self._sweeper is None or self._sweeper.when() > connection.expires_at:
            self._sweep_at(connection.expires_at)

    def lost(self, connection: ClientConnection) -> None:
        """A connection that is of no more use."""
        self._open.pop(connection, None)
        self._forget_idle(connection)

    def _forget_idle(self, connection: ClientConnection) -> None:
        waiting = self._idle.get(connection.route, [])
        if connection in waiting:
            waiting.remove(connection)
            self._idle_count -= 1
            if not waiting:
                del self._idle[connection.route]

    def _take(self, route: Route) -> ClientConnection | None:
        """The connection that was used last, if one can still be used."""
        now = asyncio.get_running_loop().time()
        while waiting := self._idle.get(route):
            connection = waiting[-1]
            self._forget_idle(connection)
            if connection.expires_at > now and not connection.is_closing and not _has_something(connection):
                return connection
            connection.cut()
        return None

    def _drop_one_idle(self) -> bool:
        """Makes room; whether there was anything to drop."""
        oldest = min(self._waiting(), key=lambda connection: connection.expires_at, default=None)
        if oldest is not None:
            oldest.cut()
        return oldest is not None

    def _waiting(self) -> Iterator[ClientConnection]:
        return (connection for waiting in self._idle.values() for connection in waiting)

    def _sweep_at(self, when: float) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._sweeper = asyncio.get_running_loop().call_at(when, self._sweep)

    def _sweep(self) -> None:
        """Closes what has waited for too long."""
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        for connection in [connection for connection in self._waiting() if connection.expires_at <= now]:
            connection.cut()
        next_at = min((connection.expires_at for connection in self._waiting()), default=None)
        if next_at is not None:
            self._sweep_at(next_at)


def _has_something(connection: ClientConnection) -> bool:
    """Whether the socket of an idle connection has bytes or an end that the loop has not seen yet: either spoils it."""
    descriptor = connection.descriptor
    if descriptor < 0:
        return True
    asking = select.poll()
    asking.register(descriptor, select.POLLIN)
    return bool(asking.poll(0))
