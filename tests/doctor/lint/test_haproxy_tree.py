"""An HAProxy configuration as sections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.lint.haproxy_tree import Section, parse
from midstream.doctor.lint.source import Source, Unreadable


def sections(text: str) -> dict[str, Section]:
    return {section.told: section for section in parse(Source("haproxy.cfg", text))}


def test_a_section_takes_the_defaults_before_it_or_those_that_it_names() -> None:
    found = sections(
        "defaults a\n mode http\ndefaults b\n mode tcp\nbackend x\nbackend y from a\nbackend z from none\n"
    )
    assert {name: found[name].mode for name in ("backend x", "backend y", "backend z")} == {
        "backend x": "tcp",
        "backend y": "http",
        "backend z": "tcp",
    }


def test_an_option_can_be_taken_back() -> None:
    found = sections("defaults\n option a\n option b\nlisten x\n no option a\n")["listen x"]
    assert (found.option("a"), found.option("b"), found.option("c")) == (False, True, False)


def test_quotes_and_comments_are_understood_and_directives_for_the_parser_left_out() -> None:
    (line, other) = sections('global\n.if defined(X)\n log "a b" # c\n x it\'s\n.endif\n')["global"].lines
    assert line.words == ("log", "a b") and line.place.line == 3 and line.told() == "log a b"
    assert other.words == ("x", "it's")


def test_the_last_line_counts_and_a_mode_without_a_word_is_none() -> None:
    found = sections("listen x\n timeout server 1s\n timeout server 2s\n mode\n")["listen x"]
    setting = found.setting("timeout", "server")
    assert setting is not None and setting.words[2] == "2s"
    assert found.mode == "tcp" and found.setting("retries") is None


def test_a_line_in_no_section_is_not_haproxy() -> None:
    with pytest.raises(Unreadable, match=r"haproxy\.cfg:2 is not HAProxy configuration: 'server' stands in no section"):
        sections("\nserver a b\n")


@given(st.text(alphabet="global frontend\n\t\"'\\#", max_size=80))
def test_any_text_is_sections_or_one_sentence(text: str) -> None:
    try:
        sections(f"global\n{text}")
    except Unreadable as problem:
        raise AssertionError("all of it stands in a section") from problem
