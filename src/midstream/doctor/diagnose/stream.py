"""One stream inside a body, followed event by event to the place where it ended.

Rule: what counts as complete is the contract's §3, and what a failure is called is `recovery.classify`'s.
"""

from enum import StrEnum

from midstream.doctor.diagnose.blocks import BlockSeen, Followed
from midstream.doctor.diagnose.others import Foreign, Other, fields_of, other_of
from midstream.doctor.diagnose.placed import Placed
from midstream.doctor.diagnose.rehearsal import Rehearsal
from midstream.protocol.dialects import dump
from midstream.protocol.events import BlockGrew, ErrorReported, Event, MessageStarted, Pinged, Unreadable, Unrecognised
from midstream.protocol.message import STEPS, State
from midstream.recovery import classify
from midstream.recovery.failure import Failure, Kind, Origin, Phase


class Outcome(StrEnum):
    """What became of a stream."""

    COMPLETE = "complete"
    TRUNCATED = "truncated"
    ERROR = "error"
    NOT_THE_PROTOCOL = "not the protocol"


WIRES = {"sse": "server-sent events", "eventstream": "AWS event stream"}


class Stream:
    """One stream."""

    def __init__(self, wire: str, begin: int, rehearsal: Rehearsal | None, request_id: str | None) -> None:
        self.wire = wire
        self.begin = begin
        """The byte of the body where it begins."""
        self.followed = Followed()
        self.other: Other | None = None
        self.events = 0
        """Whole events that came, comments not counted."""
        self.pings = 0
        self.last = self.before = ""
        """The names of the last event, and of the one before it."""
        self.failure: Failure | None = None
        self.failed_at: int | None = None
        """The byte at which the event stands that is, or brought, the failure."""
        self.failed_event = 0
        self.ended_at: int | None = None
        """The byte behind its terminal event."""
        self.ended_event = 0
        self.behind = 0
        """Events behind its end that mean something, though nobody reads them."""
        self.recognised = False
        """Something came that only such a stream has."""
        self.rehearsal = rehearsal
        self._request_id = request_id
        self._raws: list[bytes] = []

    @property
    def complete(self) -> bool:
        """Whether its terminal event came."""
        return self.ended_at is not None

    @property
    def settled(self) -> bool:
        """Whether its content is whole, as its stop reason is known."""
        return self.other.settled if self.other is not None else self.followed.message.stop_reason is not None

    @property
    def stop_reason(self) -> str | None:
        return self.other.stop_reason if self.other is not None else self.followed.message.stop_reason

    @property
    def blocks(self) -> list[BlockSeen]:
        return self.other.blocks if self.other is not None else self.followed.blocks

    @property
    def open(self) -> BlockSeen | None:
        return self.other.open if self.other is not None else self.followed.open

    @property
    def protocol(self) -> str:
        """Which API it is of, and its framing."""
        return f"{self.other.protocol if self.other is not None else 'Messages'}, {WIRES[self.wire]}"

    @property
    def begun(self) -> bool:
        """Whether its message has begun."""
        return self.other is not None or self.followed.message.state is not State.EMPTY

    @property
    def phase(self) -> Phase:
        """How far it had come."""
        if self.settled:
            return Phase.SETTLED
        return (Phase.SHOWING if self.blocks else Phase.STARTED) if self.begun else Phase.WAITING

    def takes(self, event: Event | Unreadable) -> bool:
        """Whether this event is still of this stream, and not the first of another behind it."""
        if type(event) is BlockGrew:
            return True
        if not (self.complete or self.failure is not None):
            return not (isinstance(event, MessageStarted) and self.begun and self._is_other(event))
        if isinstance(event, Unrecognised):
            return event.name not in ("messageStart", "completion")
        return not isinstance(event, MessageStarted)

    def _is_other(self, event: MessageStarted) -> bool:
        id = self.followed.message.started.get("id")
        return bool(id) and event.message.get("id") not in (None, id)

    def take(self, placed: Placed) -> None:
        """Adds one event."""
        event, begin, raw = placed
        if type(event) is BlockGrew and self.failure is None and not self.complete and self.other is None:
            # Nine of ten events; everything below would come to the same.
            self.events += 1
            self.before, self.last = self.last, "content_block_delta"
            self.recognised = True
            self._raws.append(raw)
            if (problem := self.followed.receive(event, begin)) is not None:
                self._fail(problem, begin)
            return
        if not isinstance(event, Unreadable) and not (isinstance(event, Unrecognised) and not event.name):
            self.events += 1
            if not self.complete and self.failure is None:
                self.before, self.last = self.last, name_of(event)
        if self.complete or self.failure is not None:
            self.behind += isinstance(event, (*STEPS, ErrorReported))
            return
        self._raws.append(raw)
        failure = self._weigh(event, begin)
        if failure is not None:
            self._fail(failure, begin, whole=not isinstance(event, Unreadable))
        elif self.begun and self._has_ended():
            self.ended_at, self.ended_event = begin + len(raw), self.events - 1

    def rehearse(self, after_s: float | None) -> None:
        """What was taken since the last time came then: midstream's engine is told, chunk by chunk."""
        raws, self._raws = self._raws, []
        if self.rehearsal is not None and raws:
            self.rehearsal.feed(b"".join(raws), after_s)

    def _fail(self, failure: Failure | str, begin: int, *, whole: bool = True) -> None:
        """This event is, or brought, the failure; one that cannot be read was not counted."""
        if isinstance(failure, str):
            failure = Failure(Kind.GARBLED, self.phase, Origin.PROTOCOL, failure)
        self.failure, self.failed_at = failure, begin
        self.failed_event = max(0, self.events - whole)

    def _has_ended(self) -> bool:
        if self.other is not None:
            return self.other.ended
        return self.followed.message.state is State.COMPLETE

    def _weigh(self, event: Event | Unreadable, begin: int) -> Failure | str | None:
        """Adds one event, or says what is wrong with it."""
        match event:
            case Unreadable():
                kind = Kind.LIMIT if event.too_large else Kind.GARBLED
                return Failure(kind, self.phase, Origin.PROTOCOL, event.detail)
            case ErrorReported():
                self.recognised = True
                return self._reported(event)
            case Pinged():
                self.recognised = True
                self.pings += 1
            case Unrecognised():
                self._unrecognised(event, begin)
            case _:
                self.recognised = True
                if self.other is None:
                    return self.followed.receive(event, begin)
        return None

    def _unrecognised(self, event: Unrecognised, begin: int) -> None:
        if not event.name:  # a comment, or a line of anything
            self.recognised = self.recognised or event.raw.startswith(b":")
            return
        if self.other is None and not self.begun:
            self.other = other_of(event)
            if self.other is not None:
                self.rehearsal = None
        if self.other is not None:
            self.recognised = True
            self.other.take(event.name, fields_of(event), begin)

    def _reported(self, event: ErrorReported) -> Failure:
        if event.exception is None:
            return classify.from_error_event(event.fields, self.phase, self._request_id)
        payload = event.payload or dump(event.fields)
        return classify.from_exception_frame(event.exception, payload, self.phase, self._request_id)

    @property
    def foreign(self) -> bool:
        """Whether it is of another service."""
        return isinstance(self.other, Foreign)


def name_of(event: Event | Unreadable) -> str:
    """An event's name on the wire."""
    if isinstance(event, Unrecognised):
        return event.name
    return _NAMES.get(type(event).__name__, "")


_NAMES = {
    "MessageStarted": "message_start",
    "BlockStarted": "content_block_start",
    "BlockGrew": "content_block_delta",
    "BlockStopped": "content_block_stop",
    "MessageStopping": "message_delta",
    "MessageStopped": "message_stop",
    "Pinged": "ping",
    "ErrorReported": "error",
}
