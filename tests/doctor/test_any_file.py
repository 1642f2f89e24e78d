"""Proof 6 of the doctor, for `diagnose`: any file is one clear sentence, in bounded memory, and no traceback."""

import gzip
import io
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.doctor.diagnose.run import examine
from midstream.doctor.diagnose.tell import report_of
from midstream.doctor.recording import timed
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Finished, How
from midstream.doctor.render import to_json, to_text
from midstream.faults.wire import chunk, dumps
from tests.wire import begin, call, end, say, sse, start, stopping, text, thinking, whole

EVENTS = whole(thinking(0, "hm"), text(1, "Hello"), call(2, '{"a": 1}'))
ONE = sse(*EVENTS)
TIMED = "\n".join(
    [timed.begin_line("now", "us")]
    + [timed.line_of(fact) for fact in (Asked("POST", "http://x", {}, 0.0), Answered(200, {}, "HTTP/1.1", 0.1))]
    + [timed.line_of(fact) for fact in (Arrived(ONE, 0.2), Finished(How.INCOMPLETE, "lost", 60.0))]
)
ENTRY = {"request": {"url": "/v1/messages"}, "response": {"status": 200, "content": {"text": ONE.decode()}}}
FORMS = [
    ONE,
    ONE.replace(b"\n", b"\r\n"),
    b"".join(chunk(dumps(event)) for event in EVENTS),
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + ONE,
    b"> POST / HTTP/1.1\r\n> \r\n< HTTP/1.1 200 OK\r\n< \r\n" + ONE + b"* Connection #0 to host x left intact\n",
    b"%x\r\n%s\r\n0\r\n\r\n" % (len(ONE), ONE),
    gzip.compress(ONE, mtime=0),
    TIMED.encode(),
    json.dumps({"log": {"version": "1.2", "entries": [ENTRY, ENTRY]}}).encode(),
    ONE.decode().encode("utf-16"),
]
PIECES = [
    b"\nHTTP/1.1 200 OK\r\n\r\n", b"HTTP/2 529 \r\n\r\n", b"< HTTP/1.1 200\r\n< \r\n", b"> POST / HTTP/1.1\r\n> \r\n",
    b"* Closing connection\n", b"curl: (18) x\n", b"\x1f\x8b\x08", b"\xff\xfe", b"1a\r\n", b"\0\0\0\x80", b"\r",
    timed.BEGINS, b'{"log":{"version":"1","entries":[', b'{"at": 1e400, "text": "data: 1"}\n', b"data: [DONE]\n\n",
    b'event: completion\ndata: {"completion": [1], "stop_reason": 5}\n\n', b'data: {"candidates": 1}\n\n',
    sse(start()), sse(start("msg_2", content=[{"type": "text"}])), sse(begin(0, type="tool_use")), b"\n\n",
    sse(stopping("tool_use")),    sse({"type": "error", "error": "x"}), sse(end(0)),
    b"\r100 1 1 1 1 1 1 1 --:--:-- --:--:-- --:--:-- 1",
]  # fmt: skip


def told(data: bytes) -> None:
    examined = examine(io.BytesIO(data))
    report = report_of(examined, "x", show=True)
    assert report.verdict and "\n" not in report.verdict
    assert to_text(report) and json.loads(to_json(report))["streams"]
    assert sum(one.place.byte > examined.bytes for one in examined.diagnoses) == 0


@given(st.binary(max_size=400))
def test_any_bytes_are_told_in_a_sentence(data: bytes) -> None:
    told(data)


@settings(deadline=None)
@given(st.sampled_from(FORMS), st.data())
def test_any_form_cut_anywhere_and_damaged_anyhow_is_told_in_a_sentence(form: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(form)))
        piece = data.draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)))
        form = form[:at] + piece + form[data.draw(st.integers(at, min(len(form), at + 30))) :]
    told(form[: data.draw(st.integers(0, len(form)))])


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
def test_each_form_is_what_it_is_before_it_is_damaged(form: bytes) -> None:
    (one, *_) = examine(io.BytesIO(form)).diagnoses
    assert one.outcome.value == "complete"


DELTA = sse(say(0, " towers by pulling. That is"))
BEGUN = sse(start(), begin(0))
MIB = 1 << 20


def repeated(piece: bytes, before: bytes = b"") -> Callable[[int], Iterator[bytes]]:
    def make(size: int) -> Iterator[bytes]:
        yield before
        block = piece * (MIB // len(piece) + 1)
        for _ in range(size // len(block)):
            yield block

    return make


HUGE = {
    "one text without an end": repeated(DELTA, BEGUN),
    "very many streams": repeated(ONE.replace(b"msg_1", b"msg_2") + ONE),
    "one line without an end": repeated(b"x"),
    "one event without an end": repeated(b"x", b"data: "),
    "one call without an end": repeated(
        sse(*call(0, '{"a": "' + "x" * 100, closed=False)[1:]), sse(start(), call(0)[0])
    ),
    "comments": repeated(b": keep-alive\n\n"),
    "zeros": repeated(b"\0"),
    "a page": repeated(b"<p>Bad gateway</p>\n"),
    "curl -v without a body": repeated(b"* and another line\n"),
    "a bomb": lambda size: iter([gzip.compress(b"\0" * size)]),
}
ADDRESS_SPACE = 900 * MIB
"""What a Python with all that a command imports takes, and room for a frame at its bound (32 MiB) and its JSON."""


def diagnose_huge(name: str, size: int) -> None:
    command = [sys.executable, "-m", "midstream", "diagnose", "--json", "-"]

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=bounded
    ) as process:
        assert process.stdin is not None
        for block in HUGE[name](size):
            process.stdin.write(block)
        process.stdin.close()
        process.stdin = None
        out, err = process.communicate(timeout=600)
    # Progress, and nothing else.
    assert all(line.startswith(b"reading: ") for line in err.splitlines()), err[-500:]
    assert process.returncode in (0, 1)
    assert len(json.loads(out)["verdict"]) < 400 and len(out) < MIB


@pytest.mark.parametrize("name", ["one text without an end", "one event without an end", "a page", "a bomb"])
def test_a_large_recording_streams_through(name: str) -> None:
    diagnose_huge(name, 12 * MIB if "text" in name else 40 * MIB)


@pytest.mark.slow
@pytest.mark.parametrize("name", HUGE)
def test_a_recording_of_up_to_200_mb_streams_through(name: str) -> None:
    # Millions of tiny pieces take long on a busy machine, and as much memory as fewer of them.
    tiny = ("comments", "curl -v without a body", "very many streams", "one call without an end")
    diagnose_huge(name, 16 * MIB if name in tiny else 200 * MIB)
