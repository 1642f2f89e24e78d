"""YAML, JSON and TOML as one tree, in which every value knows its line.

Rule: a value is looked up, never built: what a file repeats by reference costs nothing, however often it does so.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midstream.doctor.lint.findings import Place
from midstream.doctor.lint.source import Source, Unreadable

if TYPE_CHECKING:
    import yaml

# Values that a walk visits: more than the largest file has lines.
VALUES_MAX = 200_000

# A megabyte takes seconds; all objects of a cluster that are of interest here fit in.
TEXT_MAX = 1_500_000

# Both readers recurse; no configuration comes near it.
DEPTH_MAX = 200


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One value: a mapping, a list, or a word."""

    node: Any
    """What its format has made of it: a node of YAML, or a value of TOML."""
    place: Place
    """The line of its key, or its own."""
    key: str = ""
    lines: "_TomlLines | None" = None

    def get(self, *keys: str) -> "Value | None":
        """The value below these keys."""
        at: Value | None = self
        for key in keys:
            at = next((value for value in at.values() if value.key == key), None) if at is not None else None
        return at

    def values(self) -> "Iterator[Value]":
        """What stands directly in it."""
        yield from _toml_values(self) if self.lines is not None else _yaml_values(self)

    def list(self, *keys: str) -> "list[Value]":
        """The values of the list below these keys; none if there is no list."""
        found = self.get(*keys)
        return [value for value in found.values() if not value.key] if found is not None else []

    @property
    def word(self) -> str:
        """It as a word; empty for what is none."""
        if self.lines is None:
            return str(self.node.value) if self.node.id == "scalar" else ""
        if isinstance(self.node, bool):
            return str(self.node).lower()
        return "" if isinstance(self.node, dict | list) else str(self.node)

    def text(self, *keys: str) -> str:
        """The word below these keys; empty if there is none."""
        found = self.get(*keys)
        return found.word if found is not None else ""

    def walk(self) -> "Iterator[Value]":
        """Itself and everything in it; what is referred to several times, once."""
        todo, seen = [self], {id(self.node)}
        while todo:
            at = todo.pop()
            yield at
            for value in reversed(list(at.values())):
                if id(value.node) not in seen or value.word:
                    seen.add(id(value.node))
                    todo.append(value)
            if len(seen) > VALUES_MAX:
                raise Unreadable(f"{self.place.file} has more values than any configuration")

    @property
    def block(self) -> bool:
        """Whether it is a mapping of YAML with a key on each line, where a line can be put in."""
        return self.lines is None and self.node.id == "mapping" and not self.node.flow_style and bool(self.node.value)


def documents(source: Source) -> list[Value]:
    """The documents of a YAML or JSON file. Raises `Unreadable`."""
    # Here, for it comes with an extra.
    import yaml

    text = source.text
    if len(text) > TEXT_MAX:
        raise Unreadable(f"{source.name} is larger than {TEXT_MAX / 1e6:g} MB: check its parts")
    if text.lstrip()[:1] in "{[":
        # YAML wants no tabs where JSON may have them; inside its strings JSON has none.
        text = text.replace("\t", " ")
    _shallow(text, source.name)
    try:
        # The one in C is several times as fast.
        nodes = list(yaml.compose_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as problem:
        why = "; it holds template marks, {{ … }}: render it first (helm template)" if "{{" in source.text else ""
        told = f"{source.name}:{_line_of(problem)} is neither YAML nor JSON: {_reason_of(problem)}{why}"
        raise Unreadable(told) from None
    except (ValueError, RecursionError) as problem:
        raise Unreadable(f"{source.name} is neither YAML nor JSON: {problem!s:.100}") from None
    return [Value(node, Place(source.name, node.start_mark.line + 1)) for node in nodes]


def _shallow(text: str, name: str) -> None:
    """Refuse what is nested so deeply that only a recursion without end could read it."""
    depth = 0
    for char in re.findall(r"[\[\]{}]|(?:(?<=\n)|^) {600,}|(?:- ){100,}", text):
        depth += 1 if char in "[{" else -1 if char in "]}" else DEPTH_MAX + 1
        if depth > DEPTH_MAX:
            raise Unreadable(f"{name} is nested more deeply than any configuration")
        depth = max(depth, 0)


def _line_of(problem: "yaml.YAMLError") -> int:
    mark = getattr(problem, "problem_mark", None)
    return mark.line + 1 if mark is not None else 1


def _reason_of(problem: "yaml.YAMLError") -> str:
    return " ".join(str(getattr(problem, "problem", None) or problem).split())[:100]


def _yaml_values(value: Value) -> Iterator[Value]:
    node, file = value.node, value.place.file
    if node.id == "mapping":
        for key, below in node.value:
            name = str(key.value) if key.id == "scalar" else "?"
            yield Value(below, Place(file, key.start_mark.line + 1), name)
    elif node.id == "sequence":
        for below in node.value:
            yield Value(below, Place(file, below.start_mark.line + 1))


# --- TOML ---


@dataclass(frozen=True, slots=True)
class _TomlLines:
    """Where keys stand: each by its whole path."""

    path: tuple[str, ...]
    found: dict[tuple[str, ...], int]

    def below(self, key: str) -> "_TomlLines":
        return _TomlLines((*self.path, key), self.found)


def toml(source: Source) -> Value:
    """A TOML file. Raises `Unreadable`."""
    try:
        table = tomllib.loads(source.text)
    except (ValueError, RecursionError) as problem:
        line = re.search(r"at line (\d+)", str(problem))
        reason = str(problem).partition(" (at")[0]
        raise Unreadable(f"{source.name}:{line[1] if line else 1} is no TOML: {reason:.100}") from None
    lines = _TomlLines((), _key_lines(source))
    return Value(table, Place(source.name, 1), "", lines)


def _toml_values(value: Value) -> Iterator[Value]:
    assert value.lines is not None
    if isinstance(value.node, dict):
        for key, below in value.node.items():
            lines = value.lines.below(key)
            yield Value(below, Place(value.place.file, lines.found.get(lines.path, value.place.line)), key, lines)
    elif isinstance(value.node, list):
        for below in value.node:
            yield Value(below, value.place, "", value.lines)


def _key_lines(source: Source) -> dict[tuple[str, ...], int]:
    """The line of every key that begins a line. One in a text of many lines may be taken for one: it is of no rule."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(source.lines, 1):
        if match := re.match(r"\s*\[\[?([^\[\]]+)\]\]?", line):
            table = _keys(match[1])
            found.setdefault(table, number)
        elif match := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            keys = _keys(match[1])
            for end in range(1, len(keys) + 1):
                found.setdefault((*table, *keys[:end]), number)
    return found


def _keys(text: str) -> tuple[str, ...]:
    return tuple(
        (match[1] or match[2] or match[0]).strip() for match in re.finditer(r'"([^"]*)"|\'([^\']*)\'|[^.]+', text)
    )
