"""What was seen, as a `Failure`.

Rule: nothing that a remote sends makes these raise; what cannot be understood is left out. The tables are `failure`'s.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from midstream.recovery.failure import (
    AWS_EXCEPTIONS,
    BREAKS,
    ERROR_CODES,
    ERROR_TYPES,
    Failure,
    Kind,
    Origin,
    Phase,
    kind_of_status,
)

# The deepest nesting of an error body that is kept. The API's bodies nest four deep; far below the limit at which
# copying, pickling or printing the exception that carries the body would fail.
BODY_DEPTH_MAX = 64
# A clause for a person; the longest that our own drivers make has about 150 characters.
DETAIL_CHARS_MAX = 300

_AWS_BY_LOWER_NAME = {name.lower(): meaning for name, meaning in AWS_EXCEPTIONS.items()}
_WORD = re.compile(r"[A-Za-z0-9_.:#/-]{1,100}")
_REQUEST_ID = re.compile(r"[!-~]{1,256}")
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# RFC 9110 §5.6.7: IMF-fixdate, the only form that a sender may still generate.
_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) (" + "|".join(_MONTHS) + r") ([0-9]{4}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)


def from_status(
    status: int, headers: Mapping[str, str], body: bytes, phase: Phase, *, now_unix_s: float | None = None
) -> Failure:
    """An HTTP error in the place of a stream.

    Header names are in lower case. The body may be Anthropic's envelope, Google's or AWS's, a proxy's HTML, anything.
    Without ``now_unix_s`` a ``retry-after`` that is a date counts for nothing.
    """
    said = _said(_json_or_text(body))
    aws_name = _aws_name(headers.get("x-amzn-errortype", "")) or said.aws_name
    kind = ERROR_CODES.get((status, said.error_code or ""))
    if kind is None:
        kind = _kind_of_aws(aws_name, said.original_status) or kind_of_status(status)
    error_type = said.error_type or aws_name
    return _failure(
        kind,
        phase,
        said,
        detail=f"HTTP {status}{_named(error_type)}",
        status=status,
        error_type=error_type,
        retry_after_s=_retry_after_s(headers, now_unix_s),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower()),
        request_id=request_id_of(headers) or said.request_id,
    )


def from_error_event(error: Mapping[str, object], phase: Phase, request_id: str | None = None) -> Failure:
    """An error inside the stream: ``{"type":"error","error":{…}}``, ``{"error":{…}}`` or ``{"message":…}``.

    ``error.type`` decides; where it says nothing that is known, a numeric ``error.code``; otherwise SERVER_ERROR.
    """
    said = _said(error)
    kind, status = _kind_of_event(said)
    return _failure(
        ERROR_CODES.get((status, said.error_code or ""), kind),
        phase,
        said,
        detail=f"error event{_named(said.error_type)}",
        status=status,
        error_type=said.error_type,
        request_id=request_id or said.request_id,
    )


def from_exception_frame(
    name: str, payload: bytes, phase: Phase, request_id: str | None = None, *, message: str | None = None
) -> Failure:
    """An exception or error frame of an AWS event stream.

    ``name`` is its ``:exception-type`` or ``:error-code``; ``message`` the ``:error-message`` of an error frame, whose
    payload is empty.
    """
    said = _said(_json_or_text(payload))
    if said.message is None:
        said = said._replace(message=message)
    kind, status = _AWS_BY_LOWER_NAME.get((_aws_name(name) or "").lower(), (Kind.SERVER_ERROR, 500))
    if _goes_by_original(name) and said.original_status is not None:
        kind, status = kind_of_status(said.original_status), said.original_status
    return _failure(
        kind,
        phase,
        said,
        detail=f"exception frame{_named(name)}",
        status=status,
        error_type=name,
        request_id=request_id or said.request_id,
    )


def from_broke(reason: str, detail: str, phase: Phase) -> Failure:
    """The transport failed (`steps.Broke`). An unknown reason goes by the phase."""
    unknown = Kind.UNREACHABLE if phase is Phase.CONNECTING else Kind.DISCONNECTED
    return Failure(
        BREAKS.get(reason, unknown),
        phase,
        Origin.TRANSPORT,
        detail=(f"{reason}: {detail}" if detail else reason)[:DETAIL_CHARS_MAX],
        certificate=reason == "certificate",
        connect_timeout=reason == "connect_timeout",
    )


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """The id of one HTTP attempt, as the service, AWS or a proxy named it. Header names are in lower case."""
    for name in ("request-id", "x-amzn-requestid", "x-request-id"):
        request_id = _request_id(headers.get(name))
        if request_id is not None:
            return request_id
    return None


class _Said(NamedTuple):
    """What an error body says, each field only if it has the type that it should have."""

    body: object
    error_type: str | None = None
    error_code: str | None = None
    message: str | None = None
    code: int | None = None
    request_id: str | None = None
    aws_name: str | None = None
    original_status: int | None = None
    original_message: str | None = None
    exhausted: bool = False


def _said(body: object) -> _Said:
    outer = _mapping(body)
    error = _mapping(outer.get("error"))
    midstream = _mapping(error.get("midstream"))
    return _Said(
        body=body if _is_shallow(body) else None,
        error_type=_text(error.get("type")) or _text(error.get("status")),
        error_code=_text(_mapping(error.get("details")).get("error_code")),
        message=_first_text(error.get("message"), outer.get("message"), outer.get("Message"), outer.get("error")),
        code=_status(error.get("code")),
        request_id=_request_id(outer.get("request_id")),
        aws_name=_aws_name(_text(outer.get("__type")) or ""),
        original_status=_status(outer.get("originalStatusCode")),
        original_message=_text(outer.get("originalMessage")),
        exhausted=midstream.get("exhausted") is True,
    )


def _failure(
    kind: Kind,
    phase: Phase,
    said: _Said,
    *,
    detail: str,
    status: int,
    error_type: str | None,
    request_id: str | None,
    retry_after_s: float | None = None,
    should_retry: bool | None = None,
) -> Failure:
    origin = {Kind.REJECTED: Origin.CLIENT, Kind.GARBLED: Origin.PROTOCOL}.get(kind, Origin.SERVICE)
    return Failure(
        kind,
        phase,
        origin,
        detail=detail,
        status=status,
        error_type=error_type,
        error_code=said.error_code,
        api_message=said.message,
        body=said.body,
        retry_after_s=retry_after_s,
        should_retry=should_retry,
        exhausted=said.exhausted,
        request_id=request_id,
        original_status=said.original_status,
        original_message=said.original_message,
    )


def _kind_of_event(said: _Said) -> tuple[Kind, int]:
    """A gateway may have put the name of an AWS exception where the API has its ``error.type``."""
    name = said.error_type or ""
    known = ERROR_TYPES.get(name) or _AWS_BY_LOWER_NAME.get((_aws_name(name) or "").lower())
    if known is not None:
        return known
    if said.code is not None:
        return kind_of_status(said.code), said.code
    return Kind.SERVER_ERROR, 500


def _kind_of_aws(name: str | None, original_status: int | None) -> Kind | None:
    if name is None:
        return None
    if _goes_by_original(name) and original_status is not None:
        return kind_of_status(original_status)
    kind, _ = _AWS_BY_LOWER_NAME.get(name.lower(), (None, None))
    return kind


def _goes_by_original(name: str) -> bool:
    """Whether this exception only wraps an error of the model, whose own status decides."""
    return (_aws_name(name) or "").lower() in {"modelstreamerrorexception", "modelerrorexception"}


def _aws_name(text: str) -> str | None:
    """The bare name in ``com.amazon.coral#Name``, ``Name:http://…``, ``Name`` (AWS restJson1, "Operation errors")."""
    return text.partition(":")[0].rpartition("#")[2].strip() or None


def _named(word: str | None) -> str:
    """A remote's word for a detail, which is logged: only if it is a word, not somebody's text."""
    if word is None:
        return ""
    return f" {word}" if _WORD.fullmatch(word) else " of a type that is not a plain word"


def _retry_after_s(headers: Mapping[str, str], now_unix_s: float | None) -> float | None:
    """The wait that the server asked for; in the SDK's order, and as there only if it is positive."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        value = float(text) * unit_s if _SECONDS.fullmatch(text) else 0.0
        if 0 < value < math.inf:
            return value
    until_unix_s = _unix_s_of_date(headers.get("retry-after", "").strip())
    if until_unix_s is None or now_unix_s is None:
        return None
    wait_s = until_unix_s - now_unix_s
    return wait_s if 0 < wait_s < math.inf else None


def _unix_s_of_date(text: str) -> float | None:
    match = _HTTP_DATE.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second = match.groups()
    try:
        moment = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
    except ValueError:  # the 31st of February
        return None
    return moment.timestamp()


def _json_or_text(body: bytes) -> object:
    """As the SDK does: decoded JSON, or the text where it is none."""
    try:
        decoded: object = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # msgspec's errors, and those of UTF-8, are ValueErrors
        return body.decode(errors="replace")
    return decoded


def _is_shallow(value: object) -> bool:
    layer = [value]
    for _ in range(BODY_DEPTH_MAX):
        layer = [inner for outer in layer for inner in _children(outer)]
        if not layer:
            return True
    return False


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return [inner for inner in value.values() if isinstance(inner, dict | list)]
    if isinstance(value, list):
        return [inner for inner in value if isinstance(inner, dict | list)]
    return []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _first_text(*values: object) -> str | None:
    return next((value for value in values if isinstance(value, str)), None)


def _status(value: object) -> int | None:
    """An error status as a number, or as gateways spell it: in quotes. Anything else says nothing."""
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and 400 <= value <= 599 else None


def _request_id(value: object) -> str | None:
    return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else None
