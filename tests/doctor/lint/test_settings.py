"""Edits of settings in YAML, and limits that are none."""

import pytest

from midstream.doctor.lint.edits import applied
from midstream.doctor.lint.findings import Checked
from midstream.doctor.lint.settings import limit_s, put, without
from midstream.doctor.lint.source import Source
from midstream.doctor.lint.tree import Value, documents, toml


def after(text: str, *keys: str, old: str | None = None, new: str = "new: 1") -> str:
    """The text after a setting was put below these keys."""
    source = Source("a.yaml", text)
    checked = Checked(files={source.name: source.lines})
    mapping = documents(source)[0].get(*keys)
    assert mapping is not None
    edits = put(mapping, mapping.get(old) if old else None, new, checked)
    return "\n".join(applied(source.lines, edits))


@pytest.mark.parametrize(
    ("text", "keys", "old", "expected"),
    [
        ("a:\n  b: 1\n", ("a",), None, "a:\n  new: 1\n  b: 1\n"),
        ("a:\n  b: 1\n", ("a",), "b", "a:\n  new: 1\n"),
        ("a: {b: 1}\n", ("a",), "b", "a: {b: 1}\n"),
        ("- a: 1\n", (), None, "- a: 1\n"),
        ('{"a": {\n"b": 1,\n"c": 2}}', ("a",), "b", '{"a": {\n"b": 1,\n"c": 2}}'),
    ],
)
def test_a_setting_is_put_where_a_line_can_be_put(
    text: str, keys: tuple[str, ...], old: str | None, expected: str
) -> None:
    assert after(text, *keys, old=old) == expected


def test_behind_a_dash_nothing_is_put_in() -> None:
    source = Source("a.yaml", "- a: 1\n  b: 2\n")
    checked = Checked(files={source.name: source.lines})
    (item,) = documents(source)[0].values()
    assert put(item, None, "new: 1", checked) == ()
    second = item.get("b")
    assert second is not None and [edit.kind for edit in without(second, checked)] == ["delete"]
    first = item.get("a")
    assert first is not None and without(first, checked) == ()


def value(text: str) -> Value | None:
    return toml(Source("a.toml", text)).get("a")


def test_a_limit_that_is_none_is_zero() -> None:
    assert limit_s(None) == 0 and limit_s(value('a = "x"')) == 0 and limit_s(value("a = 0")) == 0
    assert limit_s(value('a = "1m"')) == 60 and limit_s(value("a = 500"), bare="ms") == 0.5


def test_toml_is_not_touched() -> None:
    found = value("a = 1")
    checked = Checked(files={"a.toml": ["a = 1"]})
    assert found is not None and without(found, checked) == () and put(found, None, "x", checked) == ()
