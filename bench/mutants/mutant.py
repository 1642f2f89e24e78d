"""A mutant: the code with one named mistake in it, and the checks that must see it.

Rule: a mutant is data. One that cannot be applied to today's code is an error, never a pass.
"""

import builtins
import dis
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import CodeType

HOLDS = {
    1: "the wire is read by the standards",
    2: "an unbroken stream is handed on as it came",
    3: "every cut ends as the contract says",
    4: "an upstream that stays broken ends in one typed error",
    5: "the joins are right",
    6: "the invariants hold on a virtual clock",
    7: "no bytes bring out anything but documented results",
    8: "it costs what it says",
    9: "nothing leaks",
}
"""What must hold, and has checks."""


class Unfit(Exception):
    """A mutant that cannot be applied: the list must be mended."""


@dataclass(frozen=True)
class Mutant:
    """One mistake."""

    name: str
    point: int
    """Which of `HOLDS` it is to make false."""
    breaks: str
    """What is wrong then, in one line."""
    file: str
    """Below ``src/midstream``."""
    old: str
    """The text that is replaced. It must stand in the file exactly once."""
    new: str
    checks: tuple[str, ...]
    """Each is what follows ``python -m``: the cheapest that shows it first. All of them must turn red."""
    quick: bool = False
    """Part of the small share for CI, with the first of its checks."""

    @property
    def path(self) -> PurePosixPath:
        """Below the root of the project."""
        return PurePosixPath("src/midstream") / self.file

    def applied(self, source: str) -> str:
        """The source with the mistake. Raises `Unfit` where the mistake would be another one than the named."""
        if (count := source.count(self.old)) != 1:
            raise Unfit(f"{self.name}: the text to replace stands {count} times in {self.path}: {self.old!r}")
        mutated = source.replace(self.old, self.new)
        try:
            code = compile(mutated, str(self.path), "exec", dont_inherit=True)
        except SyntaxError as problem:
            raise Unfit(f"{self.name}: what comes out is not Python: {problem}") from None
        known = set(code.co_names) | set(dir(builtins)) | {"__file__", "__name__"}
        if unknown := set(_globals_read(code)) - known:
            raise Unfit(f"{self.name}: nobody knows {', '.join(sorted(unknown))}")
        return mutated


def _globals_read(code: CodeType) -> Iterator[str]:
    """The global names that the functions of a module look up: a wrong one would fail for a reason of its own."""
    for inner in (const for const in code.co_consts if isinstance(const, CodeType)):
        yield from (step.argval for step in dis.get_instructions(inner) if step.opname == "LOAD_GLOBAL")
        yield from _globals_read(inner)
