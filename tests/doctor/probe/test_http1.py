"""Every way an answer over HTTP/1.1 can end is told from the others, and each piece has its moment."""

import asyncio

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.probe import http1
from midstream.doctor.probe.heard import Heard
from midstream.doctor.probe.request import Request
from midstream.doctor.probe.road import Target
from tests.doctor.probe import answers
from tests.doctor.probe.answers import Step

pytestmark = pytest.mark.sockets

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nServer: x\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


def heard(*steps: Step, request: Request | None = None) -> Heard:
    async def run() -> Heard:
        async with answers.serving(answers.http1(*steps)) as port:
            return await http1.ask(Target(False, "127.0.0.1", port, "/a?b"), request or Request(b"{}"))

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("steps", "end", "framing", "body"),
    [
        ([CHUNKED, b"2\r\nab\r\n0\r\n\r\n"], "complete", "chunked", b"ab"),
        ([CHUNKED, b"2\r\nab\r\n5\r\nab"], "broken", "chunked", b"abab"),
        ([CHUNKED, b"2\r\nab\r\n", "rst"], "reset", "chunked", b"ab"),
        ([CHUNKED, b"2\r\nab\r\nzz\r\n"], "garbled", "chunked", None),
        ([HEAD, b"content-length: 2\r\n\r\nab"], "complete", "length", b"ab"),
        ([HEAD, b"content-length: 9\r\n\r\nab"], "broken", "length", b"ab"),
        ([HEAD, b"\r\nab"], "unframed", "close", b"ab"),
        ([HEAD, b"\r\nab", "rst"], "reset", "close", b"ab"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED, b"0\r\n\r\n"], "complete", "chunked", b""),
        ([], "broken", "none", b""),
        ([b"HTTP/1.1 200 O"], "broken", "none", b""),
        ([b"SSH-2.0-OpenSSH_9\r\n\r\n"], "garbled", "none", b""),
        (["rst"], "reset", "none", b""),
    ],
)
def test_how_an_answer_ended(steps: list[Step], end: str, framing: str, body: bytes | None) -> None:
    found = heard(*steps)
    assert (found.end, found.framing) == (end, framing) and (body is None or found.body == body)


def test_an_answer_that_does_not_end_is_waited_for_as_long_as_was_wanted() -> None:
    found = heard(CHUNKED, b"2\r\nab\r\n", "hang", request=Request(b"{}", wait_s=0.2))
    assert found.end == "waited" and found.body == b"ab" and 0.2 <= found.end_at_s < 20


def test_who_wants_to_leave_leaves() -> None:
    found = heard(CHUNKED, b"2\r\nab\r\n", "hang", request=Request(b"{}", leave_at_s=0.1))
    assert found.end == "left" and found.body == b"ab"


def test_each_piece_and_the_head_have_their_moments() -> None:
    found = heard(0.1, CHUNKED, 0.2, b"2\r\nab\r\n", 0.2, b"0\r\n\r\n")
    assert found.head_at_s is not None and found.sent_at_s is not None
    assert found.sent_at_s <= found.head_at_s < found.pieces[0][0] < found.end_at_s
    assert found.head_at_s >= 0.1 and found.end_at_s >= 0.5
    assert found.header("server") == "x" and found.status == 200


def test_an_answer_in_the_middle_of_a_large_question_is_heard() -> None:
    refused = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    found = heard(refused, 0.5, request=Request(b" " * (16 << 20)))
    assert found.status == 413 and found.end == "complete"


def test_nobody_there_is_a_value() -> None:
    found = asyncio.run(http1.ask(Target(False, "127.0.0.1", 1, "/"), Request()))
    assert found.end == "refused" and "no connection" in found.detail


@given(
    st.lists(
        st.sampled_from([CHUNKED, HEAD, b"\r\n", b"2\r\nab\r\n", b"0\r\n\r\n", b"zz\r\n"]) | st.binary(), max_size=6
    )
)
def test_any_bytes_are_an_answer_that_ended_somehow(pieces: list[bytes]) -> None:
    async def run() -> None:
        found = Heard("http/1.1")
        asked = http1._Asked(None, found)  # type: ignore[arg-type]
        asked._http.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
        asked._http.send(h11.EndOfMessage())
        over = any(asked._fed(1.0, piece) for piece in pieces if piece) or asked._fed(2.0, b"")
        assert over and found.end != "waited"

    asyncio.run(run())
