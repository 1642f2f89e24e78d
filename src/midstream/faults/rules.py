"""What the real API refuses in a resume request, with its wording.

Rule: a table of checks, each of which answers with the API's own sentence, or with nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from midstream.faults.catalogue import Wire
from midstream.faults.models import BOUND
from midstream.faults.reply import Reply

Content = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request, and what the API knows besides it."""

    request: Mapping[str, Any]
    reply: Reply
    """What the model says; its signatures, and the calls that it made, are known to the API."""
    first: Mapping[str, Any] | None
    """The first request of the same stream, if there was one."""
    model: str
    wire: Wire
    headers: Mapping[str, str]

    @cached_property
    def messages(self) -> list[Content]:
        """The messages, those that are none left out."""
        messages = self.request.get("messages")
        return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []

    @cached_property
    def turns(self) -> tuple["Turn", ...]:
        """The conversation, with turns of the same role put together, as the API does it."""
        turns: list[Turn] = []
        for number, message in enumerate(self.messages):
            role = str(message.get("role"))
            blocks = [(f"messages.{number}.content.{at}", block) for at, block in enumerate(_blocks(message))]
            if turns and turns[-1].role == role:
                turns[-1] = Turn(role, number, (*turns[-1].blocks, *blocks))
            else:
                turns.append(Turn(role, number, tuple(blocks)))
        return tuple(turns)

    def pairs(self) -> Iterator[tuple["Turn", "Turn | None"]]:
        """Each turn with the one that follows it."""
        # Not strict: a conversation without turns has no pairs, and the None is left over.
        return zip(self.turns, (*self.turns[1:], None), strict=False)

    @property
    def prefill(self) -> "Turn | None":
        """The assistant turn that ends the conversation and is to be continued, if there is one."""
        last = self.turns[-1] if self.turns else None
        # A turn that ends in a server tool is how a pause_turn is continued, on every model.
        return last if last and last.role == "assistant" and last.types and last.types[-1] in _PREFILLS else None


@dataclass(frozen=True, slots=True)
class Turn:
    """All that one side says before the other does."""

    role: str
    number: int
    """Of its last message."""
    blocks: tuple[tuple[str, Content], ...]
    """Each with its path, as the API names it."""

    @property
    def types(self) -> list[str]:
        """The types of its blocks."""
        return [str(block.get("type")) for _, block in self.blocks]

    def of(self, *types: str) -> list[tuple[str, Content]]:
        """Its blocks of these types."""
        return [(path, block) for path, block in self.blocks if block.get("type") in types]


_THINKING = ("thinking", "redacted_thinking")
_PREFILLS = ("text", *_THINKING)
_REMOTE = {"server_tool_use": "id", "mcp_tool_use": "id"}

_ASSISTANT_TYPES = frozenset(
    (
        "text thinking redacted_thinking tool_use server_tool_use mcp_tool_use mcp_tool_result mcp_tool_listing "
        "web_search_tool_result web_fetch_tool_result code_execution_tool_result bash_code_execution_tool_result "
        "text_editor_code_execution_tool_result tool_search_tool_result advisor_tool_result container_upload "
        "compaction fallback search_result image document tool_result"
    ).split()
)

# The 4.5 generation, and whatever clouds still serve of the ones before it; a new name takes no prefill.
_TAKES_PREFILL = re.compile(
    r"claude-(?:haiku|opus|sonnet)-4-5|claude-(?:opus|sonnet)-4(?:-[01])?(?:-?20\d{6}|@|$|-v)|claude-opus-4-1"
    r"|claude-3|claude-2|claude-v2|claude-instant"
)

_OLD_VERSIONS = ("2023-01-01", "2023-06-01", "bedrock-2023-05-31", "vertex-2023-10-16")


def refusal(asked: Asked) -> str | None:
    """What the API has against this request; ``None`` if nothing."""
    return next((problem for check in CHECKS if (problem := check(asked))), None)


def takes_prefill(model: str) -> bool:
    """Whether this model lets the conversation end with an assistant turn."""
    return _TAKES_PREFILL.search(model) is not None


def _blocks(message: Mapping[str, Any]) -> list[Content]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _thinks(request: Mapping[str, Any]) -> bool:
    thinking = request.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")


# --- prefill ------------------------------------------------------------------------------------------------------


def _prefill_not_supported(asked: Asked) -> str | None:
    # A fallback credit with its claim is the one exception; whoever redeems it sends the token.
    if asked.prefill is None or takes_prefill(asked.model) or asked.request.get("fallback_credit_token"):
        return None
    return "This model does not support assistant message prefill. The conversation must end with a user message."


def _prefill_with_thinking(asked: Asked) -> str | None:
    turn = asked.prefill
    if turn is None or not _thinks(asked.request) or turn.types[0] in _THINKING:
        return None
    return (
        f"{turn.blocks[0][0]}.type: Expected `thinking` or `redacted_thinking`, but found `{turn.types[0]}`. "
        "When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceding the "
        "lastmost set of `tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous "
        "turns. To avoid this requirement, disable `thinking`."
    )


def _prefill_with_format(asked: Asked) -> str | None:
    config = asked.request.get("output_config")
    if asked.prefill is None or not isinstance(config, dict) or not config.get("format"):
        return None
    return "output_config.format: Prefilling the assistant message is not supported with structured outputs."


def _trailing_white_space(asked: Asked) -> str | None:
    turn = asked.prefill
    text = str(turn.blocks[-1][1].get("text") or "") if turn is not None else ""
    return "messages: final assistant content cannot end with trailing whitespace" if text != text.rstrip() else None


# --- text and thinking --------------------------------------------------------------------------------------------


def _empty_text(asked: Asked) -> str | None:
    for number, message in enumerate(asked.messages):
        if message.get("role") == "user" and message.get("content") == "":
            return f"messages.{number}: user messages must have non-empty content"
    texts = [str(block.get("text") or "") for turn in asked.turns for _, block in turn.of("text")]
    if "" in texts:
        return "messages: text content blocks must be non-empty"
    if any(not text.strip() for text in texts):
        return "messages: text content blocks must contain non-whitespace text"
    return None


def _ends_in_thinking(asked: Asked) -> str | None:
    for turn in asked.turns:
        if turn.role == "assistant" and turn.types and turn.types[-1] in _THINKING:
            return f"messages.{turn.number}: The final block in an assistant message cannot be `thinking`."
    return None


_MODIFIED = (
    "{}: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. "
    "These blocks must remain as they were in the original response."
)
_BOUND_ELSEWHERE = (
    "{}: Invalid `signature` in `thinking` block. The block is bound to a different conversation: "
    "the content before it must be the same as when it was created."
)


def _thinking(asked: Asked) -> str | None:
    spoken = {_seal(block.content): block.content for block in asked.reply.blocks if block.type in _THINKING}
    order = list(spoken)
    for turn in asked.turns:
        sent = []
        for path, block in turn.of(*_THINKING):
            seal = _seal(block)
            if not seal:
                return f"{path}.{'signature' if block.get('type') == 'thinking' else 'data'}: Field required"
            if seal.startswith(BOUND) or (seal in spoken and not _same_beginning(asked)):
                return _BOUND_ELSEWHERE.format(path)
            if seal in spoken:
                sent.append(order.index(seal))
                if block.get("thinking") != spoken[seal].get("thinking"):
                    return _MODIFIED.format(path)
        # Removed from the front or from the back, never from the middle, and in their order.
        if sent and sent != list(range(sent[0], sent[0] + len(sent))):
            return _MODIFIED.format(turn.of(*_THINKING)[0][0])
    return None


def _seal(block: Mapping[str, Any]) -> str:
    return str(block.get("signature") or block.get("data") or "")


def _same_beginning(asked: Asked) -> bool:
    """What the thinking was bound to: the system prompt, the tools, and every message before it."""
    if asked.first is None:
        return True
    before = asked.first.get("messages")
    begins = not isinstance(before, list) or asked.messages[: len(before)] == before
    return begins and all(asked.first.get(name) == asked.request.get(name) for name in ("system", "tools"))


# --- tools --------------------------------------------------------------------------------------------------------


def _client_tools(asked: Asked) -> str | None:
    for turn, following in asked.pairs():
        calls = [str(block.get("id")) for _, block in turn.of("tool_use")] if turn.role == "assistant" else []
        answered = [str(block.get("tool_use_id")) for block in _leading_results(following)]
        missing = [call for call in calls if call not in answered]
        if missing:
            return (
                f"messages.{turn.number}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        extra = [answer for answer in answered if answer not in calls] if following else []
        if extra and following:
            return (
                f"messages.{following.number}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{extra[0]}. Each `tool_result` block must have a corresponding `tool_use` block in the previous "
                "message."
            )
    return None


def _leading_results(turn: Turn | None) -> Sequence[Content]:
    """The run of results that a user turn begins with: a text before or between them ends it."""
    results: list[Content] = []
    for _, block in turn.blocks if turn is not None and turn.role == "user" else ():
        if block.get("type") != "tool_result":
            break
        results.append(block)
    return results


def _server_tools(asked: Asked) -> str | None:
    results = {
        str(block.get("tool_use_id")) for turn in asked.turns for _, block in turn.blocks if "tool_use_id" in block
    }
    for turn, following in asked.pairs():
        # The last turn, and one whose client tools are answered, is continued: the result is still to come.
        if following is None or _leading_results(following):
            continue
        for _, block in turn.of(*_REMOTE):
            if str(block.get("id")) not in results:
                kind = "mcp_tool_result" if block["type"] == "mcp_tool_use" else f"{block.get('name')}_tool_result"
                return (
                    f"messages.{turn.number}: `{block.get('name')}` tool use with id `{block.get('id')}` was found "
                    f"without a corresponding `{kind}` block"
                )
    return None


def _lonely_results(asked: Asked) -> str | None:
    calls = {str(block.get("id")) for turn in asked.turns for _, block in turn.of(*_REMOTE)}
    for turn in asked.turns:
        for path, block in turn.blocks if turn.role == "assistant" else ():
            if "tool_use_id" in block and str(block["tool_use_id"]) not in calls:
                return f"{path}: unexpected `tool_use_id` found in `{block.get('type')}` blocks: {block['tool_use_id']}"
    return None


def _container(asked: Asked) -> str | None:
    """Whoever sends back what ran in a container must say which one it was."""
    container = asked.reply.start.get("container") or {}
    ran = {str(b.content.get("id")) for b in asked.reply.blocks if "code_execution" in str(b.content.get("name"))}
    sent = {str(block.get("id")) for turn in asked.turns for _, block in turn.of("server_tool_use")}
    if container and ran & sent and not asked.request.get("container"):
        return "container: Field required when the conversation has blocks of a tool that runs in a container"
    return None


# --- the shape of blocks ------------------------------------------------------------------------------------------


def _unknown_types(asked: Asked) -> str | None:
    for turn in asked.turns:
        for path, block in turn.blocks if turn.role == "assistant" else ():
            if str(block.get("type")) not in _ASSISTANT_TYPES:
                tag = block.get("type")
                return f"{path}: Input tag '{tag}' found using 'type' does not match any of the expected tags"
    return None


def _user_citations(asked: Asked) -> str | None:
    version = asked.headers.get("anthropic-version") or asked.request.get("anthropic_version") or ""
    if version in _OLD_VERSIONS:
        return None
    for turn in asked.turns:
        for path, block in turn.of("text") if turn.role == "user" else ():
            if block.get("citations"):
                return f"{path}.citations: `citations` must be empty on `text` blocks in user messages"
    return None


Check = Callable[[Asked], str | None]

CHECKS: tuple[Check, ...] = (
    _unknown_types,
    _empty_text,
    _user_citations,
    _client_tools,
    _server_tools,
    _lonely_results,
    _container,
    _thinking,
    _ends_in_thinking,
    _prefill_not_supported,
    _prefill_with_thinking,
    _prefill_with_format,
    _trailing_white_space,
)
"""Every rule, in the order in which the API seems to look at them."""
