"""What came of it: equal is equal in every field but the usage."""

from typing import Any

import pytest

from midstream.demo.sides import Ended
from midstream.demo.verdict import Verdict, characters, returned, same

WHOLE: dict[str, Any] = {
    "id": "m",
    "role": "assistant",
    "content": [{"type": "text", "text": "one two"}, {"type": "tool_use", "input": {"a": "ö"}}],
    "stop_reason": "tool_use",
    "usage": {"output_tokens": 9},
}


def test_usage_alone_may_differ() -> None:
    assert same({**WHOLE, "usage": {"output_tokens": 12}}, WHOLE)


@pytest.mark.parametrize("change", [{"id": "n"}, {"stop_reason": None}, {"content": WHOLE["content"][:1]}], ids=str)
def test_any_other_field_may_not(change: dict[str, Any]) -> None:
    assert not same({**WHOLE, **change}, WHOLE)
    assert not same(None, WHOLE)


def test_what_is_said_is_counted_whatever_it_is() -> None:
    assert characters(WHOLE) == len("one two") + len('{"a": "ö"}')
    assert characters(None) == 0


def test_an_error_is_no_success_though_everything_came() -> None:
    half = Ended("bare", {**WHOLE, "content": WHOLE["content"][:1], "stop_reason": None})
    assert Verdict(WHOLE, half, Ended("mended", WHOLE)).good
    failed = Verdict(WHOLE, half, Ended("mended", WHOLE, "OverloadedError: too late"))
    assert not failed.good
    assert "NOT EQUAL" in failed.lines()[2][1] and "too late" in failed.lines()[2][1]


def test_what_is_lost_is_told() -> None:
    half = Ended("bare", {**WHOLE, "content": WHOLE["content"][:1], "stop_reason": None})
    found = Verdict(WHOLE, half, Ended("mended", WHOLE)).lines()
    assert found[0] == ("the whole reply", "17 characters")
    assert found[1][1] == "7 characters, returned as if whole · no exception · stop_reason None · 59 % lost"


def test_how_a_side_ended_is_its_error_or_what_it_returned() -> None:
    assert returned(Ended("bare", None, "ReadError: gone")) == "ReadError: gone"
    assert returned(Ended("bare", WHOLE)) == "returned · stop_reason tool_use · no exception"
