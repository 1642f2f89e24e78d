"""YAML, JSON and TOML as one tree with lines."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.lint import tree
from midstream.doctor.lint.source import Source, Unreadable
from midstream.doctor.lint.tree import Value, documents, toml


def yaml_of(text: str) -> Value:
    (document,) = documents(Source("a.yaml", text))
    return document


def test_a_value_is_found_by_its_keys_and_knows_its_line() -> None:
    value = yaml_of("a:\n  b: [1, {c: d}]\n  e:\n    - f\n")
    assert value.text("a", "e") == "" and value.text("a", "x", "y") == "" and value.get("a", "x") is None
    one, two = value.list("a", "b")
    assert (one.word, two.text("c"), two.place.line) == ("1", "d", 2)
    (item,) = value.list("a", "e")
    assert (item.word, item.place.line) == ("f", 4)
    assert value.list("a", "x") == []


def test_only_a_mapping_with_a_key_on_each_line_takes_a_line_in() -> None:
    assert yaml_of("a: 1").block and not yaml_of("{a: 1}").block and not yaml_of("[1]").block


def test_several_documents_and_json_with_tabs_are_read() -> None:
    assert len(documents(Source("a", "a: 1\n---\n---\nb: 2\n"))) == 3
    assert yaml_of('{\n\t"a": {\n\t\t"b": true\n\t}\n}').text("a", "b") == "true"


def test_what_is_repeated_by_reference_is_walked_once() -> None:
    names = "abcdefghijklmnopqrst"
    lines = [
        "a: &a [x, x]",
        *(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in itertools.pairwise(names)),
    ]
    assert sum(1 for _ in yaml_of("\n".join(lines)).walk()) < 1000


def test_what_refers_to_itself_is_walked_once() -> None:
    assert sum(1 for _ in yaml_of("a: &a {b: *a, c: 1}").walk()) == 3


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "VALUES_MAX", 5)
    with pytest.raises(Unreadable, match="more values than any configuration"):
        list(yaml_of("[1, 2, 3, 4, 5, 6]").walk())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", r"a\.yaml:[12] is neither YAML nor JSON"),
        ("a: b: c", r"a\.yaml:1 is neither YAML nor JSON: mapping values are not allowed"),
        ("[" * 500, "nested more deeply"),
        ("- " * 500, "nested more deeply"),
        ("# " * 800_000, "is larger than"),
        ("\x01", "is neither YAML nor JSON"),
        ("a: *b", "found undefined alias"),
    ],
)
def test_what_is_not_yaml_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        documents(Source("a.yaml", text))


def test_toml_knows_its_lines() -> None:
    value = toml(Source("a.toml", '[a]\nb = 1\n[a."c d"]\n"e" = true\nf.g = "x"\n[[h]]\ni = [1, 2]\n'))
    for keys, line, word in ((("a", "b"), 2, "1"), (("a", "c d", "e"), 4, "true"), (("a", "c d", "f", "g"), 5, "x")):
        found = value.get(*keys)
        assert found is not None and (found.place.line, found.word) == (line, word)
    (table,) = value.list("h")
    assert [each.word for each in table.list("i")] == ["1", "2"]
    assert value.word == "" and not value.block
    assert {each.key for each in value.walk()} >= {"a", "b", "c d", "e", "f", "g", "h", "i"}


@pytest.mark.parametrize("text", ["a", "a = ", "[a]\n[a]", "a = 1\na = 2", "a = " + "[" * 5000])
def test_what_is_no_toml_is_one_sentence(text: str) -> None:
    with pytest.raises(Unreadable, match=r"a\.toml:\d+ is no TOML"):
        toml(Source("a.toml", text))


@given(st.text(alphabet="a:-[]{}&*#!|>'\" \n\t,.=", max_size=60))
def test_any_text_is_a_tree_or_one_sentence(text: str) -> None:
    for read in (lambda source: [value for one in documents(source) for value in one.walk()], toml):
        try:
            read(Source("x", text))
        except Unreadable as problem:
            assert "\n" not in str(problem)


def test_a_template_is_told_to_be_one() -> None:
    with pytest.raises(Unreadable, match=r"a\.yaml:\d is neither YAML nor JSON.*render it first"):
        documents(Source("a.yaml", "kind: Ingress\nmetadata:\n  {{- with .Values.x }}\n  annotations: x\n"))
