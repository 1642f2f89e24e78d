"""The catalogue: what each known failure looks like, means, and is cured by.

Rule: an entry is a data file; nothing about one particular error is written in Python. What a file may hold is said
once, by the types below, and a file that says anything else is refused.
"""

import re
import tomllib
from functools import lru_cache
from importlib import resources

import msgspec

from midstream.doctor.normalise import normalise

GROUPS = {
    "api": "Errors of the Messages API",
    "request": "Requests that the API refuses",
    "python": "Python clients",
    "javascript": "JavaScript clients and browsers",
    "other-clients": "curl, Go and other clients",
    "bedrock": "Amazon Bedrock",
    "status": "HTTP statuses of proxies",
    "nginx": "nginx",
    "proxies": "Other proxies",
    "platforms": "Hosting platforms",
    "network": "The network",
    "ending": "Replies that end early",
}
"""What the entries are sorted by, in the order of the index."""

WEIGHT_MIN, WEIGHT_MAX = 30, 100
"""95 and more: only this failure says so. 85: the name of an exception or a code. 70: an `error.type`. 50: a status or
an exit code alone. 40: a wrapper around the cause. Below 30 nobody should be told."""


class Sign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way of knowing a failure by its text. Everything that it names must be there, and nothing of `unless`."""

    weight: int
    """How sure it makes: see `WEIGHT_MIN`."""
    all: tuple[str, ...] = ()
    """Words that stand in the text, upper or lower case, with any quotes and line ends, bounded by word boundaries."""
    pattern: str = ""
    """A regular expression, tried where all the words are found. It sees the text in its case, without quotes and
    backslashes, with each run of white space made one blank. Without `all` it must begin with a few letters."""
    status: int = 0
    """An HTTP status, however it is told."""
    curl: int = 0
    """The exit code of curl."""
    frames: tuple[str, ...] = ()
    """Words that stand in the stack frames, which are not looked at otherwise."""
    unless: tuple[str, ...] = ()
    unless_status: int = 0


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One failure. Texts mark a literal by `backquotes`."""

    title: str
    group: str
    match: tuple[Sign, ...]
    means: str
    why: str
    check: tuple[str, ...]
    fix: str
    steps: tuple[str, ...]
    prevent: str
    verify: str
    sources: tuple[str, ...]
    related: tuple[str, ...]
    cure: str = ""
    """Lines to be copied."""
    versions: str = ""
    """Which versions have it, and which cure it; empty where it is not a matter of versions."""
    id: str = ""
    """The name of its file."""


class BadEntry(ValueError):
    """A file of the catalogue that is not as the schema says. The text names it."""


def read_entry(name: str, text: str) -> Entry:
    """The entry that a file holds. Raises `BadEntry`."""
    try:
        raw = tomllib.loads(text)
        entry = msgspec.convert({**raw, "id": name}, Entry)
        problem = None if "id" not in raw else "its id is the name of its file"
        problem = problem or wrong_with(entry)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, re.error) as wrong:
        problem = str(wrong)
    if problem:
        raise BadEntry(f"the entry {name}: {problem}")
    return msgspec.structs.replace(entry, match=tuple(_prepared(sign) for sign in entry.match))


def wrong_with(entry: Entry) -> str | None:
    """What the types cannot say: which values make no sense."""
    if entry.group not in GROUPS:
        return f"there is no group {entry.group}"
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.id):
        return "an id is words in lower case, with - between them"
    empty = [name for name in Entry.__struct_fields__ if name not in {"cure", "versions"} and not getattr(entry, name)]
    if empty:
        return f"nothing under {', '.join(empty)}"
    for sign in entry.match:
        if not WEIGHT_MIN <= sign.weight <= WEIGHT_MAX:
            return f"a weight is from {WEIGHT_MIN} to {WEIGHT_MAX}, not {sign.weight}"
        if not (sign.all or sign.pattern or sign.status or sign.curl):
            return "a sign that is always there"
        if sign.pattern and (problem := wrong_pattern(sign)):
            return f"the pattern {sign.pattern}: {problem}"
    return None


def wrong_pattern(sign: Sign) -> str | None:
    """Why a pattern could take longer than the text is long; ``None`` if it cannot."""
    re.compile(sign.pattern)
    # Whatever repeats is bounded, so that each place of the text costs a bounded number of steps.
    if re.search(r"(?<!\\)[*+]|\{\d+,\}", re.sub(r"\[[^\]]*\]", "x", sign.pattern)):
        return "say {0,n} in place of * and +"
    if not sign.all and not re.match(r"[A-Z]{4}|\(\?:\^\| \)[A-Za-z\[]", sign.pattern):
        return "give it words under `all`, which are looked up faster than it"
    return None


def _prepared(sign: Sign) -> Sign:
    """Its words as they stand in a normalised text."""

    def plain(words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(normalise(word).lower() for word in words)

    return msgspec.structs.replace(sign, all=plain(sign.all), frames=plain(sign.frames), unless=plain(sign.unless))


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Entry]:
    """Every entry by its id, sorted by group and id."""
    files = [file for file in resources.files("midstream.doctor.catalogue").iterdir() if file.name.endswith(".toml")]
    entries = [read_entry(file.name.removesuffix(".toml"), file.read_text("utf-8")) for file in files]
    order = list(GROUPS)
    return {entry.id: entry for entry in sorted(entries, key=lambda entry: (order.index(entry.group), entry.id))}
