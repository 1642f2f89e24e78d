"""What a stream shares with those beside it, and what its engine must be told from outside.

Rule: the dice, the time of day and every choice between services come in here; the engine has none of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from midstream.recovery.failure import Failure
from midstream.recovery.models import Memory


@dataclass(frozen=True, slots=True)
class Route:
    """The question which upstream the next attempt goes to."""

    last: int | None
    """Where the last attempt was; ``None`` before the first, and where that upstream is there no more."""
    failure: Failure | None
    """What ended it."""
    may_move: bool
    """Whether another one may take over. If not, the answer does not count."""
    shown: bool
    """Whether the consumer has content already: then only the same model may take over."""


@dataclass(frozen=True)
class Surroundings:
    """What the engine shares with the streams beside it, and what it must be told from outside."""

    jitter: Callable[[], float]
    """Evenly from 0 to 1."""
    take_retry: Callable[[], bool] = lambda: True
    """Takes one retry from the shared budget, if one is left."""
    memory: Memory = field(default_factory=Memory)
    unix_s: Callable[[], float] | None = None
    """The time of day, for a ``retry-after`` that is a date."""
    route: Callable[[Route], int] | None = None
    """The index of the upstream for the next attempt. Only a question: there may be no such attempt after all, and
    `steps.Open` says when there is. Not asked for another form of the same continuation, which stays where it is."""
