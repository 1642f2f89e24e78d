"""What happened to one stream, as the engine saw it.

Rule: plain records, filled in by the engine, read by reports. No contents of request or reply, but for
the service's own words in a `Failure`, which `Report.to_dict` leaves out.
"""

import unicodedata
from dataclasses import dataclass, field

from midstream.protocol.events import Fields
from midstream.recovery.failure import Failure

NAME_CHARS_MAX = 200
"""Tool names have at most 128 characters, ids about 40: longer ones are somebody's joke."""


def fit(name: object, *, most: int = NAME_CHARS_MAX) -> str:
    """A name that came from outside, made fit for a log, a report or a sentence: bounded, one line, printable."""
    text = name[:most] if isinstance(name, str) else ""
    return "".join("\ufffd" if unicodedata.category(char) in ("Cc", "Cs") else char for char in text)


_NOTHING: Fields = {}
"""What an attempt reports before it is over. Never written to."""


@dataclass(slots=True)
class AttemptRecord:
    """One upstream request."""

    number: int
    plan: str
    """``first``, ``restart``, or ``continue`` with its form."""
    delay_s: float
    """How long was waited before it."""
    began_at: float
    """Seconds since the stream began, on the engine's clock, which stands still while the consumer works."""
    ended_at: float | None = None
    status: int | None = None
    request_id: str | None = None
    message_id: str | None = None
    model: str | None = None
    failure: Failure | None = None
    stop_reason: str | None = None
    usage: Fields = field(default_factory=lambda: _NOTHING)
    """As reported, as far as it came."""
    usage_is_lower_bound: bool = True
    """The attempt did not end: more was generated than was reported."""
    output_tokens_estimated: int = 0
    """A low estimate of what it generated: a sixth of the bytes received."""
    showed: bool = False
    """Whether the consumer was shown anything of it."""
    upstream: int | None = 0
    """Which of the upstreams, where there are several."""


@dataclass(frozen=True, slots=True)
class SeamRecord:
    """A place where two attempts meet."""

    attempt: int
    """The attempt that goes on there."""
    block: int
    offset: int
    """In characters of the block's text."""
    rule: str
    """The rule of the contract's §7 by which the join was decided; ``prefix`` where there was nothing to decide."""
    dropped_chars: int


@dataclass(frozen=True, slots=True)
class DroppedRecord:
    """A block that was received and never shown."""

    attempt: int
    type: str
    name: str | None
    reason: str


@dataclass(slots=True)
class History:
    """Everything that the report needs."""

    attempts: list[AttemptRecord] = field(default_factory=list)
    seams: tuple[SeamRecord, ...] = ()
    dropped: tuple[DroppedRecord, ...] = ()
    settled: bool = False
    """The message was ended where its complete tool calls end."""
    stop_added: bool = False
    """``message_stop`` was missing, and midstream added it."""
    shown_live: bool = False
    """A hold lasted too long and was ended by showing what was held as it comes."""
    gave_up: str | None = None
    """Why no further attempt was made."""
    complete: bool = False
    slept_s: float = 0.0
