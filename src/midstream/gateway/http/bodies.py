"""The bodies of requests that are in memory: how many bytes all of them have together, and how many they may.

Rule: counted is what is held, from the read of its socket until nobody needs it any more. What a client only announces
is not: thirty-two who announce the largest body and send nothing would keep everybody else out.
"""


class Bodies:
    """One number for a whole server. Who holds bytes says so, and says once when they are let go."""

    __slots__ = ("held_bytes", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0

    def has_room(self, size_bytes: int) -> bool:
        """Whether so much more may be held."""
        return self.held_bytes + size_bytes <= self.limit_bytes

    def hold(self, size_bytes: int) -> None:
        """So much more is held, also where there was no room: what another process promised is kept."""
        self.held_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """So much less is."""
        assert 0 <= size_bytes <= self.held_bytes, "what is let go was held"
        self.held_bytes -= size_bytes
