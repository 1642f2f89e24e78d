"""What follows a failed attempt: which upstream is asked, when it may be another, and what that changes."""

from typing import Any

import pytest

from midstream.recovery.failure import Kind
from midstream.recovery.past import Past, PastAttempt
from midstream.recovery.policy import Policy
from midstream.recovery.steps import Open, Sleep
from midstream.recovery.surroundings import Route
from tests.wire import (
    PREFIX_MODEL,
    Drive,
    begin,
    call,
    end,
    request,
    result,
    say,
    start,
    stopping,
    text,
    thinking,
    whole,
)

Fields = dict[str, Any]
W = "The quick brown fox jumps over the lazy dog and"
SEARCH = {"type": "server_tool_use", "name": "web_search", "id": "s1"}
PAIR = [*call(0, "{}", **SEARCH), *result(1, "s1")]


class Asked:
    """Answers by a list, and remembers the questions."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.routes: list[Route] = []

    def __call__(self, route: Route) -> int:
        self.routes.append(route)
        return self.answers.pop(0) if self.answers else 0

    @property
    def may_move(self) -> list[bool]:
        return [route.may_move for route in self.routes]


def upstream(drive: Drive) -> int:
    assert isinstance(drive.wait, Open), drive.wait
    return drive.wait.upstream


def test_without_a_route_there_is_one_upstream() -> None:
    drive = Drive()
    assert upstream(drive) == 0
    assert upstream(drive.breaks()) == 0
    assert [record.upstream for record in drive.engine.history.attempts] == [0, 0]


def test_the_route_is_asked_before_the_first_attempt_and_before_each_other() -> None:
    asked = Asked(2, 1, 1)
    drive = Drive(route=asked)
    assert upstream(drive) == 2
    assert asked.routes == [Route(None, None, may_move=True, shown=False)]
    assert upstream(drive.refuses(529)) == 1
    last = asked.routes[-1]
    assert last.last == 2 and last.failure is not None and last.failure.kind is Kind.OVERLOADED
    assert (last.may_move, last.shown) == (True, False)
    drive.attempt(start(), begin(0), say(0, W)).breaks()
    assert asked.routes[-1].shown and asked.routes[-1].last == 1
    assert [record.upstream for record in drive.engine.history.attempts] == [2, 1, 1]


def test_a_service_that_takes_over_is_asked_at_once_and_one_that_failed_gets_its_rest() -> None:
    drive = Drive(route=Asked(0, 1, 0), jitter=1.0).refuses(529)
    assert upstream(drive) == 1
    drive.refuses(529)
    assert drive.wait == Sleep(1.0)
    assert upstream(drive.elapses()) == 0


def test_what_was_shown_since_clears_a_failure() -> None:
    drive = Drive(route=Asked(0, 1, 0), jitter=1.0).refuses(529).attempt(start(), begin(0), say(0, W)).breaks()
    assert upstream(drive) == 0


def test_a_long_retry_after_ends_it_only_where_nobody_takes_over() -> None:
    alone = Drive(route=Asked(0, 0)).refuses(429, retry_after="900")
    assert alone.failure.kind is Kind.RATE_LIMITED
    drive = Drive(route=Asked(0, 1)).refuses(429, retry_after="900")
    assert upstream(drive) == 1
    back = Drive(route=Asked(0, 1, 0), jitter=1.0).refuses(529).refuses(429, retry_after="900")
    assert back.wait == Sleep(1.0)  # its own back-off, not what the other one asked for


def test_a_bad_certificate_is_somebody_s_and_a_rejection_is_everybody_s() -> None:
    assert upstream(Drive(route=Asked(0, 1)).breaks("certificate")) == 1
    assert Drive(route=Asked(0, 0)).breaks("certificate").failure.certificate
    for status in (400, 401, 403, 404):
        assert Drive(route=Asked(0, 1)).refuses(status).failure.kind is Kind.REJECTED
    assert Drive(route=Asked(0, 1)).refuses(529, x_should_retry="false").failure.should_retry is False


def test_attempts_and_budget_count_as_on_one_upstream() -> None:
    left = [True, True, False]
    drive = Drive(route=Asked(0, 1, 2, 3), take_retry=lambda: left.pop(0))
    drive.refuses(529).refuses(529).refuses(529)
    assert drive.failure.kind is Kind.OVERLOADED
    assert "budget" in (drive.engine.history.gave_up or "")
    drive = Drive(policy=Policy(attempts=2), route=Asked(0, 1, 2)).refuses(529).refuses(529)
    assert drive.done and len(drive.engine.history.attempts) == 2


@pytest.mark.parametrize(
    ("body", "signed"),
    [
        (request(), True),
        (request(thread={"id": "t"}), False),
        (request(fallback_credit_token="t"), False),
        (request(container="c"), False),
    ],
)
def test_some_requests_stay_where_they_were_first(body: Fields, signed: bool) -> None:
    asked = Asked(3, 1, 1)
    drive = Drive(body, route=asked, signed_by_caller=signed, jitter=1.0)
    assert upstream(drive) == 3
    drive.refuses(529)
    assert drive.wait == Sleep(0.5)
    assert upstream(drive.elapses()) == 3
    assert asked.may_move == [True, False]


@pytest.mark.parametrize(
    ("parts", "moves"),
    [
        ([*text(0, W)], True),
        ([*thinking(0, "a"), begin(1), say(1, W)], True),
        ([*PAIR, begin(2), say(2, W)], False),
        ([*call(0, "{}", **{**SEARCH, "type": "mcp_tool_use"}), *result(1, "s1", "mcp_tool_result")], False),
        ([begin(0, "compaction"), end(0), *text(1, W)], False),
        ([*text(0, W), *call(1, **SEARCH, closed=False)], False),
        ([*text(0, W), *call(1, '{"a', closed=False)], True),
    ],
)
def test_after_content_another_may_take_over_but_for_blocks_that_stay_at_home(parts: list[Fields], moves: bool) -> None:
    asked = Asked(0, 1)
    drive = Drive(route=asked).attempt(start(), parts).breaks()
    assert asked.may_move == [True, moves]
    assert upstream(drive) == int(moves)


def test_a_reply_with_a_container_stays_there() -> None:
    asked = Asked(0, 1)
    drive = Drive(route=asked).attempt(start(container={"id": "c"}), text(0, W), begin(1, "novel")).breaks()
    assert asked.may_move == [True, False]
    assert drive.sent[-1] is not None and drive.sent[-1]["container"] == "c"


def test_what_was_dropped_once_keeps_it_at_home_for_good() -> None:
    asked = Asked(0, 1, 1)
    drive = Drive(route=asked).attempt(start(), text(0, W), call(1, **SEARCH, closed=False)).breaks()
    drive.breaks()
    assert asked.may_move == [True, False, False]
    assert upstream(drive) == 0


def test_what_was_dropped_while_nothing_was_shown_keeps_nothing() -> None:
    asked = Asked(0, 1, 2)
    drive = Drive(route=asked).attempt(start(), call(0, **SEARCH, closed=False)).breaks()
    assert upstream(drive) == 1
    assert upstream(drive.attempt(start(), text(0, W), begin(1, "novel")).breaks()) == 2


def test_another_upstream_is_sent_no_thinking_and_the_same_one_its_own() -> None:
    begun = [start(), *thinking(0, "hm"), begin(1), say(1, W)]
    stays = Drive(route=Asked(0, 0)).attempt(*begun).breaks()
    assert [block["type"] for block in stays.turns[0]["content"]] == ["thinking", "text"]
    moves = Drive(route=Asked(0, 1, 1, 0)).attempt(*begun).breaks()
    assert [block["type"] for block in moves.turns[0]["content"]] == ["text"]
    moves.breaks()  # the one that took over does not have it either
    assert [block["type"] for block in moves.turns[0]["content"]] == ["text"]
    moves.breaks()
    assert upstream(moves) == 0
    assert [block["type"] for block in moves.turns[0]["content"]] == ["thinking", "text"]


def test_blocks_of_its_own_keep_a_reply_with_the_one_that_took_over() -> None:
    asked = Asked(0, 1, 0)
    drive = Drive(route=asked).attempt(start(), *thinking(0, "hm"), begin(1), say(1, W)).breaks()
    more = [*call(1, "{}", **SEARCH), *result(2, "s1"), begin(3), say(3, "found")]
    drive.attempt(start(), *text(0, drive.element() + " more"), more).breaks()
    assert asked.may_move[-1] is False
    assert upstream(drive) == 1
    assert [block["type"] for block in drive.turns[0]["content"]] == [
        "text",
        "server_tool_use",
        "web_search_tool_result",
        "text",
    ]


def test_another_form_stays_where_it_is_and_is_not_asked_about() -> None:
    asked = Asked(0, 1, 1)
    drive = Drive(request(PREFIX_MODEL), route=asked).attempt(start(), begin(0), say(0, W)).breaks()
    assert upstream(drive) == 1
    assert upstream(drive.refuses(400)) == 1
    assert len(asked.routes) == 2
    assert drive.engine.history.attempts[-1].plan == "continue (turn)"


def test_an_extension_stays_where_it_is() -> None:
    asked = Asked(1)
    drive = Drive(policy=Policy(continue_max_tokens=1), route=asked)
    drive.attempt(whole(text(0, W), reason="max_tokens"))
    assert upstream(drive) == 1
    assert len(asked.routes) == 1


def test_who_takes_over_finishes_the_message() -> None:
    drive = Drive(route=Asked(0, 1)).attempt(start(), begin(0), say(0, W)).breaks()
    drive.attempt(start("msg_2"), *text(0, drive.element() + " the end."), stopping(), {"type": "message_stop"})
    assert drive.complete
    assert drive.texts == [W + " the end."]


def test_what_settles_or_has_no_plan_asks_nobody() -> None:
    for policy, parts in ((Policy(), call(0, '{"a":1}')), (Policy(continue_text=False), text(0, W))):
        asked = Asked(0)
        assert Drive(policy=policy, route=asked).attempt(start(), parts, begin(1, "novel")).breaks().done
        assert len(asked.routes) == 1


def test_a_reply_whose_upstream_is_gone_ends_if_it_is_bound_to_it() -> None:
    gone = Past(attempts=[PastAttempt(None)])
    assert "there no more" in (Drive(request(container="c"), past=gone).engine.history.gave_up or "")
    assert upstream(Drive(past=gone)) == 0
