"""HAProxy, beyond the pairs of its rules: versions, frontends and backends, and what is left alone."""

import pytest

from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import Assumptions, Checked, version_of
from midstream.doctor.lint.haproxy import check
from midstream.doctor.lint.source import Source

HEAD = "defaults\n mode http\n timeout server 120s\n option http-no-delay\n option abortonclose\n"


def checked(text: str, version: str | None = None) -> Checked:
    versions = {"haproxy": version_of(version)} if version else {}
    return check(Source("haproxy.cfg", text), Assumptions(versions))


def rules_of(found: Checked) -> list[str]:
    return [finding.rule.id for finding in found.findings]


@pytest.mark.parametrize(
    ("bind", "version", "severity"),
    [
        ("bind :80", "2.6.12", None),
        ("bind :443 ssl crt x", "2.6.12", None),
        ("bind :443 ssl crt x alpn h2,http/1.1", "2.6.12", Severity.ERROR),
        ("bind :443 ssl crt x alpn http/1.1", "2.6.12", None),
        ("bind :443 ssl crt x", "2.8.5", Severity.ERROR),
        ("bind :80 proto h2", "2.9", Severity.ERROR),
        ("bind :80 proto h2", "3.0.11", None),
        ("bind :80 proto h2", None, Severity.WARNING),
        ("bind :80 alpn", "2.6.12", None),
    ],
)
def test_http2_is_silent_in_version_2(bind: str, version: str | None, severity: Severity | None) -> None:
    found = checked(f"{HEAD}frontend f\n {bind}\n use_backend b if x\nbackend b\n server a b\n", version)
    assert [finding.severity for finding in found.findings] == ([severity] if severity else [])


def test_an_option_of_every_frontend_is_enough() -> None:
    front = "frontend {0}\n default_backend b\n{1}"
    back = "backend b\n server a b\n"
    head = HEAD.replace(" option http-no-delay\n", "")
    option = " option http-no-delay\n"
    assert rules_of(checked(head + front.format("f", option) + front.format("g", option) + back)) == []
    assert rules_of(checked(head + front.format("f", option) + front.format("g", "") + back)) == ["HAP-NO-DELAY"]


def test_leaving_is_told_by_an_option_of_both_sides_and_put_where_it_counts() -> None:
    head = HEAD.replace(" option abortonclose\n", "")
    assert [edit.place.line for edit in checked(f"{head}listen x\n server a b\n").findings[0].edits] == [6]
    split = "frontend f\n default_backend b\nbackend b\n server a b\n"
    assert [edit.place.line for edit in checked(head + split).findings[0].edits] == [2]
    other = split.replace("backend b\n server", f"{head}backend b\n server")
    assert checked(head + other).findings[0].edits == ()
    assert checked(f"{head}listen x\n no option abortonclose\n server a b\n").findings[0].edits != ()


def test_compression_that_names_events_is_found_in_a_frontend() -> None:
    lines = " compression algo gzip\n compression type text/css TEXT/event-stream\n"
    found = checked(f"{HEAD}frontend f\n default_backend b\n{lines}backend b\n server a b\n")
    assert rules_of(found) == ["HAP-COMPRESSION"] and found.findings[0].place.line == 9


@pytest.mark.parametrize(
    ("line", "fixed"),
    [
        ("retry-on 503 conn-failure", "retry-on conn-failure"),
        ("retry-on empty-response", "retry-on conn-failure"),
        ("retry-on conn-failure", None),
        ("retry-on none", None),
        ("retry-on 503\n http-request disable-l7-retry", None),
    ],
)
def test_only_what_was_not_sent_is_retried_safely(line: str, fixed: str | None) -> None:
    found = checked(f"{HEAD}listen f\n {line}\n server a b\n").findings
    assert [edit.text.strip() for finding in found for edit in finding.edits] == ([fixed] if fixed else [])


@pytest.mark.parametrize("text", ["listen x\n server a b\n", "global\n daemon\n", "backend x\n mode http\n"])
def test_what_touches_no_reply_is_not_judged(text: str) -> None:
    found = checked(text)
    assert found.findings == [] and "proxies nothing over HTTP" in found.notes[0]


@pytest.mark.parametrize("line", ["timeout server", "timeout server x"])
def test_a_limit_that_cannot_be_read_is_not_judged(line: str) -> None:
    assert rules_of(checked(HEAD.replace("timeout server 120s", line) + "listen x\n server a b\n")) == []
