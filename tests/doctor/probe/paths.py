"""Settings of real proxies, each with what a probe must find there, its limits set to `LIMIT_S`.

Rule: text and expectations; what is expected was measured apart from the prober (see the table of the docs).
"""

from collections.abc import Mapping
from typing import NamedTuple

LIMIT_S = 3
UP_TO_S = 5.0

LOW = frozenset({"IDLE", "HEADERS"})
"""What every limit of 3 s on silence brings."""


class Path(NamedTuple):
    """One setting."""

    kind: str
    text: str
    finds: frozenset[str]
    """The findings, without ``PROBE-``: these and no others."""
    idle: bool = True
    """Whether it has a limit on silence, of `LIMIT_S`."""
    total: bool = False
    """Whether it has one on the whole."""
    before: bool = True
    """Whether it has one on what comes before the headers."""
    family: str = ""
    """Who must be among those that fit, if not the kind itself; ``-`` if it gives nothing away."""
    up_to_s: float = UP_TO_S
    limit_s: float = LIMIT_S
    """The limit that is set: what is found may be 10 % from it."""
    late_s: float = 0.0
    """By how much the proxy itself may be late, where that is more than those 10 %."""


def found(*names: str, low: bool = True) -> frozenset[str]:
    """These findings, and those of low limits."""
    return frozenset(names) | (LOW if low else frozenset())


# --- nginx 1.22 ---


def _nginx(*lines: str, around: str = "", silence: str = f"proxy_read_timeout {LIMIT_S}s;") -> str:
    inside = "\n".join(("proxy_pass http://127.0.0.1:8100;", silence, *lines))
    return f"{around}\nlocation / {{\n{inside}\n}}\n"


_H11 = 'proxy_http_version 1.1; proxy_set_header Connection "";'
_RIGHT = f"{_H11} proxy_buffering off; proxy_request_buffering off; client_max_body_size 64m;"

NGINX = {
    "default": Path("nginx", _nginx(), found("BUFFERED", "SILENT", "LOST", "BODY")),
    "1.1": Path("nginx", _nginx(_H11), found("TAIL", "BODY")),
    "right": Path("nginx", _nginx(_RIGHT), found()),
    "right, long": Path("nginx", _nginx(_RIGHT, silence=""), found(low=False), idle=False, before=False),
    "unbuffered": Path("nginx", _nginx("proxy_buffering off;"), found("SILENT", "BODY")),
    "hints ignored": Path(
        "nginx", _nginx("proxy_ignore_headers X-Accel-Buffering;"), found("BUFFERED", "SILENT", "LOST", "BODY")
    ),
    "gzip": Path("nginx", _nginx(_H11, "gzip on; gzip_types text/event-stream;"), found("TAIL", "COMPRESSION", "BODY")),
    "gzip, unbuffered": Path("nginx", _nginx(_RIGHT, "gzip on; gzip_types text/event-stream;"), found()),
    "no chunks": Path("nginx", _nginx(_RIGHT, "chunked_transfer_encoding off;"), found("SILENT")),
    "client abort ignored": Path("nginx", _nginx(_RIGHT, "proxy_ignore_client_abort on;"), found("LEAVING")),
}

# --- HAProxy 2.6 ---


def _haproxy(*lines: str, server_s: int = LIMIT_S) -> str:
    more = "\n".join(f"    {line}" for line in lines)
    return f"""\
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server {server_s}s
{more}
frontend clients
    bind 127.0.0.1:8080
    default_backend service
backend service
    server service 127.0.0.1:8100
"""


# Without TLS it speaks HTTP/2 to who begins with it, and is silent there.
HAPROXY = {
    "default": Path("haproxy", _haproxy(), found("GATHERED", "SILENT", "LEAVING")),
    "right": Path("haproxy", _haproxy("option http-no-delay", "option abortonclose"), found("SILENT"), family="-"),
    "compression": Path(
        "haproxy",
        _haproxy(
            "option http-no-delay", "option abortonclose", "compression algo gzip", "compression type text/event-stream"
        ),
        found("SILENT"),
        family="-",
    ),
}

# --- Caddy 2.6 ---


def _caddy(*lines: str, options: str = "") -> str:
    inside = "\n".join(f"\t\t{line}" for line in lines)
    return f"{options}http://127.0.0.1:8080 {{\n\treverse_proxy 127.0.0.1:8100 {{\n{inside}\n\t}}\n}}\n"


_CADDY_LIMITS = f"transport http {{\n\t\t\tread_timeout {LIMIT_S}s\n\t\t\tresponse_header_timeout {LIMIT_S}s\n\t\t}}"
_CADDY_TOTAL = f"{{\n\tservers {{\n\t\ttimeouts {{\n\t\t\twrite {LIMIT_S}s\n\t\t}}\n\t}}\n}}\n"

CADDY = {
    "default": Path("caddy", _caddy(), found("SILENT", low=False), idle=False, before=False),
    "read_timeout": Path("caddy", _caddy(_CADDY_LIMITS), found("SILENT")),
    # It is advised everywhere, and what it does is this.
    "flush_interval -1": Path("caddy", _caddy("flush_interval -1", _CADDY_LIMITS), found("SILENT", "LEAVING")),
    "buffered": Path("caddy", _caddy("buffer_responses", _CADDY_LIMITS), found("BUFFERED", "SILENT")),
    "write timeout": Path(
        "caddy", _caddy(options=_CADDY_TOTAL), found("SILENT", "TOTAL", low=False), idle=False, total=True, before=False
    ),
}

# --- Apache 2.4 ---


def _apache(*lines: str, limit: str = f"ProxyTimeout {LIMIT_S}") -> str:
    more = "\n".join(lines)
    return f"{more}\n{limit}\nProxyPass / http://127.0.0.1:8100/\n"


_H2C = "LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so\nProtocols h2c http/1.1"

APACHE = {
    "default": Path("apache", _apache(), found("LEAVING")),
    "long": Path("apache", _apache(limit="ProxyTimeout 120"), found("LEAVING", low=False), idle=False, before=False),
    "h2c": Path("apache", _apache(_H2C), found("LEAVING")),
    "1.0": Path("apache", _apache("SetEnv force-proxy-request-1.0 1"), found("SILENT", "LEAVING")),
}

# --- lighttpd 1.4.69 ---


def _lighttpd(stream: int | None, limit: str = f', "read-timeout" => {LIMIT_S}') -> str:
    mode = "" if stream is None else f"server.stream-response-body = {stream}\n"
    return (
        f'server.modules = ("mod_proxy")\n{mode}'
        f'proxy.server = ("" => (("host" => "127.0.0.1", "port" => 8100{limit})))\n'
    )


# Once a second it looks for silences that have lasted for more whole seconds than the limit, by a clock that is up to a
# second old: it is late by up to three seconds, whatever the limit. Those are 10 % of 30 s.
_LATE_S = 3.0
_LONG_LIMIT_S = 30

LIGHTTPD = {
    "default": Path("lighttpd", _lighttpd(None), found("BUFFERED", "SILENT", "UNHEARD"), late_s=_LATE_S, up_to_s=8.0),
    "streaming": Path("lighttpd", _lighttpd(2), found("SILENT", "LEAVING"), late_s=_LATE_S, up_to_s=8.0),
    "streaming, 30 s": Path(
        "lighttpd",
        _lighttpd(2, f', "read-timeout" => {_LONG_LIMIT_S}'),
        found("SILENT", "LEAVING"),
        limit_s=_LONG_LIMIT_S,
        up_to_s=35.0,
    ),
    "streaming, long": Path(
        "lighttpd", _lighttpd(2, ""), found("SILENT", "LEAVING", low=False), idle=False, before=False
    ),
}

# --- Varnish 7.1 ---


def _varnish(*lines: str, receive: str = "", parameters: str = "", limits: bool = True) -> str:
    limit = f".between_bytes_timeout = {LIMIT_S}s; .first_byte_timeout = {LIMIT_S}s;" if limits else ""
    return f"""\
vcl 4.1;
# varnishd {parameters}
backend default {{ .host = "127.0.0.1"; .port = "8100"; {limit} }}
sub vcl_recv {{ {receive} }}
sub vcl_backend_response {{ {" ".join(lines)} }}
"""


VARNISH = {
    "default": Path("varnish", _varnish(), found("LEAVING")),
    "long": Path("varnish", _varnish(limits=False), found("LEAVING", low=False), idle=False, before=False),
    "gzip": Path("varnish", _varnish("set beresp.do_gzip = true;"), found("COMPRESSION", "LOST", "UNHEARD")),
    "not streaming": Path("varnish", _varnish("set beresp.do_stream = false;"), found("BUFFERED", "UNHEARD")),
    "HTTP/2": Path("varnish", _varnish(parameters="-p feature=+http2"), found("SILENT", "LEAVING")),
    "send_timeout": Path(
        "varnish",
        _varnish(parameters=f"-p send_timeout={LIMIT_S}", limits=False),
        found("TOTAL", "LEAVING", low=False),
        idle=False,
        total=True,
        before=False,
    ),
}

# --- Envoy 1.40 ---


def _envoy(route: str, options: str = "", manager: str = "") -> str:
    return f"""\
static_resources:
  listeners:
  - name: clients
    address: {{socket_address: {{address: 127.0.0.1, port_value: 8080}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
{manager}
          route_config:
            name: routes
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                route: {{cluster: service{route}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: service
    type: STATIC
    connect_timeout: 5s
    load_assignment:
      cluster_name: service
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 8100}}}}}}
"""


ENVOY = {
    "route timeout": Path(
        "envoy", _envoy(f", timeout: {LIMIT_S}s"), found("TOTAL", "HEADERS", low=False), idle=False, total=True
    ),
    "idle_timeout": Path("envoy", _envoy(f", timeout: 0s, idle_timeout: {LIMIT_S}s"), found()),
    "stream_idle_timeout": Path(
        "envoy", _envoy(", timeout: 0s", manager=f"          stream_idle_timeout: {LIMIT_S}s"), found()
    ),
    "max_stream_duration": Path(
        "envoy",
        _envoy(", timeout: 0s", manager=f"          common_http_protocol_options: {{max_stream_duration: {LIMIT_S}s}}"),
        found("TOTAL", "HEADERS", low=False),
        idle=False,
        total=True,
    ),
    "right, long": Path(
        "envoy", _envoy(", timeout: 0s, idle_timeout: 120s"), found(low=False), idle=False, before=False
    ),
}

# --- Traefik 3.7 ---


def _traefik(http: str = "", clients: str = "{}") -> str:
    return f"""\
entryPoints:
  clients: {clients}
http:
  services:
    service:
      loadBalancer:
        servers:
        - url: http://127.0.0.1:8100
{http}
"""


TRAEFIK = {
    "default": Path("traefik", _traefik(), found(low=False), idle=False, before=False),
    "header timeout": Path(
        "traefik",
        _traefik(f"  serversTransports: {{mine: {{forwardingTimeouts: {{responseHeaderTimeout: {LIMIT_S}s}}}}}}"),
        found("HEADERS", low=False),
        idle=False,
    ),
    "write timeout": Path(
        "traefik",
        _traefik(clients=f"{{transport: {{respondingTimeouts: {{writeTimeout: {LIMIT_S}s}}}}}}"),
        found("TOTAL", low=False),
        idle=False,
        total=True,
        before=False,
    ),
    "buffering": Path(
        "traefik",
        _traefik("  middlewares: {whole: {buffering: {maxResponseBodyBytes: 64000000}}}"),
        found("BUFFERED", low=False),
        idle=False,
        before=False,
    ),
}

PATHS: Mapping[str, Mapping[str, Path]] = {
    "nginx": NGINX,
    "haproxy": HAPROXY,
    "caddy": CADDY,
    "apache": APACHE,
    "lighttpd": LIGHTTPD,
    "varnish": VARNISH,
    "envoy": ENVOY,
    "traefik": TRAEFIK,
}
"""By the proxy, by the setting."""
