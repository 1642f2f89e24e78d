"""Servers that answer as they are told, over HTTP/1.1 and HTTP/2, and end as a proxy would.

Rule: they are real sockets on the loopback, and gone with their ``with``.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from midstream.faults.sockets import Connection, Line

Step = bytes | float | str
"""Bytes to send, seconds to wait, or an end: ``fin``, ``rst``, ``hang``."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port at which each connection is served so."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve_and_close(reader, writer)))

    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Connection(connected, 1 << 16), "127.0.0.1", 0, ssl=tls)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # What was closed is closed in the loop's next turns.
        await asyncio.sleep(0.01)


async def do(writer: asyncio.StreamWriter, steps: Sequence[Step]) -> None:
    """Step by step."""
    for step in steps:
        match step:
            case bytes():
                writer.write(step)
                await writer.drain()
            case float():
                await asyncio.sleep(step)
            case "hang":
                await asyncio.sleep(60)
            case "rst":
                await Line(writer).reset()


def http1(*steps: Step) -> Serve:
    """Read one head, then do this."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await do(writer, steps)

    return serve


def http2(
    *steps: Step, headers: Sequence[tuple[str, str]] = (), reset: int | None = None, whole: bool = False
) -> Serve:
    """Read one question, answer 200 and the bytes among the steps as data; then reset the stream, or end it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        asked = False
        while not asked:
            events = connection.receive_data(await reader.read(65_536))
            asked = any(isinstance(event, RequestReceived) for event in events)
            writer.write(connection.data_to_send())
        connection.send_headers(1, [(":status", "200"), *headers])
        for step in steps:
            if isinstance(step, bytes):
                connection.send_data(1, step)
            writer.write(connection.data_to_send())
            if not isinstance(step, bytes):
                await do(writer, [step])
        if reset is not None:
            connection.reset_stream(1, reset)
        elif whole:
            connection.end_stream(1)
        with contextlib.suppress(ConnectionError):
            await do(writer, [connection.data_to_send(), 0.05])

    return serve
