"""The gateway as a process that is killed and started again, on one journal and one port.

Rule: started as a user starts it; killed by SIGKILL, at once, from wherever the moment is noticed.
"""

import asyncio
import ctypes
import hashlib
import json
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.gateway.gateways import environment
from tests.proxies import processes

OWN_KEY = "sk-of-the-gateway"
"""What the gateway asks with where it holds the credentials."""

TOKEN = "token-of-the-clients-{}"


class Gateway:
    """One gateway, started as often as it was killed."""

    def __init__(self, folder: Path, upstream: str, *, own: bool, env: Mapping[str, str]) -> None:
        self.journal = folder / "journal.sqlite3"
        self.log = folder / "gateway.log"
        self.port = processes.free_port()
        self.up = asyncio.Event()
        """It takes connections."""
        self.kills = 0
        self.own = own
        self._folder = folder
        self._process: Any = None
        self._told_bytes = 0
        arguments = ["--upstream", upstream, "--listen", f"127.0.0.1:{self.port}", "--control-listen", "off"]
        arguments += ["--journal", str(self.journal), "--log", "json"]
        self._env = {**environment(env), "HOME": str(folder), "XDG_STATE_HOME": str(folder)}
        self._env["XDG_CONFIG_HOME"] = str(folder)
        if own:
            arguments += ["--tokens", str(self._tokens())]
            self._env["ANTHROPIC_API_KEY"] = OWN_KEY
        self._command = [sys.executable, "-m", "midstream", "serve", *arguments]

    def _tokens(self, clients: int = 3) -> Path:
        path = self._folder / "tokens.toml"
        entries = [
            f'[[token]]\nname = "client {n}"\nsha256 = "{hashlib.sha256(TOKEN.format(n).encode()).hexdigest()}"\n'
            for n in range(clients)
        ]
        path.write_text("\n".join(entries))
        path.chmod(0o600)
        return path

    def spawn(self) -> None:
        """Starts the process, and waits for nothing."""
        self._told_bytes = self.log.stat().st_size if self.log.exists() else 0
        self._process = processes.start(self._command, self.log, self._env)

    async def listens(self) -> None:
        """Returns when it takes connections."""
        until = time.monotonic() + processes.START_S_MAX
        while not any(line.get("event") == "started" for line in self.told()):
            assert self._process.poll() is None, f"the gateway ended with status {self._process.poll()} at its start"
            assert time.monotonic() < until, "the gateway does not say that it listens"
            await asyncio.sleep(0.01)
        self.up.set()

    def told(self) -> list[dict[str, Any]]:
        """Its log since it was started last."""
        with self.log.open("rb") as log:
            log.seek(self._told_bytes)
            whole = log.read().rpartition(b"\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith(b"{")]

    def kill(self) -> None:
        """Now. May be called from another thread."""
        self.up.clear()
        self.kills += 1
        os.kill(self._process.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Returns when the killed process is no more."""
        self.up.clear()
        while self._process.poll() is None:
            await asyncio.sleep(0.001)

    def end(self) -> int:
        """Asks it to end, at the end of a session; its exit status."""
        self.up.clear()
        if self._process is None:
            return 0
        processes.end(self._process, politely_s=20.0)
        status: int = self._process.returncode
        return status


_IN_MODIFY = 2


def wait_for_writes(path: Path, count: int, within_s: float) -> bool:
    """Blocks until so many writes to a file were seen by the kernel; false if they do not come. Linux only.

    The folder is watched, as the file may not be there yet. A write is told of while the one who writes goes on.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    try:
        assert libc.inotify_add_watch(descriptor, os.fsencode(path.parent), _IN_MODIFY) >= 0
        until, name = time.monotonic() + within_s, path.name.encode()
        while (left_s := until - time.monotonic()) > 0:
            if not select.select([descriptor], [], [], left_s)[0]:
                return False
            count -= _names_in(os.read(descriptor, 4096)).count(name)
            if count <= 0:
                return True
        return False
    finally:
        os.close(descriptor)


def _names_in(events: bytes) -> list[bytes]:
    names, at = [], 0
    while at < len(events):
        (size,) = struct.unpack_from("I", events, at + 12)
        names.append(events[at + 16 : at + 16 + size].rstrip(b"\0"))
        at += 16 + size
    return names
