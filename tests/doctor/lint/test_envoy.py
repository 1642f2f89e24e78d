"""Envoy, beyond the pairs of its rules."""

import json

import pytest

from midstream.doctor.lint.envoy import check
from midstream.doctor.lint.findings import Assumptions, Checked
from midstream.doctor.lint.source import Source
from tests.proxies.configs import Place, envoy


def checked(text: str) -> Checked:
    return check(Source("envoy.yaml", text), Assumptions())


def rules_of(found: Checked) -> list[str]:
    return [finding.rule.id for finding in found.findings]


def test_json_is_read_too_and_not_touched(tmp_path: object) -> None:
    text = envoy(Place("default", 1, 2, tmp_path))  # type: ignore[arg-type]
    for form in (text, json.dumps(json.loads(text), indent="\t"), json.dumps(json.loads(text))):
        (finding,) = checked(form).findings
        assert (finding.rule.id, finding.edits) == ("ENV-ROUTE-TIMEOUT", ())
    assert rules_of(checked(envoy(Place("right", 1, 2, tmp_path)))) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("route", "rules"),
    [
        ("cluster: x\n  timeout: 0.0s", []),
        ("weighted_clusters: {clusters: []}\n  timeout: 1h", ["ENV-ROUTE-TIMEOUT"]),
        ("cluster: x\n  timeout: 0s\n  retry_policy: {retry_on: 5xx, num_retries: 0}", []),
        ("cluster: x\n  timeout: 0s\n  retry_policy: {num_retries: 2}", []),
        ("cluster: x\n  timeout: 0s\n  idle_timeout: 0s", []),
        ("cluster: x\n  timeout: 0s\n  max_stream_duration: {max_stream_duration: 0s}", []),
    ],
)
def test_what_is_off_is_no_limit(route: str, rules: list[str]) -> None:
    assert rules_of(checked(f"route:\n  {route}\n")) == rules


def test_a_redirect_is_no_route_to_a_cluster() -> None:
    found = checked("redirect: {host_redirect: x}")
    assert (found.findings, found.notes) == ([], ["envoy.yaml has no route to a cluster"])


def test_the_first_key_behind_a_dash_is_not_pushed_down() -> None:
    (finding,) = checked("routes:\n  - route: {cluster: x}\n").findings
    assert finding.edits == ()


def test_a_wrapped_size_is_read() -> None:
    assert rules_of(checked("buffer:\n  max_request_bytes: {value: 1000}\n")) == ["ENV-BODY-SIZE"]
