"""Asks one question of the far end, and afterwards what had left: one `Seen`.

Rule: whatever the path does to a question, the answer is a value; only where there is no far end at all, it is told.
"""

import asyncio
import secrets
from dataclasses import dataclass

import msgspec

from midstream.doctor.probe import http1, http2
from midstream.doctor.probe.compare import Seen, seen
from midstream.doctor.probe.heard import Heard, Protocol
from midstream.doctor.probe.observations import Passed
from midstream.doctor.probe.questions import MARGIN_S, Question
from midstream.doctor.probe.request import Request
from midstream.doctor.probe.road import Target
from midstream.faults.probe_words import VERSION, Ask, Hello, Told

# The far end notices in its own time; a stream that was left is over when it has played to its end.
_TELL_EVERY_S = 0.25
_TELL_FOR_S = 2.0
_TELL_TRIES = 3

_PAD_HEADER = "x-midstream-probe-pad"


class NoFarEnd(Exception):
    """Nobody there answers as a far end does; the text is one sentence that says what was answered."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Where questions go, and what goes with each."""

    to: Target
    token: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    insecure: bool = False
    margin_s: float = MARGIN_S
    """How much longer than a stream should last it is waited for."""

    async def hello(self, protocol: Protocol = "http/1.1") -> tuple[Hello, Heard]:
        """Who is there. Raises `NoFarEnd`."""
        heard = await self._send(Question("hello", protocol=protocol), Ask(VERSION, "hello", token=self.token))
        try:
            hello = msgspec.json.decode(heard.body, type=Hello)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NoFarEnd(_who_answers(heard)) from None
        if heard.status != 200 or hello.midstream_probe != VERSION:
            raise NoFarEnd(_who_answers(heard))
        return hello, heard

    async def ask(self, question: Question) -> Seen:
        """One stream, from both ends."""
        name = secrets.token_hex(16)
        heard = await self._send(question, question.ask(name, self.token))
        wait_s = question.lasts_s if question.leave_at_s is not None else 0.0
        return seen(question.name, heard, await self._told(name, wait_s))

    async def size(self, question: Question) -> Passed:
        """Whether a question of some size comes to the far end as it left."""
        heard = await self._send(question, question.ask("", self.token))
        size = question.pad_body_bytes or question.pad_head_bytes
        try:
            hello = msgspec.json.decode(heard.body, type=Hello)
            came = hello.request_bytes >= size if question.pad_body_bytes else hello.head_bytes >= size
        except (msgspec.DecodeError, UnicodeDecodeError):
            came = False
        said = f"HTTP {heard.status}" if heard.status is not None else heard.detail or heard.end
        return Passed(size, came and heard.status == 200, said)

    async def _send(self, question: Question, ask: Ask) -> Heard:
        body = msgspec.json.encode(ask)
        headers = self.headers
        if question.pad_head_bytes:
            headers = (*headers, (_PAD_HEADER, "a" * question.pad_head_bytes))
        request = Request(
            # Blanks behind JSON are JSON.
            body.ljust(question.pad_body_bytes),
            headers,
            wait_s=question.lasts_s + self.margin_s,
            leave_at_s=question.leave_at_s,
            gzip=question.gzip,
        )
        ask_it = http2.ask if question.protocol == "h2" else http1.ask
        return await ask_it(self.to, request, insecure=self.insecure)

    async def _told(self, name: str, wait_s: float) -> Told | None:
        """What the far end knows of a stream, once it is over there too."""
        loop = asyncio.get_running_loop()
        until, tries, told = loop.time() + wait_s + _TELL_FOR_S, 0, None
        while tries < _TELL_TRIES:
            heard = await self._send(Question("tell"), Ask(VERSION, "tell", token=self.token, stream=name))
            try:
                told = msgspec.json.decode(heard.body, type=Told)
            except (msgspec.DecodeError, UnicodeDecodeError):
                tries += 1
                # Not there at all is an answer; anything else may be better in a moment.
                if heard.status == 404 and b"refused" in heard.body:
                    return None
            else:
                if told.ended != "playing" or loop.time() > until:
                    return told
            await asyncio.sleep(_TELL_EVERY_S)
        return told


def _who_answers(heard: Heard) -> str:
    """What answered instead of a far end."""
    if heard.status is None:
        return heard.detail or f"no answer ({heard.end})"
    try:
        refused = msgspec.json.decode(heard.body, type=dict[str, object]).get("refused")
    except (msgspec.DecodeError, UnicodeDecodeError):
        refused = None
    if refused:
        return f"the far end refuses: {str(refused)[:200]}"
    server = heard.header("server")
    return f"HTTP {heard.status}" + (f" from {server[:60]}" if server else "") + ", and not by a far end of midstream's"
