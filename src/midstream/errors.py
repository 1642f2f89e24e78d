"""The exceptions that a user may catch.

Rule: few classes. Whatever ends a stream is a `StreamError` *and* the most specific class of the SDK that fits::

    StreamError                          (catch this for everything that ends a stream)
      ├─ … and anthropic.APIConnectionError      cut off, or never reached
      ├─ … and anthropic.APITimeoutError         silent, or without progress
      ├─ … and anthropic.OverloadedError         and RateLimitError, InternalServerError, BadRequestError, …
      └─ … and anthropic.APIResponseValidationError   not the protocol, or over a limit
    PolicyError                          a policy that makes no sense (a ValueError)
    MissingExtra                         an optional part that is not installed (an ImportError)
"""

from typing import TYPE_CHECKING, Any

from midstream.recovery.failure import Failure
from midstream.recovery.policy_values import PolicyError

if TYPE_CHECKING:
    from midstream.reports import Report

__all__ = ["MissingExtra", "PolicyError", "StreamError"]


class StreamError(Exception):
    """A stream failed, honestly: what broke, how often it was tried, and everything that was received."""

    failure: Failure
    """What broke."""
    partial: dict[str, Any]
    """What the consumer was shown, as a plain message in the API's form; empty if nothing was."""
    report: "Report"
    """Every attempt, failure and seam."""
    unshown: list[dict[str, Any]]
    """What the last attempt had received beyond `partial`: blocks that were held back, complete or not, for whoever
    wants to see them. Not fit to be sent back: a call may be cut, its input then stands in ``partial_json``."""
    type: str | None = None
    """``error.type``, or the name of the Bedrock exception, as received."""
    status_code: int | None = None
    """The HTTP status that the failure is or stands for; ``None`` for those of the transport."""
    request_id: str | None = None
    """The request id of the attempt that failed last, Bedrock's too."""


class MissingExtra(ImportError):
    """An optional part of midstream is needed and not installed. The message says which, and how to get it."""

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(f"{module} is not installed; it comes with the extra: pip install 'midstream[{extra}]'")
        self.extra = extra
