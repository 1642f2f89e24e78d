"""A diagnosis as data: plain values, and nothing of the reply."""

import json

from midstream.doctor.diagnose.diagnosis import Place
from midstream.doctor.diagnose.run import diagnose
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Finished, How
from tests.wire import begin, call, say, sse, start, text, whole


def test_it_is_plain_json_without_contents() -> None:
    data = sse(start(), *text(0, "the secret words"), *call(1, '{"secret": "words', closed=False))
    facts = [Asked(at_s=0.0), Answered(200, {"server": "nginx"}, "HTTP/1.1", 0.1), Arrived(data, 0.2)]
    (one,) = diagnose([*facts, Finished(How.INCOMPLETE, "lost", 60.2)]).diagnoses
    fields = json.loads(json.dumps(one.to_dict()))
    assert "secret" not in json.dumps(fields) and "secret" not in repr(one)
    assert fields["outcome"] == "truncated" and fields["healthy"] is False
    assert fields["block"]["name"] == "look" and fields["blocks"][0]["chars"] == 16
    assert fields["failure"]["kind"] == "disconnected" and fields["ended"]["how"] == "incomplete"
    assert fields["limit"]["kind"] == "idle" and fields["limit"]["known"][0]["whose"] == "nginx"
    assert fields["timing"]["silence_s"] == 60.0 and fields["midstream"] == {"action": "continues", "shown_blocks": 1}


def test_what_is_not_known_is_null() -> None:
    (one,) = diagnose([Arrived(sse(*whole(text(0, "x"))))]).diagnoses
    fields = one.to_dict()
    assert fields["healthy"] is True
    assert [fields[name] for name in ("failure", "timing", "limit", "status", "block", "stop_missing")] == [None] * 6


def test_a_place_is_read_as_a_clause() -> None:
    assert str(Place(1204, 12)) == "byte 1,204, at event 12"
    (one,) = diagnose([Arrived(sse(start(), begin(0), say(0, "x")))]).diagnoses
    assert "in block 0 (text)" in str(one.place)
