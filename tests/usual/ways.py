"""The usual event's two ways, plain and compiled: what one table of tests holds both to."""

import os
from types import SimpleNamespace

import pytest

from midstream import usual
from midstream.usual import giving, storing, taking

NAMES = [name for name in usual.__all__ if name not in ("COMPILED", "Kind")]
"""What both have."""


def _named(*modules: object) -> SimpleNamespace:
    return SimpleNamespace(
        **{name: getattr(module, name) for module in modules for name in NAMES if hasattr(module, name)}
    )


try:
    from midstream.usual import _compiled
except ImportError:
    _compiled = None

PLAIN = _named(storing, taking, giving)
COMPILED = None if _compiled is None else _named(_compiled)

_OPTIONAL = os.environ.get("CI") != "true" or os.environ.get("MIDSTREAM_COMPILED") == "0"

needs_compiled = pytest.mark.skipif(
    COMPILED is None and _OPTIONAL,
    reason="midstream was installed without a C compiler: only the plain way is there",
)
"""Where ``CI=true`` it must be there, unless it is switched off."""

both = pytest.mark.parametrize(
    "way", [pytest.param(PLAIN, id="plain"), pytest.param(COMPILED, id="compiled", marks=needs_compiled)]
)
"""Runs a test on either way."""
