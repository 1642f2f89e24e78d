"""A server on raw streams: it listens, gives each connection a task, and lets go of every socket when it is closed.

Rule: what is said on a connection is its subclass's; in a caller's loop or in a thread of its own, it is the same.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self

from midstream.faults.sockets import FLUSH_S_MAX, Connection, Gone


class Listening:
    """``with`` runs it in a thread, ``async with`` in the loop of the caller. Port 0 is any free one."""

    head_bytes_max: int
    """The longest head of a request that is read."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] = lambda: None

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection may be used again."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The base URL that a client is given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """Connections that are open now."""
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every socket, and wait until they are closed."""
        if self._listener is not None:
            self._listener.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __enter__(self) -> Self:
        started: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(started)), name="midstream-faults")
        self._thread.daemon = True
        self._thread.start()
        started.result()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()
        if self._thread is not None:
            self._thread.join()

    async def _run(self, started: "Future[None]") -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        try:
            await self._listen()
        except OSError as problem:
            started.set_exception(problem)
            return
        started.set_result(None)
        await stop.wait()
        await self.aclose()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(self._connected, self.head_bytes_max), self.host, self.port, backlog=1024
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: the one that asyncio would make complains, up to Python 3.11, when it is cancelled.
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(Gone, ConnectionError, TimeoutError):
                while await self.respond(reader, writer):
                    pass
        except asyncio.CancelledError:
            # The server is closing: what is still in a buffer is of no use to anybody.
            writer.transport.abort()
            raise
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(writer.wait_closed(), FLUSH_S_MAX)
