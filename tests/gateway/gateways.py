"""The gateway as a process of a test: ``with running(upstream_url) as gateway: … gateway.base_url``.

Rule: the command is run as a user runs it; nothing of midstream is imported, and nothing outlives the ``with``.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.proxies import processes

ROOT = Path(__file__).resolve().parents[2]

FAST: Mapping[str, str] = {
    # Few attempts without waits.
    "MIDSTREAM_ATTEMPTS": "2",
    "MIDSTREAM_ATTEMPTS_TOTAL": "4",
    "MIDSTREAM_BACKOFF_S": "0,0.01",
    "MIDSTREAM_RETRY_PER_MINUTE_MIN": "1000000",
    # One upstream that fails on purpose, many times, is not to be left out.
    "MIDSTREAM_BREAKER_FAILURES": "1000000",
    # What hangs is given up after two seconds; a busy machine may need one of them.
    "MIDSTREAM_FIRST_EVENT_S": "2",
    "MIDSTREAM_SILENCE_S": "2",
    "MIDSTREAM_SILENCE_AFTER_PINGS_S": "2",
    "MIDSTREAM_PROGRESS_S": "2.5",
    "MIDSTREAM_PROGRESS_SLOW_S": "2.5",
}
"""The policy of a test that breaks many streams: each is over within seconds."""


class Gateway:
    """One gateway on one journal, started as often as wanted."""

    def __init__(self, arguments: tuple[str, ...], env: Mapping[str, str], folder: Path) -> None:
        self._arguments, self._env = arguments, env
        self.journal = folder / "journal.sqlite3"
        self.log = folder / "gateway.log"
        self.process: Any = None
        self._ports = (0, 0)
        self._told_bytes = 0

    @property
    def base_url(self) -> str:
        """What a client is given."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self._ports[0]

    @property
    def control_url(self) -> str:
        """Where health and metrics are."""
        return f"http://127.0.0.1:{self._ports[1]}"

    def start(self) -> None:
        """Returns when it takes connections."""
        listen, control = (f"127.0.0.1:{port}" for port in self._ports)
        own = ["--listen", listen, "--control-listen", control, "--journal", str(self.journal), "--log", "json"]
        self._told_bytes = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-m", "midstream", "serve", *own, *self._arguments]
        self.process = processes.start(command, self.log, self._env)
        told = self._wait_until_it_listens()
        self._ports = (_port(told["listen"]), _port(told["control"]))

    def _wait_until_it_listens(self) -> dict[str, Any]:
        until = time.monotonic() + processes.START_S_MAX
        while time.monotonic() < until:
            for line in self.told():
                if line.get("event") == "started":
                    return line
            assert self.process.poll() is None, f"the gateway ended with status {self.process.poll()} at its start"
            time.sleep(0.01)
        raise AssertionError("the gateway does not say where it listens")

    def told(self) -> list[dict[str, Any]]:
        """The lines of its log since it was started last."""
        with self.log.open("rb") as log:
            log.seek(self._told_bytes)
            # The last line may not be whole yet.
            whole = log.read().rpartition(b"\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith(b"{")]

    def kill9(self) -> None:
        """As a machine that loses power, but for its disk."""
        processes.end(self.process)

    def terminate(self, within_s: float) -> int:
        """As a platform stops it: SIGTERM, and a kill if that has not ended it in time; its exit status."""
        processes.end(self.process, politely_s=within_s)
        status: int = self.process.returncode
        return status

    def restart(self) -> None:
        """On the same journal, at the same ports."""
        processes.end(self.process)
        self.start()


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a gateway: nothing of whoever runs the tests decides anything in it."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MIDSTREAM_", "ANTHROPIC_", "AWS_")) and not name.lower().endswith("_proxy")
    }
    if (compiled := os.environ.get("MIDSTREAM_COMPILED")) is not None:  # which of the two ways is tested, or measured
        plain["MIDSTREAM_COMPILED"] = compiled
    # Without this, botocore looks for credentials at an address that only exists in the cloud, and waits for it.
    return {**plain, "AWS_EC2_METADATA_DISABLED": "true", "PYTHONUNBUFFERED": "1", **(FAST if env is None else env)}


@contextmanager
def running(
    upstream: str, *arguments: str, env: Mapping[str, str] | None = None, config: str = ""
) -> Iterator[Gateway]:
    """A gateway in front of an upstream.

    ``env`` replaces `FAST`, the policy of a test that breaks many streams; ``config`` is what a file of settings says.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-") as folder_name:
        folder = Path(folder_name)
        # No file of settings of whoever runs the tests, either.
        own = {"HOME": folder_name, "XDG_STATE_HOME": folder_name, "XDG_CONFIG_HOME": folder_name}
        if config:
            (folder / "midstream.toml").write_text(config)
            arguments = ("--config", str(folder / "midstream.toml"), *arguments)
        gateway = Gateway(("--upstream", upstream, *arguments), {**environment(env), **own}, folder)
        with processes.logs_told(gateway.log):
            try:
                gateway.start()
                yield gateway
            finally:
                if gateway.process is not None:
                    processes.end(gateway.process)
