"""Durations and sizes, as the proxies spell them.

Rule: what cannot be read is ``None``, and no rule complains of it.
"""

import re

_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(us|µs|ms|s|m|h|d|w)?", re.IGNORECASE)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b?", re.IGNORECASE)


def seconds(text: str, *, bare: str = "s") -> float | None:
    """``1m30s`` as 90. A number alone is of the unit `bare`."""
    # Longer numbers are no durations, and Python reads no integer of more than 4,300 digits.
    words = text.strip().lower()
    if not words or len(words) > 40:
        return None
    total, end = 0.0, 0
    for match in _DURATION.finditer(words):
        if words[end : match.start()].strip():
            return None
        total += float(match[1]) * _SECONDS[match[2] or bare]
        end = match.end()
    return total if end and not words[end:].strip() else None


def size_bytes(text: str) -> int | None:
    """``64m`` as 67,108,864."""
    match = _SIZE.fullmatch(text.strip()) if len(text) <= 40 else None
    if match is None:
        return None
    return int(float(match[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[match[2].lower()])


def said_s(value_s: float) -> str:
    """Seconds as a person writes them."""
    return f"{value_s:g} s"
