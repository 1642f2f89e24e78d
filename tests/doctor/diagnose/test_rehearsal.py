"""What midstream would have done is what its engine does with the same facts."""

import pytest

from midstream.doctor.diagnose import rehearsal
from midstream.doctor.diagnose.rehearsal import Rehearsal, Rehearsed
from midstream.doctor.recording.facts import Answered, Finished, How
from midstream.recovery.failure import Kind
from tests.wire import STOP, begin, call, say, sse, start, stopping, text, thinking, whole

HEAD = Answered(200, {"content-type": "text/event-stream"}, "HTTP/1.1")
SAID = sse(start(), begin(0), say(0, "Hello there"))


def play(data: bytes, how: How = How.CLEAN, *, after_s: float | None = None, ended_s: float | None = None) -> Rehearsed:
    played = Rehearsal(HEAD)
    for at in range(0, len(data), 50):
        played.feed(data[at : at + 50], after_s)
    result = played.end(Finished(how), ended_s)
    assert result is not None
    return result


ROWS = [
    (sse(*whole(text(0, "Hi"))), "nothing", None, 1),
    (sse(*whole(text(0, "Hi"))[:-1]), "adds the stop", Kind.TRUNCATED, 1),
    (SAID, "continues", Kind.TRUNCATED, 1),
    (sse(start()), "restarts", Kind.TRUNCATED, 0),
    (b"", "restarts", Kind.TRUNCATED, 0),
    (sse(start(), *thinking(0, "hm", closed=False)), "restarts", Kind.TRUNCATED, 0),
    (sse(start(), *text(0, "Hi"), *call(1, "{}"), begin(2)), "settles", Kind.TRUNCATED, 2),
    (
        SAID + sse({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}),
        "continues",
        Kind.OVERLOADED,
        1,
    ),
    (SAID + sse({"type": "error", "error": {"type": "invalid_request_error"}}), "gives up", Kind.REJECTED, 1),
    (SAID + b"data: nonsense\n\n", "continues", Kind.GARBLED, 1),
    (sse(start(), *call(0, '{"a"'), stopping("tool_use"), STOP), "restarts", Kind.GARBLED, 0),
]


@pytest.mark.parametrize(("data", "action", "kind", "shown"), ROWS)
def test_the_engine_says_what_it_would_have_done(data: bytes, action: str, kind: Kind | None, shown: int) -> None:
    result = play(data)
    assert (result.action, result.failure and result.failure.kind, result.shown) == (action, kind, shown)
    assert result.sentence.endswith(".")


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (How.INCOMPLETE, Kind.DISCONNECTED),
        (How.RESET, Kind.DISCONNECTED),
        (How.STREAM_RESET, Kind.DISCONNECTED),
        (How.BROKEN, Kind.DISCONNECTED),
        (How.CLOSED, Kind.TRUNCATED),
        (How.UNKNOWN, Kind.TRUNCATED),
        (How.TIMEOUT, Kind.SILENT),
    ],
)
def test_the_end_of_the_transport_is_told_to_it(how: How, kind: Kind) -> None:
    result = play(SAID, how)
    assert result.failure is not None and result.failure.kind is kind and result.action == "continues"


def test_the_times_of_the_recording_count() -> None:
    played = Rehearsal(HEAD)
    played.feed(SAID, 1.0)
    played.feed(sse(say(0, "much later")), 1000.0)
    result = played.end(Finished(How.CLEAN), 1001.0)
    assert result is not None and result.failure is not None and result.failure.kind is Kind.SILENT


def test_the_model_of_the_reply_decides_how_it_is_continued() -> None:
    old = sse(start(model="claude-haiku-4-5"), begin(0), say(0, "Hello there"))
    assert "prefix" in play(old).sentence and "turn" in play(SAID).sentence


@pytest.mark.parametrize(("status", "action"), [(529, "restarts"), (400, "gives up"), (504, "restarts")])
def test_an_error_of_http_is_rehearsed_too(status: int, action: str) -> None:
    played = Rehearsal(Answered(status, {}))
    played.feed(b'{"type":"error","error":{"type":"x","message":"y"}}', None)
    result = played.end(Finished(How.CLEAN), None)
    assert result is not None and result.action == action


def test_without_a_reply_and_without_a_head() -> None:
    result = Rehearsal(None).end(Finished(How.NO_ANSWER), None)
    assert result is not None and result.failure is not None and result.failure.kind is Kind.UNREACHABLE
    played = Rehearsal(None)
    played.feed(SAID, None)
    result = played.end(Finished(How.UNKNOWN), None)
    assert result is not None and result.action == "continues"


def test_the_request_counts_where_the_recording_has_it() -> None:
    asked = b'{"model":"m","messages":[{"role":"user","content":"x"}],"thread":{"id":"t"}}'
    played = Rehearsal(HEAD, asked)
    played.feed(SAID, None)
    result = played.end(Finished(How.CLEAN), None)
    assert result is not None and result.action == "gives up" and "thread" in result.sentence


def test_an_empty_reply_without_a_head_is_one_of_200() -> None:
    result = Rehearsal(None).end(Finished(How.UNKNOWN), None)
    assert result is not None and result.failure is not None and result.failure.kind is Kind.TRUNCATED


def test_a_recording_that_is_too_long_is_not_rehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "REHEARSED_BYTES_MAX", 100)
    played = Rehearsal(HEAD)
    played.feed(SAID, None)
    assert played.over and played.end(Finished(How.CLEAN), None) is None
