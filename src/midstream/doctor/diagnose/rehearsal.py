"""What midstream would have done with this stream: its own engine, given what the recording has.

Rule: it decides nothing. The engine is told the facts at the times that the recording gives, and asked what it did.
"""

from dataclasses import dataclass

from midstream.doctor.recording.facts import Answered, Finished, How
from midstream.protocol.dialects import parse
from midstream.protocol.events import Event, Fields, MessageStarted
from midstream.recovery.engine import Engine
from midstream.recovery.failure import Failure
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Step
from midstream.recovery.surroundings import Surroundings

REHEARSED_BYTES_MAX = 32 << 20
"""The engine keeps what it may have to continue. A reply of 128,000 tokens has 8 MB as server-sent events, 20 MB as
AWS event stream; a longer recording is followed, but not rehearsed."""

_BROKE = {
    How.INCOMPLETE: "incomplete",
    How.RESET: "reset",
    How.STREAM_RESET: "reset",
    How.BROKEN: "protocol",
    How.NO_ANSWER: "connect",
}


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What midstream's engine did."""

    action: str
    """``nothing``, ``adds the stop``, ``settles``, ``restarts``, ``continues`` or ``gives up``."""
    sentence: str
    failure: Failure | None = None
    """What the engine took for the failure of this attempt."""
    shown: int = 0
    """So many blocks had been shown to the consumer, the last perhaps in part."""


_DID = {
    "nothing": "Nothing: it would have handed the reply on as it came.",
    "adds the stop": "The reply is whole: it would have added the `message_stop` that is missing, and gone on.",
    "settles": "It would have ended the message where its complete tool calls end, with `stop_reason: tool_use`, so"
    " that the caller runs them and goes on; the model is not asked again, or the tools would run twice.",
    "restarts": "Nothing that cannot be taken back had been shown: it would have sent the same request again, after"
    " {delay_s:.1f} s at most, and the consumer would have noticed nothing but the wait.",
    "continues": "It would have kept what was shown, asked the model to go on from there (form: {form}), after"
    " {delay_s:.1f} s at most, and joined both into one message.",
    "gives up": "It would have given up, with one typed error that carries everything received: {reason}.",
}


class Rehearsal:
    """The engine, played one recorded attempt."""

    def __init__(self, head: Answered | None, asked: bytes = b"") -> None:
        self.over = False
        """The recording was longer than is rehearsed."""
        self._body = _request(asked)
        # The highest delay that the policy may choose; there is nobody here to wait.
        self._engine = Engine(Request(self._body), Policy(), Surroundings(jitter=lambda: 1.0))
        self._now = 0.0
        self._received_bytes = 0
        self._step: Step = self._engine.start(0.0)
        if head is not None:
            self._tell(Opened(head.status, dict(head.headers)))

    @property
    def _is_first(self) -> bool:
        """Whether the engine is still with the attempt that was recorded."""
        return len(self._engine.history.attempts) == 1 and not isinstance(self._step.wait, Done | Sleep)

    def feed(self, raw: bytes, after_s: float | None) -> None:
        """A part of the body, and how long after the request it came."""
        if self.over or not self._is_first:
            return
        self._received_bytes += len(raw)
        if self._received_bytes > REHEARSED_BYTES_MAX:
            self.over = True
            self._engine = Engine(Request({}), Policy(), Surroundings(jitter=lambda: 1.0))
            return
        self._now = max(self._now, after_s or 0.0)
        if not isinstance(self._step.wait, Read):  # no head is known: a bare body is that of a 200
            self._tell(Opened(200, {}))
        self._tell(Received(raw))

    def end(self, finished: Finished, after_s: float | None) -> Rehearsed | None:
        """The body ended so. ``None`` if it was not rehearsed, or not to its end."""
        if self.over:
            return None
        self._now = max(self._now, after_s or 0.0)
        if self._is_first:
            self._end(finished)
        if isinstance(self._step.wait, Sleep):
            self._now = self._step.wait.deadline
            self._tell(Elapsed())
        return self._result()

    def _end(self, finished: Finished) -> None:
        wait = self._step.wait
        if isinstance(wait, Open) and finished.how is not How.NO_ANSWER:
            self._tell(Opened(200, {}))
        if finished.how is How.TIMEOUT and isinstance(wait, Read | Open):
            # Whoever recorded it left before midstream would have: the silence goes on up to its limit.
            self._now = max(self._now, wait.deadline)
            self._tell(Elapsed())
        else:
            reason = _BROKE.get(finished.how)
            self._tell(Broke(reason) if reason is not None else Ended())

    def _tell(self, fact: Input) -> None:
        self._step = self._engine.receive(fact, self._now)
        for event in self._step.events:
            self._learn(event)

    def _learn(self, event: Event) -> None:
        """The recording does not have the request; the reply names the model, by which the plan goes."""
        if isinstance(event, MessageStarted) and "model" not in self._body:
            self._body["model"] = event.message.get("model")

    def _result(self) -> Rehearsed:
        history = self._engine.history
        failure = history.attempts[0].failure
        shown = len(self._engine.snapshot().get("content", ()))
        last = history.attempts[-1]
        action = "nothing"
        if len(history.attempts) > 1:
            action = "restarts" if last.plan == "restart" else "continues"
        elif history.gave_up is not None:
            action = "gives up"
        elif history.settled or history.stop_added:
            action = "settles" if history.settled else "adds the stop"
        sentence = _DID[action].format(
            form=last.plan.removeprefix("continue (").rstrip(")"), delay_s=last.delay_s, reason=history.gave_up
        )
        return Rehearsed(action, sentence, failure, shown)


def _request(asked: bytes) -> Fields:
    fields = parse(asked) if asked else None
    if isinstance(fields, dict) and isinstance(fields.get("messages"), list):
        return fields
    return {"max_tokens": 4096, "messages": [{"role": "user", "content": "as asked"}]}
