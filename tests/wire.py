"""Messages streams in few words: events as dicts, as bytes, and an engine that is driven by hand.

Rule: nothing of the code under test makes the bytes or reads what came out; only `Drive` calls the engine.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

from midstream.protocol.events import Event
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.failure import Failure
from midstream.recovery.models import Memory
from midstream.recovery.past import Past
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Step, Wait
from midstream.recovery.surroundings import Route

Fields = dict[str, Any]

STOP: Fields = {"type": "message_stop"}
PING: Fields = {"type": "ping"}
TURN_MODEL, PREFIX_MODEL = "claude-sonnet-5-5", "claude-haiku-4-5"


def start(id: str = "msg_1", **fields: Any) -> Fields:
    usage = {"input_tokens": 10, "output_tokens": 1}
    message = {"id": id, "type": "message", "role": "assistant", "model": TURN_MODEL, "content": []}
    return {
        "type": "message_start",
        "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage, **fields},
    }


def begin(index: int, type: str = "text", **fields: Any) -> Fields:
    plain: dict[str, Fields] = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}
    return {
        "type": "content_block_start",
        "index": index,
        "content_block": {"type": type, **plain.get(type, {}), **fields},
    }


def grow(index: int, kind: str, **delta: Any) -> Fields:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def say(index: int, text: str) -> Fields:
    return grow(index, "text_delta", text=text)


def end(index: int) -> Fields:
    return {"type": "content_block_stop", "index": index}


def stopping(reason: str | None = "end_turn", tokens: int = 9, **fields: Any) -> Fields:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": tokens}, **fields}


def text(index: int, *pieces: str, closed: bool = True) -> list[Fields]:
    return [begin(index), *(say(index, piece) for piece in pieces), *([end(index)] if closed else [])]


def thinking(index: int, *pieces: str, signature: str | None = "sig", closed: bool = True) -> list[Fields]:
    signed = [grow(index, "signature_delta", signature=signature)] if signature else []
    thoughts = [grow(index, "thinking_delta", thinking=piece) for piece in pieces]
    return [begin(index, "thinking"), *thoughts, *signed, *([end(index)] if closed else [])]


def call(
    index: int, *fragments: str, type: str = "tool_use", name: str = "look", id: str = "toolu_1", closed: bool = True,
    **fields: Any,
) -> list[Fields]:  # fmt: skip
    grown = [grow(index, "input_json_delta", partial_json=fragment) for fragment in fragments]
    opened = begin(index, type, id=id, name=name, **{"input": {}, **fields})
    return [opened, *grown, *([end(index)] if closed else [])]


def result(
    index: int, answers: str = "toolu_1", type: str = "web_search_tool_result", content: Any = ()
) -> list[Fields]:
    return [begin(index, type, tool_use_id=answers, content=list(content)), end(index)]


def whole(*blocks: Iterable[Fields], reason: str = "end_turn", **started: Any) -> list[Fields]:
    """A whole message of these blocks."""
    return [start(**started), *(event for block in blocks for event in block), stopping(reason), STOP]


def sse(*events: Fields) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (str(e["type"]).encode(), json.dumps(e).encode()) for e in events)


def read(data: bytes) -> list[Fields]:
    """The events of a consumer's bytes, as the SDK reads them: the last name, and all lines of data."""
    blocks = data.split(b"\n\n")
    assert blocks.pop() == b"", "the consumer was given half a frame"
    events = []
    for block in blocks:
        lines = re.split(rb"\r\n|\r|\n", block)
        names = [line.removeprefix(b"event: ") for line in lines if line.startswith(b"event: ")]
        said = b"\n".join(line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: "))
        if said:
            events.append(json.loads(said))
            assert names[-1] == events[-1]["type"].encode()
    return events


def folded(events: Iterable[Fields]) -> Fields:
    """The message that legal events add up to; fails for illegal ones. Written from the API's reference alone."""
    message: Fields = {}
    blocks: list[Fields] = []
    documents: list[str] = []
    opened, stopped, reason_known = False, False, False
    for event in events:
        kind = event["type"]
        assert not stopped or kind not in _STEPS, f"{kind} after message_stop"
        assert bool(message) or kind == "message_start" or kind not in _STEPS, f"{kind} before message_start"
        if kind == "message_start":
            assert not message, "two message_starts"
            message = dict(event["message"])
            blocks = list(message.get("content") or [])
            reason_known = message.get("stop_reason") is not None
        elif kind == "content_block_start":
            assert not opened and event["index"] == len(blocks), "a block begins where none may"
            blocks.append(dict(event["content_block"]))
            documents, opened = [], True
        elif kind == "content_block_delta":
            assert opened and event["index"] == len(blocks) - 1, "a delta for a block that is not open"
            _grow(blocks[-1], event["delta"], documents)
        elif kind == "content_block_stop":
            assert opened and event["index"] == len(blocks) - 1, "a stop for a block that is not open"
            if "".join(documents):
                blocks[-1]["input"] = json.loads("".join(documents))
            opened = False
        elif kind == "message_delta":
            message |= {name: value for name, value in event["delta"].items() if value is not None}
            message["usage"] = {**message["usage"], **event["usage"]}
            reason_known = reason_known or event["delta"]["stop_reason"] is not None
        elif kind == "message_stop":
            assert reason_known, "message_stop without a stop reason"
            stopped = True
    return {**message, "content": blocks, "ended": stopped} if message else {}


_STEPS = {
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
}
_APPENDED = {"text_delta": "text", "thinking_delta": "thinking"}


def _grow(block: Fields, delta: Fields, documents: list[str]) -> None:
    kind = delta["type"]
    if kind in _APPENDED:
        block[_APPENDED[kind]] = block.get(_APPENDED[kind], "") + delta[_APPENDED[kind]]
    elif kind == "input_json_delta":
        documents.append(delta["partial_json"])
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or []), delta["citation"]]
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]


def operations(work: Callable[[], object]) -> int:
    """How many calls, of Python functions and of built-in ones, the work makes."""
    count = 0

    def note(frame: object, what: str, arg: object) -> None:
        nonlocal count
        count += what in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def request(model: str = TURN_MODEL, **fields: Any) -> Fields:
    messages = [{"role": "user", "content": "Tell me."}]
    return {"model": model, "max_tokens": 1000, "stream": True, "messages": messages, **fields}


class Drive:
    """One engine on a virtual clock, told facts one by one. Jitter is nothing, so a retry opens at once."""

    def __init__(
        self,
        body: Fields | None = None,
        policy: Policy | None = None,
        *,
        jitter: float = 0.0,
        betas: frozenset[str] = frozenset(),
        signed_by_caller: bool = False,
        memory: Memory | None = None,
        take_retry: Any = lambda: True,
        route: Callable[[Route], int] | None = None,
        past: Past | None = None,
        **options: Any,
    ) -> None:
        self.body = request() if body is None else body
        self.now = 0.0
        self.seen = b""
        """All bytes that the consumer was given."""
        self.last = b""
        """Those of the last step."""
        self.given: list[Event] = []
        """All events, as they were handed on."""
        self.sent: list[Fields | None] = []
        """The body of each request; ``None`` for the caller's own."""
        self.memory = memory or Memory()
        around = Surroundings(lambda: jitter, take_retry, self.memory, lambda: 0.0, route)
        asked = Request(self.body, betas, signed_by_caller)
        self.engine = Engine(asked, policy or Policy(), around, **options)
        self.wait: Wait = Done()
        if past is not None:
            self.seen = b"".join(attempt.shown for attempt in past.attempts)
        self._took(self.engine.start(self.now) if past is None else self.engine.adopt(past, self.now))

    def _took(self, step: Step) -> list[Event]:
        self.last = b"".join(event.raw for event in step.events)
        self.seen += self.last
        self.given += step.events
        self.wait = step.wait
        if isinstance(step.wait, Open):
            self.sent.append(step.wait.body)
        return step.events

    def tell(self, fact: Input, *, after_s: float = 0.0) -> "Drive":
        self.now += after_s
        self._took(self.engine.receive(fact, self.now))
        return self

    def opens(self, status: int = 200, read_timeout_s: float | None = None, **headers: str) -> "Drive":
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.tell(Opened(status, named, read_timeout_s))

    def gets(self, *events: Fields | list[Fields] | bytes, after_s: float = 0.0) -> "Drive":
        """Bytes, in one chunk: events, lists of events, or bytes as they are."""
        data = b"".join(
            part if isinstance(part, bytes) else sse(*(part if isinstance(part, list) else [part])) for part in events
        )
        return self.tell(Received(data), after_s=after_s)

    def attempt(self, *events: Fields | list[Fields] | bytes) -> "Drive":
        """Opens the attempt that is asked for, waiting as long as asked, and gets these."""
        if isinstance(self.wait, Sleep):
            self.elapses()
        assert isinstance(self.wait, Open), self.wait
        self.opens()
        return self.gets(*events) if events else self

    def ends(self) -> "Drive":
        return self.tell(Ended())

    def breaks(self, reason: str = "reset") -> "Drive":
        return self.tell(Broke(reason))

    def refuses(self, status: int = 400, body: bytes = b"{}", **headers: str) -> "Drive":
        """The attempt is answered with an error status."""
        if isinstance(self.wait, Sleep):
            self.elapses()
        return self.opens(status, **headers).gets(body).ends()

    def elapses(self) -> "Drive":
        """The deadline passes, and nothing else happens."""
        assert not isinstance(self.wait, Done)
        self.now = max(self.now, self.wait.deadline)
        return self.tell(Elapsed())

    def wakes(self) -> "Drive":
        """The driver wakes up for a hold."""
        assert isinstance(self.wait, Read) and self.wait.wake_at is not None, self.wait
        self.now = max(self.now, self.wait.wake_at)
        return self.tell(Elapsed())

    @property
    def events(self) -> list[Fields]:
        return read(self.seen)

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def message(self) -> Fields:
        """What the consumer has; fails if it is not legal."""
        return folded(self.events)

    @property
    def content(self) -> list[Fields]:
        return list(self.message["content"])

    @property
    def texts(self) -> list[str]:
        return [block["text"] for block in self.message.get("content", ()) if block["type"] == "text"]

    @property
    def done(self) -> bool:
        return isinstance(self.wait, Done)

    @property
    def complete(self) -> bool:
        return isinstance(self.wait, Done) and self.wait.failure is None

    @property
    def failure(self) -> Failure:
        assert isinstance(self.wait, Done) and self.wait.failure is not None, self.wait
        assert self.engine.failure is self.wait.failure
        return self.wait.failure

    @property
    def turns(self) -> list[Fields]:
        """The messages that the last request had beyond the caller's."""
        body = self.sent[-1]
        assert body is not None, "the caller's own request was sent again"
        return list(body["messages"][len(self.body["messages"]) :])

    def element(self, name: str = "last_words") -> str:
        """The element that the last request asks for, as an obedient model says it."""
        words = self.turns[-1]["content"]
        at = words.index(f"<{name}>")
        return str(words[at : words.index(f"</{name}>") + len(f"</{name}>")])
