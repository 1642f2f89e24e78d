"""What each fault really is on the wire, seen by a raw socket."""

import asyncio
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator

import anthropic
import httpx2
import pytest

from midstream.faults.catalogue import BEDROCK_EXCEPTIONS, ERROR_EVENTS, HTTP_ERRORS, KINDS, Wire
from midstream.faults.play import GARBAGE
from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from midstream.faults.violations import EDITS
from midstream.faults.wire import encode
from tests.faults.raw import BEDROCK_PATH, REQUEST, Answer, ask, connect, events_of, exchange, messages_of

REPLY = Reply.builtin("everything")
WHOLE: dict[Wire, bytes] = {
    "sse": b"".join(frame.raw for frame in REPLY.frames("sse")),
    "bedrock": b"".join(frame.raw for frame in REPLY.frames("bedrock")),
}
PATH: dict[Wire, str] = {"sse": "/v1/messages", "bedrock": BEDROCK_PATH}

PINGS = [encode({"type": "ping"}, "sse"), encode({"type": "ping"}, "bedrock")]

Claim = Callable[[Answer, bytes], object]


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(reply=REPLY) as server:
        yield server


def half(answer: Answer, whole: bytes) -> bool:
    """The body as far as the middle, and not a byte more."""
    return answer.body == whole[: len(whole) // 2]


def last(answer: Answer) -> dict[str, object]:
    """The last event of a body of server-sent events, or the last message of a Bedrock body with its headers."""
    if "text/event-stream" in answer.head:
        return events_of(answer.body)[-1]
    headers, payload = messages_of(answer.body)[-1]
    return {**headers, "payload": payload}


def begins(answer: Answer, whole: bytes) -> bool:
    """The reply came in whole frames as far as the middle, then one more."""
    return answer.complete and answer.body.startswith(whole[: len(whole) // 3]) and not whole.startswith(answer.body)


def is_error(name: str) -> Claim:
    def claim(answer: Answer, whole: bytes) -> bool:
        found = last(answer)
        if "payload" in found:
            # An error of the service comes in-band: a chunk whose event is the error.
            import base64

            found = json.loads(base64.b64decode(json.loads(found["payload"])["bytes"]))  # type: ignore[arg-type]
        error = found.get("error")
        return begins(answer, whole) and isinstance(error, dict) and error["type"] == name

    return claim


def is_exception(name: str) -> Claim:
    def claim(answer: Answer, whole: bytes) -> bool:
        found = last(answer)
        return begins(answer, whole) and found[":message-type"] == "exception" and found[":exception-type"] == name

    return claim


def is_status(status: int) -> Claim:
    def claim(answer: Answer, whole: bytes) -> bool:
        return answer.status == status and answer.complete and "message" in answer.body.decode()

    return claim


def unzipped(answer: Answer) -> tuple[bytes, bool]:
    """As much of a compressed body as can be had, and whether it has its end."""
    reader = zlib.decompressobj(wbits=31)
    return reader.decompress(answer.body), reader.eof


def damaged(answer: Answer, whole: bytes) -> bool:
    """As long as the whole body, with one byte that differs."""
    wrong = [n for n, (a, b) in enumerate(zip(answer.body, whole, strict=True)) if a != b]
    return answer.complete and len(wrong) == 1


def types(answer: Answer) -> list[str]:
    return [str(event["type"]) for event in events_of(answer.body)]


def gzip_is_bad(answer: Answer, whole: bytes) -> bool:
    with pytest.raises(zlib.error):
        zlib.decompressobj(wbits=31).decompress(answer.body)
    return answer.complete and "content-encoding: gzip" in answer.head


CLAIMS: dict[str, Claim] = {
    "ok": lambda a, w: a.complete and a.body == w,
    "cut-clean": lambda a, w: a.complete and half(a, w),
    "cut-fin": lambda a, w: not a.complete and a.end == "fin" and half(a, w) and a.rest,
    "cut-rst": lambda a, w: not a.complete and a.end == "reset" and half(a, w),
    "broken-chunk": lambda a, w: a.end == "fin" and half(a, w) and a.rest == b"zz\r\n",
    "gzip-cut": lambda a, w: a.complete and unzipped(a) == (w[: len(w) // 2], False),
    "gzip-bad": gzip_is_bad,
    "silence": lambda a, w: a.end == "timeout" and half(a, w),
    "pings-only": lambda a, w: a.end == "timeout" and w.startswith(a.chunks[0]) and a.chunks[-1] in PINGS,
    "trickle": lambda a, w: (
        a.end == "timeout" and w.startswith(a.body) and a.chunks[-3:] == [bytes([b]) for b in a.body[-3:]]
    ),
    "trickle-size": lambda a, w: a.end == "timeout" and half(a, w) and set(a.rest) == set(b"0"),
    **{name: is_error(name) for name in ERROR_EVENTS},
    "error-unnamed": lambda a, w: b"event" not in a.body.split(b"\n\n")[-2] and is_error("overloaded_error")(a, w),
    "error-openai": lambda a, w: begins(a, w) and (b"server_error" in a.body or "payload" in last(a)),
    "error-untyped": lambda a, w: (
        begins(a, w) and (last(a) == {"message": "Something went wrong"} or "payload" in last(a))
    ),
    "error-spend-limit": is_error("rate_limit_error"),
    "error-exhausted": is_error("overloaded_error"),
    **{name: is_exception(name) for name in BEDROCK_EXCEPTIONS},
    "error-frame": lambda a, w: begins(a, w) and last(a)[":error-code"] == "InternalFailure",
    "bad-crc": damaged,
    "bad-prelude": damaged,
    "half-frame": lambda a, w: a.complete and w.startswith(a.body) and not a.body.endswith(b"\n\n"),
    "garbage": lambda a, w: a.complete and a.body == w[: len(w) // 2] + GARBAGE,
    "bad-json": lambda a, w: a.complete and len(a.body) > len(w) and a.body.endswith(w[-100:]),
    "delta-unknown-block": lambda a, w: a.complete and b'"index":99' in a.body,
    "index-gap": lambda a, w: (
        [e["index"] for e in events_of(a.body) if e["type"] == "content_block_start"] == [0, 1, 3, 4]
    ),
    "second-message-start": lambda a, w: types(a).count("message_start") == 2,
    "delta-after-stop": lambda a, w: "content_block_stop content_block_delta" in " ".join(types(a)),
    "wrong-delta-type": lambda a, w: (
        {"type": "input_json_delta", "partial_json": "{"} in [e.get("delta") for e in events_of(a.body)]
    ),
    "no-message-start": lambda a, w: "message_start" not in types(a) and a.body == w.partition(b"\n\n")[2],
    "stop-without-reason": lambda a, w: (
        types(a)[-2:] == ["message_delta", "message_stop"] and b'tool_use","stop' not in a.body
    ),
    "no-message-delta": lambda a, w: types(a)[-2:] == ["content_block_stop", "message_stop"] and a.complete,
    "no-message-stop": lambda a, w: types(a)[-1] == "message_delta" and w.startswith(a.body) and a.complete,
    "no-final-blank-line": lambda a, w: a.complete and a.body == w[:-1],
    "error-after-stop": lambda a, w: a.complete and types(a)[-2:] == ["message_stop", "error"],
    "reset-after-stop": lambda a, w: a.end == "reset" and a.body == w,
    "stall-after-stop": lambda a, w: a.end == "timeout" and a.body == w,
    "html-200": lambda a, w: a.status == 200 and a.complete and b"<html>" in a.body and "text/html" in a.head,
    "json-200": lambda a, w: a.status == 200 and json.loads(a.body)["stop_reason"] == "tool_use",
    "error-json-200": lambda a, w: a.status == 200 and json.loads(a.body)["error"]["type"] == "overloaded_error",
    "garbage-200": lambda a, w: a.status == 200 and a.complete and a.body == GARBAGE,
    "empty-200": lambda a, w: a.status == 200 and a.complete and a.body == b"",
    **{f"http-{status}": is_status(status) for status in HTTP_ERRORS},
    "refused": lambda a, w: a.end == "reset" and a.raw == b"",
    "closed-early": lambda a, w: a.end == "fin" and a.raw == b"",
    "reset-early": lambda a, w: a.end == "reset" and a.raw == b"",
    "half-headers": lambda a, w: (
        a.end == "fin" and a.raw.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\n\r\n" not in a.raw
    ),
    "silent-early": lambda a, w: a.end == "timeout" and a.raw == b"",
}

# On the Bedrock wire these say the same thing in other bytes; what is on the wire is held by test_violations.
SSE_CLAIMS_ONLY = {*EDITS, "error-after-stop"}
SILENT = {"silence", "stall-after-stop", "silent-early"}
SPEED = {"pings-only": " every=0.02", "trickle": " every=0.005", "trickle-size": " every=0.005"}

CASES = [
    (kind.name, wire) for kind in KINDS for wire in kind.wires if wire == "sse" or kind.name not in SSE_CLAIMS_ONLY
]


def test_every_fault_has_its_claim() -> None:
    assert set(CLAIMS) == {kind.name for kind in KINDS}


@pytest.mark.parametrize(("name", "wire"), CASES)
def test_a_fault_is_on_the_wire_what_its_name_says(server: FaultServer, name: str, wire: Wire) -> None:
    limits = {"timeout_s": 0.6 if name in SILENT else 5.0, "total_s": 1.0 if name in SPEED else 30.0}
    answer = ask(server.url, PATH[wire], x_midstream_fault=f"always {name}{SPEED.get(name, '')}", **limits)  # type: ignore[arg-type]
    assert CLAIMS[name](answer, WHOLE[wire])


@pytest.mark.parametrize("wire", ["sse", "bedrock"])
@pytest.mark.parametrize("name", ["cut-clean", "cut-fin", "cut-rst"])
def test_a_cut_is_exact_to_the_byte(server: FaultServer, name: str, wire: Wire) -> None:
    for at in (0, 1, 2, 5, 899, 900, len(WHOLE[wire]) - 1):
        answer = ask(server.url, PATH[wire], x_midstream_fault=f"always {name}@byte={at}")
        assert answer.body == WHOLE[wire][:at]
        assert answer.complete == (name == "cut-clean")


def test_a_cut_inside_a_chunk_announces_more_than_it_holds(server: FaultServer) -> None:
    answer = ask(server.url, x_midstream_fault="always cut-fin@byte=0")
    size, found, data = answer.rest.partition(b"\r\n")
    assert (int(size, 16) > 0, found, data) == (True, b"\r\n", b"")


@pytest.mark.parametrize("status", sorted(HTTP_ERRORS))
def test_an_http_error_says_when_to_come_back_only_if_asked_to(server: FaultServer, status: int) -> None:
    plain = ask(server.url, x_midstream_fault=f"always {status}")
    assert "retry-after" not in plain.head and "x-should-retry" not in plain.head
    told = ask(server.url, x_midstream_fault=f"always {status} retry-after=7 x-should-retry=false")
    assert "\r\nretry-after: 7\r\n" in told.head and "\r\nx-should-retry: false" in told.head


@pytest.mark.parametrize("wire", ["sse", "bedrock"])
def test_an_unbroken_recording_is_played_byte_for_byte(wire: Wire) -> None:
    # Nothing that midstream itself would write: another spacing, comments, CRLF.
    odd = b'data:{"type": "message_start", "message": {}}\r\n\r\n: hello\r\n\r\ndata: {"type":  "ping"}\r\n\r\n'
    recorded = odd if wire == "sse" else WHOLE["bedrock"]
    with FaultServer(reply=Reply.from_bytes(recorded)) as server:
        assert ask(server.url, PATH[wire]).body == recorded


def test_each_event_is_a_chunk_of_its_own(server: FaultServer) -> None:
    assert ask(server.url).chunks == [*(frame.raw for frame in REPLY.frames("sse")), b""]


def test_attempts_of_one_key_are_counted_together_over_all_connections(server: FaultServer) -> None:
    script = {"x_midstream_fault": "overloaded; then 503; then ok"}

    def stream(key: str) -> list[int]:
        answers = [ask(server.url, x_midstream_key=key, **script) for _ in range(4)]
        return [len(answer.body) if answer.status == 200 else answer.status for answer in answers]

    whole = len(WHOLE["sse"])
    one, other = stream("one"), stream("other")
    assert one == other and one[1:] == [503, whole, whole] and one[0] < whole


def test_a_connection_is_used_again_after_a_clean_end(server: FaultServer) -> None:
    with connect(server.url, 0.3) as line:
        first = exchange(line, "/v1/messages", connection="keep-alive")
        assert (first.end, first.complete) == ("timeout", True)
        assert exchange(line, "/v1/messages").body == WHOLE["sse"]


def test_refused_means_that_nobody_listens_for_a_while() -> None:
    with FaultServer("refused for=0.2") as server:
        assert ask(server.url).end == "reset"
        with pytest.raises(ConnectionRefusedError):
            connect(server.url)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            try:
                assert ask(server.url).complete
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        else:
            pytest.fail("nobody came back to the port")


def test_the_whole_message_is_answered_where_no_stream_is_asked_for(server: FaultServer) -> None:
    answer = ask(server.url, body={**REQUEST, "stream": False})
    assert "content-type: application/json" in answer.head
    assert json.loads(answer.body) == json.loads(json.dumps(REPLY.message()))


def test_a_client_that_goes_frees_its_connection() -> None:
    with FaultServer("always silence") as server:
        lines = [connect(server.url, 0.2) for _ in range(5)]
        for line in lines:
            exchange(line, "/v1/messages")
        assert server.open_connections == 5
        for line in lines:
            line.close()
        wait_until(lambda: server.open_connections == 0)


def test_closing_ends_every_connection_and_the_thread() -> None:
    before = set(threading.enumerate())
    with FaultServer("always silence") as server:
        line = connect(server.url, 0.2)
        exchange(line, "/v1/messages")
        port = server.port
    assert set(threading.enumerate()) == before
    # What is left of the connection is its end.
    assert exchange(line, "/v1/messages").end in ("fin", "reset")
    line.close()
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_the_asynchronous_form_does_the_same() -> None:
    async def run() -> tuple[bytes, int]:
        async with FaultServer(reply=REPLY) as server:
            answer = await asyncio.to_thread(ask, server.url)
            return answer.body, len(server.requests)

    assert asyncio.run(run()) == (WHOLE["sse"], 1)


def test_a_port_in_use_is_an_error_of_whoever_starts_the_server() -> None:
    with FaultServer() as server, pytest.raises(OSError, match="in use"), FaultServer(port=server.port):
        pass


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\ncontent-length: many\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413),
        (b"POST /v1/messages HTTP/1.1\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", 431),
    ],
)
def test_a_request_that_is_none_is_told_so(server: FaultServer, raw: bytes, status: int) -> None:
    with connect(server.url) as line:
        line.sendall(raw)
        assert Answer(line.recv(65_536), "fin").status == status


def test_pace_waits_between_events() -> None:
    with FaultServer(pace_s=30.0) as server:
        answer = ask(server.url, timeout_s=0.3)
        assert answer.end == "timeout" and answer.chunks == [Reply.builtin().frames("sse")[0].raw]


def test_an_official_client_reads_the_unbroken_reply(server: FaultServer) -> None:
    with (
        httpx2.Client(trust_env=False) as http,
        anthropic.Anthropic(api_key="k", base_url=server.url, http_client=http) as client,
        client.messages.stream(
            model="claude-sonnet-5-5", max_tokens=9, messages=[{"role": "user", "content": "?"}]
        ) as stream,
    ):
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.content[1].text == REPLY.blocks[1].text  # type: ignore[union-attr]


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until, "it did not come true within 5 s"
        time.sleep(0.01)
