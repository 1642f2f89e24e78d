"""Together with what else stands around a stream: other middleware, traces, callbacks, the log, the environment."""

import contextlib
import json
import logging
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.lib.middleware import BetaRefusalFallbackMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import midstream
from midstream.faults.reply import Reply
from tests.sdk.calls import ALL_WAYS, ASKED, FOUR_WAYS, PLAIN, Playing, Way, call, over
from tests.wire import start, stopping

QUICK = midstream.Policy(attempts=2, attempts_total=3, backoff_s=(0, 0))
BROKEN, GONE = "cut-clean@fraction=0.4; then ok", "always cut-clean@fraction=0.4"
four_ways = pytest.mark.parametrize("way", FOUR_WAYS, ids=str)


# --- other middleware -----------------------------------------------------------------------------------------------


class Noting(anthropic.Middleware):
    """Counts what passes, and marks it."""

    def __init__(self) -> None:
        self.requests = 0

    def handle(self, request: anthropic.APIRequest, call_next: Any) -> Any:
        self.requests += 1
        return call_next(request.copy(headers={**request.headers, "x-noted": str(self.requests)}))

    async def handle_async(self, request: anthropic.APIRequest, call_next: Any) -> Any:
        self.requests += 1
        return await call_next(request.copy(headers={**request.headers, "x-noted": str(self.requests)}))


@four_ways
def test_middleware_before_sees_one_call_and_middleware_after_each_attempt(way: Way) -> None:
    before, after, playing = Noting(), Noting(), Playing(BROKEN)
    seen = call(way, over(playing, middleware=[before, midstream.Recovery(QUICK), after]))
    assert seen.error is None
    assert (before.requests, after.requests) == (1, 2)
    assert [request.headers["x-noted"] for request, _ in playing.sent] == ["1", "2"]


@four_ways
def test_the_error_passes_other_middleware_and_is_not_retried(way: Way) -> None:
    before, playing = Noting(), Playing("always http-529")
    seen = call(way, over(playing, middleware=[before, midstream.Recovery(QUICK)]))
    assert isinstance(seen.error, midstream.StreamError) and isinstance(seen.error, anthropic.OverloadedError)
    assert before.requests == 1 and len(playing.sent) == 2


class Broken(anthropic.Middleware):
    """Raises what is no business of the network's, on the n-th request."""

    def __init__(self, on: int) -> None:
        self.left = on

    def handle(self, request: anthropic.APIRequest, call_next: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise LookupError("mine")
        return call_next(request)

    async def handle_async(self, request: anthropic.APIRequest, call_next: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise LookupError("mine")
        return await call_next(request)


@four_ways
def test_what_other_middleware_raises_first_reaches_the_caller(way: Way) -> None:
    reports: list[midstream.Report] = []
    recovery = midstream.Recovery(QUICK, on_report=reports.append)
    seen = call(way, over(Playing(), max_retries=0, middleware=[recovery, Broken(1)]))
    assert isinstance(seen.error, LookupError)
    assert [report.outcome for report in reports] == ["closed"]


@four_ways
def test_what_it_raises_later_is_one_more_way_to_break(way: Way) -> None:
    playing = Playing(BROKEN)
    policy = midstream.Policy(backoff_s=(0, 0))
    seen = call(way, over(playing, middleware=[midstream.Recovery(policy), Broken(2)]))
    assert seen.error is None and seen.report is not None and len(seen.report.attempts) == 3


def refusal() -> Reply:
    """Before any output and without a credit: a hop that redeems one is never continued (the contract, §6)."""
    details = {
        "type": "refusal",
        "category": None,
        "explanation": None,
        "fallback_credit_token": None,
        "fallback_has_prefill_claim": False,
    }
    events = [start("msg_refused"), stopping("refusal"), {"type": "message_stop"}]
    events[1]["delta"]["stop_details"] = details
    return Reply.from_events(events)


class FirstRefuses:
    """The first model refuses, and both its answer and the other's are broken on the way."""

    def __init__(self) -> None:
        self.models: list[str] = []

    def __call__(self, is_async: bool) -> Any:
        refusing = Playing("cut-clean@event=1; then ok", reply=refusal())(is_async).player
        serving = Playing("cut-rst@fraction=0.5; then ok")(is_async).player
        models = self.models

        class Both(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
            def _of(self, body: bytes) -> Any:
                models.append(json.loads(body)["model"])
                return refusing if models[-1] == ASKED["model"] else serving

            def handle_request(self, request: httpx2.Request) -> httpx2.Response:
                answer: httpx2.Response = self._of(request.read()).handle_request(request)
                return answer

            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                answer: httpx2.Response = await self._of(await request.aread()).handle_async_request(request)
                return answer

        return Both()


@pytest.mark.parametrize("way", [way for way in ALL_WAYS if way.beta], ids=str)
def test_the_fallback_of_the_sdk_heals_on_each_hop(way: Way) -> None:
    transport = FirstRefuses()
    fallback = BetaRefusalFallbackMiddleware([{"model": "claude-opus-4-8"}])
    middleware = [fallback, midstream.Recovery(midstream.Policy(backoff_s=(0, 0)))]
    seen = call(way, over(transport, middleware=middleware), model=ASKED["model"])
    assert seen.error is None
    assert transport.models == [ASKED["model"]] * 2 + ["claude-opus-4-8"] * 2
    assert seen.message["stop_reason"] == "end_turn"
    told = "".join(block.get("text", "") for block in seen.message["content"])
    assert told == Reply.builtin("text").text


# --- traces ---------------------------------------------------------------------------------------------------------


def traced(way: Way, script: str, *middleware: Any) -> Any:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    call(way, over(Playing(script), middleware=middleware, open_telemetry={"tracer_provider": provider}, max_retries=0))
    (span,) = exporter.get_finished_spans()
    return span


@four_ways
def test_a_recovery_is_an_event_of_the_sdks_own_span(way: Way) -> None:
    span = traced(way, BROKEN, midstream.Recovery(midstream.Policy(attempts=3, backoff_s=(0, 0)), enabled=True))
    # max_retries=0 of the client is one attempt: so this one failed, and says so.
    assert [event.name for event in span.events] == ["midstream.failed"]
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    options: dict[str, Any] = {"open_telemetry": {"tracer_provider": provider}}
    call(way, over(Playing(BROKEN), middleware=[midstream.Recovery(QUICK)], **options))
    (span,) = exporter.get_finished_spans()
    (event,) = span.events
    assert event.name == "midstream.recovery"
    assert dict(event.attributes) == {
        "error.type": "truncated",
        "midstream.failure.kind": "truncated",
        "midstream.plan": "continue (turn)",
        "midstream.attempt": 2,
        "anthropic.request_id": "req_00000001",
        "gen_ai.request.model": ASKED["model"],
    }
    assert span.status.status_code.name == "OK" and span.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize("script", ["ok", "always http-529", "always http-400", "always overloaded_error@event=9"])
@four_ways
def test_the_span_of_the_sdk_ends_as_it_does_without_us(way: Way, script: str) -> None:
    bare, ours = traced(way, script), traced(way, script, midstream.Recovery(QUICK))
    assert ours.status.status_code is bare.status.status_code
    for name in ("http.response.status_code", "error.type", "gen_ai.usage.output_tokens"):
        assert ours.attributes.get(name) == bare.attributes.get(name), name


# --- callbacks ------------------------------------------------------------------------------------------------------


@four_ways
def test_a_report_comes_once_for_a_stream_that_completes(way: Way) -> None:
    reports: list[midstream.Report] = []
    seen = call(way, over(Playing(BROKEN), middleware=[midstream.Recovery(QUICK, on_report=reports.append)]))
    (report,) = reports
    assert report.outcome == "complete" and report.recoveries == 1
    assert seen.report is not None and seen.report.to_dict()["attempts"] == report.to_dict()["attempts"]


@pytest.mark.parametrize("script", [GONE, "always http-529", "http-400", "always reset-early"])
@four_ways
def test_a_report_comes_once_for_a_stream_that_fails(way: Way, script: str) -> None:
    reports: list[midstream.Report] = []
    seen = call(way, over(Playing(script), middleware=[midstream.Recovery(QUICK, on_report=reports.append)]))
    (report,) = reports
    assert isinstance(seen.error, midstream.StreamError)
    assert report.outcome == "failed" and report.failure == seen.error.failure
    assert midstream.report(seen.error) is seen.error.report


def test_a_report_comes_once_for_a_stream_that_is_left() -> None:
    reports: list[midstream.Report] = []
    recovery = midstream.Recovery(QUICK, on_report=reports.append)
    with over(Playing(), middleware=[recovery])(is_async=False) as client:
        with client.messages.stream(**ASKED) as stream:
            next(iter(stream))
            assert midstream.report(stream).outcome == "running" and not reports
        stream.close()
        assert [report.outcome for report in reports] == ["closed"]
        client.messages.create(**ASKED, stream=True)  # and nobody holds it
        assert [report.outcome for report in reports] == ["closed", "closed"]


@four_ways
def test_a_recovery_is_told_when_it_begins(way: Way) -> None:
    told: list[tuple[int, midstream.Recovered]] = []
    playing = Playing("cut-clean@fraction=0.4; then http-529; then ok")
    policy = midstream.Policy(backoff_s=(0, 0))
    recovery = midstream.Recovery(policy, on_recovery=lambda event: told.append((len(playing.sent), event)))
    assert call(way, over(playing, middleware=[recovery])).error is None
    assert [(sent, event.attempt, event.plan) for sent, event in told] == [
        (1, 2, "continue (turn)"),
        (2, 3, "continue (turn)"),
    ]
    kinds = [event.failure["kind"] for _, event in told if event.failure]
    assert kinds == ["truncated", "overloaded"]
    json.dumps([event.failure for _, event in told])


@four_ways
def test_callbacks_that_raise_change_nothing_and_are_logged(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: object) -> None:
        raise LookupError("mine")

    recovery = midstream.Recovery(QUICK, on_report=fails, on_recovery=fails)
    assert call(way, over(Playing(BROKEN), middleware=[recovery])).error is None
    assert [record.name for record in caplog.records if record.exc_info] == ["midstream", "midstream"]


# --- the log --------------------------------------------------------------------------------------------------------

SECRETS = ("sk-ant-secret", "Tell me a long story", "suspension bridge", "lorry", "a very private word")


@pytest.mark.parametrize(
    "script", [BROKEN, GONE, "always overloaded_error@event=9 message=a_very_private_word", "http-400"]
)
@four_ways
def test_the_log_has_no_contents(way: Way, script: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "midstream")
    seen = call(way, over(Playing(script), middleware=[midstream.Recovery(QUICK)]))
    lines = [record.getMessage() for record in caplog.records if record.name == "midstream"]
    report = seen.report or midstream.report(seen.error)
    for said in [*lines, str(report), json.dumps(report.to_dict())]:
        assert not any(secret in said or secret.replace(" ", "_") in said for secret in SECRETS)
    assert len([line for line in lines if "; attempt 2: " in line]) == (script != "http-400")


def test_without_a_handler_nothing_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        call(FOUR_WAYS[0], over(Playing(GONE), middleware=[midstream.Recovery(QUICK)]))
    finally:
        root.handlers = handlers
    assert capfd.readouterr().err == ""


# --- report(…) ------------------------------------------------------------------------------------------------------


def handed_out(client: Any, stack: contextlib.ExitStack) -> dict[str, Any]:
    messages, beta = client.messages, client.beta.messages
    helper = stack.enter_context(messages.stream(**ASKED))
    return {
        "helper": helper,
        "helper of beta": stack.enter_context(beta.stream(**ASKED)),
        "raw stream of the helper": helper._raw_stream,
        "stream": messages.create(**ASKED, stream=True),
        "raw response": messages.with_raw_response.create(**ASKED, stream=True),
        "parsed raw response": messages.with_raw_response.create(**ASKED, stream=True).parse(),
        "streaming response": stack.enter_context(messages.with_streaming_response.create(**ASKED, stream=True)),
        "http response": helper.response,
    }


def test_every_object_that_is_handed_out_has_a_report() -> None:
    with over(Playing("ok"), middleware=[midstream.Recovery(QUICK)])(is_async=False) as client:
        with contextlib.ExitStack() as stack:
            things = handed_out(client, stack)
            for name, thing in things.items():
                report = midstream.report(thing)
                assert report.outcome == "running", name
                assert len(report.attempts) == 1
                assert json.loads(json.dumps(report.to_dict())) == report.to_dict()
            for name, thing in things.items():
                close = getattr(thing, "close", None) or thing.http_response.close
                close()
                assert midstream.report(thing).outcome == "closed", name


@pytest.mark.anyio
async def test_every_object_that_is_handed_out_has_a_report_async() -> None:
    async with over(Playing("ok"), middleware=[midstream.Recovery(QUICK)])(is_async=True) as client:
        async with client.messages.stream(**ASKED) as helper, client.beta.messages.stream(**ASKED) as beta:
            assert midstream.report(helper).outcome == midstream.report(beta).outcome == "running"
            async with client.messages.with_streaming_response.create(**ASKED, stream=True) as streaming:
                raw = await client.messages.with_raw_response.create(**ASKED, stream=True)
                stream = await client.messages.create(**ASKED, stream=True)
                for thing in (streaming, raw, stream, stream.response):
                    assert midstream.report(thing).outcome == "running"
                await stream.close()
                await raw.http_response.aclose()
        assert midstream.report(helper).outcome == midstream.report(streaming).outcome == "closed"


@pytest.mark.parametrize("other", [None, 7, "stream", object(), httpx2.Response(200), ValueError()])
def test_what_is_not_ours_has_no_report(other: object) -> None:
    with pytest.raises(TypeError, match=r"did not come through midstream\.Recovery"):
        midstream.report(other)


def test_the_report_reads_well() -> None:
    playing = Playing("cut-clean@fraction=0.4; then http-529; then ok")
    report = call(
        FOUR_WAYS[1], over(playing, middleware=[midstream.Recovery(midstream.Policy(backoff_s=(0, 0)))])
    ).report
    assert report is not None
    first, *more = str(report).splitlines()
    assert first.startswith("stream complete after 3 attempts")
    assert [line.split(",")[0] for line in more if line.startswith("  attempt")] == [
        "  attempt 1 (first): truncated",
        "  attempt 2 (continue (turn)): overloaded",
        "  attempt 3 (continue (turn)): ended with end_turn [req_00000003]",
    ]
    assert report.request_ids == ["req_00000001", "req_00000002", "req_00000003"]
    assert report.usage.is_lower_bound and report.usage.output_tokens > 0


# --- the policy -----------------------------------------------------------------------------------------------------


def test_an_argument_beats_the_environment_which_beats_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    default = midstream.Recovery().policy
    monkeypatch.setenv("MIDSTREAM_ATTEMPTS", "7")
    monkeypatch.setenv("MIDSTREAM_SILENCE_S", "33")
    changed = midstream.Recovery().policy
    assert (changed.attempts, changed.silence_s) == (7, 33)
    assert midstream.Recovery(midstream.Policy(attempts=2)).policy.attempts == 2
    assert midstream.Recovery(midstream.Policy(attempts=2)).policy.silence_s == 33
    assert changed.progress_s == default.progress_s


def test_the_environment_reaches_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDSTREAM_ATTEMPTS", "2")
    monkeypatch.setenv("MIDSTREAM_BACKOFF_S", "0,0")
    playing = Playing("always http-529")
    call(FOUR_WAYS[0], over(playing, middleware=[midstream.Recovery()]))
    assert len(playing.sent) == 2


def test_a_policy_that_is_none_is_said_at_once() -> None:
    with pytest.raises(TypeError, match=r"policy must be a midstream\.Policy, not dict"):
        midstream.Recovery({"attempts": 3})  # type: ignore[arg-type]


def test_with_options_keeps_the_recovery() -> None:
    with over(Playing(BROKEN), middleware=[midstream.Recovery(QUICK)])(is_async=False) as client:
        stream = client.with_options(timeout=30).messages.create(**ASKED, stream=True)
        assert [event.type for event in stream][-1] == "message_stop"


def test_all_streams_of_one_recovery_share_one_retry_budget() -> None:
    policy = midstream.Policy(attempts=3, backoff_s=(0, 0), retry_per_minute_min=3, retry_share=0)
    recovery, playing = midstream.Recovery(policy), Playing("always http-529")
    errors = [call(FOUR_WAYS[n % 4], over(playing, middleware=[recovery])).error for n in range(4)]
    attempts = [len(error.report.attempts) for error in errors if isinstance(error, midstream.StreamError)]
    assert attempts == [3, 2, 1, 1]


def test_a_text_of_the_consumer_is_what_the_reply_says() -> None:
    playing = Playing(BROKEN)
    with over(playing, PLAIN, middleware=[midstream.Recovery(QUICK)])(is_async=False) as client:
        with client.messages.stream(**ASKED) as stream:
            assert "".join(stream.text_stream) == Reply.builtin("text").text
            assert stream.request_id == "req_00000001"
