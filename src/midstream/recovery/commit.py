"""What may be shown now, and what must wait.

Rule: a consumer is shown only what never has to be taken back (the contract, §4). Blocks are shown in index order, so
everything here is one question: how far does the longest beginning reach that may be shown?
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from midstream.protocol.events import (
    BlockGrew,
    BlockStarted,
    BlockStopped,
    Event,
    MessageStarted,
    MessageStopped,
    MessageStopping,
)
from midstream.protocol.message import Block, Message, result_of
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request


class Show(StrEnum):
    """When a block may be shown."""

    AT_ONCE = "at once"
    WITH_CONTENT = "together with the content that follows"
    WHEN_COMPLETE = "whole, when the call is complete"
    WITH_RESULT = "with its result"
    WHOLE = "whole"
    AT_STOP_REASON = "when the stop reason is known"


WHEN: dict[str, Show] = {
    "text": Show.AT_ONCE,
    "thinking": Show.WITH_CONTENT,
    "redacted_thinking": Show.WITH_CONTENT,
    "compaction": Show.WITH_CONTENT,
    "fallback": Show.WITH_CONTENT,
    "tool_use": Show.WHEN_COMPLETE,
    "server_tool_use": Show.WITH_RESULT,
    "mcp_tool_use": Show.WITH_RESULT,
}
"""By block type; every other type is shown `Show.WHOLE`."""

_NOTHING_HELD: list[tuple[int, Event]] = []
"""Stands for every list that is empty. Never written to."""

_ALL_IS_WELL = ("tool_use", "end_turn", "pause_turn")

NOTHING, START, END = -1, 0, 1 << 60
"""Places: before everything, that of ``message_start``, and behind everything."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which blocks the policy and the request treat otherwise."""

    live: frozenset[str] = frozenset()
    """Block types that are shown as they come, at the price that they cannot be repaired."""
    structured: bool = False
    """The request asks for structured output: text waits for the stop reason."""
    eager_tools: bool = False
    """The request asks for eager tool streaming: the service does not check inputs, so neither do we."""

    def when(self, block: Block) -> Show:
        """When this block may be shown."""
        if block.type in self.live:
            return Show.AT_ONCE
        if block.type == "text" and self.structured:
            return Show.AT_STOP_REASON
        return WHEN.get(block.type, Show.WHOLE)


LIVE_BLOCKS = {
    "tools": ("tool_use",),
    "thinking": ("thinking", "redacted_thinking"),
    "server_tools": ("server_tool_use", "mcp_tool_use"),
    "structured": ("text",),
}
"""Which block types each ``live`` setting of the policy shows as they come."""


def rules_of(policy: Policy, request: Request) -> Rules:
    """What this policy and this request say."""
    live = tuple(name for name in LIVE_BLOCKS if getattr(policy, name) == "live")
    return _rules(live, request.structured and policy.structured == "hold", request.eager_tools)


@lru_cache(maxsize=64)  # there are no more: thousands of streams share a few
def _rules(live: tuple[str, ...], structured: bool, eager_tools: bool) -> Rules:
    return Rules(frozenset(kind for name in live for kind in LIVE_BLOCKS[name]), structured, eager_tools)


class Commit:
    """Holds the events of one attempt until they may be shown."""

    __slots__ = tuple("_given _held _limit _message _passed _unanswered _whole held_bytes live rules shown".split())

    def __init__(self, message: Message, rules: Rules) -> None:
        self.rules = rules
        self.shown = 0
        """How many blocks were shown whole, their stop included."""
        self.live = False
        """Whether the block after those is being shown, its stop not yet."""
        self.held_bytes = 0
        self._message = message
        # Events wait with their place: three for each block (before it, inside it, at its stop); all up to the
        # limit have been shown.
        self._held = _NOTHING_HELD
        self._limit = NOTHING
        # How far `_reach` has looked for good: blocks passed, the calls among them without a result, and the longest
        # beginning that may be shown whole.
        self._passed = self._whole = 0
        self._unanswered: set[str] | None = None
        self._given = 0  # blocks that stood in message_start: they came whole, without events of their own

    @property
    def holds_words(self) -> bool:
        """Whether what waits is thinking or structured text, and not a call that must be whole."""
        first = self.shown + self.live
        if not self._held or first >= len(self._message.blocks):
            return False
        block = self._message.blocks[first]
        return self.rules.when(block) is Show.AT_STOP_REASON or block.type in ("thinking", "redacted_thinking")

    def go_live(self, types: frozenset[str]) -> list[Event]:
        """From now on these types are shown as they come; the events that this sets free."""
        self.rules = Rules(self.rules.live | types, False, self.rules.eager_tools)
        self._passed, self._whole = self.shown, self.shown
        self._unanswered = None
        return self._release()

    def receive(self, event: Event) -> list[Event]:
        """Takes an event that the message has accepted; the events that may be shown now, in order."""
        if type(event) is BlockGrew:
            if self.live:
                return [event]
            self._hold(event)
            return self._release() if self._turns_visible(event) else []
        if isinstance(event, MessageStarted):
            self._given = len(self._message.blocks)
        self._hold(event)
        return self._release()

    def _hold(self, event: Event) -> None:
        place = self._place(event)
        if not self._held:
            self._held = []
        self._held.append((place, event))
        self.held_bytes += len(event.raw)

    def _place(self, event: Event) -> int:
        last = len(self._message.blocks) - 1
        match event:
            case MessageStarted():
                return START
            case BlockStarted() | BlockGrew():
                return 3 * last + 1
            case BlockStopped():
                return 3 * last + 2
            case MessageStopping() | MessageStopped():
                return END
            case _:  # it keeps its place: behind what waits, or where the consumer is
                return self._held[-1][0] if self._held else max(START, self._limit)

    def _turns_visible(self, event: BlockGrew) -> bool:
        """Whether this delta lets its block be shown as it comes. Looks at the delta only: it is asked for each."""
        block = self._message.blocks[-1]
        if self.rules.when(block) is not Show.AT_ONCE:
            return False
        return block.type != "text" or (isinstance(event.value, str) and bool(event.value.strip()))

    def _release(self) -> list[Event]:
        if self._message.stop_reason is not None:
            self.shown, self.live, self._limit = len(self._message.blocks), False, END
        else:
            self.shown, self.live = self._reach()
            self._limit = 3 * self.shown + 1 if self.live else 3 * self.shown - 1
        held, count = self._held, 0
        while count < len(held) and held[count][0] <= self._limit:
            count += 1
        released = [event for _, event in held[:count]]
        del held[:count]
        if not held:
            self._held = _NOTHING_HELD
        self.held_bytes -= sum(len(event.raw) for event in released)
        return released

    def _reach(self) -> tuple[int, bool]:
        """How many blocks may be shown whole, and whether the next one may be shown as it comes.

        What was once passed is not looked at again: a long reply behind one call must not cost its square.
        """
        blocks = self._message.blocks
        while self._passed < len(blocks):
            number, block = self._passed, blocks[self._passed]
            when = self.rules.when(block)
            blank = block.type == "text" and block.blank
            if when is Show.AT_ONCE and not blank and not self._unanswered and not self._is_over(number):
                return number, True
            if not block.closed or when is Show.AT_STOP_REASON:
                break
            if when is Show.WHEN_COMPLETE and not self.is_complete_call(number):
                break
            if block.type == "text" and not blank and not self._is_over(number):
                break
            self._passed = number + 1
            if when is Show.WITH_RESULT:
                self._unanswered = self._unanswered or set()
                self._unanswered.add(block.id)
            if self._unanswered:
                self._unanswered.discard(result_of(block) or "")
            if not self._unanswered and not blank and when is not Show.WITH_CONTENT:
                self._whole = number + 1
        return self._whole, False

    def _is_over(self, number: int) -> bool:
        """Whether a block's stop may be shown: a text's when something has followed, for till then it can go on."""
        block = self._message.blocks[number]
        followed = number + 1 < len(self._message.blocks) or number < self._given
        return block.closed and (block.type != "text" or followed)

    def is_complete_call(self, number: int) -> bool:
        """The contract's *complete tool call*."""
        block = self._message.blocks[number]
        if not block.closed or block.input is None:
            return False
        # A reply that is cut off may close its last block too: without a fragment, something must have followed.
        return block.has_fragment or number + 1 < len(self._message.blocks)

    def garbled_call(self) -> Block | None:
        """A client call whose input does not parse although the stop reason says that all is well (§4)."""
        if self._message.stop_reason not in _ALL_IS_WELL or self.rules.eager_tools:
            return None
        calls = (block for block in self._message.blocks if block.type == "tool_use")
        return next((block for block in calls if block.input is None), None)
