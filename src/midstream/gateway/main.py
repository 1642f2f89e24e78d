"""The gateway as a process: puts the parts together, runs them, and takes them down in order.

Rule: parts are made here and nowhere else; what goes wrong at the start is one sentence.
"""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from midstream.gateway.boot import Lobby
from midstream.gateway.breaker import Breaker
from midstream.gateway.config import Settings
from midstream.gateway.http.inbound import Bodies, Server
from midstream.gateway.http.inbound import Limits as HttpLimits
from midstream.gateway.http.outbound import Pool, PoolLimits
from midstream.gateway.http.proxies import Proxies
from midstream.gateway.hub import Hub, Limits
from midstream.gateway.owners import Owners, key_file
from midstream.gateway.readers import Pace
from midstream.gateway.routing import Routing
from midstream.gateway.server import DataPlane
from midstream.gateway.tokens import Tokens
from midstream.gateway.upstreams.table import make
from midstream.gateway.watching import Watching
from midstream.journal.memory import MemoryJournal
from midstream.journal.port import Journal
from midstream.journal.sqlite import SqliteJournal
from midstream.usual import Totals

SWEEP_S = 60.0
"""How often what is too old is removed: retention is counted in hours."""


@dataclass
class Gateway:
    """All the parts of a running gateway."""

    settings: Settings
    journal: Journal
    hub: Hub
    lobby: Lobby
    server: Server
    watching: Watching
    plane: DataPlane
    port: int = 0

    @classmethod
    def build(cls, settings: Settings, environ: dict[str, str]) -> "Gateway":
        """Makes the parts; opens nothing yet. Raises what `midstream serve` tells in one sentence."""
        upstreams = [make(name, settings.upstreams.get(name, {}), environ) for name in settings.upstream]
        tokens = Tokens(settings.tokens) if settings.tokens is not None else None
        journal = _journal(settings)
        owners = Owners.load(key_file(settings.journal)) if settings.journal is not None else Owners.passing()
        breakers = [_breaker(settings) for _ in upstreams]
        routing = Routing(upstreams, settings.policy, breakers)
        pool = Pool(
            PoolLimits(connections_max=settings.upstream_connections_max, idle_s=settings.upstream_idle_s),
            proxies=Proxies.from_env(environ),
        )
        watching = Watching(settings, [upstream.name for upstream in upstreams], breakers, journal)
        bodies = Bodies(settings.bodies_bytes_max)
        hub = Hub(_limits(settings, watching.metrics.totals), journal, routing, pool, watching, bodies)
        lobby = Lobby(hub, journal)
        own_too = settings.listen.loopback and not settings.pass_credentials
        plane = DataPlane(
            hub,
            lobby,
            owners,
            tokens,
            settings.body_bytes_max,
            settings.policy.connect_s,
            own_too,
            watching.metrics.refused,
        )
        server = Server(plane.handle, _http_limits(settings), bodies)
        return cls(settings, journal, hub, lobby, server, watching, plane)

    async def start(self) -> None:
        """Opens the journal, adopts what was left open, and listens."""
        if self.settings.journal is not None:
            with contextlib.suppress(OSError):  # the journal says what is wrong with its place
                self.settings.journal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self.journal.start()
        try:
            self.plane.owners.keep()
            self.port = await self.server.listen(*self.settings.listen)
            await self.lobby.open_up()
            await self.watching.start(self)
        except BaseException:  # a port that is taken: nothing may be left running
            await self.aclose()
            raise

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until it is told to stop; then lets streams finish for a while, and leaves the rest to the next."""
        await self.start()
        sweeper = asyncio.create_task(self._sweep())
        try:
            await stop.wait()
        finally:
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper
            await self.aclose(self.settings.drain_s)

    async def aclose(self, drain_s: float = 0.0) -> None:
        """Stops, in the order in which nothing is lost."""
        self.watching.draining = True
        # Requests that are only passed on may finish too; and a stream may run on without a reader.
        await asyncio.gather(self.server.drain(drain_s), self._drain(drain_s))
        self.hub.abandon()
        await self.server.aclose()
        await self.hub.pool.aclose()
        await self.watching.aclose()
        await self.journal.aclose()

    async def _drain(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self.hub.busy and time.monotonic() < until:
            await asyncio.sleep(0.05)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            await self.lobby.give_up_old(time.time() - self.settings.retention_age_s)
            await self.journal.sweep(time.time())

    def reload(self) -> None:
        """Reads the file of tokens again, on SIGHUP."""
        if self.plane.tokens is not None:
            self.watching.reload(self.plane.tokens)


def run(settings: Settings, environ: dict[str, str]) -> int:
    """Runs the gateway until it is told to stop. Raises what is wrong with the settings or the machine."""
    return _runner()(_serve(settings, environ))


async def _serve(settings: Settings, environ: dict[str, str]) -> int:
    gateway = Gateway.build(settings, environ)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, gateway.reload)
    records = gateway.watching.log.libraries()
    logging.getLogger().addHandler(records)
    try:
        await gateway.run(stop)
    finally:
        logging.getLogger().removeHandler(records)
    return 0


def _runner() -> Callable[[Coroutine[Any, Any, int]], int]:
    """uvloop where it is, the standard library's loop elsewhere."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


def _journal(settings: Settings) -> Journal:
    age_s, bytes_max = settings.retention_age_s, settings.retention_bytes
    if settings.journal is None:
        return MemoryJournal(age_s=age_s, bytes_max=bytes_max)
    sync, tick_s = settings.journal_sync, settings.journal_tick_s
    return SqliteJournal(settings.journal, sync=sync, tick_s=tick_s, age_s=age_s, bytes_max=bytes_max)


def _breaker(settings: Settings) -> Breaker:
    return Breaker(failures=settings.breaker_failures, open_s=settings.breaker_open_s)


def _limits(settings: Settings, totals: Totals) -> Limits:
    return Limits(
        policy=settings.policy,
        early_s=settings.early_s,
        pace=Pace(ping_s=settings.ping_s, stall_s=settings.reader_stall_s, totals=totals),
        on_leave=settings.on_leave,
        grace_s=settings.grace_s,
        hold_s=settings.hold_s,
        streams_max=settings.streams_max,
        streams_per_owner_max=settings.streams_per_owner_max,
        readers_per_stream_max=settings.readers_per_stream_max,
    )


def _http_limits(settings: Settings) -> HttpLimits:
    return HttpLimits(
        head_bytes=settings.head_bytes_max,
        head_s=settings.head_s,
        body_bytes=settings.body_bytes_max,
        bodies_bytes=settings.bodies_bytes_max,
        body_idle_s=settings.body_idle_s,
        body_total_s=settings.body_s,
        keep_alive_s=settings.keep_alive_s,
        connections=settings.connections_max,
        backlog_bytes=settings.reader_backlog_bytes_max,
    )


__all__ = ["Gateway", "run"]
