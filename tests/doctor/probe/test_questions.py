"""Every question stays within what a far end plays, up to the longest probe."""

import msgspec
import pytest

from midstream.doctor.probe import questions
from midstream.doctor.probe.questions import Question
from midstream.faults.probe_words import read_ask, within_bounds

ID = "0" * 16
ALL = [
    questions.DELIVERY,
    questions.DELIVERY_HINTED,
    questions.DELIVERY_PACKED,
    questions.TAIL,
    questions.CUT_FIN,
    questions.CUT_RST,
    questions.LEAVE,
    *(
        make(seconds)
        for make in (questions.silence, questions.pings, questions.flow, questions.before)
        for seconds in (3.0, 3600.0)
    ),
]


@pytest.mark.parametrize("question", ALL, ids=lambda question: f"{question.name} {question.lasts_s:g}")
def test_a_far_end_plays_every_question(question: Question) -> None:
    ask = question.ask(ID, "token")
    within_bounds(ask)
    assert read_ask(msgspec.json.encode(ask)) == ask and ask.do == "play"


def test_a_question_of_a_size_is_no_stream() -> None:
    assert questions.body(1000).ask(ID, "").do == "hello" and questions.head(1000).pad_head_bytes == 1000


def test_a_question_lasts_as_long_as_its_steps() -> None:
    assert questions.silence(60).lasts_s == 60 and questions.before(60).lasts_s == 60
    assert questions.DELIVERY.lasts_s == pytest.approx(1.0) and questions.flow(60).lasts_s == pytest.approx(60)


def test_who_leaves_does_so_in_the_silence_and_hears_of_it_before_the_rest() -> None:
    assert 0.2 < questions.LEAVE_AT_S < 0.2 + questions.LEAVE_REST_S - 1.2


def test_the_same_question_can_be_asked_in_another_version() -> None:
    assert questions.DELIVERY.over("h2").protocol == "h2"
