"""The settings told: as a reference for people and programs, and as a file that could be read again.

Rule: everything here is made from `Settings` and `Policy` themselves; nothing is told twice.
"""

import ast
import inspect
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import msgspec

from midstream.gateway.config import Settings, default_of, kinds
from midstream.gateway.hiding import without_secrets
from midstream.gateway.schema import Choice, Kind, Switch
from midstream.gateway.sources import flag, variable
from midstream.recovery import policy

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Row(msgspec.Struct, frozen=True):
    """A setting, told."""

    name: str
    """Its key in the file; those of the policy stand in the table ``[policy]``."""
    flag: str | None
    variable: str | None
    allowed: str
    default: str
    meaning: str


def rows() -> list[Row]:
    """The gateway's own settings, in their order."""
    meanings = told(Settings)
    simple = [
        Row(name, flag(name), variable(name), _allowed(kind), _default(name, kind), meanings[name])
        for name, kind in kinds().items()
    ]
    tables = Row("upstreams", None, None, "tables", "none", meanings["upstreams"])
    after = 1 + next(place for place, row in enumerate(simple) if row.name == "upstream")
    return [*simple[:after], tables, *simple[after:]]


def policy_rows() -> list[Row]:
    """The limits of the policy."""
    meanings = told(policy.Policy)
    return [
        Row(each.name, flag(each.name), variable(each.name), "", _policy_value(each.default), meanings[each.name])
        for each in fields(policy.Policy)
    ]


def told(cls: type) -> dict[str, str]:
    """The docstring below each field of a class, on one line."""
    (tree,) = [node for node in ast.parse(inspect.getsource(cls)).body if isinstance(node, ast.ClassDef)]
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in itertools.pairwise(tree.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def markdown() -> str:
    """The reference as two tables."""
    lines: list[str] = []
    for about, part in (("key", rows()), ("key in `[policy]`", policy_rows())):
        lines += [f"| {about} | flag, variable | default | |", "| --- | --- | --- | --- |"]
        for row in part:
            ways = f"`{row.flag}` `{row.variable}`" if row.flag else "the file only"
            allowed = f" *{row.allowed}.*".replace("|", r"\|") if row.allowed else ""
            lines.append(f"| `{row.name}` | {ways} | `{row.default}` | {row.meaning}{allowed} |")
        lines.append("")
    return "\n".join(lines)


def text() -> str:
    """The same for a terminal."""
    lines = []
    for title, part in (("settings", rows()), ("limits of the policy, in the table [policy]", policy_rows())):
        lines.append(f"{title}:")
        for row in part:
            ways = f"  {row.flag}, {row.variable}" if row.flag else "  the file only"
            lines += [f"  {row.name} = {row.default}{f'  ({row.allowed})' if row.allowed else ''}", f"  {ways}"]
            lines.append(f"      {row.meaning.replace('``', '')}")
    return "\n".join(lines)


def effective(settings: Settings) -> dict[str, Any]:
    """Every setting in force, as a file spells it and fit to be shown; ``None`` for what a file leaves out."""
    # A path or an address holds no credential (`rules` sees to the URLs), and hiding half of one would help nobody.
    plain = {name: kind.plain(getattr(settings, name)) for name, kind in kinds().items()}
    held = {each.name: getattr(settings.policy, each.name) for each in fields(policy.Policy)}
    limits = {name: "none" if value is None else value for name, value in held.items()}
    return {**plain, "policy": limits, "upstreams": without_secrets(settings.upstreams)}


def toml(table: Mapping[str, Any]) -> str:
    """Settings as a file of TOML."""
    return "\n".join(_toml_lines(table, ())) + "\n"


def _toml_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    if path and not (table and all(isinstance(value, Mapping) for value in table.values())):
        yield from ("", f"[{'.'.join(map(_key, path))}]")
    for name, value in table.items():
        if value is None:
            yield f"# {_key(name)} is not set"
        elif not isinstance(value, Mapping):
            yield f"{_key(name)} = {_value(value)}"
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _toml_lines(value, (*path, name))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool | int | float | str):
        # What JSON escapes, TOML reads the same; it wants DEL escaped as well.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")
    return str(value)  # a date: as TOML itself writes it


def _allowed(kind: Kind) -> str:
    match kind:
        case Choice(words):
            return ", ".join(words)
        case Switch():
            return "true or false"
        case _:
            return str(kind)


def _default(name: str, kind: Kind) -> str:
    if name == "journal":
        return "~/.local/state/midstream/journal.sqlite3"
    plain = kind.plain(default_of(name))
    return "none" if plain is None else _value(plain)


def _policy_value(value: object) -> str:
    return "none" if value is None else _value(value)
