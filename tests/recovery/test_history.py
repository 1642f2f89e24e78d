"""The records: plain, JSON-able, and empty to begin with."""

import json
from dataclasses import FrozenInstanceError, asdict

import pytest

from midstream.recovery.history import NAME_CHARS_MAX, AttemptRecord, DroppedRecord, History, SeamRecord, fit


def test_a_history_begins_with_nothing() -> None:
    history = History()
    assert (history.attempts, history.seams, history.dropped) == ([], (), ())
    assert not (history.settled or history.stop_added or history.shown_live or history.complete or history.gave_up)
    assert history.slept_s == 0.0
    assert History().attempts is not history.attempts


def test_an_attempt_that_has_not_ended_is_a_lower_bound() -> None:
    record = AttemptRecord(1, "first", 0.0, 10.0)
    assert record.usage_is_lower_bound
    assert not record.showed
    assert record.usage == {}
    record.usage = {"output_tokens": 3}
    assert AttemptRecord(2, "restart", 0.0, 0.0).usage == {}
    assert (record.ended_at, record.status, record.failure, record.stop_reason) == (None, None, None, None)


def test_seams_and_drops_are_facts_and_do_not_change() -> None:
    for record in (SeamRecord(2, 0, 10, "element", 31), DroppedRecord(1, "tool_use", "look", "not finished")):
        with pytest.raises(FrozenInstanceError):
            record.attempt = 3  # type: ignore[misc]


def test_everything_is_plain_json() -> None:
    history = History([AttemptRecord(1, "first", 0.0, 0.0)], (SeamRecord(2, 0, 1, "none", 0),))
    history.dropped += (DroppedRecord(1, "thinking", None, "why"),)
    assert json.loads(json.dumps(asdict(history)))["seams"][0]["rule"] == "none"


@pytest.mark.parametrize(
    ("name", "fitted"),
    [
        ("look", "look"),
        (None, ""),
        (7, ""),
        ({}, ""),
        ("a\nb\x00c", "a\ufffdb\ufffdc"),
        ("\ud800", "\ufffd"),
        ("é😀", "é😀"),
    ],
)
def test_a_name_from_outside_is_made_fit_for_one_line(name: object, fitted: str) -> None:
    assert fit(name) == fitted
    assert fit("x" * 10_000) == "x" * NAME_CHARS_MAX
