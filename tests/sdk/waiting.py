"""Waiting for what another thread or the kernel does soon.

Rule: a bound is there so that a failure is told; no test measures time by it.
"""

import time
from collections.abc import Callable

SOON_S = 10.0


def until(holds: Callable[[], bool]) -> None:
    """Waits until this holds; fails if it never does."""
    ends_at = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < ends_at, "it never came to hold"
        time.sleep(0.005)
