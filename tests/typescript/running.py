"""The official TypeScript SDK on Node: cases go in, what each came to comes out.

Rule: one process for all the cases of a run; each has a deadline of its own, and the process has one too.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.proxies.programs import FETCH_S_MAX, KEPT, alone, require, unavailable

HERE = Path(__file__).parent
NODE_MAJOR_MIN = 18

# From the start of Node to its first case, and from its last to its end: a machine with every core busy.
AROUND_S_MAX = 60.0

Mode = Literal["create", "stream", "bedrock-create", "bedrock-stream"]


@dataclass(frozen=True)
class Case:
    """One call."""

    id: str
    base_url: str
    mode: Mode
    headers: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float = 20.0
    max_retries: int | None = None
    """``None``: the SDK's default."""
    signed: bool = False
    """Bedrock only: a signature over the body instead of a bearer token."""


@dataclass(frozen=True)
class Result:
    """What one call came to."""

    id: str
    outcome: Literal["complete", "error", "hang"]
    silent: bool
    """It ended without an error, and was not whole."""
    text: str = ""
    blocks: tuple[dict[str, Any], ...] = ()
    events: int | None = None
    stop_reason: str | None = None
    error_class: str = ""
    error_own: bool = False
    """The error is one of the SDK's classes."""
    error_status: int | None = None
    error_type: str | None = None
    error_text: str = ""
    elapsed_ms: int = 0

    def __str__(self) -> str:
        error = f"{self.error_class} {self.error_status} {self.error_type}: {self.error_text}"
        told = error if self.outcome == "error" else f"{len(self.text)} characters, {self.stop_reason}"
        return f"{'silent' if self.silent else self.outcome} after {self.elapsed_ms} ms ({told})"


def run(cases: Iterable[Case], *, at_once: int = 16) -> dict[str, Result]:
    """Makes all the calls; what came of each, by its id. Skips the test where there is no Node."""
    cases = list(cases)
    folder = installed()
    lines = "".join(json.dumps({k: v for k, v in asdict(case).items() if v is not None}) + "\n" for case in cases)
    limit_s = AROUND_S_MAX + sum(case.deadline_s for case in cases) / at_once + max(case.deadline_s for case in cases)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("NODE_", "ANTHROPIC_"))}
    done = subprocess.run(
        [str(require("node")), str(folder / "run.mjs")],
        input=lines,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
        env={**environ, "AT_ONCE": str(at_once)},
    )
    assert done.returncode == 0, f"Node ended with status {done.returncode}: {done.stderr[-2000:]}"
    results = [_result(line) for line in done.stdout.splitlines()]
    found = {result.id: result for result in results}
    assert "unhandled" not in found, f"an error that no caller could catch: {found['unhandled']}"
    assert len(found) == len(results) and found.keys() == {case.id for case in cases}, "each case has one result"
    return found


def _result(line: str) -> Result:
    fields = json.loads(line)
    return Result(**{**fields, "blocks": tuple(fields.get("blocks") or ())})


def installed() -> Path:
    """The folder with the SDKs and the runner; the packages are fetched once for each list of them."""
    node, npm = require("node"), require("npm")
    said = subprocess.run([str(node), "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    major = re.match(r"v(\d+)", said)
    if major is None or int(major[1]) < NODE_MAJOR_MIN:
        unavailable(f"Node {NODE_MAJOR_MIN} or later is needed for the TypeScript SDK; this is {said.strip() or node}")
    package = (HERE / "package.json").read_bytes()
    runner = (HERE / "run.mjs").read_bytes()
    # The runner finds the packages beside itself, so it is copied to them, under the name of both.
    packages = KEPT / f"typescript-{hashlib.sha256(package).hexdigest()[:12]}"
    folder = packages / hashlib.sha256(runner).hexdigest()[:12]
    with alone("typescript"):
        if not (packages / "complete").is_file():
            _install(npm, packages, package)
        if not (folder / "run.mjs").is_file():
            folder.mkdir(exist_ok=True)
            (folder / "run.mjs.new").write_bytes(runner)
            (folder / "run.mjs.new").rename(folder / "run.mjs")
    return folder


def _install(npm: Path, folder: Path, package: bytes) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_bytes(package)
    options = ["--package-lock=false", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run = [str(npm), "install", *options]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)
    if done.returncode:
        unavailable(f"npm cannot install the TypeScript SDK: {done.stderr.strip()[-300:]}")
    (folder / "complete").touch()
