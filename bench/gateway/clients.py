"""The clients: a thousand readers in one process, which count what they get, or look when it left.

Rule: plain sockets; a client does nothing for an event but find its mark.
"""

import select
import socket
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NamedTuple

from bench.gateway.played import BEGUN, MARK, REQUEST, stamps
from bench.gateway_load.process import many_files

COME_PER_S = 400
"""How fast they come: a rush would measure how connections are made."""
READ_BYTES = 1 << 16
COME_S_MAX = 120.0


class Seen(NamedTuple):
    """What came since the last question."""

    events: int
    reads: int
    """How many times there was something to read."""
    lost: int
    """Connections that have ended: none should."""
    late_ns: tuple[list[int], ...]
    """How long each event was on its way, by the port that it came through."""


class Clients:
    """One reader for each stream; ``ports`` are where they connect, in turn."""

    def __init__(self, ports: tuple[int, ...], count: int) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._waiting: set[int] = set()
        self._port_of: dict[int, int] = {}
        self._ports = ports
        self._looking = False
        self._forget()
        self._come(count)

    def _forget(self) -> None:
        self._events = self._reads = self._lost = 0
        self._late_ns: tuple[list[int], ...] = tuple([] for _ in self._ports)

    def _come(self, count: int) -> None:
        begun_at = time.monotonic()
        for at in range(count):
            while (left_s := begun_at + at / COME_PER_S - time.monotonic()) > 0:
                self._take(left_s)
            which = at % len(self._ports)
            raw = socket.create_connection(("127.0.0.1", self._ports[which]))
            raw.sendall(REQUEST)
            raw.setblocking(False)
            fd = raw.fileno()
            self._sockets[fd], self._port_of[fd] = raw, which
            self._waiting.add(fd)
            self._epoll.register(fd, select.EPOLLIN)
        while self._waiting:
            self._take(0.1)
            if time.monotonic() > begun_at + COME_S_MAX:
                raise TimeoutError(f"{len(self._waiting)} of {count} streams have not begun")

    def _take(self, seconds: float) -> None:
        """Reads what there is, waiting so long for it."""
        for fd, _ in self._epoll.poll(seconds):
            if fd not in self._sockets:
                continue
            try:
                data = self._sockets[fd].recv(READ_BYTES)
            except ConnectionError:
                data = b""
            if not data:
                self._lose(fd)
                continue
            if fd in self._waiting:
                if BEGUN in data:
                    self._waiting.remove(fd)
                continue
            self._events += data.count(MARK)
            self._reads += 1
            if self._looking:
                now = time.monotonic_ns()
                self._late_ns[self._port_of[fd]].extend(now - left for left in stamps(data))

    def _lose(self, fd: int) -> None:
        self._lost += 1
        self._epoll.unregister(fd)
        self._sockets.pop(fd).close()
        self._waiting.discard(fd)

    def run(self, told: Connection) -> None:
        """Answers each question with what came since the one before. ``True`` asks to look at the times, too."""
        told.send(len(self._sockets))
        self._epoll.register(told.fileno(), select.EPOLLIN)
        while True:
            self._take(1.0)
            if told.poll():
                self._looking = told.recv()
                told.send(Seen(self._events, self._reads, self._lost, self._late_ns))
                self._forget()


def read(ports: tuple[int, ...], count: int, told: Connection) -> None:
    """The process: says how many streams have begun, then answers."""
    many_files()
    with suppress(EOFError):  # nobody asks any more
        Clients(ports, count).run(told)
