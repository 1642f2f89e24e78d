"""Each stream as a span of OpenTelemetry, if that is wished and there.

Rule: knows the API of OpenTelemetry alone: who collects spans, and where they go, is set up by the packages and
variables of OpenTelemetry. A span that cannot be written stops nothing.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from midstream._version import __version__
from midstream.gateway.credentials import Headers
from midstream.gateway.metrics import plan_of
from midstream.gateway.schema import SettingsError
from midstream.recovery.history import AttemptRecord, fit
from midstream.reports import Report

CARRIED = ("traceparent", "tracestate", "baggage")
"""The headers by which a client names the span that its request belongs to."""


class Span:
    """What is told of one stream. This one tells nobody: the stand-in where tracing is off."""

    __slots__ = ()

    def attempt_ended(self, record: AttemptRecord, upstream: str) -> None:
        """An attempt is over."""

    def ended(self, report: Report) -> None:
        """The stream is over."""


NOBODY = Span()


class Tracing:
    """Makes spans, or stand-ins for them."""

    def __init__(self, *, on: bool) -> None:
        """Raises `SettingsError` if it is on and OpenTelemetry is missing."""
        self._api: Any = None
        self.warning: str | None = None
        """What is doubtful, in one sentence."""
        if on:
            try:
                from opentelemetry import propagate, trace
            except ImportError:
                raise SettingsError(
                    "--otel needs OpenTelemetry: pip install 'midstream[otel]', and start the gateway by "
                    "opentelemetry-instrument"
                ) from None
            self._api, self._extract = trace, propagate.extract
            self._tracer = trace.get_tracer("midstream", __version__)
            if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
                self.warning = "nobody collects spans: start the gateway by opentelemetry-instrument (midstream[otel])"

    def stream(self, id: str, model: str, headers: Headers) -> Span:
        """The span of a new stream, below the span that the client's headers name."""
        if self._api is None:
            return NOBODY
        try:
            carried = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
            context = self._extract({name: carried[name] for name in CARRIED if name in carried})
            attributes = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "anthropic",
                "gen_ai.request.model": fit(model),
                "midstream.stream.id": id,
            }
            span = self._tracer.start_span(
                f"chat {fit(model)}", context=context, kind=self._api.SpanKind.CLIENT, attributes=attributes
            )
        except Exception:  # another's code, with another's settings
            return NOBODY
        return _Told(span, self._api.Status(self._api.StatusCode.ERROR))


class _Told(Span):
    """A span that somebody may record."""

    __slots__ = ("_error", "_span")

    def __init__(self, span: Any, error: Any) -> None:
        self._span = span
        self._error = error

    def attempt_ended(self, record: AttemptRecord, upstream: str) -> None:
        facts: dict[str, str | int | float | Sequence[str]] = {
            "midstream.attempt": record.number,
            "midstream.plan": plan_of(record),
            "midstream.upstream": upstream,
            "midstream.delay_s": record.delay_s,
        }
        if record.message_id:
            facts["gen_ai.response.id"] = fit(record.message_id)
        if record.request_id:
            facts["anthropic.request_id"] = fit(record.request_id)
        if record.failure:
            facts["error.type"] = fit(record.failure.error_type) or str(record.failure.kind)
            facts["midstream.failure.kind"] = str(record.failure.kind)
        with suppress(Exception):
            self._span.add_event("midstream.attempt", facts)

    def ended(self, report: Report) -> None:
        usage, last = report.usage, report.attempts[-1] if report.attempts else None
        facts: dict[str, Any] = {
            "midstream.outcome": report.outcome,
            "midstream.attempts": len(report.attempts),
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
        }
        if last and last.model:
            facts["gen_ai.response.model"] = fit(last.model)
        if last and last.stop_reason:
            facts["gen_ai.response.finish_reasons"] = [fit(last.stop_reason)]
        if report.failure:
            facts["error.type"] = fit(report.failure.error_type) or str(report.failure.kind)
        with suppress(Exception):
            self._span.set_attributes(facts)
            if report.outcome == "failed":
                self._span.set_status(self._error)
            self._span.end()
