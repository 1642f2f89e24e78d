"""The rules as a page of the docs.

Rule: every word is a rule's; nothing is told here that `midstream lint` does not tell.
"""

from collections.abc import Iterator

from midstream.doctor.lint.catalogue import FAMILIES, Rule, family
from midstream.doctor.lint.told import KNOWN


def markdown() -> str:
    """A section for each family, a table of its rules, and then each rule."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for name in FAMILIES:
        one = family(name)
        yield from (f"## {one.title}", "", "| rule | | |", "| --- | --- | --- |")
        yield from (f"| [{rule.id}](#{rule.id.lower()}) | {rule.severity} | {rule.title} |" for rule in one.rule)
        yield ""
        for rule in one.rule:
            yield from _rule(rule)


def _rule(rule: Rule) -> Iterator[str]:
    yield from (f"### {rule.id}", "", f"**{rule.severity}: {rule.title}.** {rule.reason}", "")
    yield from (f"{KNOWN[rule.known].capitalize()}: {rule.evidence}", "")
    yield from ("```", rule.cure, "```") if rule.cure else (rule.fix,)
    yield ""
