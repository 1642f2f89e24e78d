"""The load check's own eye: what a client takes for right, and what it must not."""

import pytest

from bench.gateway_load import source
from bench.gateway_load.clients import Checker

TEMPO = source.Tempo(events=6, every=1)
ALL = source.frames(TEMPO)
HEAD = b"HTTP/1.1 200 OK\r\nmidstream-stream-id: ms-1\r\ntransfer-encoding: chunked\r\n\r\n"
CUT = (
    b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":'
    b'"nothing of the stream was taken for too long: read on with Last-Event-ID, or ask again"}}\n\n'
)
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
END = b"0\r\n\r\n"


def frames(first: int, last: int, of: int = 3) -> bytes:
    """Numbered frames of a stream, as they come."""
    found = [source.frame_at(of, TEMPO, number - 1) for number in range(first, last + 1)]
    return b"".join(b"id: %d\n%b" % (number, frame or b"") for number, frame in enumerate(found, first))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def checked(*parts: bytes, after: int = 0, may_be_cut: bool = True) -> Checker:
    checker = Checker(3, TEMPO, after, may_be_cut=may_be_cut)
    checker.feed(HEAD)
    for part in parts:
        checker.feed(part)
    return checker


def test_a_stream_that_is_whole_is_complete_with_or_without_pings() -> None:
    assert checked(chunk(frames(1, ALL)), END).complete
    assert checked(chunk(frames(1, 2)), chunk(PING), chunk(frames(3, ALL)), END, may_be_cut=False).complete


def test_a_reader_that_was_cut_off_is_told_so_last_and_goes_on_where_it_was() -> None:
    cut = checked(chunk(frames(1, 4)), chunk(CUT))
    assert (cut.problem, cut.frames, cut.told_cut, cut.complete) == ("", 4, True, False)
    rest = checked(chunk(frames(5, ALL)), END, after=cut.frames)
    assert rest.complete and not rest.told_cut


WRONG = {
    "a frame twice": [chunk(frames(1, 2)), chunk(frames(2, ALL)), END],
    "a frame left out": [chunk(frames(1, 2)), chunk(frames(4, ALL)), END],
    "somebody else's frame": [chunk(frames(1, 2)), chunk(frames(3, ALL, of=4)), END],
    "a frame behind the last word": [chunk(frames(1, 2)), chunk(CUT), chunk(frames(3, 3))],
    "half a frame behind the last word": [chunk(frames(1, 2)), chunk(CUT + b"id: 3\n")],
    "the last word twice": [chunk(frames(1, 2)), chunk(CUT), chunk(CUT)],
    "a ping behind the last word": [chunk(frames(1, 2)), chunk(CUT + PING)],
    "a right end behind the last word": [chunk(frames(1, 2)), chunk(CUT), END],
    "a last word with a number": [chunk(frames(1, 2)), chunk(b"id: 3\n" + CUT)],
    "another error": [chunk(CUT.replace(b"nothing of the stream was taken ", b"it was given up "))],
    "another status": [b"HTTP/1.1 500 No\r\n\r\n"],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_seen(name: str) -> None:
    if name == "another status":
        checker = Checker(3, TEMPO, may_be_cut=True)
        checker.feed(WRONG[name][0])
    else:
        checker = checked(*WRONG[name])
    assert checker.problem and not checker.complete


def test_a_reader_that_reads_on_may_not_be_told_that_it_was_cut_off() -> None:
    assert checked(chunk(frames(1, 2)), chunk(CUT), may_be_cut=False).problem
