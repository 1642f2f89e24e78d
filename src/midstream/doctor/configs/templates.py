"""The templates, and what is filled into them.

Rule: a template is a whole configuration with its reasons; it holds no logic but ``@tls`` and ``@plain`` before a line.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from urllib.parse import urlsplit


class NotServable(ValueError):
    """What was asked for makes no configuration. Its text is one sentence."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can be configured."""

    name: str
    title: str
    file: str
    """The name of its template, and of the file that somebody would write it to."""
    lint: str | None
    """The kind that `midstream lint` takes it for; ``None``: it is a program."""
    tls: bool = True
    """Whether it can reach an upstream over TLS."""
    idle_max_s: int | None = None
    """The longest silence that it can be told to bear, where that is less than a day."""


# How long AWS and Google let the streams of a backend that is taken out live on, at most.
_DRAIN_MAX_S = 3600

KINDS = (
    Kind("nginx", "nginx, open source", "nginx.conf", "nginx"),
    Kind("haproxy", "HAProxy 3", "haproxy.cfg", "haproxy"),
    Kind("caddy", "Caddy 2.8", "Caddyfile", "caddy"),
    Kind("apache", "Apache 2.4", "apache.conf", "apache"),
    Kind("envoy", "Envoy", "envoy.yaml", "envoy"),
    Kind("lighttpd", "lighttpd", "lighttpd.conf", "lighttpd", tls=False),
    Kind("varnish", "Varnish", "varnish.vcl", "varnish", tls=False),
    Kind("traefik", "Traefik 3", "traefik.yaml", "traefik"),
    Kind("k8s-nginx", "Kubernetes: an Ingress for ingress-nginx", "k8s-nginx.yaml", "kubernetes"),
    Kind("gateway-api", "Kubernetes: Gateway API, with a policy for Envoy Gateway", "gateway-api.yaml", "kubernetes"),
    Kind("alb", "AWS: an Application Load Balancer, in Terraform", "alb.tf", "terraform", idle_max_s=4000),
    Kind("cloudfront", "AWS: CloudFront, in Terraform", "cloudfront.tf", "terraform"),
    Kind("gcp", "Google Cloud: a backend service, in Terraform", "gcp.tf", "terraform"),
    Kind("azure", "Azure: Application Gateway, in Terraform", "azure.tf", "terraform"),
    Kind("cloudflare-worker", "Cloudflare: a Worker, in JavaScript", "worker.js", None),
)
"""Everything that can be configured, in the order of the help."""

NAMES = tuple(kind.name for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What differs from place to place."""

    upstream: str = "http://127.0.0.1:8100"
    """Where streams come from: `midstream serve`, by itself."""
    listen: str = "127.0.0.1:8080"
    idle_s: int = 120
    """The longest silence that is borne: over three pings, and under what holds a dead connection for long."""
    stream_s: int = 3600
    """The longest stream, for limits that count the whole of it."""
    body_mb: int = 64
    """The largest prompt: the API takes 32 MB."""

    def values(self) -> dict[str, str]:
        """Every name that a template may use. Raises `NotServable`."""
        upstream = urlsplit(self.upstream)
        try:
            port = upstream.port
        except ValueError:
            port = 0
        host = upstream.hostname
        plain = not (upstream.path.strip("/") or upstream.query or upstream.fragment or upstream.username)
        if upstream.scheme not in {"http", "https"} or not host or port == 0 or not plain or _unsafe(self.upstream):
            raise NotServable(
                "the upstream is http:// or https:// with a host and a port, and nothing behind them,"
                f" not {_without_user(self.upstream)!r:.80}"
            )
        listen_host, _, listen_port = self.listen.rpartition(":")
        if _unsafe(self.listen) or not listen_port.isdecimal() or not 0 < int(listen_port[:6]) <= 65_535:
            raise NotServable(f"listen at HOST:PORT or PORT, not at {self.listen!r:.80}")
        return {
            "upstream": self.upstream.rstrip("/"),
            "upstream_host": f"[{host}]" if ":" in host else host,
            "upstream_address": host,
            # What a certificate has to name.
            "san_type": "IP_ADDRESS" if _is_address(host) else "DNS",
            "upstream_port": str(port or (443 if upstream.scheme == "https" else 80)),
            # A name of Kubernetes: the first part of that of the host.
            "service": host.partition(".")[0] if host[:1].isalpha() else "midstream",
            "http_port": str(port or 80) if upstream.scheme == "http" else "80",
            "https_port": str(port or 443) if upstream.scheme == "https" else "443",
            "listen": self.listen,
            "listen_host": listen_host or "0.0.0.0",
            "listen_port": listen_port,
            "idle_s": str(self.idle_s),
            "stream_s": str(self.stream_s),
            "drain_s": str(min(self.stream_s, _DRAIN_MAX_S)),
            "body_mb": str(self.body_mb),
            "body_bytes": str(self.body_mb << 20),
        }

    @property
    def tls(self) -> bool:
        """Whether the upstream is reached over TLS."""
        return self.upstream.startswith("https:")


def kind(name: str) -> Kind:
    """One of `KINDS`. Raises `KeyError`."""
    return {each.name: each for each in KINDS}[name]


def filled(name: str, wanted: Wanted) -> str:
    """A configuration. Raises `NotServable`."""
    values = wanted.values()
    if wanted.tls and not kind(name).tls:
        raise NotServable(f"{kind(name).title} does not speak TLS to its upstreams: put midstream serve in between")
    most_s = kind(name).idle_max_s
    if most_s is not None and wanted.idle_s > most_s:
        raise NotServable(f"{kind(name).title.partition(',')[0]}: it bears a silence of at most {most_s} s")
    path = resources.files("midstream.doctor.configs").joinpath("files", kind(name).file)
    lines = _chosen(path.read_text("utf-8"), wanted.tls)
    return re.sub(r"@@(\w+)@@", lambda match: values[match[1]], "\n".join(lines))


def _chosen(template: str, tls: bool) -> Iterator[str]:
    for line in template.split("\n"):
        mark = re.match(r"@(tls|plain)(?=\s|$)", line)
        if mark is None:
            yield line
        elif (mark[1] == "tls") is tls:
            yield line[mark.end() :]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _without_user(url: str) -> str:
    """The address without what may be a password."""
    return re.sub(r"//[^/@]*@", "//<hidden>@", url)


def _unsafe(text: str) -> bool:
    """Whether it could end a line or a word of a configuration."""
    return len(text) > 300 or re.search(r"[^\w.:/\[\]*-]", text) is not None
