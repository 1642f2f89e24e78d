"""Who makes a request, and with whose credentials upstreams are asked for it.

Rule: what a client brought goes to an upstream that takes such, and nowhere else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from midstream.gateway.http.heads import Headers
from midstream.gateway.upstreams.port import Call, Upstream


@dataclass(frozen=True, slots=True)
class Asker:
    """Who makes a request."""

    owner: bytes
    """The keyed hash of the credential."""
    name: str = ""
    """Of the client's token, if the gateway knows its clients."""
    brought: Headers | None = field(default=None, repr=False)
    """The client's credentials for upstreams; ``None`` where the gateway has its own, and clients bring none."""
    own_too: bool = False
    """Where what the client brought is of no use, the gateway's own may be taken: only this machine can ask."""
    streams_max: int | None = None

    def credentials_for(self, upstream: Upstream, call: Call) -> Headers | None:
        """What to ask this upstream with; ``None`` for the gateway's own."""
        if self.brought is None or (self.own_too and not upstream.takes(call, self.brought)):
            return None
        return self.brought

    def is_needed(self, upstreams: Iterable[Upstream], call: Call) -> bool:
        """Whether nobody but this client can have the call made."""
        return any(self.credentials_for(upstream, call) is not None for upstream in upstreams)
