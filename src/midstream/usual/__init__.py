"""The way of the usual event, from one socket to the other: one more delta like the last, in a chunk of its own.

Rule: what is usual is decided here and done here; everything else is left, untouched, to whoever derives from these.

Nine of ten events take this way, and each finds a cold cache: of thousands of streams it is another one's turn. What it
costs is how many objects it touches and how many calls it makes. So these few classes are compiled where a compiler
was there when midstream was installed (`_compiled.pyx`, by Cython), and are plain Python everywhere else (`taking`,
`storing`, `giving`). Both do the same; one table of tests holds both to it. ``MIDSTREAM_COMPILED=0`` in the environment
asks for plain Python.

Whoever derives from them overrides only what raises `NotImplementedError` there: the compiled way calls the rest
without asking who has overridden it.
"""

import os
from typing import TYPE_CHECKING

from midstream.usual.kinds import Kind

COMPILED = False
"""Whether the compiled classes are the ones in use."""

if not TYPE_CHECKING and os.environ.get("MIDSTREAM_COMPILED") != "0":
    try:
        from midstream.usual._compiled import (
            Appender,
            Audience,
            Body,
            Flow,
            Head,
            Intake,
            Link,
            Numbered,
            Outlet,
            Passage,
            Record,
            Tail,
            Totals,
            settle_rows,
            take_rows,
            tell_news,
        )

        COMPILED = True
    except ImportError:  # there was no compiler
        pass

if TYPE_CHECKING or not COMPILED:
    from midstream.usual.giving import Body, Link, Outlet, Totals
    from midstream.usual.storing import Appender, Audience, Head, Record, Tail, settle_rows, take_rows, tell_news
    from midstream.usual.taking import Flow, Intake, Numbered, Passage

__all__ = [
    "COMPILED",
    "Appender",
    "Audience",
    "Body",
    "Flow",
    "Head",
    "Intake",
    "Kind",
    "Link",
    "Numbered",
    "Outlet",
    "Passage",
    "Record",
    "Tail",
    "Totals",
    "settle_rows",
    "take_rows",
    "tell_news",
]
