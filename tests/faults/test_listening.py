"""What listens runs in a thread or in the caller's loop, and leaves no socket behind."""

import asyncio
import socket

import pytest

from midstream.faults.listening import Listening

pytestmark = pytest.mark.sockets


class Echo(Listening):
    head_bytes_max = 1000

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = await reader.readline()
        writer.write(line)
        await writer.drain()
        return line != b"last\n"


def said(port: int, *lines: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw, raw.makefile("rb") as file:
        raw.sendall(b"".join(lines))
        return file.read() if lines[-1] == b"last\n" else b"".join(file.readline() for _ in lines)


def test_a_connection_is_answered_until_an_answer_is_the_last() -> None:
    with Echo("127.0.0.1", 0) as echo:
        assert echo.url == f"http://127.0.0.1:{echo.port}"
        assert said(echo.port, b"one\n", b"last\n", b"never\n", b"last\n")[:9] == b"one\nlast\n"


def test_closing_ends_who_is_still_connected() -> None:
    async def run() -> bytes:
        async with Echo("127.0.0.1", 0) as echo:
            reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
            writer.write(b"one\n")
            assert await reader.readline() == b"one\n" and echo.open_connections == 1
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    assert asyncio.run(run()) == b""


def test_a_port_that_is_taken_is_told_to_who_asked_for_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        echo = Echo("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError), echo:
            pass


def test_an_address_of_version_6_stands_in_brackets() -> None:
    assert Echo("::1", 80).url == "http://[::1]:80"
