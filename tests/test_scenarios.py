"""Stories of recovery, as text: what the upstream does, what was asked of it, what the consumer saw.

Each story stands in ``scenarios/*.txt`` with its outcome checked in; both loops play it, and both must agree.
``python tests/test_scenarios.py --write`` writes the outcomes anew: on purpose, and then the diff is read.

    # A sentence about the story.
    request {"model": …}         fields of the caller's request (JSON)
    policy {"attempts": 2}       fields of the policy (JSON)
    script cut-clean@event=5     the played service of `faults`, instead of attempts by hand
    attempt 200                  what the upstream does with the first request: a status, then lines of
        start · begin 0 TYPE {…} · say 0 "…" · json 0 "…" · think 0 "…" · sign 0 · end 0 · stop REASON · over
        ping · event {…} · bytes "…" · wait SECONDS · ends · breaks REASON · silence

`{element}` and `{marker}` in a text stand for those that the request asks for.
"""

# ruff: noqa: E402 - run as a program, it must find the project first.
import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT.parent)]

import pytest

from midstream.drivers.clock import Clock
from midstream.drivers.pump import AsyncPump, Pump
from midstream.faults.transport import ScriptedTransport
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.steps import Broke, Elapsed, Ended, Input, Open, Opened, Received, Sleep, Wait
from midstream.reports import make_report
from tests import wire

Fields = dict[str, Any]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.txt"))
RULE = "----\n"


class Story:
    """One story, as it is written down."""

    def __init__(self, source: str) -> None:
        self.request, self.policy, self.script = wire.request(), Fields(), ""
        self.attempts: list[list[str]] = []
        for line in map(str.strip, source.splitlines()):
            word, _, rest = line.partition(" ")
            match word:
                case "" | "#":
                    continue
                case "request":
                    self.request |= json.loads(rest)
                case "policy":
                    self.policy |= json.loads(rest)
                case "script":
                    self.script = rest
                case "attempt":
                    self.attempts.append([f"status {rest or 200}"])
                case _:
                    self.attempts[-1].append(line)


class Upstream:
    """Plays the attempts of a story on a clock of its own, and tells what was asked of it."""

    def __init__(self, story: Story, told: list[str]) -> None:
        self.now = 0.0
        self._story = story
        self._told = told
        self._attempts = iter(story.attempts)
        self._facts: Iterator[Input | float] = iter(())
        self._left_s = 0.0
        self._played = ScriptedTransport(story.script, request=story.request) if story.script else None

    def clock(self) -> float:
        return self._played.now if self._played else self.now

    def perform(self, wait: Wait) -> Input:
        if isinstance(wait, Open):
            self._told += asked(self._story.request, wait.body)
        elif isinstance(wait, Sleep):
            self._told.append(f"< sleep {wait.deadline - self.clock():g} s")
        heard = self._played.perform(wait) if self._played else self._perform(wait)
        if isinstance(heard, Elapsed) and not isinstance(wait, Sleep):
            self._told.append(f"  (nothing more until {self.clock():g} s)")
        self._told += tell(heard)
        return heard

    def _perform(self, wait: Wait) -> Input:
        if isinstance(wait, Open):
            self._facts, self._left_s = facts(next(self._attempts, ["breaks connect"]), wait.body), 0.0
        deadline = wait.deadline  # type: ignore[union-attr]
        while not isinstance(wait, Sleep):
            if self._left_s:
                if self.now + self._left_s > deadline:
                    self._left_s -= deadline - self.now
                    break
                self.now, self._left_s = self.now + self._left_s, 0.0
            fact = next(self._facts, None)
            if not isinstance(fact, float):
                if fact is not None:
                    return fact
                break
            self._left_s = fact
        self.now = max(self.now, deadline)
        return Elapsed()

    def finish(self) -> None: ...

    def close(self) -> None:
        self._facts, self._left_s = iter(()), 0.0


class AsyncUpstream:
    """The same for the loop that awaits."""

    def __init__(self, inner: Upstream) -> None:
        self._inner = inner

    async def perform(self, wait: Wait) -> Input:
        return self._inner.perform(wait)

    async def finish(self) -> None: ...

    async def close(self) -> None: ...


def facts(lines: list[str], body: Fields | None) -> Iterator[Input | float]:
    """What the lines of one attempt come to; then silence."""
    words = str(body["messages"][-1]["content"]) if body else ""
    element = re.search(r"<(last_words\w*)>.*?</\1>", words, re.DOTALL)
    marker = re.search(r"<reply_complete\w*/>", words)
    for line in lines:
        line = line.replace("{element}", json.dumps(element.group())[1:-1] if element else "{element}")
        line = line.replace("{marker}", marker.group() if marker else "{marker}")
        word, _, rest = line.partition(" ")
        first, _, more = rest.partition(" ")
        match word:
            case "status":
                headers = json.loads(more) if more else {}
                yield Opened(int(first), headers)
            case "wait":
                yield float(rest)
            case "ends":
                yield Ended()
            case "breaks":
                yield Broke(rest)
            case "silence":
                return
            case "bytes":
                yield Received(json.loads(rest).encode())
            case _:
                yield Received(wire.sse(event_of(word, rest, first, more)))


def event_of(word: str, rest: str, first: str, more: str) -> Fields:
    """One event in short."""
    match word:
        case "start":
            return wire.start(**(json.loads(rest) if rest else {}))
        case "begin":
            type, _, fields = more.partition(" ")
            return wire.begin(int(first), type or "text", **(json.loads(fields) if fields else {}))
        case "say":
            return wire.say(int(first), json.loads(more))
        case "json":
            return wire.grow(int(first), "input_json_delta", partial_json=json.loads(more))
        case "think":
            return wire.grow(int(first), "thinking_delta", thinking=json.loads(more))
        case "sign":
            return wire.grow(int(first), "signature_delta", signature="sig")
        case "end":
            return wire.end(int(first))
        case "stop":
            return wire.stopping(rest or None)
        case "over":
            return wire.STOP
        case "ping":
            return wire.PING
        case "event":
            return json.loads(rest)  # type: ignore[no-any-return]
    raise ValueError(f"no such line: {word} {rest}")


def asked(own: Fields, body: Fields | None) -> list[str]:
    """A request, as what it has beyond the caller's."""
    if body is None:
        return ["< the caller's request"]
    changed = [f"{name} {value}" for name, value in body.items() if name != "messages" and own.get(name) != value]
    turns = body["messages"][len(own["messages"]) :]
    said = [f"<   {turn['role']}: {line}" for turn in turns for line in content(turn["content"])]
    return [f"< the request and {len(turns)} message(s)" + "".join(f", {change}" for change in changed), *said]


def content(value: Any) -> list[str]:
    """A message's content, a line for each block."""
    if isinstance(value, str):
        return [json.dumps(value, ensure_ascii=False)]
    return [json.dumps(block.get("text", block), ensure_ascii=False) for block in value]


def tell(heard: Input) -> list[str]:
    """What the upstream did, where it is no mere chunk."""
    match heard:
        case Opened(status) if status != 200:
            return [f"  ({status})"]
        case Ended():
            return ["  (the body ends)"]
        case Broke(reason):
            return [f"  (broken: {reason})"]
        case _:
            return []


def seen(data: bytes) -> list[str]:
    """The consumer's events, in short."""
    return ["> " + short(event) for event in wire.read(data)]


PIECE = re.compile(r'> (\d+) (".*")')


def joined(told: list[str]) -> Iterator[str]:
    """The same, with the pieces of one block that come in a row as one; long ones by their ends."""
    index, text = "", ""
    for line in [*told, ""]:
        piece = PIECE.fullmatch(line)
        if index and (piece is None or piece[1] != index):
            shown = text if len(text) <= 200 else f"{text[:80]}…{text[-80:]}"
            yield f"> {index} {json.dumps(shown, ensure_ascii=False)}" + (f" ({len(text):,})" if shown != text else "")
            index, text = "", ""
        if piece is not None:
            index, text = piece[1], text + json.loads(piece[2])
        elif line:
            yield line


def short(event: Fields) -> str:
    match event["type"]:
        case "message_start":
            return f"start {event['message']['id']}"
        case "content_block_start":
            return f"begin {event['index']} {event['content_block']['type']}"
        case "content_block_delta":
            payload = next(value for name, value in event["delta"].items() if name != "type")
            return f"{event['index']} {json.dumps(payload, ensure_ascii=False)}"
        case "content_block_stop":
            return f"end {event['index']}"
        case "message_delta":
            return f"stop {event['delta']['stop_reason']}, {event['usage']['output_tokens']} tokens"
        case kind:
            return "over" if kind == "message_stop" else str(kind)


def play(source: str, *, awaits: bool) -> str:
    """The outcome of a story."""
    story, told = Story(source), list[str]()
    upstream = Upstream(story, told)
    engine = Engine(Request(story.request), Policy(**story.policy), Surroundings(lambda: 1.0))
    clock = Clock(upstream.clock)
    if awaits:
        awaiting = AsyncPump(engine, AsyncUpstream(upstream), clock, lambda *_: None)
        asyncio.run(_drain(awaiting, told))
        pump: Pump | AsyncPump = awaiting
    else:
        pump = Pump(engine, upstream, clock, lambda *_: None)
        if pump.open():
            for data in pump:
                told += seen(data)
    failure = pump.failure
    told.append("= complete" if failure is None else f"= {failure.kind}, {failure.phase}: {failure.detail}")
    report = make_report(engine.history, "failed" if failure else "complete", failure, clock())
    return "\n".join([*joined(told), *(f"| {line}" for line in str(report).splitlines())]) + "\n"


async def _drain(pump: AsyncPump, told: list[str]) -> None:
    if await pump.open():
        async for data in pump:
            told += seen(data)


@pytest.mark.parametrize("awaits", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_both_loops_tell_the_story_that_is_written_down(path: Path, awaits: bool) -> None:
    source, rule, outcome = path.read_text().partition(RULE)
    assert rule, f"{path.name} has no outcome: python tests/test_scenarios.py --write"
    assert play(source, awaits=awaits) == outcome


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_story_begins_with_a_sentence_and_says_how_it_ended(path: Path) -> None:
    source, _, outcome = path.read_text().partition(RULE)
    assert source.startswith("# ")
    assert sum(line.startswith("= ") for line in outcome.splitlines()) == 1


def test_there_are_stories() -> None:
    assert len(SCENARIOS) > 20


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    for scenario in SCENARIOS:
        story = scenario.read_text().partition(RULE)[0]
        scenario.write_text(story + RULE + play(story, awaits=False))
elif __name__ == "__main__":
    sys.exit("usage: python tests/test_scenarios.py --write")
