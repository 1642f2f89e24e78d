"""Apache, beyond the pairs of its rules."""

import pytest

from midstream.doctor.lint.apache import check
from midstream.doctor.lint.findings import Assumptions, Checked
from midstream.doctor.lint.source import Source


def checked(text: str) -> Checked:
    return check(Source("apache.conf", text), Assumptions())


def rules_of(found: Checked) -> list[str]:
    return [finding.rule.id for finding in found.findings]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("ProxyPass / http://x/", []),
        ("ProxyPass / http://x/ timeout=5", ["APA-TIMEOUT"]),
        ("ProxyTimeout 5\nProxyPass / http://x/ timeout=60", []),
        ("Timeout 5\nProxyPassMatch ^/ http://x/", ["APA-TIMEOUT"]),
        ("ProxyTimeout\nProxyPass / balancer://x/", []),
        ("RewriteRule ^/(.*) http://x/$1 [L,P]\nSetEnvIf Request_URI v1 force-proxy-request-1.0=1", ["APA-HTTP10"]),
        ("SetOutputFilter BUFFER;DEFLATE\nProxyPass / http://x/", ["APA-NOOP-FLUSH"]),
        ("GracefulShutdownTimeout 0\nProxyPass / http://x/", []),
    ],
)
def test_what_is_in_force_is_judged(text: str, rules: list[str]) -> None:
    assert rules_of(checked(text)) == rules


@pytest.mark.parametrize("text", ["ProxyPass / !", "ProxyPass / fcgi://x/", "RewriteRule a b [L]", "Timeout 5"])
def test_what_proxies_no_http_is_not_judged(text: str) -> None:
    found = checked(text)
    assert (found.findings, found.notes) == ([], ["apache.conf proxies nothing over HTTP"])


def test_a_line_that_goes_on_is_not_touched() -> None:
    (finding,) = checked("ProxyPass / http://x/\nSetEnv force-proxy-request-1.0 \\\n 1").findings
    assert finding.edits == ()


def test_the_timeout_of_the_server_is_left_to_a_person() -> None:
    (finding,) = checked("Timeout 5\nProxyPass / http://x/").findings
    assert finding.edits == ()
