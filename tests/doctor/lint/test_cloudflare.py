"""Cloudflare Workers, beyond the pairs of its rules."""

import pytest

from midstream.doctor.lint.cloudflare import check
from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.source import Source, Unreadable


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ('name = "x"', []),
        ("[limits]\ncpu_ms = 300000", []),
        ('[limits]\ncpu_ms = "many"', []),
        ('// first\n{"limits": {"cpu_ms": 10,}, "routes": ["https://x.example"],}', ["CFW-CPU"]),
        ('{\n  "vars": {"U": "http://x"}, // that\n  "limits": {"cpu_ms": 20}\n}', ["CFW-CPU"]),
    ],
)
def test_toml_and_json_with_comments_are_read(text: str, rules: list[str]) -> None:
    assert [finding.rule.id for finding in check(Source("wrangler", text), Assumptions()).findings] == rules


def test_what_is_neither_is_one_sentence() -> None:
    with pytest.raises(Unreadable, match="is no TOML"):
        check(Source("wrangler.toml", "x"), Assumptions())
