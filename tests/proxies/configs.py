"""How each proxy is configured: as somebody writes it who has a service to reach, and as a stream needs it.

Rule: text and nothing else; ``default`` says only what the proxy does not start without.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

Style = Literal["default", "right"]

# Over three pings of a gateway (10 s each), and under what holds a dead connection for long.
RIGHT_READ_TIMEOUT_S = 120

_FILTERS = "type.googleapis.com/envoy.extensions.filters"


class Place(NamedTuple):
    """Where one proxy stands."""

    style: Style
    listen_port: int
    upstream_port: int
    folder: Path
    """For everything that it writes."""
    read_timeout_s: int | None = None
    """The longest silence of the upstream that it bears; ``None``: what the style says."""

    @property
    def right(self) -> bool:
        return self.style == "right"

    @property
    def timeout_s(self) -> int | None:
        """The limit of silence that is written down, if one is."""
        return self.read_timeout_s or (RIGHT_READ_TIMEOUT_S if self.right else None)


def nginx(place: Place) -> str:
    """By itself it asks upstreams in HTTP/1.0 (before 1.29.7), and buffers what they answer."""
    folder = place.folder
    lines = [f"proxy_pass http://127.0.0.1:{place.upstream_port};"]
    if place.right:
        lines += [
            "proxy_http_version 1.1;",
            'proxy_set_header Connection "";',
            "proxy_buffering off;",
            "proxy_request_buffering off;",
            "client_max_body_size 64m;",
        ]
    if place.timeout_s:
        lines.append(f"proxy_read_timeout {place.timeout_s}s;")
    temporary = "\n".join(
        f"    {name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    location = "\n".join(f"            {line}" for line in lines)
    return f"""\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
{temporary}
    server {{
        listen 127.0.0.1:{place.listen_port};
        location / {{
{location}
        }}
    }}
}}
"""


def haproxy(place: Place) -> str:
    """It refuses to be without timeouts; those of the default style are Debian's."""
    right = "    option http-no-delay\n    option abortonclose\n    retries 0\n" if place.right else ""
    return f"""\
global
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 50s
    timeout server {place.timeout_s or 50}s
{right}frontend clients
    bind 127.0.0.1:{place.listen_port}
    default_backend gateway
backend gateway
    server gateway 127.0.0.1:{place.upstream_port}
"""


def caddy(place: Place) -> str:
    """It has no limit of its own, so the right one has none either: before 2.8 the limit ends a reply as if whole."""
    inside = ""
    if place.read_timeout_s:
        timeouts = f"read_timeout {place.read_timeout_s}s\n            response_header_timeout {place.read_timeout_s}s"
        inside += f"        transport http {{\n            {timeouts}\n        }}\n"
    return f"""\
{{
    admin off
    auto_https off
}}
http://:{place.listen_port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{place.upstream_port} {{
{inside}    }}
}}
"""


def envoy(place: Place) -> str:
    """By itself a route has 15 s for the whole reply."""
    route: dict[str, Any] = {"cluster": "gateway"}
    if place.right:
        route["timeout"] = "0s"
    if place.timeout_s:
        route["idle_timeout"] = f"{place.timeout_s}s"
    router = {"@type": f"{_FILTERS}.http.router.v3.Router"}
    hosts = [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "clients",
        "route_config": {"name": "routes", "virtual_hosts": hosts},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    endpoint = {"endpoint": {"address": _address(place.upstream_port)}}
    cluster = {
        "name": "gateway",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "gateway", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "clients", "address": _address(place.listen_port), "filter_chains": [{"filters": filters}]}
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}, indent=2)


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


class Proxy(NamedTuple):
    """One kind of proxy."""

    config: Callable[[Place], str]
    file_name: str
    arguments: tuple[str, ...]
    """How it is started; ``{file}`` is the configuration, ``{folder}`` where it writes."""
    version_arguments: tuple[str, ...]


PROXIES: Mapping[str, Proxy] = {
    "nginx": Proxy(nginx, "nginx.conf", ("-p", "{folder}", "-e", "{folder}/error.log", "-c", "{file}"), ("-v",)),
    "haproxy": Proxy(haproxy, "haproxy.cfg", ("-db", "-f", "{file}"), ("-v",)),
    "caddy": Proxy(caddy, "Caddyfile", ("run", "--adapter", "caddyfile", "--config", "{file}"), ("version",)),
    "envoy": Proxy(
        envoy,
        "envoy.json",
        ("--config-path", "{file}", "--concurrency", "1", "--disable-hot-restart", "--log-level", "info"),
        ("--version",),
    ),
}
STYLES: tuple[Style, ...] = ("default", "right")
