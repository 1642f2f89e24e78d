"""What kind of configuration a file is, and who checks it.

Rule: the name decides before the content; what neither tells is asked of the user.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from midstream.doctor.lint.findings import Assumptions, Checked
from midstream.doctor.lint.source import Source, Unreadable

# What a file is stands in its beginning; a certificate or a long list may follow.
LOOKED_AT = 200_000


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file. What it holds is looked for line by line: in a file of nothing but ends of lines, too."""

    name: str
    """As ``--as`` has it; the module that checks it is called so, too."""
    title: str
    named: re.Pattern[str]
    """What the last part of its path looks like."""
    holds: re.Pattern[str]
    """What stands in it."""

    def check(self) -> Callable[[Source, Assumptions], Checked]:
        """Its checker. It is loaded when it is needed: its parser may come with an extra."""
        check: Callable[[Source, Assumptions], Checked] = import_module(f"midstream.doctor.lint.{self.name}").check
        return check


def _kind(name: str, title: str, named: str, holds: str) -> Kind:
    return Kind(name, title, re.compile(named, re.IGNORECASE), re.compile(holds, re.MULTILINE))


KINDS = (
    _kind(
        "terraform", "Terraform: AWS, Google, Azure and Cloudflare", r".*\.tf", r"^resource\s+\"\w+\"\s+\"[\w-]+\"\s*\{"
    ),
    _kind(
        "cloudflare", "Cloudflare Workers: wrangler.toml", r"wrangler\.(toml|jsonc?)", r"\bcompatibility_date\"?\s*[=:]"
    ),
    _kind(
        "kubernetes",
        "Kubernetes: Ingress, Gateway API, Istio, Envoy Gateway, Traefik",
        r"(ingress|httproute|gateway|virtualservice).*\.ya?ml",
        r"^[ \t]*\"?apiVersion\"?\s*:",
    ),
    _kind(
        "traefik",
        "Traefik, in YAML or TOML",
        r"traefik.*\.(ya?ml|toml)",
        r"^\[?(entryPoints|http\.(routers|middlewares|services|serversTransports)|providers)\b"
        r"|^http:[ \t]*\n([ \t]+[^\n]*\n){0,30}?  (routers|middlewares|services|serversTransports):",
    ),
    _kind("varnish", "Varnish: VCL, or the command line in a unit file", r".*\.vcl", r"^[ \t]*vcl\s+4|\bvarnishd\s+-"),
    _kind(
        "envoy", "Envoy", r"envoy.*\.(ya?ml|json)", r"^[ \t]*\"?(static_resources|virtual_hosts|load_assignment)\"?\s*:"
    ),
    _kind(
        "haproxy",
        "HAProxy",
        r"haproxy.*|.*\.haproxy",
        r"^(frontend|backend|listen|defaults)\b.*\n(.*\n){0,30}?\s+(bind|server|mode|timeout)\s",
    ),
    _kind("apache", "Apache", r"(httpd|apache2?).*\.conf", r"^[ \t]*(<VirtualHost\s|ProxyPass\s|LoadModule\s)"),
    _kind("lighttpd", "lighttpd", r"lighttpd.*\.conf", r"^[ \t]*(proxy\.server|server\.modules)\s*\+?="),
    _kind("caddy", "Caddy: a Caddyfile", r"caddyfile.*|.*\.caddy(file)?", r"^[ \t]*reverse_proxy\s|^https?://\S+ \{"),
    _kind(
        "nginx",
        "nginx",
        r"nginx.*\.conf|.*\.nginx",
        r"^[ \t]*(location\s[^\n]*\{|proxy_pass\s|upstream\s+\S+\s*\{|server\s*\{|http\s*\{)",
    ),
    _kind(
        "python",
        "Python: a relay with Starlette, FastAPI or httpx",
        r".*\.py",
        r"^[ \t]*(from|import)[ \t]+(starlette|fastapi|httpx2?)\b",
    ),
    _kind(
        "javascript",
        "JavaScript: a relay with Express or http-proxy",
        r".*\.[cm]?[jt]s",
        r"(\brequire ?\( ?|\bfrom |^import )['\"](express|compression|http-proxy(-middleware)?)['\"]",
    ),
)
"""Every kind; the content is looked at in this order."""

NAMES = tuple(kind.name for kind in KINDS)


def kind_of(source: Source, wanted: str | None = None) -> Kind:
    """The kind that the user names, or that the file shows. Raises `Unreadable`."""
    if wanted is not None:
        return next(kind for kind in KINDS if kind.name == wanted)
    last = re.split(r"[/\\]", source.name)[-1]
    beginning = source.text[:LOOKED_AT]
    for kind in KINDS:
        if kind.named.fullmatch(last):
            return kind
    for kind in KINDS:
        if kind.holds.search(beginning):
            return kind
    raise Unreadable(f"{source.name} is no configuration that is known here; if it is one, say which: --as {NAMES[0]}")
