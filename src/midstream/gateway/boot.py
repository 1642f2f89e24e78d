"""What another process left open: adopted at once, or when the client comes back whose credentials are needed.

Rule: what was shown is not changed, and nothing is asked for with credentials that the asker did not bring.
"""

import asyncio
from collections.abc import Sequence

from midstream.gateway import begun, opening
from midstream.gateway.asker import Asker
from midstream.gateway.hub import Hub, Stream
from midstream.gateway.opening import Opening
from midstream.gateway.owners import same
from midstream.journal.port import Info, Journal, Kind, Record, UnknownStream
from midstream.protocol.dialects import dump, parse
from midstream.protocol.events import Fields
from midstream.recovery.past import Past, PastAttempt

ADOPTIONS_MAX = 256
"""Streams that are adopted at once at the start: what they showed is in memory for that time."""


class Lobby:
    """The streams that wait to be adopted."""

    def __init__(self, hub: Hub, journal: Journal) -> None:
        self._hub = hub
        self._journal = journal
        self._waiting: dict[str, Info] = {}
        self._adopting: dict[str, asyncio.Task[Stream | None]] = {}

    async def open_up(self) -> None:
        """At start: adopts what the gateway's own credentials made, and remembers the rest."""
        left = await self._journal.open_streams()
        # Many at a time: each of them waits until the disk knows of its new writer.
        for at in range(0, len(left), ADOPTIONS_MAX):
            await asyncio.gather(*map(self._open_up, left[at : at + ADOPTIONS_MAX]))

    async def _open_up(self, info: Info) -> None:
        records = await self._journal.read_all(info.id)
        found = _opening(records)
        if found is None:
            await self._give_up(info.id)
        elif found.own_credentials:
            await self._adopt(info, found, records, Asker(info.owner, found.client))
        else:
            self._waiting[info.id] = info

    async def adopt(self, info: Info, asker: Asker) -> Stream | None:
        """The stream, for the client that came back to it; ``None`` where nobody can go on with it."""
        if not same(info.owner, asker.owner):
            return None
        if (running := self._hub.find_running(info.id, asker.owner)) is not None:
            return running
        # Two who come back at once must not become two writers, the second of which takes the place of the first.
        task = self._adopting.get(info.id)
        if task is None:
            task = self._adopting[info.id] = asyncio.create_task(self._come_back(info, asker))
            task.add_done_callback(lambda _: self._adopting.pop(info.id))
        # One of them may leave meanwhile.
        return await asyncio.shield(task)

    async def _come_back(self, info: Info, asker: Asker) -> Stream | None:
        records = await self._journal.read_all(info.id)
        found = _opening(records)
        if found is None:
            await self._give_up(info.id)
            return None
        return await self._adopt(info, found, records, asker)

    async def adopted(self, key: bytes, asker: Asker) -> Stream | None:
        """The stream that waits for this very request, if one does."""
        for info in list(self._waiting.values()):
            if same(info.key, key):
                return await self.adopt(info, asker)
        return None

    async def held(self, key: bytes, created_after: float) -> Info | None:
        """A complete stream that this request made, and that nobody has read to its end."""
        for info in await self._journal.find_key(key):
            if info.ended and info.created_at >= created_after and info.id not in self._hub.delivered:
                records = await self._journal.read(info.id, info.offset, 1)
                if records and _is_complete(records[-1]):
                    return info
        return None

    async def give_up(self, id: str) -> None:
        """Ends a stream that waits for its client, as that client does not want it any more."""
        if id in self._waiting and id not in self._adopting:
            await self._give_up(id)

    async def give_up_old(self, created_before: float) -> None:
        """Ends the streams to which nobody has come back."""
        for info in [info for info in self._waiting.values() if info.created_at < created_before]:
            await self._give_up(info.id)

    async def _give_up(self, id: str) -> None:
        self._waiting.pop(id, None)
        try:
            writer = await self._journal.adopt(id)
        except UnknownStream:
            return
        writer.append(Kind.ENDED, dump({"outcome": "abandoned"}))

    async def _adopt(self, info: Info, found: Opening, records: Sequence[Record], asker: Asker) -> Stream | None:
        call = opening.call_of(found)
        self._waiting.pop(info.id, None)
        if call is None:
            await self._give_up(info.id)
            return None
        names = [upstream.name for upstream in self._hub.routing.upstreams]
        try:
            return await self._hub.adopt(info, found, call, past_of(records, names), asker)
        except UnknownStream:
            return None


def past_of(records: Sequence[Record], upstreams: Sequence[str]) -> Past:
    """What the journal knows of a stream, in recovery's words."""
    attempts: list[tuple[begun.Attempt, list[bytes]]] = []
    facts: list[Fields] = []
    for record in records:
        if record.kind is Kind.ATTEMPT:
            attempts.append((begun.read(record.data), []))
        elif record.kind is Kind.SHOWN and attempts:
            attempts[-1][1].append(record.data)
        elif record.kind is Kind.FACT and isinstance(fact := parse(record.data), dict):
            facts.append(fact)
    last = attempts[-1][0] if attempts else begun.Attempt("", "")
    return Past(
        attempts=[
            PastAttempt(
                upstream=upstreams.index(attempt.upstream) if attempt.upstream in upstreams else None,
                shown=b"".join(shown),
                plan=attempt.plan,
            )
            for attempt, shown in attempts
        ],
        facts=facts,
        slept_s=last.slept_s,
        elapsed_s=last.elapsed_s,
        shown_live=last.shown_live,
    )


def _opening(records: Sequence[Record]) -> Opening | None:
    return opening.read(records[0].data) if records and records[0].kind is Kind.OPENED else None


def _is_complete(record: Record) -> bool:
    fields = parse(record.data) if record.kind is Kind.ENDED else None
    return isinstance(fields, dict) and fields.get("outcome") == "complete"
