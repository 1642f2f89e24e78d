"""The command line: what goes wrong is one sentence and an exit status; a traceback means a bug."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from midstream import _version
from midstream.cli.main import COMMANDS, FAILED, INTERRUPTED, MISUSED, OK, PIPE_CLOSED, explain, main
from midstream.recovery.policy import Policy, PolicyError

SAMPLE = """
NAME = "sample"
HELP = "a command for tests"


def configure(parser):
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("words", nargs="*")


def run(args):
    for _ in range(args.times):
        print(*args.words)
    return {"three": 3}.get(" ".join(args.words), 0)
"""
FAILING = """
from midstream.cli import Misuse, Unable
from midstream.protocol.frames import FrameTooLarge

NAME = "failing"
HELP = "a command that fails as it is told"


def configure(parser):
    parser.add_argument("problem")


def run(args):
    raise eval(args.problem)
"""
NEEDY = """
import rich.not_there_at_all
"""
BROKEN = """
import a_module_that_no_extra_brings
"""

Commands = Callable[..., list[str]]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Writes command modules and gives back their names, as `main` wants them."""
    package = f"commands_of_{tmp_path.name}"
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def write(**sources: str) -> list[str]:
        for name, source in sources.items():
            (folder / f"{name}.py").write_text(source)
        return [f"{package}.{name}" for name in sources]

    return write


def test_a_command_gets_its_arguments_and_gives_the_exit_status(
    commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    modules = commands(sample=SAMPLE)
    assert main(["sample", "--times", "2", "hello", "you"], modules) == OK
    assert capsys.readouterr().out == "hello you\nhello you\n"
    assert main(["sample", "three"], modules) == 3


def test_the_version_is_the_one_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"], [])
    assert left.value.code == OK
    assert capsys.readouterr().out == f"midstream {_version.__version__}\n"


def test_the_help_lists_every_command_and_what_it_is_for(
    commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"], commands(sample=SAMPLE, needy=NEEDY))
    assert left.value.code == OK
    out = capsys.readouterr().out
    assert "sample" in out and "a command for tests" in out
    assert "needy" in out and "needs the extra demo" in out


def test_no_command_at_all_is_misuse_and_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], []) == MISUSED
    assert capsys.readouterr().err.startswith("usage: midstream")


def test_an_unknown_command_is_misuse(commands: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["simple"], commands(sample=SAMPLE))
    assert left.value.code == MISUSED
    assert "simple" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("problem", "status", "sentence"),
    [
        ("Misuse('there is no fault named x')", MISUSED, "there is no fault named x"),
        ("Unable('it went away')", FAILED, "it went away"),
        ("Unable('in two\\nlines')", FAILED, "in two lines"),
        ("Unable()", FAILED, "Unable"),
        ("FrameTooLarge(2000, 1000)", MISUSED, "a frame of at least 2,000 bytes is over the limit of 1,000 bytes"),
        ("OSError(98, 'Address already in use')", FAILED, "Address already in use"),
        ("FileNotFoundError(2, 'No such file or directory', 'a.sse')", FAILED, "a.sse: No such file or directory"),
        ("ModuleNotFoundError(name='botocore.eventstream')", FAILED, "botocore.eventstream is not installed; "),
    ],
)
def test_what_the_world_or_the_user_did_wrong_is_one_sentence(
    problem: str, status: int, sentence: str, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["failing", problem], commands(failing=FAILING)) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"midstream failing: {sentence}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("problem", ["ValueError('ours')", "ModuleNotFoundError(name='x')", "OSError('no number')"])
def test_a_bug_keeps_its_traceback(problem: str, commands: Commands) -> None:
    with pytest.raises((ValueError, ModuleNotFoundError, OSError)):
        main(["failing", problem], commands(failing=FAILING))


def test_a_policy_that_makes_no_sense_is_misuse() -> None:
    with pytest.raises(PolicyError) as raised:
        Policy(attempts=0)
    told = explain(raised.value)
    assert told is not None
    sentence, status = told
    assert status == MISUSED
    assert sentence == str(raised.value)


@pytest.mark.parametrize("words", [[], ["--port", "1"], ["a", "--help"]], ids=str)
def test_a_missing_extra_is_named_whatever_the_arguments_are(
    words: list[str], commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["needy", *words], commands(needy=NEEDY)) == FAILED
    err = capsys.readouterr().err
    assert err.startswith("midstream needy: ") and err.endswith("pip install 'midstream[demo]'\n")
    assert err.count("\n") == 1


def test_a_module_that_no_extra_brings_is_a_bug(commands: Commands) -> None:
    with pytest.raises(ModuleNotFoundError, match="a_module_that_no_extra_brings"):
        main(["broken"], commands(broken=BROKEN))


def test_an_interrupt_is_quiet(commands: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["failing", "KeyboardInterrupt()"], commands(failing=FAILING)) == INTERRUPTED
    assert capsys.readouterr().err == ""


def test_a_closed_pipe_is_quiet(commands: Commands, tmp_path: Path) -> None:
    (module,) = commands(sample=SAMPLE)
    program = f"import sys; from midstream.cli.main import main; sys.exit(main(None, [{module!r}]))"
    # More than any pipe holds, so that the writer meets the closed end.
    command = [sys.executable, "-c", program, "sample", "--times", "200000", "hello"]
    writer = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert writer.stdout is not None and writer.stderr is not None
    with writer:
        assert writer.stdout.readline() == b"hello\n"
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == PIPE_CLOSED


def test_python_dash_m_is_the_same_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "midstream", "--version"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (OK, f"midstream {_version.__version__}\n", "")


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_of_the_table_says_what_it_is_for(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = path.rpartition(".")[2]
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == OK
    assert capsys.readouterr().out.startswith(f"usage: midstream {name}")


@pytest.mark.parametrize("name", ["explain", "diagnose", "record", "lint", "config", "probe", "check"])
def test_the_help_of_the_doctor_fits_a_terminal_of_80_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []
