"""From what was seen to what is wrong: a healthy path has no finding, and each illness has its own."""

import pytest

from midstream.doctor.probe.observations import Observations, Passed
from midstream.doctor.probe.verdicts import judge, leaving
from tests.doctor.probe.made import (
    HEALTHY,
    HELLO,
    before,
    changed,
    cuts,
    delivery,
    flow,
    gathered,
    held_back,
    silence,
    stream,
    tail,
)
from tests.doctor.probe.made import (
    leaving as left,
)

LOST = stream([0.0, 130.0], [0.7, None], end="waited")
IN_1_0 = type(HELLO)(1, "0", "HTTP/1.0", 50, 200, ("host",), "", "identity")


def found(observed: Observations) -> list[tuple[str, str]]:
    return [(finding.id.removeprefix("PROBE-"), finding.severity) for finding in judge(observed).findings]


CASES: list[tuple[str, Observations, list[tuple[str, str]]]] = [
    ("healthy", HEALTHY, []),
    ("held back", changed(delivery=(held_back(),) * 3), [("BUFFERED", "error")]),
    ("in batches", changed(delivery=(gathered(),) * 3), [("GATHERED", "warning")]),
    ("a hiccup", changed(delivery=(held_back(), delivery())), []),
    ("a tail", changed(tails=(tail(2.0),) * 3), [("TAIL", "warning")]),
    ("silent FIN", changed(cuts=cuts("complete")), [("SILENT", "error")]),
    ("silent both", changed(cuts=cuts("complete", "complete")), [("SILENT", "error")]),
    ("no framing", changed(cuts=cuts("unframed", "unframed")), [("SILENT", "error")]),
    ("hangs", changed(cuts=cuts("waited", "waited")), [("HANG", "error")]),
    ("lost", changed(cuts=cuts(came=3)), [("LOST", "warning")]),
    ("a broken chunk", changed(cuts=cuts("garbled", "garbled")), []),
    ("60 s idle", changed(silences=(silence(60.0),)), [("IDLE", "note")]),
    ("3 s idle", changed(silences=(silence(3.0),)), [("IDLE", "warning")]),
    ("60 s idle, silent", changed(silences=(silence(60.0, "complete"),)), [("SILENT", "error"), ("IDLE", "note")]),
    (
        "pings do not help",
        changed(silences=(silence(60.0),), pings=flow(60.2, "pings")),
        [("IDLE", "warning")],
    ),
    ("15 s in all", changed(silences=(silence(15.0),), flow=flow(15.0), pings=flow(15.0)), [("TOTAL", "error")]),
    (
        "15 s in all, silent",
        changed(silences=(silence(15.0),), flow=flow(15.0, end="complete"), pings=flow(15.0)),
        [("SILENT", "error"), ("TOTAL", "error")],
    ),
    ("dropped", changed(silences=(LOST,)), [("DROPPED", "error")]),
    ("headers in 60 s", changed(before=before(60.0)), [("HEADERS", "note")]),
    ("headers in 5 s", changed(before=before(5.0, None)), [("HEADERS", "warning")]),
    (
        "headers in 15 s, and all of it",
        changed(before=before(15.0), flow=flow(15.0), pings=flow(15.0)),
        [("TOTAL", "error"), ("HEADERS", "note")],
    ),
    ("1 MB", changed(bodies=(Passed(1_100_000, False, "HTTP 413"),)), [("BODY", "warning")]),
    ("short headers", changed(heads=(Passed(4_000, False, "HTTP 431"),)), []),
    ("leaves unheard", changed(leaving=left(None)), [("UNHEARD", "warning")]),
    ("leaves heard late", changed(leaving=left(3.1)), [("LEAVING", "note")]),
    ("refused", changed(delivery=(stream([], [], status=502, told=None),), cuts=()), [("EARLY", "error")]),
    ("nothing asked", Observations("x", 130.0, HELLO), []),
]


@pytest.mark.parametrize(("observed", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_was_seen_is_called_what_it_is(observed: Observations, expected: list[tuple[str, str]]) -> None:
    assert found(observed) == expected


@pytest.mark.parametrize(("observed", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_every_finding_has_its_evidence_and_a_cure(observed: Observations, expected: list[tuple[str, str]]) -> None:
    for finding in judge(observed).findings:
        assert finding.evidence and all(finding.evidence) and finding.fix and finding.means and finding.why


def test_that_the_upstream_is_asked_in_http_1_0_is_part_of_the_evidence() -> None:
    (finding,) = judge(changed(hello=IN_1_0, cuts=cuts("complete"))).findings
    assert any("HTTP/1.0" in line for line in finding.evidence)


def test_a_family_that_fits_brings_the_rules_to_apply() -> None:
    judged = judge(changed(hello_headers=(("server", "nginx/1.22.1"),), cuts=cuts("complete")))
    assert [fit.family for fit in judged.fits] == ["nginx"] and "NGX-HTTP10" in judged.findings[0].related
    assert judge(changed(cuts=cuts("complete"))).findings[0].related == ()


def test_the_far_ends_own_name_is_no_family() -> None:
    assert judge(HEALTHY).fits == ()


@pytest.mark.parametrize(
    ("each", "when"),
    [
        (left(0.65), "at once"),
        (left(1.7), "at once"),
        (left(2.7), "when it writes"),
        (left(None), "never"),
        (None, "unknown"),
        (stream([0.0], end="broken"), "unknown"),
        (stream([0.0], end="left", told=None, came_at_s=()), "unknown"),
    ],
)
def test_when_a_leaving_was_noticed(each: object, when: str) -> None:
    assert leaving(changed(leaving=each)) == when
