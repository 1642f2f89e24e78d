"""One connection on a real socket: one request after the other, and how it ends."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from midstream.gateway.http.connection import EXCESS_BYTES_MAX, Connection
from midstream.gateway.http.limits import LINGER_BYTES_MAX, Refused
from midstream.gateway.http.request import Request
from midstream.gateway.http.response import Response
from tests.gateway.http.attacks import CHUNKED, GET, HARMLESS, POST
from tests.gateway.http.serving import (
    DEADLINE_S,
    EVENT,
    LOOPS,
    QUICK,
    Serving,
    read_all,
    read_some,
    read_until,
    serving,
)

pytestmark = pytest.mark.sockets

Loop = Callable[[], asyncio.AbstractEventLoop]

CHUNK = b"%x\r\n%b\r\n" % (3 * len(EVENT), 3 * EVENT)


def get(path: str, version: str = "1.1", headers: bytes = b"") -> bytes:
    return f"GET {path} HTTP/{version}\r\nhost: a\r\n".encode() + headers + b"\r\n"


@pytest.fixture(params=LOOPS, scope="module")
def here(request: pytest.FixtureRequest) -> Iterator[Serving]:
    with serving(request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def forget(request: pytest.FixtureRequest) -> None:
    if "here" in request.fixturenames:
        told = request.getfixturevalue("here").told
        told.responses.clear()
        told.gone.clear()


@pytest.mark.parametrize(("data", "body"), HARMLESS.values(), ids=HARMLESS)
def test_a_request_byte_by_byte_is_answered(here: Serving, data: bytes, body: bytes) -> None:
    with here.connect() as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(data)):
            line.sendall(data[at : at + 1])
        head = read_until(line, b"\r\n\r\n" + body)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")


def test_requests_follow_each_other_on_one_connection(here: Serving) -> None:
    with here.connect() as line:
        for body in (b"a", b"", b"c" * 300_000, b"d"):
            line.sendall(POST + b"content-length: %d\r\n\r\n" % len(body) + body)
            head = read_until(line, b"\r\n\r\n" + body)
            assert b"connection: close" not in head
        line.sendall(get("/whole"))
        assert read_until(line, b"0\r\n\r\n").endswith(CHUNK + b"0\r\n\r\n")
        line.sendall(get("/hello", headers=b"connection: close\r\n"))
        answer = read_all(line)
    assert (answer.body, answer.end) == (b"hello", "fin")


def test_a_body_that_nobody_read_does_not_spoil_the_next_request(here: Serving) -> None:
    with here.connect() as line:
        line.sendall(b"POST /hello HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nGET /")
        read_until(line, b"hello")
        line.sendall(get("/hello"))
        read_until(line, b"hello")


def test_a_body_goes_through_in_pieces(here: Serving) -> None:
    with here.connect() as line:
        line.sendall(CHUNKED.replace(b"/echo", b"/pieces"))
        read_until(line, b"\r\n\r\n")
        for piece in (b"one", b"two"):
            line.sendall(b"3\r\n" + piece + b"\r\n")
            assert read_until(line, piece + b"\r\n") == b"3\r\n" + piece + b"\r\n"
        line.sendall(b"0\r\n\r\n")
        assert read_until(line, b"0\r\n\r\n") == b"0\r\n\r\n"


def test_a_client_is_invited_before_it_sends_its_body(here: Serving) -> None:
    with here.connect() as line:
        line.sendall(POST + b"expect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert read_until(line, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"abc")
        assert read_until(line, b"abc").startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_whose_body_nobody_wants_is_not_invited(here: Serving) -> None:
    head = POST.replace(b"/echo", b"/hello")
    answer = here.ask(head + b"expect: 100-continue\r\ncontent-length: 3\r\n\r\n")
    # What it sends all the same would be taken for a request: the connection is over.
    assert answer.raw.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\nconnection: close" in answer.head
    assert (answer.body, answer.end) == (b"hello", "fin")


def test_a_client_that_has_its_answer_is_not_invited(here: Serving) -> None:
    with here.connect() as line:
        head = POST.replace(b"/echo", b"/pieces")
        line.sendall(head + b"expect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert read_until(line, b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
        line.sendall(b"abc")
        assert read_until(line, b"0\r\n\r\n") == b"3\r\nabc\r\n0\r\n\r\n"


def test_a_response_over_the_backlog_of_another_is_not_writable_yet(here: Serving) -> None:
    size_bytes = 10_000_000
    with here.connect(buffer_bytes=4096) as line:
        line.sendall(get("/open"))
        here.wait(lambda: here.told.responses)
        here.do(lambda: here.told.responses[0].write(b"a" * size_bytes))
        here.do(here.told.responses[0].end)
        line.sendall(get("/open"))
        here.wait(lambda: len(here.told.responses) == 2)
        second = here.told.responses[1]
        assert not second.writable
        read_some(line, size_bytes)
        here.wait(lambda: second.writable)


def test_http_1_0_gets_its_body_until_the_end(here: Serving) -> None:
    answer = here.ask(get("/whole", "1.0"))
    assert b"chunked" not in answer.head and b"\r\nconnection: close" in answer.head
    assert (answer.body, answer.end) == (EVENT * 3, "fin")


@pytest.mark.parametrize(("version", "body"), [("1.1", CHUNK), ("1.0", EVENT * 3)])
def test_a_broken_end_is_everything_that_was_written_and_then_fin(here: Serving, version: str, body: bytes) -> None:
    answer = here.ask(get("/cut", version))
    assert (answer.body, answer.end) == (body, "fin")


@pytest.mark.parametrize("path", ["/cut", "/small"])
@pytest.mark.parametrize("unread_bytes", [1, 50_000, 3_000_000])
def test_bytes_that_nobody_reads_do_not_turn_the_end_into_a_reset(here: Serving, path: str, unread_bytes: int) -> None:
    """``/cut`` breaks its stream off, ``/small`` refuses the body: either way the client is still sending."""
    head = POST.replace(b"/echo", path.encode()) + b"content-length: 4000000\r\n\r\n"
    with here.connect() as line:
        line.sendall(head)
        line.sendall(b"a" * unread_bytes)
        # Nothing is read before the other end has done all that it will do.
        here.wait(lambda: not here.server.responses)
        time.sleep(0.05)
        line.sendall(b"b")
        answer = read_all(line)
    assert answer.end == "fin"
    assert answer.body == CHUNK if path == "/cut" else answer.error == "request_too_large"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_large_response_reaches_a_slow_reader_whole_before_the_end(loop: Loop) -> None:
    size_bytes = 6_000_000
    with serving(loop, replace(QUICK, flush_s=1.0)) as here, here.connect(buffer_bytes=16_384) as line:
        line.sendall(get("/open"))
        read_until(line, EVENT + b"\r\n")
        response = here.told.responses[-1]
        here.do(lambda: response.write(b"a" * size_bytes))
        here.do(response.abort)
        started_at, received = time.monotonic(), 0
        while piece := line.recv(16_384):
            received += len(piece)
            # Longer in all than a client that takes nothing would be waited for, and far from taking nothing.
            time.sleep(0.005 if time.monotonic() < started_at + 1.5 else 0)
    assert received == len(b"%x\r\n\r\n" % size_bytes) + size_bytes


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_takes_a_little_now_and_then_is_dropped_in_the_end(loop: Loop) -> None:
    limits = replace(QUICK, linger_s=0.1, flush_s=DEADLINE_S, flush_total_s=0.5)
    with serving(loop, limits) as here, here.connect(buffer_bytes=16_384) as line:
        line.sendall(get("/open"))
        read_until(line, EVENT + b"\r\n")
        response = here.told.responses[-1]
        here.do(lambda: response.write(b"a" * 100_000_000))
        here.do(response.abort)
        received, until = 0, time.monotonic() + DEADLINE_S
        while (piece := line.recv(65_536)) and time.monotonic() < until:
            received += len(piece)
            time.sleep(0.005)
    assert received < 100_000_000


def test_a_client_that_never_reads_the_end_is_dropped(here: Serving) -> None:
    with here.connect(buffer_bytes=4096) as line:
        line.sendall(get("/open"))
        here.wait(lambda: here.told.responses)
        response = here.told.responses[-1]
        here.do(lambda: response.write(b"a" * 10_000_000))
        here.do(response.end)
        # It is waited for while it takes something, and then for `flush_s`.
        line.sendall(get("/hello", headers=b"connection: close\r\n"))
        here.wait(lambda: not here.server.connections)


def test_a_client_that_stays_after_fin_is_dropped(here: Serving) -> None:
    with here.connect() as line:
        line.sendall(get("/cut"))
        assert read_all(line).end == "fin"
        # Half of the connection is still ours.
        here.wait(lambda: not here.server.connections)


def test_the_backlog_of_a_slow_reader_is_seen_and_drains(here: Serving) -> None:
    with here.connect(buffer_bytes=4096) as line:
        line.sendall(get("/open"))
        here.wait(lambda: here.told.responses)
        response = here.told.responses[-1]
        drained: list[int] = []
        response.author = SimpleNamespace(drained=lambda: drained.append(response.backlog_bytes), gone=lambda: None)

        def fill() -> int:
            written = 0
            while response.writable and written < 1 << 24:
                response.write(b"a" * 1000)
                written += 1000
            return written

        written = 0
        # What is written may still leave in the same turn: until it no longer does.
        for _ in range(200):
            written += here.do(fill)
        assert not response.writable and written < 8_000_000
        assert QUICK.backlog_bytes < response.backlog_bytes < QUICK.backlog_bytes + 10_000
        assert drained == [] or drained[-1] < QUICK.backlog_bytes
        seen = len(drained)
        read_some(line, written)
        here.wait(lambda: len(drained) > seen)
        assert response.writable and drained[-1] <= QUICK.backlog_bytes // 4
        here.do(response.end)
        read_until(line, b"0\r\n\r\n")


def by_fin(line: socket.socket) -> None:
    line.close()


def by_reset(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.close()


def by_half(line: socket.socket) -> None:
    line.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("leave", [by_fin, by_reset, by_half])
@pytest.mark.parametrize("path", ["/open", "/waits"])
def test_a_client_that_leaves_is_told_of_once(here: Serving, path: str, leave: Callable[[socket.socket], None]) -> None:
    with here.connect() as line:
        line.sendall(get(path))
        here.wait(lambda: here.told.responses)
        (response,) = here.told.responses
        leave(line)
        here.wait(lambda: response.gone)
        here.do(lambda: response.write(EVENT))
        here.do(response.end)
        here.wait(lambda: not here.server.connections)
    assert here.told.gone == [path]
    assert here.server.responses == 0


def test_a_client_that_leaves_in_its_body_is_told_of(here: Serving) -> None:
    with here.connect() as line:
        line.sendall(POST + b"content-length: 10\r\n\r\nabc")
        here.wait(lambda: here.told.responses)
    here.wait(lambda: here.told.gone == ["/echo"] and not here.server.connections)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_client_that_leaves_after_the_end_is_not_told_of(here: Serving, version: str) -> None:
    with here.connect() as line:
        line.sendall(get("/whole", version))
        read_until(line, EVENT * 3 + (b"\r\n0\r\n\r\n" if version == "1.1" else b""))
    here.wait(lambda: not here.server.connections)
    assert here.told.gone == []


@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "apart"])
@pytest.mark.parametrize("first", [get("/open"), POST.replace(b"/echo", b"/open") + b"content-length: 3\r\n\r\nabc"])
def test_a_second_request_before_the_end_is_not_served(here: Serving, first: bytes, together: bool) -> None:
    served = here.told.requests
    with here.connect() as line:
        line.sendall(first + get("/hello") if together else first)
        read_until(line, EVENT + b"\r\n")
        if not together:
            line.sendall(get("/hello"))
        here.wait(lambda: here.told.responses)
        (response,) = here.told.responses
        line.sendall(b"and more")
        here.do(lambda: response.write(b"xyz"))
        assert read_until(line, b"3\r\nxyz\r\n") == b"3\r\nxyz\r\n"
        here.do(response.end)
        answer = read_all(line)
    assert (answer.raw, answer.end) == (b"0\r\n\r\n", "fin")
    assert here.told.requests == served + 1


def test_a_client_that_floods_a_running_response_is_cut(here: Serving) -> None:
    with here.connect() as line:
        line.sendall(get("/open"))
        read_until(line, EVENT + b"\r\n")
        with pytest.raises(ConnectionError):
            for _ in range(1000):
                line.sendall(b"a" * EXCESS_BYTES_MAX)
        here.wait(lambda: here.told.gone == ["/open"])


def test_a_broken_body_is_told_to_the_client_by_whoever_reads_it(here: Serving) -> None:
    with here.connect() as line:
        line.sendall(CHUNKED + b"3\r\nabc\r\n")
        here.wait(lambda: here.told.responses)
        line.sendall(b"nonsense\r\n" + b"a" * 100_000)
        answer = read_all(line)
    assert (answer.status, answer.error, answer.end) == (400, "invalid_request_error", "fin")


def test_a_broken_body_that_nobody_reads_ends_the_connection_with_the_response(here: Serving) -> None:
    with here.connect() as line:
        line.sendall(CHUNKED.replace(b"/echo", b"/unread") + b"3\r\nabc\r\n")
        here.wait(lambda: here.told.responses)
        (response,) = here.told.responses
        line.sendall(b"nonsense\r\n")
        read_until(line, EVENT + b"\r\n")
        here.do(response.end)
        answer = read_all(line)
    assert (answer.raw, answer.end) == (b"0\r\n\r\n", "fin")


def test_a_connection_that_asks_for_nothing_more_is_closed_without_a_word(here: Serving) -> None:
    with here.connect() as line:
        line.sendall(get("/hello"))
        read_until(line, b"hello")
        answer = read_all(line)
    assert (answer.raw, answer.end) == (b"", "fin")


def test_a_second_request_may_be_as_slow_as_the_first(here: Serving) -> None:
    with here.connect() as line:
        line.sendall(get("/hello"))
        read_until(line, b"hello")
        line.sendall(b"GET /")
        answer = read_all(line)
    assert (answer.status, answer.error) == (408, "timeout_error")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_goes_on_sending_after_the_end_is_dropped(loop: Loop) -> None:
    with serving(loop, replace(QUICK, linger_s=5.0)) as here, here.connect() as line:
        line.sendall(get("/cut"))
        assert read_all(line).end == "fin"
        with pytest.raises(ConnectionError):
            for _ in range(2 * LINGER_BYTES_MAX // 65_536):
                line.sendall(b"a" * 65_536)


# --- in whatever order it is called ---


class Still:
    """A transport that goes nowhere."""

    def __init__(self, *, half: bool) -> None:
        self.half = half
        self.closing = False
        self.reading = True
        self.written = b""

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        assert low < high

    def get_extra_info(self, name: str) -> None:
        return None

    def get_write_buffer_size(self) -> int:
        return len(self.written)

    def write(self, data: bytes) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return self.half

    def write_eof(self) -> None:
        raise OSError("not connected")

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def pause_reading(self) -> None:
        # As uvloop has it: once is enough, and a transport that closes has nothing to pause.
        assert self.reading and not self.closing
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading and not self.closing
        self.reading = True


class Anyone:
    """A host that keeps what it is given."""

    def __init__(self) -> None:
        self.limits = replace(QUICK, flush_s=0.0)
        self.leaving = False
        self.running: list[tuple[Request, Response]] = []
        self.closed_times = 0

    def opened(self, connection: Connection) -> None:
        return None

    def closed(self, connection: Connection) -> None:
        self.closed_times += 1

    def asked(self, connection: Connection, request: Request, response: Response) -> None:
        self.running.append((request, response))

    def answered(self, connection: Connection) -> None:
        assert self.running


DATA = [GET, POST, CHUNKED, POST + b"content-length: 3\r\n\r\n", b"3\r\nabc\r\n", b"abc", b"0\r\n\r\n", b"\0"]
CALLS = "eof_received pause_writing resume_writing invite hold_back read_on finish leave_idle cut drop".split()
ANSWERS = "end abort lost".split()


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*DATA, b"a" * 300_000]) | st.sampled_from(CALLS) | st.sampled_from(ANSWERS), max_size=12),
    st.booleans(),
)
@example([GET, "pause_writing", "end", "resume_writing", "pause_writing"], True)
@example([POST + b"content-length: 9000000\r\n\r\n", b"a" * 300_000, "drop", "read_on"], True)
@example([GET, "cut"], True)
@example(["drop", "hold_back"], False)
@example(["finish", "finish", "hold_back", "leave_idle", "cut"], False)
def test_no_order_of_calls_does_harm(calls: list[bytes | str], half: bool) -> None:
    async def story() -> None:
        host = Anyone()
        connection = Connection(host, asyncio.get_running_loop())
        transport = Still(half=half)
        connection.connection_made(cast(asyncio.Transport, transport))
        for call in calls:
            if isinstance(call, bytes):
                connection.data_received(call)
            elif call in CALLS:
                getattr(connection, call)()
            else:
                for _, response in host.running[-1:]:
                    response.start(200, [])
                    getattr(response, call)()
        connection.connection_lost(None)
        assert host.closed_times == 1
        for _, response in host.running:
            response.write(b"late")
            response.end()
        assert b"late" not in transport.written

    asyncio.run(story())


def test_who_is_one_too_many_hears_so() -> None:
    class Full(Anyone):
        def opened(self, connection: Connection) -> Refused:
            return Refused(503, "overloaded_error", "Too many.")

    async def story() -> None:
        connection, transport = Connection(Full(), asyncio.get_running_loop()), Still(half=True)
        connection.connection_made(cast(asyncio.Transport, transport))
        connection.data_received(GET)
        connection.connection_lost(None)
        assert transport.written.startswith(b"HTTP/1.1 503 ") and transport.closing

    asyncio.run(story())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_head_that_does_not_come_is_not_waited_for(loop: Loop) -> None:
    with serving(loop) as here:
        silent, late = here.ask(), here.ask(b"GET / HTTP/1.1\r\nhost: a\r\n")
    assert (silent.raw, silent.end) == (b"", "fin")
    assert (late.status, late.error, late.end) == (408, "timeout_error", "fin")
