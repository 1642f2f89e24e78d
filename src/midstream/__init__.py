"""Claude streams that finish.

A stream is either complete, or fails with one typed error that carries everything received::

    import anthropic, midstream

    client = anthropic.Anthropic(middleware=[midstream.Recovery()])
"""

import importlib
import typing
from typing import TYPE_CHECKING

from midstream._version import __version__
from midstream.errors import MissingExtra, PolicyError, StreamError
from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.reports import Report, Usage
from midstream.settings import Policy

if TYPE_CHECKING:
    from midstream.sdk.middleware import Recovery, report
    from midstream.sdk.story import Recovered

__all__ = [
    "Failure",
    "Kind",
    "MissingExtra",
    "Origin",
    "Phase",
    "Policy",
    "PolicyError",
    "Recovered",
    "Recovery",
    "Report",
    "StreamError",
    "Usage",
    "__version__",
    "report",
]

# What needs the SDK is imported when first used: the rest of midstream runs without loading it.
_NEEDS_THE_SDK = {
    "Recovered": "midstream.sdk.story",
    "Recovery": "midstream.sdk.middleware",
    "report": "midstream.sdk.middleware",
}


def __getattr__(name: str) -> typing.Any:
    if name not in _NEEDS_THE_SDK:
        raise AttributeError(f"module 'midstream' has no attribute {name!r}")
    value = getattr(importlib.import_module(_NEEDS_THE_SDK[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
