"""What was found out about one stream, as data.

Rule: no contents of request or reply, but for `BlockSeen.tail`, which nothing prints unless it is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from midstream.doctor.diagnose.blocks import BlockSeen
from midstream.doctor.diagnose.rehearsal import Rehearsed
from midstream.doctor.diagnose.stream import Outcome
from midstream.doctor.diagnose.timing import Suspected, Timing
from midstream.doctor.recording.facts import Answered, Finished
from midstream.recovery.failure import Failure


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream ended."""

    byte: int
    """Of the body, counted from the begin of the body: what came before it came whole. For a failure that an event
    brought, where that event begins."""
    event: int
    """The number of the event that is cut there, or that brought the failure, counted from 0; for a complete stream,
    that of its last event."""
    inside: bool = False
    """Inside an event, and not between two."""
    after: str = ""
    """The name of the last whole event before it."""
    block: BlockSeen | None = None
    """The block that was open."""

    def __str__(self) -> str:
        where = f"byte {self.byte:,}, {'inside' if self.inside else 'at'} event {self.event:,}"
        return f"{where}, in {self.block}" if self.block is not None else where


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What became of one stream, and why."""

    outcome: Outcome
    protocol: str
    place: Place
    begin: int = 0
    """The byte of the body where the stream begins: 0, unless others came before it."""
    failure: Failure | None = None
    stop_reason: str | None = None
    refusal_category: str = ""
    stop_missing: str = ""
    """The terminal event that is missing though the content is whole."""
    blocks: tuple[BlockSeen, ...] = field(default=(), repr=False)
    events: int = 0
    pings: int = 0
    behind: int = 0
    """Events behind the end, which no client reads."""
    behind_bytes: int = 0
    """Of an event behind the end that is cut."""
    message_id: str = ""
    model: str = ""
    output_tokens: int | None = None
    finished: Finished | None = None
    head: Answered | None = None
    unframed: bool = False
    timing: Timing | None = None
    suspected: Suspected | None = None
    batched: bool = False
    rehearsed: Rehearsed | None = None
    not_rehearsed: str = ""
    """Why midstream's engine was not asked."""
    foreign: bool = False

    @property
    def healthy(self) -> bool:
        """Complete, and nothing about it needs a change."""
        asked_for = self.stop_reason not in ("max_tokens", "refusal", "model_context_window_exceeded")
        return self.outcome is Outcome.COMPLETE and not self.stop_missing and not self.batched and asked_for

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without contents of the reply."""
        place, failure, finished, rehearsed = self.place, self.failure, self.finished, self.rehearsed
        return {
            "outcome": self.outcome.value,
            "healthy": self.healthy,
            "protocol": self.protocol,
            "begin": self.begin,
            "byte": place.byte,
            "event": place.event,
            "inside_event": place.inside,
            "after_event": place.after or None,
            "block": _block(place.block) if place.block is not None else None,
            "blocks": [_block(block) for block in self.blocks],
            "events": self.events,
            "pings": self.pings,
            "stop_reason": self.stop_reason,
            "stop_missing": self.stop_missing or None,
            "failure": _failure(failure) if failure is not None else None,
            "ended": {"how": finished.how.value, "detail": finished.detail, "code": finished.code}
            if finished
            else None,
            "status": self.head.status if self.head is not None else None,
            "unframed": self.unframed,
            "message_id": self.message_id or None,
            "model": self.model or None,
            "output_tokens": self.output_tokens,
            "timing": _timing(self.timing) if self.timing is not None else None,
            "limit": _suspected(self.suspected) if self.suspected is not None else None,
            "batched": self.batched,
            "midstream": {"action": rehearsed.action, "shown_blocks": rehearsed.shown} if rehearsed else None,
        }


def _block(block: BlockSeen) -> Mapping[str, Any]:
    return {
        "index": block.index,
        "type": block.type,
        "name": block.name or None,
        "id": block.id or None,
        "closed": block.closed,
        "chars": block.chars,
        "input_parses": block.parses,
    }


def _failure(failure: Failure) -> Mapping[str, Any]:
    return {
        "kind": failure.kind.value,
        "phase": failure.phase.value,
        "origin": failure.origin.value,
        "detail": failure.detail,
        "status": failure.status,
        "error_type": failure.error_type,
        "request_id": failure.request_id,
        "retry_after_s": failure.retry_after_s,
    }


def _timing(timing: Timing) -> Mapping[str, Any]:
    return {
        "head_s": timing.head_s,
        "first_byte_s": timing.first_byte_s,
        "last_byte_s": timing.last_byte_s,
        "ended_s": timing.ended_s,
        "silence_s": timing.silence_s,
        "longest_silence_s": timing.longest_silence_s,
        "arrivals": timing.arrivals,
    }


def _suspected(limit: Suspected) -> Mapping[str, Any]:
    known = [{"seconds": one.seconds, "whose": one.whose, "setting": one.setting or None} for one in limit.known]
    return {"kind": limit.kind, "seconds": round(limit.seconds, 3), "known": known}
