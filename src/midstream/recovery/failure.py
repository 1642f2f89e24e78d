"""What went wrong, as a value.

Rule: every table that maps a status, an ``error.type`` or an exception name is data, and stands here, with its source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """What kind of thing went wrong (the contract, §5)."""

    TRUNCATED = "truncated"
    DISCONNECTED = "disconnected"
    SILENT = "silent"
    STALLED = "stalled"
    UNREACHABLE = "unreachable"
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    GARBLED = "garbled"
    LIMIT = "limit"


class Phase(StrEnum):
    """How far the stream had come."""

    CONNECTING = "connecting"
    WAITING = "waiting"
    STARTED = "started"
    SHOWING = "showing"
    SETTLED = "settled"


class Origin(StrEnum):
    """Who is to blame, as far as can be known."""

    SERVICE = "service"
    TRANSPORT = "transport"
    PROTOCOL = "protocol"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that went wrong, observed."""

    kind: Kind
    phase: Phase
    origin: Origin
    detail: str = ""
    """One clause for a person: what was seen. Never holds contents of the reply, of the request, or a key."""
    status: int | None = None
    """The HTTP status, of the response or as the in-stream error stands for one; ``None`` where there was none."""
    error_type: str | None = None
    """``error.type`` as received, or the name of the Bedrock exception as received."""
    error_code: str | None = None
    """``error.details.error_code`` as received."""
    api_message: str | None = None
    """``error.message`` as received: the service's words, for the exception; never logged."""
    body: object = None
    """The error body as received (decoded JSON, or text), for the exception."""
    retry_after_s: float | None = None
    """What the server asked for by ``retry-after-ms`` or ``retry-after``."""
    should_retry: bool | None = None
    """``x-should-retry``, where the response had it."""
    exhausted: bool = False
    """A midstream further up has used up its attempts."""
    request_id: str | None = None
    """``request-id``, or Bedrock's ``x-amzn-requestid``."""
    certificate: bool = False
    """The certificate of the upstream was refused: never tried again."""
    connect_timeout: bool = False
    """UNREACHABLE because the connect limit ran out."""
    original_status: int | None = None
    """Bedrock's ``originalStatusCode``."""
    original_message: str | None = None
    """Bedrock's ``originalMessage``."""


def status_of(failure: Failure) -> int | None:
    """The ``status_code`` of the SDK's error that is raised for this failure (the contract, §5); ``None`` for none."""
    match failure.kind:
        case Kind.OVERLOADED:
            return 503 if failure.status == 503 else 529
        case Kind.RATE_LIMITED:
            return 429
        case Kind.TIMED_OUT:
            return 408 if failure.status == 408 else 504
        case Kind.SERVER_ERROR:
            return failure.status if _is_error(failure.status) else 500
        case Kind.REJECTED:
            return failure.status if _is_error(failure.status) else 400
        case Kind.GARBLED | Kind.LIMIT:
            return failure.status
        case _:
            return None


def _is_error(status: int | None) -> bool:
    """Whether a status is one that an error may carry. Redirects are: the SDK raises for one it does not follow."""
    return status is not None and status >= 300


STATUSES: Mapping[int, Kind] = MappingProxyType(
    {
        # All statuses that the SDK has classes for (anthropic 2.11, _error_classes.py). It tries 408, 409, 429 and
        # everything from 500 on again (_base_client.py, _should_retry).
        400: Kind.REJECTED,
        401: Kind.REJECTED,
        402: Kind.REJECTED,
        403: Kind.REJECTED,
        404: Kind.REJECTED,
        408: Kind.TIMED_OUT,
        409: Kind.SERVER_ERROR,  # a lock that was not free in time; the status stays 409
        412: Kind.REJECTED,
        413: Kind.REJECTED,
        422: Kind.REJECTED,
        429: Kind.RATE_LIMITED,
        431: Kind.REJECTED,
        499: Kind.REJECTED,
        500: Kind.SERVER_ERROR,
        501: Kind.SERVER_ERROR,
        503: Kind.OVERLOADED,
        504: Kind.TIMED_OUT,
        529: Kind.OVERLOADED,
        # Bedrock's ModelErrorException: the model failed while it worked on the request (botocore, bedrock-runtime).
        424: Kind.SERVER_ERROR,
    }
)
"""HTTP status → kind. What is not here goes by its hundred: `kind_of_status`."""


def kind_of_status(status: int) -> Kind:
    """The kind that a status stands for, of a response or of an error that names one."""
    known = STATUSES.get(status)
    if known is not None:
        return known
    if status >= 500:
        return Kind.SERVER_ERROR
    # A redirect that nobody followed is an answer to this request, and asking again would bring it again.
    return Kind.REJECTED if status >= 300 else Kind.GARBLED


ERROR_TYPES: Mapping[str, tuple[Kind, int]] = MappingProxyType(
    {
        # The API's documentation of errors, and the SDK's ErrorType (anthropic 2.11, types/shared/error_type.py).
        "invalid_request_error": (Kind.REJECTED, 400),
        "authentication_error": (Kind.REJECTED, 401),
        "billing_error": (Kind.REJECTED, 402),
        "permission_error": (Kind.REJECTED, 403),
        "not_found_error": (Kind.REJECTED, 404),
        "conflict_error": (Kind.SERVER_ERROR, 409),
        "memory_path_conflict_error": (Kind.REJECTED, 409),
        "memory_precondition_failed_error": (Kind.REJECTED, 412),
        "request_too_large": (Kind.REJECTED, 413),  # documented, though not in ErrorType
        "rate_limit_error": (Kind.RATE_LIMITED, 429),
        "api_error": (Kind.SERVER_ERROR, 500),
        "timeout_error": (Kind.TIMED_OUT, 504),
        "overloaded_error": (Kind.OVERLOADED, 529),
        # google.rpc.Code with the HTTP mapping that google/rpc/code.proto gives: what Vertex puts in error.status.
        "CANCELLED": (Kind.REJECTED, 499),
        "UNKNOWN": (Kind.SERVER_ERROR, 500),
        "INVALID_ARGUMENT": (Kind.REJECTED, 400),
        "DEADLINE_EXCEEDED": (Kind.TIMED_OUT, 504),
        "NOT_FOUND": (Kind.REJECTED, 404),
        "ALREADY_EXISTS": (Kind.SERVER_ERROR, 409),
        "PERMISSION_DENIED": (Kind.REJECTED, 403),
        "UNAUTHENTICATED": (Kind.REJECTED, 401),
        "RESOURCE_EXHAUSTED": (Kind.RATE_LIMITED, 429),
        "FAILED_PRECONDITION": (Kind.REJECTED, 400),
        "ABORTED": (Kind.SERVER_ERROR, 409),
        "OUT_OF_RANGE": (Kind.REJECTED, 400),
        "UNIMPLEMENTED": (Kind.SERVER_ERROR, 501),
        "INTERNAL": (Kind.SERVER_ERROR, 500),
        "UNAVAILABLE": (Kind.OVERLOADED, 503),
        "DATA_LOSS": (Kind.SERVER_ERROR, 500),
    }
)
"""``error.type`` (Google: ``error.status``) of an in-stream error → kind, and the status that it stands for."""

ERROR_CODES: Mapping[tuple[int, str], Kind] = MappingProxyType(
    {
        # The API's documentation of errors: these two have no retry-after and keep failing until the limit is reset.
        (429, "enforced_spend_limit_reached"): Kind.REJECTED,
        (429, "contract_spend_limit_reached"): Kind.REJECTED,
        # The upload was too slow; nothing is wrong with the request itself.
        (400, "request_body_timeout"): Kind.TIMED_OUT,
    }
)
"""Status and ``error.details.error_code`` → kind, where the code says something else than the status."""

AWS_EXCEPTIONS: Mapping[str, tuple[Kind, int]] = MappingProxyType(
    {
        # botocore 1.44, bedrock-runtime 2023-09-30, with its modelled statuses, but where a comment says otherwise.
        "ThrottlingException": (Kind.RATE_LIMITED, 429),
        "ServiceUnavailableException": (Kind.OVERLOADED, 503),
        "ModelNotReadyException": (Kind.OVERLOADED, 529),  # modelled as 429, but no limit of the caller's was reached
        "InternalServerException": (Kind.SERVER_ERROR, 500),
        "ModelStreamErrorException": (Kind.SERVER_ERROR, 500),  # modelled as 424; goes by its originalStatusCode
        "ModelErrorException": (Kind.SERVER_ERROR, 500),  # likewise
        "ModelTimeoutException": (Kind.TIMED_OUT, 408),
        "ValidationException": (Kind.REJECTED, 400),
        "AccessDeniedException": (Kind.REJECTED, 403),
        "ResourceNotFoundException": (Kind.REJECTED, 404),
        "ServiceQuotaExceededException": (Kind.REJECTED, 400),
        "ConflictException": (Kind.REJECTED, 400),
        # Errors common to all AWS services (AWS documentation, "Common error types"; botocore, data/_retry.json).
        "Throttling": (Kind.RATE_LIMITED, 429),
        "ThrottledException": (Kind.RATE_LIMITED, 429),
        "TooManyRequestsException": (Kind.RATE_LIMITED, 429),
        "ServiceUnavailable": (Kind.OVERLOADED, 503),
        "InternalFailure": (Kind.SERVER_ERROR, 500),
        "InternalServerError": (Kind.SERVER_ERROR, 500),
        "RequestTimeout": (Kind.TIMED_OUT, 408),
        "RequestTimeoutException": (Kind.TIMED_OUT, 408),
        "ExpiredTokenException": (Kind.REJECTED, 403),
        "UnrecognizedClientException": (Kind.REJECTED, 403),
        "InvalidSignatureException": (Kind.REJECTED, 403),
        "MissingAuthenticationTokenException": (Kind.REJECTED, 403),
    }
)
"""Name of an AWS exception → kind, and the status that it stands for. Bedrock's frames spell the names in camelCase."""

BREAKS: Mapping[str, Kind] = MappingProxyType(
    {
        # The reasons of `steps.Broke`.
        "connect": Kind.UNREACHABLE,
        "connect_timeout": Kind.UNREACHABLE,
        "dns": Kind.UNREACHABLE,
        "tls": Kind.UNREACHABLE,
        "certificate": Kind.UNREACHABLE,
        "pool": Kind.UNREACHABLE,
        "reset": Kind.DISCONNECTED,
        "incomplete": Kind.DISCONNECTED,
        "decoding": Kind.DISCONNECTED,
        "protocol": Kind.DISCONNECTED,
        "closed": Kind.DISCONNECTED,
    }
)
"""Why the transport failed → kind."""
