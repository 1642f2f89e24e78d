"""A journal, a gateway that is killed again and again, and clients who come back: one after the other, many at a time.

Rule: kills, tears, restarts; what holds is said by the clients and the judge.
"""

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bench.crash import disk, moments
from bench.crash.clients import Client
from bench.crash.gateway import OWN_KEY, TOKEN, Gateway
from bench.crash.http import Broken
from bench.crash.judge import described, judge
from bench.crash.moments import Bells, Rung
from midstream.faults.server import FaultServer
from midstream.faults.service import Attempt

END_S_MAX = 90.0
"""After the last kill, until every client has its reply: with all attempts used up, on a busy machine."""

ON_ITS_WAY_TURNS = 40
"""Turns of the event loop until a request is counted that reached the fault server's socket: accept, read, read."""

PIECE_CHARS = 7
"""In such pieces the played model says the element with the anchor."""


def settings_of(attempts_total: int) -> dict[str, str]:
    """The gateway's: as delivered, but for limits that a crash loop would reach, and silences that last minutes."""
    return {
        "MIDSTREAM_ATTEMPTS": str(attempts_total),
        "MIDSTREAM_ATTEMPTS_TOTAL": str(attempts_total),
        "MIDSTREAM_BACKOFF_S": "0,0.02",
        "MIDSTREAM_RETRY_PER_MINUTE_MIN": "1000000",
        "MIDSTREAM_BREAKER_FAILURES": "1000000",
        "MIDSTREAM_FIRST_EVENT_S": "10",
        "MIDSTREAM_SILENCE_S": "2",
        "MIDSTREAM_SILENCE_AFTER_PINGS_S": "2",
        "MIDSTREAM_PROGRESS_S": "4",
        "MIDSTREAM_PROGRESS_SLOW_S": "4",
    }


def loses(held: disk.Disk, client: Client) -> bool:
    """Whether the request that a client has sent is lost: it made a stream, and this is all that is held."""
    streams = held.of(client.key)
    return client.posting and len(streams) == client.stored_before and all(stream.ended for stream in streams)


def knows_all(held: disk.Disk, client: Client) -> bool:
    """Whether this is all that a client and the upstream were told of its stream."""
    streams = {stream.id: stream for stream in held.of(client.key)}
    attempts = sum(stream.attempts for stream in streams.values()) + client.lost
    attempts += loses(held, client)
    if client.upstream > attempts:
        return False
    if not client.ids:
        return True
    stream = streams.get(client.ids[-1])
    if stream is None or len(client.frames) > stream.offset:
        return False
    return stream.ended or not client.ending


@dataclass
class Run:
    """One session."""

    seed: str
    kills: int
    streams: int
    own: bool
    attempts_total: int
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """All of it. What is wrong stands in `problems`."""
        self._dice = Random(self.seed)
        self._bells, self._clients, self._done = Bells(), dict[str, Client](), list[Client]()
        self._disk, self._closing = disk.Disk(), False
        with tempfile.TemporaryDirectory(prefix="crash-") as folder:
            async with FaultServer(on_attempt=self._attempted) as faults:
                env = settings_of(self.attempts_total)
                self.gateway = Gateway(Path(folder), faults.url, own=self.own, env=env)
                try:
                    await self._play()
                finally:
                    status = self.gateway.end()
                self._judge(status)

    async def _play(self) -> None:
        self.gateway.spawn()
        await self.gateway.listens()
        seats = [asyncio.create_task(self._seat()) for _ in range(self.streams)]
        strangers = asyncio.create_task(self._strangers())
        try:
            for _ in range(self.kills):
                await self._kill_and_start()
            self._closing = True
            await asyncio.wait_for(asyncio.gather(*seats), END_S_MAX)
        except TimeoutError:
            for client in self._clients.values():
                if client not in self._done:
                    self.wrong(client, f"hangs (so far {client.ending or 'no end'})")
        finally:
            tasks = [*seats, strangers]
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, asyncio.CancelledError):
                    raise outcome

    async def _seat(self) -> None:
        """One client after the other."""
        while not self._closing:
            number = len(self._clients)
            client = Client(number, self, Random(f"{self.seed}/{number}"), self.own)
            self._clients[client.key] = client
            await client.run()
            self._done.append(client)

    # Killing.

    async def _kill_and_start(self) -> None:
        gateway, dice = self.gateway, self._dice
        moment = await moments.kill_at(moments.draw(dice), gateway, self._bells, dice)
        await self._killed(moment)
        while dice.random() < 0.2:  # again, before it has found its feet
            gateway.spawn()
            moment = await moments.write_and_kill("adoption", gateway, dice, most=12)
            await self._killed(moment, counted=False)
        gateway.spawn()
        await gateway.listens()
        self.counts["adopted at the start"] += sum(
            line.get("streams", 0) for line in gateway.told() if line.get("event") == "adopted"
        )

    async def _killed(self, moment: str, *, counted: bool = True) -> None:
        gateway = self.gateway
        await gateway.gone()
        self.counts[f"kill: {moment}" if counted else "further kills before the start was over"] += 1
        log = disk.log_of(gateway.journal)
        self.counts["kills that left half a transaction in the log"] += log is not None and log.tail_bytes > 0
        if log is not None and log.before_bytes < log.committed_bytes and await self._is_secret(log):
            self.counts["log torn: the last transaction, of which nobody had been told"] += 1
            disk.tear_last(gateway.journal, log, self._dice)
        elif self._dice.random() < 0.5:
            self.counts[f"log torn: {disk.tear(gateway.journal, self._dice)}"] += 1
        self._disk = disk.look(gateway.journal)
        self.counts["open streams that a kill left"] += sum(not stream.ended for stream in self._disk.streams)
        for client in self._clients.values():
            if client.waits_for and not client.over:
                self.counts[f"streams that a kill met in {client.waits_for}"] += 1
            client.waits_for = ""
            client.lost += loses(self._disk, client)
            client.posting, client.stored_before = False, len(self._disk.of(client.key))

    async def _is_secret(self, log: disk.Log) -> bool:
        """Whether nobody was told anything of the last transaction: then a crash of the machine could have torn it."""
        clients = [client for client in self._clients.values() if not client.over]
        turns = 0
        # What was sent before the kill, to clients and to the upstream, stands in sockets that somebody has to read.
        while turns < ON_ITS_WAY_TURNS or any(client.reading for client in clients):
            await asyncio.sleep(0.005)
            turns += 1
        if disk.moved_bytes(self.gateway.journal, log) > log.before_bytes:
            return False
        before = disk.look(self.gateway.journal, log.before_bytes)
        return all(knows_all(before, client) for client in self._clients.values())

    # Strangers.

    async def _strangers(self) -> None:
        """Others ask for every stream that they hear of, all the time; they get none."""
        while True:
            await asyncio.sleep(0.05)
            await self.gateway.up.wait()
            clients = [client for client in self._clients.values() if client.ids]
            if not clients:
                continue
            client = self._dice.choice(clients[-2 * self.streams :])
            other = TOKEN.format((client.number + 1) % 3) if self.own else "sk-of-a-stranger"
            try:
                answer = await client.get({"x-api-key": other})
            except Broken:
                continue
            self.counts["strangers refused"] += answer.status == 404
            if answer.status != 404:
                self.wrong(client, f"a stranger was answered with {answer.status}")
            await answer.close()

    # What clients and the upstream say.

    def rings(self, what: str, client: Client) -> None:
        """See `clients.Session`."""
        self._bells.ring(what)

    def wrong(self, client: Client, what: str) -> None:
        """See `clients.Session`."""
        self.problems.append(f"{self.seed}: {described(client)}: {what}")

    def count(self, what: str) -> None:
        """See `clients.Session`."""
        self.counts[what] += 1

    def _attempted(self, attempt: Attempt) -> None:
        client = self._clients.get(attempt.key)
        if client is None:
            self.problems.append(f"{self.seed}: the upstream was asked for nobody: {attempt.key}")
            return
        client.upstream += 1
        self.counts["attempts at the upstream"] += 1
        self._check_credentials(client, attempt)
        if attempt.refused or (attempt.cut and attempt.cut.lost):
            self.wrong(client, f"was asked for wrongly: {attempt.refused or 'what was sent back is not in the reply'}")
        if attempt.number == 1:
            client.waits_for = "a first request, before any frame"
            self._bells.ring("first attempt")
            return
        self.counts["attempts that continue" if attempt.cut else "attempts that begin again"] += 1
        client.waits_for = "a resume request, before a frame of it"
        self._bells.ring("resume")
        if attempt.cut and attempt.cut.element:
            client.waits_for = "a resume request and its seam hold"
            said = len(attempt.cut.anchor) + 2 * len(attempt.cut.element) + 5
            self._bells.ring("seam", Rung(hold_s=max(0.002, said / PIECE_CHARS * client.pace_s)))

    def _check_credentials(self, client: Client, attempt: Attempt) -> None:
        shown = {attempt.headers.get("x-api-key", ""), attempt.headers.get("authorization", "")} - {""}
        due = {f"Bearer {OWN_KEY}"} if self.own else set(client.credential.values())
        if shown != due:
            self.wrong(client, "was asked for with credentials that are not its own")

    # The end.

    def _judge(self, status: int) -> None:
        found = disk.look(self.gateway.journal)
        if status != 0:
            self.problems.append(f"{self.seed}: the gateway ended with status {status}")
        words = self.gateway.log.read_text("utf-8", "replace")
        if "Traceback" in words or '"level": "error"' in words or "a handler failed" in words:
            self.problems.append(f"{self.seed}: the gateway complained: {words[words.find('Traceback') :][:1500]}")
        for secret in (OWN_KEY, TOKEN.format(0), "sk-of-client-0"):
            files = [self.gateway.journal, self.gateway.journal.with_name(self.gateway.journal.name + "-wal")]
            if secret in words or any(path.exists() and secret.encode() in path.read_bytes() for path in files):
                self.problems.append(f"{self.seed}: a credential stands in the log or in the journal")
        for client in self._done:
            self.counts[f"streams that ended: {client.ending}"] += 1
            for problem in judge(client, found, self.attempts_total):
                self.wrong(client, problem)
        self.counts["streams"] += len(self._done)
        self.counts["streams that lived through a kill"] += sum(client.asked > 1 for client in self._done)
        self.counts["requests of which nothing was stored yet"] += sum(client.lost for client in self._done)
        self.counts["adoptions in all"] += sum(stream.epoch - 1 for stream in found.streams)
