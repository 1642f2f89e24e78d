"""One connection to a client: what the players of faults and of probes need of a socket.

Rule: it knows bytes, time and whether the other side is still there; nothing of HTTP.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

# How long bytes that were written may take to reach the other side's kernel before a reset throws them away.
FLUSH_S_MAX = 5.0


class Gone(Exception):
    """The client has closed the connection."""


class Connection(asyncio.StreamReaderProtocol):
    """A pair of streams that also knows when the other side has gone."""

    def __init__(self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any], head_bytes_max: int) -> None:
        self.gone = asyncio.Event()
        self.gone_at: float | None = None
        """By the clock of the loop."""
        super().__init__(asyncio.StreamReader(limit=head_bytes_max), serve)

    def eof_received(self) -> bool | None:
        self._went()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._went()
        super().connection_lost(exc)

    def _went(self) -> None:
        if self.gone_at is None:
            self.gone_at = asyncio.get_running_loop().time()
            self.gone.set()


class Line:
    """The way to one client. Each of its methods raises `Gone` when the client has gone."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        protocol = writer.transport.get_protocol()
        assert isinstance(protocol, Connection)
        self._connection = protocol

    @property
    def gone_at(self) -> float | None:
        """When the client went, by the clock of the loop."""
        return self._connection.gone_at

    async def write(self, data: bytes) -> None:
        """Hand the bytes to the kernel, as fast as it takes them."""
        if self._connection.gone.is_set():
            raise Gone
        self._writer.write(data)
        await self._writer.drain()

    async def wait(self, seconds: float) -> None:
        """Let time pass; a client that goes in the meantime ends it."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._connection.gone.wait(), seconds)
            raise Gone

    async def reset(self) -> None:
        """Close with RST, once everything that was sent has arrived: a reset throws away what has not."""
        transport = self._writer.transport
        raw = transport.get_extra_info("socket")
        loop = asyncio.get_running_loop()
        until = loop.time() + FLUSH_S_MAX
        while (transport.get_write_buffer_size() or _unsent_bytes(raw)) and loop.time() < until:
            await asyncio.sleep(0.001)
        if raw.fileno() >= 0:  # else the client was faster
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()


def _unsent_bytes(raw: socket.socket) -> int:
    """What the other side's kernel has not acknowledged, where the system can tell."""
    try:
        import fcntl
        import termios

        size = bytearray(4)
        fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, size)
    except (ImportError, AttributeError, OSError, ValueError):  # the last one of a socket that is closed
        return 0
    unsent: int = struct.unpack("i", size)[0]
    return unsent
