"""Proof 5 of the doctor, as far as diagnosing goes: the three cases with which this project began.

In-stream Bedrock errors that were taken for completions; a connection that was lost, which a raw transport error told
of; a stream that ends without `message_stop`. Each is played over real sockets, recorded, and diagnosed.
"""

import io
import json

import pytest

from midstream.doctor.diagnose.causes import causes_of
from midstream.doctor.diagnose.diagnosis import Diagnosis
from midstream.doctor.diagnose.run import examine
from midstream.doctor.diagnose.stream import Outcome
from midstream.doctor.diagnose.tell import report_of
from midstream.doctor.record.asking import Question, record
from midstream.doctor.record.writer import Writer
from midstream.doctor.recording.facts import How
from midstream.doctor.render import Report
from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from midstream.recovery.failure import Kind

pytestmark = pytest.mark.sockets

MESSAGES = [{"role": "user", "content": "Hi"}]
ASKED = {
    "/v1/messages": {"stream": True, "model": "claude-sonnet-5-5", "max_tokens": 99, "messages": MESSAGES},
    "/model/anthropic.claude-sonnet-5-5/invoke-with-response-stream": {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 99,
        "messages": MESSAGES,
    },
}
SSE, BEDROCK = ASKED


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def recorded(script: str, path: str, reply: str = "text") -> tuple[Diagnosis, Report]:
    """Plays it, records it, and diagnoses the recording."""
    lines = io.StringIO()
    with FaultServer(script, Reply.builtin(reply)) as server:
        question = Question(f"{server.url}{path}", "POST", {}, json.dumps(ASKED[path]).encode())
        record(question, Writer(lines))
    examined = examine(io.BytesIO(lines.getvalue().encode()))
    (one,) = examined.diagnoses
    return one, report_of(examined, "reply.jsonl")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", Kind.RATE_LIMITED),
        ("serviceUnavailableException", Kind.OVERLOADED),
        ("internalServerException", Kind.SERVER_ERROR),
        ("modelStreamErrorException", Kind.SERVER_ERROR),
        ("modelTimeoutException", Kind.TIMED_OUT),
        ("validationException", Kind.REJECTED),
    ],
)
def test_an_exception_inside_a_bedrock_stream_is_an_error_and_no_completion(name: str, kind: Kind) -> None:
    one, report = recorded(f"{name}@event=7", BEDROCK)
    assert one.outcome is Outcome.ERROR and one.protocol == "Messages, AWS event stream" and one.place.event == 7
    assert one.failure is not None and (one.failure.kind, one.failure.error_type) == (kind, name)
    assert causes_of(one) == ["stream-error"] and name in report.verdict and not one.healthy
    assert one.rehearsed is not None
    assert one.rehearsed.action == ("gives up" if kind is Kind.REJECTED else "continues")


@pytest.mark.parametrize("path", [SSE, BEDROCK])
def test_an_error_event_inside_a_stream_is_an_error_in_either_framing(path: str) -> None:
    one, report = recorded("overloaded@event=7", path)
    assert one.outcome is Outcome.ERROR and one.failure is not None and one.failure.kind is Kind.OVERLOADED
    assert "overloaded_error" in report.verdict and one.place.event == 7


@pytest.mark.parametrize("path", [SSE, BEDROCK])
@pytest.mark.parametrize(("script", "how"), [("cut-fin@event=7", How.INCOMPLETE), ("cut-rst@event=7", How.RESET)])
def test_a_connection_that_was_lost_is_told_with_what_a_client_meets(script: str, how: How, path: str) -> None:
    one, report = recorded(script, path)
    assert one.outcome is Outcome.TRUNCATED and one.place.event <= 7 and causes_of(one) == ["cut"]
    assert one.finished is not None and one.finished.how is how
    assert one.failure is not None and one.failure.kind is Kind.DISCONNECTED
    assert "the connection was lost" in report.verdict


@pytest.mark.parametrize("path", [SSE, BEDROCK])
def test_a_stream_that_ends_cleanly_without_its_last_event_is_truncated_though_nothing_raises(path: str) -> None:
    one, report = recorded("cut-clean@event=7", path)
    assert one.outcome is Outcome.TRUNCATED and causes_of(one) == ["silent-cut"] and one.place.event == 7
    assert one.failure is not None and one.failure.kind is Kind.TRUNCATED
    assert "message_stop" in report.findings[0].means and report.severity == "error"


@pytest.mark.parametrize("path", [SSE, BEDROCK])
def test_where_only_message_stop_is_missing_nothing_is_lost_and_that_is_said(path: str) -> None:
    whole, _ = recorded("ok", path)
    assert whole.healthy
    one, report = recorded(f"cut-clean@event={whole.events - 1}", path)
    assert one.outcome is Outcome.COMPLETE and one.stop_missing == "message_stop" and not one.healthy
    assert causes_of(one) == ["stop-missing"] and report.severity == "warning"
    assert one.rehearsed is not None and one.rehearsed.action == "adds the stop"


def test_half_a_call_is_named_and_not_to_be_run() -> None:
    whole, _ = recorded("ok", SSE, "tools")
    (first, *_) = [block for block in whole.blocks if block.type == "tool_use"]
    one, report = recorded(f"cut-clean@byte={first.begin + 400}", SSE, "tools")
    assert one.place.block is not None and one.place.block.name == first.name
    assert f"the call of {first.name!r} must not be run" in report.findings[0].evidence
