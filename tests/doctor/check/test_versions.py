"""A version is compared by its numbers, and each fault says what cures it."""

import pytest

from midstream.doctor.check.versions import PACKAGES, faults, numbers, version_findings


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.11.0", (2, 11, 0)),
        ("1.6", (1, 6, 0)),
        ("1.7.0rc1", (1, 7, 0)),
        ("1.7.0.post3", (1, 7, 0)),
        ("2.0.0+local", (2, 0, 0)),
    ],
)
def test_the_numbers_of_a_version(version: str, expected: tuple[int, int, int]) -> None:
    assert numbers(version) == expected


def test_nothing_is_known_against_a_version_that_says_nothing() -> None:
    found = [finding.id for finding in version_findings({"anthropic": "unknown"})]
    assert found == [fault.id for fault in faults() if fault.package == "anthropic" and not fault.before]


@pytest.mark.parametrize(
    ("version", "has", "has_not"),
    [
        ("1.6.9", {"CHECK-BEDROCK-VALUEERROR", "CHECK-SILENT-END"}, {"CHECK-RETRY-AFTER"}),
        ("0.40.0", {"CHECK-BEDROCK-VALUEERROR", "CHECK-RETRY-AFTER", "CHECK-OLD-API"}, set()),
        ("2.11.0", {"CHECK-SILENT-END"}, {"CHECK-BEDROCK-VALUEERROR", "CHECK-OLD-API", "CHECK-OVERLOADED-CLASS"}),
    ],
)
def test_the_faults_of_a_version(version: str, has: set[str], has_not: set[str]) -> None:
    found = {finding.id for finding in version_findings({"anthropic": version})}
    assert has <= found and not has_not & found


def test_every_fault_is_of_a_package_that_is_looked_for_and_says_what_to_do() -> None:
    assert {fault.package for fault in faults()} <= set(PACKAGES)
    assert len({fault.id for fault in faults()}) == len(faults())
    assert all(fault.fix and fault.means and fault.source for fault in faults())


def test_what_is_not_installed_has_no_faults() -> None:
    assert list(version_findings({})) == []
