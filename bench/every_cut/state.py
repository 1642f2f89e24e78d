"""Copies of a running engine, and what tells two of them apart.

Rule: generic, so that a field that the engine gains tomorrow is copied and compared without a change here. Only what
is shared or constant is left out, by type.
"""

import copyreg
import io
import pickle
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from operator import attrgetter
from typing import Any

from midstream.protocol.dialects import Anthropic, Bedrock
from midstream.recovery import anchors, commit, failure, history, plan
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request

_shared: dict[str, object] = {}


def share(engine: Engine) -> None:
    """Names the engine with which the next copies have the things in common that do not change."""
    _shared.update(Request=engine._request, Policy=engine._policy, Surroundings=engine._around)


def _one(name: str) -> object:
    return _shared[name]


def _slotted(kind: type) -> Callable[[Any], tuple[type, tuple[Any, ...]]]:
    """The way by which dataclasses with slots pickle is slow: all their fields are arguments, too."""
    names = attrgetter(*(part.name for part in fields(kind)))
    single = len(fields(kind)) == 1
    return lambda thing: (kind, (names(thing),) if single else names(thing))


_COPIED = copyreg.dispatch_table.copy()
for _module in (anchors, commit, failure, history, plan):
    for _type in vars(_module).values():
        if is_dataclass(_type) and isinstance(_type, type) and "__slots__" in vars(_type) and fields(_type):
            _COPIED[_type] = _slotted(_type)
for _type in (Request, Policy, Surroundings):
    _COPIED[_type] = lambda thing: (_one, (type(thing).__name__,))

# A dialect that is kept after its attempt only encodes: what is left in its buffer has no future.
_COMPARED = {**_COPIED, Anthropic: lambda _: (str, ("sse",)), Bedrock: lambda _: (str, ("bedrock",))}


def frozen(engine: Engine) -> bytes:
    """A copy that `thawed` makes into an engine, any number of times."""
    return _pickled(engine, _COPIED)


def thawed(copy: bytes) -> Engine:
    """An engine of its own."""
    engine: Engine = pickle.loads(copy)
    return engine


def fingerprint(engine: Engine) -> bytes:
    """Equal for engines with equal futures. Only between attempts: an attempt that is read has a dialect of its own."""
    return _pickled(engine, _COMPARED)


def _pickled(engine: Engine, table: dict[Any, Any]) -> bytes:
    out = io.BytesIO()
    pickler = pickle.Pickler(out, protocol=5)
    pickler.dispatch_table = table
    pickler.dump(engine)
    return out.getvalue()
