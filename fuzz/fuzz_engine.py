"""Whole streams into the engine: any bytes, any broken transport, any request, any policy.

Rule: a case is plain JSON and decides everything, so it is played again exactly; and after every step the same
things are asked of the engine that its drivers and its users ask of it.
"""

import json
import math
from collections.abc import Callable
from random import Random
from typing import Any, ClassVar

from fuzz import garbage
from fuzz.engine_cases import REQUEST_PARTS, from_bytes, make
from fuzz.fuzz_dialects import line_ends_aside
from fuzz.garbage import Json
from midstream.protocol.dialects import Anthropic, Bedrock, dump
from midstream.protocol.events import ErrorReported, MessageStopped, Pinged, Unreadable, Unrecognised
from midstream.protocol.message import Message, State
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.failure import Failure
from midstream.recovery.policy import Policy
from midstream.recovery.policy_values import PolicyError
from midstream.recovery.request import Request
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Step
from midstream.reports import make_report

__all__ = ["REQUEST_PARTS", "check", "dump_case", "from_bytes", "load_case", "make", "shrink"]

# Held whole by the engine, a report's lines: a clause for a person is not longer.
CLAUSE_CHARS_MAX = 1000
# Looking at everything after each step costs the square of the reply's length; beyond this, at one step in eight.
LOOKS_MAX = 40
# What may come of one attempt besides its own inputs: an opening, an end, a silence and the wakings in it.
STEPS_EACH = 12


class Play:
    """One stream, from its case."""

    def __init__(self, case: Json) -> None:
        self.case = case
        self.now = 1000.0
        self.out = bytearray()
        """What the consumer was given."""
        self.received = 0
        body = garbage.real(case["request"])
        self.request = Request(body, frozenset(case["betas"]), case["signed"])
        self.policy = _policy(case["policy"])
        jitter = Random(7)
        around = Surroundings(jitter.random, unix_s=lambda: 1.8e9)
        after_s = math.inf if case["live_after_s"] is None else case["live_after_s"]
        self.engine = Engine(self.request, self.policy, around, recovers=case["recovers"], hold_live_after_s=after_s)
        self._script: list[Json] = []
        self._left = (
            sum(len(attempt) + STEPS_EACH for attempt in case["attempts"]) + STEPS_EACH * self.policy.attempts_total
        )
        self._looks = 0

    def run(self) -> Failure | None:
        """To the end; what ended it, if it failed."""
        step = self.engine.start(self.now)
        self.look(step)
        while not isinstance(step.wait, Done):
            self._left -= 1
            assert self._left > 0, "the stream does not end"
            step = self.engine.receive(self.next_input(step), self.now)
            self.look(step)
        for input in (Elapsed(), Received(b"x"), Ended()):  # the end is the end
            assert self.engine.receive(input, self.now) == Step([], step.wait)
        return step.wait.failure

    def next_input(self, step: Step) -> Input:
        """What the upstream's script has for this wait."""
        wait = step.wait
        if isinstance(wait, Sleep):
            self.now = max(self.now, wait.deadline)
            return Elapsed()
        if isinstance(wait, Open):
            number = len(self.engine.history.attempts) - 1
            attempts = self.case["attempts"]
            self._script = list(attempts[number]) if number < len(attempts) else []
        assert isinstance(wait, Open | Read)
        if not self._script:
            if isinstance(wait, Open):
                return Opened(200, {})
            return Ended() if self.case["then"] == "ended" else self._elapsed(wait)
        after_s, kind, *rest = self._script.pop(0)
        self.now += after_s
        match kind:
            case "opened" if isinstance(wait, Open):
                return Opened(rest[0], dict(rest[1]), garbage.real(rest[2]))
            case "received" if isinstance(wait, Read):
                return Received(rest[0].encode("latin-1"))
            case "ended" if isinstance(wait, Read):
                return Ended()
            case "early" if isinstance(wait, Read):
                return Elapsed()
            case "broke":
                return Broke(*rest)
        return self._elapsed(wait)

    def _elapsed(self, wait: Open | Read) -> Elapsed:
        wake_at = wait.wake_at if isinstance(wait, Read) and wait.wake_at is not None else math.inf
        self.now = max(self.now, min(wait.deadline, wake_at))
        return Elapsed()

    # What is asked after every step.

    def look(self, step: Step) -> None:
        """The step is one that a driver can do, and whatever a user may ask for now is there."""
        assert type(step) is Step
        for event in step.events:
            assert isinstance(event.raw, bytes), event
            self.out += event.raw
        self._look_at_wait(step.wait)
        self._looks += 1
        if type(step.wait) is Read and self._looks > LOOKS_MAX and self._looks % 8:
            return
        engine, wait = self.engine, step.wait
        failure = wait.failure if isinstance(wait, Done) else None
        outcome: Any = ("failed" if failure else "complete") if isinstance(wait, Done) else "running"
        json.loads(json.dumps(engine.snapshot()))
        assert dump(engine.snapshot())
        report = make_report(engine.history, outcome, failure, self.now - 1000.0)
        json.dumps(report.to_dict())
        text = str(report)
        assert all(len(line) < 4 * CLAUSE_CHARS_MAX for line in text.splitlines()), "a line without a bound"
        text.encode()  # it is for a log or a terminal
        assert len(report.attempts) <= self.policy.attempts_total, "more attempts than the policy allows"

    def _look_at_wait(self, wait: Any) -> None:
        if isinstance(wait, Open):
            assert math.isfinite(wait.deadline) and wait.deadline >= self.now, wait.deadline
            if wait.body is not None and self.request.as_bytes:
                assert dump(wait.body)
        elif isinstance(wait, Read):
            assert math.isfinite(wait.deadline), wait
            assert wait.wake_at is None or wait.wake_at >= self.now
        elif isinstance(wait, Sleep):
            highest = max(self.policy.retry_after_max_s, self.policy.backoff_s[1])
            assert 0 <= wait.deadline - self.now <= highest + 1e-3, wait
        else:
            assert isinstance(wait, Done)
            if wait.failure is not None:
                assert isinstance(wait.failure, Failure) and len(wait.failure.detail) <= CLAUSE_CHARS_MAX
                wait.failure.detail.encode()


def _policy(fields: Json) -> Policy:
    given = {name: tuple(value) if name == "backoff_s" else value for name, value in fields.items()}
    try:
        return Policy(**given)
    except PolicyError:  # a pair of values that do not go together; shrinking makes such
        return Policy()


def check(case: Json) -> None:
    """Plays a case, and looks at what the consumer has of it."""
    play = Play(case)
    failure = play.run()
    _check_consumer(play, failure)
    _check_bytes(play, failure)
    if _without_time(case):
        merged = Play({**case, "attempts": [_merged(attempt) for attempt in case["attempts"]]})
        other = merged.run()
        assert _seen(merged, other) == _seen(play, failure), "the chunks decide what the consumer sees"
        assert (other and other.kind) == (failure and failure.kind), (other, failure)
        assert _plain(merged.engine.snapshot()) == _plain(play.engine.snapshot())


class Order:
    """What may follow what, once more and without `Message`: an oracle that is the code under test cannot fail."""

    AFTER: ClassVar = {
        "MessageStarted": {""},
        "BlockStarted": {"MessageStarted", "BlockStopped"},
        "BlockGrew": {"BlockStarted", "BlockGrew"},
        "BlockStopped": {"BlockStarted", "BlockGrew"},
        "MessageStopping": {"MessageStarted", "BlockStarted", "BlockGrew", "BlockStopped", "MessageStopping"},
        "MessageStopped": {"MessageStarted", "MessageStopping"},
    }

    def __init__(self) -> None:
        self.last, self.index, self.reasoned = "", None, False

    def receive(self, event: Any) -> None:
        """One event of the consumer's."""
        kind, index = type(event).__name__, getattr(event, "index", None)
        if kind not in self.AFTER:
            return
        if kind == "MessageStarted":
            self.reasoned = event.message.get("stop_reason") is not None
        # A message whose start says why it stops needs nothing else that does.
        by_its_start = kind == "MessageStopped" and self.reasoned and self.last == "BlockStopped"
        assert by_its_start or self.last in self.AFTER[kind], f"{kind} after {self.last}"
        if kind == "BlockStarted":
            self.index = index
        assert index in (None, self.index), f"{kind} of another block"
        self.last = kind


def _check_consumer(play: Play, failure: Failure | None) -> None:
    """The consumer has one legal message, or the beginning of one; and it is the one that the snapshot tells of."""
    data = bytes(play.out)
    dialect = Bedrock() if _is_aws(data) else Anthropic()
    message, order = Message(), Order()
    for event in dialect.receive(data):
        assert not isinstance(event, Unreadable | ErrorReported), event
        problem = message.receive(event)
        assert problem is None, problem
        order.receive(event)
    assert dialect.pending == b"", "half a frame was shown"
    assert (message.state is State.COMPLETE) == (failure is None), (message.state, failure)
    snapshot = play.engine.snapshot()
    seen = message.snapshot() if message.state is not State.EMPTY else {}
    assert _plain(seen) == _plain(snapshot), "the snapshot is not what the consumer saw"


def _check_bytes(play: Play, failure: Failure | None) -> None:
    """What one attempt alone brought was handed on as it came."""
    history, attempt = play.engine.history, play.case["attempts"][0] if play.case["attempts"] else []
    if len(history.attempts) != 1 or history.settled or not play.out:
        return
    data = b"".join(input[2].encode("latin-1") for input in attempt if input[1] == "received")
    headers = next((input[3] for input in attempt if input[1] == "opened"), {})
    aws = _is_aws(data) or headers.get("content-type", "").lower().startswith("application/vnd.amazon.eventstream")
    dialect = Bedrock() if aws else Anthropic()
    events = [event for event in dialect.receive(data) if not isinstance(event, Unreadable)]
    events += (event for event in dialect.end() if not isinstance(event, Unreadable))
    handed_on = b"".join(event.raw for event in events)
    out = bytes(play.out)
    if history.stop_added:
        out = out[: -len(dialect.encode({"type": "message_stop"}))]
    assert handed_on.startswith(out), "bytes that did not come"
    if failure is None and not history.stop_added:
        assert b"message_stop" in out or aws


def _plain(snapshot: Json) -> bytes:
    """What can be compared: NaN is not equal to itself, and two halves of a character from two deltas are one."""
    return dump(json.loads(json.dumps(snapshot)), exactly=True)


def _without_time(case: Json) -> bool:
    """Neither limits on sizes nor the clock have a say: then the chunks must have none."""
    inputs = [input for attempt in case["attempts"] for input in attempt]
    timed = any(input[0] or input[1] == "early" for input in inputs)
    return not timed and not {"held_bytes_max", "frame_bytes_max", "error_body_bytes_max"} & case["policy"].keys()


def _is_aws(data: bytes) -> bool:
    """Whether this is an event stream: it begins with the size of a message, which is far below 32 MiB."""
    return data[:1] in (b"\0", b"\1")


def _seen(play: Play, failure: Failure | None) -> bytes:
    """What can be compared of what a consumer got."""
    data = bytes(play.out)
    return line_ends_aside(data if failure else _to_its_end(data))


def _to_its_end(data: bytes) -> bytes:
    """What a consumer got of a whole message, without what follows it: pings and comments of the same chunk."""
    events = (Bedrock() if _is_aws(data) else Anthropic()).receive(data)
    last = next((at for at, event in enumerate(events) if type(event) is MessageStopped), len(events))
    for event in events[last + 1 :]:
        assert type(event) is Pinged or (type(event) is Unrecognised and not event.name), event
    return b"".join(b"" if type(event) is Unreadable else event.raw for event in events[: last + 1])


def _merged(attempt: Json) -> Json:
    merged: list[Json] = []
    for input in attempt:
        if merged and input[1] == merged[-1][1] == "received":
            merged[-1] = [0, "received", merged[-1][2] + input[2]]
        else:
            merged.append(input)
    return merged


# Files.


def dump_case(case: Json) -> bytes:
    return json.dumps(case, indent=1).encode()


def load_case(data: bytes) -> Json:
    return json.loads(data)


def shrink(case: Json, fails: Callable[[Json], bool], seconds: float) -> Json:
    return garbage.shrunk(case, fails, seconds)
