"""A recording becomes diagnoses, exchange by exchange."""

import io

import pytest

from midstream.doctor.diagnose import run as module
from midstream.doctor.diagnose.run import diagnose, examine
from midstream.doctor.diagnose.stream import Outcome
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Finished, How, Remark
from tests.wire import sse, text, whole

ONE = sse(*whole(text(0, "Hello")))
OK = Answered(200, {}, "HTTP/2")


def outcomes(examined: module.Examined) -> list[str]:
    return [one.outcome.value for one in examined.diagnoses]


def test_each_exchange_is_told() -> None:
    facts = [Asked(), OK, Arrived(ONE), Finished(How.CLEAN), Asked(), OK, Arrived(ONE[:300]), Finished(How.RESET)]
    examined = diagnose(facts)
    assert outcomes(examined) == ["complete", "truncated"] and examined.bytes == len(ONE) + 300
    assert [one.finished.how for one in examined.diagnoses if one.finished] == [How.CLEAN, How.RESET]


def test_a_head_that_only_another_head_follows_is_no_exchange() -> None:
    assert outcomes(diagnose([Answered(100), Answered(302), OK, Arrived(ONE), Finished(How.CLEAN)])) == ["complete"]


def test_an_exchange_without_an_end_ends_with_the_next_or_with_the_file() -> None:
    assert outcomes(diagnose([OK, Arrived(ONE), OK, Arrived(ONE[:300])])) == ["complete", "truncated"]
    assert outcomes(diagnose([OK, Arrived(ONE), Asked(), OK, Arrived(ONE[:300])])) == ["complete", "truncated"]


def test_a_head_without_a_body_is_an_empty_reply() -> None:
    assert outcomes(diagnose([OK, Finished(How.CLEAN)])) == ["truncated"]
    assert outcomes(diagnose([Asked(), Finished(How.NO_ANSWER)])) == ["truncated"]
    assert outcomes(diagnose([Asked()])) == ["truncated"]


@pytest.mark.parametrize("data", [b"", b"\n"])
def test_an_empty_file_is_a_stream_that_never_began(data: bytes) -> None:
    (one,) = examine(io.BytesIO(data)).diagnoses
    assert one.outcome is Outcome.TRUNCATED and one.events == 0


@pytest.mark.parametrize("at", [0, 1, 100, len(ONE) - 1, len(ONE), len(ONE) + 50])
def test_it_can_be_asked_what_a_cut_would_have_been(at: int) -> None:
    (one,) = examine(io.BytesIO(ONE + ONE), at=at).diagnoses[:1]
    (same,) = examine(io.BytesIO(ONE[:at])).diagnoses
    assert (one.outcome, one.place.byte) == (same.outcome, same.place.byte)


def test_a_cut_may_lie_in_a_later_part() -> None:
    (one,) = diagnose([OK, Arrived(ONE[:200]), Arrived(ONE[200:])], at=250).diagnoses
    assert one.place.byte == 250


def test_what_the_file_is_like_is_kept_with_bounds() -> None:
    remarks = diagnose([Remark(f"remark {number}") for number in range(100)]).remarks
    assert len(remarks) == module.REMARKS_MAX


def test_of_many_exchanges_the_first_are_told_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DIAGNOSES_MAX", 2)
    facts = [fact for cut in (9999, 9999, 9999, 300) for fact in (OK, Arrived(ONE[:cut]), Finished(How.CLEAN))]
    examined = diagnose(facts)
    assert (len(examined.diagnoses), examined.more, examined.more_ill) == (2, 2, 1)


def test_reading_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_BYTES_MAX", 1000)
    examined = diagnose([OK, *[Arrived(ONE[:400])] * 100])
    assert examined.bytes == 1200 and "stopped" in examined.remarks[0]
