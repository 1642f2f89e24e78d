"""Writes a recording while it is made.

Rule: each fact is written and flushed when it happens, so that a recorder that is killed loses nothing that it had.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TextIO

from midstream._version import __version__
from midstream.doctor.record.masking import Masking
from midstream.doctor.recording import timed
from midstream.doctor.recording.facts import Arrived, Fact, Finished, How, Remark

PIECE_BYTES = 1 << 16
"""Of a body in one line: what one read of a pipe or a socket gives at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where a recording ends by itself."""

    bytes: int = 1 << 30
    """Of body. The longest reply that the API can give has some 20 MB."""
    seconds: float = 3600.0
    """In all: the longest that AWS allows a reply of Claude to take."""
    idle_s: float = 600.0
    """Without a byte: what the SDK waits. For a request of our own only; curl has limits of its own."""


class Writer:
    """Takes facts, gives them their time, and writes them."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.bytes = 0
        """Of body, so far."""
        self.finished: Finished | None = None
        self.last_byte_at_s: float | None = None
        self.masking = Masking()
        """What must not be in the body, once the request is known."""
        self._out = out
        self._clock = clock
        self._began_at = clock()
        self._lock = threading.Lock()
        began = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write(timed.begin_line(began, f"midstream {__version__}"))

    @property
    def elapsed_s(self) -> float:
        """Since the recording began."""
        return self._clock() - self._began_at

    def tell(self, fact: Fact) -> None:
        """Writes a fact, at the time that it is now."""
        at_s = self.elapsed_s
        if isinstance(fact, Finished):
            if self.finished is not None:
                return
            self.finished = fact
        if isinstance(fact, Arrived):
            self.bytes += len(fact.data)
            self.last_byte_at_s = at_s
            data = self.masking.mask(fact.data)
            for begin in range(0, len(data), PIECE_BYTES):
                self._write(timed.line_of(Arrived(data[begin : begin + PIECE_BYTES], at_s)))
        else:
            self._write(timed.line_of(fact if isinstance(fact, Remark) else replace(fact, at_s=at_s)))

    def _write(self, line: str) -> None:
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()


def told_so_far(writer: Writer) -> str:
    """How far the recording is, in a clause."""
    now, last = writer.elapsed_s, writer.last_byte_at_s
    waiting = "nothing yet" if last is None else f"the last byte {now - last:.0f} s ago"
    return f"recording: {now:.0f} s, {writer.bytes:,} bytes, {waiting}"


def told_end(writer: Writer) -> str:
    """How the recording ended, in a clause."""
    finished = writer.finished or Finished(How.UNKNOWN)
    return f"{writer.bytes:,} bytes in {writer.elapsed_s:.1f} s, ended: {finished.how.value}"
