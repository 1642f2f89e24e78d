"""One check, run in one tree: whether it is green or red, and whether red for the right reason.

Rule: red means that the check looked and found something wrong. A check that could not look at all (an import, a name,
its own mistake) has shown nothing.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bench.mutants.trees import Tree

LIMIT_S = 300.0
"""The slowest check takes half a minute alone; what takes ten times that hangs."""
_WHY_CHARS_MAX = 150

_FOUND = {
    "bench": r"^MISSED .*",
    "bench.every_cut": r"^[1-9][0-9,]* wrong.*",
    "bench.seams": r"^MISSED.*",
    "fuzz": r"^\w+: .* after [0-9,]+ inputs.*|^[0-9]+ inputs, [1-9][0-9]* of them crash",
    "simulation": r"^FAILED seed [0-9]+: (?!the simulation itself).*",
}
"""What each harness says when it found something."""
_OWN_MISTAKE = re.compile(r"\b(NameError|UnboundLocalError|ImportError|ModuleNotFoundError|SyntaxError)\b")
_NO_DATA = "no shared data"


class Verdict(StrEnum):
    """What a check came to."""

    GREEN = "green"
    RED = "red"
    BROKEN = "broken"
    """It failed for a reason of its own."""
    HUNG = "hung"
    SKIPPED = "skipped"
    """It needs the recorded streams, and they are not there."""


@dataclass(frozen=True)
class Result:
    """One run of one check."""

    verdict: Verdict
    why: str
    """What it found, in a line."""
    seconds: float


def run(check: str, tree: Tree) -> Result:
    """Runs it; in a process group of its own, so that nothing outlives its limit."""
    module, *arguments = shlex.split(check)
    report = tree.root.parent / "report.xml"
    report.unlink(missing_ok=True)
    if module == "pytest":
        arguments = ["-q", "--maxfail=1", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=tree.root,
        env=tree.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return Result(Verdict.HUNG, f"longer than {LIMIT_S:g} s", time.monotonic() - began)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    judge = _judge_tests if module == "pytest" else _judge_harness
    verdict, why = judge(module, process.returncode, output, report)
    return Result(verdict, " ".join(why.split())[:_WHY_CHARS_MAX], time.monotonic() - began)


def _judge_harness(module: str, status: int, output: str, report: Path) -> tuple[Verdict, str]:
    if status == 0:
        return Verdict.GREEN, _last_line(output)
    if _NO_DATA in output:
        return Verdict.SKIPPED, _NO_DATA
    found = re.search(_FOUND[module], output, re.MULTILINE)
    if status != 1 or found is None:
        return Verdict.BROKEN, f"status {status}: {_last_line(output)}"
    if mistake := _OWN_MISTAKE.search(output):
        return Verdict.BROKEN, output[mistake.start() :]
    return Verdict.RED, found.group()


def _judge_tests(module: str, status: int, output: str, report: Path) -> tuple[Verdict, str]:
    if status not in (0, 1) or not report.is_file():  # it could not even be collected, or there is no such test
        return Verdict.BROKEN, f"status {status}: {_last_line(output)}"
    cases = list(ElementTree.parse(report).iter("testcase"))
    if status == 0:
        skipped = [case.find("skipped") for case in cases]
        if any(found is not None for found in skipped):
            why = next(found.get("message", "") for found in skipped if found is not None)
            return (Verdict.SKIPPED if _NO_DATA in why else Verdict.BROKEN), why
        return Verdict.GREEN, f"{len(cases)} passed"
    for case in cases:
        failure = case.find("failure")
        if failure is not None:
            why = failure.get("message", "")
            verdict = Verdict.BROKEN if _OWN_MISTAKE.match(why) else Verdict.RED
            return verdict, f"{case.get('name')}: {why}"
    return Verdict.BROKEN, f"errors, no failures: {_last_line(output)}"


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
