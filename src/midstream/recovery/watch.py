"""The watchdogs: how long the upstream may be silent, or busy without getting on.

Rule: the contract's §9, as arithmetic on the clock that the engine is given.
"""

from midstream.protocol.message import Message
from midstream.recovery.policy import Policy

NEVER = float("inf")

_SLOW_BLOCKS = frozenset({"thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use", "compaction"})


class Watch:
    """The limits of one attempt."""

    __slots__ = tuple(
        "_policy _progress_s _read_timeout_s _silence_s _slow begun first_at pings progress_at quiet_until silence_at"
        " total_at".split()
    )

    def __init__(self, policy: Policy, request_bytes: int, now: float, total_at: float, pings: int = 0) -> None:
        self.pings = pings
        """How many were seen on this stream: by this attempt, and by those before it."""
        self._policy = policy
        self._slow = False
        self._read_timeout_s = NEVER
        self.begun = False
        """Whether the first event has come."""
        self.first_at = now + policy.first_event_limit_s(request_bytes)
        self.total_at = total_at
        self._set_limits()
        self.silence_at = self.progress_at = NEVER
        self.quiet_until = 0.0
        """Before this no limit passes; known so that not every chunk must look at all of them."""

    def opened(self, read_timeout_s: float | None, now: float) -> None:
        """The headers are here; the caller's own read timeout is the upper limit of the silence, from now on."""
        if read_timeout_s is not None and read_timeout_s > 0:
            self._read_timeout_s = read_timeout_s
            self._set_limits()
            self.silence_at = now + read_timeout_s

    def heard(self, now: float) -> float:
        """A byte came; the deadline of the next read."""
        self.silence_at = now + self._silence_s
        self.quiet_until = self.deadline
        return self.quiet_until

    def flowed(self, now: float) -> float:
        """Something came that changes the message, and the next read begins: `progressed` and `heard` in one."""
        self.begun = True
        self.silence_at = deadline = now + self._silence_s
        self.progress_at = progress_at = now + self._progress_s
        if progress_at < deadline:
            deadline = progress_at
        self.quiet_until = deadline = deadline if deadline < self.total_at else self.total_at
        return deadline

    def progressed(self, now: float) -> None:
        """Something came that changes the message."""
        self.begun, self.first_at = True, NEVER  # it counts no more, and a number takes room
        self.progress_at = now + self._progress_s

    def pinged(self) -> None:
        """A ping came."""
        self.pings += 1
        self._set_limits()

    def follow(self, message: Message, now: float) -> None:
        """Blocks have begun or stopped: some may take long."""
        self._slow = (message.open is not None and message.open.type in _SLOW_BLOCKS) or bool(message.awaited)
        self._set_limits()
        self.progressed(now)

    def _set_limits(self) -> None:
        policy = self._policy
        silence_s, self._progress_s = policy.silence_s, policy.progress_s
        if self._slow:
            self._progress_s = max(policy.progress_s, policy.progress_slow_s)
            silence_s = silence_s if self.pings >= 2 else max(silence_s, policy.progress_slow_s)
        elif self.pings >= 2:
            silence_s = min(silence_s, policy.silence_after_pings_s)
        self._silence_s = min(silence_s, self._read_timeout_s)

    @property
    def patience_s(self) -> float:
        """How long the next chunk may take after one that changed the message, but for the limit of the whole."""
        return min(self._silence_s, self._progress_s)

    @property
    def deadline(self) -> float:
        """When the wait must end."""
        if not self.begun:
            return min(self.first_at, self.total_at, self._early_silence_at)
        return min(self.silence_at, self.progress_at, self.total_at)

    @property
    def _early_silence_at(self) -> float:
        """Before the first event only the caller's own limit counts as silence: the service may take its time."""
        return NEVER if self._read_timeout_s == NEVER else self.silence_at

    def expired(self, now: float) -> str | None:
        """Which limit has passed: ``total``, ``first``, ``silence`` or ``progress``."""
        if now >= self.total_at:
            return "total"
        if not self.begun:
            return "silence" if now >= self._early_silence_at else "first" if now >= self.first_at else None
        if now >= self.silence_at:
            return "silence"
        return "progress" if now >= self.progress_at else None
