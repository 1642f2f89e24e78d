"""What can be used of what came, and what must not be."""

from typing import Any

from midstream.doctor.diagnose.diagnosis import Diagnosis
from midstream.doctor.diagnose.run import diagnose
from midstream.doctor.diagnose.usable import ROWS_MAX, must_not_run, rows_of
from midstream.doctor.recording.facts import Arrived, Finished, How
from tests.wire import STOP, begin, call, result, say, sse, start, stopping, text, thinking


def diagnosed(*events: Any, how: How = How.UNKNOWN) -> Diagnosis:
    flat = [event for part in events for event in (part if isinstance(part, list) else [part])]
    (one,) = diagnose([Arrived(sse(*flat)), Finished(how)]).diagnoses
    return one


def uses(*events: Any, how: How = How.UNKNOWN) -> list[str]:
    return [use.partition(":")[0] for _, _, use in rows_of(diagnosed(*events, how=how))]


HALF = call(1, '{"a":', closed=False, name="pay")


def test_of_a_cut_reply_the_text_is_shown_and_half_a_call_is_not_run() -> None:
    one = diagnosed(start(), text(0, "I will pay."), HALF)
    assert [row[0] for row in rows_of(one)] == ["0 text", "1 tool_use pay"]
    assert uses(start(), text(0, "I will pay."), HALF) == ["use it", "must not be run"]
    assert must_not_run(one) == ["pay"]


def test_a_text_that_was_cut_is_not_the_whole() -> None:
    assert uses(start(), begin(0), say(0, "Hel"))[0].startswith("show it")


def test_a_whole_call_may_be_run_once_it_is_known_to_be_whole() -> None:
    assert uses(start(), text(0, "x"), call(1, "{}")) == ["use it", "use it"]
    # Without a fragment it is known to be whole only when something follows.
    assert uses(start(), text(0, "x"), call(1)) == ["use it", "must not be run"]


def test_thinking_without_what_follows_and_calls_without_a_result_are_dropped() -> None:
    assert uses(start(), thinking(0, "hm")) == ["drop it"]
    assert uses(start(), text(0, "x"), call(1, "{}", type="server_tool_use")) == ["use it", "drop it"]
    assert uses(start(), text(0, "x"), call(1, "{}", type="server_tool_use"), result(2), begin(3)) == ["use it"] * 3 + [
        "drop it"
    ]


def test_a_complete_reply_is_used_but_what_a_limit_cut_is_not_run() -> None:
    assert uses(start(), text(0, "x"), call(1, "{}"), stopping("tool_use"), STOP) == ["use it", "use it"]
    assert uses(start(), text(0, "x"), call(1, "{}"), stopping("max_tokens"), STOP) == ["use it", "must not be run"]
    assert uses(start(), text(0, "x"), call(1, '{"a"'), stopping("max_tokens"), STOP) == ["use it", "must not be run"]
    assert uses(start(), text(0, "x"), stopping("max_tokens"), STOP) == ["cut by the limit"]


def test_of_a_refusal_nothing_is_used() -> None:
    assert uses(start(), text(0, "x"), call(1, "{}"), stopping("refusal"), STOP) == ["discard", "must not be run"]


def test_what_was_not_rehearsed_is_used_with_care() -> None:
    found = uses(start(), text(0, "x"), HALF, how=How.STOPPED)
    assert found == ["use it with care", "must not be run"]


def test_a_long_list_is_cut_in_the_middle() -> None:
    rows = rows_of(diagnosed(start(), *[text(number, "x") for number in range(60)]))
    assert len(rows) == ROWS_MAX and rows[4] == ("…", "37 more", "") and rows[-1][0] == "59 text"
