"""Every rule has a bad configuration, in which it points at the right lines, and a good one, in which it is silent."""

import pytest

from midstream.doctor.lint import edits, run
from midstream.doctor.lint.catalogue import rules
from midstream.doctor.lint.findings import Checked
from midstream.doctor.lint.source import Source
from tests.doctor.lint.cases import CASES, Case

EACH = pytest.mark.parametrize("case", CASES.values(), ids=str)


def checked(case: Case, text: str) -> Checked:
    return run.check(Source("file", text), case.assume, case.kind)


def lines_of(found: Checked, rule: str) -> set[int]:
    return {finding.place.line for finding in found.findings if finding.rule.id == rule}


def fixed(case: Case) -> str:
    """The bad one as `--fix` leaves it."""
    found = checked(case, case.bad).findings
    return "\n".join(edits.applied(case.bad.split("\n"), [edit for each in found for edit in each.edits]))


def test_every_rule_has_its_case_and_no_case_is_for_a_rule_that_is_not() -> None:
    assert sorted(CASES) == sorted(rules())


@EACH
def test_a_bad_configuration_is_found_at_its_lines(case: Case) -> None:
    assert case.lines, "no line of the bad one is marked"
    assert lines_of(checked(case, case.bad), case.rule) == case.lines


@EACH
def test_a_good_configuration_is_not_complained_of(case: Case) -> None:
    assert lines_of(checked(case, case.good), case.rule) == set()


@EACH
def test_what_can_be_fixed_is_fixed_once_and_for_all(case: Case) -> None:
    found = [finding for finding in checked(case, case.bad).findings if finding.rule.id == case.rule]
    if not all(finding.edits for finding in found):
        assert rules()[case.rule].fix or rules()[case.rule].cure
        return
    after = fixed(case)
    again = checked(case, after)
    assert lines_of(again, case.rule) == set()
    assert (
        "\n".join(edits.applied(after.split("\n"), [edit for each in again.findings for edit in each.edits])) == after
    )
