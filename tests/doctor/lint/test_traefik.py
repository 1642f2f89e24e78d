"""Traefik, beyond the pairs of its rules: TOML, defaults, and what is left alone."""

import pytest

from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.traefik import check

TOML = """\
# a comment
[entryPoints.web]
address = ":80"
[entryPoints.web.transport.respondingTimeouts]
writeTimeout = 30
[entryPoints.web.transport.lifeCycle]
graceTimeOut = 900
"""


def rules_of(text: str, name: str = "traefik.yaml") -> list[str]:
    return [finding.rule.id for finding in check(Source(name, text), Assumptions()).findings]


@pytest.mark.parametrize("name", ["traefik.toml", "stdin"])
def test_toml_is_read_and_not_touched(name: str) -> None:
    (finding,) = check(Source(name, TOML), Assumptions()).findings
    assert (finding.rule.id, finding.place.line, finding.edits) == ("TRF-WRITE-TIMEOUT", 5, ())


def test_what_streams_get_at_a_stop_by_itself_is_a_note() -> None:
    (finding,) = check(Source("traefik.yaml", "entryPoints:\n  web: {address: ':80'}"), Assumptions()).findings
    assert (finding.rule.id, finding.severity) == ("TRF-GRACE", Severity.NOTE)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("http: {middlewares: {m: {retry: {initialInterval: 1s}}}}", []),
        ("http: {middlewares: {m: {retry: {attempts: 3}}}}", []),
        ("http: {middlewares: {m: {retry: {attempts: 3, retryNonIdempotentMethod: true}}}}", []),
        ("http: {middlewares: {m: {retry: {attempts: 1, status: [502], retryNonIdempotentMethod: true}}}}", []),
        (
            "http: {middlewares: {m: {retry: {attempts: 3, status: [502], retryNonIdempotentMethod: true}}}}",
            ["TRF-RETRY-POST"],
        ),
        ("http: {middlewares: {m: {buffering: {}}}}", []),
        ("http: {middlewares: {m: {buffering: {memResponseBodyBytes: 1}}}}", ["TRF-BUFFERING"]),
        ("http: {serversTransports: {t: {forwardingTimeouts: {responseHeaderTimeout: 0s}}}}", []),
        ("entryPoints: {web: {transport: {lifeCycle: {graceTimeOut: 1h}, respondingTimeouts: {writeTimeout: 0}}}}", []),
    ],
)
def test_what_is_off_is_no_finding(text: str, rules: list[str]) -> None:
    assert rules_of(text) == rules
