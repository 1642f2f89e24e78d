"""Judges one run: what the consumer got, against what the contract promises for that cut.

Rule: the bytes that were handed on are read by the strict reader; of the engine only its last word is believed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.every_cut import compare, oracle
from bench.every_cut.captures import Capture
from bench.every_cut.reader import Illegal, Reader
from midstream.recovery.engine import Engine
from midstream.recovery.failure import Kind

Fields = dict[str, Any]

KINDS = {
    "clean": {Kind.TRUNCATED},
    "fin": {Kind.DISCONNECTED},
    "rst": {Kind.DISCONNECTED},
    "silence": {Kind.SILENT, Kind.STALLED},
    "error": {Kind.OVERLOADED},
    "half-frame": {Kind.TRUNCATED},
    "crc": {Kind.GARBLED, Kind.TRUNCATED},
    "exception": {Kind.OVERLOADED},
}
"""What each fault may be called, where it comes between two frames."""
KINDS_IN_FRAME = {
    # Glued to half a frame, the error is no JSON any more; glued to half a ping it is a ping, and then the body ends.
    ("sse", "error"): {Kind.OVERLOADED, Kind.SERVER_ERROR, Kind.GARBLED, Kind.TRUNCATED},
    ("bedrock", "clean"): {Kind.DISCONNECTED},
    ("bedrock", "half-frame"): {Kind.DISCONNECTED},
    ("bedrock", "exception"): {Kind.DISCONNECTED, Kind.GARBLED},
}
"""The same, where it comes inside one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a cell."""

    end: str
    """One of the ends of `oracle`, or the reason of an error that the contract names."""
    problem: str | None = None
    """What is wrong with it."""


class Case:
    """One cut, and what must come of it."""

    def __init__(
        self,
        capture: Capture,
        request: Mapping[str, Any],
        seen: oracle.Seen,
        content: Reader,
        truth: oracle.Seen,
        fault: str,
        in_frame: bool,
    ) -> None:
        self.capture = capture
        self.shown = oracle.shown_of(seen, structured=oracle.is_structured(request))
        self.expected = oracle.verdict(seen, truth, request)
        self.content = content
        kinds = KINDS_IN_FRAME.get((capture.wire, fault)) if in_frame else None
        self.kinds = kinds or KINDS[fault]


def misjudged(case: Case, consumer: Reader, out: bytes) -> str | None:
    """What is wrong with what was shown up to the cut; ``out`` was handed on since ``consumer`` looked."""
    try:
        consumer.feed(out)
    except (Illegal, KeyError, TypeError) as problem:
        return f"illegal: {problem!r}"
    if case.expected not in (oracle.RESTARTED, oracle.CONTINUED):
        return None
    return _wrong_part(case, consumer)


def finished(case: Case, engine: Engine, consumer: Reader) -> Outcome:
    """The stream was over before the cut."""
    return _judged(case, engine, consumer, unbroken=True)


def ended(case: Case, engine: Engine, consumer: Reader, out: bytes) -> Outcome:
    """The stream is over; ``out`` was handed on since ``consumer`` looked."""
    try:
        consumer.feed(out)
    except (Illegal, KeyError, TypeError) as problem:
        return Outcome(case.expected, f"illegal: {problem!r}")
    return _judged(case, engine, consumer, unbroken=case.expected == oracle.RESTARTED)


def _judged(case: Case, engine: Engine, consumer: Reader, *, unbroken: bool) -> Outcome:
    if case.expected in oracle.GAVE_UP:
        problem = _wrong_failure(case, engine, consumer)
    elif engine.failure is not None:
        problem = f"it failed: {engine.failure.kind}: {engine.failure.detail}; {engine.history.gave_up}"
    else:
        problem = compare.difference(
            case.expected, case.capture.truth, consumer, case.shown, part=case.content.blocks
        ) or _wrong_attempts(case, engine)
        if unbroken and problem is None and consumer.crc32 != case.capture.crc32:
            problem = "the bytes that were handed on are not those that were received"
    return Outcome(case.expected, problem or wrong_snapshot(engine, consumer))


def _wrong_attempts(case: Case, engine: Engine) -> str | None:
    attempts = len(engine.history.attempts)
    wanted = 1 if case.expected in (oracle.COMPLETE, oracle.SETTLED) else 2
    return f"{attempts} attempts where {wanted} had to do" if attempts != wanted else None


def _wrong_failure(case: Case, engine: Engine, consumer: Reader) -> str | None:
    if engine.failure is None or consumer.stopped:
        return "it ended well, though the contract names an error"
    by_itself = {"compaction": {Kind.LIMIT}, "garbled": {Kind.GARBLED}}
    kinds = by_itself.get(case.expected, case.kinds)
    if engine.failure.kind not in kinds:
        return f"the failure is {engine.failure.kind}, which is not one of {', '.join(kinds)}"
    # An end that the source itself would have spoilt is met in a second attempt, or in the first.
    return None if case.expected in by_itself else _wrong_part(case, consumer)


def _wrong_part(case: Case, consumer: Reader) -> str | None:
    """What was shown up to the cut: neither more nor less than the commit rule says."""
    expected = case.content.blocks[: case.shown.blocks]
    return None if consumer.blocks == expected else "more or less than the commit rule says was shown up to the cut"


def wrong_snapshot(engine: Engine, consumer: Reader) -> str | None:
    """What the engine says that the consumer has, against what was handed on."""
    snapshot = engine.snapshot()
    if not consumer.begun:
        return f"the snapshot holds {', '.join(snapshot)}, and nothing was handed on" if snapshot else None
    content = [_as_snapshot(block) for block in consumer.blocks]
    shown = {**consumer.message, "content": content, "stop_reason": consumer.stop_reason, "usage": consumer.usage}
    wrong = [name for name in {**shown, **snapshot} if shown.get(name) != snapshot.get(name)]
    return f"the snapshot is not what was handed on: {', '.join(wrong)}" if wrong else None


def _as_snapshot(block: dict[str, Any]) -> dict[str, Any]:
    if "\0json" not in block:
        return block
    plain = {name: value for name, value in block.items() if name != "\0json"}
    try:
        value = json.loads(block["\0json"]) if block["\0json"] else None
    except ValueError:
        value = None
    return {**plain, "input": value} if isinstance(value, dict) else plain
