"""What came of it: the two messages beside the whole one.

Rule: pure; equal means equal in every field but the usage, which counts what the attempts really took.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from midstream.demo.sides import Ended

Message = Mapping[str, Any]
NAMES = {"bare": "the SDK alone", "mended": "with midstream"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Both sides have ended."""

    whole: Message
    bare: Ended
    mended: Ended

    @property
    def good(self) -> bool:
        """Whether the recovered message is the whole one."""
        return self.mended.error is None and same(self.mended.message, self.whole)

    def lines(self) -> list[tuple[str, str]]:
        """Name and finding, three times."""
        chars = characters(self.whole)
        return [
            ("the whole reply", f"{chars:,} characters"),
            (NAMES["bare"], " · ".join(_bare(self.bare, self.whole))),
            (NAMES["mended"], " · ".join(self._mended())),
        ]

    def _mended(self) -> list[str]:
        ended = self.mended
        found = [f"{characters(ended.message):,} characters"]
        found.append("equal to the whole reply" if self.good else "NOT EQUAL to the whole reply")
        if ended.report is not None:
            found += [_count(len(ended.report.attempts), "attempt"), _count(len(ended.report.seams), "seam")]
        return [*found, ended.error or f"stop_reason {(ended.message or {}).get('stop_reason')}"]


def _bare(ended: Ended, whole: Message) -> list[str]:
    if ended.error is not None:
        return [ended.error]
    chars = characters(ended.message)
    share = 100 - 100 * chars // max(1, characters(whole))
    stop_reason = (ended.message or {}).get("stop_reason")
    return [
        f"{chars:,} characters, returned as if whole",
        "no exception",
        f"stop_reason {stop_reason}",
        f"{share} % lost",
    ]


def returned(ended: Ended) -> str:
    """How a side ended, in a few words."""
    if ended.error is not None:
        return ended.error
    return f"returned · stop_reason {(ended.message or {}).get('stop_reason')} · no exception"


def same(message: Message | None, whole: Message) -> bool:
    """Whether two messages are one, but for their usage."""
    return message is not None and {**message, "usage": None} == {**whole, "usage": None}


def characters(message: Message | None) -> int:
    """How much a message says: its texts, its thoughts, and what it hands to tools."""
    return sum(_block_characters(block) for block in (message or {}).get("content") or ())


def _block_characters(block: Mapping[str, Any]) -> int:
    said = str(block.get("text") or block.get("thinking") or "")
    return len(said) + (len(json.dumps(block["input"], ensure_ascii=False)) if block.get("input") else 0)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
