"""Errors in the words of the API that the client speaks.

Rule: what something means is decided in `recovery.classify`, once; here is only how each API spells it. Total: any body
goes in, and what says nothing that is known stays as it is, as far as the client's API allows.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from midstream.gateway.http.heads import Headers, first
from midstream.protocol import eventstream
from midstream.protocol.dialects import dump
from midstream.recovery.classify import from_status
from midstream.recovery.failure import AWS_EXCEPTIONS, ERROR_TYPES, Failure, Kind, Phase, status_of

MESSAGE_CHARS_MAX = 64 << 10
"""Of a message that goes into an exception frame: as much as a proxy's whole error page. The rest is dropped."""

EXTRA_BYTES_MAX = 1 << 20
"""Of what else goes into one: the largest error body that is kept (`Policy.error_body_bytes_max`)."""

# Inverse to the tables of `failure`: what each API calls a kind. Where a kind has several names, the one that every
# client of that API knows.
_TYPE_OF_KIND = {
    Kind.OVERLOADED: "overloaded_error",
    Kind.RATE_LIMITED: "rate_limit_error",
    Kind.TIMED_OUT: "timeout_error",
}
# Google's names are in upper case; what is said of memory is said of nothing else.
_TYPE_OF_STATUS = {
    status: name for name, (_, status) in ERROR_TYPES.items() if name.islower() and not name.startswith("memory_")
}
_EXCEPTION_OF_KIND = {
    Kind.OVERLOADED: "ServiceUnavailableException",
    Kind.RATE_LIMITED: "ThrottlingException",
    Kind.TIMED_OUT: "ModelTimeoutException",
}
_EXCEPTION_OF_STATUS = {
    401: "AccessDeniedException",
    402: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
}
# Said of the bytes of a body that is written anew.
_OF_THE_BODY = frozenset((b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"))


def to_messages(status: int, headers: Headers, body: bytes) -> tuple[int, Headers, bytes]:
    """An error of AWS's, Google's or Azure's → the Messages API's envelope. An envelope, and what is none, stays."""
    said = _first_object(body)
    if said is None or is_envelope(body):
        return status, headers, body
    failure = _failure(status, headers, dump(said))
    told = _status(failure)
    error_type = _TYPE_OF_KIND.get(failure.kind) or _TYPE_OF_STATUS.get(told)
    error_type = error_type or ("invalid_request_error" if told < 500 else "api_error")
    envelope: dict[str, Any] = {"type": "error", "error": {"type": error_type, "message": _message(failure)}}
    kept = _of_other_body(headers)
    if failure.request_id is not None:
        envelope["request_id"] = failure.request_id
        if first(headers, b"request-id") is None:
            kept.append((b"request-id", failure.request_id.encode()))
    return told, kept, dump(envelope)


def to_bedrock(status: int, headers: Headers, body: bytes) -> tuple[int, Headers, bytes]:
    """An error of any of the others → AWS's: the exception's name in a header, ``message`` in the body."""
    if first(headers, b"x-amzn-errortype") is not None:
        return status, headers, body
    failure = _failure(status, headers, body)
    name = exception_name(failure)
    kept = [*_of_other_body(headers), (b"x-amzn-errortype", name.encode())]
    if failure.request_id is not None and first(headers, b"x-amzn-requestid") is None:
        kept.append((b"x-amzn-requestid", failure.request_id.encode()))
    return AWS_EXCEPTIONS[name][1], kept, dump({"message": _message(failure)})


def exception_name(failure: Failure) -> str:
    """What Bedrock calls a failure, the inverse of the contract's §5. ``error_type`` of AWS's own names stays."""
    if failure.error_type is not None and failure.error_type in AWS_EXCEPTIONS:
        return failure.error_type
    if (known := _EXCEPTION_OF_KIND.get(failure.kind)) is not None:
        return known
    if failure.kind is Kind.REJECTED:
        return _EXCEPTION_OF_STATUS.get(failure.status or 400, "ValidationException")
    return "InternalServerException"


def error_frame(error_type: str, message: str, extra: Mapping[str, Any] | None = None) -> bytes:
    """An error inside a stream, for a client that speaks Bedrock: the exception frame that stands for ``error.type``.

    Bedrock knows six exceptions in a stream; what was refused is its ``validationException``, whatever the reason.
    ``extra`` are further members of the payload, such as midstream's mark that its attempts are used up.
    """
    kind, _ = ERROR_TYPES.get(error_type) or AWS_EXCEPTIONS.get(error_type) or (Kind.SERVER_ERROR, 500)
    name = _EXCEPTION_OF_KIND.get(kind, "ValidationException" if kind is Kind.REJECTED else "InternalServerException")
    text = message[:MESSAGE_CHARS_MAX]
    payload = _dumped({**(extra or {}), "message": text})
    if payload is None or len(payload) > EXTRA_BYTES_MAX:
        payload = dump({"message": text})
    headers: dict[str, eventstream.HeaderValue] = {
        ":exception-type": name[0].lower() + name[1:],
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return eventstream.encode(headers, payload)


def _dumped(value: object) -> bytes | None:
    try:
        return dump(value)
    except (TypeError, ValueError, RecursionError):
        return None


def _failure(status: int, headers: Headers, body: bytes) -> Failure:
    named = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(headers)}
    return from_status(status, named, body, Phase.WAITING)


def _status(failure: Failure) -> int:
    """The status of the Messages API. It has none of Bedrock's 424, which says that the model failed."""
    status = status_of(failure) or 500
    return 500 if status == 424 or not 400 <= status <= 599 else status


def _message(failure: Failure) -> str:
    """The service's own words: clients match on them. Where it has none, the name of what it reported."""
    return failure.api_message or failure.error_type or f"The upstream answered with the status {failure.status}."


def _first_object(body: bytes) -> dict[str, Any] | None:
    """The object that the body is, or the first in its list: Google answers so where it was asked for a stream."""
    try:
        said = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(said, list) and said:
        said = said[0]
    return said if isinstance(said, dict) else None


def is_envelope(body: bytes) -> bool:
    """Whether an error is in the words of the Messages API."""
    said = _first_object(body) or {}
    error = said.get("error")
    return said.get("type") == "error" and isinstance(error, dict) and isinstance(error.get("type"), str)


def _of_other_body(headers: Headers) -> Headers:
    return [*(pair for pair in headers if pair[0] not in _OF_THE_BODY), (b"content-type", b"application/json")]
