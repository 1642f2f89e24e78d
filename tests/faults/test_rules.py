"""What the real API refuses is refused, with its words; what it takes is taken."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.faults.cut import Cut
from midstream.faults.models import go_on
from midstream.faults.reply import Reply
from midstream.faults.rules import CHECKS, Asked, refusal, takes_prefill
from tests.shared_data import Capture, captures, parameters, require

Turn = dict[str, Any]

NEW, OLD = "claude-sonnet-5-5", "claude-haiku-4-5"
ASKED: Turn = {"role": "user", "content": "Why?"}
GO_ON: Turn = {"role": "user", "content": "Go on."}
REPLY = Reply.builtin("everything")
THOUGHT, TEXT, _, CALL = (block.content for block in REPLY.blocks)
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "bridges"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
REMOTE = {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "look", "server_name": "s", "input": {}}
RESULT: Turn = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": CALL["id"], "content": "3 °C"}]}


def says(*content: Any) -> Turn:
    return {"role": "assistant", "content": [{"type": "text", "text": c} if isinstance(c, str) else c for c in content]}


def why_not(
    model: str, *messages: Turn, reply: Reply = REPLY, first: dict[str, Any] | None = None, **fields: Any
) -> str:
    headers = {"anthropic-version": fields.pop("version", "2026-10-21")}
    request = {"model": model, "messages": list(messages), **fields}
    return refusal(Asked(request, reply, first, model, "sse", headers)) or ""


ENABLED = {"type": "enabled", "budget_tokens": 2000}
FORMAT = {"format": {"type": "json_schema", "schema": {}}}

REFUSED = {
    "a prefill on a new model": (
        why_not(NEW, ASKED, says("Because")),
        "This model does not support assistant message prefill. The conversation must end with a user message.",
    ),
    "a prefill as a plain string": (
        why_not(NEW, ASKED, {"role": "assistant", "content": "Because"}),
        "This model does not support assistant message prefill. The conversation must end with a user message.",
    ),
    "trailing white space": (
        why_not(OLD, ASKED, says("Because ")),
        "messages: final assistant content cannot end with trailing whitespace",
    ),
    "a prefill with thinking": (
        why_not(OLD, ASKED, says("Because"), thinking=ENABLED),
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`.",
    ),
    "a prefill with structured output": (
        why_not(OLD, ASKED, says("Because"), output_config=FORMAT),
        "not supported with structured outputs",
    ),
    "an empty text": (why_not(NEW, ASKED, says(""), GO_ON), "messages: text content blocks must be non-empty"),
    "a blank text": (
        why_not(NEW, ASKED, says("\n ", TEXT), GO_ON),
        "messages: text content blocks must contain non-whitespace text",
    ),
    "an empty user turn": (
        why_not(NEW, {"role": "user", "content": ""}),
        "messages.0: user messages must have non-empty",
    ),
    "a turn that ends in thinking": (
        why_not(NEW, ASKED, says(THOUGHT), GO_ON),
        "messages.1: The final block in an assistant message cannot be `thinking`.",
    ),
    "unsigned thinking": (
        why_not(NEW, ASKED, says({**THOUGHT, "signature": ""}, TEXT), GO_ON),
        "messages.1.content.0.signature: Field required",
    ),
    "modified thinking": (
        why_not(NEW, ASKED, says({**THOUGHT, "thinking": "Hm."}, TEXT), GO_ON),
        "blocks in the latest assistant message cannot be modified",
    ),
    "thinking of a continuation": (
        why_not(NEW, ASKED, says(go_on(REPLY, Cut(0, 0, "turn")).blocks[0].content, TEXT), GO_ON),
        "The block is bound to a different conversation",
    ),
    "thinking behind a changed beginning": (
        why_not(NEW, {"role": "user", "content": "Who?"}, says(THOUGHT, TEXT), GO_ON, first={"messages": [ASKED]}),
        "The block is bound to a different conversation",
    ),
    "thinking behind another system prompt": (
        why_not(NEW, ASKED, says(THOUGHT, TEXT), GO_ON, first={"messages": [ASKED]}, system="Be brief."),
        "The block is bound to a different conversation",
    ),
    "a server tool without its result": (
        why_not(NEW, ASKED, says("Look:", SEARCH), GO_ON),
        "`web_search` tool use with id `srvtoolu_1` was found without a corresponding `web_search_tool_result` block",
    ),
    "an MCP tool without its result": (
        why_not(NEW, ASKED, says("Look:", REMOTE), GO_ON),
        "was found without a corresponding `mcp_tool_result` block",
    ),
    "a result without its server tool": (
        why_not(NEW, ASKED, says("Look:", FOUND), GO_ON),
        "unexpected `tool_use_id` found in `web_search_tool_result` blocks: srvtoolu_1",
    ),
    "a client tool without its result": (
        why_not(NEW, ASKED, says("Look:", CALL), GO_ON),
        f"messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: {CALL['id']}.",
    ),
    "a client tool whose result stands behind a text": (
        why_not(
            NEW, ASKED, says(CALL), {"role": "user", "content": [{"type": "text", "text": "So:"}, *RESULT["content"]]}
        ),
        "immediately after",
    ),
    "a result without its client tool": (
        why_not(NEW, ASKED, says("Look."), RESULT),
        "unexpected `tool_use_id` found in `tool_result` blocks",
    ),
    "an unknown block": (
        why_not(NEW, ASKED, says("Look:", {"type": "connector_text"}), GO_ON),
        "messages.1.content.1: Input tag 'connector_text' found using 'type' does not match any of the expected tags",
    ),
    "citations in a user turn": (
        why_not(NEW, ASKED, {"role": "user", "content": [{"type": "text", "text": "x", "citations": [{}]}]}),
        "messages.1.content.0.citations",
    ),
}

TAKEN = {
    "a question": why_not(NEW, ASKED),
    "a prefill on an old model": why_not(OLD, ASKED, says("Because")),
    "a partial turn and a user turn": why_not(NEW, ASKED, says(THOUGHT, TEXT, "And so"), GO_ON),
    "trailing white space before a user turn": why_not(NEW, ASKED, says("And so "), GO_ON),
    "thinking that was left out": why_not(NEW, ASKED, says(TEXT), GO_ON),
    "thinking in front of a prefix": why_not(OLD, ASKED, says(THOUGHT, "And so"), thinking=ENABLED),
    "a server tool with its result": why_not(NEW, ASKED, says("Look:", SEARCH, FOUND), GO_ON),
    "a server tool that is to be continued": why_not(NEW, ASKED, says("Look:", SEARCH)),
    "a client tool with its result": why_not(NEW, ASKED, says("Look:", CALL), RESULT),
    "a result behind text in the next turn's run": why_not(NEW, ASKED, says(CALL), RESULT, says("So"), GO_ON),
    "user turns one after another": why_not(NEW, ASKED, GO_ON),
    "citations in an assistant turn": why_not(
        NEW, ASKED, says({"type": "text", "text": "x", "citations": [{}]}), GO_ON
    ),
    "citations in a user turn of the old version": why_not(
        NEW, {"role": "user", "content": [{"type": "text", "text": "x", "citations": [{}]}]}, version="2023-06-01"
    ),
    "a redeemed fallback credit": why_not(NEW, ASKED, says("Because"), fallback_credit_token="t"),
    "thinking of somebody else": why_not(NEW, ASKED, says({**THOUGHT, "signature": "other"}, TEXT), GO_ON),
    "nothing": why_not(NEW),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_api_refuses_is_refused_in_its_words(case: str) -> None:
    told, words = REFUSED[case]
    assert words in told


@pytest.mark.parametrize("case", TAKEN)
def test_what_the_api_takes_is_taken(case: str) -> None:
    assert TAKEN[case] == ""


def test_thinking_may_be_left_out_at_an_end_but_not_in_the_middle() -> None:
    def thought(n: int) -> dict[str, Any]:
        return {"type": "thinking", "thinking": f"thought {n}", "signature": f"seal-{n}"}

    starts = [{"type": "content_block_start", "index": n, "content_block": thought(n)} for n in range(3)]
    reply = Reply.from_events(starts)
    for kept, taken in (((0, 1, 2), True), ((0, 1), True), ((1, 2), True), ((0, 2), False), ((1, 0), False)):
        told = why_not(NEW, ASKED, says(*map(thought, kept), "So"), GO_ON, reply=reply)
        assert (told == "") is taken, (kept, told)


def test_what_ran_in_a_container_needs_its_container() -> None:
    call = {"type": "server_tool_use", "id": "srvtoolu_9", "name": "code_execution", "input": {}}
    result = {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_9", "content": {}}
    start = {"type": "message_start", "message": {"container": {"id": "c"}}}
    blocks = [{"type": "content_block_start", "index": n, "content_block": b} for n, b in enumerate((call, result))]
    reply = Reply.from_events([start, *blocks])
    assert "container" in why_not(NEW, ASKED, says(call, result), GO_ON, reply=reply)
    assert why_not(NEW, ASKED, says(call, result), GO_ON, reply=reply, container="c") == ""


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("claude-haiku-4-5", True),
        ("claude-haiku-4-5-20251001", True),
        ("claude-opus-4-5@20251101", True),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", True),
        ("claude-3-opus-20240229", True),
        ("claude-sonnet-4-20250514", True),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", True),
        ("claude-opus-4-1-20250805", True),
        ("claude-sonnet-4@20250514", True),
        ("claude-sonnet-4-0", True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-4-6", False),
        ("claude-opus-4-7", False),
        ("claude-opus-4-8-20260701", False),
        ("claude-sonnet-5", False),
        ("claude-sonnet-5-5", False),
        ("claude-haiku-5-5", False),
        ("claude-fable-5-2", False),
        ("claude-mythos-preview", False),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", False),
        ("my-deployment", False),
        ("", False),
    ],
)
def test_only_the_generation_up_to_4_5_takes_a_prefill(model: str, takes: bool) -> None:
    assert takes_prefill(model) is takes


# The one recording whose request the API took though its rules say otherwise: a turn that begins with " ".
BLANK_TAKEN = "llm-anthropic-tools-2"


@pytest.mark.parametrize(
    "capture",
    parameters(c for c in captures() if c.claude and c.notes["request"] and "bedrock_converse" not in c.kinds),
)
def test_no_recorded_request_is_refused(capture: Capture) -> None:
    require()
    request = capture.notes["request"]
    reply = Reply.from_events([])
    model = str(request.get("model") or capture.notes["model"] or "")
    told = refusal(Asked(request, reply, None, model, "sse", {"anthropic-version": "2023-06-01"}))
    assert (told is not None) == (capture.name == BLANK_TAKEN)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "format"]), inner),
    max_leaves=4,
)
TYPES = [
    "text",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "server_tool_use",
    "web_search_tool_result",
]
FIELDS = dict.fromkeys(("text", "thinking", "signature", "data", "id", "tool_use_id", "name", "citations"), JSON)
BLOCK = JSON | st.fixed_dictionaries({"type": st.sampled_from(TYPES) | JSON}, optional=FIELDS)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]) | JSON, "content": JSON | st.lists(BLOCK, max_size=3)}
)


@settings(max_examples=500, deadline=None)
@given(
    st.fixed_dictionaries(
        {"messages": JSON | st.lists(MESSAGE | JSON, max_size=3)},
        optional=dict.fromkeys(("system", "thinking", "output_config", "container", "tools"), JSON),
    )
)
def test_no_request_makes_a_rule_stumble(request: dict[str, Any]) -> None:
    for check in CHECKS:
        told = check(Asked(request, REPLY, request, NEW, "sse", {}))
        assert told is None or isinstance(told, str)
