"""The words by which a continuation says where it joins: the anchor, and the names of the tags around it.

Rule: everything here is settled before the request is sent; what the model makes of it is judged in ``seam``.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

# Shorter quotes repeat by accident (measured in docs/explanation/seams.md); longer ones are copied less faithfully.
ANCHOR_CHARS_MIN = 24
ANCHOR_WORDS_MIN = 3
ANCHOR_CHARS_MAX = 200
# Enough for any conversation that was not made to exhaust it.
NAMES_MAX = 1000

# Thai, Lao, Tibetan, Myanmar, Khmer, kana, CJK ideographs and their punctuation: written without spaces.
_SPACELESS = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SPACELESS += "\uff00-\uffef\U00020000-\U0003ffff"
_UNSPACED = re.compile(f"[{_SPACELESS}]")
_WORD = re.compile(rf"[{_SPACELESS}]|[^\s{_SPACELESS}]+")
_WORD_PART = re.compile(rf"[{_SPACELESS}]|[^\W{_SPACELESS}]+")


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last words that were shown, as the model is asked to repeat them."""

    text: str
    unique: bool
    """It occurs only once in the shown text."""
    strong: bool
    """Long enough that without its element it is still no accident: 24 characters and, where words apply, three."""


def anchor_of(shown: str) -> Anchor:
    """Return the shortest suffix at a word boundary that is long enough and occurs only once, within 200 characters."""
    first = max(0, len(shown) - ANCHOR_CHARS_MAX)
    last = len(shown) - ANCHOR_CHARS_MIN
    tail = shown[first:]
    starts = [first + found.start() for found in _WORD.finditer(tail)]
    starts = [at for at in starts if at <= last and _at_word(shown, at) and _many_words(shown[at:])]
    if first == 0 and 0 not in starts:
        starts.insert(0, 0)
    if not starts:
        # One word fills it all: minified code, a long address. Its parts are words, then.
        parts = (first + found.start() for found in _WORD_PART.finditer(tail))
        starts = [at for at in parts if at <= last and _at_cluster(shown, at)][:1] or [first]
    start = _last_unique(shown, starts)
    text = shown[start:]
    return Anchor(text, shown.find(text) == start, _is_strong(text))


def _at_word(shown: str, at: int) -> bool:
    if at == 0 or shown[at - 1].isspace():
        return True
    # Where there are no spaces every character will do; but never a mark that belongs to what is before it.
    return bool(_UNSPACED.search(shown, at - 1, at + 1)) and _at_cluster(shown, at)


def _at_cluster(shown: str, at: int) -> bool:
    """Whether a character as people see it may begin here."""
    return at == 0 or not (
        unicodedata.category(shown[at]).startswith("M")
        or shown[at] == "\u200d"
        or shown[at - 1] == "\u200d"
        or "\U0001f3fb" <= shown[at] <= "\U0001f3ff"
        or "\udc00" <= shown[at] <= "\udfff"
    )


def _many_words(text: str) -> bool:
    words = _WORD.finditer(text)
    return all(next(words, None) for _ in range(ANCHOR_WORDS_MIN))


def _is_strong(text: str) -> bool:
    if len(text) < ANCHOR_CHARS_MIN:
        return False
    parts = len(_WORD_PART.findall(text))
    return parts >= ANCHOR_WORDS_MIN or (parts > 0 and not re.search(r"\s", text.strip()))


def _last_unique(shown: str, starts: list[int]) -> int:
    """The last start whose suffix occurs once. A longer suffix of a unique one is unique, so halving finds it."""
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if shown.find(shown[starts[middle] :]) == starts[middle]:
            low = middle
        else:
            high = middle - 1
    return starts[low]


def fresh_name(stem: str, haystacks: Iterable[str], stop_sequences: Iterable[str]) -> str | None:
    """Return a name whose tags occur nowhere and hold no stop sequence; `None` where every name would hold one."""
    tags = re.compile(rf"</?{re.escape(stem)}(?:_([0-9]+))? ?/?>")
    taken = {found.group(1) or "" for haystack in haystacks for found in tags.finditer(haystack)}
    stops = [stop for stop in stop_sequences if stop]
    for suffix in ["", *map(str, range(2, NAMES_MAX))]:
        name = f"{stem}_{suffix}" if suffix else stem
        if suffix not in taken and not any(stop in tag or tag in stop for stop in stops for tag in spellings(name)):
            return name
    return None


def spellings(name: str) -> tuple[str, ...]:
    """Return the tags of this name as models write them; `fresh_name` sees to it that nobody else does."""
    return (f"<{name}>", f"</{name}>", f"<{name}/>", f"<{name} />")
