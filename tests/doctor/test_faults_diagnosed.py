"""Whatever the fault server can break inside a stream is played, recorded, and called what it is."""

import io
import json

import pytest

from midstream.doctor.diagnose.causes import causes_of
from midstream.doctor.diagnose.run import examine
from midstream.doctor.record.asking import Question, record
from midstream.doctor.record.writer import Bounds, Writer
from midstream.faults.catalogue import KINDS, Kind
from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer

pytestmark = pytest.mark.sockets

PATHS = {"sse": "/v1/messages", "bedrock": "/model/anthropic.claude-sonnet-5-5/invoke-with-response-stream"}
BODY = {"max_tokens": 99, "messages": [{"role": "user", "content": "Hi"}]}
BODIES = {"sse": {**BODY, "stream": True, "model": "m"}, "bedrock": {**BODY, "anthropic_version": "bedrock-2023-05-31"}}

GARBLED = "not the protocol: garbled"
CALLED = {
    "ok": "complete: ",
    "cut-clean": "truncated: silent-cut",
    "gzip-cut": "truncated: silent-cut",
    "gzip-bad": "truncated: cut",
    "half-frame": "truncated: silent-cut",
    "cut-fin": "truncated: cut",
    "cut-rst": "truncated: cut",
    "broken-chunk": "truncated: cut",
    "silence": "truncated: client-timeout",
    "no-message-stop": "complete: stop-missing",
    "no-final-blank-line": "complete: ",
    "error-after-stop": "complete: ",
    "reset-after-stop": "complete: ",
    "stall-after-stop": "complete: ",
}  # fmt: skip
"""What is not here is an error of the stream, if its name says so, and otherwise not the protocol."""

SLOW = ("pings-only", "trickle", "trickle-size")
"""They never end, and say no more than ``silence`` does; where an end is waited for, that is all of the test."""

CELLS = [
    pytest.param(kind, wire, id=f"{kind.name}-{wire}")
    for kind in KINDS
    for wire in kind.wires
    if kind.stage == "stream" and kind.name not in SLOW
]


def called(name: str, wire: str) -> str:
    if name == "garbage":
        return "truncated: silent-cut" if wire == "sse" else GARBLED
    if name in CALLED:
        return CALLED[name]
    return "error: stream-error" if "error" in name or "Exception" in name or name == "request_too_large" else GARBLED


@pytest.mark.parametrize(("kind", "wire"), CELLS)
def test_a_broken_stream_is_called_what_it_is(kind: Kind, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    lines, writer = io.StringIO(), None
    place = f"{kind.name}@event=7" if kind.place is not None and kind.name != "ok" else kind.name
    with FaultServer(place, Reply.builtin("text")) as server:
        writer = Writer(lines)
        question = Question(server.url + PATHS[wire], "POST", {}, json.dumps(BODIES[wire]).encode())
        record(question, writer, Bounds(idle_s=1.0))
    (one,) = examine(io.BytesIO(lines.getvalue().encode())).diagnoses
    assert f"{one.outcome.value}: {', '.join(causes_of(one))}" == called(kind.name, wire)
