"""A probe as a report: one sentence, a table where all is well too, and figures for programs."""

import io
import json

import pytest

from midstream.doctor.probe import told
from midstream.doctor.probe.observations import Observations, Passed
from midstream.doctor.probe.verdicts import judge
from midstream.doctor.render import Report, show
from tests.doctor.probe.made import HEALTHY, before, changed, cuts, flow, held_back, leaving, silence, stream

URL = "https://host/path"


def report(observed: Observations) -> Report:
    return told.report(observed, judge(observed), URL)


def rows(observed: Observations) -> dict[str, str]:
    return dict(told.measured(observed, judge(observed)))


def test_a_healthy_path_is_called_healthy_and_all_that_was_measured_is_told() -> None:
    found = report(HEALTHY)
    assert found.severity == "good" and not told.is_ill(found) and found.verdict.startswith("a stream comes through")
    assert rows(HEALTHY) == {
        "HTTP": "http/1.1; the far end is asked in HTTP/1.1",
        "delivery, http/1.1": "at once, 0 ms late, 0 at most",
        "compression": "events are not compressed",
        "a cut": "is seen (http/1.1)",
        "idle limit": "none up to 130 s",
        "total limit": "none up to 130 s",
        "pings": "pass; no idle limit to help against",
        "before headers": "no limit up to 130 s",
        "a question": "1.1 MB pass",
        "one header": "4 kB pass; 9 kB do not: HTTP 400",
        "a client that leaves": "is noticed at once",
        "on the way": "nothing that gives itself away",
    }


@pytest.mark.parametrize(
    ("observed", "row", "words"),
    [
        (changed(silences=(silence(60.0, "complete"),)), "idle limit", "http/1.1: 60.0 s – looks whole"),
        (changed(silences=(silence(60.0),)), "pings", "carry a stream past the idle limit"),
        (changed(flow=flow(15.0), pings=flow(15.0)), "total limit", "15.0 s"),
        (changed(before=before(60.0, 502)), "before headers", "60.0 s, then HTTP 502"),
        (changed(before=before(60.0, None)), "before headers", "60.0 s, then no answer"),
        (changed(cuts=cuts("complete")), "a cut", "is seen in some cases only (http/1.1)"),
        (changed(cuts=cuts("complete", "complete")), "a cut", "looks whole (http/1.1)"),
        (changed(bodies=(Passed(1_100_000, False, "HTTP 413"),)), "a question", "1.1 MB do not: HTTP 413"),
        (changed(bodies=()), "a question", "not asked"),
        (changed(leaving=leaving(3.0)), "a client that leaves", "is noticed when the far end writes next"),
        (changed(leaving=None), "a client that leaves", "not seen"),
        (changed(packed=(stream([0.0], encoding="gzip"),)), "compression", "events are compressed (gzip)"),
        (changed(hello_headers=(("server", "envoy"),)), "on the way", "envoy: server: envoy"),
    ],
)
def test_what_differs_is_told_in_its_row(observed: Observations, row: str, words: str) -> None:
    assert words in rows(observed)[row]


def test_the_verdict_is_the_gravest_finding_and_how_many_more() -> None:
    found = report(changed(delivery=(held_back(),) * 3, silences=(silence(3.0),)))
    assert found.verdict == "the reply is held back (http/1.1); and 1 more" and told.is_ill(found)


def test_notes_alone_are_no_illness() -> None:
    found = report(changed(silences=(silence(60.0),)))
    assert found.severity == "note" and not told.is_ill(found) and found.findings


def test_rules_to_apply_are_advised() -> None:
    found = report(changed(hello_headers=(("server", "nginx"),), cuts=cuts("complete")))
    assert "NGX-HTTP10" in found.advice[0] and found.data["measured"]["rules"][0] == "NGX-HTTP10"


def test_the_figures_are_json() -> None:
    out = io.StringIO()
    show(
        report(changed(silences=(silence(60.0),), before=before(60.0), flow=flow(90.0), pings=flow(90.0))),
        out,
        as_json=True,
    )
    measured = json.loads(out.getvalue())["measured"]
    assert measured["idle_limits"][0]["seconds"] == 60.0 and measured["total_limit"]["seconds"] == pytest.approx(
        90.0, abs=0.1
    )
    assert measured["header_limit"]["status"] == 504 and measured["delivery"][0]["manner"] == "at once"
