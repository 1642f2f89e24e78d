"""One call of the SDK, as far as recovery must know it.

Rule: the SDK's request is never changed, and never copied deeply: a long conversation would cost more than its stream.
"""

from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
from anthropic import APIRequest

from midstream.protocol.events import Fields
from midstream.recovery.request import Request

_MESSAGES_PATH = "/v1/messages"
_CHAIN_MAX = 50
"""Middleware around middleware: more than anybody stacks."""


def is_stream(request: APIRequest) -> bool:
    """Whether this is a streamed Messages call, on the beta surface or not; everything else passes through."""
    path = request.url.split("?", 1)[0]
    return bool(request.stream) and request.method.lower() == "post" and path == _MESSAGES_PATH


def body_of(request: APIRequest) -> Fields | None:
    """The JSON that will be sent, ``extra_body`` included; ``None`` if it is no object."""
    body, extra = request.json, request.options.extra_json
    if not isinstance(body, dict):
        return None
    return {**body, **extra} if isinstance(extra, dict) else body


def engine_request(request: APIRequest, body: Fields) -> Request:
    """The call, in recovery's words."""
    betas = next((value for name, value in request.headers.items() if name.lower() == "anthropic-beta"), "")
    named = betas.split(",") if isinstance(betas, str) else []
    return Request(body, frozenset(beta.strip() for beta in named if beta.strip()))


def attempt_request(request: APIRequest, body: Fields | None, timeout: httpx2.Timeout | None) -> APIRequest:
    """The request of one attempt: another body, other timeouts, all else shared with the caller's."""
    if body is None and timeout is None:
        return request
    options = request.options.model_copy()
    if body is not None:
        options.json_data, options.extra_json = body, None
    if timeout is not None:
        options.timeout = timeout
    return APIRequest(
        options=options,
        cast_to=request.cast_to,
        stream=request.stream,
        stream_cls=request.stream_cls,
        retries_taken=request.retries_taken,
    )


def client_of(call_next: Callable[..., Any]) -> Any:
    """The client behind a middleware chain, or ``None``.

    The SDK does not hand it to middleware; its own handlers hold it in their closure. Without it, the client's
    ``max_retries=0`` and ``timeout`` are not known before the first response, and the defaults count.
    """
    waiting, seen = [call_next], 0
    while waiting and seen < _CHAIN_MAX:
        seen += 1
        for cell in getattr(waiting.pop(), "__closure__", None) or ():
            try:
                held = cell.cell_contents
            except ValueError:
                continue
            if isinstance(getattr(held, "max_retries", None), int) and hasattr(held, "timeout"):
                return held
            if callable(held) and hasattr(held, "__closure__"):
                waiting.append(held)
    return None


def allows_retries(request: APIRequest, client: Any) -> bool:
    """Whether the caller wants more than one attempt: ``max_retries=0`` means none."""
    asked = request.max_retries
    if type(asked) is not int:
        asked = getattr(client, "max_retries", None)  # type: ignore[assignment]
    return asked != 0


def timeout_of(request: APIRequest, client: Any) -> httpx2.Timeout | None:
    """The caller's timeouts; ``None`` if they are not known."""
    asked = request.timeout
    if not isinstance(asked, httpx2.Timeout | float | int | None):
        if client is None:
            return None
        asked = client.timeout
    return asked if isinstance(asked, httpx2.Timeout) else httpx2.Timeout(asked)


def default_timeout(timeout: httpx2.Timeout | None) -> bool:
    """Whether these are the SDK's own defaults: then the policy's limits take their place."""
    return timeout is not None and timeout == anthropic.DEFAULT_TIMEOUT
