"""Timeouts are judged beside a probe, and nothing is claimed without one."""

import json

import pytest

from midstream.doctor.check.timeouts import Found, Probed, read_probed, timeout_findings

OURS = {"gateway_ping_s": 10.0, "recovery_silence_s": 180.0}


@pytest.mark.parametrize(
    ("probed", "expected"),
    [
        (Probed(), []),
        (Probed((Found(60.0),)), []),
        (Probed((Found(25.0), Found(60.0))), ["CHECK-PINGS"]),
        (Probed((Found(300.0),)), ["CHECK-SILENCE"]),
        (Probed((), Found(15.0)), ["CHECK-PATH-TOTAL"]),
    ],
)
def test_timeouts_beside_the_limits_of_a_path(probed: Probed, expected: list[str]) -> None:
    assert [finding.id for finding in timeout_findings(OURS, probed)] == expected


def test_what_a_probe_wrote_is_read_and_nothing_else() -> None:
    measured = {"idle_limits": [{"seconds": 60.0, "end": "broken"}], "total_limit": None, "more": 1}
    assert read_probed(json.dumps({"measured": measured, "command": "probe"}).encode()) == Probed((Found(60.0),))
    for raw in (b"", b"{}", b"[]", b'{"measured": 3}', b'{"measured": {"idle_limits": [1]}}', b"\xff", b"[" * 100_000):
        assert read_probed(raw) is None
