"""The service that is asked: plays events to every connection, in turn, at a rate; in a process of its own.

Rule: plain sockets and ready bytes, so that the machine has its cores for those who are measured.
"""

import re
import select
import socket
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from bench.gateway.played import HEAD, PLAIN, stamped
from bench.gateway_load.process import many_files

TICK_S = 0.002
"""Between two turns: short, so that the events of different streams come apart, as they do in life."""
ENOUGH_BYTES = 1 << 16
"""What is read at once of a request."""

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class Player:
    """Every connection is one stream that never ends."""

    def __init__(self, told: Connection) -> None:
        self._told = told
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        for fd in (self._listener.fileno(), told.fileno()):
            self._epoll.register(fd, select.EPOLLIN)
        self._open: dict[int, socket.socket] = {}
        self._asked: dict[int, bytes] = {}
        self._streams: list[socket.socket] = []
        self._rests: dict[socket.socket, bytes] = {}
        self._rate, self._stamped = 0.0, False
        self._begun_at = 0.0
        self._due = self._turn = self._played = 0

    def run(self) -> None:
        """Says its port, and plays until it is ended."""
        self._told.send(self._listener.getsockname()[1])
        while True:
            for fd, _ in self._epoll.poll(TICK_S if self._rate else 0.1):
                if fd == self._listener.fileno():
                    self._accept()
                elif fd == self._told.fileno():
                    self._obey()
                else:
                    self._read(fd)
            if self._rate and self._streams:
                self._play()

    def _obey(self) -> None:
        """``(events a second in all, stamped)``: plays so from now on; answers with how many were sent until now."""
        self._rate, self._stamped = self._told.recv()
        self._told.send(self._played)
        self._begun_at, self._due, self._played = time.monotonic(), 0, 0

    def _accept(self) -> None:
        try:
            while True:
                raw, _ = self._listener.accept()
                raw.setblocking(False)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open[raw.fileno()] = raw
                self._epoll.register(raw.fileno(), select.EPOLLIN)
        except BlockingIOError:
            pass

    def _read(self, fd: int) -> None:
        raw = self._open[fd]
        try:
            data = raw.recv(ENOUGH_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            self._leave(raw)
            return
        self._asked[fd] = asked = self._asked.get(fd, b"") + data
        head, blank, body = asked.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if blank and len(body) >= (int(length[1]) if length else 0):
            del self._asked[fd]
            raw.sendall(HEAD)
            self._streams.append(raw)

    def _leave(self, raw: socket.socket) -> None:
        del self._open[raw.fileno()]
        self._rests.pop(raw, None)
        if raw in self._streams:
            self._streams.remove(raw)
        raw.close()

    def _play(self) -> None:
        streams, stamp = self._streams, self._stamped
        due = int((time.monotonic() - self._begun_at) * self._rate)
        # What a machine that stood still has missed is left out: a burst would be another measurement.
        for _ in range(min(due - self._due, max(1, int(self._rate * TICK_S * 10)))):
            self._turn = (self._turn + 1) % len(streams)
            self._send(streams[self._turn], stamped(time.monotonic_ns()) if stamp else PLAIN)
        self._due = due

    def _send(self, raw: socket.socket, data: bytes) -> None:
        """Who does not take it now gets it before the next one; who is still behind then misses its turn."""
        rest = self._rests.pop(raw, b"")
        try:
            sent = raw.send(rest or data)
        except BlockingIOError:
            sent = 0
        except ConnectionError:
            return
        self._played += 1
        if sent < len(rest or data):
            self._rests[raw] = (rest or data)[sent:]


def play(told: Connection) -> None:
    """The process."""
    many_files()
    with suppress(EOFError):  # nobody asks any more
        Player(told).run()
