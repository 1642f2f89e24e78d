"""One connection as a player has it: what was written arrives, and a client that goes is noticed."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from midstream.faults.sockets import Connection, Gone, Line

pytestmark = pytest.mark.sockets


def played(do: Callable[[Line], Awaitable[None]], client: Callable[[socket.socket], bytes]) -> tuple[bytes, str]:
    """What a client received while `do` had the line, and what `do` came to."""

    async def run() -> tuple[bytes, str]:
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        tasks = []

        async def serve(writer: asyncio.StreamWriter) -> None:
            line = Line(writer)
            try:
                await do(line)
                done.set_result("done")
            except Gone:
                assert line.gone_at is not None
                done.set_result("gone")
            finally:
                writer.close()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.append(asyncio.create_task(serve(writer)))

        listener = await asyncio.get_running_loop().create_server(lambda: Connection(connected, 1000), "127.0.0.1", 0)
        with socket.create_connection(listener.sockets[0].getsockname(), timeout=20) as raw:
            received = await asyncio.to_thread(client, raw)
        listener.close()
        return received, await asyncio.wait_for(done, 20)

    return asyncio.run(run())


def read_all(raw: socket.socket) -> bytes:
    received = b""
    try:
        while data := raw.recv(1 << 16):
            received += data
    except ConnectionResetError:
        received += b"|reset"
    return received


def leave(raw: socket.socket) -> bytes:
    received = raw.recv(1 << 16)
    raw.close()
    return received


async def silence(line: Line) -> None:
    await line.write(b"one")
    await line.wait(20)


async def chatter(line: Line) -> None:
    while True:
        await line.write(b"one")
        await asyncio.sleep(0.001)


async def two(line: Line) -> None:
    await line.write(b"one")
    await line.wait(0.001)
    await line.write(b"two")


async def much_then_reset(line: Line) -> None:
    await line.write(b"x" * 500_000)
    await line.reset()


def test_what_is_written_arrives() -> None:
    assert played(two, read_all) == (b"onetwo", "done")


@pytest.mark.parametrize("do", [silence, chatter])
def test_a_client_that_goes_is_noticed_in_a_silence_and_while_writing(do: Callable[[Line], Awaitable[None]]) -> None:
    received, came_to = played(do, leave)
    assert received.startswith(b"one") and came_to == "gone"


def test_a_reset_throws_nothing_away_that_was_written() -> None:
    received, came_to = played(much_then_reset, read_all)
    assert (received.count(b"x"), received[-6:], came_to) == (500_000, b"|reset", "done")
