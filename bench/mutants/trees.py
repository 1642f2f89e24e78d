"""Copies of the project to make mistakes in.

Rule: the tree that one works in is read and never written.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = shutil.ignore_patterns(".*", "__pycache__", "var", "build", "dist")


class Tree:
    """One copy, in which one mutant at a time lives."""

    def __init__(self, home: Path) -> None:
        self.root = home / "project"
        for source in _files():
            target = self.root / source
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / source, target)
        if (shared := ROOT.parent / "shared").is_dir():  # the recorded streams lie beside the project
            (home / "shared").symlink_to(shared, target_is_directory=True)
        self._must_be_what_runs()

    @property
    def environment(self) -> dict[str, str]:
        """In which the copy, not the installed project, is imported; without settings of whoever runs this."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MIDSTREAM_", "PYTEST_"))}
        # A mutant may be as old and as long as the file that it replaces: compiled code would outlive it.
        path = os.pathsep.join(map(str, (self.root / "src", self.root)))
        # Nothing is compiled in a copy: what is plain Python is what a mistake is made in.
        return {**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "MIDSTREAM_COMPILED": "0"}

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """The tree with the mistake in it. Raises `Unfit` if it cannot be made."""
        path = self.root / mutant.path
        source = path.read_text(encoding="utf-8")
        mutated = mutant.applied(source)
        try:
            path.write_text(mutated, encoding="utf-8")
            yield
        finally:
            path.write_text(source, encoding="utf-8")

    def _must_be_what_runs(self) -> None:
        command = [sys.executable, "-c", "import midstream; print(midstream.__file__)"]
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        if not done.stdout.startswith(str(self.root.resolve())):
            raise RuntimeError(f"the copy is not what is imported, but {done.stdout.strip() or done.stderr.strip()}")


def _files() -> list[Path]:
    """What git has, and what is new and not ignored; without git (an sdist) everything."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        names = [Path(name) for name in done.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [path.relative_to(ROOT) for path in _walk(ROOT)]
    return [name for name in names if (ROOT / name).is_file()]  # one that was deleted is still listed


def _walk(folder: Path) -> Iterator[Path]:
    names = [path.name for path in folder.iterdir()]
    for name in sorted(set(names) - _NOT_OURS(str(folder), names)):
        path = folder / name
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path
