"""Relays of one's own as programs beside the proxies: Python of this environment, and Node with packages of npm.

Rule: exact versions of npm's packages, which do not change any more; the evidence of the rules names them.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.proxies.programs import FETCH_S_MAX, KEPT, alone, require, unavailable

PACKAGES = ("compression@1.8.2", "http-proxy@1.18.1", "http-proxy-middleware@3.0.10")


def python(_: str) -> Path:
    """This one: the relay's libraries are part of what the tests need."""
    return Path(sys.executable)


def write_python(text: str, folder: Path, port: int) -> tuple[str, ...]:
    """The relay; the arguments that start it."""
    (folder / "relay.py").write_text(text)
    return (f"{folder}/relay.py",)


def write_javascript(text: str, folder: Path, port: int) -> tuple[str, ...]:
    """The same, with its packages beside it, where Node looks for them."""
    (folder / "relay.mjs").write_text(text)
    beside = folder / "node_modules"
    if not beside.is_symlink():
        beside.symlink_to(npm_packages())
    return (f"{folder}/relay.mjs",)


def npm_packages() -> Path:
    """The folder of the packages, fetched once for each list of them. Skips the test where that is impossible."""
    npm = require("npm")
    folder = KEPT / f"relays-{hashlib.sha256(' '.join(PACKAGES).encode()).hexdigest()[:12]}"
    with alone("relays"):
        if not (folder / "complete").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            options = ["--prefix", str(folder), "--package-lock=false", "--ignore-scripts", "--no-audit", "--no-fund"]
            run = [str(npm), "install", *options, "--loglevel=error", *PACKAGES]
            done = subprocess.run(run, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)
            if done.returncode:
                unavailable(f"npm cannot install what relays use: {done.stderr.strip()[-300:]}")
            (folder / "complete").touch()
    return folder / "node_modules"
