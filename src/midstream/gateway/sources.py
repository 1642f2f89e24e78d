"""Where settings come from: flags over ``MIDSTREAM_…`` variables over a file over defaults.

Rule: every mistake is one sentence that names the flag, the variable or the file's key, and the cure.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from midstream.gateway.config import Settings, kinds
from midstream.gateway.hiding import hidden
from midstream.gateway.rules import check_rules
from midstream.gateway.schema import File, SettingsError
from midstream.recovery import policy_values
from midstream.recovery.policy import ENVIRON_PREFIX, Policy, PolicyError

POLICY_FIELDS = tuple(field.name for field in fields(Policy))
TABLES_MAX_DEPTH = 4
"""Tables in an upstream's table; more is a mistake, and deep enough would be a stack overflow."""


class Given(NamedTuple):
    """A value, and where it came from."""

    value: object
    label: str
    base: Path
    """What a relative path is relative to."""


def load(flags: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """The settings in force. ``flags``: by the names of `Settings` and `Policy`, text as typed; ``None`` is not given.

    Raises `SettingsError`. The flag or variable ``config`` names the file. A blank variable counts as not set.
    """
    file, path = _file(flags, environ)
    here, beside = Path.cwd(), path.absolute().parent if path else Path.cwd()
    refuse_unknown(file, [*kinds(), "policy", "upstreams"], f"{path}", "setting")
    values: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for name, kind in kinds().items():
        given = _given(name, flags, environ, here) or (
            Given(file[name], f"{path}: {name}", beside) if name in file else None
        )
        if given is None:
            continue
        value = given.value
        if isinstance(value, str) and not given.label.startswith(f"{path}: "):
            value = kind.parsed(value)
        held = kind.checked(value, given.label)
        values[name] = given.base / held if isinstance(kind, File) and isinstance(held, Path) else held
        labels[name] = given.label
    if "journal" not in values:
        values["journal"] = default_journal(environ)
    values["upstreams"] = upstream_tables(file.get("upstreams", {}), f"{path}: upstreams")
    values["policy"] = _policy(file.get("policy", {}), f"{path}: policy", flags, environ)
    settings = Settings(**values)
    check_rules(settings, labels)
    return settings


def flag(name: str) -> str:
    """A setting's flag."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """A setting's variable."""
    return ENVIRON_PREFIX + name.upper()


def default_journal(environ: Mapping[str, str]) -> Path:
    """Where the journal is if nothing else is said."""
    state = environ.get("XDG_STATE_HOME", "").strip()
    # The specification says that one which is not absolute is to be ignored.
    if state and Path(state).is_absolute():
        return Path(state) / "midstream" / "journal.sqlite3"
    try:
        return Path.home() / ".local" / "state" / "midstream" / "journal.sqlite3"
    except RuntimeError:
        raise SettingsError("the home directory is not known; say where the journal is to be: --journal FILE") from None


def _given(name: str, flags: Mapping[str, object], environ: Mapping[str, str], here: Path) -> Given | None:
    """What a flag, or else a variable, says."""
    if (value := flags.get(name)) is not None:
        return Given(value, flag(name), here)
    if text := environ.get(variable(name), "").strip():
        return Given(text, variable(name), here)
    return None


def _file(flags: Mapping[str, object], environ: Mapping[str, str]) -> tuple[dict[str, Any], Path | None]:
    """What the file of settings holds, if one is named."""
    named = _given("config", flags, environ, Path())
    if named is None:
        return {}, None
    path = File().checked(named.value, named.label)
    assert isinstance(path, Path)
    return read_toml(path, f"the file of settings {path}"), path


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """A file of TOML. Raises `SettingsError`."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as problem:
        raise SettingsError(f"{what} cannot be read: {problem.strerror}; give the path of one that can be") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{what} is not UTF-8; TOML has to be") from None
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        text = hidden(str(problem)) if isinstance(problem, ValueError) else "it is nested too deeply"
        raise SettingsError(f"{what} is not TOML: {text}") from None


def refuse_unknown(table: Mapping[str, object], known: Sequence[str], where: str, noun: str) -> None:
    """Raises `SettingsError` for the first key that is not known."""
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            every = f"known are {', '.join(known)}" if len(known) < 8 else "midstream serve --list has them all"
            hint = f"did you mean {near[0]}?" if near else every
            raise SettingsError(f"{where}: there is no {noun} {hidden(name)[:80]!r}; {hint}")


def upstream_tables(tables: object, where: str) -> dict[str, dict[str, Any]]:
    """The tables of the upstreams, as far as this layer knows them: which keys there are is the upstreams' matter."""
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise SettingsError(f'{where} holds tables, one for each upstream, such as [upstreams."bedrock:us-east-1"]')
    for name, table in tables.items():
        _refuse_deep(table, f"{where}.{hidden(name)!r}", TABLES_MAX_DEPTH)
    return tables


def _refuse_deep(table: Mapping[str, object], where: str, depth: int) -> None:
    for value in table.values():
        if isinstance(value, dict):
            if depth == 1:
                raise SettingsError(f"{where} is nested too deeply")
            _refuse_deep(value, where, depth - 1)


def _policy(table: object, where: str, flags: Mapping[str, object], environ: Mapping[str, str]) -> Policy:
    """The policy: the same sources, in the same order."""
    if not isinstance(table, dict):
        raise SettingsError(f"{where} must be a table: [policy]")
    refuse_unknown(table, POLICY_FIELDS, where, "limit of the policy")
    values: dict[str, Any] = {field.name: field.default for field in fields(Policy)}
    labels: dict[str, str] = {}
    for name in POLICY_FIELDS:
        given = _given(name, flags, environ, Path())
        if given is not None:
            values[name], labels[name] = policy_values.parsed(name, str(given.value).strip()), given.label
        elif name in table:
            # TOML has no word for nothing.
            values[name] = None if table[name] == "none" else table[name]
            labels[name] = f"{where}.{name}"
    try:
        return Policy(**policy_values.checked(values, labels))
    except PolicyError as problem:
        raise SettingsError(hidden(str(problem))) from None
