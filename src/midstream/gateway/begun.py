"""The record of an attempt that begins: what limits must know of it after a crash.

Rule: numbers and names of midstream's own.
"""

import msgspec

from midstream.recovery.history import History


class Attempt(msgspec.Struct, frozen=True):
    """An attempt that was begun."""

    upstream: str
    """The name; another process may number its upstreams otherwise."""
    plan: str
    slept_s: float = 0.0
    """Of the stream, before it."""
    elapsed_s: float = 0.0
    """Of the stream, before it."""
    shown_live: bool = False
    """A hold of the stream was ended by showing what was held."""


def after(history: History, upstream: str, elapsed_s: float) -> Attempt:
    """The attempt that was begun last, at this upstream."""
    return Attempt(upstream, history.attempts[-1].plan, history.slept_s, elapsed_s, history.shown_live)


_decoder = msgspec.json.Decoder(Attempt)


def write(attempt: Attempt) -> bytes:
    """The record's data."""
    return msgspec.json.encode(attempt)


def read(data: bytes) -> Attempt:
    """The attempt; one of which nothing is known but that it was, where the record cannot be read."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, ValueError):
        return Attempt("", "")
