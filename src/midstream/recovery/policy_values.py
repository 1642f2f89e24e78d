"""What each field of a `Policy` may be, and how it is spelt in the environment.

Rule: every value that comes in is checked by the tables here, wherever it comes from.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class PolicyError(ValueError):
    """A policy that makes no sense. Says in one sentence what was given, where, and what is allowed."""


class _Range(NamedTuple):
    """What a number may be. The upper ends only keep out what cannot be meant."""

    low: float
    high: float
    whole: bool = False
    above_low: bool = False
    optional: bool = False

    def __str__(self) -> str:
        number = "a whole number" if self.whole else "a number"
        start = f"above {self.low:,.10g}" if self.above_low else f"from {self.low:,.10g}"
        none = ", or none for no limit" if self.optional else ""
        return f"{number} {start} to {self.high:,.10g}{none}"


# 1,000,000 s is 11 days; timers overflow at 2**32 ms, which is 49.
_SECONDS = _Range(0, 1e6, above_low=True)
_SECONDS_OR_NONE = _SECONDS._replace(optional=True)
_BYTES = _Range(1, 1 << 40, whole=True)

_RANGES: Mapping[str, _Range] = {
    "attempts": _Range(1, 1000, whole=True),
    "attempts_total": _Range(1, 10_000, whole=True),
    "elapsed_s": _SECONDS_OR_NONE,
    "waiting_s": _SECONDS_OR_NONE._replace(above_low=False),
    "connect_s": _SECONDS,
    "first_event_s": _SECONDS,
    "silence_s": _SECONDS,
    "silence_after_pings_s": _SECONDS,
    "progress_s": _SECONDS,
    "progress_slow_s": _SECONDS,
    "retry_after_max_s": _SECONDS._replace(above_low=False),
    "retry_share": _Range(0, 1),
    "retry_per_minute_min": _Range(0, 1e6, whole=True),
    "continue_max_tokens": _Range(0, 1000, whole=True),
    "held_bytes_max": _BYTES,
    "reply_bytes_max": _BYTES,
    "frame_bytes_max": _BYTES,
    "error_body_bytes_max": _BYTES,
    "seam_hold_chars": _Range(1, 1e6, whole=True),
    "seam_hold_s": _SECONDS,
}
_CHOICES: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("tools", "thinking", "server_tools", "structured"), ("hold", "live")
)
_SWITCHES = frozenset({"continue_text", "repeat_remote_tools"})
_BACKOFF_ALLOWED = "a pair of numbers from 0 to 1,000,000, the lower one first"
_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def checked(values: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """The values, with whole numbers made floats where the field is one. ``labels``: where a value came from."""
    good: dict[str, Any] = {name: _checked_field(name, value, labels.get(name, name)) for name, value in values.items()}
    if good["attempts_total"] < good["attempts"]:
        total, attempts = (labels.get(name, name) for name in ("attempts_total", "attempts"))
        raise PolicyError(
            f"{total} is {good['attempts_total']}, but must be at least {attempts}, which is {good['attempts']}"
        )
    return good


def _checked_field(name: str, value: object, label: str) -> object:
    if name in _RANGES:
        return _checked_number(value, _RANGES[name], label)
    if name in _CHOICES:
        allowed = _CHOICES[name]
        if not isinstance(value, str) or value not in allowed:
            raise _wrong(label, value, " or ".join(map(repr, allowed)))
        return value
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise _wrong(label, value, "true or false")
        return value
    return _checked_backoff(value, label)  # the one field of its kind


def _checked_number(value: object, allowed: _Range, label: str) -> int | float | None:
    if value is None and allowed.optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or (allowed.whole and isinstance(value, float)):
        raise _wrong(label, value, str(allowed))
    # NaN is in no range: every comparison with it is false.
    if not allowed.low <= value <= allowed.high or (allowed.above_low and value == allowed.low):
        raise _wrong(label, value, str(allowed))
    return value if allowed.whole else float(value)


def _checked_backoff(value: object, label: str) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise _wrong(label, value, _BACKOFF_ALLOWED)
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= _SECONDS.high:
            raise _wrong(label, value, _BACKOFF_ALLOWED)
    low, high = value
    if low > high:
        raise _wrong(label, value, _BACKOFF_ALLOWED)
    return float(low), float(high)


def _wrong(label: str, value: object, allowed: str) -> PolicyError:
    return PolicyError(f"{label} must be {allowed}; it is {_shown(value)}")


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def parsed(name: str, text: str) -> object:
    """A variable's text as the value it stands for; as the text itself where it stands for none: it fails the check."""
    if name in _RANGES:
        allowed = _RANGES[name]
        if allowed.optional and text.lower() == "none":
            return None
        return _number(text, whole=allowed.whole)
    if name in _SWITCHES:
        return _TRUTHS.get(text.lower(), text)
    if name in _CHOICES:
        return text.lower()
    numbers = tuple(_number(part.strip(), whole=False) for part in text.split(","))
    return text if str in map(type, numbers) else numbers


def _number(text: str, *, whole: bool) -> int | float | str:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        return text
