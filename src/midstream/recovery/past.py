"""What a journal knows of a stream whose process is gone, and what that comes to.

Rule: folds what was shown and reads what was noted. What to do with it is the engine's business, and to the engine it
is a connection that was cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from midstream.protocol.dialects import Anthropic, Bedrock, Dialect
from midstream.protocol.events import BlockGrew, BlockStarted, ErrorReported, Fields, MessageStarted, Pinged, Unreadable
from midstream.protocol.framing import is_sse
from midstream.protocol.message import Block, Message
from midstream.recovery import classify
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.history import AttemptRecord, fit
from midstream.recovery.standing import Standing


class BrokenPast(ValueError):
    """What was recorded of a stream is no beginning of a message: nobody can go on from there."""


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """One attempt that an earlier process began."""

    upstream: int | None = 0
    """Where it went, as an index of today's upstreams; ``None`` if that one is there no more."""
    shown: bytes = field(default=b"", repr=False)
    """The frames that the consumer was shown while it was the last attempt, whole, in the consumer's framing. What one
    step gave must be recorded as one: a reply that was recorded half held cannot be repaired."""
    plan: str = ""
    """As its `AttemptRecord` said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is known of a stream."""

    attempts: Sequence[PastAttempt] = ()
    """All that were begun, in order."""
    facts: Sequence[Fields] = ()
    """What the engines before this one had in `Engine.facts`."""
    slept_s: float = 0.0
    """What `History.slept_s` said."""
    elapsed_s: float = 0.0
    """How long the stream has lasted, on the engine's clock; the time between the processes not counted."""
    shown_live: bool = False
    """What `History.shown_live` said."""


@dataclass(slots=True)
class Folded:
    """What a past comes to."""

    standing: Standing = field(default_factory=Standing)
    records: list[AttemptRecord] = field(default_factory=list)
    dialect: Dialect = field(default_factory=Anthropic)
    """The consumer's."""
    extensions: int = 0
    pings: int = 0
    shown_live: bool = False
    error: Failure | None = None
    """The consumer was shown an error, so the stream has ended."""
    showed: set[int] = field(default_factory=set)
    """The numbers of the attempts of which something was shown."""


def fold(past: Past) -> Folded:
    """What was shown as a message, with what is known beyond it. Raises `BrokenPast`."""
    folded = Folded(shown_live=past.shown_live)
    begun = next((attempt.shown for attempt in past.attempts if attempt.shown), b"")
    if begun and not is_sse(begun[: int.from_bytes(begun[:4], "big")]):
        folded.dialect = Bedrock()
    for number, attempt in enumerate(past.attempts, 1):
        plan = attempt.plan or ("first" if number == 1 else "restart")
        record = AttemptRecord(number, plan, 0.0, 0.0, upstream=attempt.upstream)
        folded.records.append(record)
        folded.standing.attempts += 1
        _add_shown(folded, record, attempt.shown)
    if folded.dialect.pending:
        raise BrokenPast("what was recorded of the stream ends inside a frame")
    for fact in past.facts:
        _read_fact(folded, fact)
    return folded


def _add_shown(folded: Folded, record: AttemptRecord, shown: bytes) -> None:
    standing, message = folded.standing, folded.standing.shown
    for event in folded.dialect.receive(shown) if shown else ():
        if isinstance(event, Unreadable):
            raise BrokenPast(f"what was recorded of the stream cannot be read: {event.detail}")
        if (problem := message.receive(event)) is not None:
            raise BrokenPast(f"what was recorded of the stream is no message: {problem}")
        folded.pings += isinstance(event, Pinged)
        if isinstance(event, MessageStarted):
            _note_start(record, message)
        elif isinstance(event, ErrorReported):
            folded.error = classify.from_error_event(event.fields, phase_of(message), None)
        record.showed = record.showed or isinstance(event, BlockStarted | BlockGrew) or bool(message.stop_reason)
    standing.makers += (record.upstream,) * (len(message.blocks) - len(standing.makers))
    if record.showed:
        if not standing.usages:
            standing.usages = (message.usage,)
        standing.attempts, standing.stop_held = 1, None
        folded.showed.add(record.number)


def _note_start(record: AttemptRecord, message: Message) -> None:
    fields = message.started
    record.showed = bool(message.blocks)
    record.usage = message.usage
    record.message_id, record.model = _text(fields, "id"), _text(fields, "model")


def _text(fields: Fields, name: str) -> str | None:
    return fit(fields.get(name)) or None


def _read_fact(folded: Folded, fact: Fields) -> None:
    standing, first = folded.standing, min(folded.showed, default=None)
    match fact:
        case {"fact": "mcp_call", "id": id, "name": str(name)}:
            if all(fit(block.id) != id for block in standing.shown.blocks):
                standing.lost_call = standing.lost_call or name
        case {"fact": "container", "attempt": number, "id": str(id)} if number in folded.showed:
            standing.container = standing.container or id
        case {"fact": "block", "attempt": int(number), "type": str(type)} if first is not None and number >= first:
            caller = "direct" if fact.get("direct", True) else "program"
            block = Block(0, {"type": type, "name": fact.get("name"), "caller": {"type": caller}})
            standing.received = (*standing.received, block)
            standing.homebound = True
        case {"fact": "shown_live"}:
            folded.shown_live = True
        case {"fact": "extended", "attempt": int(number), "paid_bytes": int(paid_bytes), "stop": dict(stop)}:
            folded.extensions += 1
            standing.paid_bytes = paid_bytes
            standing.stop_held = stop if number >= max(folded.showed, default=0) else None


def phase_of(shown: Message) -> Phase:
    """How far a stream had come of which this was shown."""
    if shown.stop_reason is not None:
        return Phase.SETTLED
    return Phase.SHOWING if shown.blocks else Phase.STARTED


def crash(shown: Message) -> Failure:
    """What an attempt died of whose process died."""
    return Failure(Kind.DISCONNECTED, phase_of(shown), Origin.CLIENT, "the process that served the stream ended")
