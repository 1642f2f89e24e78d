"""The words that drivers and engine share."""

from typing import get_args

import pytest

from midstream.recovery import steps
from midstream.recovery.failure import BREAKS
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Step, Wait


def test_there_are_five_facts_and_four_wishes() -> None:
    assert set(get_args(Input)) == {Opened, Received, Ended, Broke, Elapsed}
    assert set(get_args(Wait)) == {Open, Read, Sleep, Done}


@pytest.mark.parametrize("word", [*get_args(Input), *get_args(Wait), Step])
def test_a_word_does_not_change_and_says_what_it_means(word: type) -> None:
    assert word.__struct_config__.frozen  # type: ignore[attr-defined]
    assert word.__doc__ and word.__doc__.strip().endswith(".")


def test_words_are_equal_by_value() -> None:
    assert Read(3.0) == Read(3.0, None) != Read(3.0, 2.0)
    assert Done() == Done(None)


@pytest.mark.parametrize("reason", BREAKS)
def test_every_reason_that_is_classified_is_documented(reason: str) -> None:
    source = steps.__loader__.get_source(steps.__name__)  # type: ignore[union-attr]
    assert f"``{reason}``" in source
