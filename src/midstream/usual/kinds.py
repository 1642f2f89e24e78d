"""What a record of a journal is about.

Rule: numbers are stored; none is ever given a new meaning.
"""

from enum import IntEnum


class Kind(IntEnum):
    """What a record is about."""

    OPENED = 1
    """The request, without credentials. Always the first record of a stream."""
    HEAD = 2
    """Status and headers that belong to what is shown."""
    ATTEMPT = 3
    """An attempt begins."""
    FACT = 4
    """Something that limits recovery after a crash: a remote call that was made, a container's id."""
    SHOWN = 5
    """Whole frames, as consumers get them."""
    ENDED = 6
    """How the stream ended. Always the last record."""
