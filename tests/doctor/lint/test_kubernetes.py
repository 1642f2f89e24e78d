"""Kubernetes, beyond the pairs of its rules: lists, other people's objects, and what is off."""

import json

import pytest

from midstream.doctor.lint.findings import Assumptions, Checked
from midstream.doctor.lint.kubernetes import check
from midstream.doctor.lint.source import Source


def checked(text: str) -> Checked:
    return check(Source("a.yaml", text), Assumptions())


def rules_of(text: str) -> list[str]:
    return [finding.rule.id for finding in checked(text).findings]


def thing(kind: str, spec: str) -> str:
    return f"kind: {kind}\nmetadata: {{name: a}}\nspec:\n  {spec}\n"


def test_a_list_is_as_its_items() -> None:
    items = [{"kind": "HTTPRoute", "spec": {"rules": [{"timeouts": {"request": "5s"}}]}}, {"kind": "Secret"}]
    text = json.dumps({"kind": "List", "items": items}, indent=1)
    assert rules_of(text) == ["K8S-TOTAL-TIMEOUT"]


def test_what_is_none_of_them_is_left_alone() -> None:
    found = checked("kind: Deployment\nspec: {timeout: 5s}")
    assert found.findings == [] and "has no object that is known here" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (thing("HTTPRoute", "rules: [{filters: []}]"), []),
        (thing("HTTPRoute", "rules: [{timeouts: {request: 0s}, retry: {codes: [503], attempts: 0}}]"), []),
        (thing("VirtualService", "http: [{retries: {attempts: 0, retryOn: 5xx}}]"), []),
        (thing("VirtualService", "http: [{retries: {retryOn: 'reset, unavailable'}}]"), ["K8S-RETRY-POST"]),
        (thing("VirtualService", "http: [{timeout: 3600s}]"), []),
        (thing("BackendTrafficPolicy", "retry: {retryOn: {triggers: [connect-failure]}}"), []),
        (thing("BackendTrafficPolicy", "timeout: {http: {requestTimeout: 0s}}"), []),
        (thing("ClientTrafficPolicy", "timeout: {http: {streamIdleTimeout: 0s}}"), []),
        (thing("GCPBackendPolicy", "default: {timeoutSec: 3600}"), []),
        (thing("BackendConfig", "iap: {enabled: true}"), ["K8S-GCP-TIMEOUT"]),
        ("kind: BackendConfig", []),
        (thing("Middleware", "retry: {attempts: 4}"), []),
        (
            thing("Middleware", "retry: {attempts: 4, status: ['502'], retryNonIdempotentMethod: true}"),
            ["TRF-RETRY-POST"],
        ),
        (thing("ServersTransport", "forwardingTimeouts: {responseHeaderTimeout: 5s}"), ["TRF-HEADER-TIMEOUT"]),
    ],
)
def test_an_object_is_judged_by_its_kind(text: str, rules: list[str]) -> None:
    assert rules_of(text) == rules


def test_an_annotation_of_any_object_is_a_string() -> None:
    text = "kind: Deployment\nmetadata:\n  annotations:\n    a: true\n    b: 'x'\n    c: 1.5\n"
    found = checked(text).findings
    assert [(each.rule.id, each.place.line, each.edits[0].text) for each in found] == [
        ("K8S-ANNOTATION-TYPE", 4, '    a: "true"'),
        ("K8S-ANNOTATION-TYPE", 6, '    c: "1.5"'),
    ]
