"""What is known of a message's blocks, and how little of it is kept."""

import sys
from typing import Any

import pytest

from midstream.doctor.diagnose import blocks
from midstream.doctor.diagnose.blocks import BLOCKS_MAX, Followed
from midstream.protocol.dialects import Anthropic
from tests.wire import begin, call, end, grow, say, sse, start, stopping, text, thinking, whole


def follow(*events: Any) -> tuple[Followed, str | None]:
    followed, dialect, problem = Followed(), Anthropic(), None
    for number, event in enumerate(events):
        for read in dialect.receive(sse(event)):
            problem = problem or followed.receive(read, number)  # type: ignore[arg-type]
    followed.conclude()
    return followed, problem


def test_each_block_is_told_with_its_size_and_its_state() -> None:
    events = whole(thinking(0, "hm"), text(1, "Hello", " you"), call(2, '{"a":', "1}"), call(3, '{"a":', id="toolu_2"))
    followed, problem = follow(*events)
    assert problem is None
    seen = [(block.type, block.name, block.chars, block.closed, block.parses) for block in followed.blocks]
    assert seen == [
        ("thinking", "", 2, True, None),
        ("text", "", 9, True, None),
        ("tool_use", "look", 7, True, True),
        ("tool_use", "look", 5, True, False),
    ]
    assert followed.blocks[1].tail == "Hello you" and followed.blocks[1].begin == 5
    assert str(followed.blocks[2]) == "block 2 (tool_use 'look')"


def test_the_open_block_is_known() -> None:
    followed, _ = follow(start(), begin(0), say(0, "Hel"))
    assert followed.open is not None and (followed.open.chars, followed.open.closed, followed.open.tail) == (
        3,
        False,
        "Hel",
    )
    assert follow(start())[0].open is None


def test_an_illegal_event_is_a_problem_and_changes_nothing() -> None:
    followed, problem = follow(start(), say(3, "x"))
    assert problem is not None and "block 3" in problem and not followed.blocks


def test_content_that_stands_in_the_start_is_told_too() -> None:
    followed, _ = follow(start(content=[{"type": "text", "text": "x"}]), begin(1), end(1), stopping())
    assert [block.closed for block in followed.blocks] == [True, True]


def test_why_it_was_refused_is_kept() -> None:
    refused = stopping("refusal")
    refused["delta"]["stop_details"] = {"type": "refusal", "category": "cyber"}
    assert follow(start(), refused)[0].stop_details == {"category": "cyber"}


def test_more_blocks_than_any_reply_has_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCKS_MAX", 5)
    events = [event for number in range(9) for event in text(number, "x")]
    followed, problem = follow(start(), *events)
    assert len(followed.blocks) == 5 and problem is not None and "blocks" in problem
    assert BLOCKS_MAX > 1000


def held_bytes(followed: Followed) -> int:
    message = followed.message
    kept = [message.fields, message.started, message.extras, message.usage, *message.blocks]
    parts = [
        part
        for block in message.blocks
        for part in (*block.parts, *(block.others or ()), *block.additions.get("citations", ()))
    ]
    return sum(map(sys.getsizeof, [*kept, *parts, *followed.blocks]))


@pytest.mark.parametrize(
    "delta",
    [
        grow(0, "text_delta", text="x" * 1000),
        grow(0, "citations_delta", citation={"cited_text": "x" * 1000}),
        grow(0, "future_delta", value="x" * 1000),
    ],
    ids=lambda delta: str(delta["delta"]["type"]),
)
def test_a_block_that_never_ends_takes_no_more_memory(delta: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "HELD_BYTES_MAX", 20_000)
    followed, problem = follow(start(), begin(0), *[delta] * 500)
    assert problem is None and held_bytes(followed) < 60_000


def test_an_input_over_the_bound_counts_as_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "INPUT_BYTES_MAX", 20_000)
    pieces = ['{"a":"', *["x" * 1000] * 100, '"}']
    followed, _ = follow(start(), *call(0, *pieces), *call(1, "{}", id="toolu_2"))
    assert [block.parses for block in followed.blocks] == [False, True]
    assert held_bytes(followed) < 60_000


def test_fields_that_nobody_knows_are_not_gathered() -> None:
    odd = [stopping(**{f"new_{number}": "x" * 100}) for number in range(200)]
    followed, problem = follow(start(), *odd)
    assert problem is None and held_bytes(followed) < 10_000
