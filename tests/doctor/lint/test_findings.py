"""What a check is told, and how it answers."""

import pytest

from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import Assumptions, Checked, Edit, Place, version_of


def test_a_version_is_compared_by_its_numbers() -> None:
    assume = Assumptions({"nginx": version_of("1.29.10"), "caddy": version_of("v2.6.2")})
    assert assume.before("nginx", "1.29.7") is False
    assert assume.before("caddy", "2.8") is True
    assert assume.before("haproxy", "3.0") is None


@pytest.mark.parametrize("text", ["", "1.x", "one", "1..2"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        version_of(text)


def test_three_pings_fit_into_a_limit_of_silence() -> None:
    assert Assumptions(ping_s=4).silence_s == 12


def test_the_same_finding_at_the_same_place_counts_once() -> None:
    checked = Checked()
    for line in (1, 1, 2):
        checked.add("NGX-GZIP", Place("a", line), "x")
    assert [finding.place.line for finding in checked.findings] == [1, 2]


def test_a_finding_has_the_severity_of_its_rule_unless_the_check_knows_better() -> None:
    checked = Checked()
    checked.add("NGX-GZIP", Place("a", 1), "x", [Edit("delete", Place("a", 1))])
    checked.add("NGX-GZIP", Place("a", 2), "x", severity=Severity.NOTE)
    assert [finding.severity for finding in checked.findings] == [Severity.ERROR, Severity.NOTE]
    assert checked.findings[0].edits == (Edit("delete", Place("a", 1)),)
