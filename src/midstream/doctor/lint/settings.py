"""Settings in trees of YAML, JSON and TOML: their limits, and the edits that change them.

Rule: a line is changed only where it holds one key and its value.
"""

from midstream.doctor.lint import edits
from midstream.doctor.lint.findings import Checked, Edit
from midstream.doctor.lint.tree import Value
from midstream.doctor.lint.units import seconds


def put(mapping: Value, old: Value | None, text: str, checked: Checked) -> tuple[Edit, ...]:
    """A setting changed where it stands on a line of its own, or put before the first one of a block."""
    lines = checked.files[mapping.place.file]
    if not mapping.block:
        return ()
    if old is not None:
        return edits.replace(lines, old.place, text) if _alone(old, lines) else ()
    first = next(mapping.values())
    # The first key of an item of a list stands behind its dash.
    return edits.insert_before(lines, first.place, text) if _alone(first, lines) else ()


def without(value: Value, checked: Checked) -> tuple[Edit, ...]:
    """No such line, where it holds one word."""
    lines = checked.files[value.place.file]
    alone = value.word and value.lines is None and _alone(value, lines)
    return (Edit("delete", value.place),) if alone else ()


def limit_s(value: Value | None, bare: str = "s") -> float:
    """A limit in seconds; 0 for none, and for what is none."""
    return (seconds(value.word, bare=bare) or 0.0) if value is not None else 0.0


def _alone(value: Value, lines: list[str]) -> bool:
    line = lines[value.place.line - 1].strip()
    return line.startswith((f"{value.key}:", f'"{value.key}":')) and not line.endswith(",")
