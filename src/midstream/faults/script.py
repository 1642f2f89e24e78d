"""Which fault on which attempt: a fault is data, and a script is a list of them.

Rule: a script is read here and nowhere else; whoever plays it asks only ``script.fault(attempt)``.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from midstream.faults.catalogue import ALIASES, BY_NAME, Kind

# Longer than any story that a person would write, short enough for a header.
SCRIPT_CHARS_MAX = 16_384
STEPS_MAX = 1_000

OPTIONS = ("model", "reply", "pace", "rules")
Unit = Literal["byte", "event", "fraction"]


class ScriptError(ValueError):
    """A script that makes no sense; the message is one sentence for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the body a fault happens: after so many bytes, events, or such a share of the bytes."""

    unit: Unit
    value: float
    shift_bytes: int = 0
    """Added to where it comes to: ``event=12+1`` is one byte into event 12 (events count from 0)."""

    def __str__(self) -> str:
        shift = f"{self.shift_bytes:+d}" if self.shift_bytes else ""
        return (
            f"{self.unit}={self.value:g}{shift}" if self.unit == "fraction" else f"{self.unit}={self.value:.0f}{shift}"
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to break, and where."""

    name: str
    place: Place | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Its entry in the catalogue."""
        return BY_NAME[self.name]

    def param(self, name: str) -> str:
        """A parameter as the script has it, or what it is worth when not given."""
        return self.params.get(name, self.kind.params[name])

    def seconds(self, name: str) -> float:
        """A parameter that is a number of seconds; reading the script has checked that it is one."""
        return float(self.param(name))

    def __str__(self) -> str:
        place = f"@{self.place}" if self.place else ""
        return " ".join([f"{self.name}{place}", *(f"{name}={value}" for name, value in self.params.items())])


OK = Fault("ok")


@dataclass(frozen=True, slots=True)
class Script:
    """The faults of one stream, attempt by attempt."""

    faults: Mapping[int, Fault] = field(default_factory=dict)
    """By number of the attempt, from 1."""
    rest: Fault = OK
    """What the attempts after the last one that is named are given."""
    options: Mapping[str, str] = field(default_factory=dict)
    """``model``, ``reply``, ``pace`` and ``rules``, where the script names them."""

    def fault(self, attempt: int) -> Fault:
        """What is broken on this attempt (counted from 1)."""
        if attempt in self.faults:
            return self.faults[attempt]
        return self.rest if attempt > max(self.faults, default=0) else OK

    @classmethod
    def parse(cls, text: str) -> "Script":
        """Read a script: ``cut-rst@byte=900; then overloaded; then ok``. Raises `ScriptError`."""
        if len(text) > SCRIPT_CHARS_MAX:
            raise ScriptError(f"a script may have {SCRIPT_CHARS_MAX:,} characters; this one has {len(text):,}")
        faults: dict[int, Fault] = {}
        options: dict[str, str] = {}
        rest = OK
        for step in _steps(text):
            option = re.fullmatch(r"(\w+)\s*=\s*(\S+)", step)
            if option:
                options.update([_option(option[1], option[2])])
                continue
            fault, first, times = _step(step, max(faults, default=0) + 1)
            if times is None:
                rest = fault
                # "always" after a gap: the attempts in between are left alone.
                faults.update(dict.fromkeys(range(max(faults, default=0) + 1, first), OK))
                continue
            faults.update({first + n: fault for n in range(times)})
            if len(faults) > STEPS_MAX:
                raise ScriptError(f"a script may name {STEPS_MAX:,} attempts; this one names more")
        # What comes after the last step is left alone anyway: "cut-rst; then ok" and "cut-rst" are one script.
        while rest == OK and faults and faults[max(faults)] == OK:
            del faults[max(faults)]
        return cls(faults, rest, options)

    @classmethod
    def always(cls, fault: Fault) -> "Script":
        """The same fault on each attempt."""
        return cls(rest=fault)

    @classmethod
    def once(cls, fault: Fault, attempt: int = 1) -> "Script":
        """One fault on one attempt; the others are left alone."""
        return cls({attempt: fault})

    @classmethod
    def load(cls, path: Path) -> "Script":
        """Read a script file: lines, each one step (``#`` begins a comment), or TOML with a list ``attempts``."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise ScriptError(f"the script file {path} cannot be read: {problem}") from None
        return cls.parse(_from_toml(text, path) if path.suffix == ".toml" else text)

    def __str__(self) -> str:
        named = [f"on {attempt}: {fault}" for attempt, fault in sorted(self.faults.items())]
        after = [f"always {self.rest}"] if self.rest != OK else []
        return "; ".join([*(f"{name}={value}" for name, value in self.options.items()), *named, *after]) or "ok"


def _steps(text: str) -> list[str]:
    lines = (line.split("#", 1)[0] for line in text.splitlines())
    steps = (re.sub(r"^(and\s+)?then\s+", "", step.strip()) for line in lines for step in line.split(";"))
    return [step for step in steps if step]


def _option(name: str, value: str) -> tuple[str, str]:
    if name not in OPTIONS:
        raise ScriptError(f"{name!r} is no option of a script; there are {', '.join(OPTIONS)}")
    if name == "pace":
        _number(value, "pace")
    return name, value


_ON = re.compile(r"on\s+(?:attempt\s+)?(\d+)\s*(\+?)\s*:?\s+(.+)")
_TIMES = re.compile(r"(.+?)\s+(?:x(\d+)|(\d+)\s+times)")


def _step(step: str, at: int) -> tuple[Fault, int, int | None]:
    """A fault, the attempt that it begins with, and for how many (``None``: from there on always)."""
    times: int | None = 1
    if on := _ON.fullmatch(step):
        at, step = int(on[1]), on[3]
        times = None if on[2] else 1
        if at < 1:
            raise ScriptError("attempts are counted from 1")
    words = step.split()
    if "always" in (words[0], words[-1]) and len(words) > 1:
        times = None
        step = step.removeprefix("always").removesuffix("always").strip()
    elif words[0] == "once" or words[-1] == "once":
        step = step.removeprefix("once").removesuffix("once").strip()
    elif many := _TIMES.fullmatch(step):
        step, times = many[1], int(many[2] or many[3])
        if not 1 <= times <= STEPS_MAX:
            raise ScriptError(f"a fault may be repeated 1 to {STEPS_MAX:,} times, not {times}")
    return parse_fault(step), at, times


def parse_fault(text: str) -> Fault:
    """Read one fault: ``cut-rst@byte=900``, ``429 retry-after=2``. Raises `ScriptError`."""
    words = text.replace(",", " ").split()
    if not words:
        raise ScriptError("a step of the script is empty")
    name, _, place = words[0].partition("@")
    kind = _kind(name)
    params = dict(_param(kind, word) for word in words[1:])
    return Fault(kind.name, _place(kind, place), params)


def _kind(name: str) -> Kind:
    kind = BY_NAME.get(ALIASES.get(name, name)) or BY_NAME.get(
        ALIASES.get(name.replace("_", "-"), name.replace("_", "-"))
    )
    if kind:
        return kind
    close = difflib.get_close_matches(name, [*BY_NAME, *ALIASES], n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else "; `midstream faults --list` names them all"
    raise ScriptError(f"there is no fault {name!r}{hint}")


def _place(kind: Kind, text: str) -> Place | None:
    if not text:
        return parse_place(kind.place) if kind.place else None
    if kind.place is None:
        raise ScriptError(f"{kind.name} has no place to choose, so @{text} says nothing")
    return parse_place(text)


def parse_place(text: str) -> Place:
    """Read a place: ``byte=900``, ``event=12``, ``event=12-1``, ``fraction=0.5`` or ``50%``. Raises `ScriptError`."""
    found = re.fullmatch(r"(?:(byte|event|fraction)=)?(\d+(?:\.\d+)?)(%?)([+-]\d+)?", text)
    if not found or not (found[1] or found[3]):
        raise ScriptError(f"@{text} is no place; write @byte=900, @event=12 or @fraction=0.5")
    unit, value = found[1] or "fraction", float(found[2]) / (100 if found[3] else 1)
    if unit == "fraction" and value > 1:
        raise ScriptError(f"a fraction of the reply is between 0 and 1, not {value:g}")
    if unit != "fraction" and value != int(value):
        raise ScriptError(f"a number of {unit}s is whole, not {value:g}")
    units: Mapping[str, Unit] = {"byte": "byte", "event": "event", "fraction": "fraction"}
    return Place(units[unit], value, int(found[4] or 0))


_CHOICES = {"body": ("json", "html", "empty"), "x-should-retry": ("true", "false"), "gzip": ("yes", "no")}
_NUMBERS = ("every", "for", "retry-after-ms", "original-status")
# What a parameter is worth that is given without a value.
_BARE = {"retry-after": "1", "retry-after-ms": "1000", "x-should-retry": "true", "gzip": "yes"}


def _param(kind: Kind, word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if name not in kind.params:
        known = ", ".join(kind.params) or "none"
        raise ScriptError(f"{kind.name} has no parameter {name!r} (it has: {known})")
    if not equals:
        if name not in _BARE:
            raise ScriptError(f"the parameter {name} of {kind.name} needs a value, as in {name}=1")
        value = _BARE[name]
    if name in _NUMBERS:
        _number(value, name)
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ScriptError(f"{name} is one of {', '.join(_CHOICES[name])}, not {value!r}")
    return name, value


def _number(value: str, name: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise ScriptError(f"{name} is a number of at least 0, not {value!r}")
    return number


def _from_toml(text: str, path: Path) -> str:
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ScriptError(f"the script file {path} is not TOML: {problem}") from None
    attempts = data.pop("attempts", [])
    always = data.pop("always", None)
    unknown = [name for name in data if name not in OPTIONS]
    if unknown or not isinstance(attempts, list):
        wrong = f"has an unknown key {unknown[0]!r}" if unknown else "has `attempts` that is not a list"
        raise ScriptError(f"the script file {path} {wrong}; it may have attempts, always, {', '.join(OPTIONS)}")
    steps = [f"{name}={value}" for name, value in data.items()]
    return "; ".join([*steps, *map(str, attempts), *([f"always {always}"] if always else [])])
