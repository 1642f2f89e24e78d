"""One server at a time: the CPU of an event, the memory of a silent stream, the time that an event takes.

Rule: only the server's own figures are read; that all was delivered is checked, for what is dropped costs nothing.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.gateway import clients, player
from bench.gateway.servers import Running, cpu_s, rss_bytes
from bench.gateway_load.process import beside

SETTLE_S = 2.0
"""Before the clock runs: what is learnt and allocated once is behind it."""
WARM = 50
"""Streams before those whose memory is measured."""
DELIVERED_MIN = 0.97
"""Of what was played: below that a server is saturated."""
AT_ONCE_MAX = 1.5
"""Events that come together, on average. They are sent one by one, and those of one stream so far apart that a server
which keeps up has passed one on before the next is there; who is late finds several, and does the work of one."""

Start = Callable[[int, Path], AbstractContextManager[Running]]
"""Starts a server before the service at this port, with a folder for its files."""


@dataclass(frozen=True)
class Subject:
    """Somebody to be measured."""

    name: str
    start: Start
    version: str = ""
    streams: int = 1000
    rate: float = 30_000.0
    """Events a second, in all."""


class Load(NamedTuple):
    """How events cost a server's CPU."""

    us: float
    """For each that was delivered."""
    played_per_s: float
    """Less than was wanted, where the machine had no time for it."""
    per_s: float
    """Delivered."""
    cores: float
    """That the server used."""
    saturated: bool
    """It was late, or behind: its events do not cost what they cost one by one."""
    rate: float
    """That was asked for."""


class Late(NamedTuple):
    """Milliseconds from the service to the client: in the middle, and in the worst hundredth."""

    p50_ms: float
    p99_ms: float
    direct_p50_ms: float
    direct_p99_ms: float
    """Of events that had no server in their way, in the same seconds."""

    @property
    def added_p50_ms(self) -> float:
        """By the server."""
        return self.p50_ms - self.direct_p50_ms

    @property
    def added_p99_ms(self) -> float:
        """By the server."""
        return self.p99_ms - self.direct_p99_ms


@contextmanager
def standing(subject: Subject) -> Iterator[tuple[Running, Connection, int]]:
    """A server that has nothing to do yet, the service behind it, and the service's port."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-gateway-")))
        service = stack.enter_context(beside(player.play))
        port = service.recv()
        yield stack.enter_context(subject.start(port, folder)), service, port


def load(subject: Subject, seconds: float) -> Load:
    """Events at a rate."""
    with standing(subject) as (server, service, _):
        with beside(clients.read, (server.port,), subject.streams) as crowd:
            assert crowd.recv() == subject.streams, f"{subject.name}: streams were lost before the first event"
            _play(service, subject.rate)
            time.sleep(SETTLE_S)
            _ask(crowd)
            _play(service, subject.rate)
            begun_at, before_s = time.monotonic(), cpu_s(server)
            time.sleep(seconds)
            used_s, took_s = cpu_s(server) - before_s, time.monotonic() - begun_at
            seen = _ask(crowd)
            played = _play(service, subject.rate)
            assert not seen.lost, f"{subject.name}: {seen.lost} streams broke"
            assert seen.events, f"{subject.name}: not one event was delivered"
    saturated = seen.events < played * DELIVERED_MIN or seen.events > seen.reads * AT_ONCE_MAX
    us, per_s = used_s / seen.events * 1e6, seen.events / took_s
    return Load(us, played / took_s, per_s, used_s / took_s, saturated, subject.rate)


def idle_bytes(subject: Subject, streams: int) -> float:
    """Memory for each silent stream."""
    with standing(subject) as (server, _, _), ExitStack() as stack:
        before = 0
        for count in (WARM, streams):
            before = rss_bytes(server)
            crowd = stack.enter_context(beside(clients.read, (server.port,), count))
            assert crowd.recv() == count, f"{subject.name}: streams were lost"
            time.sleep(SETTLE_S)
        return (rss_bytes(server) - before) / streams


def late(subject: Subject, streams: int, rate: float, seconds: float) -> Late:
    """Events one at a time: every other one goes to a client that has no server in its way."""
    with standing(subject) as (server, service, port):
        with beside(clients.read, (port, server.port), 2 * streams) as crowd:
            assert crowd.recv() == 2 * streams, f"{subject.name}: streams were lost before the first event"
            _play(service, 2 * rate, stamped=True)
            time.sleep(SETTLE_S)
            _ask(crowd, looking=True)
            time.sleep(seconds)
            seen = _ask(crowd)
    direct, through = (sorted(times) for times in seen.late_ns)
    assert min(len(direct), len(through)) >= rate * seconds / 2, f"{subject.name}: too few events were delivered"
    return Late(_at(through, 0.5), _at(through, 0.99), _at(direct, 0.5), _at(direct, 0.99))


def _play(service: Connection, rate: float, *, stamped: bool = False) -> int:
    """From now on; how many events were sent until now, since the last call."""
    service.send((rate, stamped))
    played: int = service.recv()
    return played


def _ask(crowd: Connection, *, looking: bool = False) -> clients.Seen:
    crowd.send(looking)
    seen: clients.Seen = crowd.recv()
    return seen


def _at(ordered: list[int], share: float) -> float:
    """The value at this share of the way, in milliseconds."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1e6
