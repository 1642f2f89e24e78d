"""What became of a stream that was followed to its end.

Rule: the contract's §3 says what is complete; a failure is called what midstream's engine calls it.
"""

from dataclasses import dataclass, replace

from midstream.doctor.diagnose.diagnosis import Diagnosis, Place
from midstream.doctor.diagnose.fingerprints import hints_of
from midstream.doctor.diagnose.rehearsal import Rehearsal, Rehearsed
from midstream.doctor.diagnose.stream import Outcome, Stream
from midstream.doctor.diagnose.timing import Timing, is_batched, suspected
from midstream.doctor.recording.facts import Answered, Finished, How
from midstream.protocol.dialects import parse
from midstream.recovery.failure import Failure, Kind, Origin

_BEGINS = (b"event:", b"data:", b"id:", b"retry:", b":")
"""How a line of server-sent events begins."""
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class End:
    """How and where a stream ended."""

    finished: Finished
    byte: int
    """So many bytes of the body came, up to here."""
    pending: bytes
    """Those of a frame that had only begun."""
    head: Answered | None
    timing: Timing | None
    after_s: float | None
    """Since the request."""


def judge(stream: Stream, end: End) -> Diagnosis:
    """What became of this stream."""
    stream.followed.conclude()
    rehearsed, why = _rehearsed(stream, end)
    outcome, failure = _outcome(stream, end, rehearsed)
    message, timing, head = stream.followed.message, end.timing, end.head
    whole = outcome is Outcome.COMPLETE and stream.complete
    hints = hints_of(dict(head.headers)) if head is not None else ""
    tokens = message.usage.get("output_tokens")
    return Diagnosis(
        outcome,
        stream.protocol if stream.recognised else "unknown",
        _place(stream, end, outcome),
        begin=stream.begin,
        failure=failure,
        stop_reason=stream.stop_reason,
        refusal_category=str(stream.followed.stop_details.get("category", "")),
        stop_missing="" if whole or outcome is not Outcome.COMPLETE else _missing(stream),
        blocks=tuple(stream.blocks),
        events=stream.events,
        pings=stream.pings,
        behind=stream.behind,
        behind_bytes=len(end.pending) if stream.complete and end.byte > (stream.ended_at or 0) else 0,
        message_id=str(message.started.get("id") or ""),
        model=str(message.started.get("model") or (stream.other.model if stream.other else "")),
        output_tokens=tokens if isinstance(tokens, int) else None,
        finished=end.finished,
        head=head,
        unframed=is_unframed(head),
        timing=timing,
        suspected=suspected(timing, end.finished.how, hints) if timing is not None and not whole else None,
        batched=timing is not None and is_batched(timing, stream.events),
        rehearsed=rehearsed,
        not_rehearsed=why,
        foreign=stream.foreign,
    )


def judge_document(body: bytes, head: Answered | None, finished: Finished, timing: Timing | None) -> Diagnosis:
    """An error of HTTP, or a document in the place of a stream: the engine says what it takes it for."""
    rehearsal = Rehearsal(head)
    rehearsal.feed(body, None)
    rehearsed = rehearsal.end(Finished(How.CLEAN), None)
    assert rehearsed is not None and rehearsed.failure is not None
    failure, outcome = rehearsed.failure, Outcome.ERROR
    if failure.kind is Kind.GARBLED:
        failure, outcome = replace(failure, detail=_kind_of_document(body)), Outcome.NOT_THE_PROTOCOL
    return Diagnosis(
        outcome,
        "no stream",
        Place(0, 0),
        failure=failure,
        finished=finished,
        head=head,
        timing=timing,
        rehearsed=rehearsed,
    )


def is_unframed(head: Answered | None) -> bool:
    """Whether nothing but the end of the connection ends the body of this reply."""
    framed = {"content-length", "transfer-encoding"}
    return head is not None and head.version.startswith("HTTP/1") and not framed & head.headers.keys()


def _rehearsed(stream: Stream, end: End) -> tuple[Rehearsed | None, str]:
    if stream.rehearsal is None:
        return None, "midstream recovers Messages streams; this one it would pass on as it is"
    if end.finished.how in (How.STOPPED, How.DAMAGED) and not stream.settled:
        return None, "it is not known how the stream went on"
    if end.pending:
        stream.rehearsal.feed(end.pending, None)
    rehearsed = stream.rehearsal.end(end.finished, end.after_s)
    return rehearsed, "" if rehearsed is not None else "the recording is longer than what is rehearsed"


def _outcome(stream: Stream, end: End, rehearsed: Rehearsed | None) -> tuple[Outcome, Failure | None]:
    if stream.foreign:
        return Outcome.NOT_THE_PROTOCOL, None
    played = rehearsed.failure if rehearsed is not None else None
    if stream.settled:
        # The engine looks into the calls that the stop reason calls complete; what it waited for is another matter.
        if stream.failure is None and played is not None and played.kind is Kind.GARBLED:
            return Outcome.NOT_THE_PROTOCOL, played
        return Outcome.COMPLETE, stream.failure
    if (failure := stream.failure) is not None:
        garbled = failure.kind in (Kind.GARBLED, Kind.LIMIT)
        return (Outcome.NOT_THE_PROTOCOL if garbled else Outcome.ERROR), failure
    if not stream.recognised and not _may_be_a_begin(end.pending, stream.wire) and end.byte > len(_BOM):
        detail = "nothing in it is an event of a stream"
        return Outcome.NOT_THE_PROTOCOL, Failure(Kind.GARBLED, stream.phase, Origin.PROTOCOL, detail)
    unknown = Failure(Kind.TRUNCATED, stream.phase, Origin.TRANSPORT, "the body ended early")
    return Outcome.TRUNCATED, played or unknown


def _may_be_a_begin(pending: bytes, wire: str) -> bool:
    """Whether a frame that has only begun may be the first of a stream."""
    if wire != "sse":
        return True
    begun = pending.removeprefix(_BOM).lstrip(b" \t\r\n")
    return any(begun.startswith(field) or field.startswith(begun) for field in _BEGINS)


def _missing(stream: Stream) -> str:
    return stream.other.missing if stream.other is not None else "message_stop"


def _place(stream: Stream, end: End, outcome: Outcome) -> Place:
    if outcome is Outcome.COMPLETE and stream.ended_at is not None:
        return Place(stream.ended_at, stream.ended_event)
    if stream.failed_at is not None:
        return Place(stream.failed_at, stream.failed_event, after=stream.before, block=stream.open)
    if outcome is Outcome.NOT_THE_PROTOCOL:
        half = next((block for block in stream.blocks if block.parses is False), None)
        return Place(half.begin if half is not None else stream.begin, 0, block=half)
    return Place(end.byte, stream.events, bool(end.pending), stream.last, stream.open)


def _kind_of_document(body: bytes) -> str:
    begun = body.removeprefix(_BOM).lstrip()
    if begun[:1] == b"<":
        return "a page of HTML or XML came instead of an event stream"
    fields = parse(body)
    if isinstance(fields, dict) and fields.get("type") == "message":
        return "a whole message came instead of a stream: the request did not ask for one, or something collected it"
    if isinstance(fields, dict) and "choices" in fields:
        return "a whole reply of an OpenAI-style API came instead of a stream"
    return "a document came instead of an event stream"
