"""The Cloudflare Worker of `midstream config` in workerd, the runtime of Cloudflare: ``with worker(port) as base_url``.

Rule: nothing of it is replaced but its address and its times, and those by the bindings that it offers.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from midstream.doctor.configs.templates import Wanted, filled
from tests.proxies import processes
from tests.proxies.programs import FETCH_S_MAX, KEPT, alone, require, unavailable

WORKERD = "1.20261117.1"

STARTS_MAX = 3

CONFIG = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .streams),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")],
);
const streams :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-01-01",
  bindings = [(name = "PING_MS", text = "{ping_ms}"), (name = "EARLY_MS", text = "{early_ms}")],
);
"""


def program() -> Path:
    """workerd, got by npm once. Skips the test where that is impossible."""
    folder = KEPT / f"workerd-{WORKERD}"
    found = folder / "node_modules" / ".bin" / "workerd"
    npm = require("npm")
    with alone("workerd"):
        if not found.exists():
            options = ["--prefix", str(folder), "--no-audit", "--no-fund", "--silent", f"workerd@{WORKERD}"]
            folder.mkdir(parents=True, exist_ok=True)
            run = [str(npm), "install", *options]
            done = subprocess.run(run, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)
            if done.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                unavailable(f"npm cannot install workerd: {done.stderr.strip()[-300:]}")
    return found


@contextmanager
def worker(upstream_port: int, ping_ms: int = 10_000, early_ms: int = 20_000) -> Iterator[str]:
    """The Worker in front of a port of the loopback."""
    path = program()
    with tempfile.TemporaryDirectory(prefix="workerd-") as folder_name:
        folder, log = Path(folder_name), Path(folder_name) / "workerd.log"
        text = filled("cloudflare-worker", Wanted(upstream=f"http://127.0.0.1:{upstream_port}"))
        (folder / "worker.js").write_text(text)
        with processes.logs_told(log):
            for _ in range(STARTS_MAX):
                port = processes.free_port()
                (folder / "config.capnp").write_text(CONFIG.format(port=port, ping_ms=ping_ms, early_ms=early_ms))
                process = processes.start([str(path), "serve", f"{folder}/config.capnp"], log, dict(os.environ))
                if processes.wait_until_it_listens(process, port):
                    break
                processes.end(process)
            else:
                raise AssertionError("workerd does not start")
            try:
                yield f"http://127.0.0.1:{port}"
                assert process.poll() is None, f"workerd died with status {process.poll()}"
            finally:
                processes.end(process)
