"""HAR files: the streams in them, with what the browser knew about their end."""

import base64
import json
from typing import Any

import pytest

from midstream.doctor.recording import har
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Fact, Finished, How, Remark, Unreadable
from midstream.doctor.recording.text import Text

BODY = b"event: ping\ndata: {}\n\n"


def entry(url: str = "https://x/v1/messages", **response: Any) -> dict[str, Any]:
    content = {"mimeType": "text/event-stream", "text": BODY.decode()}
    headers = [{"name": "X-Api-Key", "value": "k"}]
    server = [{"name": "Server", "value": "nginx"}]
    return {
        "request": {"method": "POST", "url": url, "headers": headers, "postData": {"text": "{}"}},
        "response": {"status": 200, "httpVersion": "h2", "headers": server, "content": content} | response,
        "timings": {"blocked": 10, "dns": -1, "connect": 20, "send": 1, "wait": 400, "receive": 5000},
        "time": 5431.0,
    }  # fmt: skip


def read(*entries: object) -> list[Fact]:
    return read_text(json.dumps({"log": {"version": "1.2", "creator": {}, "entries": list(entries)}}).encode())


def read_text(data: bytes) -> list[Fact]:
    return list(har.read(Text(iter([data]))))


def test_a_stream_is_its_request_its_reply_its_body_and_its_times() -> None:
    asked, answered, arrived, finished, remark = read(
        entry(), entry("https://x/style.css", content={"mimeType": "text/css"})
    )
    assert isinstance(asked, Asked) and (asked.method, asked.body, asked.at_s) == ("POST", b"{}", 0.0)
    assert isinstance(answered, Answered)
    assert (answered.version, answered.headers["server"], answered.at_s) == ("HTTP/2", "nginx", 0.431)
    assert arrived == Arrived(BODY)
    assert finished == Finished(How.UNKNOWN, "", 5.431)
    assert isinstance(remark, Remark) and "2 requests, 1 of them" in remark.text


def test_a_body_in_base64_is_bytes() -> None:
    content = {"mimeType": "application/vnd.amazon.eventstream", "encoding": "base64"}
    raw = bytes(range(256))
    facts = read(entry("https://x/other", content=content | {"text": base64.b64encode(raw).decode()}))
    assert Arrived(raw) in facts
    broken = read(entry(content=content | {"text": "abc"}))
    assert not [fact for fact in broken if isinstance(fact, Arrived)]


@pytest.mark.parametrize(
    ("error", "how"),
    [
        ("net::ERR_INCOMPLETE_CHUNKED_ENCODING", How.INCOMPLETE),
        ("net::ERR_CONTENT_LENGTH_MISMATCH", How.INCOMPLETE),
        ("net::ERR_HTTP2_PROTOCOL_ERROR", How.STREAM_RESET),
        ("net::ERR_CONNECTION_RESET", How.RESET),
        ("NS_ERROR_NET_RESET", How.RESET),
        ("net::ERR_ABORTED", How.STOPPED),
        ("net::ERR_TIMED_OUT", How.TIMEOUT),
        ("net::ERR_SOMETHING_NEW", How.UNKNOWN),
    ],
)
def test_the_error_of_a_browser_says_how_it_ended(error: str, how: How) -> None:
    (finished,) = [fact for fact in read(entry(_error=error)) if isinstance(fact, Finished)]
    assert (finished.how, finished.detail) == (how, error)


def test_a_request_without_a_reply_had_none() -> None:
    facts = read(entry(status=0, content={}))
    assert Finished(How.NO_ANSWER, "", 5.431) in facts and not [fact for fact in facts if isinstance(fact, Answered)]


@pytest.mark.parametrize(
    "odd", [5, [], {}, {"request": 5}, {"response": {"headers": [5]}}, entry(content={"text": None})]
)
def test_an_odd_entry_does_not_hide_the_others(odd: object) -> None:
    assert Arrived(BODY) in read(odd, entry())


@pytest.mark.parametrize(
    "data", [b'{"log": {"version": "1.2"', b'{"log": {"entries": 5}}', b'{"log": 5, "version": 1}', b"["]
)
def test_what_is_no_har_is_said(data: bytes) -> None:
    with pytest.raises(Unreadable, match="begins like a HAR"):
        read_text(data)


def test_a_har_over_the_bound_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(har, "HAR_BYTES_MAX", 1000)
    with pytest.raises(Unreadable, match="larger"):
        read_text(b'{"log": {"version": "1.2", "entries": [' + b" " * 2000)


def test_a_har_is_known_by_how_it_begins() -> None:
    assert har.looks_like_har(json.dumps({"log": {"version": "1.2", "entries": []}}, indent=2).encode())
    assert not har.looks_like_har(b'{"type": "error", "log": 1}')
    assert not har.looks_like_har(b'{"midstream_recording": 1}')
