"""Runs each module's own test module, and says which of the module's branches it left out.

Rule: a module is covered by its own tests or not at all; what an accident elsewhere runs does not count.

    python tools/own_coverage.py [part of a path …]
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "midstream"


def own_tests(module: Path) -> Path:
    """Where the tests of a module stand."""
    return ROOT / "tests" / module.relative_to(SOURCE).with_name(f"test_{module.stem.lstrip('_')}.py")


def measure(module: Path) -> bool:
    """Run the tests of one module; print what they leave out; whether that was nothing."""
    data = ROOT / "var" / "coverage" / "-".join(module.relative_to(SOURCE).parts) / "data"
    shutil.rmtree(data.parent, ignore_errors=True)
    data.parent.mkdir(parents=True)
    python, path = sys.executable, str(module.relative_to(ROOT))
    base = [python, "-m", "coverage"]
    run = [*base, "run", f"--data-file={data}", "-m", "pytest", "-q", str(own_tests(module))]
    ran = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        print(f"{path}: its own tests fail\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
        return False
    subprocess.run([*base, "combine", "-q", f"--data-file={data}", str(data.parent)], cwd=ROOT, check=False)
    report = [*base, "report", f"--data-file={data}", f"--include={path}", "--fail-under=100", "--format=total"]
    told = subprocess.run(report, cwd=ROOT, capture_output=True, text=True, check=False)
    if told.returncode == 0:
        print(f"{path}: 100")
        return True
    details = [*base, "report", f"--data-file={data}", f"--include={path}"]
    print(subprocess.run(details, cwd=ROOT, capture_output=True, text=True, check=False).stdout or told.stdout)
    return False


def main(words: list[str]) -> int:
    """1 if a module is not covered by its own tests."""
    modules = [path for path in sorted(SOURCE.rglob("*.py")) if own_tests(path).exists()]
    wanted = [path for path in modules if not words or any(word in str(path) for word in words)]
    missed = [module for module in wanted if not measure(module)]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
