"""Makes of any text, as logs, terminals and tickets show it, one that words can be looked up in.

Rule: what differs between two showings of one error (quotes, escapes, colours, line ends, stack frames) is gone; what
tells two errors apart stays. It takes time in proportion to the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

PASSAGE_LINES, PASSAGE_CHARS = 60, 12_000
"""A text is looked at in passages: words that make a sign together stand near each other. The longest traceback of the
corpus has a tenth of this, once its frames are gone."""

FRAMES_CHARS = 50_000
"""Of the stack frames the last ones: three hundred, where a chain of causes has a hundred."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]|\x1b\][^\x07\x1b]{0,200}\x07|\r")
_FRAME = re.compile(r"^[ \t|+-]{0,60}(?:File \".{1,400}\", line \d{1,9}|at (?:async )?.{1,400}:\d{1,9}:\d{1,9}\)?$)")
_UNDER_A_FRAME = re.compile(r"^[ \t|]{4,}\S")
_SPACES_ESCAPED = re.compile(r"\\{1,8}[nrt](?![a-z]{2,}:)")
_QUOTES_ESCAPED = re.compile(r"\\{1,8}u20(?:18|19|1c|1d)|\\{1,8}u002[27]", re.IGNORECASE)
_QUOTES = dict.fromkeys(map(ord, "\"'`\\‘’“”«»´"), "")
_SPACES = re.compile(r"\s+")

_STATUSES = re.compile(
    r"\b(?:http(?:/[\d.]{1,3})?|status(?:[ _-]?code)?|response code|error code|api error|server error|error)"
    r"(?: is| was| of| code| status)?[ =:(]{0,4}([1-5]\d\d)\b(?!\.\d)"
    r"|^\W{0,4}([1-5]\d\d)\W{0,4}$|\b([45]\d\d) \{|\bcode[=:] ?([45]\d\d)\b|\| ([45]\d\d):"
    # The phrases that go with a status, and that a person copies together with it.
    r"|\b([45]\d\d)[ :–—-]{1,4}(?:bad|unauthorized|payment|forbidden|not found|request|conflict|content|payload"
    r"|too many|client|internal|service|gateway|proxy|overloaded|web server|connection timed|a timeout|origin|error)\b"
    # The log of an AWS load balancer: the status stands behind the three times.
    r"|\bapp/[\w-]{1,64}/\w{1,32} \S{1,64} \S{1,64} \S{1,12} \S{1,12} \S{1,12} ([1-5]\d\d) "
)
_CURL_EXITS = re.compile(
    r"\bcurl(?:code|error)?(?: error)?[ :(]{0,3}(?:exit(?:ed)?(?: (?:with|code|status)){0,2})?[ :(]{0,2}"
    r"(\d{1,2})\b(?!\.\d)"
    r"|\b(?:errcode|exit(?:ed)?(?: (?:with|code|status)){0,2})[ :=(]{0,3}(\d{1,2})\b|^\(?(\d{1,2})\)?$"
)
_TYPED_CHARS = 24
"""So short a text was typed by somebody who asks about it: ``exit 56`` needs no mention of curl then."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text, ready to be looked up."""

    raw: str
    """As it came."""
    text: str
    """Normalised, in its case."""
    lower: str
    statuses: frozenset[int]
    """The HTTP statuses that it tells of."""
    curl_exits: frozenset[int]
    frames: str = ""
    """The stack frames of the whole text, normalised, in lower case: where it happened, not what."""


def normalise(text: str) -> str:
    """One line without quotes, backslashes, colours and runs of white space."""
    text = _QUOTES_ESCAPED.sub("", _ESCAPES.sub("", text))
    text = _SPACES_ESCAPED.sub(" ", text).translate(_QUOTES)
    return _SPACES.sub(" ", text).strip()


def passages(text: str) -> Iterator[Passage]:
    """The text in parts that overlap by half, each at most `PASSAGE_LINES` lines and `PASSAGE_CHARS` long."""
    kept, dropped = without_frames([line for line in text.split("\n") if line.strip()])
    frames = normalise("\n".join(dropped)[-FRAMES_CHARS:]).lower()
    start = 0
    while start < len(kept):
        stop, size = start, 0
        while stop < len(kept) and stop - start < PASSAGE_LINES and (size < PASSAGE_CHARS // 2 or stop == start):
            size += len(kept[stop])
            stop += 1
        yield from _cut("\n".join(kept[start:stop]), frames)
        if stop == len(kept):
            return
        start = max(start + 1, start + (stop - start) // 2)


def _cut(part: str, frames: str) -> Iterator[Passage]:
    """A part as one passage, or as several where one line alone is longer than a passage."""
    half = PASSAGE_CHARS // 2
    for start in range(0, max(len(part) - half, 1), half):
        yield _passage(part[start : start + PASSAGE_CHARS], frames)


def _passage(raw: str, frames: str) -> Passage:
    text = normalise(raw)
    lower = text.lower()
    of_curl = "curl" in lower or len(lower) <= _TYPED_CHARS
    exits = _numbers(_CURL_EXITS, lower) if of_curl else frozenset[int]()
    return Passage(raw, text, lower, _numbers(_STATUSES, lower), exits, frames)


def _numbers(pattern: re.Pattern[str], text: str) -> frozenset[int]:
    return frozenset(int(group) for match in pattern.finditer(text) for group in match.groups() if group)


def without_frames(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines without stack frames, and the frames: the code of a caller names exceptions that were never raised."""
    kept: list[str] = []
    dropped: list[str] = []
    below = False
    for line in lines:
        if _FRAME.match(line):
            below = "File" in line
            dropped.append(line)
        elif below and _UNDER_A_FRAME.match(line):
            dropped.append(line)
        else:
            below = False
            kept.append(line)
    return kept, dropped
