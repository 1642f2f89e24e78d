"""Any configuration in the real proxy that it is for: ``with behind("nginx", text, upstream_port) as base_url``.

Rule: a text says port 8080 for where it listens and 8100 (and 8101) for its upstreams; they are replaced here, and what
the proxy needs to run at all as somebody's program in somebody's folder is put around it.
"""

import functools
import re
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.doctor import relays
from tests.faults.raw import ask
from tests.proxies import processes
from tests.proxies.programs import require

STARTS_MAX = 3

TRAEFIK_READY = "/midstream-is-ready"

# Apache kills its children after nine seconds.
CHILDREN_S = 15.0

APACHE_MODULES = "mpm_event authz_core env setenvif proxy proxy_http ratelimit filter deflate buffer".split()


class Program(NamedTuple):
    """How one proxy is run in a folder."""

    name: str
    write: Callable[[str, Path, int], tuple[str, ...]]
    """Writes a configuration into a folder; the arguments that start the proxy with it at a port."""
    whole: Callable[[str], str] = str
    """What a text leaves out is put around it."""
    ready_path: str = ""
    """Where it says 200 once it does what it was told, if that may be after it listens."""
    find: Callable[[str], Path] = require
    """Where it is, by its name."""


def _nginx(text: str, folder: Path, port: int) -> tuple[str, ...]:
    """A whole configuration, a ``server`` block, or what stands in a ``location``, as in a folder of includes."""
    if not re.search(r"^\s*(server|http) \{", text, re.MULTILINE):
        text = f"server {{\nlisten 127.0.0.1:{port};\n{text}\n}}\n"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "part.conf").write_text(text)
    if not re.search(r"^http \{", text, re.MULTILINE):
        text = f"http {{\naccess_log off;\n{temporary}\ninclude part.conf;\n}}\n"
    # By itself one process: its workers would outlive it.
    master = "" if "master_process" in text else "master_process off;\n"
    head = f"daemon off;\n{master}pid {folder}/pid;\nerror_log {folder}/error.log info;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(head + text)
    return ("-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf")


def _haproxy(text: str, folder: Path, port: int) -> tuple[str, ...]:
    (folder / "haproxy.cfg").write_text(text)
    return ("-db", "-f", f"{folder}/haproxy.cfg")


def _caddy(text: str, folder: Path, port: int) -> tuple[str, ...]:
    """Without its port for orders, and without names in addresses, which it would compare with the Host header."""
    options = "\tadmin off\n\tauto_https off\n"
    text = re.sub(r"(?m)^http://127\.0\.0\.1:(\d+) \{", r"http://:\1 {\n\tbind 127.0.0.1", text)
    text = re.sub(r"\A\{\n", f"{{\n{options}", text) if text.startswith("{\n") else f"{{\n{options}}}\n{text}"
    (folder / "Caddyfile").write_text(text)
    return ("run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile")


def _apache(text: str, folder: Path, port: int) -> tuple[str, ...]:
    """With the modules of Debian, as one process: its children would outlive it. Only a parent stops gracefully."""
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in APACHE_MODULES)
    places = f"ServerName test\nPidFile {folder}/pid\nErrorLog {folder}/error.log\nMutex file:{folder}\nUser www-data"
    listen = "" if re.search(r"^Listen ", text, re.MULTILINE) else f"Listen 127.0.0.1:{port}"
    (folder / "apache.conf").write_text(f"{modules}\n{places}\n{listen}\n{text}")
    return (*(["-D", "FOREGROUND"] if _has_children(text) else ["-X"]), "-f", f"{folder}/apache.conf")


def _envoy(text: str, folder: Path, port: int) -> tuple[str, ...]:
    (folder / "envoy.yaml").write_text(text)
    return ("--config-path", f"{folder}/envoy.yaml", "--concurrency", "1", "--disable-hot-restart")


def _lighttpd(text: str, folder: Path, port: int) -> tuple[str, ...]:
    if "server.port" not in text:
        text = f'server.bind = "127.0.0.1"\nserver.port = {port}\n{text}'
    if "server.document-root" not in text:
        text = f'server.document-root = "/var/empty"\n{text}'
    (folder / "lighttpd.conf").write_text(text)
    return ("-D", "-f", f"{folder}/lighttpd.conf")


def _varnish(text: str, folder: Path, port: int) -> tuple[str, ...]:
    """With the parameters that the text names in a comment, as the user is told to."""
    (folder / "varnish.vcl").write_text(text)
    named = [word for pair in re.findall(r"(-p) (\w+=[+\w]+)", text) for word in pair]
    place = ("-n", f"{folder}/varnish", "-j", "none", "-a", f"127.0.0.1:{port}")
    return ("-F", "-f", f"{folder}/varnish.vcl", *place, "-s", "malloc,10m", *named)


def _traefik_whole(text: str) -> str:
    """With a route to an upstream, if none is there, and one that says that all of this is in force."""
    told = tomllib.loads(text) if re.match(r"\s*\[", text) else yaml.safe_load(text)
    http = told.setdefault("http", {})
    (service,) = http.get("services") or {"upstream": {}}
    balancer = http.setdefault("services", {}).setdefault(service, {}).setdefault("loadBalancer", {})
    balancer.setdefault("servers", [{"url": "http://127.0.0.1:8100"}])
    for transport in http.get("serversTransports", {}):
        balancer.setdefault("serversTransport", transport)
    route = {"rule": "PathPrefix(`/`)", "service": service, "middlewares": list(http.get("middlewares", {}))}
    http.setdefault("routers", {"all": route})["ready"] = {
        "rule": f"Path(`{TRAEFIK_READY}`)",
        "service": "ping@internal",
    }
    (entry,) = told.setdefault("entryPoints", {"streams": {}}).values()
    entry["address"] = "127.0.0.1:8080"
    return str(yaml.safe_dump(told))


def _traefik(text: str, folder: Path, port: int) -> tuple[str, ...]:
    """The static and the dynamic configuration, each in its file."""
    told = yaml.safe_load(text)
    (folder / "dynamic.yaml").write_text(yaml.safe_dump({"http": told.pop("http")}))
    told["providers"] = {"file": {"filename": f"{folder}/dynamic.yaml"}}
    told["ping"] = {"manualRouting": True}
    told["global"] = {"checkNewVersion": False, "sendAnonymousUsage": False}
    (folder / "static.yaml").write_text(yaml.safe_dump(told))
    return (f"--configfile={folder}/static.yaml",)


PROGRAMS = {
    "nginx": Program("nginx", _nginx),
    "haproxy": Program("haproxy", _haproxy),
    "caddy": Program("caddy", _caddy),
    "apache": Program("apache2", _apache),
    "envoy": Program("envoy", _envoy),
    "lighttpd": Program("lighttpd", _lighttpd),
    "varnish": Program("varnishd", _varnish),
    "traefik": Program("traefik", _traefik, _traefik_whole, TRAEFIK_READY),
}
"""The proxies that `midstream config` writes for."""

NEWER = {"caddy 2.11": Program("caddy 2.11", _caddy)}
"""Versions that do otherwise, beside those of Debian."""

RELAYS = {
    "python": Program("python", relays.write_python, find=relays.python),
    "javascript": Program("node", relays.write_javascript),
}
"""Programs of one's own, by the language that they are in."""


def _program(kind: str) -> Program:
    return {**PROGRAMS, **NEWER, **RELAYS}[kind]


def _has_children(text: str) -> bool:
    """Whether a configuration is run by several processes, of which the first takes the others along if it is asked."""
    return "master_process on" in text or "GracefulShutdownTimeout" in text


@functools.cache
def program_version(kind: str) -> tuple[int, ...]:
    """Which version of a proxy this is. Skips the test where there is none."""
    program = _program(kind).name
    options = {
        "caddy": ["version"],
        "caddy 2.11": ["version"],
        "traefik": ["version"],
        "envoy": ["--version"],
        "varnishd": ["-V"],
    }
    run = [str(require(program)), *options.get(program, ["-v"])]
    done = subprocess.run(run, capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout + done.stderr)
    assert found is not None, f"{program} does not say its version"
    return tuple(int(part) for part in found.groups())


@contextmanager
def behind(kind: str, text: str, upstream_port: int, second_port: int = 0) -> Iterator[str]:
    """A proxy with a configuration, in front of a port of the loopback. Skips the test where there is none."""
    with behind_process(kind, text, upstream_port, second_port) as (base_url, process):
        yield base_url
        assert process.poll() is None, f"{kind} died with status {process.poll()}"


@contextmanager
def behind_process(
    kind: str, text: str, upstream_port: int, second_port: int = 0
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The same with its process, which the test may stop."""
    program = _program(kind)
    path = program.find(program.name)
    with tempfile.TemporaryDirectory(prefix=f"{kind}-", ignore_cleanup_errors=True) as folder_name:
        folder, log = Path(folder_name), Path(folder_name) / f"{kind}.log"
        with processes.logs_told(log, folder / "error.log"):
            text = program.whole(text)
            text = re.sub(r"\b8100\b", str(upstream_port), re.sub(r"\b8101\b", str(second_port), text))
            process, port = _started(path, program, text, folder, log)
            try:
                yield f"http://127.0.0.1:{port}", process
            finally:
                # One with workers of its own takes them along only if it is asked.
                processes.end(process, politely_s=CHILDREN_S if _has_children(text) else 0.0)


def _is_ready(program: Program, port: int) -> bool:
    """Whether it does what it was told, at the latest when it must."""
    until = time.monotonic() + processes.START_S_MAX
    while program.ready_path and ask(f"http://127.0.0.1:{port}", program.ready_path, method="GET").status != 200:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _started(path: Path, program: Program, text: str, folder: Path, log: Path) -> tuple["subprocess.Popen[bytes]", int]:
    for _ in range(STARTS_MAX):
        port = processes.free_port()
        arguments = program.write(re.sub(r"\b8080\b", str(port), text), folder, port)
        env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(folder)}
        process = processes.start([str(path), *arguments], log, env)
        if processes.wait_until_it_listens(process, port) and _is_ready(program, port):
            return process, port
        processes.end(process)
    raise AssertionError(f"{program.name} does not start with:\n{text}")
