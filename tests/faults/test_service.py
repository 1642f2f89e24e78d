"""The one state behind the players: attempts by stream, refusals before faults, the style of the model."""

import json
from typing import Any

import pytest

from midstream.faults.acts import Performance, Send
from midstream.faults.reply import Reply
from midstream.faults.script import Script, ScriptError, parse_fault
from midstream.faults.service import ATTEMPTS_MAX, STREAMS_MAX, Attempt, Service, as_script
from tests.faults.raw import REQUEST, events_of

TEXT = Reply.builtin("text").text


def resume(words: str, part: str = TEXT[:300]) -> dict[str, Any]:
    turn = {"role": "assistant", "content": [{"type": "text", "text": part}]}
    return {**REQUEST, "messages": [*REQUEST["messages"], turn, {"role": "user", "content": words}]}


PREFILL = {**REQUEST, "messages": [*REQUEST["messages"], {"role": "assistant", "content": TEXT[:300]}]}
TURN = resume(f"Begin with <last_words>{TEXT[260:300]}</last_words>.")


def body(performance: Performance) -> bytes:
    return b"".join(act.data for act in performance.acts if isinstance(act, Send))


def text_of(performance: Performance) -> str:
    deltas = [event["delta"] for event in events_of(body(performance)) if event["type"] == "content_block_delta"]
    return "".join(delta.get("text", "") for delta in deltas)


def test_attempts_are_counted_by_stream_and_by_script_without_a_key() -> None:
    service = Service("503; then ok")
    keyed = [service.respond(REQUEST, key=key).status for key in ("a", "b", "a", "b")]
    assert keyed == [503, 503, 200, 200]
    assert [service.respond(REQUEST).status for _ in range(2)] == [503, 200]
    other = Script.parse("429; 500")
    assert [service.respond(REQUEST, script=other).status for _ in range(3)] == [429, 500, 200]


def test_a_resume_is_answered_by_the_rest_in_the_style_that_was_chosen() -> None:
    for service, opening in (
        (Service("cut-clean"), f"<last_words>{TEXT[260:300]}</last_words>"),
        (Service("cut-clean", model="exact"), ""),
        (Service("cut-clean; model=bare-anchor", model="exact"), TEXT[260:300]),
    ):
        service.respond(REQUEST, key="k")
        assert text_of(service.respond(TURN, key="k")) == opening + TEXT[300:]
        cut = service.requests[-1].cut
        assert cut is not None and (cut.block, cut.offset, cut.mode) == (0, 300, "turn")


def test_a_fault_can_break_the_continuation_too() -> None:
    service = Service("cut-clean; cut-clean@event=4")
    service.respond(REQUEST, key="k")
    assert len(events_of(body(service.respond(TURN, key="k")))) == 4


def test_the_api_refuses_before_a_stream_begins_and_an_overload_comes_before_that() -> None:
    for script, status in (("ok", 400), ("cut-rst", 400), ("529", 529)):
        service = Service(script)
        performance = service.respond(PREFILL, key="k")
        assert performance.status == status
        assert "does not support assistant message prefill" in str(service.requests[0].refused)
    envelope = json.loads(body(Service().respond(PREFILL)))
    assert (
        envelope["type"] == "error" and envelope["error"]["type"] == "invalid_request_error" and envelope["request_id"]
    )
    aws = Service().respond(PREFILL, wire="bedrock")
    assert (aws.status, aws.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert set(json.loads(body(aws))) == {"message"}


def test_the_rules_can_be_for_resumes_only_or_for_nothing() -> None:
    own_prefill = {**REQUEST, "messages": [*REQUEST["messages"], {"role": "assistant", "content": "Well,"}]}
    statuses = {
        mode: [Service(rules=mode).respond(request).status for request in (own_prefill, PREFILL)]
        for mode in ("on", "resume", "off")
    }
    assert statuses == {"on": [400, 400], "resume": [200, 400], "off": [200, 200]}


def test_the_model_of_the_path_counts_where_the_body_names_none() -> None:
    without = {name: value for name, value in PREFILL.items() if name != "model"}
    assert Service().respond(without, wire="bedrock", model="anthropic.claude-haiku-4-5-v1:0").status == 200
    assert Service().respond(without, wire="bedrock", model="anthropic.claude-sonnet-5-5").status == 400


def test_each_attempt_has_its_own_request_id() -> None:
    service = Service()
    ids = [service.respond(REQUEST).headers["request-id"] for _ in range(3)]
    assert len(set(ids)) == 3 and "x-amzn-requestid" in service.respond(REQUEST, wire="bedrock").headers


def test_what_is_not_streamed_is_the_whole_message_whatever_the_stream_would_have_met() -> None:
    assert json.loads(body(Service("cut-rst").respond(REQUEST, streaming=False))) == Reply.builtin("text").message()
    assert Service("529").respond(REQUEST, streaming=False).status == 529


def test_the_reply_is_the_recorded_one_unless_the_script_names_another() -> None:
    service = Service(reply=Reply.builtin("tools"))
    assert b"toolu_" in body(service.respond(REQUEST))
    assert b"toolu_" not in body(service.respond(REQUEST, script=Script.parse("reply=text")))


@pytest.mark.parametrize(
    "options", [{"model": "meek"}, {"rules": "maybe"}, {"script": "reply=novel"}, {"script": "model=x"}]
)
def test_an_option_that_makes_no_sense_is_told_at_once(options: dict[str, str]) -> None:
    with pytest.raises(ScriptError, match="is one of"):
        Service(**options)  # type: ignore[arg-type]


def test_a_fault_of_another_wire_cannot_be_played() -> None:
    service = Service("bad-crc")
    with pytest.raises(ScriptError, match="cannot be played on the sse wire, only on bedrock"):
        service.respond(REQUEST)
    assert service.respond(REQUEST, wire="bedrock").status == 200


def test_a_script_may_be_a_text_a_fault_or_a_script() -> None:
    fault = parse_fault("cut-rst")
    assert as_script("cut-rst") == as_script(fault) == as_script(Script.once(fault))


def test_whoever_asked_for_it_is_told_of_each_attempt() -> None:
    told: list[Attempt] = []
    service = Service(on_attempt=told.append)
    service.respond(REQUEST)
    assert told == service.requests and told[0].number == 1


def test_a_server_that_runs_for_weeks_does_not_grow() -> None:
    service = Service("400")
    for n in range(STREAMS_MAX + 5):
        service.respond({}, key=str(n))
    assert len(service.requests) == ATTEMPTS_MAX and len(service._streams) == STREAMS_MAX
    assert service.requests[-1].key == str(STREAMS_MAX + 4)
