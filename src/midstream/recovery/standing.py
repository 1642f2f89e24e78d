"""What the consumer has of all attempts so far, and what of them bears on the next.

Rule: adds up, and decides nothing. One attempt is added to it when it is over.
"""

from collections.abc import Sequence

from midstream.protocol.events import Event, Fields
from midstream.protocol.message import Block, Message, State
from midstream.recovery.attempt import Attempt
from midstream.recovery.history import DroppedRecord, fit
from midstream.recovery.plan import Cut, Situation, name_of, stays_at_home
from midstream.recovery.request import Request
from midstream.recovery.stitch import Encode, added, close, settle, shown_of, stop, stopping

_NOWHERE: frozenset[int | None] = frozenset()


class Standing:
    """One stream between two attempts."""

    __slots__ = tuple(
        "_shown attempts container cut failed_at followed homebound lost_call makers paid_bytes received stop_held"
        " usages".split()
    )

    def __init__(self, attempts: int = 0) -> None:
        self._shown: Message | None = None
        self.makers: tuple[int | None, ...] = ()
        """For each block of it, the upstream that began it."""
        self.usages: tuple[Fields, ...] = ()
        """Of the attempts that were shown."""
        self.attempts = attempts
        """How many began since something new was last shown."""
        self.failed_at = _NOWHERE
        """The upstreams that failed since."""
        self.cut: Cut | None = None
        """What the attempt after them was asked to repair."""
        self.stop_held: Fields | None = None
        """The ``message_delta`` with ``max_tokens``, while the reply is continued."""
        self.paid_bytes = 0
        """Of what is shown, received before ``max_tokens`` was last used up."""
        self.homebound = False
        """Something was received, shown or not, that only its own upstream understands."""
        self.received: tuple[Block, ...] = ()
        """What an earlier process received besides, as far as it limits recovery."""
        self.lost_call: str | None = None
        """A remote call that an earlier process received, and whose result is lost with it."""
        self.container: str | None = None
        """The container that an earlier process was told of."""
        self.followed = False
        """What is shown was more than its last block when an earlier process showed it."""

    @property
    def shown(self) -> Message:
        """What the consumer has. Made when it is asked for first: most streams never come to a second attempt."""
        if self._shown is None:
            self._shown = Message()
        return self._shown

    @property
    def has_shown(self) -> bool:
        """Whether the consumer has anything."""
        return self._shown is not None and self._shown.state is not State.EMPTY

    def beside(self, attempt: Attempt) -> tuple[Message, list[Block]]:
        """What the consumer has, this attempt's part included; and the blocks of it that were not shown."""
        commit, splice = attempt.commit, attempt.splice
        if splice is None:
            return shown_of(attempt.message, commit)
        dropped = [*splice.withheld, *attempt.message.blocks[commit.shown + commit.live :]]
        if not splice.showed:  # nothing new: what was cut is still what was cut before
            dropped = [block for block in dropped if block.type not in ("text", "thinking", "redacted_thinking")]
        return self.shown, dropped

    def absorb(self, attempt: Attempt) -> list[Block]:
        """Adds what the attempt showed to what the consumer has; returns the blocks that it did not show."""
        self._shown, dropped = self.beside(attempt)
        upstream = attempt.record.upstream
        if attempt.showed:
            self.attempts, self.cut, self.stop_held = 1, None, None
            self.failed_at = _NOWHERE
            self.followed = False
            self.usages = (*self.usages, attempt.message.usage)
        self.makers += (upstream,) * (len(self.shown.blocks) - len(self.makers))
        if self.shown.blocks:
            self.homebound = self.homebound or any(map(stays_at_home, dropped))
        return dropped

    def situation(
        self, request: Request, shown: Message, dropped: Sequence[Block], cut: Cut | None, upstream: int | None
    ) -> Situation:
        """What a plan for an attempt at this upstream depends on."""
        foreign = frozenset(number for number, maker in enumerate(self.makers) if maker != upstream)
        return Situation(
            request,
            shown,
            dropped,
            cut,
            foreign=foreign,
            paid_bytes=self.paid_bytes,
            received=self.received,
            lost_call=self.lost_call,
            container=self.container,
            followed=self.followed,
        )

    def settled(self, encode: Encode) -> list[Event]:
        """The events that end it where its complete tool calls end."""
        usage = added(self.usages[:-1], self.usages[-1]) if self.usages else {}
        return settle(self.shown, usage, encode)

    def stopped(self, held: Fields, encode: Encode) -> list[Event]:
        """The events that end it with the stop that was held."""
        usage = added(self.usages[:-1], self.usages[-1])
        return [*close(self.shown, encode), stopping({**held, "usage": usage}, encode), stop(encode)]


def dropped_record(attempt: int, block: Block) -> DroppedRecord:
    """What the report says of a block that was received and not shown."""
    name = name_of(block) if "name" in block.fields else None
    why = "not finished when the attempt broke" if not block.closed else "not shown when the attempt broke"
    return DroppedRecord(attempt, fit(block.type), name, why)
