"""One bound for all bodies: on raw sockets, what is beyond it is refused, and nothing stays counted."""

import asyncio
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from midstream.gateway.http.bodies import Bodies
from tests.gateway.http.attacks import CHUNKED, POST
from tests.gateway.http.serving import DEADLINE_S, LOOPS, QUICK, read_all, read_until, serving

pytestmark = pytest.mark.sockets

Loop = Callable[[], asyncio.AbstractEventLoop]

PATIENT = replace(QUICK, bodies_bytes=1000, body_idle_s=DEADLINE_S, body_total_s=DEADLINE_S)
LEAVERS = 200


def test_there_is_room_until_the_limit_is_reached() -> None:
    bodies = Bodies(10)
    assert bodies.has_room(10) and not bodies.has_room(11)
    bodies.hold(10)
    assert bodies.has_room(0) and not bodies.has_room(1)
    bodies.release(1)
    assert bodies.has_room(1) and bodies.held_bytes == 9


def test_what_was_promised_before_is_held_beyond_the_limit_too() -> None:
    bodies = Bodies(10)
    bodies.hold(12)
    assert not bodies.has_room(0)
    bodies.release(12)
    assert bodies.held_bytes == 0


@pytest.mark.parametrize("size_bytes", [-1, 4])
def test_nothing_is_let_go_that_was_not_held(size_bytes: int) -> None:
    bodies = Bodies(10)
    bodies.hold(3)
    with pytest.raises(AssertionError):
        bodies.release(size_bytes)


BEYOND = {
    "said to be": POST + b"content-length: 300\r\n\r\n",
    "said to be, and asked first": POST + b"expect: 100-continue\r\ncontent-length: 300\r\n\r\n",
    "in the end": CHUNKED + b"100\r\n" + b"b" * 256 + b"\r\n",
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("asked", BEYOND.values(), ids=BEYOND)
def test_what_is_beyond_the_limit_of_all_is_refused_before_it_is_read(loop: Loop, asked: bytes) -> None:
    with serving(loop, PATIENT) as here:
        bodies = here.server.bodies
        with here.connect() as first:
            first.sendall(POST + b"content-length: 800\r\n\r\n" + b"a" * 750)
            here.wait(lambda: bodies.held_bytes == 750)
            answer = here.ask(asked)
            assert (answer.status, answer.error, answer.end) == (503, "overloaded_error", "fin")
            assert b"\r\nretry-after: 5\r\n" in answer.head
            assert b"100 Continue" not in answer.raw
            here.wait(lambda: bodies.held_bytes == 750)
            # What fits is served meanwhile, and the first one in the end.
            assert here.ask(POST + b"connection: close\r\ncontent-length: 250\r\n\r\n" + b"c" * 250).status == 200
            first.sendall(b"a" * 50)
            read_until(first, b"\r\n\r\n" + b"a" * 800)
        here.wait(lambda: bodies.held_bytes == 0)
        assert here.ask(POST + b"connection: close\r\ncontent-length: 1000\r\n\r\n" + b"d" * 1000).status == 200


@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_that_is_only_announced_keeps_nobody_out(loop: Loop) -> None:
    with serving(loop, PATIENT) as here, here.connect() as first:
        first.sendall(POST + b"content-length: 1000\r\n\r\n")
        here.wait(lambda: here.told.requests == 1)
        assert here.ask(POST + b"connection: close\r\ncontent-length: 900\r\n\r\n" + b"c" * 900).status == 200


@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_that_is_handed_on_piece_by_piece_may_be_longer_than_the_limit(loop: Loop) -> None:
    with serving(loop, replace(PATIENT, bodies_bytes=1 << 20)) as here, here.connect() as line:
        line.sendall(POST.replace(b"/echo", b"/pieces") + b"content-length: %d\r\n\r\n" % (16 * 100_000))
        for number in range(16):
            piece = b"%x" % number * 100_000
            line.sendall(piece)
            received = b""
            while received.count(piece[:1]) < 100_000:
                received += line.recv(65_536)
        here.wait(lambda: here.server.bodies.held_bytes == 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_that_nobody_reads_is_thrown_away_while_the_response_runs(loop: Loop) -> None:
    with serving(loop, PATIENT) as here, here.connect() as line:
        line.sendall(POST.replace(b"/echo", b"/open") + b"content-length: 600000\r\n\r\n" + b"a" * 500)
        here.wait(lambda: here.told.responses)
        line.sendall(b"b" * 599_500)
        here.wait(lambda: here.server.bodies.held_bytes == 0 and here.server.responses == 1)
        # The end of the client is still seen: its connection is read.
        line.close()
        here.wait(lambda: here.told.gone == ["/open"])


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_stays_counted_of_those_who_break_off_anywhere(loop: Loop) -> None:
    draw, most = random.Random(20261121), 13_000
    with serving(loop, replace(PATIENT, bodies_bytes=most, connections=LEAVERS + 1)) as here:
        bodies, statuses, open_ones = here.server.bodies, [], []
        for _ in range(LEAVERS):
            line = here.connect()
            open_ones.append(line)
            line.sendall(_some_of_a_body(draw))
            assert 0 <= bodies.held_bytes <= most
            if len(open_ones) > 20:
                statuses.append(_leave(open_ones.pop(draw.randrange(20)), draw))
        statuses += [_leave(line, draw) for line in open_ones]
        here.wait(lambda: bodies.held_bytes == 0 and here.server.connections == 0)
        # All ways were taken: whole, refused for now, and gone without an answer.
        assert {200, 503, None} <= set(statuses)
        assert here.ask(POST + b"connection: close\r\ncontent-length: %d\r\n\r\n" % most + b"d" * most).status == 200


def _some_of_a_body(draw: random.Random) -> bytes:
    path = draw.choice([b"/echo", b"/echo", b"/pieces", b"/unread", b"/waits"])
    size_bytes = draw.choice([10, 3_000, 12_000])
    body = b"a" * draw.choice([size_bytes, draw.randrange(size_bytes)])
    if draw.random() < 0.5:
        return POST.replace(b"/echo", path) + b"content-length: %d\r\n\r\n" % size_bytes + body
    last = b"0\r\n\r\n" if len(body) == size_bytes else b""
    return CHUNKED.replace(b"/echo", path) + b"%x\r\n" % size_bytes + body + (b"\r\n" + last if last else b"")


def _leave(line: socket.socket, draw: random.Random) -> int | None:
    """With an answer, with FIN or with RST."""
    with line:
        if draw.random() < 0.5:
            line.shutdown(socket.SHUT_WR)
            return read_all(line).status
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return None
