"""What an installation makes of the compiled part: there, or left out, or refused."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "src")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: nothing is compiled beside what other tests import."""
    root = tmp_path_factory.mktemp("project")
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
        else:
            shutil.copy(source, root / name)
    return root


def wheel(project: Path, folder: Path, **environment: str) -> tuple[int, str, list[str]]:
    """The status of pip, what it said, and the files of the wheel."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--disable-pip-version-check", "-w", str(folder), "."]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIDSTREAM_")}
    ran = subprocess.run(
        command, cwd=project, env={**kept, **environment}, capture_output=True, text=True, timeout=300, check=False
    )
    made = list(folder.glob("*.whl"))
    files = zipfile.ZipFile(made[0]).namelist() if made else []
    return ran.returncode, f"{made[0].name if made else ''}\n{ran.stdout}{ran.stderr}", files


def compiled(files: list[str]) -> list[str]:
    return [name for name in files if name.startswith("midstream/usual/_compiled.") and name.endswith((".so", ".pyd"))]


@pytest.mark.slow
def test_a_wheel_has_the_compiled_part_where_there_is_a_compiler(project: Path, tmp_path: Path) -> None:
    if shutil.which("cc") is None and os.environ.get("CI") != "true":
        pytest.skip("there is no C compiler here")
    status, said, files = wheel(project, tmp_path, MIDSTREAM_COMPILED="1")
    assert status == 0, said
    assert len(compiled(files)) == 1 and "none-any" not in said.splitlines()[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment", [{"MIDSTREAM_COMPILED": "0"}, {"CC": "/nowhere/cc"}], ids=["off", "no-compiler"]
)
def test_without_a_compiler_a_wheel_is_plain_python(project: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    status, said, files = wheel(project, tmp_path, **environment)
    assert status == 0, said
    assert not compiled(files) and "none-any" in said.splitlines()[0] and "midstream/usual/taking.py" in files


@pytest.mark.slow
def test_who_insists_is_told_that_there_is_no_compiler(project: Path, tmp_path: Path) -> None:
    status, said, files = wheel(project, tmp_path, MIDSTREAM_COMPILED="1", CC="/nowhere/cc")
    assert status != 0 and not files and "/nowhere/cc" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment", [{"MIDSTREAM_COMPILED": "0"}, {"CC": "/nowhere/cc"}], ids=["off", "no-compiler"]
)
def test_what_an_earlier_installation_compiled_is_gone(
    project: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    old = project / "src/midstream/usual" / f"_compiled{sysconfig.get_config_var('EXT_SUFFIX')}"
    old.write_bytes(b"old")
    status, said, files = wheel(project, tmp_path, **environment)
    assert status == 0, said
    assert not old.exists() and not compiled(files)
