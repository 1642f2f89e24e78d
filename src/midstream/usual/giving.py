"""From a record that may be shown to the bytes on a client's connection.

Rule: a record that does not come next, or a response that is not in its middle, is the general way's business.
"""

from collections.abc import Callable, Sequence
from typing import Any

from midstream.usual.storing import Record


class Totals:
    """What happens often: plain numbers, counted up where it happens."""

    __slots__ = ("bytes_from_upstreams", "bytes_to_clients", "pings")

    def __init__(self) -> None:
        self.bytes_from_upstreams = 0
        """Of bodies, as they came."""
        self.bytes_to_clients = 0
        """Of bodies, before chunking."""
        self.pings = 0
        """Those that the gateway made."""


class Link:
    """A connection that can be written to."""

    __slots__ = ("_transport",)

    _transport: Any  # an `asyncio.Transport`

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket, or to what waits for it."""
        self._transport.write(data)


class Body:
    """What of a response is written in pieces."""

    __slots__ = ("_chunked", "_head", "_left_bytes", "_line", "_mute", "gone", "started", "writable")

    _line: Any
    """A `Link`, or another that can be written to."""
    _head: bytes | None
    """What goes before the first piece."""
    _left_bytes: int | None
    """Of a body of known length."""
    _chunked: bool
    _mute: bool
    """Whether nothing is to be written."""

    def __init__(self) -> None:
        self.started = False
        self.gone = False
        """Whether the client has left, or was sent away, before the end."""
        self.writable = True
        """Whether the backlog is below its mark."""

    def write(self, data: bytes) -> None:
        """One chunk of the body."""
        if self._mute or not data:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif self._left_bytes is not None:
            data = data[: self._left_bytes]
            self._left_bytes -= len(data)
        if self._head is not None:
            data, self._head = self._head + data, None
        self._line.write(data)


class Outlet:
    """Who gives one consumer what the journal tells: a `journal.port.Subscriber`."""

    __slots__ = ("_backlog", "_next", "_now", "_over", "_reading", "_response", "_sent_at", "_totals")

    _next: int
    """The number of the frame that comes next."""
    _over: bool
    _reading: Any
    """Not ``None`` while it reads from the journal."""
    _backlog: Any
    """Not ``None`` while the consumer is behind."""
    _response: Any  # a `Body`
    _totals: Totals
    _now: Callable[[], float]
    _sent_at: float

    def __call__(self, records: Sequence[Record]) -> None:
        """The journal's `Subscriber` is this object itself: a bound method of each would be one more."""
        if len(records) != 1 or not self._hears(records[0]):
            self._told(records)

    def _hears(self, record: Record) -> bool:
        if self._reading is not None or self._backlog is not None or self._over or not self._response.started:
            return False
        if record.first != self._next:
            return False
        self._next += record.count
        self._give(record.data)
        return True

    def _give(self, data: bytes) -> None:
        """To a response that has begun."""
        self._response.write(data)
        self._totals.bytes_to_clients += len(data)
        self._sent_at = self._now()
        if not self._response.writable and self._backlog is None:
            self._is_behind()

    def _told(self, records: Sequence[Record]) -> None:
        """News of any kind."""
        raise NotImplementedError

    def _is_behind(self) -> None:
        """The consumer does not keep up."""
        raise NotImplementedError
