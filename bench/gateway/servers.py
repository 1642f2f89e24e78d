"""Who is measured: nginx, LiteLLM, and the gateway with each of its journals, as processes.

Rule: each is started as its own documentation says for this use, with one worker, and listens when it is handed out.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.gateway_load.process import usage
from tests.gateway.gateways import environment
from tests.gateway.gateways import running as running_gateway
from tests.proxies import processes

ROOT = Path(__file__).resolve().parents[2]
LITELLM = ROOT / "var" / "litellm"
"""An environment of its own: it would bring a hundred packages into ours."""
LITELLM_START_S_MAX = 120.0

LIMITS = ("--streams-max", "20000", "--streams-per-owner-max", "20000", "--connections-max", "20000")

_NGINX = """
daemon off;
worker_processes 1;
error_log {folder}/error.log error;
pid {folder}/nginx.pid;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""

_LITELLM = """
model_list:
  - model_name: claude-sonnet-5-5
    litellm_params:
      model: anthropic/claude-sonnet-5-5
      api_base: http://127.0.0.1:{upstream}
      api_key: sk-bench
litellm_settings:
  telemetry: false
  callbacks: []
general_settings:
  disable_spend_logs: true
"""


class Missing(Exception):
    """A program that is not there: one sentence that names the cure."""


class Running(NamedTuple):
    """A server that takes connections."""

    pid: int
    port: int


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                found += map(int, Path(f"/proc/{one}/task/{task}/children").read_text().split())
        except OSError:  # it has ended meanwhile
            continue
    return found


def cpu_s(server: Running) -> float:
    """User and system time of the whole of it, threads and workers included."""
    return sum(usage(pid).cpu_s for pid in family(server.pid))


def rss_bytes(server: Running) -> int:
    """What it holds in memory."""
    return sum(usage(pid).rss_bytes for pid in family(server.pid))


@contextmanager
def nginx(program: str, upstream: int, folder: Path) -> Iterator[Running]:
    """The yardstick."""
    port = processes.free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, upstream=upstream))
    with _started([program, "-p", str(folder), "-c", str(config)], folder / "nginx.log", port) as running:
        yield running


@contextmanager
def litellm(program: str, upstream: int, folder: Path) -> Iterator[Running]:
    """What most people have today."""
    port = processes.free_port()
    config = folder / "litellm.yaml"
    config.write_text(_LITELLM.format(upstream=upstream))
    # It would fetch a table of prices from the network, and ask for a key: to check one is work that nobody here needs.
    env = {**environment({}), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    env["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"
    # 500 streams at once, unless told otherwise.
    env |= {"AIOHTTP_CONNECTOR_LIMIT": "20000", "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "20000"}
    command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    with _started(command, folder / "litellm.log", port, LITELLM_START_S_MAX, env) as running:
        yield running


@contextmanager
def gateway(*arguments: str, upstream: int) -> Iterator[Running]:
    """Ours, with these arguments."""
    with running_gateway(f"http://127.0.0.1:{upstream}", *LIMITS, *arguments, env={}) as gateway:
        yield Running(gateway.process.pid, gateway.port)


@contextmanager
def _started(
    command: list[str], log: Path, port: int, seconds: float = 30.0, env: dict[str, str] | None = None
) -> Iterator[Running]:
    process = processes.start(command, log, env)
    with processes.logs_told(log):
        try:
            until = time.monotonic() + seconds
            while not processes.listens(port):
                assert process.poll() is None and time.monotonic() < until, f"{command[0]} does not listen"
                time.sleep(0.05)
            yield Running(process.pid, port)
        finally:
            processes.end(process, politely_s=5.0)


def find_nginx(given: str) -> tuple[str, str]:
    """The program, and its version. Raises `Missing`."""
    path = shutil.which(given) or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Missing("there is no nginx: apt-get install nginx, or name another with --nginx")
    said = subprocess.run([path, "-v"], capture_output=True, text=True, check=True).stderr
    return path, said.strip().rpartition("/")[2]


def find_litellm(given: str) -> tuple[str, str]:
    """The program, and its version; it is installed where it is not. Raises `Missing`."""
    path = Path(given) if given else LITELLM / "bin" / "litellm"
    if not path.exists() and not given:
        _install(LITELLM)
    python = path.parent / "python"
    if not path.exists() or not python.exists():
        raise Missing(f"there is no LiteLLM at {path}: leave --litellm out, and it is installed")
    ask = "import sys, importlib.metadata as m; print(m.version('litellm'), sys.version.split()[0])"
    said = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    return str(path), f"{said[0]} on CPython {said[1]}"


def _install(folder: Path) -> None:
    print(f"installing litellm[proxy] into {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "litellm[proxy]"], check=True)
