"""The far end plays what it is asked for, tells what left and when, and serves nobody else."""

import json
import socket
import time
from typing import Any

import pytest

from midstream.faults import probe
from midstream.faults.probe import FarEnd
from tests.faults.raw import Answer

pytestmark = pytest.mark.sockets

ID = "0123456789abcdef"


def sent(port: int, raw: bytes, leave_after_s: float | None = None) -> Answer:
    """The whole answer to these bytes; or what had come when the client left."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(raw)
        if leave_after_s is not None:
            line.settimeout(leave_after_s)
        try:
            while data := line.recv(1 << 16):
                received += data
        except TimeoutError:
            return Answer(received, "timeout")
        except ConnectionResetError:
            return Answer(received, "reset")
    return Answer(received, "fin")


def asked(port: int, version: str = "1.1", leave_after_s: float | None = None, **question: Any) -> Answer:
    body = json.dumps({"midstream_probe": 1, "stream": ID, **question}).encode()
    head = f"POST /any/path HTTP/{version}\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    return sent(port, head.encode() + body, leave_after_s)


def told(port: int, **question: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(asked(port, do="tell", **question).body)
    return found


STEPS = [{"step": "send", "times": 3, "every_s": 0.02}, {"step": "rest", "seconds": 0.05, "ping_s": 0.02}]


@pytest.mark.parametrize(
    ("version", "end", "whole"),
    [
        ("1.1", "clean", True),
        ("1.1", "fin", False),
        ("1.1", "rst", False),
        ("1.0", "clean", True),
        ("1.0", "rst", False),
    ],
)
def test_a_stream_is_played_ended_as_asked_and_told(version: str, end: str, whole: bool) -> None:
    with FarEnd() as far_end:
        answer = asked(far_end.port, version, do="play", steps=STEPS, end=end)
        story = told(far_end.port)
    assert answer.status == 200 and answer.end == ("reset" if end == "rst" else "fin")
    assert answer.body.count(b"event: probe") == 3 and answer.body.count(b": ping\n\n") == 2
    if version == "1.1":
        assert answer.complete is whole
    assert [mark[2] for mark in story["marks"]] == ["event"] * 3 + ["ping"] * 2
    assert story["marks"][-1][1] == len(answer.body) and story["http"] == f"HTTP/{version}"
    assert (story["ended"], story["left_at_s"]) == (end, None)
    assert story["marks"] == sorted(story["marks"]) and story["ended_at_s"] >= story["marks"][-1][0]


def test_the_headers_come_after_the_silence_that_was_asked_for() -> None:
    with FarEnd() as far_end:
        asked(far_end.port, do="play", before_s=0.2)
        assert told(far_end.port)["headers_at_s"] >= 0.2


def test_hints_are_sent_when_asked_for() -> None:
    with FarEnd() as far_end:
        assert "x-accel-buffering" not in asked(far_end.port, do="play").head
        head = asked(far_end.port, do="play", stream=ID[::-1], hints=True).head
    assert "x-accel-buffering: no" in head and "cache-control: no-cache, no-transform" in head


def test_that_the_client_left_is_noticed_and_told() -> None:
    with FarEnd() as far_end:
        answer = asked(
            far_end.port, leave_after_s=0.1, do="play", steps=[{"step": "send"}, {"step": "rest", "seconds": 60}]
        )
        until = time.monotonic() + 20
        while (story := told(far_end.port))["ended"] == "playing" and time.monotonic() < until:
            time.sleep(0.01)
    assert answer.end == "timeout" and story["ended"] == "left" and 0 < story["left_at_s"] < 30


def test_the_sizes_of_what_was_asked_are_told() -> None:
    body = b'{"midstream_probe":1,"do":"hello"}' + b" " * 100_000
    head = b"POST / HTTP/1.1\r\nconnection: close\r\nx-long: %b\r\ncontent-length: %d\r\n\r\n" % (
        b"a" * 9000,
        len(body),
    )
    with FarEnd() as far_end:
        hello = json.loads(sent(far_end.port, head + body).body)
    assert hello["request_bytes"] == len(body) and 9000 < hello["head_bytes"] < 9200 and hello["http"] == "HTTP/1.1"
    assert "x-long" in hello["request_header_names"]


@pytest.mark.parametrize("question", [{"do": "hello"}, {"do": "play"}, {"do": "tell"}])
@pytest.mark.parametrize("token", [None, "", "wrong", "secret1", "é"])
def test_without_its_token_a_far_end_says_nothing(question: dict[str, str], token: str | None) -> None:
    with FarEnd("secret") as far_end:
        answer = asked(far_end.port, **question, **({} if token is None else {"token": token}))
    assert answer.status == 401 and b"secret" not in answer.body


def test_with_its_token_it_answers() -> None:
    with FarEnd("secret") as far_end:
        assert asked(far_end.port, do="hello", token="secret").status == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 405),
        (b"rubbish\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nx: %b\r\n\r\n" % (b"a" * 200_000), 431),
    ],
)
def test_what_is_no_question_has_an_answer_with_a_sentence(raw: bytes, status: int) -> None:
    with FarEnd() as far_end:
        answer = sent(far_end.port, raw)
    assert answer.status == status and json.loads(answer.body)["refused"]


def test_a_stream_that_nobody_knows_and_one_that_is_asked_for_twice_are_refused() -> None:
    with FarEnd() as far_end:
        assert asked(far_end.port, do="tell").status == 404
        assert [asked(far_end.port, do="play").status for _ in range(2)] == [200, 409]


def test_only_so_many_streams_are_played_at_once_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "STREAMS_MAX", 0)
    with FarEnd() as far_end:
        assert asked(far_end.port, do="play").status == 503
    monkeypatch.undo()
    monkeypatch.setattr(probe, "REMEMBERED_MAX", 1)
    with FarEnd() as far_end:
        assert [asked(far_end.port, do="play", stream=name).status for name in (ID, ID[::-1])] == [200, 200]
        assert [asked(far_end.port, do="tell", stream=name).status for name in (ID, ID[::-1])] == [404, 200]
