"""How long each limit on the way is that cuts streams: proxy-facts §5, as data.

Rule: a number stands here with its kind, its owner, and how it is known: ``measured``, ``documented`` or ``reported``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["idle", "total"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of somebody's."""

    seconds: float
    kind: Kind
    """``idle``: between two reads; ``total``: since the request."""
    whose: str
    setting: str = ""
    """What to change, where there is a name for it."""
    known: Literal["measured", "documented", "reported"] = "measured"
    client: bool = False
    """It is the client's own."""
    tokens: tuple[str, ...] = ()
    """What ``Server`` or ``Via``, or the name of a header, says where it stands on the way."""


LIMITS: tuple[Limit, ...] = (
    Limit(5, "idle", "httpx without a timeout of its own", "httpx.Timeout(read=…)", client=True),
    Limit(10, "idle", "Fastly, between bytes", "between_bytes_timeout", "documented", tokens=("x-served-by", "fastly")),
    Limit(15, "total", "Envoy, Envoy Gateway", "route.timeout: 0s", tokens=("envoy", "x-envoy-")),
    Limit(29, "total", "API Gateway REST, buffered", "its STREAM mode", "documented", tokens=("x-amz-apigw-id",)),
    Limit(30, "total", "GCP load balancer", "timeoutSec", "documented", tokens=("1.1 google",)),
    Limit(30, "idle", "CloudFront", "origin_read_timeout", "documented", tokens=("cloudfront", "x-amz-cf-")),
    Limit(30, "idle", "API Gateway, edge-optimised, streaming", "a regional endpoint", "documented",
          tokens=("x-amz-apigw-id",)),
    Limit(30, "idle", "Apache Traffic Server", "proxy.config.http.transaction_no_activity_timeout_out",
          tokens=("ats/", "apachetrafficserver")),
    Limit(30, "idle", "h2o", "proxy.timeout.io", tokens=("h2o",)),
    Limit(30, "total", "Lambda web functions", "the function's timeout", "documented"),
    Limit(50, "idle", "HAProxy as Debian configures it", "timeout server", tokens=("haproxy",)),
    Limit(55, "idle", "Heroku", "a ping within 55 s", "documented", tokens=("heroku", "vegur")),
    Limit(60, "idle", "nginx", "proxy_read_timeout", tokens=("nginx", "openresty")),
    Limit(60, "idle", "Apache", "ProxyTimeout", tokens=("apache",)),
    Limit(60, "idle", "AWS ALB", "idle_timeout.timeout_seconds", "documented", tokens=("awselb", "x-amzn-trace-id")),
    Limit(60, "idle", "Varnish", "between_bytes_timeout", tokens=("varnish", "x-varnish")),
    Limit(60, "idle", "nghttpx", "backend-read-timeout", tokens=("nghttpx",)),
    Limit(60, "idle", "Fly", "", "reported", tokens=("fly/", "fly-request-id")),
    Limit(60, "idle", "botocore (the AWS SDKs)", "Config(read_timeout=3600)", "documented", client=True),
    Limit(100, "idle", "Cloudflare, older plans and texts", "a ping within the limit", "documented",
          tokens=("cloudflare", "cf-ray")),
    Limit(120, "idle", "Cloudflare", "a ping within the limit", "documented", tokens=("cloudflare", "cf-ray")),
    Limit(180, "idle", "midstream, Claude Code", "silence_s", "documented", client=True),
    Limit(240, "idle", "Azure load balancer, NAT, Container Apps", "idleTimeoutInMinutes", "documented"),
    Limit(300, "idle", "Envoy", "stream_idle_timeout", "documented", tokens=("envoy", "x-envoy-")),
    Limit(300, "idle", "API Gateway, streaming", "", "documented", tokens=("x-amz-apigw-id",)),
    Limit(300, "total", "Cloud Run", "--timeout", "documented", tokens=("google frontend",)),
    Limit(300, "total", "Vercel", "maxDuration", "documented", tokens=("vercel", "x-vercel-")),
    Limit(350, "idle", "AWS network: NLB, NAT gateway, VPC endpoint", "TCP keep-alive or pings below 350 s",
          "documented"),
    Limit(600, "idle", "the Anthropic SDK", "timeout=", "documented", client=True),
    Limit(600, "total", "Varnish", "send_timeout", "reported", tokens=("varnish", "x-varnish")),
    Limit(900, "total", "AWS Lambda, API Gateway, streaming", "", "documented", tokens=("x-amz-apigw-id",)),
    Limit(900, "total", "Railway", "", "documented", tokens=("railway",)),
)  # fmt: skip
"""Every default that is known, by its length."""

EARLY_S, LATE_S, LATE_SHARE = 0.4, 1.6, 0.02
"""How far off a limit may be seen: a timer starts a little before the byte is seen here, and Envoy closes 1 s after its
own, Varnish and Traffic Server up to 1.4 s (measured)."""


def matching(seconds: float, kind: Kind, hints: str = "") -> list[Limit]:
    """The limits that this span may be, those first that the head of the reply speaks for."""
    found = [limit for limit in LIMITS if limit.kind == kind and _fits(seconds, limit.seconds)]
    return sorted(found, key=lambda limit: (not _is_named(limit, hints), abs(seconds - limit.seconds)))


def settings_on_the_way(kind: Kind, hints: str, among: Iterable[Limit] = LIMITS) -> list[Limit]:
    """Whoever the head of the reply names, and their limits of this kind, whatever their length."""
    return [limit for limit in among if limit.kind == kind and _is_named(limit, hints)]


def _fits(seconds: float, limit_s: float) -> bool:
    return limit_s - EARLY_S <= seconds <= limit_s + max(LATE_S, limit_s * LATE_SHARE)


def _is_named(limit: Limit, hints: str) -> bool:
    return any(token in hints for token in limit.tokens)


def hints_of(headers: dict[str, str]) -> str:
    """What the head of a reply says about who stands on the way: names of headers, ``Server`` and ``Via``."""
    said = [*headers, headers.get("server", ""), headers.get("via", ""), headers.get("x-powered-by", "")]
    return " ".join(said).lower()


WHO_RESETS = {
    1: "PROTOCOL_ERROR (1), as h2o sends it",
    2: "INTERNAL_ERROR (2), as nginx, Apache, Envoy, Caddy and nghttpx send it",
    8: "CANCEL (8), as HAProxy 3 sends it",
}
"""The error code of an RST_STREAM → who sends it (proxy-facts §5)."""
