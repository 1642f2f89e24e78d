"""The public API is one list, and the list is what is really there."""

import importlib.util
import subprocess
import sys
from types import ModuleType

import pytest

import midstream

PUBLIC = {"Failure", "Kind", "MissingExtra", "Origin", "Phase", "Policy", "PolicyError", "Recovered", "Recovery"}
PUBLIC |= {"Report", "StreamError", "Usage", "__version__", "report"}
"""What a user may name: the way in, the errors, and the types of what these hold.

A change here is a change that users notice: it needs a fragment in changelog.d."""

SDK_FREE = PUBLIC - {"Recovery", "Recovered", "report"}
"""What is there without the SDK being imported: the gateway uses these words, and has no SDK."""


def test_the_list_is_what_was_promised() -> None:
    assert set(midstream.__all__) == PUBLIC


def test_the_list_is_sorted_and_without_repetition() -> None:
    assert list(midstream.__all__) == sorted(set(midstream.__all__))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_name_of_the_list_is_there(name: str) -> None:
    assert getattr(midstream, name) is not None


def test_nothing_else_is_public() -> None:
    # Type checkers know this one by no other name.
    seen = {name: value for name, value in vars(midstream).items() if name != "TYPE_CHECKING"}
    assert {name for name, value in seen.items() if name[0] != "_" and not isinstance(value, ModuleType)} <= PUBLIC


def test_dir_shows_the_list_before_anything_was_used() -> None:
    assert python("import midstream; print(set(midstream.__all__) - set(dir(midstream)))") == "set()"


def test_a_star_import_brings_the_list() -> None:
    program = "before = set(dir()); from midstream import *; print(sorted(set(dir()) - before - {'before'}))"
    assert python(program) == str(sorted(PUBLIC))


def test_a_name_that_is_not_there_is_an_attribute_error_like_any_other() -> None:
    with pytest.raises(AttributeError, match="module 'midstream' has no attribute 'recover'"):
        midstream.recover  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", sorted(SDK_FREE))
def test_the_sdk_is_imported_only_by_what_needs_it(name: str) -> None:
    assert python(f"import sys, midstream; midstream.{name}; print('anthropic' in sys.modules)") == "False"


def test_recovery_is_the_middleware() -> None:
    assert python("import sys, midstream; midstream.Recovery; print('anthropic' in sys.modules)") == "True"


def test_the_package_says_that_it_is_typed() -> None:
    spec = importlib.util.find_spec("midstream")
    assert spec is not None and spec.submodule_search_locations
    (folder,) = spec.submodule_search_locations
    with open(f"{folder}/py.typed"):
        pass


def python(program: str) -> str:
    """What a program prints in an interpreter of its own, where nothing was imported before."""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()
