"""Caddy, beyond the pairs of its rules."""

import pytest

from midstream.doctor.lint.caddy import check
from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import Assumptions, Checked, version_of
from midstream.doctor.lint.source import Source


def checked(text: str, version: str | None = "2.11.4") -> Checked:
    versions = {"caddy": version_of(version)} if version else {}
    return check(Source("Caddyfile", text), Assumptions(versions))


def proxy(inside: str) -> str:
    return f":80 {{\n\treverse_proxy x {{\n{inside}\n\t}}\n}}\n"


def rules_of(found: Checked) -> list[str]:
    return [finding.rule.id for finding in found.findings]


@pytest.mark.parametrize(
    ("version", "severity"), [("2.6.2", Severity.ERROR), ("2.8.0", None), ("2.11.4", None), (None, Severity.NOTE)]
)
def test_a_version_that_no_line_cures_is_named(version: str | None, severity: Severity | None) -> None:
    found = checked(proxy(""), version).findings
    assert [each.severity for each in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("inside", "rule"),
    [
        ("response_buffers 1MB", "CAD-BUFFER"),
        ("response_buffers 0", None),
        ("transport fastcgi {\nread_timeout 5s\n}", "CAD-READ-TIMEOUT-SHORT"),
        ("transport http {\nread_timeout\n}", None),
        ("transport http {\nread_timeout 0\n}", None),
        ("lb_retry_match {\nmethod POST\n}", None),
        ("lb_retries 3\nlb_retry_match {\nmethod GET\n}", None),
        ("lb_try_duration 3s\nlb_retry_match", "CAD-RETRY-POST"),
        ("lb_retries 3\nlb_retry_match {\npath /v1/*\n}", "CAD-RETRY-POST"),
        ("lb_retries 3\nlb_retry_match {\npath /v1/*\nmethod GET\n}", None),
        ('lb_retries 3\nlb_retry_match {\nexpression `{method} == "GET"`\n}', None),
    ],
)
def test_a_line_counts_where_it_does_something(inside: str, rule: str | None) -> None:
    assert rules_of(checked(proxy(inside))) == ([rule] if rule else [])


def test_without_a_proxy_nothing_is_judged() -> None:
    found = checked(":80 {\n\trespond hello\n}", None)
    assert (found.findings, found.notes) == ([], ["Caddyfile has no reverse_proxy"])


def test_a_size_that_cannot_be_read_is_not_judged() -> None:
    assert rules_of(checked(":80 {\nrequest_body {\nmax_size\nmax_size x\n}\nreverse_proxy y\n}")) == []


@pytest.mark.parametrize(
    ("buffers", "version", "severity"),
    [
        ("request_buffers 1MB", "2.11.7", Severity.ERROR),
        ("request_buffers 1MB", None, Severity.WARNING),
        ("request_buffers 1MB", "2.10.2", Severity.NOTE),
        ("request_buffers 0", "2.11.7", Severity.NOTE),
        ("", "2.11.7", Severity.NOTE),
    ],
)
def test_a_prompt_is_sent_again_only_where_it_is_kept(buffers: str, version: str | None, severity: Severity) -> None:
    text = proxy(f"lb_retries 3\n{buffers}\nlb_retry_match {{\nmethod POST\n}}")
    found = [each for each in checked(text, version).findings if each.rule.id == "CAD-RETRY-POST"]
    assert [each.severity for each in found] == [severity]
