"""The rules of docs/explanation/design.md, executed.

Rule: every rule is a table in this file, so that changing the architecture is a visible, one-line diff.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "midstream"

PURE = frozenset(
    "__future__ abc array base64 binascii bisect codecs collections contextlib copy dataclasses datetime decimal"
    " difflib email enum fractions functools hashlib heapq html itertools json keyword marshal math numbers operator"
    " re reprlib string struct textwrap types typing unicodedata urllib uuid weakref zlib".split()
)
"""What of the standard library has neither I/O nor clock nor dice. Some modules have one impure corner: `IMPURE`."""

IMPURE = {
    "datetime": {"now", "utcnow", "today"},
    "uuid": {"uuid1", "uuid4", "uuid6", "uuid7", "uuid8", "getnode"},
    "urllib": {"request", "robotparser"},
    "marshal": {"dump", "load"},
    "contextlib": {"redirect_stdout", "redirect_stderr", "chdir"},
    "builtins": {"open", "print", "input", "breakpoint", "exec", "eval", "__import__"},
}
"""What a pure layer does not touch, by the module that has it."""

REAL_TIME = frozenset("asyncio time socket select selectors socketserver ssl http threading sched signal".split())


@dataclass(frozen=True)
class Layer:
    """Whom a layer may know. Itself and `midstream._version` always."""

    knows: frozenset[str]
    """Names below ``midstream``: a layer, or one module of it. ``*`` is everything."""
    packages: frozenset[str] = frozenset()
    """Packages of others."""
    standard: frozenset[str] | None = None
    """The modules of the standard library it may import; ``None`` for all."""
    banned: frozenset[str] = frozenset()
    """Those that it may not."""


def _layer(knows: str, packages: str = "", **rest: frozenset[str]) -> Layer:
    return Layer(frozenset(knows.split()), frozenset(packages.split()), **rest)


SDK_PACKAGES = "anthropic httpx2 msgspec opentelemetry sniffio anyio"

LAYERS = {
    "protocol": _layer("", "msgspec", standard=PURE),
    # The way of the usual event, at the bottom because everybody on it derives from its classes.
    "usual": _layer("protocol", "msgspec", standard=PURE),
    "recovery": _layer("protocol usual", "msgspec", standard=PURE),
    # What a user may catch: a policy that makes no sense is refused where policies are checked.
    "errors": _layer("protocol recovery.failure recovery.policy_values reports", "msgspec"),
    "reports": _layer("protocol recovery.failure recovery.history", "msgspec"),
    # Reads the environment, which `recovery` may not.
    "settings": _layer("recovery.policy recovery.policy_values"),
    "journal": _layer("protocol usual", "msgspec"),
    "drivers": _layer("protocol recovery errors reports", "msgspec httpx2"),
    "sdk": _layer("protocol recovery drivers settings errors reports", SDK_PACKAGES),
    "gateway": _layer(
        "protocol usual recovery drivers journal settings errors reports",
        "msgspec httptools uvloop aiohttp prometheus_client botocore google opentelemetry",
    ),
    "faults": _layer("protocol", "msgspec"),
    "doctor": _layer("protocol recovery faults errors reports PUBLIC", "msgspec rich crossplane h11 h2 hcl2 lark yaml"),
    "demo": _layer("recovery.policy faults reports errors PUBLIC", "anthropic httpx2 rich"),
    "cli": _layer("*", f"{SDK_PACKAGES} rich"),
    "simulation": _layer("*", "msgspec", banned=REAL_TIME),
    # The public API lists what others define, and imports what needs the SDK when it is first used.
    "PUBLIC": _layer("recovery settings errors reports sdk"),
    "__main__": _layer("cli"),
    "_version": _layer(""),
}
"""Who may know whom: the table of design.md. ``PUBLIC`` is midstream/__init__.py."""

ONE_MODULE = {
    # Chooses between plain and compiled, and asks the environment whether to.
    "usual": _layer("protocol", standard=PURE | {"os"}),
    # The players inside the process: the words that drivers and engine share, and, for any client over httpx2, its own.
    "faults.transport": _layer("protocol recovery.steps", "msgspec httpx2"),
}
"""Modules whose row differs from that of their layer, each with the reason."""

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
LONGER: dict[str, int] = {}
"""Argued exceptions: ``path`` or ``path::function`` → how many lines it may have, each with the reason beside it."""

UNTESTED = {"_version", "__main__", "recovery.steps", "usual.kinds"}
"""Modules without a test module of their own: a number, a call, words without behaviour. So is every ``__init__``."""


def name_of(path: Path) -> str:
    """A module's name below ``midstream`` (``protocol.sse``), or below the root for what is not shipped."""
    below = path.relative_to(SOURCE if path.is_relative_to(SOURCE) else ROOT).with_suffix("")
    parts = [part for part in below.parts if part != "__init__"]
    return ".".join(parts) or "PUBLIC"


def modules() -> list[Path]:
    """Every module that the rules are for."""
    return sorted([*SOURCE.rglob("*.py"), *(ROOT / "simulation").rglob("*.py")])


def row_of(name: str) -> Layer:
    """The row of the table for a module."""
    layer = name.partition(".")[0]
    assert layer in LAYERS, f"{name} belongs to no layer of LAYERS: where should it be?"
    return ONE_MODULE.get(name) or LAYERS[layer]


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported, `TYPE_CHECKING` or not: to name a type is to know it."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                start = ".".join([*base, *([module] if module else [])])
                yield from ((node.lineno, f"{start}.{alias.name}") for alias in names)


def wrong_import(name: str, target: str) -> str | None:
    """Why module `name` may not import `target`; ``None`` if it may."""
    row = row_of(name)
    top, _, below = target.partition(".")
    if top == "midstream":
        return wrong_arrow(name, row, below)
    if top == "simulation":
        return None if name.startswith("simulation") else "simulation is not shipped"
    if top not in sys.stdlib_module_names:
        return None if top in row.packages else f"the layer may not use the package {top}"
    if top in row.banned or (row.standard is not None and top not in row.standard):
        return f"the layer is pure, and {top} is not"
    if row.standard is not None and below.partition(".")[0] in IMPURE.get(top, ()):
        return f"the layer is pure, and {target} is not"
    return None


def wrong_arrow(name: str, row: Layer, target: str) -> str | None:
    """The same, for a target below ``midstream``."""
    layer = target.partition(".")[0]
    # ``from midstream import Policy`` names no layer: it knows the public API.
    layer, target = (layer, target) if layer in LAYERS else ("PUBLIC", "PUBLIC")
    if layer in {name.partition(".")[0], "_version"} or "*" in row.knows:
        return None
    if any(target == known or target.startswith(f"{known}.") for known in row.knows):
        return None
    return f"{name.partition('.')[0]} may know {', '.join(sorted(row.knows)) or 'no other layer'}"


def wrong_imports(name: str, source: str, package: str) -> list[str]:
    """Every import of a module that the table forbids, with its line."""
    complaints = []
    for line, target in imports(ast.parse(source), package):
        if reason := wrong_import(name, target):
            complaints.append(f"{name}:{line} imports {target}: {reason}")
    return complaints


def impure_uses(name: str, source: str) -> list[str]:
    """What a pure module calls that asks the clock, rolls dice, or does I/O, without importing it by that name."""
    if row_of(name).standard is None:
        return []
    builtins, attributes = IMPURE["builtins"], IMPURE["datetime"] | IMPURE["uuid"]
    complaints = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=called)) if called in builtins:
                complaints.append(f"{name}:{node.lineno} calls {called}(), and the layer is pure")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="datetime" | "date" | "uuid"), attr=called)):
                if called in attributes:
                    complaints.append(f"{name}:{node.lineno} calls {called}(), and the layer is pure")
    return complaints


def function_lines(source: str) -> list[tuple[int, str, int]]:
    """Line, name and length of every function."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [(node.lineno, node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions]


def too_long(path: str, source: str) -> list[str]:
    """The module, and each of its functions, where it has more lines than a head or a screen holds."""
    complaints = []
    lines = source.count("\n")
    if lines > LONGER.get(path, MODULE_LINES_MAX):
        complaints.append(f"{path} has {lines} lines; {LONGER.get(path, MODULE_LINES_MAX)} are allowed: cut it")
    for line, name, lines in function_lines(source):
        if lines > LONGER.get(f"{path}::{name}", FUNCTION_LINES_MAX):
            complaints.append(f"{path}:{line} {name}() has {lines} lines: cut it")
    return complaints


def wrong_opening(path: str, source: str) -> list[str]:
    """A module opens with what it is and, unless it only gathers others, its one ``Rule:``."""
    docstring = ast.get_docstring(ast.parse(source))
    if not docstring:
        return [f"{path} has no docstring: what is it, and what is its one rule?"]
    if "Rule:" not in docstring and Path(path).name not in {"__init__.py", "_version.py"}:
        return [f"{path}: the docstring does not say the module's one 'Rule:'"]
    return []


def own_tests(path: Path) -> Path:
    """Where the tests of a shipped module stand."""
    return ROOT / "tests" / path.relative_to(SOURCE).with_name(f"test_{path.stem.lstrip('_')}.py")


MODULES = [pytest.param(path, id=name_of(path)) for path in modules()]
OPENING = [
    pytest.param(path, id=name_of(path)) for path in modules() if path.name != "_version.py" and path.read_text()
]
COMPILED = sorted([*SOURCE.rglob("*.pyx"), *SOURCE.rglob("*.pxi")])
SHIPPED = [
    pytest.param(path, id=name_of(path))
    for path in modules()
    if path.is_relative_to(SOURCE) and path.name != "__init__.py" and name_of(path) not in UNTESTED
]


@pytest.mark.parametrize("path", MODULES)
def test_a_module_imports_only_what_its_layer_may_know(path: Path) -> None:
    name = name_of(path)
    full = ".".join(["midstream", name] if path.is_relative_to(SOURCE) and name != "PUBLIC" else [name])
    package = full if path.name == "__init__.py" else full.rpartition(".")[0]
    assert wrong_imports(name, path.read_text(), package) == []


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: path.name)
def test_a_compiled_module_imports_what_its_layer_may_know_and_fits_in_the_head(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if re.match(r"(from|import) ", line)]
    python = [line for line in lines if not re.match(r"from (cpython|libc)\.[a-z]+ cimport ", line)]
    assert wrong_imports(name_of(path), "\n".join(python), "midstream.usual") == []
    assert path.read_text().count("\n") <= MODULE_LINES_MAX


@pytest.mark.parametrize("path", MODULES)
def test_a_pure_module_asks_no_clock_and_rolls_no_dice(path: Path) -> None:
    assert impure_uses(name_of(path), path.read_text()) == []


@pytest.mark.parametrize("path", MODULES)
def test_a_file_fits_in_the_head_and_a_function_on_a_screen(path: Path) -> None:
    assert too_long(path.relative_to(ROOT).as_posix(), path.read_text()) == []


@pytest.mark.parametrize("path", OPENING)
def test_a_module_opens_with_what_it_is_and_its_one_rule(path: Path) -> None:
    assert wrong_opening(path.relative_to(ROOT).as_posix(), path.read_text()) == []


@pytest.mark.parametrize("path", SHIPPED)
def test_a_module_has_a_test_module_of_its_own(path: Path) -> None:
    tests = own_tests(path)
    assert tests.is_file(), f"write {tests.relative_to(ROOT)}"


def test_every_exception_to_the_lengths_is_still_needed() -> None:
    for key in LONGER:
        path, _, function = key.partition("::")
        limit = FUNCTION_LINES_MAX if function else MODULE_LINES_MAX
        source = (ROOT / path).read_text()
        found = function_lines(source)
        lines = [count for _, name, count in found if name == function] if function else [source.count("\n")]
        assert lines and max(lines) > limit, f"{key} is short enough: remove its line"


# The rules themselves, on modules that do not exist: each of them can be broken, and says how.

WRONG = [
    ("protocol.x", "import socket", "the layer is pure, and socket is not"),
    ("protocol.x", "from asyncio import sleep", "asyncio"),
    ("recovery.x", "from time import monotonic", "time"),
    ("recovery.x", "def f():\n    import random", "recovery.x:2 imports random"),
    ("recovery.x", "import os.path", "os"),
    ("recovery.x", "import logging", "logging"),
    ("recovery.x", "import threading", "threading"),
    ("recovery.x", "import urllib.request", "urllib.request"),
    ("recovery.x", "from uuid import uuid4", "uuid.uuid4"),
    ("protocol.x", "from midstream.recovery.failure import Kind", "protocol may know no other layer"),
    ("protocol.x", "import anthropic", "the package anthropic"),
    ("recovery.x", "from midstream import Policy", "recovery may know protocol, usual"),
    ("recovery.x", "from midstream.drivers import pump", "recovery may know protocol, usual"),
    ("recovery.x", "from ..drivers import pump", "recovery may know protocol, usual"),
    ("recovery.x", "if TYPE_CHECKING:\n    from midstream.reports import Report", "recovery may know protocol, usual"),
    ("errors", "from midstream.recovery.engine import Engine", "errors may know"),
    ("reports", "from midstream.recovery.engine import Engine", "reports may know"),
    ("drivers.x", "from midstream.sdk import middleware", "drivers may know"),
    ("drivers.x", "import anthropic", "the package anthropic"),
    ("sdk.x", "from midstream.journal.port import Journal", "sdk may know"),
    ("sdk.x", "from midstream.gateway import server", "sdk may know"),
    ("gateway.x", "from midstream.sdk.middleware import Recovery", "gateway may know"),
    ("gateway.x", "import anthropic", "the package anthropic"),
    ("journal.x", "from midstream.recovery.steps import Step", "journal may know"),
    ("faults.x", "from midstream.recovery.steps import Broke", "faults may know protocol"),
    ("faults.x", "import httpx2", "the package httpx2"),
    ("faults.transport", "import anthropic", "the package anthropic"),
    ("settings", "from midstream.recovery.engine import Engine", "settings may know"),
    ("recovery.x", "from midstream.settings import Policy", "recovery may know"),
    ("usual.x", "from midstream.journal.port import Record", "usual may know protocol"),
    ("usual.x", "import os", "the layer is pure, and os is not"),
    ("faults.transport", "from midstream.recovery.seam import join", "faults may know"),
    ("doctor.x", "from midstream.gateway import server", "doctor may know"),
    ("simulation.world", "import time", "the layer is pure, and time is not"),
    ("simulation.world", "import socket", "socket"),
    ("sdk.x", "import simulation.world", "simulation is not shipped"),
    ("cli.x", "import requests", "the package requests"),
]
RIGHT = [
    ("protocol.x", "import json, msgspec\nfrom midstream.protocol.frames import Frame"),
    ("protocol.x", "from .frames import Frame"),
    ("recovery.x", "from midstream.protocol.events import Event\nfrom midstream.recovery.failure import Kind"),
    ("recovery.x", "from midstream._version import __version__"),
    ("drivers.x", "import asyncio\nfrom midstream.recovery.engine import Engine\nfrom midstream.reports import Report"),
    ("errors", "from midstream.recovery.failure import Failure"),
    ("reports", "from midstream.recovery.history import History"),
    ("sdk.x", "import anthropic, threading\nfrom midstream.drivers.pump import pump"),
    ("faults.x", "import socket\nfrom midstream.protocol import sse"),
    ("faults.transport", "from midstream.recovery.steps import Broke"),
    ("doctor.x", "from midstream import Policy"),
    ("cli.x", "import rich.console\nfrom midstream.faults import server"),
    (
        "simulation.world",
        "import random\nfrom midstream.recovery.engine import Engine\nfrom simulation import upstream",
    ),
    ("PUBLIC", "from midstream.recovery.policy import Policy\nfrom midstream._version import __version__"),
]


@pytest.mark.parametrize(("name", "source", "reason"), WRONG)
def test_a_wrong_import_is_found(name: str, source: str, reason: str) -> None:
    (complaint,) = wrong_imports(name, source, f"midstream.{name}".rpartition(".")[0])
    assert reason in complaint


@pytest.mark.parametrize(("name", "source"), RIGHT)
def test_a_right_import_is_no_complaint(name: str, source: str) -> None:
    assert wrong_imports(name, source, f"midstream.{name}".rpartition(".")[0]) == []


@pytest.mark.parametrize(
    "source", ["datetime.now()", "date.today()", "uuid.uuid4()", "open('x')", "def f():\n    print()"], ids=str
)
def test_an_impure_call_is_found_in_a_pure_layer_only(source: str) -> None:
    assert len(impure_uses("recovery.x", source)) == 1
    assert impure_uses("sdk.x", source) == []


def test_what_is_too_long_is_found() -> None:
    longest = "def f():\n" + "    x = 1\n" * (FUNCTION_LINES_MAX - 1)
    assert too_long("x.py", longest) == []
    assert "f() has 51 lines" in too_long("x.py", longest + "    x = 1\n")[0]
    assert too_long("x.py", "x = 1\n" * MODULE_LINES_MAX) == []
    assert "x.py has 401 lines" in too_long("x.py", "x = 1\n" * (MODULE_LINES_MAX + 1))[0]


@pytest.mark.parametrize("source", ["", "x = 1", '"""What it is."""'], ids=repr)
def test_a_wrong_opening_is_found(source: str) -> None:
    assert len(wrong_opening("src/midstream/recovery/x.py", source)) == 1


def test_a_module_outside_every_layer_is_found() -> None:
    with pytest.raises(AssertionError, match="belongs to no layer"):
        row_of("helpers.x")
