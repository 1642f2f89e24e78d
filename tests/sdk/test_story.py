"""What is told of a stream while it runs."""

import builtins
import dataclasses
import json
import logging
from typing import Any

import pytest

import midstream
from midstream.drivers.clock import Clock
from midstream.recovery.steps import Broke, Elapsed, Sleep
from midstream.sdk.story import Recovered, Story
from tests.wire import TURN_MODEL, Drive, begin, say, start, text, whole

WORDS = "ten words that are long enough to be an anchor"


def told(
    drive: Drive, story: Story, caplog: pytest.LogCaptureFixture, level: int = logging.DEBUG
) -> list[tuple[str, str]]:
    caplog.set_level(level, "midstream")
    story.notice(drive.engine, drive.wait)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def story(**callbacks: Any) -> Story:
    return Story(TURN_MODEL, Clock(lambda: 0.0), callbacks.get("on_report"), callbacks.get("on_recovery"))


def test_a_recovery_is_one_line_and_one_call(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[Recovered] = []
    drive = Drive().opens(request_id="req_1").gets(start(), begin(0), say(0, WORDS)).tell(Broke("reset"))
    lines = told(drive, story(on_recovery=calls.append), caplog)
    assert lines == [
        ("WARNING", "attempt 1 ended with disconnected (reset) [req_1]; attempt 2: continue (turn), after 0.00 s")
    ]
    (call,) = calls
    assert (call.attempt, call.plan, call.delay_s) == (2, "continue (turn)", 0.0)
    assert call.failure is not None and call.failure["kind"] == "disconnected"
    json.dumps(dataclasses.asdict(call))


def test_a_sleep_is_told_to_whoever_debugs(caplog: pytest.LogCaptureFixture) -> None:
    drive = Drive(jitter=1.0).opens().tell(Broke("reset"))
    assert isinstance(drive.wait, Sleep)
    assert told(drive, story(), caplog, logging.INFO) == []
    assert told(drive, story(), caplog) == [("DEBUG", "attempt 1 failed; asleep before the next")]
    caplog.clear()
    drive.tell(Elapsed(), after_s=60)
    assert [level for level, _ in told(drive, story(), caplog)] == ["WARNING"]


def test_an_end_is_told_when_something_had_happened(caplog: pytest.LogCaptureFixture) -> None:
    plain = Drive().attempt(*whole(text(0, WORDS)))
    assert told(plain, story(), caplog) == []
    again = Drive().opens().tell(Broke("reset")).attempt(*whole(text(0, WORDS)))
    assert told(again, story(), caplog) == [("INFO", "stream complete after 2 attempts")]
    caplog.clear()
    failed = Drive(policy=midstream.Policy(attempts=1)).opens().tell(Broke("reset"))
    assert told(failed, story(), caplog) == [
        ("WARNING", f"stream failed at attempt 1: {failed.engine.history.gave_up}")
    ]


def test_a_report_is_told_once() -> None:
    reports: list[midstream.Report] = []
    drive, teller = Drive().attempt(*whole(text(0, WORDS))), story(on_report=reports.append)
    teller.tell(drive.engine, "complete")
    teller.tell(drive.engine, "closed")
    assert [report.outcome for report in reports] == ["complete"]
    assert teller.report(drive.engine, "running").outcome == "running"


def test_a_callback_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: object) -> None:
        raise LookupError("mine")

    story(on_report=fails).tell(Drive().engine, "closed")
    (record,) = caplog.records
    assert record.getMessage() == "a callback of the caller's raised; the stream goes on"
    assert record.exc_info is not None and record.exc_info[0] is LookupError


class Span:
    def __init__(self, *, breaks: bool = False) -> None:
        self.breaks, self.events = breaks, list[tuple[str, dict[str, Any]]]()

    def is_recording(self) -> bool:
        return True

    def add_event(self, name: str, attributes: dict[str, Any]) -> None:
        if self.breaks:
            raise LookupError("an exporter's own")
        self.events.append((name, attributes))


def test_a_span_that_takes_no_event_breaks_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry import trace

    monkeypatch.setattr(trace, "get_current_span", lambda: Span(breaks=True))
    drive = Drive().opens().gets(start(), begin(0), say(0, WORDS)).tell(Broke("reset"))
    assert [level for level, _ in told(drive, story(), caplog)] == ["WARNING", "DEBUG"]


def test_without_opentelemetry_there_is_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert story()._span is None


def test_a_span_that_nobody_records_is_left_alone() -> None:
    assert story()._span is None
