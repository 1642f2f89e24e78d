"""Every rule that a probe names is one that lint has."""

from midstream.doctor.lint.catalogue import rules
from midstream.doctor.probe.families import FAMILIES, Fit
from midstream.doctor.probe.rules import RULES, rules_for


def test_lint_has_every_rule_that_is_named() -> None:
    assert {name for names in RULES.values() for name in names} <= set(rules())


def test_every_family_that_has_rules_can_be_found() -> None:
    assert {family for family, _ in RULES} <= {family.name for family in FAMILIES}


def test_the_rules_are_those_of_the_families_that_fit_each_once() -> None:
    nginx, other = Fit("nginx", True, ("server",)), Fit("squid", False, ("via",))
    assert rules_for("held back", [nginx, other, nginx]) == ("NGX-HTTP10", "NGX-BUFFERING")
    assert rules_for("held back", [other]) == ()
