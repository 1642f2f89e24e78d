"""What is played is decided without I/O: the same fault on the same reply is the same performance."""

import json

import pytest

from midstream.faults.acts import End, Hang, Pause, Performance, PingsForEver, Scene, Send, Trickle, TrickleSize
from midstream.faults.catalogue import BEDROCK_EXCEPTIONS, ERROR_EVENTS, HTTP_ERRORS, KINDS, Kind, Wire
from midstream.faults.play import PLAYERS, play, playable, whole
from midstream.faults.reply import Reply
from midstream.faults.script import parse_fault
from tests.faults.raw import events_of, messages_of

REPLY = Reply.builtin("everything")


def perform(script: str, wire: Wire = "sse", *, reply: Reply = REPLY, pace_s: float = 0.0) -> Performance:
    scene = Scene(parse_fault(script), reply.frames(wire), wire, reply.message, "req_1")
    return play(scene, pace_s=pace_s)


def body(performance: Performance) -> bytes:
    return b"".join(act.data for act in performance.acts if isinstance(act, Send))


EMPTY = Reply.from_events([])
ONE_ERROR = Reply.from_events([{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}])


@pytest.mark.parametrize("reply", [REPLY, EMPTY, ONE_ERROR], ids=["whole", "empty", "one error"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_fault_can_be_played_on_any_reply_at_any_place(kind: Kind, reply: Reply) -> None:
    for wire in kind.wires:
        for place in ("", "@byte=0", "@byte=5", "@event=1", "@event=3-1", "@100%") if kind.place else ("",):
            performance = perform(kind.name + place, wire, reply=reply)
            assert performance == perform(kind.name + place, wire, reply=reply)
            ends = [act for act in performance.acts if isinstance(act, End | Hang | PingsForEver | TrickleSize)]
            # Either there is no response, or it has exactly one end, at its end.
            assert (ends == [] and performance.before) or [performance.acts[-1]] == ends


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_fault_is_playable_on_the_wires_of_its_entry(kind: Kind) -> None:
    assert [wire for wire in ("sse", "bedrock") if playable(kind.name, wire)] == list(kind.wires)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ERROR_EVENTS)
def test_an_error_event_is_the_envelope_of_the_api(name: str) -> None:
    error = events_of(body(perform(f"{name}@event=2 code=some_code")))[-1]
    message = ERROR_EVENTS[name]
    inner = {"type": name, "message": message, "details": {"error_code": "some_code"}}
    assert error == {"type": "error", "error": inner, "request_id": "req_1"}


def test_an_error_can_be_the_first_event_of_all() -> None:
    assert [event["type"] for event in events_of(body(perform("overloaded@event=0")))] == ["error"]


@pytest.mark.parametrize("name", BEDROCK_EXCEPTIONS)
def test_an_exception_frame_is_the_one_of_aws(name: str) -> None:
    headers, payload = messages_of(body(perform(f"{name}@event=1", "bedrock")))[-1]
    assert headers == {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    assert json.loads(payload)["message"] == BEDROCK_EXCEPTIONS[name]


def test_a_model_stream_error_says_which_status_it_stands_for() -> None:
    _, payload = messages_of(body(perform("modelStreamError@event=1 original-status=529", "bedrock")))[-1]
    assert json.loads(payload)["originalStatusCode"] == 529


def test_an_exhausted_midstream_says_so_inside_its_error() -> None:
    assert events_of(body(perform("error-exhausted")))[-1]["error"]["midstream"] == {"exhausted": True}


def test_a_spend_limit_is_named_by_its_code() -> None:
    details = events_of(body(perform("error-spend-limit")))[-1]["error"]["details"]
    assert details == {"error_code": "enforced_spend_limit_reached"}


def test_errors_without_a_type_of_their_own_stand_under_an_error_event() -> None:
    for name in ("error-openai", "error-untyped"):
        block = body(perform(name)).split(b"\n\n")[-2]
        assert block.startswith(b"event: error\n") and b'"type":"error"' not in block


@pytest.mark.parametrize("status", HTTP_ERRORS)
def test_an_http_error_has_the_envelope_of_its_service(status: int) -> None:
    error_type, text, aws_name = HTTP_ERRORS[status]
    anthropic = perform(f"{status} code=some_code")
    assert anthropic.status == status
    inner = {"type": error_type, "message": text, "details": {"error_code": "some_code"}}
    assert json.loads(body(anthropic)) == {"type": "error", "error": inner, "request_id": "req_1"}
    aws = perform(str(status), "bedrock")
    assert json.loads(body(aws)) == {"message": text} and aws.headers["x-amzn-errortype"] == aws_name


def test_an_http_error_may_be_a_page_or_nothing() -> None:
    page, nothing = perform("502 body=html retry-after=9"), perform("502 body=empty")
    assert b"<html>" in body(page) and page.headers["retry-after"] == "9" and page.status == 502
    assert body(nothing) == b"" and nothing.status == 502


def test_time_is_in_the_acts_and_not_in_the_player() -> None:
    assert isinstance(perform("pings-only every=3").acts[-1], PingsForEver)
    assert perform("pings-only every=3").acts[-1].every_s == 3.0  # type: ignore[union-attr]
    trickle = next(act for act in perform("trickle@byte=10 every=2").acts if isinstance(act, Trickle))
    whole_body = b"".join(frame.raw for frame in REPLY.frames("sse"))
    assert (trickle.every_s, trickle.data) == (2.0, whole_body[10:])


def test_pace_waits_between_two_frames_and_nowhere_else() -> None:
    acts = perform("cut-fin@event=3", pace_s=0.5).acts
    assert [type(act) for act in acts] == [Send, Pause, Send, Pause, Send, End]


def test_refused_says_for_how_long() -> None:
    assert (perform("refused").refuse_s, perform("refused for=2").refuse_s) == (0.0, 2.0)


def test_a_whole_answer_is_json() -> None:
    assert whole({"a": 1}, 418, {"x": "y"}).headers == {"content-type": "application/json", "x": "y"}


def test_no_two_faults_of_a_kind_look_the_same() -> None:
    """A player that ignored which fault it plays would make two names one."""
    seen: dict[object, str] = {}
    for kind in KINDS:
        performance = perform(kind.name, kind.wires[0])
        key = (performance.status, body(performance), performance.before, performance.gzip, repr(performance.acts[-2:]))
        assert key not in seen, f"{kind.name} is the same as {seen.get(key)}"
        seen[key] = kind.name
    assert len(seen) == len(PLAYERS)
