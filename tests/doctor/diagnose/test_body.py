"""One body: its framing, and the streams in it."""

from typing import Any

import pytest

from midstream.doctor.diagnose import body as module
from midstream.doctor.diagnose.body import Body
from midstream.doctor.diagnose.diagnosis import Diagnosis
from midstream.doctor.diagnose.stream import Outcome
from midstream.doctor.diagnose.timing import Stopwatch
from midstream.doctor.recording.facts import Answered, Finished, How
from midstream.faults.wire import chunk, dumps
from midstream.protocol.sse import FRAME_BYTES_MAX
from tests.wire import begin, say, sse, start, text, whole

EVENTS = whole(text(0, "Hello"))
ONE = sse(*EVENTS)


def judged(data: bytes, step: int = 37, *, status: int | None = None, **headers: str) -> list[Diagnosis]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = Body(None, None if status is None else Answered(status, named, "HTTP/1.1"), Stopwatch(None))
    for at in range(0, len(data), step):
        body.feed(data[at : at + step], None)
    return body.end(Finished(How.UNKNOWN))


def outcomes(found: list[Diagnosis]) -> list[str]:
    return [one.outcome.value for one in found]


@pytest.mark.parametrize("step", [1, 37, 1 << 16])
@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        (ONE, "Messages, server-sent events"),
        (b"\xef\xbb\xbf" + ONE, "Messages, server-sent events"),
        (b"\r\n\n" + ONE, "Messages, server-sent events"),
        (b"".join(chunk(dumps(event)) for event in EVENTS), "Messages, AWS event stream"),
    ],
)
def test_either_framing_is_known_by_its_first_bytes(data: bytes, protocol: str, step: int) -> None:
    (one,) = judged(data, step)
    assert (one.outcome, one.protocol) == (Outcome.COMPLETE, protocol)
    assert one.place.byte == len(data)


def test_streams_behind_each_other_are_told_one_by_one() -> None:
    second = sse(*whole(text(0, "Hello"), id="msg_2"))
    found = judged(ONE + second + sse(start("msg_3"), begin(0)))
    assert outcomes(found) == ["complete", "complete", "truncated"]
    assert [one.begin for one in found] == [0, len(ONE), len(ONE + second)]
    assert [one.place.byte for one in found] == [
        len(ONE),
        len(ONE + second),
        len(ONE + second) + len(sse(start("msg_3"), begin(0))),
    ]


def test_a_stream_that_another_follows_ends_where_that_begins() -> None:
    half = sse(start(), begin(0), say(0, "Hel"))
    found = judged(half + sse(*whole(text(0, "Hello"), id="msg_2")))
    assert outcomes(found) == ["truncated", "complete"]
    assert found[0].place.byte == len(half)


def test_of_very_many_streams_the_number_is_known_and_of_the_ill_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAMS_MAX", 3)
    body = Body(None, None, Stopwatch(None))
    for number in range(10):
        events: list[Any] = whole(text(0, "Hello"), id=f"msg_{number}")
        body.feed(sse(*(events if number % 2 else events[:3])), None)
    assert len(body.end(Finished(How.UNKNOWN))) == 4
    assert (body.more_streams, body.more_ill) == (6, 3)


@pytest.mark.parametrize("status", [400, 429, 500, 302])
def test_the_body_of_an_error_status_is_an_error_whatever_it_looks_like(status: int) -> None:
    (one,) = judged(ONE, status=status, content_type="text/event-stream")
    assert one.outcome is Outcome.ERROR and one.head is not None


def test_an_error_status_without_a_body_is_an_error_too() -> None:
    (one,) = judged(b"", status=529)
    assert one.outcome is Outcome.ERROR and one.failure is not None and one.failure.status == 529


def test_bytes_that_go_on_for_ever_without_a_blank_line_are_not_gathered() -> None:
    body = Body(None, None, Stopwatch(None))
    for _ in range(3 * FRAME_BYTES_MAX // (1 << 20)):
        body.feed(b"data: " + b"x" * (1 << 20), None)
    (one,) = body.end(Finished(How.UNKNOWN))
    assert one.outcome is Outcome.NOT_THE_PROTOCOL
    assert body._frames is not None and len(body._frames.pending) < FRAME_BYTES_MAX + (3 << 20)


@pytest.mark.parametrize("size", [len(ONE) - 2, len(ONE) - 1])
def test_a_last_event_counts_without_its_blank_line_also_as_the_first_of_a_stream(size: int) -> None:
    (one,) = judged(ONE[:size])
    assert one.outcome is Outcome.COMPLETE
    found = judged(ONE + sse(start("msg_2"))[:-2])
    assert outcomes(found) == ["complete", "truncated"] and found[1].begin == len(ONE)


def test_white_space_is_nothing_yet() -> None:
    (one,) = judged(b"\n" * 50)
    assert one.outcome is Outcome.TRUNCATED and one.events == 0


def test_a_document_is_read_up_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOCUMENT_BYTES_MAX", 1000)
    body = Body(None, None, Stopwatch(None))
    for _ in range(10):
        body.feed(b"<html>" + b"x" * 500, None)
    assert body._document is not None and len(body._document) == 1000
    (one,) = body.end(Finished(How.UNKNOWN))
    assert one.outcome is Outcome.NOT_THE_PROTOCOL
