"""What several attempts come to: which blocks are whose, what counts as new, what is said of the rest."""

from typing import Any

from midstream.protocol.message import Block
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.standing import Standing, dropped_record
from tests.wire import Drive, begin, call, request, say, start, text, whole

Fields = dict[str, Any]
W = "The quick brown fox jumps over the lazy dog and"


def standing_of(drive: Drive) -> Standing:
    return drive.engine._standing


def test_blocks_belong_to_the_upstream_that_began_them() -> None:
    drive = Drive(route=lambda route: 0 if route.last is None else 1).attempt(start(), begin(0), say(0, W)).breaks()
    drive.attempt(start(), *text(0, drive.element() + " on"), *text(1, "more"), begin(2, "novel")).breaks()
    standing = standing_of(drive)
    assert standing.makers == (0, 1)
    assert [block.text for block in standing.shown.blocks] == [W + " on", "more"]
    asked = Request(request())
    assert standing.situation(asked, standing.shown, [], None, 0).foreign == {1}
    assert standing.situation(asked, standing.shown, [], None, 1).foreign == {0}
    assert standing.situation(asked, standing.shown, [], None, None).foreign == {0, 1}


def test_attempts_are_counted_since_something_new_was_shown() -> None:
    drive = Drive().breaks().breaks()
    assert standing_of(drive).attempts == 3
    drive.attempt(start(), begin(0), say(0, W)).breaks()
    assert standing_of(drive).attempts == 2
    assert standing_of(drive).failed_at == {0}


def test_the_end_of_a_reply_that_settles_has_the_usage_of_all() -> None:
    drive = Drive().attempt(start(), begin(0), say(0, W)).breaks()
    drive.attempt(start(), text(0, drive.element() + " x"), call(1, "{}")).breaks()
    assert drive.complete
    assert drive.message["usage"]["output_tokens"] == 2
    assert Standing().settled(lambda fields: b"")[0].fields["usage"] == {}  # type: ignore[union-attr]


def test_a_block_that_was_not_shown_is_named_if_it_has_a_name() -> None:
    closed = Block(0, {"type": "text", "text": "a"})
    closed.closed = True
    assert dropped_record(2, closed).reason == "not shown when the attempt broke"
    record = dropped_record(2, Block(0, {"type": "tool_use", "name": "look"}))
    assert (record.attempt, record.type, record.name) == (2, "tool_use", "look")
    assert record.reason == "not finished when the attempt broke"
    assert dropped_record(2, closed).name is None


def test_the_stop_that_was_held_ends_it_with_the_usage_of_all() -> None:
    policy = Policy(continue_max_tokens=1, attempts=1)
    drive = Drive(policy=policy).attempt(whole(text(0, W), reason="max_tokens")).breaks()
    assert drive.complete
    assert drive.message["stop_reason"] == "max_tokens" and drive.message["usage"]["output_tokens"] == 9
