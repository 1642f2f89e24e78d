"""The preflight as a report: the worst first, and notes are no fault."""

from midstream.doctor.check.diagnostics import Diagnostics
from midstream.doctor.check.run import compared, report
from midstream.doctor.check.timeouts import Found, Probed

FOUND = Diagnostics(1, {"python": "3.11"}, {"anthropic": "2.11.0"}, {}, {"gateway_ping_s": 10.0}, {})


def test_notes_alone_are_no_fault() -> None:
    found = report(FOUND, {})
    assert found.severity == "note" and found.verdict == "nothing is known against it"
    assert [table.title for table in found.tables] == ["versions", "timeouts, in seconds"]


def test_the_worst_comes_first_and_is_the_verdict() -> None:
    environ = {"ANTHROPIC_BASE_URL": "https://x.example/v1", "ANTHROPIC_API_KEY": "a", "ANTHROPIC_AUTH_TOKEN": "b"}
    found = report(FOUND, environ, probed=Probed((Found(20.0),)))
    assert [finding.severity for finding in found.findings] == ["error", "warning", "warning", "note"]
    assert found.verdict == "ANTHROPIC_BASE_URL ends in /v1; and 2 more" and found.severity == "error"


def test_two_machines_are_alike_or_differ() -> None:
    assert compared(FOUND, FOUND, "x.json").severity == "good"
    other = Diagnostics(1, {"python": "3.12"}, {}, {}, {}, {})
    found = compared(FOUND, other, "x.json")
    assert found.verdict == "3 things differ" and found.data["differences"][0]["here"] == "3.11"
