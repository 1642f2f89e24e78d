"""The rules' data: each file is whole, and its words can be shown."""

import re

import pytest

from midstream.doctor.lint.catalogue import FAMILIES, Known, Severity, family, rules


@pytest.mark.parametrize("name", FAMILIES)
def test_a_rule_is_named_after_its_family_and_has_all_its_words(name: str) -> None:
    for rule in family(name).rule:
        assert re.fullmatch(rf"{family(name).prefix}(-[A-Z0-9]+)+", rule.id), rule.id
        assert bool(rule.cure) != bool(rule.fix), f"{rule.id}: either lines or a sentence"
        assert "\\n" not in rule.cure, f"{rule.id}: a line break that nobody sees as one"
        for words in (rule.title, rule.reason, rule.evidence):
            assert words.strip() == words and words, rule.id
        assert not rule.title.endswith("."), rule.id
        assert rule.reason.endswith(".") and rule.evidence.endswith("."), rule.id


def test_no_two_rules_have_one_id() -> None:
    assert len(rules()) == sum(len(family(name).rule) for name in FAMILIES)


def test_a_line_that_does_nothing_is_a_note() -> None:
    assert {rule.severity for rule in rules().values() if "-NOOP-" in rule.id} == {Severity.NOTE}


def test_the_worst_severity_comes_first() -> None:
    assert sorted(Severity, key=lambda each: each.rank) == [Severity.ERROR, Severity.WARNING, Severity.NOTE]


def test_a_measured_rule_says_of_which_version() -> None:
    for rule in rules().values():
        if rule.known is Known.MEASURED:
            assert re.search(r"\d+\.\d+", rule.evidence), rule.id
