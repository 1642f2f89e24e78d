"""The words of each finding, read from ``findings.toml``.

Rule: what a finding says stands in the data file; code fills in figures and brings the evidence.
"""

import functools
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources

import msgspec

from midstream.doctor.render import Finding, Severity


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of one kind of finding."""

    severity: Severity
    title: str
    means: str
    why: str
    fix: str


@functools.cache
def words() -> Mapping[str, Words]:
    """All of them, by their ids."""
    data = resources.files("midstream.doctor.probe").joinpath("findings.toml").read_bytes()
    return msgspec.toml.decode(data, type=dict[str, Words])


def finding(
    name: str, *evidence: str, rules: tuple[str, ...] = (), severity: Severity | None = None, **filled: object
) -> Finding:
    """One finding, its title filled in; evidence that is empty is left out."""
    said = words()[name]
    found = Finding(said.severity, said.title.format(**filled), id=name, means=said.means, why=said.why, fix=said.fix)
    seen = tuple(line for line in evidence if line)
    return replace(found, evidence=seen, related=rules, severity=severity or said.severity)
