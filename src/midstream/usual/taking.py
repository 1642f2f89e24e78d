"""From the bytes of an upstream's connection to a record in the journal.

Rule: what is taken has the effect that the general way would have; what is not taken has none.
"""

from collections.abc import Callable
from typing import Any

from midstream.protocol.common import payload as payload_of
from midstream.usual.kinds import Kind

SIZES_MAX = 4096
"""Sizes of chunks whose beginning is remembered."""

LOOK_BITS = 16
"""What waits for the journal is looked at with the first frame, and then once in so many bits of bytes: 64 KiB."""

_SHOWN = Kind.SHOWN  # to find it in the enumeration takes as long as to append

_Begin = bytes | tuple[()]
"""How a chunk begins; with ``()`` begins nothing."""


class _Begins(dict[int, _Begin]):
    """By the size of a whole chunk with its framing: how it begins."""

    def __missing__(self, size_bytes: int) -> _Begin:
        if len(self) >= SIZES_MAX:
            self.clear()
        self[size_bytes] = begin = _begin_of(size_bytes)
        return begin


_begins = _Begins()


def _begin_of(size_bytes: int) -> _Begin:
    for digits in range(1, 16):
        body_bytes = size_bytes - digits - len(b"\r\n" * 2)
        if body_bytes > 0 and len(begin := b"%x\r\n" % body_bytes) == digits + 2:
            return begin
    return ()  # a digit more needs a body that is shorter by one


def whole_chunk(data: bytes) -> bytes:
    """What is in the one chunk that these bytes are; nothing where they are more, or less, or another thing."""
    begin = _begins[len(data)]
    if not data.endswith(b"\r\n"):
        return b""
    size = len(begin)
    if data.startswith(begin) or data[:size].lower() == begin:
        return data[size:-2]
    return b""


class Flow:
    """Takes what is one more delta like the last, of a block that is shown as it comes. The engine gives it out, and is
    asked only for what it does not take."""

    __slots__ = ("_begin", "_bytes_max", "_parts", "_patience_s", "_skip", "_total_at", "at", "due", "taken_bytes")

    def __init__(
        self, begin: bytes, parts: list[str], due: float, patience_s: float, total_at: float, bytes_max: int
    ) -> None:
        """``begin`` is how such an event begins, up to the first quote of its payload; ``parts`` gathers payloads. Each
        moves ``due`` on, by ``patience_s`` and to ``total_at`` at most; ``bytes_max`` is what may be taken in all."""
        if not begin:
            raise ValueError("a flow knows how its events begin")
        self.due = due
        """When the wait for the next chunk must end."""
        self.at: float | None = None
        """When something was taken last."""
        self.taken_bytes = 0
        """Of the attempt, by this."""
        self._begin, self._skip = begin, len(begin) - 1
        self._parts = parts
        self._bytes_max = bytes_max
        self._patience_s, self._total_at = patience_s, total_at

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


class Numbered:
    """Counts the frames of a stream."""

    __slots__ = ("number",)

    def __init__(self, number: int = 0) -> None:
        self.number = number
        """Of the last frame."""


class Passage:
    """What a `Flow` takes becomes a numbered frame, and a record in the journal."""

    __slots__ = ("_flow", "_framer", "_now", "_writer", "read_bytes", "shown_bytes")

    _flow: Flow | None
    _framer: Any  # a `Numbered`
    _now: Callable[[], float]
    _writer: Any  # an `Appender`, or another `journal.port.Writer`

    def __init__(self) -> None:
        self.read_bytes = 0
        """Of bodies, as they came."""
        self.shown_bytes = 0
        """Of frames."""
        self._flow = None

    def takes(self, data: bytes) -> bool:
        """Whether this chunk of a body was the usual one: then it has been dealt with."""
        flow = self._flow
        if flow is None or not flow.takes(data, self._now()):
            return False
        self.read_bytes += len(data)
        framer = self._framer
        framer.number = number = framer.number + 1
        self._append(b"id: %d\n%b" % (number, data), 1)
        return True

    def _append(self, data: bytes, count: int) -> None:
        """So many frames."""
        before_bytes = self.shown_bytes
        self.shown_bytes = shown_bytes = before_bytes + len(data)
        self._writer.append(_SHOWN, data, count)
        if not before_bytes or (before_bytes ^ shown_bytes) >> LOOK_BITS:
            self._hold_back()

    def _hold_back(self) -> None:
        """Looks whether too much waits for the journal."""
        raise NotImplementedError


class Intake:
    """A connection on which words come one by one, each as a chunk of its own: a `Passage` needs no parser for them."""

    __slots__ = ("_listener", "_parser", "_quiet_bytes")

    _listener: Any
    """Whose response it is; ``None`` if nobody waits for one."""
    _parser: Any
    """``None`` between two chunks."""
    _quiet_bytes: int
    """Received in a row without any body."""

    def data_received(self, data: bytes) -> None:
        """Bytes of a response."""
        if self._parser is None and self._listener is not None and (body := whole_chunk(data)):
            self._quiet_bytes = 0
            self._listener.received(body)
        else:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        """What is no whole chunk."""
        raise NotImplementedError
