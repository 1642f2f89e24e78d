"""Telling subscribers. What a journal promises about it is in tests/conformance."""

import logging
from collections.abc import Sequence

import pytest

from midstream.journal.port import Kind, Record
from midstream.journal.subscribers import Subscribers

SHOWN, FACT, ENDED = Record(Kind.SHOWN, b"x", 1, 1), Record(Kind.FACT, b"f"), Record(Kind.ENDED, b"e")


def test_only_those_of_the_stream_are_told_and_only_what_consumers_may_see() -> None:
    subscribers, a, b = Subscribers(), [], []
    subscribers.add("a", a.extend)
    subscribers.add("b", b.extend)
    subscribers.tell("a", [FACT, SHOWN, ENDED])
    subscribers.tell("c", [SHOWN])
    assert (a, b) == ([SHOWN, ENDED], [])


def test_nobody_is_told_of_nothing() -> None:
    subscribers, told = Subscribers(), []
    subscribers.add("a", told.append)
    subscribers.tell("a", [FACT])
    assert told == []


def test_bound_methods_are_found_again() -> None:
    class One:
        def take(self, records: Sequence[Record]) -> None:
            raise AssertionError("was told")

    subscribers, one, other = Subscribers(), One(), []
    subscribers.add("a", one.take)
    subscribers.add("a", other.extend)
    subscribers.remove("a", one.take)
    subscribers.remove("a", one.take)
    subscribers.tell("a", [SHOWN])
    assert other == [SHOWN]
    subscribers.remove("a", other.extend)
    assert subscribers._of == {}


def test_who_is_removed_by_another_meanwhile_is_told_no_more() -> None:
    subscribers, told = Subscribers(), []
    subscribers.add("a", lambda records: subscribers.remove("a", told.extend))
    subscribers.add("a", told.extend)
    last: list[Record] = []
    subscribers.add("a", last.extend)
    subscribers.tell("a", [SHOWN])
    assert (told, last) == ([], [SHOWN])


def test_one_that_raises_is_logged_by_its_type_alone(caplog: pytest.LogCaptureFixture) -> None:
    def broken(records: Sequence[Record]) -> None:
        raise ValueError("contents")

    subscribers, told = Subscribers(), []
    subscribers.add("a", broken)
    subscribers.add("a", told.extend)
    subscribers.tell("a", [SHOWN])
    assert told == [SHOWN]
    assert [(r.name, r.levelno) for r in caplog.records] == [("midstream.journal", logging.ERROR)]
    assert "ValueError" in caplog.text and "contents" not in caplog.text
