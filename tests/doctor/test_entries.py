"""The catalogue is data: what its files may hold is checked here, and what they must not hold too."""

import re
from importlib import resources

import pytest

from midstream.doctor.entries import (
    GROUPS,
    WEIGHT_MAX,
    WEIGHT_MIN,
    BadEntry,
    Entry,
    Sign,
    catalogue,
    read_entry,
    wrong_pattern,
)
from midstream.doctor.explain import explain

ENTRIES = [pytest.param(entry, id=entry.id) for entry in catalogue().values()]

GOOD = """
title = "a title"
group = "network"
match = [ { weight = 90, all = ["Isn't `it`"] } ]
means = "m"
why = "w"
check = ["c"]
fix = "f"
steps = ["s"]
prevent = "p"
verify = "v"
sources = ["https://example.org"]
related = ["dns-failure"]
"""


def test_there_are_more_than_eighty_entries_and_none_is_lost() -> None:
    files = [file.name for file in resources.files("midstream.doctor.catalogue").iterdir()]
    assert len(catalogue()) > 80
    assert {f"{name}.toml" for name in catalogue()} == {name for name in files if name.endswith(".toml")}


def test_every_group_has_entries_and_they_come_in_its_order() -> None:
    order = [entry.group for entry in catalogue().values()]
    assert list(dict.fromkeys(order)) == list(GROUPS)


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_related_exists_and_is_another(entry: Entry) -> None:
    assert set(entry.related) <= catalogue().keys() - {entry.id}
    assert len(set(entry.related)) == len(entry.related)


@pytest.mark.parametrize("entry", ENTRIES)
def test_sources_are_public_addresses(entry: Entry) -> None:
    assert all(re.fullmatch(r"https://[\w.-]+\.[a-z]+(?:[/#?][^\s<>]*)?", source) for source in entry.sources)


@pytest.mark.parametrize("entry", ENTRIES)
def test_texts_are_sentences_with_closed_literals(entry: Entry) -> None:
    prose = [entry.means, entry.why, entry.fix, entry.prevent, entry.verify, entry.versions]
    prose += [*entry.check, *entry.steps]
    for text in prose:
        assert text.count("`") % 2 == 0, text
        assert not text or text.strip()[-1] in ".?!:`)", text
    assert entry.title.count("`") % 2 == 0 and "\n" not in entry.title
    # What Markdown would take for stress.
    for text in [entry.title, *prose]:
        assert not re.search(r"(?<!\w)_|_(?!\w)", "".join(text.split("`")[::2])), text


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_sign_made_of_words_or_a_number_finds_its_entry(entry: Entry) -> None:
    for sign in entry.match:
        if not sign.pattern:
            parts = [*sign.all]
            parts += [f"HTTP {sign.status}"] if sign.status else []
            parts += [f"curl: ({sign.curl})"] if sign.curl else []
            frames = "".join(f'  File "/x/{frame}", line 1, in {frame}\n' for frame in sign.frames)
            found = explain(frames + " ; ".join(parts))
            assert entry.id in [hit.entry.id for hit in found.hits], parts


def test_a_good_file_is_an_entry_with_its_words_ready_for_looking_up() -> None:
    entry = read_entry("a-good-one", GOOD)
    assert entry.id == "a-good-one" and entry.match[0].all == ("isnt it",)


BAD = [
    ("nothing", "", "missing required field"),
    ("no TOML", "title = ", "Invalid value"),
    ("an unknown field", GOOD + 'cause = "x"', "cause"),
    ("an id", GOOD + 'id = "x"', "the name of its file"),
    ("an unknown group", GOOD.replace("network", "nowhere"), "there is no group nowhere"),
    ("an empty text", GOOD.replace('means = "m"', 'means = ""'), "nothing under means"),
    ("no sources", GOOD.replace('["https://example.org"]', "[]"), "nothing under sources"),
    ("no signs", re.sub(r"match = .*", "match = []", GOOD), "nothing under match"),
    ("a light sign", GOOD.replace("90", str(WEIGHT_MIN - 1)), "a weight is from"),
    ("a heavy sign", GOOD.replace("90", str(WEIGHT_MAX + 1)), "a weight is from"),
    ("a sign of nothing", GOOD.replace("""all = ["Isn't `it`"]""", 'unless = ["x"]'), "always there"),
    ("a sign with an unknown field", GOOD.replace("all =", "any ="), "any"),
    ("a broken pattern", GOOD.replace("""all = ["Isn't `it`"]""", "pattern = 'a('"), "unterminated subpattern"),
    ("an unbounded pattern", GOOD.replace("""all = ["Isn't `it`"]""", "pattern = 'a.*b'"), "in place of"),
    ("a wrong type", GOOD.replace('steps = ["s"]', 'steps = "s"'), "Expected `array`"),
]


@pytest.mark.parametrize(("text", "reason"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_file_is_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(BadEntry, match="the entry a-bad-one: ") as told:
        read_entry("a-bad-one", text)
    assert reason in str(told.value)


@pytest.mark.parametrize("name", ["Upper", "a_b", "-a", "a--b", "a b", ""])
def test_an_id_is_words_in_lower_case(name: str) -> None:
    with pytest.raises(BadEntry):
        read_entry(name, GOOD)


@pytest.mark.parametrize("pattern", ["ab*", "ab+", "a{3,}", "(ab)*", r"\d+", ".x", "[ab]x", "(?i)word", r"\bword"])
def test_a_pattern_that_may_take_long_is_refused(pattern: str) -> None:
    assert wrong_pattern(Sign(50, pattern=pattern))


@pytest.mark.parametrize("pattern", [r"a\*b", r"a\+", "[*+]{1,3}b", "(?i)ab{0,20}c", r"\bab?", "[+]"])
def test_a_pattern_behind_words_or_with_bounds_is_taken(pattern: str) -> None:
    assert wrong_pattern(Sign(50, pattern=pattern, all=("x",))) is None


@pytest.mark.parametrize("pattern", [r"HTTP/\d", "(?:^| )SD--"])
def test_a_pattern_that_begins_with_letters_needs_no_words(pattern: str) -> None:
    assert wrong_pattern(Sign(50, pattern=pattern)) is None
