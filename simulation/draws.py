"""What a caller asks for, and by which policy: drawn.

Rule: everything is legal for the API and sensible for a policy; what is wrong with a world is drawn in ``faults``.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

from midstream.recovery.policy import Policy
from simulation.answers import Fields, pick
from simulation.checkers import Facts

MODELS = {
    "prefix": ("claude-sonnet-4-5-20250929", "anthropic.claude-3-5-sonnet-20240620-v1:0", "claude-haiku-4-5"),
    "turn": ("claude-opus-4-6", "claude-sonnet-5", "us.anthropic.claude-opus-4-8-v1:0"),
    "unknown": ("my-deployment", "arn:aws:bedrock:us-east-1:1:application-inference-profile/x"),
}
FAMILIES = ("prefix", "prefix", "turn", "turn", "turn", "unknown")
STOPS = (["END"], ["</"], ["<last"], ["ha "], ["\n\n"], ["<reply_complete/>", "\u2028"], ["|"])
QUESTIONS: tuple[Any, ...] = (
    "Tell me about it.",
    [{"type": "text", "text": "And <last_words>this</last_words>?"}],
    [{"type": "tool_result", "tool_use_id": "toolu_99", "content": "42"}],
    "What does <reply_complete/> mean?",
)
DEFAULTS = Policy()


@dataclass(slots=True)
class Call:
    """One request, as the engine and the model see it."""

    body: Fields
    family: str
    facts: Facts
    betas: frozenset[str]
    signed: bool


def draw_call(rng: Random) -> Call:
    """A request."""
    family = pick(rng, FAMILIES)
    body: Fields = {"model": pick(rng, MODELS[family]), "max_tokens": pick(rng, (16, 256, 1024, 1024, 8192))}
    messages: list[Fields] = [{"role": "user", "content": pick(rng, QUESTIONS)}]
    if rng.random() < 0.2:
        messages = [messages[0], {"role": "assistant", "content": "Well."}, {"role": "user", "content": "Go on."}]
    body["messages"] = messages
    thinks = structured = forced = eager = never = signed = False
    betas = frozenset[str]()
    dice = rng.random()
    if dice < 0.1:
        thinks, body["thinking"] = True, {"type": "enabled", "budget_tokens": 512}
    elif dice < 0.25:
        thinks, body["thinking"] = True, {"type": "adaptive"}
    elif dice < 0.3:
        body["thinking"] = {"type": "disabled"}
    dice = rng.random()
    if dice < 0.06:
        structured, body["output_config"] = True, {"format": {"type": "json_schema", "schema": {}}}
    elif dice < 0.12:
        forced, body["tool_choice"] = True, {"type": pick(rng, ("any", "tool")), "name": "run"}
    elif dice < 0.15:
        eager, body["tools"] = True, [{"name": "run", "eager_input_streaming": True}]
    elif dice < 0.17:
        eager, betas = True, frozenset({"fine-grained-tool-streaming-2025-05-14"})
    if rng.random() < 0.15:
        body["stop_sequences"] = pick(rng, STOPS)
    dice = rng.random()
    if dice < 0.05:
        body["container"] = "container_0"
    elif dice < 0.06:
        never, body["thread"] = True, {"id": "thread_1"}
    elif dice < 0.07:
        never, body["fallback_credit_token"] = True, "t"
    elif dice < 0.09:
        never = signed = True
    facts = Facts(structured, forced, thinks, eager, never, "container" in body)
    return Call(body, family, facts, betas, signed)


def draw_policy(rng: Random) -> Policy:
    """The defaults for some, and sensible limits of all kinds for the others."""
    if rng.random() < 0.45:
        return DEFAULTS
    given: Fields = {}
    for name, values in POLICIES.items():
        if rng.random() < 0.12:
            given[name] = pick(rng, values)
    if "attempts" in given or "attempts_total" in given:
        given["attempts_total"] = max(given.get("attempts_total", 16), given.get("attempts", 4))
    return Policy(**given)


POLICIES: dict[str, tuple[Any, ...]] = {
    "attempts": (1, 2, 3, 8),
    "attempts_total": (1, 2, 5, 30),
    "elapsed_s": (1.0, 30.0, 600.0, 3600.0),
    "waiting_s": (0.5, 5.0, 120.0),
    "first_event_s": (2.0, 20.0, 600.0),
    "silence_s": (1.0, 30.0, 600.0),
    "silence_after_pings_s": (1.0, 30.0, 600.0),
    "progress_s": (2.0, 60.0, 900.0),
    "progress_slow_s": (2.0, 900.0),
    "backoff_s": ((0.0, 0.0), (0.1, 1.0), (5.0, 60.0)),
    "retry_after_max_s": (0.0, 5.0, 5000.0),
    "tools": ("live",),
    "thinking": ("live",),
    "server_tools": ("live",),
    "structured": ("live",),
    "continue_text": (False,),
    "continue_max_tokens": (1, 2),
    "repeat_remote_tools": (True,),
    "held_bytes_max": (600, 20_000),
    "frame_bytes_max": (900, 30_000),
    "seam_hold_chars": (30, 200),
    "seam_hold_s": (0.1, 60.0),
}
"""What a policy is drawn from, field by field."""
