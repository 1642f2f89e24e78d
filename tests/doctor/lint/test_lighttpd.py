"""lighttpd, beyond the pairs of its rules."""

from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.lighttpd import check
from midstream.doctor.lint.source import Source

PROXY = 'proxy.server = ("" => (("host" => "127.0.0.1")))'


def rules_of(text: str, *version: int) -> list[str]:
    found = check(Source("lighttpd.conf", text), Assumptions({"lighttpd": version} if version else {}))
    return [finding.rule.id for finding in found.findings]


def test_a_zero_is_changed_in_its_place() -> None:
    found = check(Source("x", f"server.stream-response-body = 0\n{PROXY}"), Assumptions({"lighttpd": (1, 4, 85)}))
    assert [edit.kind for finding in found.findings for edit in finding.edits] == ["replace"]


def test_a_setting_in_a_condition_counts() -> None:
    text = f'$HTTP["url"] =~ "^/v1" {{\n  server.stream-response-body = 1\n}}\n{PROXY}'
    assert rules_of(text, 1, 4, 85) == []


def test_http2_depends_on_the_version() -> None:
    text = f"server.stream-response-body = 2\n{PROXY}"
    assert rules_of(text, 1, 4, 79) == ["LTD-H2-SILENT"]
    assert rules_of(text, 1, 4, 85) == []
    assert check(Source("x", text), Assumptions()).findings[0].severity is Severity.NOTE


def test_without_a_proxy_nothing_is_judged() -> None:
    found = check(Source("lighttpd.conf", "# proxy.server"), Assumptions())
    assert (found.findings, found.notes) == ([], ["lighttpd.conf has no proxy.server"])


def test_no_limit_is_no_short_one() -> None:
    assert rules_of(f'server.stream-response-body = 2\n{PROXY}\n"read-timeout" => 0', 1, 4, 85) == []
