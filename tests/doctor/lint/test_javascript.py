"""Relays in JavaScript, beyond the pairs of their rules: what a comment says does not count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.lint.findings import Assumptions, Checked
from midstream.doctor.lint.javascript import check
from midstream.doctor.lint.source import Source


def checked(text: str) -> Checked:
    return check(Source("a.js", text), Assumptions())


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ('import httpProxy from "http-proxy";', ["JS-HTTP-PROXY"]),
        ("const { createProxyMiddleware } = require( 'http-proxy-middleware' )", ["JS-HTTP-PROXY"]),
        ('import "http-proxy"', ["JS-HTTP-PROXY"]),
        ('require("http-proxy-agent")', []),
        ("/*\n * require('http-proxy')\n */", []),
        ('fetch("https://x"); // require("http-proxy")', []),
        ("compression()", []),
        ('import compression from "compression"\n\ncompression({ level: 1 })', ["JS-COMPRESSION"]),
        ('import compression from "compression"\ncompression({ filter })', []),
        ('import compression from "compression"\ncompression({\n  level: 1,\n  filter,\n})', []),
    ],
)
def test_what_is_used_is_told_from_what_is_only_named(text: str, rules: list[str]) -> None:
    assert [finding.rule.id for finding in checked(text).findings] == rules


def test_the_place_is_the_line_where_it_stands() -> None:
    (finding,) = checked('\n\nconst p = require("http-proxy")').findings
    assert finding.place.line == 3


def test_where_nothing_is_relayed_nothing_is_judged() -> None:
    assert not checked("let a = 1").judged and checked("http.createServer(answer)").judged


@given(st.text(alphabet="comprsion()requi'\"/ \nhtp-xy{}", max_size=80))
def test_any_text_is_judged(text: str) -> None:
    checked(text)
