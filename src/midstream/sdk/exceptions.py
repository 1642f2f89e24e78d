"""A failure as the SDK's own exception: an instance of `StreamError` and of the most specific class of the SDK.

Rule: which class a failure becomes stands in one table; no exception holds a credential or the request's body.
"""

import json
from functools import cache
from typing import Any, TypeAlias, get_args

import anthropic
import httpx2

from midstream.errors import StreamError
from midstream.recovery.failure import Failure, Kind, status_of
from midstream.reports import Report, sentence

_PLAIN: dict[Kind, type[anthropic.APIError]] = {
    Kind.TRUNCATED: anthropic.APIConnectionError,
    Kind.DISCONNECTED: anthropic.APIConnectionError,
    Kind.UNREACHABLE: anthropic.APIConnectionError,
    Kind.SILENT: anthropic.APITimeoutError,
    Kind.STALLED: anthropic.APITimeoutError,
    Kind.GARBLED: anthropic.APIResponseValidationError,
    Kind.LIMIT: anthropic.APIResponseValidationError,
}
"""Kinds that do not stand for a status. The rest go by their status (the contract, §5)."""

_BY_STATUS: dict[int, str] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    402: "PaymentRequiredError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    408: "RequestTimeoutError",
    409: "ConflictError",
    412: "PreconditionFailedError",
    413: "ContentTooLargeError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    431: "RequestHeaderFieldsTooLargeError",
    499: "ClientClosedRequestError",
    501: "HTTPNotImplementedError",
    503: "ServiceUnavailableError",
    504: "GatewayTimeoutError",
    529: "OverloadedError",
}
"""The SDK's classes. Source: ``anthropic/_exceptions.py``; a version that lacks one has the more general one."""

Received: TypeAlias = tuple[dict[str, Any], list[dict[str, Any]]]
"""What was shown, and what was not."""


_NOT_KEPT = frozenset({"content-encoding", "content-length", "transfer-encoding", "set-cookie"})
"""Headers that describe bytes which are gone, or that let somebody in."""


def stream_error(
    failure: Failure,
    partial: dict[str, Any],
    unshown: list[dict[str, Any]],
    report: Report,
    response: httpx2.Response,
) -> StreamError:
    """The exception for a failed stream.

    ``response`` is that of the last attempt (or a stand-in, where there was none): its headers and its URL are kept,
    the request's headers and body are not.
    """
    return _make(sdk_class(failure), failure, (partial, unshown), report, _detached(response, failure))


def sdk_class(failure: Failure) -> type[anthropic.APIError]:
    """The most specific class of the SDK for this failure."""
    if failure.connect_timeout:
        return anthropic.APITimeoutError
    plain = _PLAIN.get(failure.kind)
    if plain is not None:
        return plain
    status = status_of(failure) or 500
    is_theirs = status >= 500 or failure.kind is Kind.SERVER_ERROR
    general: type[anthropic.APIError] = anthropic.InternalServerError if is_theirs else anthropic.APIStatusError
    found = getattr(anthropic, _BY_STATUS.get(status, ""), general)
    return _with_code(found, failure.error_code) if failure.error_code else found


def _with_code(found: type[anthropic.APIError], code: str) -> type[anthropic.APIError]:
    """The subclass for an ``error_code``: the SDK declares the code as a ``Literal`` on each."""
    for candidate in found.__subclasses__():
        if not issubclass(candidate, StreamError) and code in get_args(candidate.__annotations__.get("error_code")):
            return candidate
    return found


@cache
def _combined(found: type[anthropic.APIError]) -> type[StreamError]:
    """The SDK's class and `StreamError` in one. Named like the SDK's: that is what people look for in a traceback."""
    body = {"__doc__": f"A stream failed: `StreamError` and ``anthropic.{found.__name__}``.", "__reduce__": _reduce}
    return type(found.__name__, (StreamError, found), {**body, "__module__": "midstream"})


def _make(
    found: type[anthropic.APIError],
    failure: Failure,
    received: Received,
    report: Report,
    response: httpx2.Response,
) -> StreamError:
    partial, unshown = received
    message = f"{sentence(failure, report)}; {_kept(partial)}"
    combined = _combined(found)  # type: ignore[arg-type]
    error = combined.__new__(combined)
    if issubclass(found, anthropic.APIStatusError):
        found.__init__(error, message, response=response, body=failure.body)  # type: ignore[arg-type]
        error.api_message = failure.api_message  # type: ignore[attr-defined]
    elif issubclass(found, anthropic.APIResponseValidationError):
        found.__init__(error, response, failure.body, message=message)  # type: ignore[arg-type]
    else:
        anthropic.APIError.__init__(error, message, response.request, body=failure.body)  # type: ignore[arg-type]
    error.args = (message,)
    error.message = message  # type: ignore[attr-defined]
    error.request_id = failure.request_id or error.request_id
    error.type = failure.error_type or error.type
    error.failure, error.partial, error.report, error.unshown = failure, partial, report, unshown
    return error


def _reduce(error: Any) -> tuple[Any, ...]:
    found = next(base for base in type(error).__bases__ if base is not StreamError)
    response = getattr(error, "response", None)
    status = None if response is None else response.status_code
    headers = [] if response is None else response.headers.multi_items()
    received = (error.partial, error.unshown)
    return _rebuild, (found, error.failure, received, error.report, status, headers, str(error.request.url))


def _rebuild(
    found: type[anthropic.APIError],
    failure: Failure,
    received: Received,
    report: Report,
    status: int | None,
    headers: list[tuple[str, str]],
    url: str,
) -> StreamError:
    response = httpx2.Response(status or 200, headers=headers, request=httpx2.Request("POST", url))
    return _make(found, failure, received, report, _detached(response, failure))


def _detached(response: httpx2.Response, failure: Failure) -> httpx2.Response:
    """The response without its stream, and with a request that holds no credentials and no contents."""
    status = status_of(failure) or response.status_code
    headers = [(k, v) for k, v in response.headers.multi_items() if k.lower() not in _NOT_KEPT]
    request = httpx2.Request(response.request.method, response.request.url.copy_with(userinfo=b""))
    body = failure.body
    content = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
    return httpx2.Response(status, headers=headers, content=content, request=request)


def _kept(partial: dict[str, Any]) -> str:
    blocks = partial.get("content", [])
    if not blocks:
        return "nothing of the reply was shown"
    texts = [block.get("text") for block in blocks]
    characters = sum(len(text) for text in texts if isinstance(text, str))
    return f"{characters:,} characters in {len(blocks)} block{'s' if len(blocks) != 1 else ''} kept in .partial"
