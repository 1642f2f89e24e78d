"""The service that is asked: plays thousands of replies at their pace, from ready bytes, in a process of its own.

Rule: nothing but what playing takes. It reads a request up to its end, believes its ``x-load``, and never looks at the
rest of it.
"""

import asyncio
import re
from collections import deque
from multiprocessing.connection import Connection

from bench.gateway_load import source
from bench.gateway_load.process import run_loop

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_LOAD = re.compile(rb"(?i)\r\nx-load: *([\d ]+)")
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nrequest-id: req_load\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


class Wheel:
    """Whose turn it is at each tick."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun_at = self._loop.time()
        self._tick = 0
        self._slots: dict[int, deque[Player]] = {}
        self._loop.call_later(source.TICK_S, self._turn)

    def add(self, player: "Player", ticks: int) -> None:
        """Its turn comes after so many ticks."""
        self._slots.setdefault(self._tick + ticks, deque()).append(player)

    def _turn(self) -> None:
        # Nothing is left out when the machine is late: the ticks that passed are caught up.
        due = int((self._loop.time() - self._begun_at) / source.TICK_S)
        while self._tick < due:
            self._tick += 1
            for player in self._slots.pop(self._tick, ()):
                player.play()
        self._loop.call_later(source.TICK_S, self._turn)


class Player(asyncio.Protocol):
    """One connection."""

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._received = b""
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank or len(body) < int(_LENGTH.search(head)[1]):  # type: ignore[index]
            return
        self._received = b""
        self._number, self._tempo = source.Tempo.read(_LOAD.search(head)[1].decode())  # type: ignore[index]
        self._at = 0
        self._transport.write(_HEAD + _chunk(b"".join(source.begin(self._number))))
        # Not all of them at once.
        self._wheel.add(self, 1 + self._number % self._tempo.every)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True

    def play(self) -> None:
        """The next deltas, or the end."""
        if self._gone:
            return
        tempo, number, at = self._tempo, self._number, self._at
        if tempo.burst == 1 and at < tempo.events:
            self._transport.write(_chunk(source.delta(number, at)))
            self._at += 1
        elif at < tempo.events:
            self._at = min(at + tempo.burst, tempo.events)
            self._transport.write(_chunk(b"".join(source.delta(number, each) for each in range(at, self._at))))
        elif tempo.ends:
            self._transport.write(_chunk(b"".join(source.END)) + b"0\r\n\r\n")
            return
        else:
            return
        self._wheel.add(self, tempo.every)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def serve(told: Connection) -> None:
    """The process: says its port, and plays until it is ended."""

    async def forever() -> None:
        wheel = Wheel()
        server = await asyncio.get_running_loop().create_server(lambda: Player(wheel), "127.0.0.1", 0, backlog=4096)
        told.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    run_loop(forever())
