"""Every way an answer over HTTP/2 can end is told from the others."""

import asyncio

import pytest
from h2.connection import H2Configuration, H2Connection
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.probe import http2
from midstream.doctor.probe.heard import Heard
from midstream.doctor.probe.request import Request
from midstream.doctor.probe.road import Target
from tests.doctor.probe import answers
from tests.doctor.probe.answers import Serve

pytestmark = pytest.mark.sockets


def heard(serve: Serve, request: Request | None = None) -> Heard:
    async def run() -> Heard:
        async with answers.serving(serve) as port:
            return await http2.ask(Target(False, "127.0.0.1", port, "/"), request or Request(b"{}", wait_s=10))

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("serve", "end", "detail", "body"),
    [
        (answers.http2(b"ab", whole=True), "complete", "", b"ab"),
        (answers.http2(b"ab", reset=2), "reset", "RST_STREAM INTERNAL_ERROR(2)", b"ab"),
        (answers.http2(b"ab", reset=8), "reset", "RST_STREAM CANCEL(8)", b"ab"),
        (answers.http2(b"ab", reset=77), "reset", "RST_STREAM UNKNOWN(77)", b"ab"),
        (answers.http2(b"ab"), "broken", "the connection was closed inside the stream", b"ab"),
        (answers.http2(b"ab", "rst"), "reset", "RST", b"ab"),
        (
            answers.http2(b"ab", headers=[("content-length", "9")], whole=True),
            "broken",
            "END_STREAM before the announced length",
            b"",
        ),
    ],
)
def test_how_an_answer_ended(serve: Serve, end: str, detail: str, body: bytes) -> None:
    found = heard(serve)
    assert (found.end, found.detail, found.status) == (end, detail, 200)
    assert found.body == body or found.detail.startswith("END_STREAM")


def test_who_speaks_only_http_1_is_no_answer() -> None:
    found = heard(answers.http1(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"))
    assert found.end in ("garbled", "broken", "reset") and found.status is None


def test_who_wants_to_leave_leaves_and_who_waits_waits() -> None:
    assert heard(answers.http2(b"ab", "hang"), Request(b"{}", leave_at_s=0.1)).end == "left"
    assert heard(answers.http2(b"ab", "hang"), Request(b"{}", wait_s=0.1)).end == "waited"


def test_a_large_question_waits_for_its_windows() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from h2.events import DataReceived, StreamEnded

        connection, received, ended = H2Connection(H2Configuration(client_side=False)), 0, False
        connection.initiate_connection()
        while not ended:
            writer.write(connection.data_to_send())
            for event in connection.receive_data(await reader.read(65_536)):
                if isinstance(event, DataReceived):
                    received += len(event.data)
                    connection.acknowledge_received_data(event.flow_controlled_length, 1)
                ended = ended or isinstance(event, StreamEnded)
        connection.send_headers(1, [(":status", "200")])
        connection.send_data(1, str(received).encode(), end_stream=True)
        writer.write(connection.data_to_send())
        await writer.drain()
        await asyncio.sleep(0.05)

    assert heard(serve, Request(b" " * 1_000_000)).body == b"1000000"


def test_nobody_there_is_a_value() -> None:
    assert asyncio.run(http2.ask(Target(False, "127.0.0.1", 1, "/"), Request())).end == "refused"


def answered() -> bytes:
    """A whole answer, as a server writes it."""
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    server.receive_data(_begun()[1])
    server.send_headers(1, [(":status", "200"), ("server", "x")])
    server.send_data(1, b"ab", end_stream=True)
    return server.data_to_send()


def _begun() -> tuple[http2._Asked, bytes]:
    asked = http2._Asked(None, Heard("h2"), Request())  # type: ignore[arg-type]
    asked._http.initiate_connection()
    pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/")]
    asked._http.send_headers(1, pseudo, end_stream=True)
    return asked, asked._http.data_to_send()


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=5), st.binary(max_size=40))
def test_any_bytes_are_read_without_an_exception(changes: list[tuple[int, int]], more: bytes) -> None:
    async def run() -> None:
        data = bytearray(answered())
        for at, value in changes:
            data[at % len(data)] = value
        asked, _ = _begun()
        asked._fed(1.0, bytes(data) + more)
        if not changes:
            assert (asked._heard.end, asked._heard.body) == ("complete", b"ab")

    asyncio.run(run())
