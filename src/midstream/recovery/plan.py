"""How the next attempt begins: restart, continue or settle; or that there is no way.

Rule: the rows of the contract's §6, in its order, and exactly the edits to the caller's request that it names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from midstream.protocol.dialects import dump
from midstream.protocol.events import Fields
from midstream.protocol.message import Block, Message, result_of
from midstream.recovery.history import fit
from midstream.recovery.models import Memory
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.seam import Anchor, anchor_of, fresh_name

Form = Literal["prefix", "turn", "quote"]
NEXT_FORM: dict[Form, Form] = {"prefix": "turn", "turn": "quote"}

MAX_TOKENS_MIN = 256
"""A reply that is nearly done still needs room for its last words and its anchor."""
BYTES_PER_TOKEN = 6
"""More than any text has on the average, so the estimate of what was received is low."""

_RUNS_IN_A_CONTAINER = {"code_execution", "bash_code_execution", "text_editor_code_execution"}

SENT_BACK = {"text", "thinking", "redacted_thinking", "compaction", "container_upload", "mcp_tool_listing"}
"""Known block types that may be sent back as they are; calls and results in pairs besides."""


RESULTS = {"web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result", "mcp_tool_result"}
RESULTS |= {"bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result"}
RESULTS |= {"advisor_tool_result"}
"""Results that may be sent back behind their call. Source: the SDK's ``types/beta/beta_content_block_param.py``."""


class Where(StrEnum):
    """What was cut."""

    TEXT = "inside a text"
    TOOL = "inside a tool call"
    BETWEEN = "between blocks"


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the reply was cut off."""

    where: Where
    tool: str = ""
    """The name of the tool, `Where.TOOL` only."""


@dataclass(frozen=True, slots=True)
class Restart:
    """The same request again: nothing has been shown."""


RESTART = Restart()
"""One for all streams."""


@dataclass(frozen=True, slots=True)
class Settle:
    """End the message where its complete tool calls end."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Ask the model to carry on from what was shown."""

    form: Form
    cut: Cut
    body: Fields = field(repr=False)
    """The request to send."""
    stripped: str = field(default="", repr=False)
    """Prefix: the white space that was not sent back, though it was shown."""
    anchor: Anchor | None = field(default=None, repr=False)
    element: str | None = None
    """The name of the element that the model is asked to begin with."""
    marker: str | None = None
    """The name of the empty element that means that the reply was complete."""


@dataclass(frozen=True, slots=True)
class NoPlan:
    """There is no way on."""

    reason: str


Plan: TypeAlias = Restart | Continue | Settle | NoPlan


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a plan depends on."""

    request: Request
    shown: Message
    """What the consumer has."""
    dropped: Sequence[Block]
    """What the attempt had received beyond that."""
    cut_before: Cut | None = None
    """What the attempt itself was asked to repair, if it showed nothing."""
    foreign: frozenset[int] = frozenset()
    """The shown blocks, by number, that another upstream made than the one that the next attempt goes to."""
    paid_bytes: int = 0
    """So much of what is shown was received before ``max_tokens`` was last used up, and does not count any more."""
    received: Sequence[Block] = ()
    """What an earlier process received besides, as far as it limits recovery."""
    lost_call: str | None = None
    """A remote call that an earlier process received, and whose result is lost with it."""
    container: str | None = None
    """The container that an earlier process was told of."""
    followed: bool = False
    """Something had come behind the last block that is shown, though nobody remembers what."""


def make_plan(situation: Situation, policy: Policy, memory: Memory, form: Form | None = None) -> Plan:
    """The plan for what is shown and what was dropped; a `form` that is given is not second-guessed."""
    shown = situation.shown
    if unfinished := _unfinished(situation):
        return NoPlan(f"{unfinished} was shown before it was finished, and cannot be repaired")
    if any(block.type == "tool_use" and block.caller_is_direct for block in shown.blocks):
        return Settle()
    if (call := lost_remote_call(situation.dropped) or situation.lost_call) and not policy.repeat_remote_tools:
        return NoPlan(f"the remote tool {call!r} was already called, and another attempt would call it again")
    if not shown.blocks:
        return Restart()
    if reason := never_continued(situation, policy):
        return NoPlan(f"it cannot be continued: {reason}")
    called = next((block for block in shown.blocks if block.type == "mcp_tool_use"), None)
    if form == "quote" and called is not None and not policy.repeat_remote_tools:
        return NoPlan(
            f"the remote tool {name_of(called)!r} was already called, and a quote does not send its result back"
        )
    return _continue(situation, memory, form)


def _unfinished(situation: Situation) -> str | None:
    """What was shown half and is no text that can go on; only the ``live`` policies show such."""
    shown = situation.shown
    for block in shown.blocks:
        if block.type == "text" and not block.closed and situation.request.structured:
            return "a structured text"
        if block.type != "text" and not block.closed:
            return f"a block of type {fit(block.type)}"
        followed = block is not shown.blocks[-1] or bool(situation.dropped) or situation.followed
        if block.type == "tool_use" and (block.input is None or not (block.has_fragment or followed)):
            return "a tool call"
    unpaired = shown.unpaired()
    return f"a call of the tool {name_of(unpaired[0])!r}" if unpaired else None


def lost_remote_call(dropped: Sequence[Block]) -> str | None:
    """A complete MCP call that was received and whose result will not be sent back."""
    calls = [block for block in dropped if block.type == "mcp_tool_use" and block.closed and block.input is not None]
    return name_of(calls[0]) if calls else None


def never_continued(situation: Situation, policy: Policy) -> str | None:
    """Why the reply can only be restarted, if so."""
    request, blocks = situation.request, situation.shown.blocks
    received = [*blocks, *situation.dropped, *situation.received]
    if not policy.continue_text:
        return "the policy says so"
    if reason := request.never_continued_because:
        return reason
    if any(not block.caller_is_direct for block in received):
        return "it has calls that a program made"
    if any(block.type == "fallback" for block in received):
        return "another model took over within it"
    if not all(_is_unicode(block.text) for block in blocks if block.type == "text"):
        return "its text is not Unicode, and cannot be sent back"
    if _container_unknown(situation, received):
        return "it runs in a container whose id is not known"
    if any(stays_at_home(block) for number, block in enumerate(blocks) if number in situation.foreign):
        return "it has blocks that only their own upstream understands"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def may_move(situation: Situation, homebound: bool) -> bool:
    """Whether another upstream may take over from here (the contract, §6)."""
    request = situation.request
    if request.never_continued_because or request.body.get("container") is not None:
        return False
    if not situation.shown.blocks:
        return True
    received = [*situation.shown.blocks, *situation.dropped, *situation.received]
    return not (homebound or container_of(situation) or any(map(stays_at_home, received)))


def stays_at_home(block: Block) -> bool:
    """Whether only the upstream that made this block understands it."""
    return block.type == "compaction" or block.type.startswith(("server_tool", "mcp_")) or result_of(block) is not None


def _container_unknown(situation: Situation, received: Sequence[Block]) -> bool:
    if situation.request.body.get("container") is not None or container_of(situation):
        return False
    if isinstance(situation.shown.field("container"), dict):
        return True
    return any(map(is_contained, received))


def is_contained(block: Block) -> bool:
    """Whether this block means that there is a container."""
    return block.type == "container_upload" or name_of(block) in _RUNS_IN_A_CONTAINER


def container_of(situation: Situation) -> str | None:
    """The id of the container, as far as it is known."""
    return container_id(situation.shown) or situation.container


def container_id(shown: Message) -> str | None:
    """The id of the container that the reply named."""
    container = shown.field("container")
    id = container.get("id") if isinstance(container, dict) else None
    return id if isinstance(id, str) else None


def name_of(block: Block) -> str:
    """A tool's name, or the type of a block that has none."""
    return fit(block.fields.get("name")) or fit(block.type)


def cut_of(situation: Situation) -> Cut:
    """What was cut, in the contract's words."""
    plain = not (situation.request.structured or situation.request.forces_a_tool)
    calls = [block for block in situation.dropped if block.type in ("tool_use", "server_tool_use", "mcp_tool_use")]
    last, before = situation.shown.blocks[-1], situation.cut_before
    inside = last.type == "text" and not last.closed
    if calls:
        cut = Cut(Where.TOOL, name_of(calls[0]))
    elif situation.dropped:
        cut = Cut(Where.BETWEEN)
    elif before is not None and (inside or before.where is not Where.TEXT):
        cut = before
    else:  # a text whose stop was shown since is never opened again, though nothing else came of the attempt
        cut = Cut(Where.TEXT if inside else Where.BETWEEN)
    return cut if plain else Cut(Where.BETWEEN)


def _continue(situation: Situation, memory: Memory, form: Form | None) -> Plan:
    request, cut = situation.request, cut_of(situation)
    content = sent_back(situation)
    prefix_allowed = not (request.thinks or request.structured or request.forces_a_tool)
    if form is None:
        form = "prefix" if prefix_allowed and memory.mode_of(request.model) == "prefix" else "turn"
    if form == "prefix" and not content:
        form = "turn"
    if form == "prefix":
        return _prefix(situation, cut, content)
    return _turn(situation, cut, content) if form == "turn" else _quote(situation, cut)


def _prefix(situation: Situation, cut: Cut, content: list[Fields]) -> Continue:
    last, stripped = content[-1], ""
    if last["type"] == "text":
        kept = last["text"].rstrip()
        stripped = last["text"][len(kept) :]
        content = [*content[:-1], {**last, "text": kept}]
    body = edited(situation, [{"role": "assistant", "content": content}])
    return Continue("prefix", cut, body, stripped=stripped)


def _turn(situation: Situation, cut: Cut, content: list[Fields]) -> Continue:
    request = situation.request
    plain = not (request.structured or request.forces_a_tool)
    conversation = [part.decode(errors="replace") for part in (request.as_bytes, dump(content))]
    marker = fresh_name("reply_complete", conversation, request.stop_sequences) if plain else None
    anchor, element = None, None
    if cut.where is Where.TEXT:
        anchor = anchor_of(situation.shown.blocks[-1].text)
        element = fresh_name("last_words", conversation, [*request.stop_sequences])
        if any(sequence in anchor.text for sequence in request.stop_sequences):
            element = None  # saying the anchor would stop the model
    if cut.where is Where.TOOL:
        marker = None
    words = user_turn(cut, anchor, element, marker)
    turns: list[Fields] = [{"role": "assistant", "content": content}] if content else []
    body = edited(situation, [*turns, {"role": "user", "content": words}])
    return Continue("turn", cut, body, anchor=anchor, element=element, marker=marker)


def _quote(situation: Situation, cut: Cut) -> Continue:
    texts = [block.text for block in situation.shown.blocks if block.type == "text" and not block.blank]
    quoted = f" and ended with:\n\n{chr(10).join(texts)}\n\n" if texts else ". "
    words = f"Your previous response was interrupted{quoted}Continue from where you left off."
    anchor = anchor_of(situation.shown.blocks[-1].text) if cut.where is Where.TEXT else None
    return Continue("quote", cut, edited(situation, [{"role": "user", "content": words}]), anchor=anchor)


def user_turn(cut: Cut, anchor: Anchor | None, element: str | None, marker: str | None) -> str:
    """The one user turn of a *turn* plan: it says what was cut, and how to go on."""
    complete = f" If your reply was already complete there, answer only with <{marker}/> instead." if marker else ""
    if cut.where is Where.TOOL:
        return (
            f"Your reply was cut off inside a call of the tool {cut.tool}. "
            "Make that call now, in full, and write no text before it."
        )
    if cut.where is Where.TEXT and anchor is not None and element is not None:
        return (
            "Your reply was cut off in the middle of its text. Begin your next reply with exactly "
            "this element, tags included; it repeats the last words that arrived:\n"
            f"<{element}>{anchor.text}</{element}>\n"
            "Directly after the closing tag go on at the very next character of your reply, without any recap, apology "
            f"or comment.{complete}"
        )
    if cut.where is Where.TEXT:
        return (
            "Your reply was cut off in the middle of its text. Go on at the very next character "
            f"of it, without any recap, apology or comment.{complete}"
        )
    return (
        "Your reply was cut off between two content blocks. Go on with what comes next, without "
        f"any recap, apology or comment.{complete}"
    )


def sent_back(situation: Situation) -> list[Fields]:
    """What of the shown reply is sent back: only what the API takes (its rules: api-facts §2.7 and §2.8)."""
    blocks = situation.shown.blocks
    answered = {result_of(block) for block in blocks}
    called = {block.id for block in blocks} | situation.request.call_ids()
    elsewhere = bool(situation.foreign)
    content = [block.content() for block in blocks if _may_be_sent_back(block, answered, called, elsewhere)]
    while content and content[-1]["type"] in ("thinking", "redacted_thinking"):
        content.pop()
    return content


def _may_be_sent_back(block: Block, answered: set[str | None], called: set[str], elsewhere: bool) -> bool:
    if block.type == "text":
        return not block.blank
    if block.type in ("thinking", "redacted_thinking"):
        return not elsewhere and (block.type == "redacted_thinking" or block.signed)
    if block.type in ("server_tool_use", "mcp_tool_use"):
        return block.id in answered
    if (answers := result_of(block)) is not None:
        return answers in called and block.type in RESULTS
    return block.type in SENT_BACK


def edited(situation: Situation, turns: list[Fields]) -> Fields:
    """The caller's request with exactly the edits that the contract names. The caller's objects stay as they are."""
    body = situation.request.body
    edits: Fields = {"messages": [*body["messages"], *turns]}
    if body.get("container") is None and (container := container_of(situation)):
        edits["container"] = container
    limit = body.get("max_tokens")
    if type(limit) is int and not situation.request.has_thinking_budget:
        received = (generated_bytes(situation.shown) - situation.paid_bytes) // BYTES_PER_TOKEN
        edits["max_tokens"] = max(limit - received, min(limit, MAX_TOKENS_MIN))
    return {**body, **edits}


def generated_bytes(message: Message) -> int:
    """How many bytes of text, thought and input the model has written; results are not its work."""
    return sum(len(part.encode(errors="replace")) for block in message.blocks for part in block.parts)
