"""`Recovery`: one line in the caller's program, and its streams complete or fail honestly.

Rule: the SDK's documented middleware hook and nothing else (but for `call.client_of`, without which it does less well).
Calls that are no streamed Messages calls pass through untouched.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
from anthropic import APIRequest

from midstream.drivers.clock import Clock
from midstream.drivers.pump import AsyncPump, Pump
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.models import Memory
from midstream.recovery.policy import Policy as PurePolicy
from midstream.recovery.policy import RetryBudget
from midstream.reports import Report
from midstream.sdk.body import AsyncBody, Body, Raising
from midstream.sdk.call import (
    allows_retries,
    body_of,
    client_of,
    default_timeout,
    engine_request,
    is_stream,
    timeout_of,
)
from midstream.sdk.story import OnRecovery, OnReport, Story
from midstream.sdk.transport import AsyncPort, Limits, SyncPort
from midstream.settings import Policy

REPORT_KEY = "midstream"
"""Under which the body is found in ``response.extensions``."""

_SubstitutedHeaders = ("content-encoding", "content-length", "transfer-encoding")


class Recovery(anthropic.Middleware):
    """Middleware for every client of the official SDK, sync and async in one object.

    ::

        client = anthropic.Anthropic(middleware=[midstream.Recovery()])

    Streamed Messages calls complete, or raise one `StreamError` that carries everything received. One object may serve
    any number of clients; its streams share one retry budget. With other middleware, put it last: nearest the wire.

    ``enabled=False`` is the plain SDK. ``on_recovery`` is called when another attempt begins, ``on_report`` once when
    a stream is over; what they raise is logged and changes nothing.
    """

    def __init__(
        self,
        policy: PurePolicy | None = None,
        *,
        enabled: bool = True,
        on_report: OnReport | None = None,
        on_recovery: OnRecovery | None = None,
    ) -> None:
        if policy is not None and not isinstance(policy, PurePolicy):
            raise TypeError(f"policy must be a midstream.Policy, not {type(policy).__name__}")
        if policy is None:
            policy = Policy() if enabled else PurePolicy()  # the plain SDK does not mind what the environment says
        self.policy: PurePolicy = policy
        self.enabled = enabled
        self._on_report = on_report
        self._on_recovery = on_recovery
        self._memory = Memory()
        self._budget = RetryBudget(share=self.policy.retry_share, per_minute_min=self.policy.retry_per_minute_min)
        self._lock = threading.Lock()

    def handle(self, request: APIRequest, call_next: Callable[[APIRequest], Any]) -> Any:
        """Called by the sync client for each of its own attempts."""
        made = self._prepare(request, call_next)
        if made is None:
            return call_next(request)
        engine, clock, story, limits = made
        port = SyncPort(request, call_next, clock, limits)
        pump = Pump(engine, port, clock, story.notice)
        body = Body(pump, port, story)
        try:
            opened = pump.open()
        except BaseException:
            body.close()
            raise
        if not opened:
            return _failed(request, body, anthropic.APIResponse)
        return _substituted(port.take_first(), body)

    async def handle_async(self, request: APIRequest, call_next: Callable[[APIRequest], Any]) -> Any:
        """Called by the async client for each of its own attempts."""
        made = self._prepare(request, call_next)
        if made is None:
            return await call_next(request)
        engine, clock, story, limits = made
        port = AsyncPort(request, call_next, clock, limits)
        pump = AsyncPump(engine, port, clock, story.notice)
        body = AsyncBody(pump, port, story)
        try:
            opened = await pump.open()
        except BaseException:
            await body.aclose()
            raise
        if not opened:
            return _failed(request, body, anthropic.AsyncAPIResponse)
        return _substituted(port.take_first(), body)

    def _prepare(
        self, request: APIRequest, call_next: Callable[[APIRequest], Any]
    ) -> tuple[Engine, Clock, Story, Limits] | None:
        body = body_of(request) if self.enabled and is_stream(request) else None
        if body is None:
            return None
        client = client_of(call_next)
        timeout = timeout_of(request, client)
        asked = engine_request(request, body)
        clock = Clock(time.monotonic)
        with self._lock:
            self._budget.request(time.monotonic())
        around = Surroundings(random.random, self._take_retry, self._memory, time.time)
        engine = Engine(asked, self.policy, around, recovers=allows_retries(request, client))
        limits = Limits(timeout, is_default=default_timeout(timeout), policy=self.policy, now=clock())
        return engine, clock, Story(asked.model, clock, self._on_report, self._on_recovery), limits

    def _take_retry(self) -> bool:
        with self._lock:
            return self._budget.try_retry(time.monotonic())


def _substituted(answer: Any, body: Body | AsyncBody) -> Any:
    """The SDK's own response object, with our body in the place of the upstream's."""
    original: httpx2.Response = answer.http_response
    headers = [(k, v) for k, v in original.headers.multi_items() if k.lower() not in _SubstitutedHeaders]
    answer.http_response = httpx2.Response(
        original.status_code,
        headers=headers,
        stream=body,
        request=original.request,
        extensions={**original.extensions, REPORT_KEY: body},
        history=original.history,
    )
    return answer


def _failed(request: APIRequest, body: Body | AsyncBody, wrapper: Any) -> Any:
    """A response that makes the SDK raise our error at once: no retries and no waits of its own."""
    failure = body._pump.failure
    assert failure is not None
    error = body.error(failure)
    stand_in = httpx2.Response(
        599,
        headers={"x-should-retry": "false"},
        stream=Raising(error),
        request=httpx2.Request("POST", "https://api.anthropic.com/v1/messages"),
    )
    return wrapper(
        raw=stand_in,
        cast_to=request.cast_to,
        client=None,
        stream=request.stream,
        stream_cls=request.stream_cls,
        options=request.options,
    )


def report(stream: Any) -> Report:
    """What has happened to a stream so far: attempts, failures, seams, usage.

    ``stream`` is what the SDK handed out for a streamed call (of ``create``, of ``stream()``, of the raw and streaming
    responses), or a `StreamError`. Raises `TypeError` for anything that did not come through `Recovery`.
    """
    if isinstance(found := getattr(stream, "report", None), Report):
        return found
    for holder in (stream, getattr(stream, "_raw_stream", None)):
        response = getattr(holder, "response", None) or getattr(holder, "http_response", None) or holder
        body = (getattr(response, "extensions", None) or {}).get(REPORT_KEY)
        if isinstance(body, Body | AsyncBody):
            return body.report
    raise TypeError(f"this {type(stream).__name__} did not come through midstream.Recovery")
