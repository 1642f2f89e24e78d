"""What midstream costs, beside the bare SDK and botocore (``make bench``): ratios of CPU time, in one run.

Rule: run it before and after every change to ``protocol``, to ``recovery/{attempt,commit,engine,watch}.py``, to
``drivers`` or to ``sdk``. A ratio that got worse by more than a tenth is argued for in the commit, and
``make bench ARGS=--save`` writes the new baseline in the same commit.

Both sides of a row read the same bytes in the same process, in turns; the best of several rounds counts, because
whatever else the machine does can only add. Exit status 1 says that a requirement was missed.
"""

import argparse
import gc
import json
import os
import platform
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from time import process_time
from typing import Any

from bench.rows import Row, rows

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "bench" / "baseline.json"
PACKAGES = ("midstream", "anthropic", "httpx2", "pydantic", "botocore", "msgspec")


def best_us(row: Row, rounds: int) -> tuple[float, float]:
    """CPU time for one event, ours and theirs: in turns, and every other round the other way round."""
    sides = ((row.ours, row.ours_events), (row.theirs, row.theirs_events))
    best = [float("inf"), float("inf")]
    for number in range(rounds):
        for at in (0, 1) if number % 2 == 0 else (1, 0):
            side, events = sides[at]
            gc.collect()
            best[at] = min(best[at], side() / events * 1e6)
    return best[0], best[1]


def judged(row: Row, quick: bool) -> dict[str, Any]:
    """One row, measured."""
    ours_us, theirs_us = best_us(row, 1 if quick else row.rounds)
    ratio = row.ratio(ours_us, theirs_us)
    verdict = None if quick else "ok" if row.holds(ratio) else "MISSED"
    return {
        "name": row.name,
        "claim": row.claim,
        "needs": row.needs,
        "ratio": round(ratio, 3),
        "verdict": verdict,
        "ours_us": round(ours_us, 3),
        "theirs_us": round(theirs_us, 3),
    }


def surroundings() -> dict[str, str]:
    """What a figure depends on, besides the code."""
    names = {package: version(package) for package in PACKAGES}
    where = "the system's own" if sys.base_prefix == "/usr" else "not the system's own"
    python = f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}, {where}"
    return {"python": python, "processor": _processor(), **names}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def go_where_it_is_fast(arguments: list[str]) -> None:
    """Goes on in the environment of ``make bench``, made from the system's interpreter, if this is another one.

    Distributions build theirs with optimisations that pyenv leaves out; make has set its level where it started us.
    """
    if sys.base_prefix != "/usr" and "MAKELEVEL" not in os.environ and Path("/usr/bin/python3").exists():
        print(f"{sys.base_prefix} is not the system's interpreter: going on with `make bench`", file=sys.stderr)
        os.chdir(ROOT)
        os.execvp("make", ["make", "--no-print-directory", "bench", f"ARGS={' '.join(arguments)}"])


def show(result: dict[str, Any], baseline: dict[str, float]) -> None:
    """One line, and its raw figures under it."""
    before = baseline.get(result["name"])
    then = f"  (baseline {before:.2f}x)" if before is not None else ""
    print(f"{result['verdict'] or '-':6}  {result['ratio']:6.2f}x  {result['needs']:9}  {result['claim']}{then}")
    print(f"{'':27}{result['ours_us']:.2f} µs beside {result['theirs_us']:.2f} µs an event  [{result['name']}]")


def main(arguments: list[str]) -> int:
    """Measures; 1 if a requirement is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="tiny replies, once, no verdict: shows only that it runs")
    parser.add_argument("--here", action="store_true", help="measure on this interpreter, whichever it is")
    parser.add_argument("--only", default="", metavar="NAME", help="only the rows whose name begins like this")
    parser.add_argument("--save", action="store_true", help="write bench/baseline.json")
    asked = parser.parse_args(arguments)
    if not (asked.here or asked.quick):
        go_where_it_is_fast(arguments)
    warnings.simplefilter("ignore", DeprecationWarning)
    began, machine = process_time(), surroundings()
    chosen = [row for row in rows(quick=asked.quick) if row.name.startswith(asked.only)]
    if not chosen:
        parser.error(f"no row begins with {asked.only!r}")
    results = measure(chosen, machine, asked)
    summary = {"surroundings": machine, "rows": results}
    if asked.json:
        print(json.dumps(summary, ensure_ascii=False, indent=2))
    if asked.save:
        BASELINE.write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
    missed = [result["name"] for result in results if result["verdict"] == "MISSED"]
    if not asked.json:
        print(
            f"missed: {', '.join(missed)}" if missed else "nothing missed", f"({process_time() - began:.0f} s of CPU)"
        )
    return 1 if missed else 0


def measure(chosen: list[Row], machine: dict[str, str], asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Every row; each is shown as soon as it is known."""
    if not asked.json:
        print("\n".join(f"{name:10} {value}" for name, value in machine.items()), end="\n\n")
    baseline = _baseline()
    results = []
    gc.collect()
    gc.freeze()  # what is alive by now is not collected over and over
    for row in chosen:
        results.append(judged(row, asked.quick))
        if not asked.json:
            show(results[-1], baseline)
    return results


def _baseline() -> dict[str, float]:
    if not BASELINE.exists():
        return {}
    return {row["name"]: row["ratio"] for row in json.loads(BASELINE.read_text())["rows"]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
