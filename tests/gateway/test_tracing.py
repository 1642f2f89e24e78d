"""Each stream as a span: with the names of OpenTelemetry for GenAI, below the client's own span."""

import builtins
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from midstream.gateway.schema import SettingsError
from midstream.gateway.tracing import NOBODY, Tracing
from midstream.recovery.failure import Kind
from tests.gateway.told import CONTENT, SECRET, failure, record, report

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def test_a_stream_is_a_span_with_its_attempts_as_events(exported: InMemorySpanExporter) -> None:
    headers = [(b"traceparent", PARENT), (b"x-api-key", SECRET.encode()), (b"odd", b"\xff")]
    span = Tracing(on=True).stream("id1", "claude-x", headers)
    span.attempt_ended(record(failure=failure(), request_id="req_1"), "anthropic")
    span.attempt_ended(record(2, "continue turn", message_id="msg_1"), "bedrock:eu")
    span.ended(report("complete", record(2, model="claude-x-1", stop_reason="end_turn")))
    (found,) = exported.get_finished_spans()
    assert found.name == "chat claude-x" and found.attributes is not None
    assert dict(found.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-x",
        "gen_ai.response.model": "claude-x-1",
        "gen_ai.response.finish_reasons": ("end_turn",),
        "gen_ai.usage.input_tokens": 0,
        "gen_ai.usage.output_tokens": 0,
        "midstream.stream.id": "id1",
        "midstream.outcome": "complete",
        "midstream.attempts": 1,
    }
    assert found.parent is not None and f"{found.parent.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    first, second = (dict(event.attributes or {}) for event in found.events)
    assert first == {
        "midstream.attempt": 1,
        "midstream.plan": "first",
        "midstream.upstream": "anthropic",
        "midstream.delay_s": 0.25,
        "anthropic.request_id": "req_1",
        "error.type": "truncated",
        "midstream.failure.kind": "truncated",
    }
    assert second["gen_ai.response.id"] == "msg_1" and second["midstream.plan"] == "continue"
    assert SECRET not in found.to_json() and CONTENT not in found.to_json()


def test_a_stream_that_fails_is_a_span_with_an_error(exported: InMemorySpanExporter) -> None:
    span = Tracing(on=True).stream("id1", "m", [])
    span.ended(report("failed", broke=failure(Kind.OVERLOADED, "overloaded_error")))
    (found,) = exported.get_finished_spans()
    assert found.parent is None and not found.status.is_ok
    assert found.attributes is not None and found.attributes["error.type"] == "overloaded_error"


def test_off_tells_nobody_and_needs_nothing(exported: InMemorySpanExporter) -> None:
    span = Tracing(on=False).stream("id1", "m", [])
    assert span is NOBODY
    span.attempt_ended(record(), "a")
    span.ended(report())
    assert exported.get_finished_spans() == ()


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "opentelemetry")
    with pytest.raises(SettingsError) as told:
        Tracing(on=True)
    assert str(told.value) == (
        "--otel needs OpenTelemetry: pip install 'midstream[otel]', and start the gateway by opentelemetry-instrument"
    )
    assert Tracing(on=False).stream("id1", "m", []) is NOBODY


class Broken:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_a_span_that_cannot_be_made_or_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "get_tracer", lambda *_: Broken())
    assert Tracing(on=True).stream("id1", "m", []) is NOBODY

    class Makes:
        def start_span(self, *args: Any, **kwargs: Any) -> Broken:
            return Broken()

    monkeypatch.setattr(trace, "get_tracer", lambda *_: Makes())
    span = Tracing(on=True).stream("id1", "m", [])
    span.attempt_ended(record(), "a")
    span.ended(report())


def test_spans_that_nobody_collects_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    warning = Tracing(on=True).warning
    assert warning is not None and "opentelemetry-instrument" in warning
    monkeypatch.setattr(trace, "get_tracer_provider", TracerProvider)
    assert Tracing(on=True).warning is None and Tracing(on=False).warning is None
