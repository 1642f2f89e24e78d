"""The page of the rules has all of them, with all their words."""

from midstream.doctor.lint.catalogue import rules
from midstream.doctor.lint.reference import markdown


def test_every_rule_has_its_heading_its_reason_and_its_cure() -> None:
    page = markdown()
    for rule in rules().values():
        assert f"\n### {rule.id}\n" in page
        assert f"](#{rule.id.lower()})" in page
        assert rule.reason in page and rule.evidence in page and (rule.cure or rule.fix) in page
