"""The seam (the contract, §7), by rules, by tables, and in any chunking."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.recovery.seam import Anchor, Join, MarkerScan, PrefixJoin, anchor_of

SHOWN = "The quick brown fox jumps over the lazy dog, and then it sleeps under the old tree.\n\nNext, the"
QUOTE = anchor_of(SHOWN).text
OPEN, CLOSE, MARK = "<last_words>", "</last_words>", "<reply_complete/>"
HOLD_CHARS = 2000


def join_of(shown: str = SHOWN, hold_chars: int = HOLD_CHARS) -> Join:
    return Join(shown, anchor_of(shown), "last_words", "reply_complete", hold_chars=hold_chars)


def played(join: Join, *pieces: str) -> str:
    return "".join([join.feed(piece) for piece in pieces]) + join.end()


RULES = [
    # Rule 1: the element.
    pytest.param(SHOWN, f"{OPEN}{QUOTE}{CLOSE} bear.", " bear.", "element", "joined", id="obeys"),
    pytest.param(
        SHOWN,
        f"{OPEN}{QUOTE}{CLOSE}\n\n bear.",
        "\n\n bear.",
        "element",
        "joined",
        id="white space after is the reply's",
    ),
    pytest.param(SHOWN, f"\n {OPEN}{QUOTE}{CLOSE} bear.", " bear.", "element", "joined", id="white space before"),
    pytest.param(SHOWN, f"{OPEN}\n{QUOTE}\n{CLOSE} bear.", " bear.", "element", "joined", id="white space inside"),
    pytest.param(
        SHOWN, f"Sure, going on:\n\n{OPEN}{QUOTE}{CLOSE} bear.", " bear.", "element", "joined", id="a lead-in line"
    ),
    pytest.param(
        SHOWN, f"Sure: {OPEN}{QUOTE}{CLOSE} bear.", " bear.", "element", "joined", id="a lead-in on the same line"
    ),
    pytest.param(
        SHOWN,
        f"{OPEN}{QUOTE} bear{CLOSE} came.",
        " bear came.",
        "element",
        "joined",
        id="words beyond belong to the reply",
    ),
    pytest.param(
        SHOWN, f"{OPEN}\n{QUOTE} bear\n{CLOSE} came.", " bear came.", "element", "joined", id="words beyond, laid out"
    ),
    pytest.param(
        SHOWN,
        f"{OPEN}dog, and then it sleeps under {QUOTE}{CLOSE} bear.",
        " bear.",
        "element",
        "joined",
        id="quotes more",
    ),
    pytest.param(
        SHOWN,
        f"{OPEN}it said {QUOTE} bear{CLOSE}.",
        " bear.",
        "element",
        "joined",
        id="words before are not the reply's",
    ),
    pytest.param(SHOWN, f"{OPEN}{' '.join(QUOTE.split())}{CLOSE} bear.", " bear.", "element", "joined", id="reflowed"),
    pytest.param("I", f"{OPEN}I{CLOSE} am", " am", "element", "joined", id="a very short anchor"),
    pytest.param(
        "I", f"{OPEN}Is I{CLOSE} am", "s I am", "element", "joined", id="a very short anchor stands at the start"
    ),
    pytest.param("I", f"{OPEN}So I{CLOSE} am", "So I am", "tags", "joined", id="and nowhere else"),
    pytest.param(
        SHOWN + "\n", f"{OPEN}{QUOTE}{CLOSE}\nbear", "bear", "element", "joined", id="blanks it left out, said again"
    ),
    pytest.param(
        SHOWN + "\n", f"{OPEN}{QUOTE}{CLOSE}bear", "bear", "element", "joined", id="blanks it left out, not said again"
    ),
    pytest.param(
        SHOWN + "\n",
        f"{OPEN}{QUOTE}\n{CLOSE}\nbear",
        "\nbear",
        "element",
        "joined",
        id="blanks it said are not dropped twice",
    ),
    pytest.param(SHOWN + "\n\n", f"{OPEN}{QUOTE}{CLOSE}\n", "\n", "element", "joined", id="fewer blanks are new ones"),
    pytest.param(
        SHOWN, f"{OPEN}other words{CLOSE} bear.", "other words bear.", "tags", "joined", id="the anchor is not in it"
    ),
    pytest.param(
        SHOWN, f"{OPEN}{'other words ' * 5}{CLOSE}!", "other words " * 5 + "!", "tags", "joined", id="nor in many words"
    ),
    pytest.param(SHOWN, f"{OPEN}{CLOSE} bear.", " bear.", "tags", "joined", id="empty"),
    pytest.param(SHOWN, "<last_words/> bear.", " bear.", "tags", "joined", id="empty, in one tag"),
    pytest.param(
        SHOWN,
        f"{OPEN}{QUOTE}{CLOSE} bear {OPEN}{QUOTE}{CLOSE}.",
        f" bear {QUOTE}.",
        "element",
        "joined",
        id="tags are never shown",
    ),
    pytest.param(SHOWN, f"a\nb {OPEN}{QUOTE}{CLOSE}", f"a\nb {QUOTE}", "none", "joined", id="two lines are no lead-in"),
    pytest.param(
        SHOWN, f"{'a' * 81}{OPEN}{QUOTE}{CLOSE}", f"{'a' * 81}{QUOTE}", "none", "joined", id="a long line is no lead-in"
    ),
    # The marker.
    pytest.param(SHOWN, MARK, "", "none", "complete", id="was complete"),
    pytest.param(SHOWN, f"\n{MARK}\nDone.", "", "none", "complete", id="nothing after the marker is shown"),
    pytest.param(SHOWN, f"{OPEN}{QUOTE}{CLOSE}{MARK}", "", "element", "complete", id="after the element"),
    pytest.param(
        SHOWN, f"{OPEN}{QUOTE}{CLOSE}\n{MARK}", "", "element", "complete", id="white space before the marker is its own"
    ),
    pytest.param(
        SHOWN, f"{OPEN}{QUOTE}{CLOSE} bear.{MARK}", " bear.", "element", "complete", id="after the last words"
    ),
    pytest.param(SHOWN, f"bear.{MARK}", "bear.", "none", "complete", id="words before the marker are kept"),
    pytest.param(
        SHOWN, f"bear.{MARK}{OPEN}{QUOTE}{CLOSE}", "bear.", "none", "complete", id="the marker before the element"
    ),
    pytest.param(SHOWN, "<reply_complete> x", "", "none", "complete", id="a marker that was not closed"),
    # Rule 2: the anchor alone.
    pytest.param(SHOWN, f"{QUOTE} bear.", " bear.", "anchor", "joined", id="the anchor without its tags"),
    pytest.param(SHOWN, f" {QUOTE} bear.", f" {QUOTE} bear.", "none", "joined", id="only at the very start"),
    pytest.param("I", "I am", "I am", "none", "joined", id="a short anchor is a word like any other"),
    pytest.param(
        "la " * 300 + "x " + "la " * 300, "la " * 70, "la " * 70, "none", "joined", id="not unique: legitimate"
    ),
    # Rule 3: starts over.
    pytest.param(SHOWN, f"{SHOWN} bear.", " bear.", "restart", "joined", id="starts over"),
    pytest.param(
        "\n\n" + SHOWN, f"{SHOWN} bear.", " bear.", "restart", "joined", id="starts over without leading blanks"
    ),
    pytest.param("\n\n" + SHOWN, f"\n\n{SHOWN} bear.", " bear.", "restart", "joined", id="starts over with them"),
    pytest.param(SHOWN, SHOWN[:70] + "?", SHOWN[:70] + "?", "none", "joined", id="diverges: kept"),
    pytest.param(SHOWN, SHOWN[:70], SHOWN[:70], "none", "joined", id="ends before: kept"),
    pytest.param(SHOWN, SHOWN, "", "restart", "nothing", id="says it all again, and no more"),
    pytest.param(SHOWN[:63], SHOWN[:63] + "?", SHOWN[:63] + "?", "none", "joined", id="shorter than 64: kept"),
    # Rule 4: keep.
    pytest.param(SHOWN, " bear.", " bear.", "none", "joined", id="goes on without a word"),
    pytest.param(SHOWN, "the old tree.", "the old tree.", "none", "joined", id="a short overlap is kept"),
    pytest.param(SHOWN, "a < b", "a < b", "none", "joined", id="a sign that begins no tag"),
    pytest.param(SHOWN, "a <", "a <", "none", "joined", id="a sign at the end"),
    # Nothing came of it.
    pytest.param(SHOWN, "", "", None, "nothing", id="nothing"),
    pytest.param(SHOWN, " \n", " \n", "none", "joined", id="blanks alone are kept"),
    pytest.param(SHOWN, f"{OPEN}{QUOTE}{CLOSE}", "", "element", "nothing", id="the element alone"),
    pytest.param(SHOWN, f"{OPEN}{QUOTE} bear", "", None, "failed", id="unfinished"),
    pytest.param(SHOWN, f"Sure:\n{OPEN}", "", None, "failed", id="unfinished after a lead-in"),
    pytest.param(SHOWN, "<last_wo", "", None, "failed", id="a tag that was cut off"),
    pytest.param(SHOWN, f"{OPEN} {CLOSE}", "", "tags", "failed", id="empty and nothing else"),
]


@pytest.mark.parametrize(("shown", "said", "expected", "rule", "verdict"), RULES)
def test_a_join_is_decided_by_rule_whatever_the_chunking(shown, said, expected, rule, verdict):
    chunkings = [[said], list(said)] + [[said[:at], said[at:]] for at in range(1, len(said))]
    dropped = set()
    for pieces in chunkings:
        join = join_of(shown)
        assert (played(join, *pieces), join.rule, join.verdict) == (expected, rule, verdict), pieces
        assert join.decided
        assert join.complete == (verdict == "complete")
        dropped.add(join.dropped)
    assert len(dropped) == 1


@pytest.mark.parametrize(
    ("said", "dropped"),
    [
        (f"{OPEN}{QUOTE}{CLOSE} bear.", len(OPEN + QUOTE + CLOSE)),
        (f"Sure:\n{OPEN}{QUOTE}{CLOSE} bear.", len("Sure:\n" + OPEN + QUOTE + CLOSE)),
        (f"{QUOTE} bear.", len(QUOTE)),
        (f"{SHOWN} bear.", len(SHOWN)),
        (" bear.", 0),
    ],
)
def test_the_report_can_say_how_much_was_dropped(said, dropped):
    join = join_of()
    played(join, said)
    assert join.dropped == dropped


PIECES = st.sampled_from(
    [
        "<",
        ">",
        "/",
        OPEN,
        CLOSE,
        MARK,
        "<last_",
        "<reply_",
        QUOTE,
        QUOTE[:9],
        SHOWN,
        SHOWN[:50],
        " ",
        "\n\n",
        "bear ",
        "é",
        "x" * 90,
    ]
)


@settings(max_examples=400)
@given(
    st.lists(PIECES, max_size=8).map("".join),
    st.lists(st.integers(1, 30), max_size=40),
    st.sampled_from([20, 60, 2000]),
)
def test_no_chunking_changes_the_joined_text(said, sizes, hold_chars):
    whole = join_of(hold_chars=hold_chars)
    expected = played(whole, said)
    by_character = join_of(hold_chars=hold_chars)
    assert played(by_character, *said) == expected
    pieces, at = [], 0
    for size in sizes:
        pieces.append(said[at : at + size])
        at += size
    drawn = join_of(hold_chars=hold_chars)
    assert played(drawn, *pieces, said[at:]) == expected
    assert whole.rule == by_character.rule == drawn.rule
    assert whole.verdict == by_character.verdict == drawn.verdict


WHOLE_TAGS = st.sampled_from(
    [OPEN, CLOSE, MARK, "<last_words />", QUOTE, QUOTE[:9], SHOWN, " ", "\n", "bear ", "x" * 90]
)


@given(st.lists(WHOLE_TAGS, max_size=8).map("".join))
def test_tags_and_marker_are_never_shown(said):
    shown = played(join_of(), *said)
    assert not any(tag in shown for tag in (OPEN, CLOSE, MARK, "<last_words />"))


@given(st.text(alphabet="ab \n<", min_size=64, max_size=150), st.data())
def test_an_obedient_model_is_joined_exactly(truth, data):
    at = data.draw(st.integers(1, len(truth) - 1))
    join = join_of(truth[:at])
    if truth[:at].strip():
        said = OPEN + anchor_of(truth[:at]).text + CLOSE + truth[at:]
        assert truth[:at] + played(join, *said) == truth


def test_text_is_shown_as_soon_as_no_element_can_follow():
    join = join_of()
    assert join.feed("One line.") == ""
    assert join.feed("\nAnother") == "One line.\nAnother"
    assert join.feed(" one") == " one"


def test_the_hold_is_bounded_in_characters():
    join = join_of(hold_chars=100)
    assert join.feed(OPEN + "words " * 10) == ""
    shown = join.feed("words " * 10)
    assert shown == ("words " * 20)[: len(shown)]
    assert join.feed("more" + CLOSE + " bear.") + join.end() == " more bear."
    assert join.rule == "tags"
    assert join.unfinished


def test_without_its_closing_tag_the_anchor_is_dropped_as_one_without_tags():
    join = join_of(hold_chars=60)
    assert played(join, OPEN + QUOTE + " bear" * 20) == " bear" * 20
    assert join.rule == "anchor"


def test_time_decides_with_what_there_is():
    join = join_of()
    assert join.feed("Sure, ") == ""
    assert join.expire() == "Sure,"
    assert join.feed("why not") == " why not"
    assert join.expire() == ""
    assert join.rule == "none"


def test_time_decides_nothing_before_the_first_word():
    join = join_of()
    join.feed("\n")
    assert join.expire() == ""
    assert not join.decided
    assert join.feed(OPEN + QUOTE + CLOSE + "!") == "!"


def test_tags_that_time_cut_apart_are_still_not_shown():
    join = join_of()
    join.feed("Sure: <last_wo")
    assert join.expire() == "Sure:"
    assert join.feed("rds>" + QUOTE + CLOSE + "!") == " " + QUOTE + "!"
    join = join_of()
    join.feed(OPEN + "some")
    assert join.expire() == "some"
    assert join.feed(" words" + CLOSE) + join.end() == " words"


def test_what_repeats_the_shown_text_stays_held_past_time_and_bound():
    join = join_of(SHOWN * 30, hold_chars=50)
    for piece in [SHOWN] * 29:
        assert join.feed(piece) == ""
        assert join.expire() == ""
    assert not join.decided
    assert join.feed(SHOWN + "!") == "!"
    assert (join.rule, join.dropped) == ("restart", len(SHOWN) * 30)


def test_without_anchor_and_names_the_text_passes():
    join = Join("", None, None, None, hold_chars=HOLD_CHARS)
    assert played(join, "", "a ", "<b>") == "a <b>"
    assert join.rule == "none"
    assert Join("", None, None, None, hold_chars=HOLD_CHARS).end() == ""


def test_an_element_that_was_not_to_be_compared_loses_only_its_tags():
    join = Join(SHOWN, None, "last_words", None, hold_chars=HOLD_CHARS)
    assert played(join, f"{OPEN}{QUOTE}{CLOSE}!") == f"{QUOTE}!"


def test_a_quote_without_any_element_asked_for_still_counts():
    join = Join(SHOWN, anchor_of(SHOWN), None, None, hold_chars=HOLD_CHARS)
    assert played(join, *f"{QUOTE}!") == "!"


def test_a_blank_anchor_is_in_no_element():
    join = Join(" ", Anchor(" ", True, False), "last_words", None, hold_chars=HOLD_CHARS)
    assert played(join, f"{OPEN}a{CLOSE}!") == "a!"


@pytest.mark.parametrize(
    ("stripped", "said", "expected"),
    [
        ("", " on", " on"),
        ("\n\n", "\n\nNext", "Next"),
        ("\n\n", "Next", "Next"),
        ("\n\n", "\nNext", "Next"),
        ("\n", "\n\nNext", "\nNext"),
        (" \n", "\nNext", "\nNext"),
        ("  ", " ", ""),
    ],
)
def test_white_space_that_was_stripped_is_restored_once(stripped, said, expected):
    for pieces in ([said], list(said)):
        join = PrefixJoin(stripped)
        assert "".join(map(join.feed, pieces)) + join.end() == expected
        assert join.dropped == len(said) - len(expected)


@pytest.mark.parametrize(
    ("said", "expected", "complete"),
    [
        ("plain\n", "plain\n", False),
        (f"the end.\n\n{MARK} more", "the end.", True),
        (f"a {OPEN}b{CLOSE} c", "a b c", False),
        (f"a\n{CLOSE}\n{MARK}", "a", True),
        ("a <reply_comp", "a <reply_comp", False),
        ("a <<reply_complete />", "a <", True),
        (f"a <las{OPEN}t_words>", "a <last_words>", False),
        (f"a{' ' * 100}{MARK}", "a" + " " * 36, True),
    ],
)
def test_the_marker_ends_the_text_and_is_never_shown(said, expected, complete):
    chunkings = [[said], list(said)] + [[said[:at], said[at:]] for at in range(1, len(said))]
    for pieces in chunkings:
        scan = MarkerScan("reply_complete", "last_words")
        assert "".join(map(scan.feed, pieces)) + scan.end() == expected
        assert scan.complete == complete
        assert scan.feed("x") + scan.end() == ("" if complete else "x")


def test_a_scan_for_nothing_holds_nothing():
    assert MarkerScan(None).feed("a < \n") == "a < \n"
    assert MarkerScan(None, "last_words").feed("a \n") == "a \n"
