"""The commit rule (the contract, §4), row by row: how many events are shown after each that came."""

from typing import Any

import pytest

from midstream.protocol.dialects import Anthropic
from midstream.protocol.events import Unreadable
from midstream.protocol.message import Block, Message
from midstream.recovery.commit import Commit, Rules, Show
from tests.wire import (
    PING,
    STOP,
    begin,
    call,
    end,
    grow,
    operations,
    result,
    say,
    sse,
    start,
    stopping,
    text,
    thinking,
)

Fields = dict[str, Any]
PLAIN = Rules()
SERVER = {"type": "server_tool_use"}


class Shown:
    """A commit that is fed, and what it has shown. Whatever is shown is the beginning of what came, in order."""

    def __init__(self, rules: Rules = PLAIN) -> None:
        self.message = Message()
        self.commit = Commit(self.message, rules)
        self.came: list[bytes] = []
        self.shown: list[bytes] = []

    def feed(self, *fields: Fields) -> list[int]:
        counts = []
        for event in Anthropic().receive(sse(*fields)):
            assert not isinstance(event, Unreadable)
            assert self.message.receive(event) is None
            self.came.append(event.raw)
            self.shown += [released.raw for released in self.commit.receive(event)]
            assert self.shown == self.came[: len(self.shown)]
            assert self.commit.held_bytes == sum(map(len, self.came[len(self.shown) :]))
            counts.append(len(self.shown))
        return counts


def counts(*parts: Fields | list[Fields], rules: Rules = PLAIN) -> list[int]:
    """How many events are shown after each of these."""
    events = [event for part in parts for event in (part if isinstance(part, list) else [part])]
    return Shown(rules).feed(*events)


LIVE_TOOLS = Rules(frozenset({"tool_use"}))
LIVE_THINKING = Rules(frozenset({"thinking", "redacted_thinking"}))
LIVE_SERVER = Rules(frozenset({"server_tool_use", "mcp_tool_use"}))
STRUCTURED = Rules(structured=True)

ROWS = [
    # message_start, content_block_start: with the first content that follows.
    pytest.param([start()], PLAIN, [0], id="a start alone is nothing"),
    pytest.param([start(), begin(0)], PLAIN, [0, 0], id="nor is the start of a block"),
    # text: at once, from its first non-blank character; its stop with the event after it.
    pytest.param([start(), text(0, "a", "b")], PLAIN, [0, 0, 3, 4, 4], id="text at once, its stop not"),
    pytest.param([start(), text(0, "a"), begin(1)], PLAIN, [0, 0, 3, 3, 4], id="its stop with the next block's start"),
    pytest.param(
        [start(), text(0, "a"), stopping(None)], PLAIN, [0, 0, 3, 3, 3], id="not with a delta without a reason"
    ),
    pytest.param([start(), text(0, "a"), stopping()], PLAIN, [0, 0, 3, 3, 5], id="its stop with the stop reason"),
    pytest.param(
        [start(), text(0, " ", "\n", "a", " ")], PLAIN, [0, 0, 0, 0, 5, 6, 6], id="blanks wait for the first letter"
    ),
    pytest.param([start(), begin(0, text="a")], PLAIN, [0, 2], id="a text that begins in its start"),
    pytest.param(
        [start(), begin(0), grow(0, "citations_delta", citation={})], PLAIN, [0, 0, 0], id="a citation of nothing"
    ),
    pytest.param(
        [start(), begin(0), say(0, "a"), grow(0, "citations_delta", citation={})], PLAIN, [0, 0, 3, 4], id="a citation"
    ),
    pytest.param(
        [start(), begin(0), say(0, "a"), grow(0, "novel_delta", a=1)], PLAIN, [0, 0, 3, 4], id="a novel delta"
    ),
    # A text that closes blank is shown like thinking.
    pytest.param(
        [start(), text(0, " "), text(1, "b")], PLAIN, [0, 0, 0, 0, 0, 6, 6], id="a blank text with what follows"
    ),
    pytest.param([start(), text(0), call(1, "{}")], PLAIN, [0, 0, 0, 0, 0, 6], id="an empty text with what follows"),
    pytest.param([start(), text(0, " "), text(1, " ")], PLAIN, [0] * 7, id="two blank texts are no content"),
    # Structured output.
    pytest.param(
        [start(), text(0, "{", "}"), stopping(), STOP], STRUCTURED, [0, 0, 0, 0, 0, 6, 7], id="structured output"
    ),
    pytest.param([start(), text(0, "{"), text(1, "}")], STRUCTURED, [0] * 7, id="structured output holds what follows"),
    # Thinking and its like: whole, with the content that follows.
    pytest.param([start(), thinking(0, "a")], PLAIN, [0] * 5, id="thinking alone"),
    pytest.param([start(), thinking(0, "a"), text(1, "b")], PLAIN, [0] * 6 + [7, 7], id="thinking with its text"),
    pytest.param([start(), thinking(0, "a"), call(1, "{}")], PLAIN, [0] * 7 + [8], id="thinking with its call"),
    pytest.param(
        [start(), text(0, "a"), thinking(1, "b"), text(2, "c")],
        PLAIN,
        [0, 0, 3, 3, 4, 4, 4, 4, 4, 10, 10],
        id="thinking between texts",
    ),
    pytest.param(
        [start(), [begin(0, "redacted_thinking", data="x"), end(0)], text(1, "b")],
        PLAIN,
        [0, 0, 0, 0, 5, 5],
        id="redacted thinking",
    ),
    pytest.param([start(), [begin(0, "compaction"), end(0)], text(1, "b")], PLAIN, [0, 0, 0, 0, 5, 5], id="compaction"),
    pytest.param([start(), [begin(0, "fallback"), end(0)], text(1, "b")], PLAIN, [0, 0, 0, 0, 5, 5], id="fallback"),
    # Client calls: whole, when complete.
    pytest.param([start(), call(0, '{"a"', ": 1}")], PLAIN, [0, 0, 0, 0, 5], id="a call, whole"),
    pytest.param([start(), text(0, "a"), call(1, "{}")], PLAIN, [0, 0, 3, 3, 4, 4, 7], id="a call after a text"),
    pytest.param([start(), call(0)], PLAIN, [0, 0, 0], id="a call without a fragment"),
    pytest.param([start(), call(0), begin(1)], PLAIN, [0, 0, 0, 3], id="without a fragment, when a block follows"),
    pytest.param([start(), call(0), stopping("tool_use")], PLAIN, [0, 0, 0, 4], id="without a fragment, at its stop"),
    pytest.param([start(), call(0, "", input={"a": 1})], PLAIN, [0, 0, 0, 0], id="nor is an empty fragment one"),
    pytest.param([start(), call(0, input={"a": 1}), begin(1)], PLAIN, [0, 0, 0, 3], id="the input of its start"),
    pytest.param([start(), call(0, '{"a"'), begin(1)], PLAIN, [0] * 5, id="input that does not parse"),
    pytest.param([start(), call(0, "[]"), begin(1)], PLAIN, [0] * 5, id="input that is no object"),
    pytest.param(
        [start(), call(0, '{"a"'), text(1, "b"), stopping("max_tokens")],
        PLAIN,
        [0] * 7 + [8],
        id="the stop reason decides",
    ),
    # Server and MCP tools: with their result.
    pytest.param(
        [start(), call(0, "{}", **SERVER), result(1)], PLAIN, [0] * 5 + [6], id="a server tool with its result"
    ),
    pytest.param(
        [start(), call(0, "{}", type="mcp_tool_use"), result(1, type="mcp_tool_result")], PLAIN, [0] * 5 + [6], id="MCP"
    ),
    pytest.param(
        [start(), call(0, "{}", **SERVER), text(1, "b")], PLAIN, [0] * 7, id="what follows waits for the result"
    ),
    pytest.param(
        [start(), call(0, "{}", **SERVER), call(1, "{}", id="c"), result(2)], PLAIN, [0] * 8 + [9], id="a call between"
    ),
    pytest.param(
        [start(), call(0, "{}", id="a", **SERVER), call(1, "{}", id="b", **SERVER), result(2, "b"), result(3, "a")],
        PLAIN,
        [0] * 10 + [11],
        id="two calls wait for both results",
    ),
    pytest.param(
        [start(), call(0, "{}", **SERVER), text(1, "b"), result(2)],
        PLAIN,
        [0] * 8 + [9],
        id="text between call and result",
    ),
    pytest.param(
        [start(), call(0, "{}", **SERVER), stopping("pause_turn")], PLAIN, [0] * 4 + [5], id="unpaired at its stop"
    ),
    pytest.param(
        [start(), result(0, "of an earlier message")], PLAIN, [0, 0, 3], id="a result of an earlier message's call"
    ),
    # Every other block: whole.
    pytest.param(
        [start(), [begin(0, "novel"), grow(0, "novel_delta"), end(0)]], PLAIN, [0, 0, 0, 4], id="a novel block"
    ),
    pytest.param([start(), [begin(0, "container_upload"), end(0)]], PLAIN, [0, 0, 3], id="a container upload"),
    # The stop reason shows everything, as it is.
    pytest.param([start(), begin(0), stopping("max_tokens"), STOP], PLAIN, [0, 0, 3, 4], id="an open block"),
    pytest.param(
        [start(), thinking(0, "a"), stopping("refusal")], PLAIN, [0] * 5 + [6], id="thinking alone, at its stop"
    ),
    pytest.param([start(), stopping(None), stopping(), STOP], PLAIN, [0, 0, 3, 4], id="a message without content"),
    pytest.param(
        [start(stop_reason="end_turn", content=[{"type": "text", "text": "a"}]), STOP],
        PLAIN,
        [1, 2],
        id="a stop reason in message_start, with its content",
    ),
    pytest.param([start(stop_reason="end_turn"), STOP], PLAIN, [0, 2], id="a stop reason in message_start alone"),
    # Pings and what nobody knows keep their place.
    pytest.param(
        [PING, start(), PING, text(0, PING["type"])], PLAIN, [0, 0, 0, 0, 5, 5], id="pings before the first content"
    ),
    pytest.param([start(), begin(0), PING, say(0, "a"), PING], PLAIN, [0, 0, 0, 4, 5], id="pings within"),
    pytest.param(
        [start(), text(0, "a"), PING, begin(1)], PLAIN, [0, 0, 3, 3, 3, 5], id="a ping behind a stop that waits"
    ),
    pytest.param([start(), call(0, "{}")[:2], PING, end(0)], PLAIN, [0, 0, 0, 0, 5], id="a ping within a call"),
    pytest.param([start(), {"type": "novel"}, text(0, "a")], PLAIN, [0, 0, 0, 4, 4], id="a novel event"),
    # The live ways.
    pytest.param([start(), call(0, "{", "}")], LIVE_TOOLS, [0, 2, 3, 4, 5], id="tools live"),
    pytest.param([start(), thinking(0, "a")], LIVE_THINKING, [0, 2, 3, 4, 5], id="thinking live"),
    pytest.param(
        [start(), thinking(0, "a"), call(1, "{")], LIVE_THINKING, [0, 2, 3, 4, 5, 5, 5, 5], id="thinking alone is live"
    ),
    pytest.param(
        [start(), call(0, "{}", **SERVER), text(1, "b")], LIVE_SERVER, [0, 2, 3, 4, 4, 6, 6], id="server tools live"
    ),
]


@pytest.mark.parametrize(("parts", "rules", "expected"), ROWS)
def test_the_table_row_by_row(parts: list[Fields | list[Fields]], rules: Rules, expected: list[int]) -> None:
    assert counts(*parts, rules=rules) == expected


@pytest.mark.parametrize("type", ["text", "thinking", "tool_use", "server_tool_use", "novel"])
def test_a_block_that_is_live_is_shown_at_once_whatever_its_type(type: str) -> None:
    block = Block(0, {"type": type})
    assert Rules(frozenset({type}), structured=True).when(block) is Show.AT_ONCE


def test_structured_output_lets_everything_but_text_be() -> None:
    assert STRUCTURED.when(Block(0, {"type": "text"})) is Show.AT_STOP_REASON
    assert STRUCTURED.when(Block(0, {"type": "thinking"})) is PLAIN.when(Block(0, {"type": "thinking"}))


def test_what_is_being_shown_is_told() -> None:
    shown = Shown()
    shown.feed(start(), *thinking(0, "a"), begin(1))
    assert (shown.commit.shown, shown.commit.live) == (0, False)
    shown.feed(say(1, "b"))
    assert (shown.commit.shown, shown.commit.live) == (1, True)
    shown.feed(end(1))
    assert (shown.commit.shown, shown.commit.live) == (1, True)
    shown.feed(*call(2, "{}"))
    assert (shown.commit.shown, shown.commit.live) == (3, False)
    shown.feed(begin(3), stopping())
    assert (shown.commit.shown, shown.commit.live) == (4, False)


def test_a_hold_may_be_ended_by_going_live() -> None:
    """§4: in the gateway, thinking and structured text after 240 s."""
    shown = Shown(STRUCTURED)
    shown.feed(start(), *thinking(0, "a"), begin(1), say(1, "{"))
    released = shown.commit.go_live(frozenset({"text", "thinking"}))
    assert [event.raw for event in released] == shown.came
    assert shown.commit.held_bytes == 0
    shown.shown += [event.raw for event in released]
    assert shown.feed(say(1, "}")) == [len(shown.came)]


def test_going_live_keeps_what_must_stay_whole() -> None:
    shown = Shown(Rules(eager_tools=True))
    shown.feed(start(), *call(0, "{", closed=False))
    assert shown.commit.go_live(frozenset({"text", "thinking"})) == []
    assert shown.commit.rules.eager_tools


# The one exception at the stop reason: a call that does not parse though all is said to be well.


def garbled(*parts: Fields | list[Fields], rules: Rules = PLAIN) -> Block | None:
    shown = Shown(rules)
    shown.feed(start(), *(event for part in parts for event in (part if isinstance(part, list) else [part])))
    return shown.commit.garbled_call()


@pytest.mark.parametrize("reason", ["tool_use", "end_turn", "pause_turn"])
def test_a_call_that_does_not_parse_is_garbled_where_all_is_said_to_be_well(reason: str) -> None:
    found = garbled(call(0, "{}"), call(1, '{"a"', id="b"), stopping(reason))
    assert found is not None and found.index == 1
    assert garbled(call(0, "{}"), call(1), stopping(reason)) is None
    assert garbled(text(0, "a"), stopping(reason)) is None


@pytest.mark.parametrize("reason", ["tool_use", "end_turn", "pause_turn"])
def test_so_is_one_that_is_still_open(reason: str) -> None:
    assert garbled(call(0, '{"a"', closed=False), stopping(reason)) is not None


@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "stop_sequence", "model_context_window_exceeded", "novel"])
def test_any_other_stop_reason_marks_the_call_as_cut(reason: str) -> None:
    assert garbled(call(0, '{"a"'), stopping(reason)) is None


def test_who_asked_for_eager_tools_gets_them_unchecked() -> None:
    assert garbled(call(0, '{"a"'), stopping("tool_use"), rules=Rules(eager_tools=True)) is None


def test_a_server_tool_that_does_not_parse_is_the_service_s_own_business() -> None:
    assert garbled(call(0, '{"a"', **SERVER), stopping("tool_use")) is None


def test_a_call_is_garbled_only_once_the_stop_reason_is_known() -> None:
    assert garbled(call(0, '{"a"'), text(1, "b")) is None


@pytest.mark.parametrize("waits", [True, False])
def test_a_text_is_not_joined_again_for_each_piece_or_ping(waits: bool) -> None:
    """Linear growth: what is held is looked at when a block begins or ends."""
    joins = 0

    class Counted(Block):
        __slots__ = ()

        @property
        def text(self) -> str:
            nonlocal joins
            joins += 1
            return super().text

    shown = Shown()
    shown.feed(start(), *(call(0, "{}", **SERVER) if waits else text(0, "a")), begin(1))
    shown.message.blocks[-1].__class__ = Counted
    shown.feed(*[say(1, "word "), *([] if waits else [PING])] * 200)
    assert joins < 20


WAITING = {
    "held blocks": lambda n: [*call(0, "{}", **SERVER), *(e for i in range(1, n) for e in text(i, "a"))],
    "held calls": lambda n: [*call(0, "{}", **SERVER), *(e for i in range(1, n) for e in call(i, "{}", id=f"t{i}"))],
    "shown blocks": lambda n: [e for i in range(n) for e in text(i, "a")],
    "pings": lambda n: [begin(0), *[say(0, "a"), PING] * n],
}


@pytest.mark.parametrize("shape", WAITING)
def test_work_grows_linearly_with_what_is_held_or_shown(shape: str) -> None:
    def work(n: int) -> int:
        events = [start(), *WAITING[shape](n)]
        shown = Shown()
        return operations(lambda: shown.feed(*events))

    assert work(400) < 4.4 * work(100)


@pytest.mark.parametrize(
    ("parts", "rules", "words"),
    [
        ([], PLAIN, False),
        ([start()], PLAIN, False),
        ([start(), thinking(0, "a")], PLAIN, True),
        ([start(), begin(0, "redacted_thinking", data="x")], PLAIN, True),
        ([start(), begin(0), say(0, "{")], STRUCTURED, True),
        ([start(), call(0, "{", closed=False)], PLAIN, False),
        ([start(), call(0, "{}", **SERVER), thinking(1, "a")], PLAIN, False),
        ([start(), text(0, "a"), thinking(1, "b")], PLAIN, True),
        ([start(), text(0, "a"), thinking(1, "b"), begin(2)], PLAIN, True),
        ([start(), text(0, "a")], PLAIN, False),
    ],
)
def test_what_waits_is_words_or_a_call(parts: list[Any], rules: Rules, words: bool) -> None:
    """Only a hold of thinking or structured text may be ended by showing it (§4)."""
    shown = Shown(rules)
    events = [event for part in parts for event in (part if isinstance(part, list) else [part])]
    if events:
        shown.feed(*events)
    assert shown.commit.holds_words is words
