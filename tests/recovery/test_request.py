"""What is read out of a caller's request, whatever the caller put into it."""

import json
from typing import Any

import pytest

from midstream.recovery.request import EAGER_TOOLS_BETA, Request
from tests.wire import request

Fields = dict[str, Any]
ODD = [None, 3, "text", [], {}, [1], [None], {"type": None}]


def asked(**fields: Any) -> Request:
    return Request(request(**fields))


PROPERTIES = [
    ("structured", {}, False),
    ("structured", {"output_config": {}}, False),
    ("structured", {"output_config": {"effort": "low"}}, False),
    ("structured", {"output_config": {"format": None}}, False),
    ("structured", {"output_config": {"format": {"type": "json_schema", "schema": {}}}}, True),
    ("structured", {"output_format": {"type": "json_schema"}}, True),
    ("forces_a_tool", {}, False),
    ("forces_a_tool", {"tool_choice": {"type": "auto"}}, False),
    ("forces_a_tool", {"tool_choice": {"type": "none"}}, False),
    ("forces_a_tool", {"tool_choice": {"type": "any"}}, True),
    ("forces_a_tool", {"tool_choice": {"type": "tool", "name": "x"}}, True),
    ("thinks", {}, False),
    ("thinks", {"thinking": {"type": "disabled"}}, False),
    ("thinks", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, True),
    ("thinks", {"thinking": {"type": "adaptive"}}, True),
    ("has_thinking_budget", {}, False),
    ("has_thinking_budget", {"thinking": {"type": "adaptive"}}, False),
    ("has_thinking_budget", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, True),
    ("eager_tools", {}, False),
    ("eager_tools", {"tools": [{"name": "a"}, {"name": "b", "eager_input_streaming": False}]}, False),
    ("eager_tools", {"tools": [{"name": "a"}, {"name": "b", "eager_input_streaming": True}]}, True),
    ("stop_sequences", {}, []),
    ("stop_sequences", {"stop_sequences": ["a", "", 3, "b"]}, ["a", "b"]),
    ("model", {"model": "claude-opus-5"}, "claude-opus-5"),
    ("never_continued_because", {}, None),
    ("never_continued_because", {"thread": None, "fallback_credit_token": None}, None),
    ("never_continued_because", {"thread": {"type": "create"}}, "the request belongs to a message thread"),
    ("never_continued_because", {"fallback_credit_token": {"token": "x"}}, "the request redeems a fallback credit"),
    ("never_continued_because", {"messages": "text"}, "the request's messages are no list"),
]


@pytest.mark.parametrize(("name", "fields", "value"), PROPERTIES)
def test_a_property_says_what_the_request_asks_for(name: str, fields: Fields, value: object) -> None:
    assert getattr(asked(**fields), name) == value


def test_eager_tools_may_be_asked_for_by_a_beta() -> None:
    assert Request(request(), frozenset({"other", EAGER_TOOLS_BETA})).eager_tools
    assert not Request(request(), frozenset({"other"})).eager_tools


def test_a_body_that_the_caller_signed_may_not_be_edited() -> None:
    assert Request(request(), signed_by_caller=True).never_continued_because == (
        "the caller's signature covers the request"
    )


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(
    "name", ["output_config", "tool_choice", "thinking", "tools", "stop_sequences", "messages", "model", "thread"]
)
def test_no_value_at_all_makes_reading_raise(name: str, odd: object) -> None:
    read = asked(**{name: odd})
    for property in {row[0] for row in PROPERTIES}:
        getattr(read, property)
    assert read.call_ids() == set()


def test_an_empty_request_says_nothing() -> None:
    read = Request({})
    assert read.model == ""
    assert read.never_continued_because == "the request's messages are no list"


def test_the_calls_of_the_caller_s_messages_are_found() -> None:
    blocks = [
        {"type": "text", "text": "a"},
        "text",
        {"type": "server_tool_use", "id": "s1"},
        {"type": "web_search_tool_result", "tool_use_id": "s1"},
        {"type": "tool_use", "id": 7},
    ]
    messages = [{"role": "user", "content": "a"}, "odd", {"content": None}, {"role": "assistant", "content": blocks}]
    results = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1"}]}
    assert asked(messages=[*messages, results]).call_ids() == {"s1"}


def test_the_size_is_that_of_the_json_in_bytes() -> None:
    body = request(messages=[{"role": "user", "content": "é"}])
    assert Request(body).size_bytes == len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())


def test_what_cannot_be_written_as_json_counts_as_empty() -> None:
    endless: Fields = {}
    endless["self"] = endless
    assert Request(endless).size_bytes == 0
    assert Request({"a": object()}).size_bytes == 0


def test_reading_changes_nothing() -> None:
    body = request(tools=[{"name": "a"}], stop_sequences=["x"])
    before = json.dumps(body)
    read = Request(body)
    for property in {row[0] for row in PROPERTIES}:
        getattr(read, property)
    assert json.dumps(body) == before
