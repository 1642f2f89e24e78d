"""Other people's programs, and our own, as processes of a test: started on a free port, and surely ended.

Rule: nothing that is started here outlives its ``with``, nor the process that started it.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# From a start to the first answer: a machine with every core busy.
START_S_MAX = 30.0


def start(command: list[str], log: Path, env: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """A process whose words go to a log, and that dies with its parent, however that dies."""
    tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with log.open("ab") as out:
        return subprocess.Popen([*tied, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)


def end(process: "subprocess.Popen[bytes]", *, politely_s: float = 0.0) -> None:
    """It is gone when this returns; before that it may be asked, and be given so long."""
    if politely_s and process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(politely_s)
    if process.poll() is None:
        process.kill()
    process.wait()


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether a connection to the port is taken."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as line:
            # Who asks often enough is given that very port as its own, and is connected with itself.
            return bool(line.getsockname() != line.getpeername())
    except OSError:
        return False


def tail(log: Path, lines: int = 40) -> str:
    """The end of a log, for whoever must find out why."""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:]) if log.is_file() else ""


@contextmanager
def logs_told(*logs: Path) -> Iterator[None]:
    """What fails inside says what the logs said."""
    try:
        yield
    except BaseException as problem:
        for log in logs:
            if words := tail(log):
                problem.add_note(f"--- the end of {log.name}:\n{words}")
        raise


def wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Whether it lived to take connections at its port."""
    until = time.monotonic() + START_S_MAX
    while time.monotonic() < until:
        if process.poll() is not None:
            return False
        if listens(port):
            # Not somebody else, who was faster to take the port.
            return process.poll() is None
        time.sleep(0.01)
    return False
