"""A drawn share of every cut, through the SDK itself: in the process and over sockets, sync and async.

Rule: what must come of a cut is said by the oracle of `bench.every_cut`, what came of it by the SDK's own hands.
"""

import random
from collections import Counter
from typing import Any, NamedTuple

import pytest

import midstream
from bench.every_cut import oracle
from bench.every_cut.captures import Capture, captures
from bench.every_cut.cells import Player
from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from tests import shared_data
from tests.sdk.calls import FOUR_WAYS, PLAIN, SIGNED_BEDROCK, Playing, Seen, Way, at, call, over

pytestmark = [
    pytest.mark.shared,
    # Recorded blocks may be newer than the SDK: it says so when it writes them down.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:The model:DeprecationWarning"),
]

Fields = dict[str, Any]

SCRIPTS = {
    "clean": "cut-clean",
    "fin": "cut-fin",
    "rst": "cut-rst",
    "silence": "silence",
    "error": "overloaded_error",
    "exception": "serviceUnavailableException",
    "crc": "bad-crc",
}
"""How a fault of the oracle is called in a script."""
ANYWHERE = ("clean", "fin", "rst", "silence")
"""Faults that come at any byte; the player puts the others between two frames."""

POLICY = midstream.Policy(
    backoff_s=(0.0, 0.01),
    first_event_s=0.5,
    silence_s=0.3,
    progress_s=0.4,
    progress_slow_s=0.4,
    retry_per_minute_min=9999,
)


class Cut(NamedTuple):
    """One cell, and what must come of it."""

    capture: Capture
    at: int
    fault: str
    mode: str
    upstream: str
    end: str

    @property
    def script(self) -> str:
        return f"{SCRIPTS[self.fault]}@byte={self.at}; then ok"

    @property
    def options(self) -> Fields:
        return {"reply": Reply.from_bytes(self.capture.body), "model": self.upstream, "rules": "resume"}

    @property
    def asked(self) -> Fields:
        """The recorded request; what this version of the SDK has no name for goes as it is."""
        request = self.capture.request(self.mode)
        named = {name: request.pop(name) for name in ("model", "max_tokens", "messages")}
        request.pop("stream", None)
        return {**named, "extra_body": request}


def drawn(count: int, seed: int) -> list[Cut]:
    """So many cells, evenly over the captures, the faults, the models and the upstreams."""
    draw, found = random.Random(seed), list[Cut]()
    for capture in draw.sample(captures(), count):
        ends = [0]
        for frame in capture.frames:
            ends.append(ends[-1] + len(frame))
        fault = draw.choice((*ANYWHERE, "error") if capture.wire == "sse" else (*ANYWHERE, "exception", "crc"))
        # Half of them late: most of a reply comes before its first complete tool call.
        first = draw.choice((1, (len(ends) - 1) * 3 // 4))
        place = (
            draw.choice(ends[first:-2] or ends[1:2]) if fault not in ANYWHERE else draw.randint(ends[first], ends[-1])
        )
        mode, upstream = draw.choice(("prefix", "turn")), draw.choice(("obedient", "exact"))
        for cell, outcome in Player(capture).cells([place]):
            if (cell.fault, cell.mode, cell.upstream) == (fault, mode, upstream):
                assert outcome.problem is None, (capture.name, cell)
                found.append(Cut(capture, place, fault, mode, upstream, outcome.end))
    return found


def whole(cut: Cut, way: Way) -> Seen:
    """The uninterrupted message, as the bare SDK makes it."""
    maker = PLAIN if cut.capture.wire == "sse" else SIGNED_BEDROCK
    return call(way, over(Playing("ok", **cut.options), maker), **cut.asked)


def blocks(message: Fields, *, joined: bool) -> list[Fields]:
    """The content without what §10.2 excepts: thoughts, and the boundaries and citations of cited texts."""
    kept: list[Fields] = []
    for block in message["content"]:
        if block["type"] in ("thinking", "redacted_thinking"):
            continue
        if joined and block["type"] == "text" and kept and kept[-1]["type"] == "text":
            kept[-1] = {"type": "text", "text": kept[-1]["text"] + block["text"]}
        elif joined and block["type"] == "text":
            kept.append({"type": "text", "text": block["text"]})
        else:
            kept.append(block)
    return kept


def ends_well(cut: Cut, truth: Fields, got: Seen) -> None:
    """What was promised for this cut is what the consumer has."""
    if cut.end in oracle.GAVE_UP:
        assert isinstance(got.error, midstream.StreamError)
        assert got.error.partial.get("content", []) == got.so_far.get("content", [])
        return
    assert got.error is None
    if cut.end in (oracle.COMPLETE, oracle.RESTARTED):
        assert got.message == truth
        return
    if cut.end == oracle.SETTLED:
        assert got.message["stop_reason"] == "tool_use"
        assert any(block["type"] == "tool_use" for block in got.message["content"])
        for one, other in zip(got.message["content"], truth["content"], strict=False):
            assert one == other or (one["type"] == "text" and other["text"].startswith(one["text"]))
        return
    assert cut.end == oracle.CONTINUED
    assert got.message["stop_reason"] == truth["stop_reason"] and got.message["id"] == truth["id"]
    cited = any(block.get("citations") is not None for block in truth["content"])
    assert blocks(got.message, joined=cited) == blocks(truth, joined=cited)


@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_a_drawn_cut_ends_in_the_process_as_the_contract_says(way: Way) -> None:
    shared_data.require()
    ends = Counter[str]()
    for cut in drawn(40, seed=FOUR_WAYS.index(way)):
        maker = PLAIN if cut.capture.wire == "sse" else SIGNED_BEDROCK
        recovery = midstream.Recovery(POLICY)
        got = call(way, over(Playing(cut.script, **cut.options), maker, middleware=[recovery]), **cut.asked)
        truth = whole(cut, way)
        if truth.error is None:
            ends_well(cut, truth.message, got)
            ends[cut.end] += 1
    assert {oracle.RESTARTED, oracle.CONTINUED, oracle.SETTLED} <= set(ends), ends


@pytest.mark.sockets
@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_a_drawn_cut_ends_over_sockets_as_the_contract_says(way: Way) -> None:
    shared_data.require()
    ends = Counter[str]()
    for cut in drawn(20, seed=10 + FOUR_WAYS.index(way)):
        maker = PLAIN if cut.capture.wire == "sse" else SIGNED_BEDROCK
        with FaultServer(cut.script, **cut.options) as server:
            got = call(way, at(server.url, maker, middleware=[midstream.Recovery(POLICY)]), **cut.asked)
        truth = whole(cut, way)
        if truth.error is None:
            ends_well(cut, truth.message, got)
            ends[cut.end] += 1
    assert oracle.CONTINUED in ends, ends
