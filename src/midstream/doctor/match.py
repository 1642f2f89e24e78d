"""Which entries of the catalogue fit a passage, and how well.

Rule: a sign is there or it is not; the entry with the heaviest sign comes first. Nothing here knows an error by name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from midstream.doctor.entries import Entry, Sign
from midstream.doctor.normalise import Passage, normalise


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that fits."""

    entry: Entry
    weight: int
    """That of its heaviest sign."""
    support: int
    """All its signs together: what decides between two of one weight."""
    sign: Sign
    """The heaviest one."""
    passage: Passage
    """Where it was found."""

    def evidence(self) -> str:
        """The line that the sign stands on; the first one if it is spread over several."""
        lines = [line.strip() for line in self.passage.raw.split("\n") if line.strip()]
        for line in lines:
            text = normalise(line)
            if self.sign.all and has(text.lower(), self.sign.all[0]):
                return line
            if self.sign.pattern and not self.sign.all and compiled(self.sign.pattern).search(text):
                return line
            number = self.sign.status or self.sign.curl
            if number and not self.sign.all and re.search(rf"\b{number}\b", text):
                return line
        return lines[0] if lines else ""


def rank(passages: Iterable[Passage], entries: Iterable[Entry]) -> list[Hit]:
    """Every entry that fits one of the passages, the surest first; of two that are as sure, the one met first."""
    passages, entries = list(passages), list(entries)
    if len(passages) > 1:
        entries = candidates(passages, entries)
    best: dict[str, Hit] = {}
    for passage in passages:
        for entry in entries:
            hit = hit_of(entry, passage)
            if hit and (entry.id not in best or _sureness(hit) > _sureness(best[entry.id])):
                best[entry.id] = hit
    return sorted(best.values(), key=_sureness, reverse=True)


def candidates(passages: list[Passage], entries: list[Entry]) -> list[Entry]:
    """The entries that may fit one of several passages: most are known not to by one look at the whole text."""
    lower = "\n".join(passage.lower for passage in passages)
    text = "\n".join(passage.text for passage in passages)
    statuses = frozenset[int]().union(*(passage.statuses for passage in passages))
    curl_exits = frozenset[int]().union(*(passage.curl_exits for passage in passages))

    def may_stand(sign: Sign) -> bool:
        if (sign.status and sign.status not in statuses) or (sign.curl and sign.curl not in curl_exits):
            return False
        if not all(words in lower for words in sign.all):
            return False
        return not sign.pattern or bool(sign.all) or compiled(sign.pattern).search(text) is not None

    return [entry for entry in entries if any(may_stand(sign) for sign in entry.match)]


def hit_of(entry: Entry, passage: Passage) -> Hit | None:
    """How an entry fits a passage; ``None`` if it does not."""
    found = [sign for sign in entry.match if stands(sign, passage)]
    if not found:
        return None
    heaviest = max(found, key=lambda sign: sign.weight)
    return Hit(entry, heaviest.weight, sum(sign.weight for sign in found), heaviest, passage)


def stands(sign: Sign, passage: Passage) -> bool:
    """Whether a sign is there."""
    if sign.status and sign.status not in passage.statuses:
        return False
    if sign.curl and sign.curl not in passage.curl_exits:
        return False
    if not all(has(passage.lower, words) for words in sign.all):
        return False
    if not all(has(passage.frames, words) for words in sign.frames):
        return False
    if any(has(passage.lower, words) for words in sign.unless) or sign.unless_status in passage.statuses:
        return False
    return not sign.pattern or compiled(sign.pattern).search(passage.text) is not None


def has(text: str, words: str) -> bool:
    """Whether the words stand in the text, not as parts of longer words."""
    start = text.find(words)
    while start >= 0:
        stop = start + len(words)
        cut_before = start > 0 and _in_word(text[start - 1]) and _in_word(words[0])
        cut_after = stop < len(text) and _in_word(text[stop]) and _in_word(words[-1])
        if not cut_before and not cut_after:
            return True
        start = text.find(words, start + 1)
    return False


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, compiled once."""
    return re.compile(pattern)


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _sureness(hit: Hit) -> tuple[int, int]:
    return hit.weight, hit.support
