"""What is particular to the journal in memory. What it promises: tests/conformance."""

import asyncio

from midstream.journal.memory import MemoryJournal
from midstream.journal.port import Health, Kind, Record


def test_what_was_appended_is_durable_at_once_and_told_in_the_next_turn() -> None:
    async def main() -> None:
        journal, told = MemoryJournal(), []
        await journal.start()
        writer = journal.create("a", owner=b"", key=b"", created_at=0.0, opening=b"")
        journal.subscribe("a", told.extend)
        writer.append(Kind.SHOWN, b"a", 1)
        writer.append(Kind.SHOWN, b"b", 1)
        assert [record.data for record in await journal.read("a", 0, 100)] == [b"a", b"b"]
        assert told == [] and writer.pending_bytes == 0 and journal.health == Health(ok=True)
        await asyncio.sleep(0)
        assert told == [Record(Kind.SHOWN, b"ab", 1, 2)]
        writer.append(Kind.ENDED, b"")
        await journal.aclose()
        assert told[-1] == Record(Kind.ENDED, b"")

    asyncio.run(main())
