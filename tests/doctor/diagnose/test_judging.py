"""What became of a stream, by the contract's §3."""

from typing import Any

import pytest

from midstream.doctor.diagnose.diagnosis import Diagnosis
from midstream.doctor.diagnose.judging import is_unframed, judge_document
from midstream.doctor.diagnose.run import diagnose
from midstream.doctor.diagnose.stream import Outcome
from midstream.doctor.recording.facts import Answered, Arrived, Fact, Finished, How
from midstream.faults.wire import chunk, dumps, message
from midstream.recovery.failure import Kind
from tests.wire import PING, STOP, begin, call, end, say, sse, start, stopping, text, thinking, whole

HEAD = Answered(200, {"transfer-encoding": "chunked"}, "HTTP/1.1")
SAID = [start(), begin(0), say(0, "Hello")]
THROTTLED = message({":message-type": "exception", ":exception-type": "throttlingException"}, b"{}")
ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def diagnosed(*parts: Any, how: How = How.UNKNOWN, head: Answered | None = HEAD) -> Diagnosis:
    body = b"".join(part if isinstance(part, bytes) else sse(part) for part in parts)
    facts: list[Fact] = [*([head] if head else []), *([Arrived(body)] if body else []), Finished(how)]
    (one,) = diagnose(facts).diagnoses
    return one


C, T, E, N = Outcome.COMPLETE, Outcome.TRUNCATED, Outcome.ERROR, Outcome.NOT_THE_PROTOCOL

ROWS: dict[str, tuple[list[Any], Outcome, str, Kind | None]] = {
    "whole": (whole(text(0, "Hi")), C, "", None),
    "whole but for its last blank line": ([sse(*whole(text(0, "Hi")))[:-1]], C, "", None),
    "whole, and noise behind it": ([*whole(text(0, "Hi")), PING, b": bye\n\n", b"data: [DONE]\n\n"], C, "", None),
    "no message_stop": (whole(text(0, "Hi"))[:-1], C, "message_stop", None),
    "an error behind the stop reason": ([*whole(text(0, "Hi"))[:-1], ERROR], C, "message_stop", Kind.OVERLOADED),
    "rubbish behind the stop reason": ([*whole(text(0, "Hi"))[:-1], b"data: x\n\n"], C, "message_stop", Kind.GARBLED),
    "a message_stop without a stop reason": ([*SAID, end(0), STOP], N, "", Kind.GARBLED),
    "a call that does not parse though all is well": (
        [start(), *call(0, '{"a"'), stopping("tool_use"), STOP], N, "", Kind.GARBLED
    ),
    "a call that max_tokens has cut": ([start(), *call(0, '{"a"'), stopping("max_tokens"), STOP], C, "", None),
    "inside a text": (SAID, T, "", Kind.TRUNCATED),
    "inside an event": ([*SAID, b"event: content_block_de"], T, "", Kind.TRUNCATED),
    "before the first event": ([PING], T, "", Kind.TRUNCATED),
    "nothing": ([], T, "", Kind.TRUNCATED),
    "white space": ([b"\r\n\r\n"], T, "", Kind.TRUNCATED),
    "half a word": ([b"eve"], T, "", Kind.TRUNCATED),
    "half a byte order mark": ([b"\xef\xbb"], T, "", Kind.TRUNCATED),
    "half a frame": ([chunk(dumps(start()))[:30]], T, "", Kind.DISCONNECTED),
    "an error event": ([*SAID, ERROR], E, "", Kind.OVERLOADED),
    "an error and nothing else": ([ERROR], E, "", Kind.OVERLOADED),
    "an exception frame": (
        [chunk(dumps(start())), THROTTLED],
        E, "", Kind.RATE_LIMITED
    ),
    "an error in a chunk": ([chunk(dumps(start())), chunk(dumps(ERROR))], E, "", Kind.OVERLOADED),
    "a damaged frame": ([chunk(dumps(start())), chunk(dumps(PING))[:-1] + b"\0"], N, "", Kind.GARBLED),
    "a page": ([b"<html><body>502</body></html>"], N, "", Kind.GARBLED),
    "an error body": ([b'{"type":"error","error":{"type":"api_error","message":"x"}}'], E, "", Kind.SERVER_ERROR),
    "a text": ([b"It was a dark and stormy night.\n"], N, "", Kind.GARBLED),
    "another service's stream": ([b'data: {"object":"chat.completion.chunk"}\n\n'], N, "", None),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_stream_is_called_what_it_is(name: str) -> None:
    parts, outcome, missing, kind = ROWS[name]
    one = diagnosed(*parts)
    assert (one.outcome, one.stop_missing) == (outcome, missing)
    assert (one.failure.kind if one.failure is not None else None) is kind
    assert one.healthy == (outcome is C and not missing and one.stop_reason == "end_turn")


@pytest.mark.parametrize("how", [how for how in How if how not in (How.NO_ANSWER,)])
def test_a_complete_stream_is_complete_however_the_connection_ended(how: How) -> None:
    assert diagnosed(*whole(text(0, "Hi")), how=how).healthy


def test_the_place_of_a_cut_is_the_byte_the_event_and_the_block() -> None:
    size = len(sse(*SAID))
    between = diagnosed(*SAID).place
    assert (between.byte, between.event, between.inside, between.after) == (size, 3, False, "content_block_delta")
    inside = diagnosed(*SAID, b"event: cont").place
    assert (inside.byte, inside.event, inside.inside) == (size + 11, 3, True)
    assert str(inside) == f"byte {size + 11:,}, inside event 3, in block 0 (text)"


def test_the_place_of_a_failure_is_the_event_that_brought_it() -> None:
    place = diagnosed(*SAID, ERROR, say(0, "more")).place
    assert (place.byte, place.event, place.after) == (len(sse(*SAID)), 3, "content_block_delta")
    half = diagnosed(start(), *text(0, "x"), *call(1, '{"a"'), stopping("tool_use"), STOP).place
    assert half.block is not None and half.block.name == "look" and half.byte == half.block.begin


def test_what_is_left_open_by_who_recorded_it_is_not_rehearsed() -> None:
    assert diagnosed(*SAID, how=How.STOPPED).rehearsed is None
    assert "not known" in diagnosed(*SAID, how=How.STOPPED).not_rehearsed
    assert "pass" in diagnosed({"type": "completion", "completion": "x", "stop_reason": None}).not_rehearsed


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!doctype html>", "page"),
        (b'{"type":"message","content":[]}', "whole message"),
        (b'{"choices":[]}', "OpenAI"),
        (b"[1]", "document"),
    ],
)
def test_a_document_is_named(body: bytes, words: str) -> None:
    one = judge_document(body, None, Finished(How.UNKNOWN), None)
    assert one.outcome is N and one.failure is not None and words in one.failure.detail


def test_a_thought_that_was_cut_is_in_its_block() -> None:
    one = diagnosed(start(), *thinking(0, "hm", closed=False))
    assert one.place.block is not None and one.place.block.type == "thinking" and one.model == "claude-sonnet-5-5"


@pytest.mark.parametrize(
    ("version", "headers", "unframed"),
    [
        ("HTTP/1.1", {}, True),
        ("HTTP/1.0", {}, True),
        ("HTTP/1.1", {"transfer-encoding": "chunked"}, False),
        ("HTTP/1.1", {"content-length": "5"}, False),
        ("HTTP/2", {}, False),
        ("", {}, False),
    ],
)
def test_a_body_that_nothing_frames_is_known(version: str, headers: dict[str, str], unframed: bool) -> None:
    assert is_unframed(Answered(200, headers, version)) is unframed
    assert not is_unframed(None)
