"""The words in which a recording tells what happened: asked, answered, arrived, finished.

Rule: a fact says what the recording says, and nothing that it leaves open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


class How(StrEnum):
    """How the transport ended a body, as far as the recording knows."""

    UNKNOWN = "unknown"
    """The recording ends, and nobody says why: a bare file."""
    CLEAN = "clean"
    """As the framing says: the last chunk, all of its content-length, END_STREAM."""
    CLOSED = "closed"
    """The connection was closed, and nothing framed the body: cut and complete look alike."""
    INCOMPLETE = "incomplete"
    """The connection was closed inside the framing."""
    RESET = "reset"
    """The connection was reset (RST)."""
    STREAM_RESET = "stream reset"
    """The HTTP/2 stream was reset (RST_STREAM)."""
    BROKEN = "broken framing"
    """What came is no legal framing."""
    TIMEOUT = "timeout"
    """The limit of whoever recorded it ran out."""
    NO_ANSWER = "no answer"
    """No reply at all: no connection, or one that was closed at once."""
    STOPPED = "stopped"
    """Whoever recorded it left, or a bound of the recorder was reached."""
    DAMAGED = "damaged"
    """The recording itself cannot be read on from here."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request was sent."""

    method: str = ""
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case."""
    at_s: float | None = None
    body: bytes = field(default=b"", repr=False)
    """As far as the recording has it."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The head of a response came."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case; of several of one name, the last."""
    version: str = ""
    """``HTTP/1.1``, ``HTTP/2``; empty where it is not known."""
    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A part of the body came."""

    data: bytes = field(repr=False)
    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The body ended."""

    how: How
    detail: str = ""
    """The words of whoever recorded it: an error of curl, of a browser, of Python."""
    at_s: float | None = None
    code: int | None = None
    """The number that came with it: curl's exit status, or the error code of an RST_STREAM."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the file that whoever reads the diagnosis should know: what was undone, what is missing."""

    text: str


Fact: TypeAlias = Asked | Answered | Arrived | Finished | Remark


class Unreadable(ValueError):
    """A file that cannot be read as what it says it is. Its text is one sentence, without any of its contents."""
