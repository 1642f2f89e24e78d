"""The report that a person reads."""

from typing import Any

import pytest

from midstream.doctor.diagnose.diagnosis import Diagnosis, Place
from midstream.doctor.diagnose.run import diagnose
from midstream.doctor.diagnose.stream import Outcome
from midstream.doctor.diagnose.tell import facts_of, is_healthy, report_of
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Fact, Finished, How, Remark
from midstream.doctor.render import Report, to_json, to_text
from tests.wire import STOP, begin, call, say, sse, start, stopping, text, whole

HEAD = Answered(200, {"server": "nginx/1.22"}, "HTTP/1.1", 0.2)
SAID = sse(start(), begin(0), say(0, "The hidden words"))


def report(data: bytes, how: How = How.UNKNOWN, *, show: bool = False, **end: Any) -> Report:
    facts: list[Fact] = [Asked(at_s=0.0), HEAD, Arrived(data, 1.0), Finished(how, **end)]
    return report_of(diagnose(facts), "reply.txt", show=show)


def test_a_healthy_stream_is_good() -> None:
    told = report(sse(*whole(text(0, "Hi"))), How.CLEAN)
    assert told.severity == "good" and told.verdict.startswith("complete: 6 events") and not told.findings


def test_a_cut_by_a_limit_names_the_limit_its_owner_and_the_setting() -> None:
    told = to_text(report(SAID, How.INCOMPLETE, at_s=61.0), 200)
    for words in (
        "truncated at byte",
        "cut by an idle limit",
        "60.0 s",
        "nginx",
        "`proxy_read_timeout`",
        "[idle-limit]",
        "itself names nginx",
    ):
        assert words in told


def test_whoever_stands_on_the_way_may_have_been_set_to_the_length_of_somebody_elses_default() -> None:
    told = to_text(report(SAID, How.INCOMPLETE, at_s=6.0), 200)
    assert "limits of that length: httpx" in told
    assert "nginx stands on the way: 60 s, unless it was set otherwise" in told
    assert "nginx: `proxy_read_timeout`" in told


def test_a_limit_of_curls_is_told_to_be_its_own() -> None:
    told = to_text(report(SAID, How.TIMEOUT, at_s=6.0, code=28), 200)
    assert "curl ended it by a limit of its own" in told and "`--max-time`" in told and "httpx" not in told


def test_the_error_code_of_a_reset_names_who_sends_it() -> None:
    assert "nginx, Apache, Envoy" in to_text(report(SAID, How.STREAM_RESET, code=2), 200)


def test_half_a_call_is_named() -> None:
    told = to_text(report(sse(start(), *call(0, '{"a"', name="pay", closed=False))))
    assert "the call of 'pay' must not be run" in told and "what can still be used" in told


@pytest.mark.parametrize("write", [to_text, to_json])
def test_contents_are_shown_only_if_asked_for(write: Any) -> None:
    assert "hidden" not in write(report(SAID))
    assert "The hidden words" in write(report(SAID, show=True))


def test_what_the_service_said_of_its_error_is_told_without_secrets() -> None:
    error = {"type": "error", "error": {"type": "authentication_error", "message": "bad key sk-ant-api03-abcdefghij"}}
    told = to_text(report(SAID + sse(error)), 300)
    assert "authentication_error" in told and "bad key" in told and "abcdefghij" not in told
    assert "`midstream explain authentication_error`" in told


def test_the_other_outcomes_are_told_in_a_sentence() -> None:
    assert report(b"<html>").verdict.startswith("not the protocol: a page")
    assert (
        report(b'data: {"object":"chat.completion.chunk"}\n\n').verdict
        == "not the protocol: this is OpenAI chat completions, server-sent events"
    )
    assert report(sse(*whole(text(0, "x"))[:-1])).verdict.endswith("without its last event (message_stop)")
    refused = report_of(diagnose([Answered(529, {}), Arrived(b"{}"), Finished(How.CLEAN)]), "x")
    assert refused.verdict == "error: HTTP 529: overloaded"
    assert report_of(diagnose([]), "x").verdict.startswith("truncated before the first byte")


def test_a_refusal_tells_its_category() -> None:
    stop = stopping("refusal")
    stop["delta"]["stop_details"] = {"category": "cyber"}
    assert "category cyber" in to_text(report(sse(start(), *text(0, "x"), stop, STOP)))


def test_a_reply_that_nothing_frames_is_told_as_evidence() -> None:
    assert "neither content-length nor chunks" in to_text(report(SAID, How.CLOSED), 200)


def test_several_streams_are_counted_and_the_ill_ones_told_first() -> None:
    one = sse(*whole(text(0, "Hi")))
    facts: list[Fact] = [Remark("about it")]
    for cut in (9999, 300, 9999):
        facts += [Answered(200, {}), Arrived(one[:cut]), Finished(How.CLEAN)]
    examined = diagnose(facts)
    told = report_of(examined, "x")
    assert told.verdict == "several streams in one file: 2 complete, 1 truncated"
    assert told.findings[0].place.startswith("stream 2: byte 300") and ("about the file", "about it") in told.facts
    assert len(told.data["streams"]) == 3 and not is_healthy(examined)
    assert is_healthy(diagnose([Arrived(one)]))


def test_what_came_behind_the_end_is_told() -> None:
    one = sse(*whole(text(0, "Hi")))
    assert ("behind the end", "1 events that no client reads") in report(one + sse(STOP)).facts
    assert ("behind the end", "9 bytes of an event that is cut") in report(one + b"event: pi").facts


def test_an_error_tells_its_request_and_how_long_to_wait() -> None:
    head = Answered(529, {"request-id": "req_7", "retry-after": "12", "server": "x"}, "HTTP/2")
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    told = to_text(report_of(diagnose([head, Arrived(body), Finished(How.CLEAN)]), "x"))
    assert "request id req_7" in told and "wait 12 s" in told and "HTTP/2 529 from x" in told


def test_a_har_tells_its_times_without_a_silence() -> None:
    facts: list[Fact] = [Asked(at_s=0.0), HEAD, Arrived(SAID), Finished(How.INCOMPLETE, "", 15.1)]
    told = to_text(report_of(diagnose(facts), "x"), 200)
    assert "cut by a limit on the whole reply" in told and "silence at the end" not in told and "Envoy" in told


def test_what_is_not_known_is_not_told() -> None:
    rows = facts_of(Diagnosis(Outcome.TRUNCATED, "unknown", Place(0, 0)))
    assert rows == (("protocol", "unknown"), ("stop reason", "none came"))


def test_a_block_without_a_text_has_no_end_to_show() -> None:
    told = report(sse(start(), begin(0)), show=True)
    assert not [table for table in told.tables if "as received" in table.title]


def test_streams_that_are_only_counted_count() -> None:
    examined = diagnose([Arrived(sse(*whole(text(0, "Hi"))))])
    examined.more, examined.more_ill = 5, 1
    told = report_of(examined, "x")
    assert told.severity == "error" and "5 more, 1 of them not healthy" in told.verdict and not is_healthy(examined)
