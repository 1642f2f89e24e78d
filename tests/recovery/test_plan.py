"""The plans (the contract, §6): the rows in their order, the cuts, what is sent back, and the edits to a request."""

import json
from typing import Any

import pytest

from midstream.protocol.dialects import Anthropic
from midstream.protocol.message import Message
from midstream.recovery.commit import Commit, Rules
from midstream.recovery.models import Memory
from midstream.recovery.plan import (
    Continue,
    Cut,
    Form,
    NoPlan,
    Plan,
    Restart,
    Settle,
    Situation,
    Where,
    cut_of,
    edited,
    make_plan,
    sent_back,
    user_turn,
)
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.stitch import shown_of
from tests.wire import (
    PREFIX_MODEL,
    begin,
    call,
    end,
    grow,
    request,
    result,
    say,
    sse,
    start,
    text,
    thinking,
)

Fields = dict[str, Any]
W = "The quick brown fox jumps over the lazy dog and"
PLAIN = Rules()
LIVE = Rules(frozenset({"tool_use", "thinking", "server_tool_use", "mcp_tool_use"}))
OPEN_TEXT = [begin(0), say(0, W)]
PAIR = [*call(0, "{}", type="server_tool_use", id="s1", name="web_search"), *result(1, "s1")]
MCP = {"type": "mcp_tool_use", "id": "m1", "name": "transfer"}
FORMAT = {"output_config": {"format": {"type": "json_schema"}}}
FORCED = {"tool_choice": {"type": "any"}}


def situation(
    *parts: Fields | list[Fields],
    rules: Rules = PLAIN,
    started: Fields | None = None,
    asked: Request | None = None,
    **options: Any,
) -> Situation:
    """What is shown and dropped when a first attempt breaks after these events."""
    message = Message()
    commit = Commit(message, rules)
    events = [start(**(started or {})), *(e for part in parts for e in (part if isinstance(part, list) else [part]))]
    for event in Anthropic().receive(sse(*events)):
        assert message.receive(event) is None  # type: ignore[arg-type]
        commit.receive(event)  # type: ignore[arg-type]
    shown, dropped = shown_of(message, commit)
    return Situation(asked or Request(request()), shown, dropped, **options)


def planned(there: Situation, form: Form | None = None, memory: Memory | None = None, **policy: Any) -> Plan:
    return make_plan(there, Policy(**policy), memory or Memory(), form)


def going_on(*parts: Fields | list[Fields], form: Form | None = None, **options: Any) -> Continue:
    plan = planned(situation(*parts, **options), form)
    assert isinstance(plan, Continue), plan
    return plan


def turns(plan: Continue) -> list[Fields]:
    return list(plan.body["messages"][1:])


def reason(plan: Plan) -> str:
    assert isinstance(plan, NoPlan), plan
    return plan.reason


# The rows, in order.

UNFINISHED = [
    pytest.param([thinking(0, "a", closed=False)], "a block of type thinking", id="thinking"),
    pytest.param([call(0, '{"a"', closed=False)], "a block of type tool_use", id="an open call"),
    pytest.param([call(0, '{"a"')], "a tool call", id="a call that does not parse"),
    pytest.param(
        [call(0, "{}", type="server_tool_use", name="web_search")], "web_search", id="an unpaired server call"
    ),
    pytest.param([call(0, "{}", **MCP), text(1, "a")], "transfer", id="an unpaired MCP call"),
    pytest.param([call(0, "{}"), thinking(1, "a", closed=False)], "a block of type thinking", id="before Settle"),
    pytest.param(
        [call(0)],
        "a tool call",
        id="a call without a fragment that nothing followed",
    ),
]


@pytest.mark.parametrize(("parts", "named"), UNFINISHED)
def test_something_unfinished_that_is_not_text_is_the_end(parts: list[list[Fields]], named: str) -> None:
    assert named in reason(planned(situation(*parts, rules=LIVE)))


def test_a_structured_text_that_was_shown_is_the_end() -> None:
    """Only ``structured="live"``, or a hold that lasted too long, shows one."""
    assert "structured" in reason(planned(situation(OPEN_TEXT, asked=Request(request(**FORMAT)))))


def test_nothing_shown_is_a_restart_whatever_was_received() -> None:
    for parts in ([], [begin(0)], [thinking(0, "a")], [call(0, '{"a"', closed=False)], [text(0, " ")]):
        assert planned(situation(*parts)) == Restart()
    assert planned(situation(asked=Request(request(), signed_by_caller=True))) == Restart()
    assert planned(situation(), continue_text=False) == Restart()


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([call(0, "{}")], id="a call"),
        pytest.param([text(0, "a"), call(1, "{}"), begin(2), say(2, "b")], id="text after it"),
        pytest.param([call(0, "{}"), call(1, '{"a"', closed=False)], id="half a call after it"),
        pytest.param([call(0, "{}"), call(1, "{}", **MCP)], id="a lost MCP call after it"),
        pytest.param([call(0, "{}", caller={"type": "direct"})], id="caller direct"),
    ],
)
def test_a_complete_client_call_is_settled_whatever_came_after_it(parts: list[list[Fields]]) -> None:
    assert planned(situation(*parts)) == Settle()


@pytest.mark.parametrize(
    "parts",
    [[OPEN_TEXT], [PAIR], [text(0, "a"), call(1, "{}", type="server_tool_use", closed=False)]],
    ids=["text", "a pair", "half a server call"],
)
def test_text_or_complete_blocks_that_are_no_client_calls_are_continued(parts: list[list[Fields]]) -> None:
    assert isinstance(planned(situation(*parts)), Continue)


@pytest.mark.parametrize("parts", [[call(0, "{}", **MCP)], [text(0, W), call(1, "{}", **MCP)]], ids=["first", "later"])
def test_a_lost_mcp_call_is_named_and_not_made_again(parts: list[list[Fields]]) -> None:
    assert "'transfer'" in reason(planned(situation(*parts)))
    assert isinstance(planned(situation(*parts), repeat_remote_tools=True), Restart | Continue)


def test_a_half_or_an_answered_mcp_call_is_not_lost() -> None:
    assert isinstance(planned(situation(call(0, "{", closed=False, **MCP))), Restart)
    assert isinstance(planned(situation(call(0, "{}", **MCP), result(1, "m1", "mcp_tool_result"))), Continue)


def test_the_quoting_form_does_not_send_results_back_so_an_mcp_call_ends_it() -> None:
    there = situation(call(0, "{}", **MCP), result(1, "m1", "mcp_tool_result"), begin(2), say(2, W))
    assert "'transfer'" in reason(planned(there, "quote"))


# Never continued, only restarted.

NEVER = [
    pytest.param({}, OPEN_TEXT, {"signed_by_caller": True}, "signature", id="signed by the caller"),
    pytest.param({"thread": {"type": "create"}}, OPEN_TEXT, {}, "thread", id="a message thread"),
    pytest.param({"fallback_credit_token": {"token": "t"}}, OPEN_TEXT, {}, "credit", id="a fallback credit"),
    pytest.param(
        {}, [*call(0, "{}", caller={"type": "code_execution_20260120"}), begin(1)], {}, "program", id="a caller"
    ),
    pytest.param(
        {},
        [*OPEN_TEXT, end(0), *call(1, '{"', caller={"type": "x"}, closed=False)],
        {},
        "program",
        id="a dropped caller",
    ),
    pytest.param({}, [begin(0, "fallback"), end(0), begin(1), say(1, W)], {}, "another model", id="a fallback"),
    pytest.param(
        {},
        [*text(0, W), begin(1, "fallback"), end(1)],
        {},
        "another model",
        id="a fallback that is held",
    ),
    pytest.param(
        {},
        [*call(0, "{}", type="server_tool_use", name="code_execution"), *result(1)],
        {},
        "container",
        id="a container",
    ),
    pytest.param({}, [begin(0, "container_upload", file_id="f"), end(0)], {}, "container", id="an upload"),
    pytest.param(
        {},
        [*text(0, W), *call(1, "{", type="server_tool_use", name="bash_code_execution", closed=False)],
        {},
        "container",
        id="a container's call that was dropped",
    ),
]


@pytest.mark.parametrize(("fields", "parts", "options", "named"), NEVER)
def test_some_replies_are_never_continued(
    fields: Fields, parts: list[Fields], options: dict[str, Any], named: str
) -> None:
    there = situation(parts, asked=Request(request(**fields), **options))
    assert there.shown.blocks
    assert named in reason(planned(there))


def test_the_policy_may_forbid_to_continue() -> None:
    assert "policy" in reason(planned(situation(OPEN_TEXT), continue_text=False))


def test_a_container_without_an_id_is_not_known() -> None:
    assert "container" in reason(planned(situation(OPEN_TEXT, started={"container": {"expires_at": "x"}})))


@pytest.mark.parametrize("where", ["request", "reply"])
def test_a_container_whose_id_is_known_is_no_hindrance(where: str) -> None:
    there = situation(
        call(0, "{}", type="server_tool_use", name="code_execution"),
        result(1, type="code_execution_tool_result"),
        started={"container": {"id": "c1"}} if where == "reply" else {},
        asked=Request(request(container="c1") if where == "request" else request()),
    )
    plan = planned(there)
    assert isinstance(plan, Continue)
    assert plan.body["container"] == "c1"


@pytest.mark.parametrize(
    "parts",
    [PAIR, [*call(0, "{}", **MCP), *result(1, "m1", "mcp_tool_result")], [begin(0, "compaction"), end(0), *text(1, W)]],
)
def test_another_upstream_does_not_understand_server_mcp_and_compaction_blocks(parts: list[Fields]) -> None:
    assert "upstream" in reason(planned(situation(parts, foreign=frozenset({0}))))
    assert isinstance(planned(situation(parts)), Continue)


def test_another_upstream_takes_text_but_no_thinking() -> None:
    plan = going_on(thinking(0, "a"), begin(1), say(1, W), foreign=frozenset({0}))
    assert turns(plan)[0]["content"] == [{"type": "text", "text": W}]


# What was cut.

CUTS = [
    pytest.param([OPEN_TEXT], Cut(Where.TEXT), id="inside a text"),
    pytest.param([text(0, W)], Cut(Where.TEXT), id="a text whose stop came, and nothing after it"),
    pytest.param([text(0, W), call(1, "{", closed=False)], Cut(Where.TOOL, "look"), id="inside a client call"),
    pytest.param([text(0, W), call(1)], Cut(Where.TOOL, "look"), id="a client call that is not complete"),
    pytest.param(
        [text(0, W), call(1, "{}", type="server_tool_use", name="web_search")],
        Cut(Where.TOOL, "web_search"),
        id="a server call without its result",
    ),
    pytest.param(
        [text(0, W), thinking(1, "a"), call(2, "{", closed=False)], Cut(Where.TOOL, "look"), id="thinking, a call"
    ),
    pytest.param([text(0, W), thinking(1, "a", closed=False)], Cut(Where.BETWEEN), id="inside a thought"),
    pytest.param([text(0, W), begin(1)], Cut(Where.BETWEEN), id="an empty text after a text"),
    pytest.param([PAIR], Cut(Where.BETWEEN), id="after a result"),
    pytest.param([PAIR, thinking(2, "a")], Cut(Where.BETWEEN), id="after a thought"),
]


@pytest.mark.parametrize(("parts", "cut"), CUTS)
def test_the_user_turn_says_what_was_cut(parts: list[list[Fields]], cut: Cut) -> None:
    there = situation(*parts)
    assert cut_of(there) == cut
    plan = planned(there)
    assert isinstance(plan, Continue)
    assert plan.cut == cut
    words = turns(plan)[-1]["content"]
    assert ("call of the tool" in words) is (cut.where is Where.TOOL)
    assert ("in the middle of its text" in words) is (cut.where is Where.TEXT)
    assert ("between two content blocks" in words) is (cut.where is Where.BETWEEN)
    assert cut.tool in words


@pytest.mark.parametrize("fields", [FORMAT, FORCED])
@pytest.mark.parametrize("parts", [[PAIR, text(2, W), call(3, "{", closed=False)], [PAIR]], ids=["a call", "nothing"])
def test_under_a_format_or_a_forced_tool_it_counts_as_between_blocks(parts: list[list[Fields]], fields: Fields) -> None:
    asked = Request(request(**fields))
    there = situation(*parts, asked=asked, rules=Rules(structured=asked.structured))
    plan = planned(there)
    assert isinstance(plan, Continue)
    assert plan.cut == Cut(Where.BETWEEN)
    assert (plan.element, plan.marker, plan.anchor) == (None, None, None)
    assert "<" not in turns(plan)[-1]["content"]


def test_an_attempt_that_brought_nothing_is_asked_for_what_was_cut_before() -> None:
    before = Cut(Where.TOOL, "look")
    assert cut_of(situation(OPEN_TEXT, cut_before=before)) == before


# Prefix or turn.


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({}, "prefix"),
        ({"thinking": {"type": "disabled"}}, "prefix"),
        ({"tool_choice": {"type": "auto"}}, "prefix"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "turn"),
        (FORCED, "turn"),
        ({"model": "claude-opus-5"}, "turn"),
        ({"model": "my-deployment"}, "turn"),
    ],
)
def test_the_form_is_the_model_s_and_the_request_s(fields: Fields, form: Form) -> None:
    asked = Request(request(**{"model": PREFIX_MODEL, **fields}))
    assert going_on(OPEN_TEXT, asked=asked).form == form


def test_structured_output_takes_a_turn() -> None:
    asked = Request(request(PREFIX_MODEL, **FORMAT))
    assert going_on(PAIR, asked=asked, rules=Rules(structured=True)).form == "turn"


def test_what_was_learned_from_a_refusal_counts() -> None:
    memory = Memory()
    memory.refused_prefix(PREFIX_MODEL)
    plan = planned(situation(OPEN_TEXT, asked=Request(request(PREFIX_MODEL))), memory=memory)
    assert isinstance(plan, Continue) and plan.form == "turn"


def test_a_prefix_is_the_last_assistant_turn_without_the_blanks_at_its_end() -> None:
    plan = going_on(begin(0), say(0, W + " \n"), asked=Request(request(PREFIX_MODEL)))
    assert turns(plan) == [{"role": "assistant", "content": [{"type": "text", "text": W}]}]
    assert plan.stripped == " \n"
    assert (plan.anchor, plan.element, plan.marker) == (None, None, None)


def test_a_prefix_that_ends_in_a_result_is_not_touched() -> None:
    plan = going_on(PAIR, asked=Request(request(PREFIX_MODEL)))
    assert plan.form == "prefix"
    assert plan.stripped == ""
    assert [block["type"] for block in turns(plan)[0]["content"]] == ["server_tool_use", "web_search_tool_result"]


def test_a_prefix_of_nothing_is_a_turn() -> None:
    plan = going_on([begin(0, "novel"), end(0)], asked=Request(request(PREFIX_MODEL)))
    assert plan.form == "turn"
    assert [turn["role"] for turn in turns(plan)] == ["user"]


def test_a_turn_inside_a_text_asks_for_the_element_with_the_anchor_verbatim() -> None:
    plan = going_on(begin(0), say(0, W + "  \n"))
    assert turns(plan)[0] == {"role": "assistant", "content": [{"type": "text", "text": W + "  \n"}]}
    assert plan.anchor is not None
    assert plan.anchor.text.endswith("lazy dog and  \n")
    words = turns(plan)[1]["content"]
    assert f"<last_words>{plan.anchor.text}</last_words>" in words
    assert "<reply_complete/>" in words
    assert (plan.element, plan.marker) == ("last_words", "reply_complete")


def test_a_turn_inside_a_call_asks_for_the_call_and_takes_no_marker() -> None:
    plan = going_on(text(0, W), call(1, "{", closed=False))
    assert (plan.element, plan.marker) == (None, None)
    assert "write no text before it" in turns(plan)[1]["content"]
    assert "<" not in turns(plan)[1]["content"]


def test_a_turn_between_blocks_takes_the_marker_alone() -> None:
    plan = going_on(text(0, W), thinking(1, "a"))
    assert (plan.element, plan.marker, plan.anchor) == (None, "reply_complete", None)
    assert "<reply_complete/>" in turns(plan)[1]["content"]


def test_names_that_occur_in_the_conversation_get_a_suffix() -> None:
    messages = [{"role": "user", "content": 'What is "<last_words>"?'}]
    plan = going_on(begin(0), say(0, f"It is like <reply_complete/>. {W}"), asked=Request(request(messages=messages)))
    assert plan.element == "last_words_2"
    assert plan.marker == "reply_complete_2"
    assert f"<{plan.element}>" in turns(plan)[1]["content"]


def test_names_that_occur_in_a_result_that_is_sent_back_get_a_suffix() -> None:
    shown = [*PAIR[:-2], *result(1, "s1", content=[{"text": "<reply_complete/> <last_words>"}]), begin(2), say(2, W)]
    plan = going_on(shown)
    assert (plan.element, plan.marker) == ("last_words_2", "reply_complete_2")


@pytest.mark.parametrize(
    ("stop", "element", "marker"),
    [
        ("words", None, "reply_complete"),
        ("complete", "last_words", None),
        (">", None, None),
        ("lazy", None, "reply_complete"),
        ("words_2", "last_words", "reply_complete"),
    ],
)
def test_neither_element_nor_marker_holds_a_stop_sequence(stop: str, element: str | None, marker: str | None) -> None:
    plan = going_on(OPEN_TEXT, asked=Request(request(stop_sequences=[stop])))
    assert (plan.element, plan.marker) == (element, marker)
    assert plan.anchor is not None


def test_a_quote_is_the_original_messages_and_one_user_turn_with_the_bare_text() -> None:
    cited = [begin(1, citations=[{"type": "x"}]), say(1, W)]
    plan = going_on(thinking(0, "hm"), cited, form="quote")
    assert [turn["role"] for turn in turns(plan)] == ["user"]
    assert W in turns(plan)[0]["content"]
    assert "hm" not in turns(plan)[0]["content"]
    assert plan.anchor is not None
    assert (plan.form, plan.element, plan.marker) == ("quote", None, None)


def test_a_quote_of_nothing_only_asks_to_go_on() -> None:
    plan = going_on(PAIR, form="quote")
    assert turns(plan)[0]["content"].endswith("Continue from where you left off.")
    assert plan.anchor is None


def test_the_words_of_the_user_turn_depend_on_nothing_else() -> None:
    assert user_turn(Cut(Where.TEXT), None, None, None).endswith("apology or comment.")
    assert user_turn(Cut(Where.BETWEEN), None, None, "done").endswith("<done/> instead.")


# What is sent back.

SIGNED = {"type": "thinking", "thinking": "a", "signature": "sig"}
BACK = [
    pytest.param([thinking(0, "a"), text(1, W)], [SIGNED, W], id="signed thinking before text"),
    pytest.param([thinking(0, "a", signature=None), text(1, W)], [W], id="no unsigned thinking"),
    pytest.param(
        [begin(0, "redacted_thinking", data="x"), end(0), *text(1, W)],
        [{"type": "redacted_thinking", "data": "x"}, W],
        id="redacted thinking",
    ),
    pytest.param([text(0, " "), text(1, ""), text(2, W)], [W], id="no blank text"),
    pytest.param([[begin(0, "novel"), end(0)], text(1, W)], [W], id="no unknown block"),
    pytest.param(
        [begin(0, citations=[{"type": "x"}]), say(0, W)],
        [{"type": "text", "text": W, "citations": [{"type": "x"}]}],
        id="citations on assistant text",
    ),
    pytest.param(
        [text(0, "a"), call(1, "{}", id="s1", type="server_tool_use", name="w"), result(2, "s1")],
        [
            "a",
            {"type": "server_tool_use", "id": "s1", "name": "w", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
        ],
        id="pairs",
    ),
    pytest.param([result(0, "nobody"), text(1, W)], [W], id="no result without its call"),
    pytest.param(
        [result(0, "before"), text(1, W)],
        [{"type": "web_search_tool_result", "tool_use_id": "before", "content": []}, W],
        id="a result whose call is in the caller's messages",
    ),
    pytest.param(
        [begin(0, "mcp_tool_listing", tools=[]), end(0)], [{"type": "mcp_tool_listing", "tools": []}], id="listing"
    ),
]


@pytest.mark.parametrize(("parts", "content"), BACK)
def test_what_is_sent_back_is_what_the_api_takes(parts: list[Any], content: list[Any]) -> None:
    calls = {"role": "assistant", "content": [{"type": "server_tool_use", "id": "before", "name": "w", "input": {}}]}
    asked = Request(request(messages=[{"role": "user", "content": "a"}, calls]))
    there = situation(*parts, asked=asked)
    assert sent_back(there) == [{"type": "text", "text": c} if isinstance(c, str) else c for c in content]


def test_no_trailing_thinking_and_no_unpaired_call_is_sent_back() -> None:
    there = situation(text(0, W), thinking(1, "a"), call(2, "{}", type="server_tool_use"), rules=LIVE)
    assert sent_back(there) == [{"type": "text", "text": W}]
    shown = situation(thinking(0, "a"), rules=LIVE)
    assert sent_back(shown) == []
    assert [turn["role"] for turn in turns(going_on(thinking(0, "a"), rules=LIVE))] == ["user"]


# The edits.


@pytest.mark.parametrize("model", [PREFIX_MODEL, "claude-opus-5"])
def test_the_request_begins_as_the_caller_s_did_byte_for_byte_and_the_caller_s_stays_as_it_was(model: str) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}]
    body = request(model, messages=messages, system="é", metadata={"b": 1, "a": 2})
    before = json.dumps(body)
    plan = going_on(OPEN_TEXT, asked=Request(body))
    assert json.dumps(body) == before
    assert list(plan.body) == list(body)
    unchanged = {name: value for name, value in plan.body.items() if name not in ("messages", "max_tokens")}
    assert json.dumps(unchanged) == json.dumps({name: body[name] for name in unchanged})
    assert json.dumps(plan.body["messages"]).startswith(json.dumps(messages)[:-1] + ", ")


def test_a_container_s_id_is_set_only_where_the_request_has_none() -> None:
    named = {"container": {"id": "c1", "expires_at": "x"}}
    assert going_on(OPEN_TEXT, started=named).body["container"] == "c1"
    assert going_on(OPEN_TEXT, started=named, asked=Request(request(container="mine"))).body["container"] == "mine"
    assert going_on(OPEN_TEXT, started=named, asked=Request(request(container=None))).body["container"] == "c1"
    assert "container" not in going_on(OPEN_TEXT).body


def max_tokens(limit: Any, shown: str, **fields: Any) -> Any:
    there = situation(begin(0), say(0, shown), asked=Request(request(max_tokens=limit, **fields)))
    return edited(there, [])["max_tokens"]


def test_max_tokens_is_lowered_by_about_a_sixth_of_the_bytes() -> None:
    assert 890 <= max_tokens(1000, "a" * 600) <= 900
    assert 3990 - 2000 <= max_tokens(4000, "é" * 6000) <= 4000 - 2000


def test_max_tokens_is_lowered_by_a_sixth_of_the_bytes_of_the_text() -> None:
    assert max_tokens(1000, "a" * 600) == 900
    assert max_tokens(1000, "a") == 1000
    assert max_tokens(1000, '"\n' * 300) == 900


def test_max_tokens_is_not_lowered_for_results_which_the_model_did_not_write() -> None:
    there = situation(
        PAIR[:-2], result(1, "s1", content=[{"page": "x" * 60_000}]), asked=Request(request(max_tokens=20_000))
    )
    assert edited(there, [])["max_tokens"] > 19_900


@pytest.mark.parametrize(("limit", "lowered"), [(1000, 256), (300, 256), (256, 256), (255, 255), (1, 1)])
def test_max_tokens_is_never_under_256_unless_the_caller_s_was(limit: int, lowered: int) -> None:
    assert max_tokens(limit, "a" * 60_000) == lowered


@pytest.mark.parametrize("limit", [None, "1000", 1000.0, True])
def test_a_max_tokens_that_is_no_whole_number_is_left_alone(limit: Any) -> None:
    assert max_tokens(limit, "a" * 6000) is limit


def test_max_tokens_is_left_alone_under_a_thinking_budget_and_for_an_extension() -> None:
    assert max_tokens(9000, "a" * 6000, thinking={"type": "enabled", "budget_tokens": 8000}) == 9000
    assert max_tokens(9000, "a" * 6000, thinking={"type": "adaptive"}) < 9000
    there = situation(begin(0), say(0, "a" * 6000), paid_bytes=6000)
    assert edited(there, [])["max_tokens"] == 1000


def test_a_request_without_max_tokens_gets_none() -> None:
    body = request()
    del body["max_tokens"]
    assert "max_tokens" not in going_on(OPEN_TEXT, asked=Request(body)).body


def test_citations_that_came_as_deltas_go_back_too() -> None:
    plan = going_on(begin(0), say(0, W), grow(0, "citations_delta", citation={"n": 1}))
    assert turns(plan)[0]["content"][0]["citations"] == [{"n": 1}]


def test_a_text_that_is_not_unicode_cannot_be_sent_back() -> None:
    assert "Unicode" in reason(planned(situation(begin(0), say(0, W + "\ud800"))))
