"""Which families of proxies fit what was seen: by name, by the headers they add, by what only they do.

Rule: pure tables. A family that names itself is told as such; one that only acts alike is told with what it did alike.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from midstream.doctor.probe.limits import same


@dataclass(frozen=True, slots=True)
class Clues:
    """What may give a family away."""

    headers: Mapping[str, str]
    """Of every answer, names in lower case; also of those that a proxy made up itself."""
    asked_with: frozenset[str] = frozenset()
    """Names of headers that arrived at the far end and were not sent from here."""
    asked_via: str = ""
    upstream_http: str = ""
    causes: frozenset[str] = frozenset()
    hints_help: bool | None = None
    before_status: int | None = None
    silent_over: frozenset[str] = frozenset()
    """The versions of HTTP over which a cut looked whole, where over another it did not."""


@dataclass(frozen=True, slots=True)
class Fit:
    """One family that fits."""

    family: str
    certain: bool
    """It named itself, or left a header that nobody else has."""
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    says: str = ""
    """Of the values of ``Server``, ``Via`` and ``X-Cache``."""
    adds: str = ""
    """Names of headers, in an answer or in what arrived."""
    acts: tuple[tuple[str, Callable[[Clues], bool]], ...] = ()


def _gathers(clues: Clues) -> bool:
    return "packet coalescing" in clues.causes


def _buffers_as_nginx(clues: Clues) -> bool:
    return clues.upstream_http == "HTTP/1.0" and clues.hints_help is True


def _buffers_whatever_is_said(clues: Clues) -> bool:
    return "response buffering" in clues.causes and clues.hints_help is False


def _hides_as_caddy(clues: Clues) -> bool:
    asked = {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"} <= clues.asked_with
    # Others that add these add more, or ask in HTTP/1.0.
    alone = not {"x-forwarded-server", "x-forwarded-port", "x-host", "x-real-ip"} & clues.asked_with
    return asked and alone and clues.upstream_http == "HTTP/1.1" and "http/1.1" in clues.silent_over


FAMILIES = (
    _Family(
        "nginx",
        r"\b(?:nginx|openresty|tengine)\b",
        acts=(
            ("it asks upstream in HTTP/1.0, buffers, and obeys X-Accel-Buffering", _buffers_as_nginx),
            ("large events wait for the next one", lambda clues: "partial buffers" in clues.causes),
        ),
    ),
    _Family(
        "haproxy",
        r"\bhaproxy\b",
        acts=(("events come in batches of 200 ms over HTTP/1.1", _gathers),),
    ),
    _Family("apache", r"\bapache(?:/|\b(?! ?traffic))", r"x-forwarded-server(?!.*\bx-real-ip\b)"),
    _Family(
        "caddy",
        r"\bcaddy\b",
        acts=(("it ends a broken reply as if it were whole, over HTTP/1.1 and asked in HTTP/1.1", _hides_as_caddy),),
    ),
    _Family("envoy", r"\benvoy\b", r"x-envoy-[a-z-]+"),
    _Family("traefik", r"\btraefik\b", r"x-forwarded-server.*\bx-real-ip"),
    _Family("varnish", r"\bvarnish\b", r"x-varnish"),
    _Family(
        "lighttpd",
        r"\blighttpd\b",
        r"x-host",
        acts=(("it holds the reply back, whatever X-Accel-Buffering says", _buffers_whatever_is_said),),
    ),
    _Family("squid", r"\bsquid\b", r"x-squid-[a-z-]+"),
    _Family("trafficserver", r"\b(?:ats|apachetrafficserver|traffic ?server)\b"),
    _Family("nghttpx", r"\bnghttpx\b"),
    _Family("h2o", r"\bh2o\b"),
    _Family("cloudflare", r"\bcloudflare\b", r"cf-(?:ray|connecting-ip)"),
    _Family("cloudfront", r"\bcloudfront\b", r"x-amz-cf-(?:id|pop)"),
    _Family("alb", r"\bawselb\b", r"x-amzn-trace-id"),
    _Family("apigateway", "", r"x-amz(?:n)?-apigw?-[a-z-]+|x-amzn-remapped-[a-z-]+"),
    _Family("gcp", r"\bgoogle(?: frontend)?\b", r"x-cloud-trace-context"),
    _Family("fastly", r"\bfastly\b", r"fastly-[a-z-]+"),
    _Family("akamai", r"\bakamai", r"akamai-[a-z-]+|x-akamai-[a-z-]+"),
    _Family("azure", r"\bmicrosoft-azure\b", r"x-azure-(?:ref|fdid|clientip)|x-appgw-trace-id"),
    _Family("vercel", r"\bvercel\b", r"x-vercel-(?:id|cache)"),
    _Family("heroku", r"\b(?:vegur|heroku)\b"),
    _Family("fly", r"\bfly(?:/|\.io)", r"fly-request-id"),
    _Family("mitmproxy", r"\bmitmproxy\b"),
)

DEFAULTS: tuple[tuple[float, str, str], ...] = (
    (5, "idle", "httpx, in a gateway of Python's"),
    (10, "idle", "Fastly (between bytes)"),
    (15, "idle", "Fastly (first byte)"),
    (15, "total", "Envoy, Envoy Gateway (route timeout)"),
    (29, "total", "API Gateway"),
    (30, "idle", "CloudFront, Traffic Server, h2o, Heroku, Front Door"),
    (30, "total", "Google Cloud (backend timeout)"),
    (50, "idle", "HAProxy, as Debian configures it"),
    (55, "idle", "Heroku"),
    (60, "idle", "nginx, Apache, AWS ALB, Varnish, nghttpx, Fly"),
    (100, "idle", "Cloudflare (older)"),
    (120, "idle", "Cloudflare"),
    (240, "idle", "Azure"),
    (300, "idle", "Envoy (stream idle), API Gateway streaming"),
    (300, "total", "Cloud Run, Vercel"),
    (350, "idle", "AWS: NLB, NAT gateway"),
    (600, "total", "Varnish (send_timeout)"),
    (900, "total", "Lambda, Railway"),
)
"""Whose default a limit may be: seconds, of which kind, whose."""


def whose(seconds: float, kind: str) -> str:
    """Whose default this limit is, if it is one that is known."""
    found = [name for limit_s, of_kind, name in DEFAULTS if of_kind == kind and same(limit_s, seconds)]
    return "; ".join(found)


def fitting(clues: Clues) -> tuple[Fit, ...]:
    """The families that fit, those that are certain first."""
    fits = [fit for family in FAMILIES if (fit := _fit(family, clues)) is not None]
    return tuple(sorted(fits, key=lambda fit: not fit.certain))


def _fit(family: _Family, clues: Clues) -> Fit | None:
    said = [(name, clues.headers.get(name, "")) for name in ("server", "via", "x-cache")]
    said.append(("via, at the far end", clues.asked_via))
    certain = [
        f"{name}: {value[:80]}" for name, value in said if family.says and re.search(family.says, value, re.IGNORECASE)
    ]
    certain += _added(family, "the answer has", clues.headers) + _added(family, "the question got", clues.asked_with)
    acts = [told for told, acts in family.acts if acts(clues)]
    return Fit(family.name, bool(certain), (*certain, *acts)) if certain or acts else None


def _added(family: _Family, where: str, names: Mapping[str, str] | frozenset[str]) -> list[str]:
    if not family.adds:
        return []
    found = re.search(rf"(?<![\w-])(?:{family.adds})(?![\w-])", " ".join(sorted(names)))
    return [f"{where} {found[0].split()[0]}"] if found else []
