"""What a stream through a proxy looks like on the wire: what came, what was held back, and whether its end is honest.

Rule: nothing is timed; what must come is waited for with a deadline.
"""

import asyncio
import json
import socket
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

from midstream.doctor.probe import http2
from midstream.doctor.probe.request import Request
from midstream.doctor.probe.road import Target
from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from tests.doctor.behind import behind
from tests.faults.raw import REQUEST, Answer, ask, connect

DEADLINE_S = 20.0

# Long enough for what goes on at once to arrive on a busy machine; what is held back is held until the stream ends.
SETTLE_S = 2.5

# Events, and what lies between two of them: a quarter of what HAProxy waits for.
PACED, PACE_S = 25, 0.05

# An event that is larger than the buffers of nginx, and no multiple of them.
BIG_BYTES = 6_000
END_OF_BIG = b"the end of the large event"


def big_reply() -> Reply:
    """A reply whose first delta is large."""
    text = "x" * BIG_BYTES + END_OF_BIG.decode()
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    return Reply.from_events(
        [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "more"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
            {"type": "message_stop"},
        ]
    )


def looks_whole(answer: Answer) -> bool:
    """Whether the transport says that this is all: a client that trusts it takes a cut stream for a whole one."""
    assert answer.raw and answer.status == 200, answer.raw[:300]
    if "transfer-encoding: chunked" in answer.head or "content-length:" in answer.head:
        return answer.complete
    # Without framing, the end of the connection is the end of the body.
    return answer.end == "fin"


def hides_a_cut(kind: str, text: str) -> bool:
    """Whether a stream that its origin cut looks whole behind the proxy."""
    # Slowly enough for the proxy to have begun before the end comes.
    with FaultServer("always cut-fin@event=12", pace_s=0.02) as faults, behind(kind, text, faults.port) as base_url:
        return looks_whole(ask(base_url, timeout_s=DEADLINE_S))


def hides_a_cut_from_http2(kind: str, text: str) -> bool:
    """Whether a client that speaks HTTP/2 takes a stream that its origin cut for a whole one."""
    with FaultServer("always cut-fin@event=12", pace_s=0.02) as faults, behind(kind, text, faults.port) as base_url:
        target = Target(False, "127.0.0.1", int(base_url.rpartition(":")[2]), "/v1/messages")
        heard = asyncio.run(http2.ask(target, Request(json.dumps(REQUEST).encode(), wait_s=DEADLINE_S)))
        return heard.end == "complete"


def holds_back(kind: str, text: str, **headers: str) -> bool:
    """Whether events wait in the proxy while the origin is silent."""
    with FaultServer("always silence@event=12") as faults, behind(kind, text, faults.port) as base_url:
        return not arrives(base_url, b"content_block_delta", headers)


def holds_back_a_large_event(kind: str, text: str) -> bool:
    """Whether the end of a large event waits for the next one."""
    with FaultServer("always silence@event=3", big_reply()) as faults, behind(kind, text, faults.port) as base_url:
        return not arrives(base_url, END_OF_BIG, {})


def refuses_a_large_prompt(kind: str, text: str) -> bool:
    """Whether a prompt of 2 MB does not reach the origin."""
    body = json.dumps({**REQUEST, "messages": [{"role": "user", "content": "x" * (2 << 20)}]}).encode()
    with FaultServer() as faults, behind(kind, text, faults.port) as base_url:
        answer = ask(base_url, body=body, timeout_s=DEADLINE_S)
        # Caddy 2.6 says 502, the others 413.
        return answer.status >= 400 and not faults.requests


def asks_twice(kind: str, text: str) -> bool:
    """Whether one POST becomes two, when the origin breaks off before it answers."""
    with (
        FaultServer("always closed-early") as faults,
        FaultServer("always closed-early") as second,
        behind(kind, text, faults.port, second.port) as base_url,
    ):
        ask(base_url, timeout_s=DEADLINE_S)
        return len(faults.requests) + len(second.requests) > 1


def forgets_that_the_client_left(kind: str, text: str) -> bool:
    """Whether a silent origin is not told that nobody listens any more."""
    with FaultServer("always silence@event=12") as faults, behind(kind, text, faults.port) as base_url:
        with closing(connect(base_url, DEADLINE_S)) as line:
            send(line)
            received = b""
            # All that the origin sends: what cannot be handed on would tell the proxy, too.
            while received.count(b"event: ") < 12:
                received += piece(line)
        return not within(SETTLE_S, lambda: faults.open_connections == 0)


def comes_in_batches(kind: str, text: str) -> bool:
    """Whether events that leave one by one come several at once; under half as many reads as events are batches."""
    with (
        FaultServer(f"always silence@event={PACED}", pace_s=PACE_S) as faults,
        behind(kind, text, faults.port) as base_url,
        closing(connect(base_url, SETTLE_S)) as line,
        suppress(TimeoutError),
    ):
        send(line)
        reads = received = 0
        while received < PACED:
            received += piece(line).count(b"event: ")
            reads += 1
    assert received == PACED
    return reads < PACED / 2


def cuts_between_pings(kind: str, text: str) -> bool:
    """Whether a stream that pings each two seconds is cut."""
    with FaultServer("always pings-only@event=5 every=2") as faults, behind(kind, text, faults.port) as base_url:
        return ask(base_url, timeout_s=DEADLINE_S, total_s=5.0).end != "timeout"


def cuts_a_lively_stream(kind: str, text: str) -> bool:
    """Whether a stream with two pings a second is cut all the same."""
    with FaultServer("always pings-only@event=5 every=0.5") as faults, behind(kind, text, faults.port) as base_url:
        return ask(base_url, timeout_s=DEADLINE_S, total_s=3.5).end != "timeout"


def cuts_a_silence(kind: str, text: str) -> bool:
    """Whether a stream that falls silent is cut soon."""
    with FaultServer("always silence@event=5") as faults, behind(kind, text, faults.port) as base_url:
        return ask(base_url, timeout_s=5.0, total_s=5.0).end != "timeout"


def send(line: socket.socket, headers: Mapping[str, str] | None = None) -> None:
    """Ask, and leave the answer to be read."""
    data = json.dumps(REQUEST).encode()
    lines = ["POST /v1/messages HTTP/1.1", "host: test", f"content-length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in (headers or {}).items()]
    line.sendall("\r\n".join([*lines, "", ""]).encode() + data)


def piece(line: socket.socket) -> bytes:
    """What comes next, of a stream that is not over."""
    received = line.recv(65_536)
    assert received, "the stream ended"
    return received


def arrives(base_url: str, wanted: bytes, headers: Mapping[str, str]) -> bool:
    """Whether these bytes come while the origin is silent."""
    received = b""
    until = time.monotonic() + SETTLE_S
    with closing(connect(base_url, SETTLE_S)) as line, suppress(TimeoutError):
        send(line, headers)
        while wanted not in readable(received) and time.monotonic() < until and (more := line.recv(65_536)):
            received += more
    return wanted in readable(received)


def at_once(*questions: Callable[[], bool]) -> list[bool]:
    """The answers, asked side by side: what takes them their time is waiting."""
    with ThreadPoolExecutor(len(questions)) as pool:
        return [answer.result() for answer in [pool.submit(question) for question in questions]]


def readable(received: bytes) -> bytes:
    """The body, or what of it has come, without chunks and compression."""
    answer = Answer(received, "timeout")
    if "content-encoding: gzip" not in answer.head:
        return answer.body
    whole, found = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), b""
    with suppress(zlib.error):
        # Bit by bit: what a break has left of the end may be no more than rubbish.
        for byte in answer.body:
            found += whole.decompress(bytes([byte]))
    return found


def within(limit_s: float, holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return False
