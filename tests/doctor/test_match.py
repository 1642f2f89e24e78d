"""A sign is there or it is not, and the heaviest comes first."""

import pytest

from midstream.doctor.entries import Entry, Sign
from midstream.doctor.match import has, hit_of, rank, stands
from midstream.doctor.normalise import Passage, passages


def entry(name: str, *signs: Sign) -> Entry:
    return Entry(
        name, "network", signs, "m", "w", ("c",), "f", ("s",), "p", "v", ("https://a.example",), ("b",), id=name
    )


def passage(text: str) -> Passage:
    (found,) = passages(text)
    return found


@pytest.mark.parametrize(
    ("text", "words", "there"),
    [
        ("typeerror: terminated", "terminated", True),
        ("unterminated string", "terminated", False),
        ("model_dump_json model", "model", True),
        ("has no attribute model_dump_json", "attribute model", False),
        ("a (b) c", "(b)", True),
        ("x(b)y", "(b)", True),
        ("ends with word", "word", True),
        ("", "word", False),
    ],
)
def test_words_are_not_parts_of_longer_words(text: str, words: str, there: bool) -> None:
    assert has(text, words) is there


SIGNS = [
    (Sign(50, all=("one", "two")), "two and One", True),
    (Sign(50, all=("one", "two")), "one", False),
    (Sign(50, all=("one",), unless=("two",)), "one and two", False),
    (Sign(50, all=("one",), unless=("two",)), "one and three", True),
    (Sign(50, status=504), "HTTP 504", True),
    (Sign(50, status=504), "HTTP 502", False),
    (Sign(50, all=("one",), unless_status=529), "one", True),
    (Sign(50, all=("one",), unless_status=529), "one HTTP 529", False),
    (Sign(50, curl=18), "curl: (18)", True),
    (Sign(50, curl=18), "curl: (56)", False),
    (Sign(50, pattern="aB{1,3}c"), "x aBBc", True),
    (Sign(50, pattern="aB{1,3}c"), "x abbc", False),
    (Sign(50, all=("one",), pattern="two|three"), "one three", True),
    (Sign(50, all=("one",), pattern="two|three"), "one four", False),
]


FRAME = '  File "/lib/anthropic/x.py", line 1, in get_it\n    raise Hidden\n'
SIGNS += [
    (Sign(50, all=("one",), frames=("get_it",)), FRAME + "one", True),
    (Sign(50, all=("one",), frames=("get_it", "anthropic")), FRAME + "one", True),
    (Sign(50, all=("one",), frames=("get_them",)), FRAME + "one", False),
    (Sign(50, all=("hidden",)), FRAME + "one", False),
]


@pytest.mark.parametrize(("sign", "text", "there"), SIGNS)
def test_a_sign_is_there_if_all_that_it_names_is(sign: Sign, text: str, there: bool) -> None:
    assert stands(sign, passage(text)) is there


def test_the_heaviest_sign_counts_and_the_others_support_it() -> None:
    hit = hit_of(entry("a", Sign(50, all=("one",)), Sign(80, all=("two",)), Sign(90, all=("x",))), passage("one two"))
    assert hit is not None and (hit.weight, hit.support) == (80, 130)
    assert hit_of(entry("a", Sign(50, all=("one",))), passage("two")) is None


def test_the_surest_comes_first_then_the_better_supported_then_the_first_met() -> None:
    entries = [
        entry("light", Sign(40, all=("one",))),
        entry("heavy", Sign(90, all=("one",))),
        entry("supported", Sign(90, all=("one",)), Sign(30, all=("two",))),
        entry("same", Sign(40, all=("one",))),
    ]
    assert [hit.entry.id for hit in rank(passages("one two"), entries)] == ["supported", "heavy", "light", "same"]


@pytest.mark.parametrize(("sign", "text", "there"), SIGNS)
def test_a_sign_is_found_in_a_long_text_where_it_is_found_in_a_short_one(sign: Sign, text: str, there: bool) -> None:
    # A lone exit code needs the word curl beside it; the other examples do not mind.
    text = "\n".join(["nothing of note"] * 300 + [text] + ["nothing of note"] * 300)
    assert bool(rank(passages(text), [entry("a", sign)])) is there


def test_an_entry_is_found_once_however_often_it_fits() -> None:
    text = "\n".join(["one"] * 500 + ["one two"] + ["one"] * 500)
    (hit,) = rank(passages(text), [entry("a", Sign(50, all=("one",)), Sign(90, all=("two",)))])
    assert hit.weight == 90 and hit.evidence() == "one two"


@pytest.mark.parametrize(
    ("sign", "text", "line"),
    [
        (Sign(50, all=("two",)), "one\n  'two'  \nthree", "'two'"),
        (Sign(50, pattern="thr.{2}"), "one\ntwo\nthree", "three"),
        (Sign(50, status=504), "one\nHTTP 504\nthree", "HTTP 504"),
        (Sign(50, curl=18), "one\ncurl: (18) x", "curl: (18) x"),
        (Sign(50, all=("two three",)), "one\ntwo\nthree", "one"),
        (Sign(50, pattern="two three"), "one\ntwo\nthree", "one"),
    ],
)
def test_the_evidence_is_the_line_of_the_sign_or_else_the_first(sign: Sign, text: str, line: str) -> None:
    hit = hit_of(entry("a", sign), passage(text))
    assert hit is not None and hit.evidence() == line
