"""A thousand readers of a few streams, who leave and come back: every one has a prefix of the same bytes.

Rule: what a reader has is compared byte by byte; only pings of the gateway's own, which have no number, are left out.
"""

import asyncio
import random
import re
import resource
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from midstream.faults.reply import Reply
from midstream.recovery.policy import Policy
from tests import wire
from tests.gateway.client import Answer, ask, frames_of, text_of
from tests.gateway.inprocess import Standing, run, standing

pytestmark = pytest.mark.sockets

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
PIECES = [f"piece {n}{' and more of it' * (n % 7)}, " for n in range(300)]
REPLY = Reply.from_events(wire.whole(wire.text(0, *PIECES[:150]), wire.text(1, *PIECES[150:])))


@dataclass
class Visit:
    """One time that a reader was there."""

    after: int
    """It asked for what comes behind this frame."""
    body: bytes
    whole: bool
    """The body ended as its framing says."""

    @property
    def said(self) -> bytes:
        """What it got, without the gateway's own pings: a half one at the end is one, too."""
        *frames, rest = self.body.split(b"\n\n")
        kept = b"".join(frame + b"\n\n" for frame in frames if frame + b"\n\n" != PING)
        return kept if PING.startswith(rest) else kept + rest


@dataclass
class Reader:
    """Comes, leaves, and comes back, wherever the dice say."""

    st: Standing
    path: str
    dice: random.Random
    visits: list[Visit] = field(default_factory=list)
    known: int = 0
    """The last frame that it has whole."""

    async def read(self, ended: asyncio.Event) -> None:
        """Some visits that are broken off, one to the end, and, for half of the readers, more when it is over."""
        for _ in range(self.dice.randint(1, 4)):
            await asyncio.sleep(self.dice.random() * 0.5)
            await self._visit(self._offset(), self.dice.randint(1, 20_000))
        await self._visit(self._offset(), None)
        if self.dice.random() < 0.5:
            await ended.wait()
            await self._visit(self._offset(), self.dice.randint(1, 20_000))
            await self._visit(self._offset(), None)

    def _offset(self) -> int:
        """Where it broke off, or anywhere before that."""
        return self.known if self.dice.random() < 0.5 else self.dice.randint(0, self.known)

    async def _visit(self, after: int, until: int | None) -> None:
        headers = {"last_event_id": str(after)} if after or self.dice.random() < 0.5 else {}
        answer = await ask(self.st.url, "GET", self.path, None, **headers)
        assert answer.status == 200
        body = await answer.read(until)
        self.visits.append(Visit(after, body, answer.whole))
        ids = re.findall(rb"(?m)^id: (\d+)$", body[: body.rfind(b"\n\n") + 1])
        self.known = max(self.known, int(ids[-1])) if ids else self.known
        if self.dice.random() < 0.5:
            answer.writer.transport.abort()
        await answer.close()


async def everything(answer: Answer) -> bytes:
    """The bytes of the one who asked for the stream, and never left."""
    visit = Visit(0, await answer.read(), answer.whole)
    await answer.close()
    assert visit.whole and text_of(frames_of(visit.said)) == "".join(PIECES)
    return visit.said


def behind(whole: bytes, after: int) -> bytes:
    """The bytes of a stream behind a frame, cut by hand."""
    return whole if not after else whole[whole.index(b"id: %d\n" % after) :].partition(b"\n\n")[2]


async def crowded(st: Standing, readers: int, streams: int, seed: int) -> None:
    """So many readers of so many streams."""
    asked = [await ask(st.url) for _ in range(streams)]
    paths = [f"/midstream/streams/{answer.headers['midstream-stream-id']}" for answer in asked]
    crowd = [Reader(st, paths[n % streams], random.Random(f"{seed} {n}")) for n in range(readers)]
    ended = asyncio.Event()
    everyone = asyncio.gather(*(reader.read(ended) for reader in crowd))
    wholes = await asyncio.gather(*map(everything, asked))
    ended.set()
    await everyone
    broken = 0
    for n, reader in enumerate(crowd):
        whole = wholes[n % streams]
        for visit in reader.visits:
            expected = behind(whole, visit.after)
            assert expected.startswith(visit.said), f"reader {n} of seed {seed} after {visit.after}"
            assert (visit.said == expected) or not visit.whole
            broken += not visit.whole
        assert reader.visits[-1].whole
    assert broken > readers // 2


@pytest.mark.parametrize("memory", [True, False])
def test_readers_who_come_and_go_have_the_same_bytes(memory: bool, tmp_path: Path) -> None:
    async def story() -> None:
        journal = None if memory else tmp_path / "journal.sqlite3"
        async with standing("ok", REPLY, journal, pace_s=0.003, ping_s=0.05, on_leave="finish") as st:
            await crowded(st, readers=40, streams=2, seed=1)

    run(story)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_thousand_readers_leave_and_come_back(seed: int, tmp_path: Path) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    async def story() -> None:
        # The limits of recovery are those of the world: a thousand readers on a busy machine make their upstream wait.
        limits = {"readers_per_stream_max": 2000, "on_leave": "finish", "ping_s": 0.2, "policy": Policy()}
        # A fault in half of the streams: the seam is no other to one reader than to the next.
        script = "cut-rst@event=120; then ok" if seed else "ok"
        async with standing(script, REPLY, tmp_path / "journal.sqlite3", pace_s=0.02, **limits) as st:
            await crowded(st, readers=1000, streams=5 - 4 * seed, seed=seed)

    # It is 20 s of work, for a core that nobody else wants.
    run(story, deadline_s=240)
