"""Real messages find the entry that should explain them, and what is unrelated finds none.

Rule: a third is held out. No matcher was tuned on it, and of it only how many are right is ever told.
"""

import hashlib
import tomllib
from pathlib import Path

import pytest

from midstream.doctor.entries import catalogue
from midstream.doctor.explain import explain

MESSAGES = tomllib.loads(Path(__file__).with_name("corpus.toml").read_text("utf-8"))["message"]

SHARE_MIN = 0.95


def held_out(text: str) -> bool:
    """Whether this one belongs to the third that nobody tunes on."""
    return hashlib.sha256(text.encode()).digest()[0] % 3 == 0


def is_right(message: dict[str, str]) -> bool:
    found = explain(message["text"]).best
    return (found.id if found else "") == message["entry"]


OPEN = [message for message in MESSAGES if not held_out(message["text"])]
HELD_OUT = [message for message in MESSAGES if held_out(message["text"])]


def test_the_corpus_is_large_enough_and_each_message_has_a_source() -> None:
    assert len(MESSAGES) >= 150 and len(HELD_OUT) >= len(MESSAGES) / 4
    assert all(message["source"] and message["text"].strip() for message in MESSAGES)
    assert len({message["text"] for message in MESSAGES}) == len(MESSAGES)
    assert {message["entry"] for message in MESSAGES} - {""} <= catalogue().keys()
    assert sum(not message["entry"] for message in MESSAGES) >= 20


@pytest.mark.parametrize("message", OPEN, ids=lambda message: message["entry"] or "none")
def test_a_message_finds_the_entry_that_explains_it(message: dict[str, str]) -> None:
    assert is_right(message)


def test_of_those_held_out_nearly_all_find_it() -> None:
    right = sum(map(is_right, HELD_OUT))
    # Nothing but two numbers: an assertion about the texts would show them.
    assert right / len(HELD_OUT) >= SHARE_MIN, f"{right} of {len(HELD_OUT)}"


def test_of_those_held_out_that_are_unrelated_nearly_none_finds_an_entry() -> None:
    unrelated = [message for message in HELD_OUT if not message["entry"]]
    right = sum(map(is_right, unrelated))
    assert unrelated and right / len(unrelated) >= SHARE_MIN, f"{right} of {len(unrelated)}"
