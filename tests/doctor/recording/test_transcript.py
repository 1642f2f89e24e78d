"""What curl printed is read as what it says, whatever it was told to print; and with it the body, byte for byte."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from midstream.doctor.recording import transcript
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Fact, Finished, How, Remark
from midstream.doctor.recording.text import Text
from midstream.doctor.recording.wrapping import unwrapped
from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from tests.wire import sse, text, whole

BODY = sse(*whole(text(0, "Hello", " you")))
CUT = BODY[:400]
HEAD = b"HTTP/1.1 200 OK\r\nserver: nginx\r\ncontent-type: text/event-stream\r\n\r\n"
VERBOSE = (
    b"*   Trying 127.0.0.1:80...\n* Connected to x\n"
    b"> POST /v1/messages HTTP/1.1\r\n> Host: x\r\n> x-api-key: k\r\n> \r\n"
    b"} [114 bytes data]\n< HTTP/1.1 200 OK\r\n< server: nginx\r\n< \r\n{ [5 bytes data]\n"
)
METER = b"\r100 14616    0 14502  100   114  2036k  16393 --:--:-- --:--:-- --:--:-- 2378k"
TABLE = b"  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n"
TABLE += b"                                 Dload  Upload   Total   Spent    Left  Speed\n"

ROWS = {
    "-i": (HEAD + BODY, BODY, How.UNKNOWN),
    "-i over HTTP/2": (b"HTTP/2 200 \r\nserver: x\r\n\r\n" + BODY, BODY, How.UNKNOWN),
    "-i behind a 100 and a redirect": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nlocation: /\r\n\r\n" + HEAD + BODY, BODY, How.UNKNOWN
    ),
    "-i and an error": (
        HEAD + CUT + b"curl: (18) transfer closed with outstanding read data remaining\n", CUT, How.INCOMPLETE
    ),
    "bare and an error": (CUT + b"\ncurl: (56) Recv failure: Connection reset by peer\n", CUT, How.RESET),
    "-v": (VERBOSE + BODY + b"* Connection #0 to host x left intact\n", BODY, How.CLEAN),
    "-v and cut inside a line": (
        VERBOSE + CUT + b"* transfer closed with outstanding read data remaining\n* Closing connection 0\n"
        b"curl: (18) transfer closed with outstanding read data remaining\n", CUT, How.INCOMPLETE
    ),
    "-v over HTTP/2, reset": (
        VERBOSE + CUT + b"* HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)\n"
        b"* Connection #0 to host x left intact\n"
        b"curl: (92) HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)\n",
        CUT, How.STREAM_RESET
    ),
    "-v with a line of curl's in the middle": (
        VERBOSE + BODY.replace(b"\n\n", b"\n\n* TLSv1.3 (IN), TLS handshake, Newsession Ticket (4):\n", 1)
        + b"* Connection #0 to host x left intact\n", BODY, How.CLEAN
    ),
    "with its meter": (TABLE + METER + b"\n" + BODY.replace(b"\ndata", METER + b"\ndata", 2), BODY, How.UNKNOWN),
    "-v -i": (VERBOSE + HEAD + BODY + b"* Connection #0 to host x left intact\n", BODY, How.CLEAN),
    "a request and its reply": (
        b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}" + HEAD + BODY, BODY, How.UNKNOWN
    ),
}  # fmt: skip


def facts(data: bytes, step: int = 1 << 16, *, bare: bool = False) -> list[Fact]:
    def pieces() -> Iterator[bytes]:
        yield from (data[at : at + step] for at in range(0, len(data), step))

    return list(transcript.read(Text(pieces()), bare=bare))


def body_of(found: list[Fact]) -> bytes:
    return b"".join(fact.data for fact in found if isinstance(fact, Arrived))


@pytest.mark.parametrize("step", [1, 13, 1 << 16])
@pytest.mark.parametrize("name", ROWS)
def test_the_body_and_its_end_come_out_of_what_curl_prints(name: str, step: int) -> None:
    data, body, how = ROWS[name]
    found = facts(data, step, bare=name.startswith("bare"))
    assert body_of(found) == body
    assert [fact.how for fact in found if isinstance(fact, Finished)] == [how]
    if not name.startswith(("bare", "with its meter")):
        assert [fact.status for fact in found if isinstance(fact, Answered)][-1] == 200


def test_a_request_is_told_and_curls_own_words_are_no_part_of_the_body() -> None:
    (asked,) = [fact for fact in facts(ROWS["-v"][0]) if isinstance(fact, Asked)]
    assert (asked.method, asked.url) == ("POST", "//x/v1/messages")


def test_words_of_curl_inside_a_text_are_text() -> None:
    said = sse(*whole(text(0, "it says\n* Closing connection 0\ncurl: (18) transfer closed")))
    for data in (HEAD + said, VERBOSE + said + b"* Connection #0 to host x left intact\n"):
        assert body_of(facts(data)) == said


def test_several_exchanges_in_one_transcript_stay_apart() -> None:
    found = facts(HEAD + BODY + HEAD + CUT)
    assert [type(fact).__name__ for fact in found if not isinstance(fact, Arrived)] == ["Answered", "Finished"] * 2
    found = facts(VERBOSE + BODY + b"* Connection #0 to host x left intact\n" + VERBOSE + CUT)
    assert [fact.how for fact in found if isinstance(fact, Finished)] == [How.CLEAN, How.UNKNOWN]


def test_a_long_body_passes_in_bounded_pieces() -> None:
    long = b"data: " + b"x" * 1_000_000
    for data in (HEAD + long, VERBOSE + long):
        found = facts(data, 50_000)
        assert body_of(found) == long
        assert max(len(fact.data) for fact in found if isinstance(fact, Arrived)) <= 1 << 17


def test_a_transcript_without_a_reply_has_only_its_end() -> None:
    (finished,) = facts(b"* Trying\ncurl: (7) Failed to connect to x\n")
    assert isinstance(finished, Finished) and finished.how is How.NO_ANSWER
    (remark,) = facts(b"* a list\n* of things\n")
    assert isinstance(remark, Remark)


def test_a_body_that_curl_wrote_elsewhere_is_not_taken_for_an_empty_one() -> None:
    *_, remark, finished = facts(VERBOSE + b"* Connection #0 to host x left intact\n")
    assert isinstance(remark, Remark) and "2>&1" in remark.text
    assert isinstance(finished, Finished) and finished.how is How.DAMAGED
    empty = VERBOSE.replace(b"{ [5 bytes data]\n", b"") + b"* Connection #0 to host x left intact\n"
    assert [fact.how for fact in facts(empty) if isinstance(fact, Finished)] == [How.CLEAN]


def test_a_list_at_the_end_of_a_text_is_part_of_it() -> None:
    data = b"data: x\n* one\n* two\n"
    assert body_of(facts(data, bare=True)) == data


def test_a_head_that_goes_on_and_on_is_bounded_and_odd_lines_are_passed_over() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\n"
    assert body_of(facts(head + BODY)) == BODY
    assert body_of(facts(b"> nonsense\r\n> \r\nNote: no reason to\n" + VERBOSE + BODY)) == BODY
    assert body_of(facts(b"POST / HTTP/1.1\r\ncontent-length: 9999\r\n\r\n{}")) == b""
    assert body_of(facts(VERBOSE + b"data: x" + b"curl: (18) transfer closed with outstanding data\n")) == b"data: x"
    assert body_of(facts(VERBOSE + b"curl: (18) transfer closed with outstanding data\n")) == b""
    assert body_of(facts(VERBOSE + METER + b"\n" + BODY[:40])) == BODY[:40]


SWITCHES = [["-sN", "-i"], ["-N", "-v"], ["-sNv", "--raw"], ["-sSN"], ["-NSsvi"]]
ENDS = {"ok": How.CLEAN, "cut-fin@event=9+20": How.INCOMPLETE, "cut-rst@event=9+20": How.RESET}
ASKED = b'{"stream":true,"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}'


@pytest.mark.sockets
@pytest.mark.skipif(shutil.which("curl") is None and os.environ.get("CI") != "true", reason="curl is not installed")
@pytest.mark.parametrize("script", ENDS)
@pytest.mark.parametrize("switches", SWITCHES, ids=" ".join)
def test_what_the_real_curl_prints_is_read(switches: list[str], script: str) -> None:
    with FaultServer(script, Reply.builtin("text")) as server:
        command = ["curl", "--noproxy", "*", "-m", "20", *switches, f"{server.url}/v1/messages", "-d", ASKED.decode()]
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        whole_url = f"{server.url}/f/ok/v1/messages"
        with build_opener(ProxyHandler({})).open(Request(whole_url, ASKED), timeout=20) as reply:
            sent = reply.read()
    found = list(unwrapped(facts(ran.stdout, 1000, bare=not transcript.BEGINS.match(ran.stdout))))
    (finished,) = [fact for fact in found if isinstance(fact, Finished)]
    body = body_of(found)
    assert sent.startswith(body) and (body == sent if script == "ok" else 900 < len(body) < len(sent))
    silent = "s" in switches[0] and "S" not in switches[0] and "v" not in switches[0]
    bare = switches == ["-sSN"] and script == "ok"
    # Without -v and without an error, curl says nothing about the end.
    assert finished.how is (How.UNKNOWN if silent or bare else ENDS[script])
