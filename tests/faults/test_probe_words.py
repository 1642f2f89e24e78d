"""A question stays under every bound, and what is no question is refused in a sentence."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.faults import probe_words
from midstream.faults.probe_words import Ask, Refused, Rest, Send, event, read_ask

ID = "0123456789abcdef"


def raw(**changed: Any) -> bytes:
    return json.dumps({"midstream_probe": 1, "do": "play", "stream": ID, **changed}).encode()


def test_a_question_is_read_with_blanks_behind_it() -> None:
    steps = [{"step": "send", "times": 3, "every_s": 0.5, "bytes": 80}, {"step": "rest", "seconds": 2, "ping_s": 1}]
    assert read_ask(raw(steps=steps, end="rst", hints=True) + b" " * 1000) == Ask(
        1, "play", stream=ID, steps=(Send(3, 0.5, 80), Rest(2, 1)), end="rst", hints=True
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no question"),
        (b"\xff\xfe", "no question"),
        (b"[1]", "no question"),
        (raw(midstream_probe=2), "version 1"),
        (raw(do="dance"), "no question"),
        (raw(stream=None), "needs a name"),
        (raw(stream="../../etc"), "no question"),
        (raw(more=1), "no question"),
        (raw(before_s=-1), "no question"),
        (raw(before_s=1e9), "no question"),
        (raw(steps=[{"step": "send", "bytes": 1 << 30}]), "no question"),
        (raw(steps=[{"step": "rest", "seconds": 1}] * 17), "no question"),
        (raw(steps=[{"step": "send", "times": 8000, "bytes": 1000}]), "bytes were asked for"),
        (raw(steps=[{"step": "send", "times": 8000, "every_s": 1}]), "seconds were asked for"),
        (raw(steps=[{"step": "rest", "seconds": 3000}, {"step": "rest", "seconds": 3000}]), "seconds were asked for"),
        (raw(steps=[{"step": "rest", "seconds": 3000, "ping_s": 0.001}]), "pieces were asked for"),
        (raw(steps=[{"step": "rest", "seconds": 3000, "ping_s": 1e-300}]), "pieces were asked for"),
    ],
)
def test_what_is_no_question_or_too_much_is_refused_in_a_sentence(body: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        read_ask(body)
    assert refused.value.status == 400 and "\n" not in str(refused.value)


@given(st.binary())
def test_any_bytes_are_a_question_or_are_refused(body: bytes) -> None:
    try:
        read_ask(body)
    except Refused:
        pass


@given(st.integers(0, 8000), st.floats(0, 4000), st.integers(100, 100_000))
def test_an_event_has_the_size_that_was_asked_for_and_is_json(number: int, at_s: float, size_bytes: int) -> None:
    made = event(number, at_s, size_bytes)
    assert len(made) == size_bytes and made.endswith(b"\n\n")
    assert json.loads(made.split(b"data: ")[1])["number"] == number


def test_the_bounds_leave_room_for_the_longest_probe() -> None:
    hour = Ask(1, "play", stream=ID, steps=(Send(), Rest(3600, 1), Send()))
    probe_words.within_bounds(hour)
