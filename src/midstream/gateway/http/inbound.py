"""An HTTP/1.1 server for few kinds of requests and many long responses.

Rule: a handler is one task for its request; a response that outlives it lives by callbacks alone.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

from midstream.gateway.http.bodies import Bodies
from midstream.gateway.http.connection import Connection, bound_kernel
from midstream.gateway.http.limits import (
    BadRequest,
    BodyTimeout,
    BodyTooLarge,
    ClientGone,
    Limits,
    Overloaded,
    Refused,
    envelope,
)
from midstream.gateway.http.request import Request
from midstream.gateway.http.response import Response

__all__ = [
    "BadRequest",
    "Bodies",
    "BodyTimeout",
    "BodyTooLarge",
    "ClientGone",
    "Handler",
    "Limits",
    "Refused",
    "Request",
    "Response",
    "Server",
    "envelope",
]

LOG = logging.getLogger("midstream.gateway")

Handler = Callable[[Request, Response], Awaitable[None]]
"""Run as one task for each request. A `Refused` that it raises is answered as such, anything else with a 500; a
response that has begun is ended the wrong way. It may return while its response is open."""

# Connections beyond the limit that hear so before they are closed. Beyond these they are closed without a word.
REFUSED_AT_ONCE_MAX = 128

# Connections that wait in the kernel to be accepted: a thousand clients that come back at once are none too many.
ACCEPT_BACKLOG = 1024

HANDSHAKE_S = 10.0
"""For a TLS handshake, during which a connection is not counted yet."""

# How often it is looked whether everybody has left. It happens once in the life of a process.
_LOOK_S = 0.02


class Server:
    """Listens, and runs a handler for each request."""

    def __init__(self, handler: Handler, limits: Limits | None = None, bodies: Bodies | None = None) -> None:
        self.limits = limits or Limits()
        self.bodies = bodies or Bodies(self.limits.bodies_bytes)
        """What is held of the bodies of its requests. Another one than its own where somebody holds them for longer."""
        self.leaving = False
        """Whether the server is draining or closed: every response is the last of its connection."""
        self._handler = handler
        self._listeners: list[asyncio.AbstractServer] = []
        self._open: dict[Connection, None] = {}  # of thousands, half as large as a set
        self._refused: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    @property
    def responses(self) -> int:
        """Responses that are running now."""
        return sum(connection.is_busy for connection in self._open)

    async def listen(self, host: str, port: int, ssl: "ssl.SSLContext | None" = None) -> int:
        """Listen at an address, besides those before; the port, which for 0 is any free one. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: Connection(self, loop),
            host,
            port,
            ssl=ssl,
            backlog=ACCEPT_BACKLOG,
            ssl_handshake_timeout=HANDSHAKE_S if ssl else None,
        )
        for raw in listener.sockets:
            bound_kernel(raw)
        self._listeners.append(listener)
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    def stop_accepting(self) -> None:
        """Close the listening sockets. Connections that are open go on."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def drain(self, seconds: float) -> None:
        """Accept nothing more, and wait for the responses that run, at most so long."""
        self.stop_accepting()
        self.leaving = True
        for connection in [*self._open]:
            connection.leave_idle()
        await _until(lambda: not self.responses, seconds)

    async def aclose(self) -> None:
        """Stop the handlers, end every response that still runs the wrong way, and wait for its client a little."""
        self.stop_accepting()
        self.leaving = True
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in [*self._open]:
            connection.cut()
        await _until(lambda: not (self._open or self._refused), self.limits.linger_s)
        for connection in [*self._open, *self._refused]:
            connection.drop()
        await _until(lambda: not (self._open or self._refused), self.limits.linger_s)

    # --- told by the connections ---

    def opened(self, connection: Connection) -> Refused | None:
        """Count it, or say why it is too many."""
        if len(self._open) < self.limits.connections:
            self._open[connection] = None
            return None
        self._refused.add(connection)
        if len(self._refused) > REFUSED_AT_ONCE_MAX:
            connection.drop()
        return Overloaded("The gateway has as many connections as it may have.")

    def closed(self, connection: Connection) -> None:
        """Count it no longer."""
        self._open.pop(connection, None)
        self._refused.discard(connection)

    def asked(self, connection: Connection, request: Request, response: Response) -> None:
        """Run the handler."""
        task = asyncio.get_running_loop().create_task(self._handle(request, response))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, request: Request, response: Response) -> None:
        try:
            await self._handler(request, response)
        except Refused as problem:
            response.refuse(problem)
        except ClientGone:
            response.abort()
        except asyncio.CancelledError:
            response.abort()
            raise
        except Exception as problem:
            # Its text may hold what a client or an upstream wrote.
            LOG.error("a handler failed with %s", type(problem).__name__)
            response.refuse(Refused(500, "api_error", "The gateway failed at this request."))
        finally:
            request.close()


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until it holds, at most so long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while not condition() and loop.time() < until:
        await asyncio.sleep(_LOOK_S)
