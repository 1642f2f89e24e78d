"""The parser of the command line, which says what is wrong in one sentence.

Rule: named is what is wrong and where to look, never a value: it may be a key.
"""

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

MISUSED = 2
"""As argparse has it."""


class Parser(argparse.ArgumentParser):
    """Without the usage before the error, and with the nearest flag to one that does not exist."""

    def error(self, message: str) -> NoReturn:
        """One sentence on stderr."""
        self.exit(MISUSED, f"{self.prog}: {message}; {self.prog} --help says what there is\n")

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """Everything has to be known: each command's parser says so for itself."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._not_known(unknown[0]))
        return found, unknown

    def _not_known(self, word: str) -> str:
        if not word.startswith("-"):
            return "there is an argument too many"
        name = word.partition("=")[0][:60]
        near = difflib.get_close_matches(name, self._option_string_actions, 1)
        return f"there is no {name}" + (f" (did you mean {near[0]}?)" if near else "")
