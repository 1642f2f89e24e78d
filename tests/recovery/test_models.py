"""Which models take a prefix (the contract, §6; Anthropic's list of models that do not support prefill)."""

import pytest

from midstream.recovery.models import Memory, mode_of

PREFIX = [
    "claude-haiku-4-5",
    "claude-haiku-4-5-20251001",
    "claude-opus-4-5",
    "claude-opus-4-5-20251101",
    "claude-sonnet-4-5",
    "claude-sonnet-4-5-20250929",
    "claude-sonnet-4-5@20250929",
    "claude-opus-4-1",
    "claude-opus-4-1-20250805",
    "claude-opus-4-0",
    "claude-opus-4-20250514",
    "claude-sonnet-4-0",
    "claude-sonnet-4@20250514",
    "claude-3-7-sonnet-20250219",
    "claude-3-7-sonnet-latest",
    "claude-3-5-haiku@20241022",
    "claude-3-5-sonnet-v2@20241022",
    "claude-3-opus-20240229",
    "claude-3-haiku-20240307",
    "claude-2.1",
    "claude-instant-1.2",
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "eu.anthropic.claude-3-5-sonnet-20240620-v1:0",
    "global.anthropic.claude-haiku-4-5-20251001-v1:0",
    "apac.anthropic.claude-3-haiku-20240307-v1:0",
    "anthropic.claude-3-sonnet-20240229-v1:0:200k",
    "anthropic.claude-v2:1",
    "anthropic.claude-instant-v1",
    "anthropic/claude-haiku-4-5",
]
TURN = [
    "claude-sonnet-4-6",
    "claude-opus-4-6",
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-opus-5-5",
    "claude-sonnet-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-fable-5",
    "claude-fable-5-2",
    "claude-mythos-preview",
    "claude-mythos-5-1",
    "anthropic.claude-opus-4-6-v1:0",
    "us.anthropic.claude-sonnet-5-20260630-v1:0",
    # What nobody can know: ARNs, deployments, other makers, other spellings, nothing.
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
    "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
    "my-deployment",
    "claude",
    "claude-haiku-4-50",
    "claude-haiku-4-5-preview",
    "not-claude-haiku-4-5",
    "Claude-Haiku-4-5",
    "amazon.nova-pro-v1:0",
    "claude-haiku-4-5\n",
    "",
]


@pytest.mark.parametrize("model", PREFIX)
def test_the_4_5_generation_and_what_came_before_take_a_prefix_on_every_cloud(model: str) -> None:
    assert mode_of(model) == "prefix"


@pytest.mark.parametrize("model", TURN)
def test_everything_later_and_everything_unknown_takes_a_turn(model: str) -> None:
    assert mode_of(model) == "turn"


def test_a_refused_prefix_is_remembered_for_that_model_alone() -> None:
    memory = Memory()
    assert memory.mode_of("claude-haiku-4-5") == "prefix"
    memory.refused_prefix("claude-haiku-4-5")
    assert memory.mode_of("claude-haiku-4-5") == "turn"
    assert memory.mode_of("claude-opus-4-5") == "prefix"
    assert memory.mode_of("claude-opus-5") == "turn"
    assert Memory().mode_of("claude-haiku-4-5") == "prefix"


def test_the_memory_is_bounded() -> None:
    memory = Memory()
    for number in range(Memory.NAMES_MAX):
        memory.refused_prefix(f"model-{number}")
    memory.refused_prefix("claude-haiku-4-5")
    assert memory.mode_of("claude-haiku-4-5") == "prefix"
