"""The usual chunk, taken without an object for it: one more delta like the last, of a block that is shown as it comes.

Rule: what is taken here has the effect that it would have on `Attempt.feed`; what is not taken has none.

Of thousands of streams each chunk finds a cold cache: what it costs is how many objects it touches. This is one.
"""

from midstream.protocol.common import payload as payload_of
from midstream.protocol.message import Block
from midstream.recovery.watch import Watch


class Flow:
    """Asked before `Engine.receive`, while the engine gives one out."""

    __slots__ = tuple("_begin _bytes_max _parts _patience_s _skip _total_at at due taken_bytes".split())

    def __init__(self, begin: bytes, block: Block, watch: Watch, bytes_max: int) -> None:
        self.due = watch.quiet_until
        """When the wait for the next chunk must end."""
        self.at: float | None = None
        """When something was taken last."""
        self.taken_bytes = 0
        """Of the attempt, by this."""
        self._begin, self._skip = begin, len(begin)
        self._parts = block.parts
        self._bytes_max = bytes_max
        self._patience_s, self._total_at = watch.patience_s, watch.total_at

    def takes(self, data: bytes, now: float) -> bool:
        """Whether this chunk is the usual one, to be handed on as it is: then it has been added to the message."""
        if now >= self.due or not data.startswith(self._begin):
            return False
        value = payload_of(data, self._skip)
        if not value or (taken_bytes := self.taken_bytes + len(data)) > self._bytes_max:
            return False
        self._parts.append(value)
        self.taken_bytes, self.at = taken_bytes, now
        due = now + self._patience_s
        self.due = due if due < self._total_at else self._total_at
        return True
