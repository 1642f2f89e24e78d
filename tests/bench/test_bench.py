"""That the bench runs, and measures everything that is required; how fast anything is, is not for a test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import judged
from bench.rows import Row, rows

ROOT = Path(__file__).resolve().parent.parent.parent

REQUIRED = {
    "stream-16k": ">= 15x",
    "stream-1": ">= 8x",
    "message-16k": ">= 40x",
    "bedrock-16k": ">= 2.5x",
    "bedrock-1": ">= 2.5x",
    "growth-16k": "<= 1.3x",
    "growth-1": "<= 1.3x",
    "growth-engine": "<= 1.3x",
    "middleware-sync": "<= 1.15x",
    "middleware-async": "<= 1.25x",
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_quick_run_measures_every_requirement_and_judges_none() -> None:
    done = run("--quick", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["name"]: row["needs"] for row in found["rows"]} == REQUIRED
    for row in found["rows"]:
        assert row["verdict"] is None
        assert row["ours_us"] > 0 and row["theirs_us"] > 0 and row["ratio"] > 0
    assert {"python", "processor", "midstream", "anthropic", "botocore"} <= found["surroundings"].keys()


def test_the_baseline_has_every_row_and_misses_none() -> None:
    baseline = json.loads((ROOT / "bench" / "baseline.json").read_text())
    assert {row["name"]: row["needs"] for row in baseline["rows"]} == REQUIRED
    assert [row["name"] for row in baseline["rows"] if row["verdict"] != "ok"] == []


def test_a_row_that_does_not_exist_is_a_sentence_and_not_a_traceback() -> None:
    done = run("--quick", "--only", "no-such-row")
    assert done.returncode == 2
    assert "no row begins with 'no-such-row'" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("bound", "ours_us", "theirs_us", "ratio", "holds"),
    [
        ({"at_least": 15.0}, 1.0, 15.1, 15.1, True),
        ({"at_least": 15.0}, 1.0, 14.9, 14.9, False),
        ({"at_most": 1.25}, 4.9, 4.0, 1.225, True),
        ({"at_most": 1.25}, 5.1, 4.0, 1.275, False),
    ],
)
def test_a_requirement_can_be_missed(
    bound: dict[str, float], ours_us: float, theirs_us: float, ratio: float, holds: bool
) -> None:
    row = Row("name", "claim", lambda: ours_us * 1e-5, lambda: theirs_us * 1e-5, 10, 10, **bound)  # type: ignore[arg-type]
    found = judged(row, quick=False)
    assert found["ratio"] == pytest.approx(ratio, abs=1e-3)
    assert found["verdict"] == ("ok" if holds else "MISSED")


def test_names_are_not_shared() -> None:
    names = [row.name for row in rows(quick=True)]
    assert len(set(names)) == len(names)
