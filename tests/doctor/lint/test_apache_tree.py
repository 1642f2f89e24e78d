"""An Apache configuration as sections, over its includes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.lint.apache_tree import Section, parse
from midstream.doctor.lint.findings import Checked
from midstream.doctor.lint.source import Source, Unreadable


def tree_of(text: str, name: str = "apache.conf") -> tuple[Section, Checked]:
    checked = Checked()
    return parse(Source(name, text), checked), checked


def test_a_section_takes_what_is_set_around_it_and_conditions_are_no_sections() -> None:
    root, _ = tree_of(
        "Timeout 5\n<VirtualHost *>\n<IfModule x>\ntimeout 6\n</IfModule>\n<Location />\n</Location>\n</VirtualHost>"
    )
    host, location = list(root.walk())[1:]
    assert (host.name, location.name) == ("VirtualHost *", "Location /")
    for section, value in ((root, "5"), (host, "6"), (location, "6")):
        setting = section.setting("TIMEOUT")
        assert setting is not None and setting.args == (value,)
    assert [each.told() for each in location.all("Timeout")] == ["timeout 6", "Timeout 5"]
    assert root.setting("ProxyTimeout") is None


def test_lines_go_on_and_quotes_are_understood() -> None:
    root, _ = tree_of('# a \\\nx\nA "b c" \\\n  d\nB "e\n')
    assert [(each.told(), each.place.line) for each in root.directives] == [("A b c d", 3), ('B "e', 5)]


def test_includes_are_read_once_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("Include a.conf\nTimeout 7")
    (tmp_path / "bad.conf").write_text("</x>")
    host = "<VirtualHost *>\nInclude a.conf\n</VirtualHost>"
    text = f"ServerRoot {tmp_path}\n{host}\nInclude no\nIncludeOptional no\nInclude bad.conf"
    root, checked = tree_of(text)
    setting = root.sections[0].setting("Timeout")
    assert setting is not None and setting.place.file.endswith("a.conf")
    assert len(checked.notes) == 2 and "includes no, which is not here" in checked.notes[0]


def test_a_file_that_is_included_in_two_places_counts_in_both(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("Timeout 7")
    host = "<VirtualHost *>\nInclude a.conf\n</VirtualHost>\n"
    root, _ = tree_of(f"ServerRoot {tmp_path}\n{host}{host}")
    assert [len(section.here("Timeout")) for section in root.sections] == [1, 1]


@pytest.mark.parametrize("text", ["<a>", "</a>", "<a>\n</b>"])
def test_what_is_no_configuration_is_one_sentence(text: str) -> None:
    with pytest.raises(Unreadable, match="is not Apache configuration"):
        tree_of(text)


@given(st.text(alphabet='ab<>/"\\# \n', max_size=80))
def test_any_text_is_a_tree_or_one_sentence(text: str) -> None:
    try:
        tree_of(text)
    except Unreadable as problem:
        assert "is not Apache configuration" in str(problem)
