"""Relays of one's own, as programs with a real stream: made wrong as a rule says they do harm, and right they do none.

Rule: there is one right relay for each language, and each wrong one is that with a few lines made wrong.
"""

import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from midstream.doctor.lint import run
from midstream.doctor.lint.catalogue import rules
from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.source import Source
from midstream.faults.server import FaultServer
from tests.doctor import streams
from tests.doctor.behind import behind, behind_process
from tests.doctor.lint.test_proof import holds_back_compressed
from tests.doctor.lint.test_proof_rest import origin
from tests.doctor.streams import forgets_that_the_client_left
from tests.faults.raw import ask

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

FOLDER = Path(__file__).parent / "relays"
RIGHT = {"python": (FOLDER / "relay.py").read_text(), "javascript": (FOLDER / "relay.mjs").read_text()}

# --- an origin that breaks off in each of the four ways that can be told from an end ---

CHUNKED, SHORT, UNFRAMED = "transfer-encoding: chunked", "content-length: 9999", "connection: close"
BREAKS = {
    "/fin-in-chunks": (CHUNKED, False),
    "/reset-in-chunks": (CHUNKED, True),
    "/fin-short-of-length": (SHORT, False),
    "/reset-unframed": (UNFRAMED, True),
}
"""By the path of the request: the framing, and whether the connection is reset."""

TOLD = {"python": list(BREAKS), "javascript": [path for path in BREAKS if path != "/reset-unframed"]}
"""What a right relay learns of. Node itself takes a reply without framing for whole when it is reset."""

EVENT = b'event: ping\ndata: {"type": "ping"}\n\n'

# So that the relay has begun before the end comes: Node takes a reset that comes along with bytes for an end.
BEFORE_END_S = 0.5

# What waits for ever waits longer than this; who tells does so at once.
WAITS_S = 4.0

# A reset that is taken for an end is tried again. What ends does so at once.
RESETS_MAX, DIES_S = 3, 1.0


def breaks_off(line: socket.socket) -> None:
    """Half a reply."""
    received = b""
    # All of the request: what is left unread would make a reset of each end.
    while not received.endswith(b"}") and (more := line.recv(65_536)):
        received += more
    framing, reset = BREAKS[received.split(b" ", 2)[1].decode()]
    line.sendall(f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{framing}\r\n\r\n".encode())
    line.sendall(b"%x\r\n%b\r\n" % (len(EVENT), EVENT) if framing == CHUNKED else EVENT)
    time.sleep(BEFORE_END_S)
    if reset:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_told(base_url: str, path: str) -> bool:
    """Whether the client learns that this was not all; it does not if it waits, or if half looks whole."""
    answer = ask(base_url, path, timeout_s=WAITS_S)
    assert EVENT in answer.body
    return answer.end != "timeout" and not streams.looks_whole(answer)


def tells_of_no_break(kind: str, text: str) -> bool:
    """Whether a client learns of none of the breaks; if not, it learns of all."""
    with origin(breaks_off) as port, behind(kind, text, port) as base_url:
        told = streams.at_once(*(partial(is_told, base_url, path) for path in TOLD[kind]))
    assert len(set(told)) == 1, dict(zip(TOLD[kind], told, strict=True))
    return not told[0]


def waits_for_ever_and_pays(kind: str, text: str) -> bool:
    """Whether neither the client learns of a break nor the upstream that the client has left."""
    harms = streams.at_once(*(partial(each, kind, text) for each in (tells_of_no_break, forgets_that_the_client_left)))
    assert len(set(harms)) == 1
    return harms[0]


def dies_of_a_reset(kind: str, text: str) -> bool:
    """Whether the whole relay ends, with every stream in it, when one upstream resets its connection."""
    with origin(breaks_off) as port, behind_process(kind, text, port) as (base_url, process):
        for _ in range(RESETS_MAX):
            ask(base_url, "/reset-in-chunks", timeout_s=WAITS_S)
            if streams.within(DIES_S, lambda: process.poll() is not None):
                return True
    return False


# --- silence: beyond the five seconds of httpx ---

SILENCE_S = 6.5


def bears_no_silence(kind: str, text: str) -> bool:
    """Whether a stream is cut that is silent for a little longer than five seconds."""
    with FaultServer("always silence@event=5") as faults, behind(kind, text, faults.port) as base_url:
        return ask(base_url, timeout_s=SILENCE_S, total_s=SILENCE_S).end != "timeout"


# --- the wrong ones ---


class Wrong(NamedTuple):
    """A right relay with lines made wrong."""

    kind: str
    lines: dict[str, str]
    harm: Callable[[str, str], bool]

    @property
    def text(self) -> str:
        text = RIGHT[self.kind]
        for right, wrong in self.lines.items():
            assert right in text
            text = text.replace(right, wrong)
        return text


BASE = """\
from starlette.middleware.base import BaseHTTPMiddleware


class Logged(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


class Unused:
"""
NO_LIMIT = {"timeout=httpx.Timeout(5, read=120)": ""}
RELAY_START, RELAY_END = "const relay = (request", "\n};\n"
OWN = RIGHT["javascript"][RIGHT["javascript"].index(RELAY_START) :].partition(RELAY_END)[0] + RELAY_END
ENDS = 'response.end("Something went wrong."));'
HTTP_PROXY = f"""\
import httpProxy from "http-proxy";
const proxy = httpProxy.createProxyServer({{ target: "http://127.0.0.1:8100" }});
proxy.on("error", (problem, request, response) => {ENDS}
const relay = (request, response) => proxy.web(request, response);
"""
# As the documentation of http-proxy shows it.
HANDLER = '{ response.writeHead(500, { "Content-Type": "text/plain" }); response.end("Something went wrong."); });'
MIDDLEWARE = """\
import { createProxyMiddleware } from "http-proxy-middleware";
const relay = createProxyMiddleware({ target: "http://127.0.0.1:8100" });
"""

HARMS: dict[str, list[Wrong]] = {
    "PY-BASE-MIDDLEWARE": [Wrong("python", {"class Logged:\n": BASE}, tells_of_no_break)],
    "PY-HTTPX-TIMEOUT": [
        Wrong("python", NO_LIMIT, bears_no_silence),
        Wrong("python", {**NO_LIMIT, "httpx": "httpx2"}, bears_no_silence),
    ],
    "PY-SWALLOWED": [Wrong("python", {"        raise\n": ""}, tells_of_no_break)],
    "JS-HTTP-PROXY": [
        Wrong("javascript", {OWN: HTTP_PROXY}, waits_for_ever_and_pays),
        Wrong("javascript", {OWN: HTTP_PROXY.replace(ENDS, HANDLER)}, dies_of_a_reset),
        Wrong("javascript", {OWN: MIDDLEWARE}, tells_of_no_break),
    ],
    "JS-COMPRESSION": [
        Wrong("javascript", {rules()["JS-COMPRESSION"].cure: "compression()"}, holds_back_compressed),
    ],
}


def found(kind: str, text: str) -> set[str]:
    return {finding.rule.id for finding in run.check(Source("file", text), Assumptions(), kind).findings}


@pytest.mark.parametrize("rule", HARMS)
def test_a_relay_made_wrong_does_harm_and_the_right_one_does_not(rule: str) -> None:
    questions: list[Callable[[], bool]] = []
    for wrong in HARMS[rule]:
        right = RIGHT[wrong.kind]
        assert (found(wrong.kind, wrong.text), found(wrong.kind, right)) == ({rule}, set())
        questions += [partial(wrong.harm, wrong.kind, wrong.text), partial(wrong.harm, wrong.kind, right)]
    assert streams.at_once(*questions) == [True, False] * len(HARMS[rule])


@pytest.mark.parametrize("rule", [rule for rule in HARMS if rules()[rule].cure])
def test_the_right_relay_has_the_line_that_the_rule_tells_to_write(rule: str) -> None:
    assert all(rules()[rule].cure in RIGHT[wrong.kind] for wrong in HARMS[rule])
