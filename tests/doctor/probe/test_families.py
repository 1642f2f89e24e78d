"""A family names itself, or is told by what only it does; what fits nobody is nobody's."""

import pytest

from midstream.doctor.probe.families import Clues, fitting, whose


def clues(**changed: object) -> Clues:
    return Clues(**{"headers": {"content-type": "text/event-stream"}, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (clues(), []),
        (clues(headers={"server": "nginx/1.22.1"}), [("nginx", True)]),
        (clues(headers={"server": "openresty"}), [("nginx", True)]),
        (clues(headers={"server": "Caddy"}), [("caddy", True)]),
        (clues(headers={"via": "1.1 Caddy"}), [("caddy", True)]),
        (clues(headers={"server": "envoy"}), [("envoy", True)]),
        (clues(headers={"x-envoy-upstream-service-time": "3"}), [("envoy", True)]),
        (clues(asked_with=frozenset({"x-envoy-expected-rq-timeout-ms"})), [("envoy", True)]),
        (clues(headers={"server": "Apache/2.4.71 (Debian)"}), [("apache", True)]),
        (clues(headers={"via": "http/1.1 x (ApacheTrafficServer/9.2.9)"}), [("trafficserver", True)]),
        (clues(asked_with=frozenset({"x-forwarded-for", "x-forwarded-server"})), [("apache", True)]),
        (clues(asked_with=frozenset({"x-forwarded-server", "x-real-ip"})), [("traefik", True)]),
        (clues(headers={"via": "1.1 varnish (Varnish/7.1)"}), [("varnish", True)]),
        (clues(headers={"x-varnish": "32770"}), [("varnish", True)]),
        (clues(asked_with=frozenset({"x-host", "x-forwarded-for"})), [("lighttpd", True)]),
        (clues(asked_with=frozenset({"x-forwarded-host"})), []),
        (clues(headers={"server": "cloudflare", "cf-ray": "1"}), [("cloudflare", True)]),
        (clues(headers={"via": "1.1 abc.cloudfront.net (CloudFront)"}), [("cloudfront", True)]),
        (clues(asked_with=frozenset({"x-amzn-trace-id"})), [("alb", True)]),
        (clues(headers={"via": "1.1 google"}), [("gcp", True)]),
        (clues(asked_via="1.1 squid (squid/5.7)"), [("squid", True)]),
        (clues(causes=frozenset({"packet coalescing"})), [("haproxy", False)]),
        (clues(upstream_http="HTTP/1.0", hints_help=True), [("nginx", False)]),
        (clues(causes=frozenset({"response buffering"}), hints_help=False), [("lighttpd", False)]),
        (clues(causes=frozenset({"partial buffers"})), [("nginx", False)]),
        (
            clues(headers={"server": "envoy"}, causes=frozenset({"packet coalescing"})),
            [("envoy", True), ("haproxy", False)],
        ),
    ],
)
def test_what_fits(seen: Clues, expected: list[tuple[str, bool]]) -> None:
    fits = fitting(seen)
    assert [(fit.family, fit.certain) for fit in fits] == expected
    assert all(fit.evidence for fit in fits)


@pytest.mark.parametrize(
    ("seconds", "kind", "word"),
    [
        (60.0, "idle", "nginx"),
        (61.4, "idle", "Varnish"),
        (50.1, "idle", "HAProxy"),
        (15.0, "total", "Envoy"),
        (30.6, "idle", "h2o"),
    ],
)
def test_a_limit_may_be_somebodys_default(seconds: float, kind: str, word: str) -> None:
    assert word in whose(seconds, kind)


def test_a_limit_may_be_nobodys_default() -> None:
    assert whose(77.0, "idle") == "" and whose(60.0, "total") == ""
