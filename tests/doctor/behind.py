"""Any configuration in the real proxy that it is for: ``with behind("nginx", text, upstream_port) as base_url``.

Rule: a text says 127.0.0.1:8080 for where it listens and 127.0.0.1:8100 for its upstream; both are replaced here, and
what the proxy needs to run at all as somebody's program in somebody's folder is put around it.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.proxies import processes
from tests.proxies.programs import require

LISTEN, UPSTREAM, SECOND = "127.0.0.1:8080", "127.0.0.1:8100", "127.0.0.1:8101"

STARTS_MAX = 3


class Program(NamedTuple):
    """How one proxy is run in a folder."""

    name: str
    write: Callable[[str, Path], tuple[str, ...]]
    """Writes a configuration into a folder; the arguments that start the proxy with it."""


def _nginx(text: str, folder: Path) -> tuple[str, ...]:
    """A whole configuration, a ``server`` block, or what stands in a ``location``, as in a folder of includes."""
    if "proxy_pass" in text and "location" not in text:
        text = f"location / {{\n{text}\n}}\n"
    if not re.search(r"^\s*(server|http) \{", text, re.MULTILINE):
        text = f"server {{\nlisten {LISTEN};\n{text}\n}}\n"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "part.conf").write_text(text)
    if not re.search(r"^http \{", text, re.MULTILINE):
        text = f"http {{\naccess_log off;\n{temporary}\ninclude part.conf;\n}}\n"
    head = f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log info;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(head + text)
    return ("-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf")


def _haproxy(text: str, folder: Path) -> tuple[str, ...]:
    (folder / "haproxy.cfg").write_text(text)
    return ("-db", "-f", f"{folder}/haproxy.cfg")


PROGRAMS = {"nginx": Program("nginx", _nginx), "haproxy": Program("haproxy", _haproxy)}


@contextmanager
def behind(kind: str, text: str, upstream_port: int, second_port: int = 0) -> Iterator[str]:
    """A proxy with a configuration, in front of a port of the loopback. Skips the test where there is none."""
    program = PROGRAMS[kind]
    path = require(program.name)
    with tempfile.TemporaryDirectory(prefix=f"{kind}-") as folder_name:
        folder, log = Path(folder_name), Path(folder_name) / f"{kind}.log"
        with processes.logs_told(log, folder / "error.log"):
            text = text.replace(UPSTREAM, f"127.0.0.1:{upstream_port}").replace(SECOND, f"127.0.0.1:{second_port}")
            process, port = _started(path, program, text, folder, log)
            try:
                yield f"http://127.0.0.1:{port}"
                assert process.poll() is None, f"{kind} died with status {process.poll()}"
            finally:
                processes.end(process)


def _started(path: Path, program: Program, text: str, folder: Path, log: Path) -> tuple["subprocess.Popen[bytes]", int]:
    for _ in range(STARTS_MAX):
        port = processes.free_port()
        arguments = program.write(text, folder)
        for file in folder.glob("*.*"):
            file.write_text(file.read_text().replace(LISTEN, f"127.0.0.1:{port}"))
        env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(folder)}
        process = processes.start([str(path), *arguments], log, env)
        if processes.wait_until_it_listens(process, port):
            return process, port
        processes.end(process)
    raise AssertionError(f"{program.name} does not start with:\n{text}")
