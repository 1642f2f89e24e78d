"""The anchor and the names of the tags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.recovery.anchors import ANCHOR_CHARS_MAX, anchor_of, fresh_name

SENTENCE = "The quick brown fox jumps over the lazy dog near the old mill"
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    ("shown", "text", "unique", "strong"),
    [
        pytest.param(SENTENCE, "the lazy dog near the old mill"[4:], True, True, id="24 characters and three words"),
        pytest.param("one two a " + "x" * 30, "two a " + "x" * 30, True, True, id="three words, however long"),
        pytest.param(
            SENTENCE + " \n\n", "lazy dog near the old mill \n\n"[5:], True, True, id="blanks at the end belong to it"
        ),
        pytest.param("I", "I", True, False, id="a shorter text is its own anchor"),
        pytest.param("  ", "  ", True, False, id="blanks alone are never strong"),
        pytest.param("", "", True, False, id="nothing"),
        pytest.param(
            "你好" * 50 + "苏州园林的妙处在于小中见大", None, True, True, id="characters count without spaces"
        ),
        pytest.param("สวัสดีครับวันนี้อากาศดีมากเลยนะครับผม", None, True, True, id="Thai"),
        pytest.param("la " * 200, "la " * 66, False, True, id="at most 200 characters, unique or not"),
        pytest.param("=" * 500, "=" * 200, False, False, id="signs are no words"),
        pytest.param(
            "|---|---|---|---|---|---|---|", "|---|---|---|---|---|---|---|", True, False, id="a table's rule"
        ),
    ],
)
def test_the_anchor_is_the_shortest_suffix_that_is_long_enough_and_unique(shown, text, unique, strong):
    anchor = anchor_of(shown)
    if text is not None:
        assert anchor.text == text
    assert (anchor.unique, anchor.strong) == (unique, strong)
    assert shown.endswith(anchor.text)


def test_a_repeated_ending_makes_the_anchor_longer_until_it_is_unique():
    refrain = "roll on, roll on, to the end of the line.\n"
    shown = "First verse, " + refrain + "Second verse, " + refrain
    anchor = anchor_of(shown)
    assert anchor.unique
    assert anchor.text == "Second verse, " + refrain


def test_scripts_without_spaces_need_no_more_characters_than_others():
    shown = (
        "当然可以。苏州园林的妙处在于“小中见大”：园子不大，却用回廊、假山和水面把空间分成许多层次，走几步景色就变一次。"
    )
    assert len(anchor_of(shown).text) == 24


def test_one_word_that_fills_it_all_is_cut_where_a_part_begins():
    shown = '{"order":{"id":"A-1093","lines":[' + ",".join(f'{{"sku":"BX-{n}","qty":{n}}}' for n in range(30)) + "]}"
    anchor = anchor_of(shown)
    assert len(anchor.text) <= ANCHOR_CHARS_MAX
    assert anchor.text[0].isalnum()
    assert anchor.strong
    assert anchor.unique


@pytest.mark.parametrize("mark", ["\u0301", "\u200d", "\ufe0f", "\U0001f3fd", "\u0e34"])
def test_the_anchor_never_begins_with_a_mark_that_belongs_to_what_is_before_it(mark):
    for length in range(300, 304):
        shown = "a" + ("e" + mark) * length
        assert anchor_of(shown).text[0] == "e"


def test_joined_emoji_are_not_taken_apart():
    assert anchor_of("x" + FAMILY * 60).text[0] in FAMILY[0]


@given(st.text(alphabet=st.sampled_from("ab \n,é你ก\u200d\U0001f469"), max_size=300))
def test_an_anchor_is_a_suffix_and_says_truly_whether_it_is_unique(shown):
    anchor = anchor_of(shown)
    assert shown.endswith(anchor.text)
    assert len(anchor.text) <= ANCHOR_CHARS_MAX
    assert anchor.unique == (shown.find(anchor.text) == len(shown) - len(anchor.text))
    assert not anchor.strong or len(anchor.text) >= 24


@pytest.mark.parametrize(
    ("haystacks", "stops", "name"),
    [
        pytest.param([], [], "last_words", id="nothing in the way"),
        pytest.param(["what are last_words?"], [], "last_words", id="the word alone is no tag"),
        pytest.param(["see <last_words>"], [], "last_words_2", id="taken"),
        pytest.param(
            ["see </last_words>", "and <last_words_2/>"], [], "last_words_3", id="taken twice, closed or empty"
        ),
        pytest.param(["see <last_words_2>"], [], "last_words", id="only another is taken"),
        pytest.param([], ["_2", ""], "last_words", id="a stop sequence elsewhere"),
        pytest.param(["<last_words>"], ["2"], "last_words_3", id="a stop sequence in the suffix"),
        pytest.param([], ["<last_words>"], "last_words_2", id="the tag itself stops"),
        pytest.param([], ["see <last_words>"], "last_words_2", id="the tag would be a part of a stop sequence"),
        pytest.param([], ["<"], None, id="every tag would stop"),
        pytest.param([], ["words"], None, id="every name would stop"),
    ],
)
def test_a_name_is_fresh_or_there_is_none(haystacks, stops, name):
    assert fresh_name("last_words", iter(haystacks), iter(stops)) == name
