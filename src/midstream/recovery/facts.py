"""What was received and limits recovery even if nobody was shown it: noted for a journal, and read after a crash.

Rule: plain JSON values, few of them, and without contents of the reply.
"""

from typing import TypeAlias

from midstream.protocol.events import BlockStarted, BlockStopped, Event, Fields, MessageStarted
from midstream.protocol.message import Block, Message
from midstream.recovery.history import fit
from midstream.recovery.plan import container_id, is_contained, name_of, stays_at_home

Key: TypeAlias = tuple[str, str, str | None, bool]

NOTHING_NOTED: frozenset[Key] = frozenset()

KINDS_MAX = 200
"""Kinds of block that are noted of one attempt. The API has thirty; results of unknown types are somebody's joke."""


def note(facts: list[Fields], noted: frozenset[Key], attempt: int, event: Event, message: Message) -> frozenset[Key]:
    """Adds what this event, which the message has taken, brings to light. What was ``noted`` before is the attempt's
    own; what is now is returned.

    Asked for each event that is no delta.
    """
    if isinstance(event, BlockStarted):
        return _note_block(facts, noted, attempt, message.blocks[-1])
    if isinstance(event, BlockStopped):
        _note_call(facts, attempt, message.blocks[-1])
        return noted
    for block in message.blocks if isinstance(event, MessageStarted) else ():
        noted = _note_block(facts, noted, attempt, block)
        _note_call(facts, attempt, block)
    id = container_id(message) or ""
    key = ("container", id, None, True)
    if not id or id != fit(id) or not _is_new(noted, key):
        return noted
    facts.append({"fact": "container", "attempt": attempt, "id": id})
    return noted | {key}


def extended(attempt: int, stop: Fields, paid_bytes: int) -> Fields:
    """The fact that a reply which stopped at ``max_tokens`` is continued: the stop that is held, and what was paid."""
    return {"fact": "extended", "attempt": attempt, "stop": stop, "paid_bytes": paid_bytes}


def _note_block(facts: list[Fields], noted: frozenset[Key], attempt: int, block: Block) -> frozenset[Key]:
    direct, contained = block.caller_is_direct, is_contained(block)
    if direct and not (contained or stays_at_home(block) or block.type == "fallback"):
        return noted
    name = name_of(block) if contained else None
    key = ("block", fit(block.type), name, direct)
    if not _is_new(noted, key):
        return noted
    facts.append({"fact": "block", "attempt": attempt, "type": key[1], "name": name, "direct": direct})
    return noted | {key}


def _note_call(facts: list[Fields], attempt: int, block: Block) -> None:
    if block.type == "mcp_tool_use" and block.closed and block.input is not None:
        facts.append({"fact": "mcp_call", "attempt": attempt, "id": fit(block.id), "name": name_of(block)})


def _is_new(noted: frozenset[Key], key: Key) -> bool:
    return key not in noted and len(noted) < KINDS_MAX
