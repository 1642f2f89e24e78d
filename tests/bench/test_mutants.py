"""That the list of mutants is sound, and that a check which cannot look is not taken for one that found something."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.mutants import check
from bench.mutants.__main__ import judged, main
from bench.mutants.catalogue import MUTANTS
from bench.mutants.check import Result, Verdict
from bench.mutants.mutant import HOLDS, Mutant, Unfit
from bench.mutants.trees import ROOT, Tree

QUICK_MAX = 12
HARNESSES = {"pytest", "bench", "bench.every_cut", "bench.seams", "fuzz", "simulation"}
WELL = Result(Verdict.GREEN, "1 passed", 1.0)


def mutant(old: str = "a = 1", new: str = "a = 2") -> Mutant:
    return Mutant("made-up", 1, "nothing", "settings.py", old, new, ("pytest tests/test_settings.py",))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_can_be_applied_to_today_s_source(mutant: Mutant) -> None:
    source = (ROOT / mutant.path).read_text(encoding="utf-8")
    assert mutant.applied(source) != source


def test_the_list_is_well_formed() -> None:
    assert [name for name, count in Counter(mutant.name for mutant in MUTANTS).items() if count > 1] == []
    assert {mutant.point for mutant in MUTANTS} == set(HOLDS)
    for mutant in MUTANTS:
        assert mutant.breaks and "\n" not in mutant.breaks and mutant.checks, mutant.name
        assert {check.split()[0] for check in mutant.checks} <= HARNESSES, mutant.name


def test_the_quick_share_is_small_and_has_every_kind_of_check() -> None:
    quick = [mutant for mutant in MUTANTS if mutant.quick]
    assert 8 <= len(quick) <= QUICK_MAX
    assert {mutant.checks[0].split()[0] for mutant in quick} >= {"pytest", "bench", "fuzz", "simulation"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_test_that_must_turn_red_is_there(mutant: Mutant) -> None:
    for command in mutant.checks:
        words = command.split()
        if words[0] == "pytest":
            path, _, name = words[1].partition("::")
            text = (ROOT / path).read_text(encoding="utf-8")
            assert not name or f"def {name}(" in text, command
            if words[2:] and words[3].startswith("test_"):
                assert f"def {words[3]}(" in text, command


@pytest.mark.parametrize(
    ("mutant", "source", "reason"),
    [
        (mutant(), "b = 1\n", "stands 0 times"),
        (mutant(), "a = 1\na = 1\n", "stands 2 times"),
        (mutant(new="a = ("), "a = 1\n", "not Python"),
        (mutant("return 1", "return one"), "def f():\n    return 1\n", "nobody knows one"),
    ],
)
def test_a_mutant_that_cannot_be_applied_is_an_error(mutant: Mutant, source: str, reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        mutant.applied(source)


@pytest.mark.parametrize(
    ("before", "after", "said", "well"),
    [
        (WELL, Result(Verdict.RED, "", 1.0), "red", True),
        (WELL, WELL, "GREEN(!)", False),
        (WELL, Result(Verdict.BROKEN, "", 1.0), "BROKEN(!)", False),
        (WELL, Result(Verdict.HUNG, "", 1.0), "HUNG(!)", False),
        (WELL, Result(Verdict.SKIPPED, "", 1.0), "SKIPPED(!)", False),
        (WELL, Unfit("gone"), "UNFIT(!)", False),
        (Result(Verdict.RED, "", 1.0), WELL, "red BEFORE(!)", False),
        (Result(Verdict.BROKEN, "", 1.0), WELL, "broken BEFORE(!)", False),
    ],
)
def test_only_a_check_that_was_green_and_turns_red_is_well(
    before: Result, after: Result | Unfit, said: str, well: bool
) -> None:
    row = judged(mutant(), "pytest", before, after)
    assert (row.verdict, row.well) == (said, well)


@pytest.mark.parametrize(("ci", "well"), [("true", False), ("", True)])
def test_what_needs_the_recorded_streams_is_skipped_but_not_in_ci(
    ci: str, well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    assert judged(mutant(), "pytest", Result(Verdict.SKIPPED, "no shared data", 1.0), WELL).well is well


MADE_UP = """
import time
import pytest
def test_is_well(): assert True
def test_finds_something(): assert 1 == 2
def test_has_a_mistake_of_its_own(): nobody
def test_has_no_data(): pytest.skip("no shared data: not there")
def test_is_skipped(): pytest.skip("for another reason")
@pytest.fixture
def broken(): raise ValueError
def test_cannot_begin(broken): pass
def test_waits(): time.sleep(600)
"""
VERDICTS = {
    "pytest test_made_up.py::test_is_well": Verdict.GREEN,
    "pytest test_made_up.py::test_finds_something": Verdict.RED,
    "pytest test_made_up.py::test_has_a_mistake_of_its_own": Verdict.BROKEN,
    "pytest test_made_up.py::test_has_no_data": Verdict.SKIPPED,
    "pytest test_made_up.py::test_is_skipped": Verdict.BROKEN,
    "pytest test_made_up.py::test_cannot_begin": Verdict.BROKEN,
    "pytest test_made_up.py::test_nobody_wrote": Verdict.BROKEN,
    "fuzz 0 3 inputs, 0 of them crash": Verdict.GREEN,
    "fuzz 1 3 inputs, 1 of them crash": Verdict.RED,
    "fuzz 1 Traceback": Verdict.BROKEN,
    "fuzz 2 3 inputs, 1 of them crash": Verdict.BROKEN,
    "fuzz 1 '3 inputs, 1 of them crash: NameError'": Verdict.BROKEN,
}


class Folder:
    """As much of a `Tree` as a check needs."""

    def __init__(self, home: Path) -> None:
        self.root = home / "project"
        self.root.mkdir()
        (self.root / "test_made_up.py").write_text(MADE_UP)
        (self.root / "fuzz.py").write_text("import sys\nprint(*sys.argv[2:])\nsys.exit(int(sys.argv[1]))")
        self.environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def test_a_check_that_cannot_look_has_found_nothing(tmp_path: Path) -> None:
    folder: Any = Folder(tmp_path)
    assert {command: check.run(command, folder).verdict for command in VERDICTS} == VERDICTS


def test_a_check_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder: Any = Folder(tmp_path)
    monkeypatch.setattr(check, "LIMIT_S", 0.2)
    assert check.run("pytest test_made_up.py::test_waits", folder).verdict is Verdict.HUNG


def test_a_mutant_lives_in_its_copy_and_no_longer_than_it_may(tmp_path: Path) -> None:
    tree, chosen = Tree(tmp_path), MUTANTS[0]
    path, real = tree.root / chosen.path, ROOT / chosen.path
    before = real.read_text(encoding="utf-8")
    with tree.mutated(chosen):
        assert chosen.new in path.read_text(encoding="utf-8") != before
        assert real.read_text(encoding="utf-8") == before
    assert path.read_text(encoding="utf-8") == before


def test_the_list_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == [mutant.name for mutant in MUTANTS]


def test_a_mutant_that_does_not_exist_is_a_sentence_and_not_a_traceback() -> None:
    command = [sys.executable, "-m", "bench.mutants", "--only", "no-such-mutant"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no mutant's name begins with 'no-such-mutant'" in done.stderr and "Traceback" not in done.stderr
