"""``make probe-table``: real proxies with their true defaults, probed, as the table of docs/reference/probe-table.md.

Rule: what the page says was found by `midstream probe` in this run; nobody writes it by hand.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from midstream.doctor.configs.templates import Wanted, filled
from midstream.doctor.probe.asking import Asking
from midstream.doctor.probe.observations import Observations
from midstream.doctor.probe.road import target
from midstream.doctor.probe.run import Plan, probe
from midstream.doctor.probe.told import measured
from midstream.doctor.probe.verdicts import Judged, judge
from midstream.faults.probe import FarEnd
from tests.doctor.behind import PROGRAMS, behind
from tests.proxies.programs import find

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "probe-table.md"

UP_TO_S = 130.0

_VCL = 'vcl 4.1;\n{more}\nbackend default {{ .host = "127.0.0.1"; .port = "8100"; }}\n'
_ENVOY = """\
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 8080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: "/"}, route: {cluster: service}}]}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: service
    type: STATIC
    load_assignment:
      cluster_name: service
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8100}}}}]
"""

DEFAULTS: dict[tuple[str, str], str] = {
    ("nginx", "proxy_pass alone"): "location / { proxy_pass http://127.0.0.1:8100; }",
    (
        "haproxy",
        "Debian's timeouts",
    ): "defaults\n mode http\n timeout connect 5s\n timeout client 50s\n timeout server 50s\n"
    "frontend f\n bind 127.0.0.1:8080\n default_backend b\nbackend b\n server s 127.0.0.1:8100\n",
    ("caddy", "reverse_proxy alone"): "http://127.0.0.1:8080 {\n\treverse_proxy 127.0.0.1:8100\n}\n",
    ("apache", "ProxyPass alone"): "ProxyPass / http://127.0.0.1:8100/\n",
    ("lighttpd", "proxy.server alone"): 'server.modules = ("mod_proxy")\n'
    'proxy.server = ("" => (("host" => "127.0.0.1", "port" => 8100)))\n',
    ("varnish", "a backend alone"): _VCL.format(more=""),
    ("varnish", "with HTTP/2"): _VCL.format(more="# -p feature=+http2"),
    ("envoy", "a route alone"): _ENVOY,
    ("traefik", "a router and a service alone"): "http:\n  services:\n    upstream:\n      loadBalancer:\n"
    "        servers:\n          - url: http://127.0.0.1:8100\n",
}
"""What each proxy does when it is told where to send, and nothing else."""

COLUMNS = (
    "HTTP",
    "delivery",
    "a cut",
    "idle limit",
    "total limit",
    "before headers",
    "a question",
    "a client that leaves",
)

_HEAD = """\
# What a probe finds in proxies

Made by `make probe-table`: `midstream probe --up-to {up_to:g}` through the real proxies, each told where to send and
nothing else, and each as `midstream config` writes it. What the columns mean: [how to probe](../howto/probe.md).

"""


_SAYS_VERSION = {"caddy": "version", "varnish": "-V", "envoy": "--version", "traefik": "version"}


def version(kind: str) -> str:
    """As the proxy says itself."""
    run = [str(find(PROGRAMS[kind].name)), _SAYS_VERSION.get(kind, "-v")]
    said = subprocess.run(run, capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    return found[0] if found else ""


def settings() -> dict[tuple[str, str], str]:
    """All of them, by proxy and name."""
    right = {(kind, "midstream config"): filled(kind, Wanted()) for kind in PROGRAMS}
    return {**DEFAULTS, **right}


def probed(kind: str, text: str) -> tuple[Observations, Judged]:
    """One setting."""
    with FarEnd() as far_end, behind(kind, text, far_end.port) as base_url:
        seen = asyncio.run(probe(Asking(target(base_url)), Plan(UP_TO_S)))
        return seen, judge(seen)


def row(kind: str, name: str, seen: Observations, judged: Judged) -> str:
    """Its line of the table."""
    found = dict(measured(seen, judged))
    found["delivery"] = "; ".join(value for title, value in found.items() if title.startswith("delivery,"))
    named = [each.id.removeprefix("PROBE-") for each in judged.findings if each.severity in ("error", "warning")]
    ill = [f"`{each}`" for each in dict.fromkeys(named)]
    cells = [
        f"{kind} {version(kind)}",
        name,
        *(found[column] for column in COLUMNS),
        ", ".join(ill) or "–",
    ]
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def main() -> int:
    """Probe them all at once, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.probe_table", description=__doc__)
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    args = parser.parse_args()
    for program in PROGRAMS.values():
        find(program.name)
    wanted = settings()
    with ThreadPoolExecutor(len(wanted)) as pool:
        found = list(pool.map(lambda each: probed(each[0][0], each[1]), wanted.items()))
    head = ("proxy", "setting", *COLUMNS, "ill")
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    lines += [row(kind, name, *each) for (kind, name), each in zip(wanted, found, strict=True)]
    page = _HEAD.format(up_to=UP_TO_S) + "\n".join(lines) + "\n"
    if args.print:
        sys.stdout.write(page)
    else:
        PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
