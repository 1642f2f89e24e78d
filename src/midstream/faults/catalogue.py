"""Every fault there is, with one line for a person.

Rule: a fault is named here and played in `play`; a test holds the two lists equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Wire = Literal["sse", "bedrock"]
Stage = Literal["connection", "response", "stream"]

HALF_WAY = "fraction=0.5"


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of breaking a reply."""

    name: str
    line: str
    """What happens, in one line."""
    stage: Stage = "stream"
    """``connection``: before the headers; ``response``: instead of the stream; ``stream``: within it."""
    wires: tuple[Wire, ...] = ("sse", "bedrock")
    place: str | None = HALF_WAY
    """Where it happens unless the script says so; ``None`` where there is nothing to choose."""
    params: Mapping[str, str] = field(default_factory=dict)
    """The parameters that it takes, with what each is worth when it is not given (``""``: absent)."""
    aliases: tuple[str, ...] = ()


SSE: tuple[Wire, ...] = ("sse",)
BEDROCK: tuple[Wire, ...] = ("bedrock",)

# ``error.type`` as the API documents it; the message is the one commonly seen with it.
ERROR_EVENTS: Mapping[str, str] = {
    "overloaded_error": "Overloaded",
    "rate_limit_error": "This request would exceed your account's rate limit. Please try again later.",
    "api_error": "Internal server error",
    "timeout_error": "Request timed out",
    "invalid_request_error": "The request was invalid",
    "authentication_error": "invalid x-api-key",
    "billing_error": "Your credit balance is too low to access the Anthropic API.",
    "permission_error": "Your API key does not have permission to use the specified resource.",
    "not_found_error": "The requested resource could not be found.",
    "conflict_error": "The request conflicts with the current state of the resource.",
    "request_too_large": "Request exceeds the maximum size",
    "unknown_error": "Something that no list has a name for",
}

# The members of ResponseStream, the one that AWS answers before it, and one that nobody knows.
BEDROCK_EXCEPTIONS: Mapping[str, str] = {
    "internalServerException": "The system encountered an unexpected error during processing. Try your request again.",
    "modelStreamErrorException": "The model stream ended with an error.",
    "modelTimeoutException": "Model has timed out in processing the request. Try your request again.",
    "serviceUnavailableException": "Bedrock is unable to process your request.",
    "throttlingException": "Too many requests, please wait before trying again.",
    "validationException": "The request was not valid.",
    "modelNotReadyException": "The model is not ready for inference. Try your request again.",
    "unknownException": "An exception that no list has a name for.",
}

# Status -> the ``error.type`` of the Anthropic envelope, its message, the name of the AWS error.
HTTP_ERRORS: Mapping[int, tuple[str, str, str]] = {
    400: ("invalid_request_error", "The request was invalid", "ValidationException"),
    401: ("authentication_error", "invalid x-api-key", "UnrecognizedClientException"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API.", "AccessDeniedException"),
    403: (
        "permission_error",
        "Your API key does not have permission to use the specified resource.",
        "AccessDeniedException",
    ),
    404: ("not_found_error", "model: no-such-model", "ResourceNotFoundException"),
    408: ("timeout_error", "Request timed out", "ModelTimeoutException"),
    409: ("conflict_error", "The request conflicts with the current state of the resource.", "ConflictException"),
    413: ("request_too_large", "Request exceeds the maximum size", "ValidationException"),
    422: ("invalid_request_error", "The request could not be processed", "ValidationException"),
    424: ("api_error", "The model stream ended with an error.", "ModelErrorException"),
    429: (
        "rate_limit_error",
        "This request would exceed your account's rate limit. Please try again later.",
        "ThrottlingException",
    ),
    500: ("api_error", "Internal server error", "InternalServerException"),
    502: ("api_error", "Bad gateway", "InternalServerException"),
    503: ("api_error", "Service unavailable", "ServiceUnavailableException"),
    504: ("timeout_error", "Request timed out", "InternalServerException"),
    529: ("overloaded_error", "Overloaded", "ServiceUnavailableException"),
}

_HTTP_PARAMS = {"retry-after": "", "retry-after-ms": "", "x-should-retry": "", "code": "", "body": "json"}


def _error_kinds() -> list[Kind]:
    return [
        Kind(
            name,
            f"an error event of type {name}, then a clean end"
            if name != "unknown_error"
            else "an error event of a type that no list knows, then a clean end",
            params={"code": "", "message": ""},
            aliases=(name.removesuffix("_error"),) if name.endswith("_error") else (),
        )
        for name in ERROR_EVENTS
    ]


def _exception_kinds() -> list[Kind]:
    return [
        Kind(
            name,
            f"a Bedrock exception frame {name}, then a clean end"
            if name != "unknownException"
            else "a Bedrock exception frame of a name that no list knows, then a clean end",
            wires=BEDROCK,
            params={"original-status": "500"} if name == "modelStreamErrorException" else {},
            aliases=(name.removesuffix("Exception"),) if name != "unknownException" else (),
        )
        for name in BEDROCK_EXCEPTIONS
    ]


def _http_kinds() -> list[Kind]:
    return [
        Kind(
            f"http-{status}",
            f"HTTP {status} ({error_type}) before the stream",
            stage="response",
            place=None,
            params=_HTTP_PARAMS,
            aliases=(str(status),),
        )
        for status, (error_type, _, _) in HTTP_ERRORS.items()
    ]


KINDS: tuple[Kind, ...] = (
    Kind("ok", "nothing is broken", place=None, params={"gzip": ""}),
    # The transport ends, one way or the other.
    Kind("cut-clean", "the body ends as if it were complete (a proxy that hides a broken origin)"),
    Kind("cut-fin", "the connection is closed inside an HTTP chunk"),
    Kind("cut-rst", "the connection is reset"),
    Kind("broken-chunk", "the next chunk-size line is not a number"),
    Kind("gzip-cut", "Content-Encoding: gzip, and the compressed body ends short, as if it were complete"),
    Kind("gzip-bad", "Content-Encoding: gzip, and the compressed body is damaged"),
    # The transport goes on, and nothing comes.
    Kind("silence", "not one byte more, and the connection stays open"),
    Kind("pings-only", "from there on only pings, one each `every` seconds", params={"every": "1.0"}),
    Kind("trickle", "from there on one byte each `every` seconds", params={"every": "1.0"}),
    Kind(
        "trickle-size",
        "one byte each `every` seconds inside the next chunk-size line, and no end of it",
        params={"every": "1.0"},
    ),
    # Errors that the service itself reports, inside a 200.
    *_error_kinds(),
    Kind("error-unnamed", "an overloaded_error without an event line", wires=SSE),
    Kind("error-openai", 'an error in the shape of OpenAI: {"error": {"message", "type", "code"}}'),
    Kind("error-untyped", 'an error without a type: {"message": "…"}'),
    Kind("error-spend-limit", "a rate_limit_error that will not clear: details.error_code names a spend limit"),
    Kind("error-exhausted", "an error from a midstream further up that has used up its attempts"),
    *_exception_kinds(),
    Kind("error-frame", "a Bedrock frame of type error, with :error-code and :error-message", wires=BEDROCK),
    # Bytes that are not what they claim to be.
    Kind("bad-crc", "one frame whose checksum does not match", wires=BEDROCK),
    Kind("bad-prelude", "one frame whose prelude checksum does not match", wires=BEDROCK),
    Kind("half-frame", "half of the next frame, then a clean end"),
    Kind("garbage", "binary bytes in place of the rest, then a clean end"),
    Kind("bad-json", "one whole frame whose JSON breaks off; then the stream goes on"),
    # Illegal order.
    Kind("delta-unknown-block", "a delta for a block that was never started; then the stream goes on"),
    Kind("index-gap", "the next block, and all that follow, have a number too high by one"),
    Kind("second-message-start", "a second message_start; then the stream goes on"),
    Kind("delta-after-stop", "a delta for a block that was stopped already; then the stream goes on"),
    Kind("wrong-delta-type", "a delta of a type that the open block cannot take; then the stream goes on"),
    Kind("no-message-start", "the stream begins without its message_start", place=None),
    Kind("stop-without-reason", "message_stop comes, and no message_delta had a stop reason", place=None),
    Kind("no-message-delta", "message_stop comes without any message_delta", place=None),
    Kind("no-message-stop", "a clean end after the last message_delta: message_stop is missing", place=None),
    Kind("no-final-blank-line", "the blank line that ends the last event is missing", wires=SSE, place=None),
    Kind("error-after-stop", "an overloaded_error after message_stop", place=None),
    Kind("reset-after-stop", "the connection is reset after message_stop", place=None),
    Kind("stall-after-stop", "silence after message_stop; the connection stays open", place=None),
    # No stream at all.
    Kind("html-200", "an HTML page under status 200", stage="response", place=None),
    Kind("json-200", "the whole message as JSON under status 200, and no stream", stage="response", place=None),
    Kind("error-json-200", "an error envelope as JSON under status 200", stage="response", place=None),
    Kind("garbage-200", "binary bytes under status 200", stage="response", place=None),
    Kind("empty-200", "status 200, the headers of a stream, and an empty body", stage="response", place=None),
    *_http_kinds(),
    # No response at all.
    Kind(
        "refused",
        "no connection: this one is reset at once, and for `for` seconds further ones are refused",
        stage="connection",
        place=None,
        params={"for": "0"},
    ),
    Kind("closed-early", "the connection is closed before any header", stage="connection", place=None),
    Kind("reset-early", "the connection is reset before any header", stage="connection", place=None),
    Kind("half-headers", "the connection is closed inside the headers", stage="connection", place=None),
    Kind("silent-early", "the request is taken, and no header ever comes", stage="connection", place=None),
)  # fmt: skip

BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
ALIASES: Mapping[str, str] = {alias: kind.name for kind in KINDS for alias in kind.aliases}
