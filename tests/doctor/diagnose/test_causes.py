"""Why a stream ended as it did."""

from typing import Any

import pytest

from midstream.doctor.diagnose.causes import CAUSES, STOP_REASONS, causes_of
from midstream.doctor.diagnose.run import diagnose
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Fact, Finished, How
from tests.wire import STOP, begin, say, sse, start, stopping, text, whole

SAID = sse(start(), begin(0), say(0, "Hello"))
ONE = whole(text(0, *"Hello you"))


def causes(
    data: bytes, how: How = How.UNKNOWN, *, at: float | None = None, ended: float | None = None, status: int = 200
) -> list[str]:
    timed = None if at is None else 0.0
    facts: list[Fact] = [Asked(at_s=timed), *([Answered(status, {}, "HTTP/2", timed)] if status else [])]
    (one,) = diagnose([*facts, *([Arrived(data, at)] if data else []), Finished(how, "", ended)]).diagnoses
    return causes_of(one)


ROWS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "healthy": ({"data": sse(*ONE)}, []),
    "an idle limit": ({"data": SAID, "how": How.INCOMPLETE, "at": 1.0, "ended": 61.0}, ["idle-limit"]),
    "an idle limit that ends it cleanly": (
        {"data": SAID, "how": How.CLEAN, "at": 1.0, "ended": 61.0}, ["idle-limit", "silent-cut"]
    ),
    "a total limit": ({"data": SAID, "how": How.STREAM_RESET, "at": 15.0, "ended": 15.0}, ["total-limit"]),
    "the client's timeout": ({"data": SAID, "how": How.TIMEOUT, "at": 1.0, "ended": 9.0}, ["client-timeout"]),
    "the client left": ({"data": SAID, "how": How.STOPPED}, ["client-left"]),
    "no reply": ({"data": b"", "how": How.NO_ANSWER}, ["no-answer"]),
    "a silent cut": ({"data": SAID, "how": How.CLEAN}, ["silent-cut"]),
    "a close without framing": ({"data": SAID, "how": How.CLOSED}, ["silent-cut"]),
    "a reset": ({"data": SAID, "how": How.RESET}, ["cut"]),
    "a cut while bytes were flowing": ({"data": SAID, "how": How.INCOMPLETE, "at": 7.0, "ended": 7.1}, ["cut"]),
    "an empty file": ({"data": b"", "status": 0}, ["nothing"]),
    "an empty reply": ({"data": b"", "how": How.CLEAN}, ["silent-cut"]),
    "a bare file": ({"data": SAID}, ["cut-unknown"]),
    "an error event": ({"data": SAID + sse({"type": "error", "error": {"type": "api_error"}})}, ["stream-error"]),
    "an error status": ({"data": b"{}", "status": 529}, ["http-error"]),
    "a page": ({"data": b"<html>"}, ["not-a-stream"]),
    "another service": ({"data": b'data: {"object":"chat.completion.chunk"}\n\n'}, ["not-a-stream"]),
    "rubbish in the middle": ({"data": SAID + b"data: x\n\n"}, ["garbled"]),
    "no message_stop": ({"data": sse(*ONE[:-1])}, ["stop-missing"]),
    "max_tokens": ({"data": sse(*ONE[:-2], stopping("max_tokens"), STOP)}, ["max-tokens"]),
    "max_tokens and no stop": ({"data": sse(*ONE[:-2], stopping("max_tokens"))}, ["max-tokens", "stop-missing"]),
    "a refusal": ({"data": sse(*ONE[:-2], stopping("refusal"), STOP)}, ["refusal"]),
    "the window": ({"data": sse(*ONE[:-2], stopping("model_context_window_exceeded"), STOP)}, ["context-window"]),
    "a stop that was asked for": ({"data": sse(*ONE[:-2], stopping("stop_sequence"), STOP)}, []),
    "all at once": ({"data": sse(*ONE), "how": How.CLEAN, "at": 9.0, "ended": 9.0}, ["batched"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_stream_that_ended_so_has_this_cause(name: str) -> None:
    given, expected = ROWS[name]
    assert causes(**given) == expected


def test_every_cause_of_the_table_is_shown_above_and_says_what_to_do() -> None:
    assert {cause for _, expected in ROWS.values() for cause in expected} == CAUSES.keys()
    assert set(STOP_REASONS.values()) < CAUSES.keys()
    for cause in CAUSES.values():
        assert cause.title and cause.means.endswith(".") and cause.fix.endswith(".")
