"""What a response writes, byte for byte, and what it refuses to."""

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from midstream.gateway.http.limits import BadRequest
from midstream.gateway.http.response import Response

DATE = (b"date", b"Sat, 21 Nov 2026 12:00:00 GMT")
EVENTS = [(b"content-type", b"text/event-stream"), DATE]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\n"


class Tape:
    """A line that keeps what is written to it."""

    def __init__(self, *, stays_open: bool = True) -> None:
        self.pieces: list[bytes] = []
        self.calls: list[Callable[[], None]] = []
        self.ends: list[bool] = []
        self.stays_open = stays_open
        self.backlog_bytes = 7

    @property
    def written(self) -> bytes:
        return b"".join(self.pieces)

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def soon(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()

    def answered(self, whole: bool) -> None:
        self.ends.append(whole)


def test_chunks_are_framed_and_the_first_shares_a_write_with_the_head() -> None:
    tape = Tape()
    response = Response(tape)
    response.start(200, EVENTS)
    assert response.started and tape.pieces == []
    response.write(b"hello")
    response.write(b"a" * 20)
    response.end()
    head = HEAD + b"transfer-encoding: chunked\r\n\r\n"
    assert tape.pieces == [head + b"5\r\nhello\r\n", b"14\r\n" + b"a" * 20 + b"\r\n", b"0\r\n\r\n"]
    assert tape.ends == [True]
    tape.turn()
    assert len(tape.pieces) == 3


def test_a_head_that_nothing_follows_is_written_in_the_same_turn() -> None:
    tape = Tape()
    Response(tape).start(200, EVENTS)
    tape.turn()
    assert tape.written == HEAD + b"transfer-encoding: chunked\r\n\r\n"


def test_a_whole_response_is_one_write() -> None:
    tape = Tape()
    Response(tape).send(200, EVENTS, b"hello")
    assert tape.pieces == [HEAD + b"content-length: 5\r\n\r\nhello"]
    assert tape.ends == [True]


def test_http_1_0_gets_its_body_until_the_end_of_the_connection() -> None:
    tape = Tape(stays_open=False)
    response = Response(tape, http_1_0=True)
    response.start(200, EVENTS)
    response.write(b"hello")
    response.end()
    assert tape.written == HEAD + b"connection: close\r\n\r\nhello"
    assert tape.ends == [False]


def test_nothing_of_no_length_is_written() -> None:
    tape = Tape()
    response = Response(tape)
    response.start(200, EVENTS)
    response.write(b"")
    response.end()
    assert tape.written.endswith(b"\r\n\r\n0\r\n\r\n")


def test_aborted_chunks_have_no_last_one() -> None:
    tape = Tape()
    response = Response(tape)
    response.start(200, EVENTS)
    response.write(b"hello")
    response.abort()
    response.write(b"late")
    response.end()
    response.abort()
    assert tape.written.endswith(b"\r\n\r\n5\r\nhello\r\n")
    assert tape.ends == [False]


def test_what_is_shorter_than_its_length_does_not_end_well() -> None:
    tape = Tape()
    response = Response(tape)
    response.start(200, EVENTS, length=6)
    response.write(b"hello")
    response.end()
    assert tape.written == HEAD + b"content-length: 6\r\n\r\nhello"
    assert tape.ends == [False]


def test_what_is_longer_than_its_length_is_not_another_response() -> None:
    tape = Tape()
    response = Response(tape)
    response.start(200, EVENTS, length=4)
    for data in (b"he", b"llo", b"HTTP/1.1 200 OK\r\n\r\n"):
        response.write(data)
    response.end()
    assert tape.written == HEAD + b"content-length: 4\r\n\r\nhell"
    assert tape.ends == [True]


@pytest.mark.parametrize("length", [None, 5])
def test_the_answer_to_head_is_all_but_the_body(length: int | None) -> None:
    tape = Tape()
    response = Response(tape, bodiless=True)
    response.start(200, EVENTS, length=length)
    response.write(b"hello")
    response.end()
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: 5"
    assert tape.written == HEAD + framing + b"\r\n\r\n"
    assert tape.ends == [True]


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("length", [None, 0])
def test_a_status_without_a_body_has_neither_body_nor_framing(status: int, length: int | None) -> None:
    tape = Tape()
    response = Response(tape)
    response.start(status, EVENTS, length=length)
    response.write(b"hello")
    response.end()
    assert tape.written.startswith(b"HTTP/1.1 %d " % status)
    assert tape.written.endswith(b"GMT\r\n\r\n")
    assert b"length" not in tape.written and b"encoding" not in tape.written
    assert tape.ends == [True]


def test_framing_is_decided_here_whatever_the_headers_say() -> None:
    tape = Tape()
    theirs = [(b"content-length", b"99"), (b"transfer-encoding", b"gzip"), (b"connection", b"keep-alive")]
    theirs += [(b"keep-alive", b"timeout=5"), (b"upgrade", b"h2c"), (b"trailer", b"foo")]
    Response(tape).send(200, [*theirs, DATE], b"hello")
    assert tape.written == b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-length: 5\r\n\r\nhello" % DATE[1]


def test_the_last_response_says_that_it_is() -> None:
    tape = Tape(stays_open=False)
    Response(tape).send(200, EVENTS, b"hello")
    assert b"\r\nconnection: close\r\n" in tape.written


@pytest.mark.parametrize(
    ("status", "line"),
    [(200, b"200 OK"), (404, b"404 Not Found"), (529, b"529 Overloaded"), (599, b"599 ")],
)
def test_every_status_has_its_line(status: int, line: bytes) -> None:
    tape = Tape()
    Response(tape).send(status, [], b"")
    assert tape.written.startswith(b"HTTP/1.1 " + line + b"\r\ndate: ")


@pytest.mark.parametrize(
    ("status", "header"),
    [
        (200, (b"midstream-stream-id", b"abc\r\nset-cookie: a=b")),
        (200, (b"midstream-stream-id", b"abc\nset-cookie: a=b")),
        (200, (b"midstream-stream-id", b"abc\0")),
        (200, (b"x\r\nset-cookie", b"a=b")),
        (200, (b"", b"a=b")),
        (101, (b"x", b"y")),
        (0, (b"x", b"y")),
        (20_000, (b"x", b"y")),
    ],
)
def test_headers_that_would_break_out_are_a_500_without_them(status: int, header: tuple[bytes, bytes]) -> None:
    tape = Tape()
    response = Response(tape)
    left: list[bool] = []
    response.author = SimpleNamespace(gone=lambda: left.append(response.gone))
    response.start(status, [header])
    # The stream that was about to begin goes on until it is told.
    response.write(b"hello")
    response.end()
    assert left == []
    tape.turn()
    assert left == [True]
    head, _, body = tape.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n") and b"cookie" not in head
    assert b"\r\nconnection: close" in head
    assert json.loads(body)["error"]["type"] == "api_error"
    assert tape.ends == [False]


def test_starting_twice_is_a_mistake_of_the_callers() -> None:
    response = Response(Tape())
    response.start(200, EVENTS)
    with pytest.raises(RuntimeError, match="started before"):
        response.start(200, EVENTS)


def test_a_refusal_is_an_envelope_and_the_last_response() -> None:
    tape = Tape()
    Response(tape).refuse(BadRequest("No."))
    assert tape.written.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n")
    assert b"\r\nconnection: close\r\n" in tape.written
    assert tape.written.endswith(b'{"type":"error","error":{"type":"invalid_request_error","message":"No."}}')
    assert tape.ends == [False]


def test_a_refusal_that_comes_too_late_is_the_wrong_end() -> None:
    tape = Tape()
    response = Response(tape)
    response.start(200, EVENTS)
    response.write(b"hello")
    response.refuse(BadRequest("No."))
    assert tape.written.endswith(b"5\r\nhello\r\n")
    assert tape.ends == [False]


def test_without_a_start_every_end_is_the_wrong_one() -> None:
    for ending in (Response.end, Response.abort):
        tape = Tape()
        ending(Response(tape))
        assert (tape.written, tape.ends) == (b"", [False])


def test_a_client_that_leaves_is_told_of_once_and_written_to_no_more() -> None:
    tape = Tape()
    response = Response(tape)
    told: list[str] = []
    response.author = SimpleNamespace(gone=lambda: told.append("gone"), drained=lambda: told.append("drained"))
    response.start(200, EVENTS)
    response.write(b"hello")
    written = tape.written
    response.lost()
    response.lost()
    for late in (lambda: response.write(b"a"), response.end, response.abort, lambda: response.send(200, [], b"")):
        late()
    response.resumed()
    tape.turn()
    assert told == ["gone"] and response.gone
    assert (tape.written, tape.ends, response.backlog_bytes) == (written, [], 0)


def test_who_asked_to_be_told_of_nothing_is_told_of_nothing() -> None:
    for end in (Response.lost, lambda response: response.start(0, [])):
        tape = Tape()
        response = Response(tape)
        end(response)
        response.resumed()
        tape.turn()
        assert response.gone


def test_a_client_that_leaves_after_the_end_is_not_told_of() -> None:
    response = Response(Tape())
    told: list[str] = []
    response.author = SimpleNamespace(gone=lambda: told.append("gone"))
    response.send(200, [], b"hello")
    response.lost()
    assert told == [] and not response.gone


def test_a_backlog_above_its_mark_stops_and_one_below_it_goes_on() -> None:
    response = Response(Tape())
    told: list[bool] = []
    response.author = SimpleNamespace(drained=lambda: told.append(response.writable))
    response.start(200, EVENTS)
    response.paused()
    assert not response.writable and response.backlog_bytes == 7
    response.resumed()
    assert told == [True]
