"""Asks the Messages API itself, with a key: three short replies, and questions of some sizes that it refuses.

Rule: the key goes into one header and nowhere else; what is asked costs a few hundred tokens at most.
"""

import json
from dataclasses import dataclass
from typing import Any

from midstream.doctor.probe import http1, http2
from midstream.doctor.probe.heard import Heard, Protocol
from midstream.doctor.probe.observations import Passed
from midstream.doctor.probe.onesided import OneSided, Reply, error_type, reply
from midstream.doctor.probe.questions import BODY_BYTES
from midstream.doctor.probe.request import Request
from midstream.doctor.probe.road import Target
from midstream.doctor.probe.run import Progress

# What any account may ask, and what costs least.
MODEL = "claude-haiku-4-5"

# A reply that takes some seconds to write, so that it can be seen whether it comes as it is written.
PROMPT = "Count from 1 to 80 in words, one number a line, and say nothing else."
TOKENS_MAX = 400

WAIT_S = 90.0


@dataclass(frozen=True, slots=True, repr=False)
class Keyed:
    """Where and with what. Without a repr: it holds the key."""

    to: Target
    key: str
    model: str = MODEL
    headers: tuple[tuple[str, str], ...] = ()
    insecure: bool = False
    quick: bool = False

    async def probe(self, progress: Progress) -> OneSided:
        """Everything that can be seen from here."""
        plain = await self._reply("a reply")
        progress("the first reply has come" if plain.heard.status == 200 else "the first question is answered")
        if plain.heard.status is None:
            # Nobody is there; asking again would say so again.
            return OneSided(replies=(plain,))
        more: list[Reply] = []
        # Once more where it looked ill; a hiccup is no illness.
        if plain.held_back:
            more.append(await self._reply("a reply, again"))
        more.append(await self._reply("a reply, compressed if they will", gzip=True))
        second = await self._reply("a reply over HTTP/2", protocol="h2") if self.to.secure else None
        protocols: tuple[Protocol, ...] = ("http/1.1",)
        if second is not None and second.heard.status is not None:
            protocols, more = ("http/1.1", "h2"), [*more, second]
        progress("all replies have come; asking with large bodies")
        return OneSided(protocols, (plain, *more), await self._bodies())

    async def _reply(self, name: str, *, gzip: bool = False, protocol: Protocol = "http/1.1") -> Reply:
        asked: dict[str, Any] = {
            "model": self.model,
            "max_tokens": TOKENS_MAX,
            "stream": True,
            "messages": [{"role": "user", "content": PROMPT}],
        }
        return reply(name, await self._send(json.dumps(asked).encode(), gzip=gzip, protocol=protocol))

    async def _bodies(self) -> tuple[Passed, ...]:
        """What is no JSON is refused by the API itself, for nothing; what is too large, by somebody before it."""
        found: list[Passed] = []
        for size in BODY_BYTES[:1] if self.quick else BODY_BYTES:
            heard = await self._send(b"{".ljust(size))
            told = error_type(heard.body)
            said = f"HTTP {heard.status} {told}".strip() if heard.status else heard.detail or heard.end
            found.append(Passed(size, heard.status in (400, 401, 403) and bool(told), said))
            if not found[-1].came:
                break
        return tuple(found)

    async def _send(self, body: bytes, *, gzip: bool = False, protocol: Protocol = "http/1.1") -> Heard:
        own = (("authorization", f"Bearer {self.key}"), ("anthropic-version", "2023-06-01"))
        request = Request(body, (*own, *self.headers), wait_s=WAIT_S, gzip=gzip)
        ask = http2.ask if protocol == "h2" else http1.ask
        return await ask(self.to, request, insecure=self.insecure)
