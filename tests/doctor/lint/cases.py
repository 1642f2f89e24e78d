"""The bad and the good configuration of every rule, from the files in ``cases/``.

Rule: a line of a bad one that ends with a rule's id in a comment is where that rule must point; a comment that has a
line of its own is about the line before it.

    === NGX-HTTP10 nginx=1.22.1
    --- bad
    proxy_pass http://127.0.0.1:8100;  # NGX-HTTP10
    --- good
    …
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from midstream.doctor.lint.findings import Assumptions, version_of

FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    """One rule's pair."""

    rule: str
    kind: str
    bad: str
    good: str
    options: tuple[str, ...]

    @property
    def assume(self) -> Assumptions:
        """What the first line says beside the rule: ``nginx=1.22.1``, ``ping_s=2``, ``unbuffered=1``."""
        values: dict[str, Any] = {"versions": {}}
        for option in self.options:
            name, _, value = option.partition("=")
            if name in {"ping_s", "stream_s"}:
                values[name] = float(value)
            elif name == "unbuffered":
                values[name] = True
            else:
                values["versions"][name] = version_of(value)
        return Assumptions(**values)

    @property
    def lines(self) -> set[int]:
        """Where the rule must point in the bad one."""
        mark = re.compile(rf"(?P<code>.*)(#|//)\s*{self.rule}\s*")
        found = [(number, mark.fullmatch(line)) for number, line in enumerate(self.bad.split("\n"), 1)]
        return {number if match["code"].strip() else number - 1 for number, match in found if match}

    def __str__(self) -> str:
        return self.rule


def of_kind(kind: str) -> list[Case]:
    """The pairs of one file."""
    path = FOLDER / f"{kind}.txt"
    found = []
    for part in re.split(r"^=== ", path.read_text(), flags=re.MULTILINE)[1:]:
        head, _, rest = part.partition("\n")
        rule, *options = head.split()
        _, bad, good = re.split(r"^--- (?:bad|good)\n", rest, flags=re.MULTILINE)
        found.append(Case(rule, kind, bad, good, tuple(options)))
    return found


CASES = {case.rule: case for path in sorted(FOLDER.glob("*.txt")) for case in of_kind(path.stem)}
