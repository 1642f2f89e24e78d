"""Streams that are broken on purpose behind a gateway, and what may come of each.

Rule: the promise is judged by what the consumer saw; nothing of midstream is asked but the faults and their reply.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from midstream.faults.catalogue import KINDS, Kind, Wire
from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from tests.gateway.gateways import FAST, Gateway, running

Form = Literal["once", "always"]
FORMS: tuple[Form, ...] = ("once", "always")

WHOLE_ALL_THE_SAME = frozenset(
    ("ok", "no-message-stop", "no-final-blank-line", "error-after-stop", "reset-after-stop", "stall-after-stop")
)
"""The stop reason came: nothing is missing (the contract, §3)."""

NEVER_AGAIN = frozenset(
    "invalid_request_error authentication_error billing_error permission_error not_found_error request_too_large "
    "error-spend-limit error-exhausted validationException "
    "http-400 http-401 http-402 http-403 http-404 http-413 http-422".split()
)
"""What is not tried again (the contract, §6)."""
NEVER_AGAIN_BEDROCK = NEVER_AGAIN | {"http-409"}

BEDROCK_UPSTREAM = "bedrock:us-east-1"


class Road(NamedTuple):
    """What the client speaks, and what the upstream."""

    client: Wire
    upstream: Wire

    def __str__(self) -> str:
        return f"{self.client}-to-{self.upstream}"


ROADS = tuple(Road(client, upstream) for client in ("sse", "bedrock") for upstream in ("sse", "bedrock"))


@dataclass(frozen=True)
class Story:
    """One stream, and how it is broken."""

    kind: Kind
    form: Form
    road: Road

    def __str__(self) -> str:
        return f"{self.kind.name}-{self.form}-{self.road}"

    @property
    def script(self) -> str:
        """What the upstream is told to do."""
        broken = f"{self.kind.name}; ok" if self.form == "once" else f"always {self.kind.name}"
        return f"reply={self.reply_name}; {broken}"

    @property
    def reply_name(self) -> str:
        """Thinking and tools too where the whole of it is to arrive; a text alone grows from attempt to attempt."""
        return "everything" if self.form == "once" else "text"

    def headers(self, caller: str) -> dict[str, str]:
        """What a client sends along, so that the upstream plays this story to it alone."""
        return {"x-midstream-fault": self.script, "x-midstream-key": f"{caller}-{self}"}

    @property
    def must_complete(self) -> bool:
        """It can be recovered, so it has to be."""
        never = NEVER_AGAIN_BEDROCK if self.road.upstream == "bedrock" else NEVER_AGAIN
        return self.kind.name in WHOLE_ALL_THE_SAME or (self.form == "once" and self.kind.name not in never)

    @property
    def must_fail(self) -> bool:
        """Nothing can help, so that a reply would be a forgery."""
        return not self.must_complete

    def complaint(self, seen: "Seen") -> str | None:
        """What is wrong with how it ended; ``None``: it is as promised."""
        if seen.outcome == "hang":
            return "it hangs"
        if seen.silent:
            return f"it ends silently: {seen}"
        if seen.outcome == "error":
            if not seen.error_own:
                return f"the error is none of the SDK's own: {seen}"
            return f"it fails, and could be recovered: {seen}" if self.must_complete else None
        if gists(seen.blocks) != gists(Reply.builtin(self.reply_name).message()["content"]):
            return f"it is said to be complete, and differs from the source: {seen}"
        return f"it completes, which cannot be: {seen}" if self.must_fail else None


class Seen(Protocol):
    """What came of one call, whoever made it."""

    @property
    def outcome(self) -> str:
        """``complete``, ``error`` or ``hang``."""

    @property
    def silent(self) -> bool:
        """It ended without an error, and was not whole."""

    @property
    def error_own(self) -> bool:
        """The error is one of the SDK's classes."""

    @property
    def blocks(self) -> Sequence[Mapping[str, Any]]:
        """The content."""


_TELLING = ("type", "text", "thinking", "signature", "id", "name", "input")


def gists(blocks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a block says, without what an SDK adds to it."""
    return [{name: block[name] for name in _TELLING if name in block} for block in blocks]


def stories(road: Road, forms: Sequence[Form] = FORMS) -> list[Story]:
    """Every fault that its upstream can play, in each form."""
    return [Story(kind, form, road) for kind in KINDS for form in forms if road.upstream in kind.wires]


@contextmanager
def upstream_gateway(faults: FaultServer, upstream: Wire, own: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """A gateway of fast policy in front of the faults, which it takes for an upstream of this kind.

    ``own``: variables with credentials of its own.
    """
    env = {**FAST, **(own or {})}
    name = faults.url if upstream == "sse" else BEDROCK_UPSTREAM
    config = f'[upstreams."{name}"]\nbase_url = "{faults.url}"\n' if upstream == "bedrock" else ""
    with running(name, env=env, config=config) as gateway:
        yield gateway
