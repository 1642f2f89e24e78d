"""What can still be used of a reply, block by block, and what must not be.

Rule: how far it may be shown is the engine's word (`Rehearsed.shown`); a call that is not whole is never to be run.
"""

from midstream.doctor.diagnose.blocks import BlockSeen
from midstream.doctor.diagnose.diagnosis import Diagnosis
from midstream.doctor.diagnose.stream import Outcome

TOOLS = ("tool_use", "server_tool_use", "mcp_tool_use", "toolUse")

ROWS_MAX = 24
"""More than fit a screen are cut in the middle: the end is what matters."""


def rows_of(one: Diagnosis) -> list[tuple[str, str, str]]:
    """For each block: what it is, how much of it came, what may be done with it."""
    rows = [(_name(block), _extent(block), _use(one, number, block)) for number, block in enumerate(one.blocks)]
    if len(rows) <= ROWS_MAX:
        return rows
    return [*rows[:4], ("…", f"{len(rows) - ROWS_MAX + 1:,} more", ""), *rows[5 - ROWS_MAX :]]


def must_not_run(one: Diagnosis) -> list[str]:
    """The calls that are not whole, by name."""
    uses = [(block, _use(one, number, block)) for number, block in enumerate(one.blocks) if block.type in TOOLS]
    return [block.name or block.type for block, use in uses if use.startswith("must not be run")]


def _name(block: BlockSeen) -> str:
    return f"{block.index} {block.type}" + (f" {block.name}" if block.name else "")


def _extent(block: BlockSeen) -> str:
    size = f"{block.chars:,} characters" if block.chars else "no characters"
    return f"{size}, {'whole' if block.closed else 'cut'}"


def _use(one: Diagnosis, number: int, block: BlockSeen) -> str:
    tool = block.type in TOOLS
    if one.stop_reason == "refusal":
        return "must not be run: the reply was declined" if tool else "discard: the reply was declined"
    if tool and (not block.closed or block.parses is False):
        return "must not be run: only half of the call came"
    if one.outcome is Outcome.COMPLETE:
        last = number == len(one.blocks) - 1
        cut = one.stop_reason in ("max_tokens", "model_context_window_exceeded")
        if tool and last and cut:
            return "must not be run: the limit may have cut it, though it parses"
        return "cut by the limit" if last and cut else "use it"
    if one.rehearsed is None:
        return "use it with care: the reply is not whole" if block.closed else "not whole"
    if number < one.rehearsed.shown:
        return "use it" if block.closed else "show it, and say that it is not the whole; it can be continued"
    return _dropped(block)


def _dropped(block: BlockSeen) -> str:
    if block.type in ("thinking", "redacted_thinking"):
        return "drop it: thinking without what follows can be neither continued nor sent back"
    if block.type == "tool_use":
        return "must not be run: it is not known to be whole"
    if block.type in ("server_tool_use", "mcp_tool_use"):
        return "drop it: its result has not come"
    return "drop it: it cannot be gone on from"
