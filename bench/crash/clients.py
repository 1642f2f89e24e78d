"""A client of a gateway that is killed: asks, reads, is cut off, and comes back until its reply has ended.

Rule: it believes nothing: every frame is held against those it has, and every ending against what it was told.
"""

import asyncio
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from bench.crash.gateway import TOKEN, Gateway
from bench.crash.http import Answer, Broken, Frame, ask

HOWS = ("get", "retry", "idempotent")
"""How it comes back: by the stream's id, or by the same request again, counted or named."""

REPLIES = ("text", "text", "thinking", "tools", "everything")
EVENTS = {"text": 111, "thinking": 128, "tools": 27, "everything": 144}
MODELS = ("claude-sonnet-5-5", "claude-sonnet-5-5", "claude-haiku-4-5")
"""Most are continued by a turn; the last one by a prefix."""

FAULTS = ("cut-rst@50%", "cut-fin@30%", "cut-clean@70%", "overloaded@40%", "http-529", "reset-early", "silence@60%")


def event_of(raw: bytes) -> dict[str, Any]:
    """What a frame says."""
    data = b"\n".join(line[6:] for line in raw.split(b"\n") if line.startswith(b"data: "))
    event: dict[str, Any] = json.loads(data)
    return event


class Session(Protocol):
    """What a client knows of the run that it is part of."""

    gateway: Gateway

    def rings(self, what: str, client: "Client") -> None:
        """Something happened that a kill may be aimed at."""

    def wrong(self, client: "Client", what: str) -> None:
        """The promise was broken."""

    def count(self, what: str) -> None:
        """For the table at the end."""


@dataclass
class Client:
    """One reply that somebody wants."""

    number: int
    session: Session
    dice: Random
    own: bool
    """The gateway holds the credentials."""
    frames: list[bytes] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """Of the streams that it was given: more than one only where those before failed while it was away."""
    ending: str = ""
    """``complete``, or ``error``, or ``refused``."""
    error: dict[str, Any] = field(default_factory=dict)
    asked: int = 0
    posting: bool = False
    """It has sent its request, and no answer has begun."""
    stored_before: int = 0
    """How many streams of it the journal held at the last kill."""
    lost: int = 0
    """Requests of which nothing was stored when the gateway was killed."""
    upstream: int = 0
    """Generations that were started for it."""
    reading: bool = False
    """Bytes of an answer may be on their way to it."""
    waits_for: str = ""
    """The attempt that was begun for it, and of which it was shown nothing yet."""
    differed: bool = False
    _by_id: bool = False

    def __post_init__(self) -> None:
        dice = self.dice
        self.key = f"c{self.number:05d}"
        self.how = dice.choice(HOWS)
        self.reply = dice.choice(REPLIES)
        self.pace_s = dice.uniform(0.5, 2.5) / EVENTS[self.reply]
        style = dice.choice(("obedient", "obedient", "exact"))
        faults = dice.sample(FAULTS, dice.choice((0, 0, 1, 1, 2)))
        self.script = "; ".join([f"reply={self.reply}", f"model={style}", f"pace={self.pace_s:.4f}", *faults])
        asked = {"model": dice.choice(MODELS), "max_tokens": 4000, "stream": True}
        words = {"role": "user", "content": f"Question {self.key}."}
        self.body = json.dumps({**asked, "messages": [words]}).encode()
        secret = (TOKEN if self.own else "sk-of-client-{}").format(self.number % 3)
        self.secret = secret
        self.credential = {"x-api-key": secret} if dice.random() < 0.5 else {"authorization": f"Bearer {secret}"}

    @property
    def over(self) -> bool:
        """Its reply has ended."""
        return bool(self.ending)

    async def run(self) -> None:
        """Until it has its reply; and then it reads all of it once more."""
        while not self.over:
            await self._connect()
        while not await self._reads_again():
            pass

    # Reading.

    async def _connect(self) -> None:
        gateway = self.session.gateway
        await gateway.up.wait()
        await asyncio.sleep(self.dice.choice((0.0, self.dice.uniform(0, 0.2), self.dice.uniform(0, 0.6))))
        if not gateway.up.is_set():
            return
        kills, read = gateway.kills, len(self.frames)
        try:
            answer = await self._asks()
        except Broken:
            if gateway.kills == kills:
                self.session.wrong(self, "got no answer, and nobody was killed")
            return
        try:
            self.reading, self.posting = True, False
            await self._reads(answer)
        except Broken:
            self._broke_off(killed=gateway.kills != kills)
        finally:
            self.reading = False
            await answer.close()
        if len(self.frames) > read:
            self.session.count("connections that brought something new")

    async def _asks(self) -> Answer:
        port, again = self.session.gateway.port, self.asked > 0
        self.asked += 1
        if again:
            self.session.rings("came back", self)
        self._by_id = again and bool(self.ids) and self.how == "get"
        if self._by_id:
            self.session.count("came back by GET")
            return await self.get(self.credential, len(self.frames))
        headers = {**self.credential, "content-type": "application/json", "anthropic-version": "2023-06-01"}
        headers |= {"x-midstream-key": self.key, "x-midstream-fault": self.script}
        if self.how == "idempotent":
            headers["idempotency-key"] = f"key of {self.key}"
        elif again:
            headers["x-stainless-retry-count"] = str(min(self.asked - 1, 9))
        if again:
            self.session.count(f"came back by the same request, {self.how}")
        self.posting = True
        return await ask(port, "POST", "/v1/messages", headers, self.body)

    async def get(self, credential: dict[str, str], after: int = 0) -> Answer:
        """Its stream by its id."""
        headers = dict(credential)
        if after:
            headers["last-event-id"] = str(after)
        path = f"/midstream/streams/{self.ids[-1]}"
        return await ask(self.session.gateway.port, "GET", path, headers)

    async def _reads(self, answer: Answer) -> None:
        id = answer.headers.get("midstream-stream-id", "")
        if answer.status != 200:
            self.error = json.loads(await answer.body() or b"{}")
            self.ending = "refused"
            self.error["status"] = answer.status
            return
        self._given(id)
        # Only who reads by the id is given what follows; the others are given all of it.
        at = len(self.frames) if self._by_id else 0
        async for frame in answer.frames():
            if frame.number is not None:
                at += 1
            self._takes(frame, at)
        self._ended_cleanly()

    def _given(self, id: str) -> None:
        if id in self.ids[:-1]:
            self.session.wrong(self, f"was given the stream {id} once more, after {self.ids[-1]}")
        if not self.ids or id != self.ids[-1]:
            # Only where the one before failed while it was away (the judge looks): then the reply begins anew.
            self.ids.append(id)
            self.frames.clear()

    def _takes(self, frame: Frame, at: int) -> None:
        if frame.number is None:
            if frame.name != "ping":
                self.session.wrong(self, f"was given an event without a number: {frame.name}")
        elif frame.number != at:
            self.session.wrong(self, f"was given frame {frame.number} in the place of {at}")
        elif at <= len(self.frames):
            if self.frames[at - 1] != frame.raw and not self.differed:
                self.differed = True  # so will all that follow
                self.session.wrong(self, f"frame {at} differs from what it was before")
        else:
            if not self.frames:
                self.session.rings("first frame", self)
            self.frames.append(frame.raw)
            self.waits_for = ""
            if frame.name in ("message_delta", "message_stop"):
                self.session.rings("ending", self)

    def _last(self) -> str:
        return str(event_of(self.frames[-1])["type"]) if self.frames else ""

    def _ended_cleanly(self) -> None:
        """The body has ended as its framing says."""
        self.ending = "complete"
        if self._last() != "message_stop":
            self.session.wrong(self, "was given a clean end without message_stop")
            self.ending = "cut"

    def _broke_off(self, *, killed: bool) -> None:
        match self._last():
            case "message_stop":
                self.ending = "complete"
                if not killed:
                    self.session.wrong(self, "was given a broken end after message_stop")
            case "error":
                self.ending, self.error = "error", event_of(self.frames[-1])
            case _ if not killed:
                self.session.wrong(self, "was cut off without a word, and nobody was killed")
                self.ending = "cut"

    # And again.

    async def _reads_again(self) -> bool:
        """All of it from the beginning; whether nothing came between."""
        if not self.ids:
            return True
        gateway = self.session.gateway
        await gateway.up.wait()
        kills, had = gateway.kills, list(self.frames)
        try:
            answer = await self.get(self.credential)
        except Broken:
            return False
        at = 0
        try:
            if answer.status != 200:
                self.session.wrong(self, f"could not read its stream again: {answer.status}")
                return True
            async for frame in answer.frames():
                if frame.number is not None:
                    at += 1
                self._takes(frame, at)
        except Broken:
            if gateway.kills != kills:
                return False
        finally:
            await answer.close()
        if at != len(had) or answer.whole is not (self.ending == "complete"):
            self.session.wrong(self, f"read {at} frames again, after {len(had)} that ended {self.ending}")
        self.session.count("read once more from the beginning")
        return True
