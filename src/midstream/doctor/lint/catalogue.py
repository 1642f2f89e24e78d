"""The rules: what each says, why, where that was seen, and what cures it; read from the files in ``rules/``.

Rule: a rule's words stand in its data file alone. Code finds the place, and says what stands there.
"""

import enum
import functools
from collections.abc import Mapping
from importlib import resources

import msgspec


class Severity(enum.StrEnum):
    """How bad it is. The order is that of the members."""

    ERROR = "error"
    """A stream breaks, looks whole when it is not, or comes in one piece."""
    WARNING = "warning"
    """It breaks in some cases, or costs money."""
    NOTE = "note"
    """Nothing breaks: a line that does nothing, or a fact that is worth knowing."""

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


class Known(enum.StrEnum):
    """How it is known."""

    MEASURED = "measured"
    """By this project, with real streams through the real proxy."""
    DOCUMENTED = "documented"
    """In the maker's documentation; not measured."""
    REPORTED = "reported"
    """Common knowledge among those who run it; neither measured nor found in its documentation."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that can be wrong in a configuration."""

    id: str
    severity: Severity
    title: str
    """What is wrong, in one line."""
    reason: str
    """What that does to a stream."""
    known: Known
    evidence: str
    """What was seen where."""
    cure: str = ""
    """The lines that cure it, ready to be copied."""
    fix: str = ""
    """The smallest change that cures it, as a sentence, where it is no line to be copied."""


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of rules."""

    title: str
    prefix: str
    rule: list[Rule]


FAMILIES = (
    "nginx",
    "haproxy",
    "caddy",
    "apache",
    "envoy",
    "lighttpd",
    "varnish",
    "traefik",
    "kubernetes",
    "terraform",
    "cloudflare",
    "python",
    "javascript",
)
"""Every file of rules, in the order of the docs."""


@functools.cache
def family(name: str) -> Family:
    """One file of rules."""
    data = resources.files("midstream.doctor.lint").joinpath("rules", f"{name}.toml").read_bytes()
    return msgspec.toml.decode(data, type=Family)


@functools.cache
def rules() -> Mapping[str, Rule]:
    """Every rule by its id."""
    return {rule.id: rule for name in FAMILIES for rule in family(name).rule}
