"""What was received and limits recovery even if nobody was shown it: noted for a journal, and read after a crash.

Rule: plain JSON values, few of them, and without contents of the reply.
"""

from typing import TypeAlias

from midstream.protocol.events import BlockStarted, BlockStopped, Event, Fields, MessageStarted
from midstream.protocol.message import Block, Message
from midstream.recovery.history import fit
from midstream.recovery.plan import container_id, is_contained, name_of, stays_at_home

Key: TypeAlias = tuple[str, str, str | None, bool]

KINDS_MAX = 200
"""Kinds of block that are noted of one attempt. The API has thirty; results of unknown types are somebody's joke."""


def note(facts: list[Fields], noted: set[Key], attempt: int, event: Event, message: Message) -> None:
    """Adds what this event, which the message has taken, brings to light; ``noted`` is the attempt's own.

    Asked for each event that is no delta.
    """
    if isinstance(event, BlockStarted):
        _note_block(facts, noted, attempt, message.blocks[-1])
    elif isinstance(event, BlockStopped):
        _note_call(facts, attempt, message.blocks[-1])
    else:
        for block in message.blocks if isinstance(event, MessageStarted) else ():
            _note_block(facts, noted, attempt, block)
            _note_call(facts, attempt, block)
        id = container_id(message)
        if id and id == fit(id) and _is_new(noted, ("container", id, None, True)):
            facts.append({"fact": "container", "attempt": attempt, "id": id})


def extended(attempt: int, stop: Fields, paid_bytes: int) -> Fields:
    """The fact that a reply which stopped at ``max_tokens`` is continued: the stop that is held, and what was paid."""
    return {"fact": "extended", "attempt": attempt, "stop": stop, "paid_bytes": paid_bytes}


def _note_block(facts: list[Fields], noted: set[Key], attempt: int, block: Block) -> None:
    direct, contained = block.caller_is_direct, is_contained(block)
    if direct and not (contained or stays_at_home(block) or block.type == "fallback"):
        return
    name = name_of(block) if contained else None
    if _is_new(noted, ("block", fit(block.type), name, direct)):
        fact = {"fact": "block", "attempt": attempt, "type": fit(block.type), "name": name, "direct": direct}
        facts.append(fact)


def _note_call(facts: list[Fields], attempt: int, block: Block) -> None:
    if block.type == "mcp_tool_use" and block.closed and block.input is not None:
        facts.append({"fact": "mcp_call", "attempt": attempt, "id": fit(block.id), "name": name_of(block)})


def _is_new(noted: set[Key], key: Key) -> bool:
    if key in noted or len(noted) >= KINDS_MAX:
        return False
    noted.add(key)
    return True
