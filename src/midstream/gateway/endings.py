"""How a failed stream is told to its consumer: as an answer of its own, as long as nothing was sent, or as an event.

Rule: never a clean end, never a forged one; what is said is true, and marked, so that a midstream further down does not
try again what was tried here.
"""

from dataclasses import dataclass
from typing import Any

from midstream.gateway.http.heads import Headers, first
from midstream.protocol.dialects import dump
from midstream.protocol.events import Fields
from midstream.recovery.failure import ERROR_TYPES, Failure, Kind, status_of
from midstream.reports import Report, sentence

JSON_BODY = (b"content-type", b"application/json")
"""The header of every answer of midstream's own."""

_TRANSPORT_STATUSES = {
    Kind.SILENT: 504,
    Kind.STALLED: 504,
    Kind.TRUNCATED: 502,
    Kind.DISCONNECTED: 502,
    Kind.UNREACHABLE: 502,
    Kind.GARBLED: 502,
    Kind.LIMIT: 502,
}
"""What a gateway answers when it got no right answer itself (RFC 9110, 15.6.3 and 15.6.5)."""

_TYPES = {
    **{status: name for name, (_, status) in reversed(list(ERROR_TYPES.items())) if name.islower()},
    400: "invalid_request_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    408: "timeout_error",
    409: "conflict_error",
    405: "invalid_request_error",
    410: "not_found_error",
    431: "invalid_request_error",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer instead of a stream."""

    status: int
    headers: Headers
    body: bytes


def error_type(status: int) -> str:
    """``error.type`` for a status of midstream's own."""
    return _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def envelope(status: int, message: str, *, type: str | None = None, **more: Any) -> bytes:
    """The API's error envelope."""
    return dump({"type": "error", "error": {"type": type or error_type(status), "message": message, **more}})


def refusal(status: int, message: str, headers: Headers | None = None, **more: Any) -> Refusal:
    """An error of midstream's own."""
    return Refusal(
        status, [(b"content-type", b"application/json"), *(headers or [])], envelope(status, message, **more)
    )


def failed_status(failure: Failure) -> int:
    """The status for a failure that had none of its own."""
    if failure.kind in _TRANSPORT_STATUSES:
        return _TRANSPORT_STATUSES[failure.kind]
    return status_of(failure) or 500


def error_of(failure: Failure, report: Report, stream_id: str) -> Fields:
    """The ``error`` event of a failed stream. ``midstream.exhausted`` tells a midstream further down to give up."""
    known = failure.error_type is not None and failure.error_type in ERROR_TYPES
    kind = failure.error_type if known else error_type(failed_status(failure))
    said = failure.api_message if failure.kind is Kind.REJECTED and failure.api_message else sentence(failure, report)
    error: Fields = {"type": kind, "message": said}
    if isinstance(failure.body, dict) and isinstance(theirs := failure.body.get("error"), dict) and "details" in theirs:
        error["details"] = theirs["details"]
    error["midstream"] = {
        "exhausted": True,
        "kind": str(failure.kind),
        "phase": str(failure.phase),
        "stream": stream_id,
    }
    fields: Fields = {"type": "error", "error": error}
    if failure.request_id:
        fields["request_id"] = failure.request_id
    return fields


def answer_of(failure: Failure, report: Report, stream_id: str) -> Refusal:
    """The answer for a stream that failed before anything was sent, and without an answer of the upstream's."""
    headers: Headers = [JSON_BODY, (b"x-should-retry", b"false")]
    if failure.request_id:
        headers.append((b"request-id", failure.request_id.encode("latin-1", "replace")))
    if failure.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(0, round(failure.retry_after_s))))
    return Refusal(failed_status(failure), headers, dump(error_of(failure, report, stream_id)))


def exhausted(answer: Refusal) -> Refusal:
    """The upstream's own answer, after which a client need not try again: midstream has."""
    if first(answer.headers, b"x-should-retry") is not None:
        kept = [(name, value) for name, value in answer.headers if name != b"x-should-retry"]
    else:
        kept = answer.headers
    return Refusal(answer.status, [*kept, (b"x-should-retry", b"false")], answer.body)
