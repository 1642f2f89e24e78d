"""Cloudflare Workers: ``wrangler.toml``, or the same as JSON with comments.

Rule: what a Worker does is in its code; here stands only what would end it.
"""

import re

from midstream.doctor.lint.findings import Assumptions, Checked
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.tree import Value, documents, toml

# Some thousand pieces of a long reply, at a tenth of a millisecond each.
CPU_MS_MIN = 1000


def check(source: Source, assume: Assumptions) -> Checked:
    """Everything that is wrong in a file. Raises `Unreadable`."""
    checked = Checked(files={source.name: source.lines})
    for root in _roots(source):
        for value in root.walk():
            _cpu(value, checked)
            if value.key == "usage_model" and value.word == "bundled":
                checked.add("CFW-BUNDLED", value.place, '`usage_model` is "bundled"')
    return checked


def _roots(source: Source) -> list[Value]:
    if source.text.lstrip()[:1] in {"{", "/"}:
        # In strings, too, two slashes stand: those of addresses, behind a colon.
        text = re.sub(r'(?m)(^|[\s,{}\[\]"])//.*$', r"\1", source.text)
        return documents(Source(source.name, re.sub(r",(\s*[}\]])", r"\1", text)))
    return [toml(source)]


def _cpu(value: Value, checked: Checked) -> None:
    limit = value.get("cpu_ms") if value.key == "limits" else None
    if limit is not None and limit.word.isdecimal() and int(limit.word[:9]) < CPU_MS_MIN:
        checked.add("CFW-CPU", limit.place, f"`cpu_ms` is {limit.word}")
