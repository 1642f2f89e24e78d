"""Whole streams into the engine: any bytes, any broken transport, any request, any policy.

Rule: a case is plain JSON and decides everything, so it is played again exactly; and after every step the same
things are asked of the engine that its drivers and its users ask of it.
"""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any, ClassVar
from zlib import crc32

from fuzz import garbage
from fuzz.fuzz_dialects import line_ends_aside
from fuzz.garbage import Json
from midstream.protocol.dialects import Anthropic, Bedrock, dump
from midstream.protocol.events import ErrorReported, Unreadable
from midstream.protocol.message import Message, State
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.failure import Failure
from midstream.recovery.policy import Policy
from midstream.recovery.policy_values import PolicyError
from midstream.recovery.request import Request
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Step
from midstream.reports import make_report

# Held whole by the engine, a report's lines: a clause for a person is not longer.
CLAUSE_CHARS_MAX = 1000
# Looking at everything after each step costs the square of the reply's length; beyond this, at one step in eight.
LOOKS_MAX = 40
# What may come of one attempt besides its own inputs: an opening, an end, a silence and the wakings in it.
STEPS_EACH = 12

REASONS = [
    *("connect", "connect_timeout", "dns", "tls", "certificate", "pool"),
    *("reset", "incomplete", "decoding", "protocol", "closed", "novel", "", "x" * 3000),
]
STATUSES = [
    400,
    400,
    401,
    403,
    404,
    408,
    409,
    413,
    422,
    424,
    429,
    499,
    500,
    503,
    504,
    529,
    301,
    204,
    0,
    -1,
    99,
    999,
    2**40,
]
HEADERS = {
    "content-type": ["text/event-stream", "application/vnd.amazon.eventstream", "text/html", "", "\ud800", "x" * 500],
    "retry-after": [
        "1",
        "0",
        "-1",
        "61",
        "1e5",
        "nan",
        "٣",
        "9" * 5000,
        "Wed, 21 Oct 2099 07:28:00 GMT",
        "Wed, 31 Feb 2026 00:00:00 GMT",
    ],
    "retry-after-ms": ["5", "0.5", ".", "inf", "9" * 400],
    "x-should-retry": ["true", "false", "TRUE", "perhaps"],
    "request-id": ["req_1", "", "é", "x" * 1000, "a b"],
    "x-amzn-requestid": ["aws-1", "\n"],
    "x-amzn-errortype": ["ThrottlingException", "a#b:c", "#", "x" * 500],
}
MODELS = ["claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-sonnet-5-5", "claude-opus-4-1", "mine", "arn:aws:x"]
REQUEST_PARTS: dict[str, list[Json]] = {
    "system": ["You are terse. <last_words>", [{"type": "text", "text": "x"}], 5],
    "thinking": [{"type": "enabled", "budget_tokens": 2000}, {"type": "adaptive"}, {"type": "disabled"}, "on"],
    "tools": [[{"name": "get_weather", "input_schema": {}}], [{"eager_input_streaming": True}], [None], "x"],
    "tool_choice": [{"type": "any"}, {"type": "auto"}, {"type": []}, "any"],
    "stop_sequences": [["fox"], ["</last_words>", "<"], [None, "", 5], "the", [""]],
    "output_config": [{"format": {"type": "json_schema"}}, {"format": None}, []],
    "container": ["container_9", {"id": "x"}, 5],
    "thread": ["t", None],
    "fallback_credit_token": ["x"],
    "max_tokens": [1, 0, -5, 256, 10**6],
    "stream": [True, False, "x"],
}
CONVERSATIONS: list[Json] = [
    [{"role": "user", "content": "Hello"}],
    [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]}],
    [{"role": "assistant", "content": [{"type": "server_tool_use", "id": "toolu_0"}, 5]}, "x"],
    [{"role": "user", "content": "The quick brown fox <reply_complete/> jumps over "}],
]
POLICY: dict[str, list[Json]] = {
    "attempts": [1, 2, 5], "attempts_total": [5, 8, 16],
    "elapsed_s": [None, 1, 100.0, 2000], "waiting_s": [None, 0, 3], "first_event_s": [0.001, 10, 1e6],
    "silence_s": [0.5, 30], "silence_after_pings_s": [1.0, 600], "progress_s": [1.0, 50], "progress_slow_s": [1, 1e6],
    "backoff_s": [[0, 0], [0.5, 8], [0, 1e6]], "retry_after_max_s": [0, 60, 1e6],
    "tools": ["live"], "thinking": ["live"], "server_tools": ["live"], "structured": ["live"],
    "continue_text": [False], "continue_max_tokens": [1, 3, 1000], "repeat_remote_tools": [True],
    "held_bytes_max": [1, 200, 5000], "frame_bytes_max": [10, 300], "error_body_bytes_max": [1, 50],
    "seam_hold_chars": [1, 10, 100], "seam_hold_s": [0.001, 5],
}  # fmt: skip


# Making a case.


def make(draw: Random) -> Json:
    """A case: a request, a policy, and what each attempt brings."""
    wire = draw.choice(("sse", "sse", "eventstream"))
    calm = draw.random() < 0.3
    first, shown = _first(draw, wire, calm)
    attempts = [first, *(_later(draw, wire, shown) for _ in range(draw.randint(0, 5)))]
    policy = {name: draw.choice(values) for name, values in POLICY.items() if draw.random() < (0.02 if calm else 0.1)}
    return {
        "request": _request(draw, calm),
        "betas": ["fine-grained-tool-streaming-2025-05-14"] if draw.random() < 0.05 else [],
        "signed": draw.random() < 0.05,
        "policy": policy,
        "recovers": draw.random() < 0.95,
        "live_after_s": draw.choice((None, None, None, 1.0, 240.0)),
        "then": draw.choice(("ended", "silence")),
        "attempts": attempts,
    }


def _request(draw: Random, calm: bool) -> Json:
    body = {"model": draw.choice(MODELS), "max_tokens": 4096, "messages": draw.choice(CONVERSATIONS), "stream": True}
    if not calm:
        body |= {name: draw.choice(values) for name, values in REQUEST_PARTS.items() if draw.random() < 0.12}
    if draw.random() < 0.15:
        body = json.loads(json.dumps(body))
        for _ in range(draw.randint(1, 4)):
            garbage.spoil(body, draw)
    if draw.random() < 0.1:
        body[draw.choice(("model", "max_tokens", "messages", "tools", "novel", "thinking"))] = draw.choice(
            [*garbage.MARKERS]
        )
    return body


def _first(draw: Random, wire: str, calm: bool) -> tuple[Json, str]:
    """The first attempt, and the text that it may have shown."""
    if draw.random() < 0.1:
        return _refusal(draw), ""
    if draw.random() < 0.2:
        body = draw.choice(garbage.recordings())
        return _stream(
            draw, garbage.wire_of(body), garbage.damaged(body, draw, 0 if calm else draw.choice((0, 1, 2)))
        ), ""
    events = garbage.mutated(garbage.reply(draw), draw, 0 if calm else draw.choice((0, 0, 1, 2, 4)))
    deltas = [event.get("delta") for event in events if isinstance(event, dict)]
    parts = [delta.get("text") for delta in deltas if isinstance(delta, dict)]
    shown = "".join(part for part in parts if isinstance(part, str))
    if draw.random() < 0.05:
        return _stream(draw, wire, draw.randbytes(draw.randint(0, 60)) + garbage.encoded(events, wire, draw)), shown
    return _stream(draw, wire, garbage.encoded(events, wire, draw)), shown


def _later(draw: Random, wire: str, shown: str) -> Json:
    """A later attempt: often one that goes on, as it was asked to or nearly so."""
    if draw.random() < 0.2:
        return _refusal(draw)
    if draw.random() < 0.05:
        wire = draw.choice(("sse", "eventstream"))
    first: list[tuple[Json, list[Json]]] | None = None
    if draw.random() < 0.6:
        quote = shown[-draw.choice((5, 30, 60)) :] if draw.random() < 0.8 else shown
        said = draw.choice(
            (f"<last_words>{quote}</last_words>", quote, shown, f"Sure:\n<last_words>{quote}", f"<last_words>{quote}")
        )
        text = draw.choice((said, "", "<reply_complete/>")) + draw.choice(garbage.WORDS)
        cut = draw.randint(0, len(text))
        deltas: list[Json] = [
            {"type": "text_delta", "text": part} for part in (text[:cut], text[cut:], *garbage.texts(draw))
        ]
        first = [({"type": "text", "text": ""}, deltas)]
        if draw.random() < 0.2:
            first = [({"type": "thinking", "thinking": ""}, [{"type": "thinking_delta", "thinking": "x"}]), *first]
    events = garbage.mutated(garbage.reply(draw, first), draw, draw.choice((0, 0, 0, 1, 3)))
    return _stream(draw, wire, garbage.encoded(events, wire, draw))


def _stream(draw: Random, wire: str, body: bytes) -> Json:
    """An attempt whose response is a stream, whole or cut, and how it ends."""
    if draw.random() < 0.6:
        body = body[: draw.randint(0, len(body))]
    type = "application/vnd.amazon.eventstream" if wire == "eventstream" else "text/event-stream"
    headers = {"content-type": type, "request-id": "req_1"} if draw.random() < 0.9 else _headers(draw)
    status = draw.choice((200, 200, 200, 200, 200, 200, 201, 299))
    inputs = [_moment(draw, ["received", piece.decode("latin-1")]) for piece in garbage.pieces(body, draw)]
    if draw.random() < 0.1:
        inputs.insert(draw.randint(0, len(inputs)), _moment(draw, ["early"]))
    inputs.append(_moment(draw, _end(draw)))
    timeout = draw.choice((None, None, None, 5.0, 0, -1, 1e9, "@nan"))
    return [[0, "opened", status, headers, timeout], *inputs]


def _end(draw: Random) -> list[Json]:
    return draw.choice((["ended"], ["broke", "reset", "gone"], ["elapsed"], ["broke", draw.choice(REASONS), "d" * 400]))


def _moment(draw: Random, input: list[Json]) -> list[Json]:
    """An input, and how many seconds after the last it comes; mostly at once."""
    return [draw.choice((0.25, 3, 61, 200, 2000)) if draw.random() < 0.02 else 0, *input]


def _headers(draw: Random) -> dict[str, str]:
    return {name: draw.choice(values) for name, values in HEADERS.items() if draw.random() < 0.4}


def _refusal(draw: Random) -> Json:
    """An attempt that does not come to a stream: an error status, a document, or no response."""
    how = draw.random()
    if how < 0.25:
        return [[0, "broke", draw.choice(REASONS), draw.choice(("", "d" * 1000))]]
    if how < 0.35:
        return [[0, "elapsed"]]
    error: Json = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}, "request_id": "req_2"}
    error = draw.choice(
        (error, {"message": "x", "originalStatusCode": 424}, {"error": {"code": 429, "status": "UNKNOWN"}})
    )
    error = json.loads(json.dumps(error))
    for _ in range(draw.choice((0, 1, 3))):
        garbage.spoil(error, draw)
    body = draw.choice((garbage.written(error), b"<html>", b"", draw.randbytes(9), b"\xef\xbb\xbf{}", b"[]"))
    status = draw.choice(STATUSES) if draw.random() < 0.8 else 200
    inputs = [_moment(draw, ["received", piece.decode("latin-1")]) for piece in garbage.pieces(body, draw)]
    return [[0, "opened", status, _headers(draw), None], *inputs, _moment(draw, _end(draw))]


# Playing it.


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
        assert line_ends_aside(bytes(merged.out)) == line_ends_aside(bytes(play.out)), (
            "the chunks decide what the consumer sees"
        )
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
        self.last, self.index = "", None

    def receive(self, kind: str, index: int | None) -> None:
        """One event of the consumer's."""
        if kind not in self.AFTER:
            return
        assert self.last in self.AFTER[kind], f"{kind} after {self.last}"
        if kind == "BlockStarted":
            self.index = index
        assert index in (None, self.index), f"{kind} of another block"
        self.last = kind


def _check_consumer(play: Play, failure: Failure | None) -> None:
    """The consumer has one legal message, or the beginning of one; and it is the one that the snapshot tells of."""
    data = bytes(play.out)
    dialect = Bedrock() if data[:1] == b"\0" else Anthropic()
    message, order = Message(), Order()
    for event in dialect.receive(data):
        assert not isinstance(event, Unreadable | ErrorReported), event
        problem = message.receive(event)
        assert problem is None, problem
        order.receive(type(event).__name__, getattr(event, "index", None))
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
    first = data[:1]
    headers = next((input[3] for input in attempt if input[1] == "opened"), {})
    aws = first in (b"\0", b"\1") or headers.get("content-type", "").lower().startswith(
        "application/vnd.amazon.eventstream"
    )
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
    """What can be compared: NaN is null, and two halves of a character that came in two deltas are one."""
    return dump(json.loads(json.dumps(snapshot)))


def _without_time(case: Json) -> bool:
    """Neither limits on sizes nor the clock have a say: then the chunks must have none."""
    inputs = [input for attempt in case["attempts"] for input in attempt]
    timed = any(input[0] or input[1] == "early" for input in inputs)
    return not timed and not {"held_bytes_max", "frame_bytes_max", "error_body_bytes_max"} & case["policy"].keys()


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


def from_bytes(data: bytes) -> Json:
    """A case from what atheris gives: its bytes are the body of the first attempts, cut where they say."""
    draw = Random(crc32(data))
    cuts = sorted({0, len(data), *(draw.randint(0, len(data)) for _ in range(3))})
    attempts = [_stream(draw, garbage.wire_of(data[a:b]), data[a:b]) for a, b in pairwise(cuts)]
    return {**make(draw), "attempts": attempts}


def shrink(case: Json, fails: Callable[[Json], bool], seconds: float) -> Json:
    return garbage.shrunk(case, fails, seconds)
