"""The state table, walked row by row and non-row by non-row; and what events add up to."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from midstream.protocol.dialects import Anthropic
from midstream.protocol.events import (
    BlockGrew,
    BlockStarted,
    BlockStopped,
    ErrorReported,
    MessageStarted,
    MessageStopped,
    MessageStopping,
    Pinged,
    Unreadable,
    Unrecognised,
)
from midstream.protocol.message import MOVES, Block, Message, State, is_remote, result_of
from tests.wire import (
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
    whole,
)

Fields = dict[str, Any]


def events_of(*fields: Fields) -> list[Any]:
    events = Anthropic().receive(sse(*fields))
    assert not any(isinstance(event, Unreadable) for event in events), events
    return events


def message_of(fields: Iterable[Fields]) -> Message:
    message = Message()
    for event in events_of(*fields):
        assert message.receive(event) is None
    return message


def block_of(*fields: Fields) -> Block:
    return message_of([start(), *fields]).blocks[-1]


# How each state is reached, and one legal-looking event of each type in it.
REACHED: dict[State, list[Fields]] = {
    State.EMPTY: [],
    State.BETWEEN: [start()],
    State.INSIDE: [start(), begin(0)],
    State.STOPPING: [start(), stopping()],
    State.COMPLETE: [start(), stopping(), STOP],
}
STEPS: dict[type, Fields] = {
    MessageStarted: start(),
    BlockStarted: begin(0),
    BlockGrew: say(0, "a"),
    BlockStopped: end(0),
    MessageStopping: stopping(),
    MessageStopped: STOP,
}
# The contract, written out again: what may follow what.
LEGAL = {
    (State.EMPTY, MessageStarted): State.BETWEEN,
    (State.BETWEEN, BlockStarted): State.INSIDE,
    (State.BETWEEN, MessageStopping): State.STOPPING,
    (State.INSIDE, BlockGrew): State.INSIDE,
    (State.INSIDE, BlockStopped): State.BETWEEN,
    (State.INSIDE, MessageStopping): State.STOPPING,
    (State.STOPPING, MessageStopping): State.STOPPING,
    (State.STOPPING, MessageStopped): State.COMPLETE,
}
PAIRS = [(state, step) for state in State for step in STEPS]


def test_the_table_is_the_contract_s() -> None:
    """One row more: with the stop reason in message_start, message_stop may come at once (§3)."""
    assert dict(MOVES) == {**LEGAL, (State.BETWEEN, MessageStopped): State.COMPLETE}


@pytest.mark.parametrize(("state", "step"), PAIRS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_every_row_moves_and_every_other_pair_is_refused_and_changes_nothing(state: State, step: type) -> None:
    message = message_of(REACHED[state])
    assert message.state is state
    before = (message.snapshot(), len(message.blocks), message.stop_reason)
    problem = message.receive(events_of(STEPS[step])[0])
    if (state, step) in LEGAL:
        assert problem is None
        assert message.state is LEGAL[state, step]
    else:
        assert problem
        assert message.state is state
        assert (message.snapshot(), len(message.blocks), message.stop_reason) == before


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", [Pinged(b""), ErrorReported({}, b""), Unrecognised("new", b"")], ids=repr)
def test_what_is_no_step_may_come_anywhere_and_changes_nothing(state: State, event: Any) -> None:
    message = message_of(REACHED[state])
    before = message.snapshot()
    assert message.receive(event) is None
    assert (message.state, message.snapshot()) == (state, before)


@pytest.mark.parametrize(
    ("before", "event", "named"),
    [
        pytest.param([start(), begin(0)], say(1, "a"), "block 1", id="a delta for another block"),
        pytest.param([start(), begin(0)], end(1), "block 1", id="the stop of another block"),
        pytest.param([start()], begin(1), "block 1", id="a gap in the numbers"),
        pytest.param([start(), *text(0)], begin(0), "block 0", id="a number twice"),
        pytest.param([start()], begin(-1), "block -1", id="a number below zero"),
        pytest.param([start(), stopping(None)], STOP, "stop reason", id="a stop without a reason"),
        pytest.param([start()], STOP, "stop reason", id="a stop without a message_delta"),
        pytest.param(
            [start(), begin(0)], grow(0, "thinking_delta", thinking="x"), "thinking_delta", id="not its delta"
        ),
        pytest.param(
            [start(), begin(0, "thinking")], say(0, "x"), "text_delta in a block of type thinking", id="nor its delta"
        ),
        pytest.param(
            [start(), begin(0, "redacted_thinking", data="x")],
            grow(0, "signature_delta", signature="x"),
            "signature_delta",
            id="a block that never grows",
        ),
    ],
)
def test_a_step_that_does_not_belong_is_named_and_changes_nothing(
    before: list[Fields], event: Fields, named: str
) -> None:
    message = message_of(before)
    state, snapshot = message.state, message.snapshot()
    assert named in (message.receive(events_of(event)[0]) or "")
    assert (message.state, message.snapshot()) == (state, snapshot)


def test_a_stop_reason_may_stand_in_message_start_with_its_content() -> None:
    """§3, last paragraph."""
    message = message_of([start(stop_reason="end_turn", content=[{"type": "text", "text": "All."}]), STOP])
    assert message.state is State.COMPLETE
    assert message.snapshot()["content"] == [{"type": "text", "text": "All."}]
    assert message.blocks[0].closed


def test_a_block_that_the_source_leaves_open_stays_open() -> None:
    message = message_of([start(), *call(0, '{"a": 1', closed=False), stopping("max_tokens"), STOP])
    assert message.open is message.blocks[0]
    assert not message.blocks[0].closed
    assert message.snapshot()["stop_reason"] == "max_tokens"


WEB = {"type": "web_search_result_location", "url": "https://example.org", "cited_text": "x"}
SUMS = [
    pytest.param(text(0, "Hel", "lo"), {"type": "text", "text": "Hello"}, id="text"),
    pytest.param(
        [begin(0, text="Hel"), say(0, "lo"), end(0)], {"type": "text", "text": "Hello"}, id="text begun in its start"
    ),
    pytest.param(
        [begin(0, citations=[{"n": 1}]), say(0, "x"), grow(0, "citations_delta", citation=WEB)],
        {"type": "text", "text": "x", "citations": [{"n": 1}, WEB]},
        id="citations are added",
    ),
    pytest.param(
        [begin(0, citations=None), grow(0, "citations_delta", citation=WEB)],
        {"type": "text", "text": "", "citations": [WEB]},
        id="citations where null stood",
    ),
    pytest.param(
        thinking(0, "Let ", "me"),
        {"type": "thinking", "thinking": "Let me", "signature": "sig"},
        id="thinking, its signature assigned",
    ),
    pytest.param(thinking(0), {"type": "thinking", "thinking": "", "signature": "sig"}, id="thinking that is omitted"),
    pytest.param(
        [begin(0, "redacted_thinking", data="xyz"), end(0)],
        {"type": "redacted_thinking", "data": "xyz"},
        id="redacted thinking",
    ),
    pytest.param(
        call(0, "", '{"ci', 'ty": "Ulm"}'),
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Ulm"}},
        id="tool call",
    ),
    pytest.param(
        call(0, "", input={"a": 1}),
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}},
        id="without a fragment the input is that of the start",
    ),
    pytest.param(
        call(0, '{"a": [1', type="server_tool_use"),
        {"type": "server_tool_use", "id": "toolu_1", "name": "look", "input": {}},
        id="unfinished input stays as it began",
    ),
    pytest.param(
        [
            begin(0, "compaction", content=None),
            grow(0, "compaction_delta", content="sum", encrypted_content="e"),
            grow(0, "compaction_delta", content="summary"),
        ],
        {"type": "compaction", "content": "summary", "encrypted_content": "e"},
        id="a compaction is assigned",
    ),
    pytest.param(
        result(0, content=[{"url": "u"}]),
        {"type": "web_search_tool_result", "tool_use_id": "toolu_1", "content": [{"url": "u"}]},
        id="a result, whole",
    ),
    pytest.param(
        [begin(0, "connector_text", words="a", new={"deep": [1]}), grow(0, "text_delta", text="b"), end(0)],
        {"type": "connector_text", "words": "a", "new": {"deep": [1]}},
        id="a type that nobody knows",
    ),
]


@pytest.mark.parametrize(("events", "content"), SUMS)
def test_events_add_up_to_the_block(events: list[Fields], content: Fields) -> None:
    assert block_of(*events).content() == content


@pytest.mark.parametrize(
    ("fragments", "input"),
    [
        ([], {}),
        ([""], {}),
        (["{}"], {}),
        (['{"a":', " 1}"], {"a": 1}),
        (['{"a": 1'], None),
        (["[1]"], None),
        (['"a"'], None),
        (["null"], None),
        (["12"], None),
        (["{} {}"], None),
        (['{"a": "\\ud800"}'], {"a": "\ud800"}),
    ],
)
def test_an_input_is_one_json_object_or_it_is_none(fragments: list[str], input: Fields | None) -> None:
    block = block_of(*call(0, *fragments))
    assert block.input == input
    assert block.has_fragment is any(fragments)


def test_the_input_of_the_start_counts_only_if_it_is_an_object() -> None:
    assert block_of(*call(0, input="no")).input is None
    assert block_of(begin(0, "tool_use", id="x", name="y")).input == {}


@pytest.mark.parametrize(
    ("fields", "direct"),
    [
        ({}, True),
        ({"caller": None}, True),
        ({"caller": {"type": "direct"}}, True),
        ({"caller": {}}, True),
        ({"caller": {"type": "code_execution_20260120", "tool_id": "x"}}, False),
    ],
)
def test_a_call_is_direct_unless_a_program_made_it(fields: Fields, direct: bool) -> None:
    assert block_of(*call(0, "{}", **fields)).caller_is_direct is direct


@pytest.mark.parametrize(
    ("pieces", "blank"), [([], True), ([" ", "\n\t"], True), ([" ", "a"], False), (["\u200b"], False)]
)
def test_a_text_without_a_visible_character_is_blank(pieces: list[str], blank: bool) -> None:
    assert block_of(*text(0, *pieces)).blank is blank


def test_thinking_is_signed_by_its_delta_or_in_its_start() -> None:
    assert block_of(*thinking(0, "a")).signed
    assert block_of(begin(0, "thinking", signature="s")).signed
    assert not block_of(*thinking(0, "a", signature=None)).signed
    assert block_of(*thinking(0, "a", signature=None)).text == "a"


def test_fields_that_nobody_knows_are_kept_at_every_level() -> None:
    odd = {**say(0, "a"), "new": 1}
    odder = grow(0, "text_delta", text="b", weight=2)
    delta = {**stopping("end_turn"), "context_management": {"applied_edits": []}}
    message = message_of(
        [start(diagnostics={"a": 1}), begin(0, novel=True), odd, odder, end(0), delta, {**STOP, "metrics": 7}]
    )
    snapshot = message.snapshot()
    assert snapshot["diagnostics"] == {"a": 1}
    assert snapshot["content"] == [{"type": "text", "text": "ab", "novel": True}]
    assert message.blocks[0].others == [odd, odder]
    assert message.extras == [{"context_management": {"applied_edits": []}}, {"metrics": 7}]


def test_deltas_that_nobody_knows_are_kept_in_any_block() -> None:
    odd = grow(0, "sparkle_delta", shine=1)
    assert block_of(begin(0), odd).others == [odd]
    assert block_of(begin(0, "novel"), say(0, "a"), odd).others == [odd]
    nameless = grow(0, "", shine=1)
    block = block_of(begin(0, "novel"), nameless)
    assert (block.others, block.parts) == ([nameless], [])


def test_later_usage_and_fields_replace_earlier_ones_and_null_replaces_nothing() -> None:
    usage = {"input_tokens": 10, "output_tokens": 1, "service_tier": "standard"}
    late = {"output_tokens": 30, "input_tokens": None, "server_tool_use": {"web_search_requests": 2}}
    delta = {"stop_reason": "tool_use", "stop_sequence": None, "container": {"id": "c"}}
    message = message_of(
        [
            start(usage=usage, container=None),
            stopping(None, 20),
            {"type": "message_delta", "delta": delta, "usage": late},
        ]
    )
    assert message.usage == {**usage, "output_tokens": 30, "server_tool_use": {"web_search_requests": 2}}
    assert message.snapshot()["container"] == message.field("container") == {"id": "c"}
    assert message.field("id") == message.fields["id"] and message.field("nobody's") is None
    assert message.snapshot()["usage"] == message.usage
    assert message.stop_reason == "tool_use"


def test_a_stop_reason_once_known_is_not_forgotten() -> None:
    message = message_of([start(), stopping("end_turn"), stopping(None), STOP])
    assert message.stop_reason == "end_turn"


def test_a_message_without_usage_has_none() -> None:
    assert message_of([start(usage=None), {**stopping(), "usage": None}]).usage == {}


@pytest.mark.parametrize(
    ("blocks", "unpaired"),
    [
        pytest.param([call(0, "{}")], [], id="client calls have no result here"),
        pytest.param([call(0, "{}", type="server_tool_use")], [0], id="a server call without its result"),
        pytest.param([call(0, "{}", type="server_tool_use"), result(1)], [], id="a pair"),
        pytest.param([call(0, "{}", type="server_tool_use"), result(1)[:1]], [0], id="a result still open"),
        pytest.param([call(0, "{}", type="mcp_tool_use"), result(1, "another")], [0], id="another's result"),
        pytest.param(
            [call(0, "{}", type="mcp_tool_use", id="a"), call(1, type="server_tool_use", id="b"), result(2, "a")],
            [1],
            id="one of two",
        ),
    ],
)
def test_remote_calls_without_their_result_are_unpaired(blocks: list[list[Fields]], unpaired: list[int]) -> None:
    message = message_of([start(), *(event for block in blocks for event in block)])
    assert [block.index for block in message.unpaired()] == unpaired


def test_results_and_remote_calls_are_told_by_their_fields() -> None:
    assert is_remote(Block(0, {"type": "mcp_tool_use"}))
    assert not is_remote(Block(0, {"type": "tool_use"}))
    assert result_of(Block(0, {"type": "new_tool_result", "tool_use_id": "x"})) == "x"
    assert result_of(Block(0, {"type": "text", "tool_use_id": 3})) is None


SHAPES: dict[str, Callable[[int], list[Fields]]] = {
    "deltas": lambda n: whole(text(0, *["word "] * n)),
    "blocks": lambda n: whole(*(text(i, "a") for i in range(n))),
    "fragments": lambda n: whole(call(0, '{"a": "', *["x"] * n, '"}'), reason="tool_use"),
    "citations": lambda n: whole([begin(0), *[grow(0, "citations_delta", citation=WEB)] * n, end(0)]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_work_grows_linearly_with_the_reply(shape: str) -> None:
    def work(n: int) -> int:
        events = events_of(*SHAPES[shape](n))
        message = Message()
        return operations(lambda: [message.receive(event) for event in events] and message.snapshot())

    assert work(800) < 4.4 * work(200)


def test_no_block_comes_after_a_stop_reason() -> None:
    message = message_of([start(stop_reason="end_turn", content=[{"type": "text", "text": "a"}])])
    assert "stop reason" in (message.receive(events_of(begin(1))[0]) or "")


def test_a_stop_reason_in_message_start_without_content_counts_when_the_message_stops() -> None:
    message = message_of([start(stop_reason="end_turn"), *text(0, "a")])
    assert message.stop_reason is None
    assert message.receive(events_of(STOP)[0]) is None
    assert message.state is State.COMPLETE and message.stop_reason == "end_turn"


def test_input_that_was_cut_is_given_as_it_came() -> None:
    message = message_of([start(), *call(0, '{"a": ', closed=False)])
    assert message.blocks[0].received()["partial_json"] == '{"a": '
    assert "partial_json" not in message_of([start(), *call(0, '{"a": 1}')]).blocks[0].received()


def test_blankness_is_remembered_and_the_rest_is_looked_at() -> None:
    message = message_of([start(), *text(0, " ", closed=False)])
    [block] = message.blocks
    assert block.blank and block.blank
    assert message.receive(events_of(say(0, "\n"))[0]) is None
    assert block.blank
    assert message.receive(events_of(say(0, "a"))[0]) is None
    assert not block.blank and not block.blank
    assert not block_of(begin(0, text="a")).blank
    assert block_of(begin(0, text=7)).blank


@pytest.mark.parametrize("every", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "events",
    [
        pytest.param(text(0, *" \n\t now it says something \n".split(" "), " "), id="text"),
        pytest.param(text(0, " ", "\n", "\t", " ", " "), id="blank text"),
        pytest.param(thinking(0, *"let me see".split(" ")), id="thinking"),
        pytest.param(call(0, *'{"a": [1, 2, {"b": null}]}'), id="call"),
    ],
)
def test_fragments_may_be_joined_at_any_time_and_nothing_changes(events: list[Fields], every: int) -> None:
    plain, joined = Message(), Message()
    for number, event in enumerate(events_of(start(), *events)):
        assert plain.receive(event) == joined.receive(event)
        if number % every == 0 and joined.blocks:
            joined.blocks[0].join()
            assert len(joined.blocks[0].parts) <= 1 + number // every
        assert [block.blank for block in plain.blocks] == [block.blank for block in joined.blocks]
        assert [block.received() for block in plain.blocks] == [block.received() for block in joined.blocks]
    assert plain.snapshot() == joined.snapshot()


def test_the_fragments_of_a_block_that_is_over_are_one() -> None:
    assert block_of(*text(0, "a", "b", "c")).parts == ["abc"]
    assert block_of(*text(0)).parts == []


def test_whatever_message_start_says_is_given_back_as_it_came() -> None:
    odd = {"big": 1 << 80, "half": "\ud83d", "float": 1e300, "deep": [[{"a": [None, True]}]], "text": "é🎉"}
    message = message_of([start(odd=odd)])
    assert message.started["odd"] == odd and message.fields["odd"] == odd and message.snapshot()["odd"] == odd
    message.started["odd"]["big"] = message.fields["odd"]["big"] = 0
    assert message.started["odd"] == odd


def test_a_message_start_that_takes_long_to_unpack_is_not_packed() -> None:
    odd = {"long": ["x" * 100] * 1000}
    message = message_of([start(odd=odd), stopping("end_turn", 7)])
    assert message.started["odd"] is message.fields["odd"] is message.field("odd") and message.fields["odd"] == odd
    assert message.snapshot()["odd"] == odd and message.usage["output_tokens"] == 7
    message.started.clear()
    assert message.fields["odd"] == odd


def test_what_nobody_needs_any_more_can_be_forgotten() -> None:
    message = message_of([start(odd=1), {**stopping("end_turn"), "also": 2}])
    message.keep_only({"id": "msg_1"}, {"output_tokens": 3})
    assert message.fields == {"id": "msg_1", "usage": {"output_tokens": 3}}
    assert message.usage == {"output_tokens": 3}
    assert message.extras is None
    assert message.receive(events_of(STOP)[0]) is None


def test_an_input_is_parsed_once_it_is_whole_and_then_remembered() -> None:
    block = block_of(*call(0, '{"a": [1]}'))
    assert block.input is block.input
    assert block_of(*call(0, '{"a"', closed=False)).input is None


def test_citations_that_are_no_list_are_replaced() -> None:
    block = block_of(begin(0, citations=5), grow(0, "citations_delta", citation=WEB))
    assert block.content()["citations"] == [WEB]


def test_a_delta_after_the_message_delta_is_illegal() -> None:
    message = message_of([start(), begin(0), stopping("max_tokens")])
    assert message.receive(events_of(say(0, "a"))[0])


def test_calls_without_an_id_are_unpaired() -> None:
    for id in ({}, None, 7):
        message = message_of([start(), *call(0, "{}", type="server_tool_use", id=id)])  # type: ignore[arg-type]
        assert len(message.unpaired()) == 1
