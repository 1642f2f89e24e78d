"""What must come of a cut, judged from the capture and the contract alone.

Rule: nothing of `midstream` is used here. The commit rule (the contract, §4) is written down a second time, plainly:
where the two disagree, one of them has a bug.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Fields = dict[str, Any]

COMPLETE, RESTARTED, CONTINUED, SETTLED = "complete", "restarted", "continued", "settled"
GAVE_UP = {
    "mcp": "a complete call of a remote MCP server would happen twice (§6)",
    "caller": "a program of the model's made a call (§6, never continued)",
    "fallback": "another model took over within it (§6, never continued)",
    "container": "it runs in a container whose id is not known (§6, never continued)",
    "compaction": "the continuation would stop for a compaction (§6)",
    "garbled": "a tool call of the source's own does not parse (§4)",
}
"""The errors that the contract names although the upstream recovers; everything else has to end well."""

_IN_A_CONTAINER = ("code_execution", "bash_code_execution", "text_editor_code_execution")
_HELD_WITH_NEXT = ("thinking", "redacted_thinking", "compaction", "fallback")


@dataclass
class Received:
    """One block, as far as it was received."""

    start: Fields
    text: str = ""
    json: str = ""
    closed: bool = False

    @property
    def type(self) -> str:
        return str(self.start["type"])

    @property
    def input(self) -> object:
        if not self.json:
            return self.start.get("input", {})
        try:
            return json.loads(self.json)
        except ValueError:
            return None


@dataclass
class Seen:
    """All that was received before the cut."""

    started: Fields | None = None
    blocks: list[Received] = field(default_factory=list)
    stop_reason: str | None = None

    def fork(self) -> "Seen":
        """A copy that can go another way."""
        return Seen(self.started, [*self.blocks[:-1], *map(replace, self.blocks[-1:])], self.stop_reason)

    def take(self, event: Mapping[str, Any] | None) -> None:
        """One event of the capture."""
        match (event or {}).get("type"):
            case "message_start":
                self.started = event["message"]  # type: ignore[index]
                self.blocks = [Received(block, closed=True) for block in self.started.get("content") or ()]
                self.stop_reason = self.started.get("stop_reason")
            case "content_block_start":
                block = event["content_block"]  # type: ignore[index]
                self.blocks.append(Received(block, text=str(block.get("text") or "")))
            case "content_block_delta":
                delta = event["delta"]  # type: ignore[index]
                self.blocks[-1].text += str(delta.get("text") or "")
                self.blocks[-1].json += str(delta.get("partial_json") or "")
            case "content_block_stop":
                self.blocks[-1].closed = True
            case "message_delta":
                self.stop_reason = event["delta"].get("stop_reason") or self.stop_reason  # type: ignore[index]


@dataclass(frozen=True)
class Shown:
    """How far the consumer has come when nothing has stopped the message yet."""

    blocks: int
    """So many blocks were begun."""
    open: bool
    """The last of them still is: a text that can go on."""


def shown_of(seen: Seen, *, structured: bool) -> Shown:
    """How much of it may be shown (§4), before a stop reason is known."""
    reach, unanswered = 0, set[str]()
    for number, block in enumerate(seen.blocks):
        followed = number + 1 < len(seen.blocks)
        if block.type == "text" and structured:
            break
        if block.type == "text" and block.text.strip():
            if unanswered:
                if not block.closed:
                    break
            elif not (block.closed and followed):
                return Shown(number + 1, open=True)
            else:
                reach = number + 1
            continue
        if not block.closed:
            break
        if block.type == "text" or block.type in _HELD_WITH_NEXT:
            continue
        if block.type == "tool_use" and not _is_complete(block, followed=followed):
            break
        if block.type in ("server_tool_use", "mcp_tool_use"):
            unanswered.add(str(block.start.get("id")))
        unanswered.discard(str(block.start.get("tool_use_id")))
        if not unanswered:
            reach = number + 1
    return Shown(reach, open=False)


def _is_complete(block: Received, *, followed: bool) -> bool:
    return isinstance(block.input, dict) and (bool(block.json) or followed)


def is_structured(request: Mapping[str, Any]) -> bool:
    """Text waits for the stop reason."""
    return bool((request.get("output_config") or {}).get("format") or request.get("output_format"))


def verdict(seen: Seen, truth: Seen, request: Mapping[str, Any]) -> str:
    """What must come of it, if the upstream recovers at once: one of the four good ends, or a reason of `GAVE_UP`."""
    if _garbled(truth):
        return "garbled"
    if seen.stop_reason is not None:
        return COMPLETE
    shown = shown_of(seen, structured=is_structured(request))
    visible = seen.blocks[: shown.blocks]
    if any(block.type == "tool_use" and _direct(block) for block in visible):
        return SETTLED
    held = seen.blocks[shown.blocks :]
    if any(block.type == "mcp_tool_use" and block.closed and isinstance(block.input, dict) for block in held):
        return "mcp"
    if not visible:
        return RESTARTED
    return _never_continued(seen, request) or ("compaction" if truth.stop_reason == "compaction" else CONTINUED)


def _never_continued(seen: Seen, request: Mapping[str, Any]) -> str | None:
    if not all(_direct(block) for block in seen.blocks):
        return "caller"
    if any(block.type == "fallback" for block in seen.blocks):
        return "fallback"
    named = ((seen.started or {}).get("container") or {}).get("id")
    inside = any(b.type == "container_upload" or b.start.get("name") in _IN_A_CONTAINER for b in seen.blocks)
    return "container" if inside and not named and not request.get("container") else None


def _direct(block: Received) -> bool:
    return bool((block.start.get("caller") or {}).get("type", "direct") == "direct")


def _garbled(truth: Seen) -> bool:
    well = truth.stop_reason in ("tool_use", "end_turn", "pause_turn")
    calls = [block for block in truth.blocks if block.type == "tool_use" and block.closed]
    return well and any(not isinstance(block.input, dict) for block in calls)
