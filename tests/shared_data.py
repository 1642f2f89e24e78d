"""Where the recorded streams and the wire cases of other projects are found: next to the project, never in it.

Rule: without them a test skips and says so in one line; where ``CI=true`` it fails instead.
"""

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

MISSING = "no shared data: ../shared/data, next to the project, is not there"


@dataclass(frozen=True)
class Capture:
    """One recorded stream, and what its recorder said about it."""

    name: str
    path: Path
    """The body."""
    protocol: str
    """``sse`` or ``aws-eventstream``."""
    kinds: frozenset[str]
    """What is in it: ``tool_use``, ``thinking``, ``crlf`` …"""
    claude: bool
    """False for another model's stream, whose framing alone is of use."""
    fidelity: str
    """How far the bytes are those of the wire."""

    def __str__(self) -> str:
        return self.name

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def notes(self) -> dict[str, Any]:
        """The whole provenance: source, request where it was recorded, events by name."""
        notes: dict[str, Any] = json.loads(self.path.with_suffix(".json").read_bytes())
        return notes


def root() -> Path:
    """Where the data is, or would be."""
    return Path(__file__).resolve().parents[2] / "shared" / "data"


def require() -> Path:
    """The same, when it is really there. Skips the test, or the module that is being collected, otherwise."""
    if root().is_dir():
        return root()
    if os.environ.get("CI") == "true":
        pytest.fail(MISSING, pytrace=False)
    pytest.skip(MISSING, allow_module_level=True)


@cache
def captures(protocol: str | None = None) -> tuple[Capture, ...]:
    """All recorded streams, or those of one protocol, in the order of the index. None without the data."""
    index = root() / "captures" / "index.json"
    entries = json.loads(index.read_bytes())["captures"] if index.is_file() else []
    return tuple(_capture(entry) for entry in entries if protocol in (None, entry["protocol"]))


def lines(name: str) -> list[dict[str, Any]]:
    """The rows of a table of the data, such as ``sse_cases/cases.jsonl``. None without the data."""
    path = root() / name
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.is_file() else []


def parameters(rows: Any) -> list[Any]:
    """Rows for ``parametrize``, named by their ``name``. Without the data it is one row, `None`, so that the test
    still runs as far as the `require` with which it begins."""
    return [pytest.param(row, id=_name(row)) for row in rows] or [pytest.param(None, id="no-shared-data")]


def _name(row: Any) -> str:
    return row["name"] if isinstance(row, dict) else str(row)


def _capture(entry: dict[str, Any]) -> Capture:
    return Capture(
        name=entry["name"],
        path=root() / "captures" / entry["file"],
        protocol=entry["protocol"],
        kinds=frozenset(entry["kinds"]),
        claude=entry["claude"],
        fidelity=entry["fidelity"],
    )
