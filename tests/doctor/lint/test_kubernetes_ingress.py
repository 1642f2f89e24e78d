"""Annotations: which controller they are for, and what they come to."""

import pytest

from midstream.doctor.lint.catalogue import Severity
from midstream.doctor.lint.findings import Assumptions, Finding
from midstream.doctor.lint.kubernetes import check
from midstream.doctor.lint.source import Source

BODY = 'nginx.ingress.kubernetes.io/proxy-body-size: "0"'


def found(kind: str, *annotations: str, spec: str = "{}") -> list[Finding]:
    lines = "".join(f"\n    {each}" for each in annotations)
    text = f"kind: {kind}\nmetadata:\n  name: a\n  annotations:{lines or ' {}'}\nspec: {spec}\n"
    return check(Source("a.yaml", text), Assumptions()).findings


def rules_of(*annotations: str, kind: str = "Ingress", spec: str = "{}") -> list[str]:
    return [finding.rule.id for finding in found(kind, *annotations, spec=spec)]


@pytest.mark.parametrize(
    ("annotations", "spec", "rules"),
    [
        ((), "{}", []),
        ((), "{ingressClassName: traefik}", []),
        ((), "{ingressClassName: nginx-internal}", ["K8S-NGINX-BODY-SIZE"]),
        (("kubernetes.io/ingress.class: nginx",), "{}", ["K8S-NGINX-BODY-SIZE"]),
        ((BODY,), "{}", []),
        ((BODY, 'nginx.ingress.kubernetes.io/proxy-read-timeout: "0"'), "{}", []),
        (("nginx.org/client-max-body-size: 64m", "nginx.org/proxy-buffering: 'False'"), "{}", []),
        (("nginx.org/proxy-buffering: 'True'",), "{}", ["K8S-NGINX-BUFFERING", "K8S-NGINX-BODY-SIZE"]),
        (
            (BODY, "nginx.ingress.kubernetes.io/server-snippet: 'chunked_transfer_encoding  off;'"),
            "{}",
            ["K8S-NGINX-CHUNKED-OFF"],
        ),
        (("kubernetes.io/ingress.class: alb",), "{}", ["K8S-LB-IDLE"]),
        (("alb.ingress.kubernetes.io/load-balancer-attributes: 'a=b'",), "{}", ["K8S-LB-IDLE"]),
    ],
)
def test_annotations_count_for_their_controller(annotations: tuple[str, ...], spec: str, rules: list[str]) -> None:
    assert rules_of(*annotations, spec=spec) == rules


def test_what_was_for_posts_alone_is_turned_off() -> None:
    (finding,) = found("Ingress", BODY, "nginx.ingress.kubernetes.io/proxy-next-upstream: non_idempotent")
    assert finding.edits[0].text.strip() == 'nginx.ingress.kubernetes.io/proxy-next-upstream: "off"'


def test_the_controller_of_f5_wants_a_unit() -> None:
    rest = ("nginx.org/client-max-body-size: 64m", "nginx.org/proxy-buffering: 'False'")
    (finding,) = found("Ingress", "nginx.org/proxy-read-timeout: 5s", *rest)
    assert finding.edits[0].text.strip() == 'nginx.org/proxy-read-timeout: "120s"'


@pytest.mark.parametrize(("limit", "severity"), [("20", Severity.ERROR), ("40", Severity.WARNING), ("60", None)])
def test_a_limit_below_the_pings_is_worse(limit: str, severity: Severity | None) -> None:
    name = "service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout"
    assert [each.severity for each in found("Service", f'{name}: "{limit}"')] == ([severity] if severity else [])
