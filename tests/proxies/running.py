"""Real proxies in front of a port: ``with proxy("nginx", "right", upstream_port) as base_url``.

Rule: each starts in a folder of its own, at a free port of the loopback, and is ended with its ``with``.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.proxies import processes
from tests.proxies.configs import PROXIES, Place, Style
from tests.proxies.programs import require, version

# A free port may be taken by somebody else before the proxy has it.
STARTS_MAX = 3


@contextmanager
def proxy(name: str, style: Style, upstream_port: int, read_timeout_s: int | None = None) -> Iterator[str]:
    """A proxy in front of a port of the loopback; yields its base URL. Skips the test where there is none."""
    program = require(name)
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder_name:
        folder = Path(folder_name)
        log = folder / f"{name}.log"
        with processes.logs_told(log, folder / "error.log"):
            process, port = _started(name, program, Place(style, 0, upstream_port, folder, read_timeout_s), log)
            try:
                yield f"http://127.0.0.1:{port}"
                assert process.poll() is None, f"{name} {version(name)} died with status {process.poll()}"
            finally:
                processes.end(process)


def _started(name: str, program: Path, place: Place, log: Path) -> tuple["subprocess.Popen[bytes]", int]:
    kind = PROXIES[name]
    for _ in range(STARTS_MAX):
        port = processes.free_port()
        file = place.folder / kind.file_name
        file.write_text(kind.config(place._replace(listen_port=port)))
        arguments = [argument.format(file=file, folder=place.folder) for argument in kind.arguments]
        # Caddy keeps what it wants to keep below HOME; nothing of a test belongs there.
        env = {"PATH": "/usr/bin:/bin", "HOME": str(place.folder)}
        process = processes.start([str(program), *arguments], log, env)
        if processes.wait_until_it_listens(process, port):
            return process, port
        processes.end(process)
    raise AssertionError(f"{name} {version(name)} does not start ({place.style})")
