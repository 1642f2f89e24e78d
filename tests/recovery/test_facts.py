"""What limits recovery is noted when it is received, shown or not, and nothing else is."""

import json
from typing import Any

import pytest

from midstream.recovery.facts import KINDS_MAX, extended
from midstream.recovery.policy import Policy
from tests.wire import STOP, Drive, begin, call, end, grow, result, say, start, stopping, text, thinking, whole

Fields = dict[str, Any]
MCP = {"type": "mcp_tool_use", "name": "send", "id": "m1", "server_name": "post"}
NOTED_CALL = {"fact": "mcp_call", "attempt": 1, "id": "m1", "name": "send"}


def block(type: str, name: str | None = None, *, direct: bool = True, attempt: int = 1) -> Fields:
    return {"fact": "block", "attempt": attempt, "type": type, "name": name, "direct": direct}


def facts_of(*parts: Any, **started: Any) -> list[Fields]:
    return Drive().attempt(start(**started), *parts).engine.facts


def test_an_ordinary_reply_has_no_facts() -> None:
    parts = [*thinking(0, "a"), *text(1, "b"), *call(2, '{"a":1}')]
    assert facts_of(parts, stopping("tool_use"), STOP) == []


@pytest.mark.parametrize(
    ("parts", "facts"),
    [
        (call(0, '{"a":', type="mcp_tool_use", closed=False), [block("mcp_tool_use")]),
        (call(0, '{"a":1}', **MCP), [block("mcp_tool_use"), NOTED_CALL]),
        (call(0, '{"a":', **MCP), [block("mcp_tool_use")]),
        (call(0, type="server_tool_use", name="web_search"), [block("server_tool_use")]),
        (
            call(0, type="server_tool_use", name="code_execution"),
            [block("server_tool_use", "code_execution")],
        ),
        ([begin(0, "fallback"), end(0)], [block("fallback")]),
        ([begin(0, "compaction")], [block("compaction")]),
        ([begin(0, "container_upload", file_id="f")], [block("container_upload", "container_upload")]),
        (
            call(0, caller={"type": "code_execution_20250825", "tool_id": "s1"}, closed=False),
            [block("tool_use", direct=False)],
        ),
    ],
)
def test_what_bears_on_recovery_is_noted_before_it_is_shown(parts: list[Fields], facts: list[Fields]) -> None:
    drive = Drive().attempt(start(), parts)
    assert drive.seen == b""
    assert drive.engine.facts == facts
    assert json.loads(json.dumps(facts)) == facts


def test_each_kind_is_noted_once_for_an_attempt_and_each_mcp_call_by_itself() -> None:
    def pair(index: int, id: str) -> list[Fields]:
        return [*call(index, "{}", **{**MCP, "id": id}), *result(index + 1, id, "mcp_tool_result")]

    facts = facts_of(pair(0, "m1"), pair(2, "m2"), pair(4, "m3"))
    kinds = [fact["type"] for fact in facts if fact["fact"] == "block"]
    assert kinds == ["mcp_tool_use", "mcp_tool_result"]
    assert [fact["id"] for fact in facts if fact["fact"] == "mcp_call"] == ["m1", "m2", "m3"]


def test_the_next_attempt_notes_them_again() -> None:
    drive = Drive().attempt(start(), begin(0, "fallback")).breaks().attempt(start(), begin(0, "fallback"))
    assert drive.engine.facts == [block("fallback"), block("fallback", attempt=2)]


def test_the_container_is_noted_when_it_is_named() -> None:
    named = {"fact": "container", "attempt": 1, "id": "c1"}
    assert facts_of(container={"id": "c1"}) == [named]
    late = stopping(None) | {"delta": {"stop_reason": None, "container": {"id": "c1"}}}
    assert facts_of(text(0, "a"), late) == [named]
    assert facts_of(container=None) == facts_of(container={"id": 5}) == facts_of(container={"id": "c\n1"}) == []


def test_what_stands_in_message_start_is_noted_too() -> None:
    given = [{**MCP, "input": {}}]
    assert facts_of(content=given) == [block("mcp_tool_use"), NOTED_CALL]


def test_kinds_that_nobody_knows_are_bounded() -> None:
    parts = [event for n in range(KINDS_MAX * 2) for event in result(n, "t", f"novel_{n}")]
    assert len(facts_of(parts)) == KINDS_MAX


def test_names_from_outside_are_made_fit() -> None:
    noted = facts_of(call(0, "{}", **{**MCP, "name": "a\n" * 500}))[-1]["name"]
    assert len(noted) <= 200 and "\n" not in noted


def test_an_extension_is_a_fact() -> None:
    drive = Drive(policy=Policy(continue_max_tokens=1)).attempt(whole(text(0, "a b c"), reason="max_tokens"))
    stop = stopping("max_tokens")
    assert drive.engine.facts == [extended(1, stop, 5)]


def test_deltas_are_not_looked_at() -> None:
    drive = Drive().attempt(start(), begin(0), say(0, "a"))
    before = len(drive.engine.facts)
    drive.gets(grow(0, "text_delta", text="b"))
    assert len(drive.engine.facts) == before == 0
