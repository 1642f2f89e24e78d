"""A drawn share of every cut, through the gateway, over real sockets: both framings upstream, both for the client.

Rule: what must come of a cut is said by the oracle of `bench.every_cut`, what came of it by its strict reader, from the
raw bytes of the answer; of midstream only the gateway runs.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from bench.every_cut import compare, judge, oracle
from bench.every_cut.captures import Capture, captures
from bench.every_cut.reader import Reader, event_of, frames_of
from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from midstream.gateway.main import Gateway
from midstream.recovery.policy import Policy
from tests import shared_data
from tests.gateway.client import Answer, ask
from tests.gateway.inprocess import run, settings

pytestmark = [pytest.mark.shared, pytest.mark.sockets]

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
FAULTS = {"sse": (*ANYWHERE, "error"), "bedrock": (*ANYWHERE, "exception", "crc")}

MODELS = {
    ("sse", "sse"): {"prefix": "claude-sonnet-4-5-20250929", "turn": "claude-sonnet-4-6"},
    ("sse", "bedrock"): {
        "prefix": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "turn": "us.anthropic.claude-sonnet-4-6",
    },
    ("bedrock", "sse"): {"prefix": "claude-3-haiku-20240307", "turn": "claude-opus-4-6"},
    ("bedrock", "bedrock"): {
        "prefix": "anthropic.claude-3-haiku-20240307-v1:0",
        "turn": "us.anthropic.claude-opus-4-6-v1",
    },
}
"""What a client asks for, by the framings upstream and downstream."""

HASTE_S = 0.4
"""How long a stream that falls silent is waited for. A machine that stands still for so long cuts it somewhere else."""
PATIENCE_S = 20.0
"""The same for a stream that does not fall silent; and for one that ended wrongly when it was waited for in haste."""
AT_ONCE = 6
"""Cells that run at the same time: most of them wait for a silence."""


class Cut(NamedTuple):
    """One cell: what is played, where it is broken, and who reads it."""

    capture: Capture
    at: int
    fault: str
    mode: str
    model: str
    client: str
    """The framing that the client speaks."""

    def __str__(self) -> str:
        return f"{self.capture.name} at {self.at}: {self.fault}, {self.mode}, {self.model}, {self.client} client"

    @property
    def request(self) -> Fields:
        """The recorded request, with the client's name for the model."""
        names = MODELS[self.capture.wire, self.client]
        return {**self.capture.request(self.mode), "model": names[self.mode]}

    @property
    def frame(self) -> tuple[int, int]:
        """The frame that is cut, and how many of its bytes arrive."""
        begin = 0
        for number, frame in enumerate(self.capture.frames):
            if self.at < begin + len(frame):
                return number, self.at - begin
            begin += len(frame)
        return len(self.capture.frames), 0

    def case(self) -> judge.Case:
        """What must come of it: a frame whose data are whole did arrive, if the body has an end."""
        seen, content = oracle.Seen(), Reader(self.capture.wire)
        number, offset = self.frame
        events = self.capture.events[:number]
        if offset and self.capture.wire == "sse":
            partial = self.capture.frames[number][:offset]
            if self.fault in ("clean", "fin", "rst") or partial.endswith(b"\r\n\r"):
                events = [*events, event_of(partial, "sse")]
        for event in events:
            if event is not None and not content.stopped:
                seen.take(event)
                content.take(event)
        return judge.Case(self.capture, self.request, seen, content, truth(self.capture), self.fault, bool(offset))


def truth(capture: Capture) -> oracle.Seen:
    """All of a capture."""
    seen = oracle.Seen()
    for event in capture.events:
        seen.take(event)
    return seen


def drawn(count: int, seed: int) -> list[Cut]:
    """So many cells, evenly over both framings on both sides; then over captures, faults, models and upstreams."""
    dice, found = random.Random(seed), list[Cut]()
    by_wire = {wire: [capture for capture in captures() if capture.wire == wire] for wire in FAULTS}
    for number in range(count):
        wire, client = [*MODELS][number % len(MODELS)]
        capture = dice.choice(by_wire[wire])
        ends = [0]
        for frame in capture.frames:
            ends.append(ends[-1] + len(frame))
        fault = dice.choice(FAULTS[wire])
        # Half of them late: most of a reply comes before its first complete tool call.
        first = dice.choice((1, (len(ends) - 1) * 3 // 4))
        at = dice.randint(ends[first], ends[-1]) if fault in ANYWHERE else dice.choice(ends[first:-2] or ends[1:2])
        mode, model = dice.choice(("prefix", "turn")), dice.choice(("obedient", "exact"))
        found.append(Cut(capture, at, fault, mode, model, client))
    return found


def policy(silence_s: float) -> Policy:
    """Hardly a pause between two attempts, and no limit in time below this one."""
    return Policy(
        backoff_s=(0.0, 0.01),
        first_event_s=PATIENCE_S,
        silence_s=silence_s,
        silence_after_pings_s=silence_s,
        progress_s=PATIENCE_S,
        progress_slow_s=PATIENCE_S,
        retry_per_minute_min=9999,
    )


@asynccontextmanager
async def gateway_for(cut: Cut, script: str, silence_s: float) -> AsyncIterator[tuple[str, FaultServer]]:
    """A gateway in front of a service that plays the capture so."""
    reply = Reply.from_bytes(cut.capture.body)
    async with FaultServer(script, reply, model=cut.model, rules="resume") as faults:
        bedrock = "bedrock:us-east-1"
        upstream = faults.url if cut.capture.wire == "sse" else bedrock
        tables: dict[str, Fields] = {bedrock: {"base_url": faults.url}} if upstream == bedrock else {}
        set_up = settings(upstream, upstreams=tables, policy=policy(silence_s), breaker_failures=1000)
        gateway = Gateway.build(set_up, {"AWS_BEARER_TOKEN_BEDROCK": "token-of-the-gateway"})
        try:
            await gateway.start()
            yield f"http://127.0.0.1:{gateway.port}", faults
        finally:
            await gateway.aclose()


async def asked(cut: Cut, url: str) -> Answer:
    """The call as the client makes it, read to its end."""
    fields = cut.request
    if cut.client == "sse":
        answer = await ask(url, body={**fields, "stream": True})
    else:
        model = fields.pop("model")
        fields.pop("stream", None)
        body = {"anthropic_version": "bedrock-2023-05-31", **fields}
        path = f"/model/{quote(model, safe=':')}/invoke-with-response-stream"
        answer = await ask(url, path=path, body=body, authorization="Bearer token-of-the-client")
    await answer.read()
    await answer.close()
    return answer


class Said(NamedTuple):
    """What an answer said, by the strict reader."""

    content: Reader
    error: Fields | None
    """What its last frame says, if it is an error."""


def said(body: bytes, client: str) -> Said:
    """The events of a body; what stands behind an error, or is no whole frame, is illegal."""
    content = Reader(client)
    frames = frames_of(body, client)
    numbers = [int(frame[4 : frame.index(b"\n")]) for frame in frames if frame.startswith(b"id: ")]
    assert client != "sse" or numbers == list(range(1, len(numbers) + 1)), "frames are missing or doubled"
    for number, frame in enumerate(frames):
        error = error_in(frame, client)
        if error is not None:
            assert number == len(frames) - 1, "something stands behind the error"
            return Said(content, error)
        content.feed(frame)
    return Said(content, None)


def error_in(frame: bytes, client: str) -> Fields | None:
    """The error that a frame is: an event, or an exception of Bedrock's."""
    if client == "sse":
        event = event_of(frame, "sse") or {}
        return event["error"] if event.get("type") == "error" else None
    if b"\x0d:message-type\x07\x00\x09exception" not in frame:
        return None
    error: Fields = json.loads(frame[12 + int.from_bytes(frame[4:8], "big") : -4])
    return error


def gave_up_honestly(answer: Answer, client: str) -> Reader:
    """The answer ends in one error that nobody can take for an end; what came before it."""
    if answer.status != 200:
        error = json.loads(answer.body)
        assert answer.whole and answer.status >= 400
        assert error["error"]["message"] if client == "sse" else "message" in str(error)
        return Reader(client)
    assert not answer.whole, "the body ends as if it were complete"
    content, error = said(answer.body, client)
    assert error is not None and error["message"]
    assert client != "sse" or error["midstream"]["exhausted"] is True
    assert not content.stopped
    return content


def ends_well(cut: Cut, case: judge.Case, answer: Answer) -> None:
    """What was promised for this cut is what the client has."""
    if case.expected in oracle.GAVE_UP:
        content = gave_up_honestly(answer, cut.client)
        if case.expected not in ("compaction", "garbled"):
            assert content.blocks == case.content.blocks[: case.shown.blocks]
        return
    assert answer.status == 200 and answer.whole, answer.body[-300:]
    content, error = said(answer.body, cut.client)
    assert error is None
    problem = compare.difference(case.expected, cut.capture.truth, content, case.shown, part=case.content.blocks)
    assert problem is None, problem


def unnumbered(body: bytes) -> bytes:
    """Server-sent events without the gateway's numbers."""
    return b"\n".join(line for line in body.split(b"\n") if not line.startswith(b"id: "))


def same_bytes(cut: Cut, case: judge.Case, answer: Answer) -> bool:
    """An unbroken stream is handed on byte for byte; whether this is one that tells."""
    body = cut.capture.body
    tells = cut.client == cut.capture.wire and case.expected == oracle.RESTARTED and b"\r" not in body
    tells = tells and body.endswith(b"\n\n") and frames_of(body, cut.client)[-1].count(b"message_stop") > 0
    if tells and not (body.startswith((b"\xef\xbb\xbf", b"id")) or b"\nid" in body):
        got = unnumbered(answer.body) if cut.client == "sse" else answer.body
        assert got == body
        return True
    return False


async def cells(cuts: list[Cut]) -> Counter[str]:
    """Runs them, some at a time; how many came to each end."""
    ends, room = Counter[str](), asyncio.Semaphore(AT_ONCE)

    async def one(cut: Cut, silence_s: float) -> None:
        async with room, gateway_for(cut, f"{SCRIPTS[cut.fault]}@byte={cut.at}; then ok", silence_s) as (url, faults):
            case = cut.case()
            try:
                answer = await asked(cut, url)
                ends_well(cut, case, answer)
                ends["same bytes"] += same_bytes(cut, case, answer)
            except Exception as problem:
                problem.add_note(f"{cut}: {case.expected}; {len(faults.requests)} attempts")
                raise
            ends[case.expected] += 1
            ends[f"{cut.capture.wire} to {cut.client}"] += 1

    async def whatever_the_machine_does(cut: Cut) -> None:
        if cut.fault == "silence":
            with suppress(Exception):
                return await one(cut, HASTE_S)
        await one(cut, PATIENCE_S)

    problems = await asyncio.gather(*map(whatever_the_machine_does, cuts), return_exceptions=True)
    if found := [problem for problem in problems if isinstance(problem, Exception)]:
        raise ExceptionGroup(f"{len(found)} of {len(cuts)} cells", found)
    return ends


def check(count: int, seed: int) -> None:
    """A share, and that it held something of everything."""
    shared_data.require()
    ends = Counter[str]()

    async def story() -> None:
        ends.update(await cells(drawn(count, seed)))

    run(story)
    wanted = {oracle.RESTARTED, oracle.CONTINUED, oracle.SETTLED, oracle.COMPLETE, "bedrock to sse", "sse to bedrock"}
    assert wanted <= set(ends), ends


def test_a_drawn_cut_ends_through_the_gateway_as_the_contract_says() -> None:
    check(80, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_larger_share_of_the_cuts_ends_as_the_contract_says(seed: int) -> None:
    check(300, seed)


async def against_what_stays_broken(cuts: list[Cut]) -> Counter[str]:
    """Runs cells whose upstream breaks every attempt; what came of them."""
    ends, room = Counter[str](), asyncio.Semaphore(AT_ONCE)

    async def one(cut: Cut) -> None:
        script = f"always {SCRIPTS[cut.fault]}@byte={cut.at}"
        async with room, gateway_for(cut, script, HASTE_S if cut.fault == "silence" else PATIENCE_S) as (url, _):
            answer = await asked(cut, url)
            try:
                if answer.status == 200 and answer.whole:
                    content, error = said(answer.body, cut.client)
                    assert content.stopped and error is None
                    ends["whole"] += 1
                else:
                    gave_up_honestly(answer, cut.client)
                    ends["refused" if answer.status != 200 else "broken off"] += 1
            except Exception as problem:
                problem.add_note(str(cut))
                raise

    problems = await asyncio.gather(*map(one, cuts), return_exceptions=True)
    if found := [problem for problem in problems if isinstance(problem, Exception)]:
        raise ExceptionGroup(f"{len(found)} of {len(cuts)} cells", found)
    return ends


def test_an_upstream_that_stays_broken_ends_in_a_legal_message_or_in_one_error() -> None:
    shared_data.require()
    ends = Counter[str]()

    async def story() -> None:
        ends.update(await against_what_stays_broken(drawn(40, seed=2)))

    run(story)
    assert set(ends) >= {"whole", "broken off"}, ends
