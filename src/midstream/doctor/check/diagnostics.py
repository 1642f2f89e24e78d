"""What is known of this machine, as a file that can be given to others; and what differs between two such files.

Rule: names, versions and settings; nothing secret, nothing said or written, no name of a person or a machine.
"""

import importlib.metadata
import os
import platform
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from midstream.doctor.check import environment
from midstream.doctor.check.versions import PACKAGES

FORMAT = 1

# Ten times what such a file holds.
FILE_BYTES_MAX = 1 << 20


class Diagnostics(msgspec.Struct, frozen=True, omit_defaults=False):
    """One machine."""

    midstream_check: int
    machine: dict[str, str]
    versions: dict[str, str]
    environment: dict[str, str]
    timeouts: dict[str, float]
    reach: dict[str, str] = {}


class NotDiagnostics(ValueError):
    """A file that is none; the text is one sentence."""


def gather(environ: Mapping[str, str], timeouts: Mapping[str, float], reach: Mapping[str, str]) -> Diagnostics:
    """This machine, now."""
    return Diagnostics(FORMAT, machine(), installed(), environment.told(environ), dict(timeouts), dict(reach))


def machine() -> dict[str, str]:
    """What the interpreter and the system are."""
    verify = ssl.get_default_verify_paths()
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "openssl": ssl.OPENSSL_VERSION,
        "certificates": verify.cafile or verify.capath or "none",
        "in a container": "yes" if Path("/.dockerenv").exists() or "KUBERNETES_SERVICE_HOST" in os.environ else "no",
        "in a virtual environment": "yes" if sys.prefix != sys.base_prefix else "no",
    }


def installed() -> dict[str, str]:
    """The versions of what may stand between a program and its stream."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write(path: Path, diagnostics: Diagnostics) -> None:
    """Write the file, for its owner alone to read."""
    data = msgspec.json.format(msgspec.json.encode(diagnostics), indent=2) + b"\n"
    path.touch(mode=0o600)
    path.write_bytes(data)


def read(path: Path) -> Diagnostics:
    """A file of another machine. Raises `NotDiagnostics`, and `OSError` with the name."""
    with path.open("rb") as file:
        raw = file.read(FILE_BYTES_MAX + 1)
    try:
        found = msgspec.json.decode(raw, type=Diagnostics) if len(raw) <= FILE_BYTES_MAX else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if found is None or found.midstream_check != FORMAT:
        raise NotDiagnostics(f"{path} is no file of `midstream check -o`")
    return found


def differences(here: Diagnostics, there: Diagnostics) -> Iterator[tuple[str, str, str]]:
    """What is not the same: name, here, there."""
    ours, theirs = _flat(here), _flat(there)
    for name in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(name, "–"), theirs.get(name, "–")
        if one != other:
            yield name, one, other


def _flat(diagnostics: Diagnostics) -> dict[str, str]:
    sections: dict[str, Any] = msgspec.to_builtins(diagnostics)
    kept = {section: values for section, values in sections.items() if isinstance(values, dict)}
    # How long it took is never the same.
    return {
        f"{section}: {name}": str(value)
        for section, values in kept.items()
        for name, value in values.items()
        if not name.endswith("_ms")
    }
