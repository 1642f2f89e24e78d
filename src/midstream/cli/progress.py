"""What is being done, on stderr, while something lasts: a line that changes at a terminal, one now and then elsewhere.

Rule: it knows nothing of what lasts; a function tells it how far that is.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

FIRST_S = 2.0
"""What is over sooner needs no telling."""

EACH_S, RARELY_S = 1.0, 15.0
"""At a terminal, where a clock that stands still looks like a hang; and in a log, where each line stays."""


class Progress:
    """Tells how far it is, as long as it is open; at a terminal nothing of it is left."""

    def __init__(self, line: Callable[[float], str], out: TextIO, *, rarely_s: float = RARELY_S) -> None:
        self._line = line
        """The words, from the seconds that it has lasted."""
        self._out = out
        self._redraws = out.isatty()
        self._each_s = EACH_S if self._redraws else rarely_s
        self._begun_at = time.monotonic()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="midstream-progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._redraws:
            self._write("\r\x1b[K")

    def tell(self) -> None:
        """Say it now."""
        line = self._line(time.monotonic() - self._begun_at)
        self._write(f"\r\x1b[K{line}" if self._redraws else f"{line}\n")

    def _run(self) -> None:
        wait_s = FIRST_S
        while not self._over.wait(wait_s):
            self.tell()
            wait_s = self._each_s

    def _write(self, text: str) -> None:
        with self._lock:
            self._out.write(text)
            self._out.flush()
