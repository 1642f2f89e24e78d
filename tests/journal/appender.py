"""A process that appends to an SQLite journal until it is killed, and prints what subscribers were told of.

Rule: what stream ``s`` has as frame ``n`` follows from both, so that anybody can check what is found.

    python -m tests.journal.appender JOURNAL full ROUND
"""

import asyncio
import itertools
import os
import random
import sys
from collections.abc import Sequence
from functools import partial

from midstream.journal.port import Kind, Record, Writer
from midstream.journal.sqlite import SqliteJournal


def frame(id: str, number: int) -> bytes:
    """Frames of many lengths; some fill pages."""
    return f"{id}:{number};".encode() * (1 + number * 7919 % (300 if number % 50 == 0 else 9))


def whole(id: str, last: int) -> bytes:
    """A stream up to a frame."""
    return b"".join(frame(id, number) for number in range(1, last + 1))


def _say(id: str, records: Sequence[Record]) -> None:
    # One write each: what a process has written is in the pipe, whatever becomes of it.
    os.write(1, f"{id} {records[-1].last}\n".encode())


async def main(path: str, sync: str, turn: str) -> None:
    """Goes on with the streams of those who were killed before, and with new ones."""
    journal = SqliteJournal(path, sync=sync)  # type: ignore[arg-type]
    await journal.start()
    writers: list[Writer] = []
    for info in await journal.open_streams():
        journal.subscribe(info.id, partial(_say, info.id))
        writers.append(await journal.adopt(info.id))
    dice = random.Random(turn)
    for made in itertools.count():
        if made < 5:
            id = f"{turn}-{made}"
            journal.subscribe(id, partial(_say, id))
            writers.append(journal.create(id, owner=b"", key=b"k", created_at=0.0, opening=b"request"))
        for writer in dice.choices(writers, k=10):
            count = dice.randrange(1, 4)
            numbers = range(writer.offset + 1, writer.offset + count + 1)
            writer.append(Kind.SHOWN, b"".join(frame(writer.id, number) for number in numbers), count)
            if dice.random() < 0.1:
                writer.append(Kind.FACT, b"fact")
        await asyncio.sleep(dice.choice([0, 0.001, 0.004]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
