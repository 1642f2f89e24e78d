"""The report: what it counts, what it says, and what it never says."""

import json
from typing import Any

import pytest

from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.history import AttemptRecord, DroppedRecord, History, SeamRecord
from midstream.reports import Report, Usage, described, make_report, total_usage

BROKEN = Failure(
    Kind.TRUNCATED,
    Phase.SHOWING,
    Origin.TRANSPORT,
    "the body ended cleanly inside block 0",
    status=200,
    request_id="req_1",
    api_message="secret words of the service",
    body={"secret": "words"},
)


def record(number: int = 1, plan: str = "first", **fields: Any) -> AttemptRecord:
    made = AttemptRecord(number, plan, fields.pop("delay_s", 0.0), 0.0)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def history() -> History:
    usage = {"input_tokens": 100, "output_tokens": 2, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 3}
    broken = record(failure=BROKEN, ended_at=2.0, request_id="req_1", usage=usage, output_tokens_estimated=50)
    whole = record(
        2, "continue (turn)", delay_s=0.5, ended_at=4.0, stop_reason="end_turn", usage=usage, usage_is_lower_bound=False
    )
    return History(
        attempts=[broken, whole],
        seams=[SeamRecord(2, 0, 1318, "element", 42)],
        dropped=[DroppedRecord(1, "tool_use", "look", "not finished"), DroppedRecord(1, "thinking", None, "not shown")],
        slept_s=0.5,
        complete=True,
    )


def test_a_report_is_what_the_engine_wrote_down() -> None:
    report = make_report(history(), "complete", None, 4.0)
    assert report.recoveries == 1
    assert report.request_ids == ["req_1"]
    assert (report.slept_s, report.elapsed_s) == (0.5, 4.0)
    assert (report.settled, report.stop_added, report.shown_live, report.gave_up) == (False, False, False, None)
    assert Report("running").recoveries == 0


def test_it_reads_well() -> None:
    assert str(make_report(history(), "complete", None, 4.0)).splitlines() == [
        "stream complete after 2 attempts, 0.5 s of them asleep",
        "  attempt 1 (first): truncated, the body ended cleanly inside block 0 [req_1]",
        "    dropped tool_use 'look': not finished",
        "    dropped thinking: not shown",
        "  attempt 2 (continue (turn)): after 0.50 s, ended with end_turn",
        "    seam in block 0 at character 1,318: joined by the rule 'element', 42 characters dropped",
        "  usage over all attempts: at least 200 in, 52 out",
    ]


@pytest.mark.parametrize(
    ("outcome", "failure", "settled", "headline"),
    [
        ("complete", None, False, "stream complete after 1 attempt,"),
        ("complete", None, True, "stream settled at its complete tool calls after 1 attempt,"),
        ("failed", BROKEN, False, "stream failed (truncated) after 1 attempt,"),
        ("failed", None, False, "stream failed after 1 attempt,"),
        ("closed", None, False, "stream closed by the consumer after 1 attempt,"),
        ("running", None, False, "stream still running after 1 attempt,"),
    ],
)
def test_the_first_line_says_how_it_ended(outcome: Any, failure: Failure | None, settled: bool, headline: str) -> None:
    report = make_report(History([record()], settled=settled, gave_up="why"), outcome, failure, 0.0)
    lines = str(report).splitlines()
    assert lines[0].startswith(headline)
    assert lines[1] == "  attempt 1 (first): running"
    assert lines[2] == "  gave up: why"


def test_a_failure_without_a_detail_is_told_too() -> None:
    bare = Failure(Kind.SILENT, Phase.WAITING, Origin.TRANSPORT)
    assert "silent, no detail" in str(make_report(History([record(failure=bare)]), "failed", bare, 0.0))


def test_to_dict_is_json_and_holds_no_words_of_the_service() -> None:
    plain = json.loads(json.dumps(make_report(history(), "failed", BROKEN, 4.0).to_dict()))
    assert plain["failure"] == {
        "kind": "truncated",
        "phase": "showing",
        "origin": "transport",
        "detail": "the body ended cleanly inside block 0",
        "status": 200,
        "request_id": "req_1",
    }
    assert plain["attempts"][0]["failure"] == plain["failure"]
    assert plain["attempts"][1]["failure"] is None
    assert plain["seams"][0]["offset"] == 1318
    assert len(plain["dropped"]) == 2
    assert "secret" not in json.dumps(plain)
    assert "secret" not in str(make_report(history(), "failed", BROKEN, 4.0))
    assert described(None) is None


def test_the_report_is_not_changed_by_what_happens_later() -> None:
    told = history()
    report = make_report(told, "running", None, 0.0)
    told.attempts.append(record(3))
    assert len(report.attempts) == 2


USAGES = [
    ([], Usage(0, 0, 0, 0, False)),
    ([record(usage={"input_tokens": 5, "output_tokens": 7}, usage_is_lower_bound=False)], Usage(5, 7, 0, 0, False)),
    # One that broke: the higher of what it said and the low estimate, and only a lower bound.
    ([record(usage={"input_tokens": 5, "output_tokens": 1}, output_tokens_estimated=30)], Usage(5, 30, 0, 0, True)),
    ([record(usage={"input_tokens": 5, "output_tokens": 90}, output_tokens_estimated=30)], Usage(5, 90, 0, 0, True)),
    # One that said nothing at all cost nothing that is known.
    ([record(output_tokens_estimated=0)], Usage(0, 0, 0, 0, False)),
    (
        [record(usage={"input_tokens": None, "output_tokens": "7"}, usage_is_lower_bound=False)],
        Usage(0, 0, 0, 0, False),
    ),
    ([record(usage={"input_tokens": -5, "output_tokens": True}, usage_is_lower_bound=False)], Usage(0, 0, 0, 0, False)),
]


@pytest.mark.parametrize(("attempts", "usage"), USAGES)
def test_usage_is_the_sum_over_all_attempts(attempts: list[AttemptRecord], usage: Usage) -> None:
    assert total_usage(attempts) == usage
