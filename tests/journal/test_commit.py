"""When batches begin and what they hold, with a thread that does what the test says instead of a file."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from midstream.journal import commit, files, table, upkeep
from midstream.journal.commit import Committer
from midstream.journal.live import Stream
from midstream.journal.port import Info, JournalError, Kind, Record
from midstream.journal.subscribers import Subscribers
from midstream.usual import Appender, Head
from tests.journal.test_table import rows


class Thread:
    """Keeps what it is given; the test says what comes of it."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, Callable[[Any, Exception | None], None]]] = []

    def post(self, job: Any, done: Callable[[Any, Exception | None], None]) -> None:
        self.given.append((job, done))

    def answer(self, result: Any = False, problem: Exception | None = None) -> table.Work:
        job, done = self.given.pop(0)
        done(result, problem)
        work: table.Work = job.keywords["work"]
        return work


class Desk:
    """A committer with one stream."""

    def __init__(self, path: Path, *, eager: bool = False, tick_s: float = 0.0) -> None:
        self.writer, self.checkpointer = Thread(), Thread()
        self.subscribers = Subscribers()
        self.streams: list[Stream] = []
        self.ownership = files.own(path)
        self.committer = Committer(
            path,
            self.ownership,
            self.writer,  # type: ignore[arg-type]
            self.checkpointer,  # type: ignore[arg-type]
            self.subscribers,
            eager=eager,
            tick_s=tick_s,
            next_row=1,
            streams=lambda: self.streams,
            forget=self.streams.remove,
        )
        self.told: list[Record] = []

    def stream(self, id: str = "a") -> Appender:
        stream = Stream(len(self.streams) + 1, Info(id, b"", b"", 0.0, 1, False, 0, 0), Head())
        self.streams.append(stream)
        self.subscribers.add(id, self.told.extend)
        writer = Appender(stream, self.committer.touched, self.committer.touch, lambda: 1.0)
        writer.append(Kind.OPENED, b"")
        return writer

    async def batch(self) -> None:
        """Until there is one."""
        async with asyncio.timeout(10):
            while not self.writer.given:
                await asyncio.sleep(0)


def tell(tmp_path: Path, story: Callable[[Desk], Any], **options: Any) -> None:
    async def main() -> None:
        desk = Desk(tmp_path / "j", **options)
        try:
            await story(desk)
        finally:
            desk.committer.close()
            desk.ownership.release()

    asyncio.run(main())


def test_one_batch_is_on_its_way_at_a_time_and_the_next_has_all_that_came_meanwhile(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        writers = [desk.stream("a"), desk.stream("b")]
        await desk.batch()
        for n in range(3):
            for writer in writers:
                writer.append(Kind.SHOWN, b"%d" % n, 1)
            await asyncio.sleep(0.002)
        assert len(desk.writer.given) == 1 and desk.told == []
        assert desk.writer.answer().rows == 2
        await desk.batch()
        assert [row[8] for row in rows(desk.writer.answer())] == [b"012", b"012"]
        assert desk.told == [Record(Kind.SHOWN, b"012", 1, 3)] * 2
        await asyncio.sleep(0.002)
        assert desk.writer.given == []

    tell(tmp_path, story)


def test_a_lone_record_does_not_wait_for_a_tick_and_those_after_it_do(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        writer = desk.stream()
        await desk.batch()
        desk.writer.answer()
        writer.append(Kind.SHOWN, b"x", 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert desk.writer.given == []
        assert desk.committer._timer and desk.committer._timer.when() > asyncio.get_running_loop().time() + 1000

    tell(tmp_path, story, tick_s=2000.0)


def test_eager_subscribers_are_told_in_the_next_turn_and_not_again(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        writer = desk.stream()
        writer.append(Kind.SHOWN, b"a", 1)
        assert desk.told == []
        await asyncio.sleep(0)
        assert desk.told == [Record(Kind.SHOWN, b"a", 1, 1)]
        await desk.batch()
        writer.append(Kind.SHOWN, b"b", 1)
        desk.writer.answer()
        await desk.batch()
        desk.writer.answer()
        assert [record.data for record in desk.told] == [b"a", b"b"]
        assert desk.committer.health.pending_bytes == 0

    tell(tmp_path, story, eager=True)


def test_who_waits_for_durability_is_told_what_became_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "RETRY_S", 0.0)

    async def story(desk: Desk) -> None:
        await desk.committer.durable()  # nothing is pending
        desk.stream()
        first = asyncio.ensure_future(desk.committer.durable())
        gone = asyncio.ensure_future(desk.committer.durable())
        await desk.batch()
        late = asyncio.ensure_future(desk.committer.durable())
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        desk.writer.answer()
        await first
        assert not late.done()
        await desk.batch()
        desk.writer.answer(problem=OSError("broken"))
        with pytest.raises(JournalError, match=r"cannot be written \(broken\)"):
            await late
        assert not desk.committer.health.ok

    tell(tmp_path, story)


def test_a_batch_that_fails_is_tried_again_with_what_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(commit, "RETRY_S", 0.0)

    async def story(desk: Desk) -> None:
        writer = desk.stream()
        writer.append(Kind.SHOWN, b"a", 1)
        for n in range(3):
            await desk.batch()
            writer.append(Kind.SHOWN, b"%d" % n, 1)
            desk.writer.answer(problem=OSError("broken"))
            assert writer.pending_bytes <= 1
        await desk.batch()
        assert b"".join(record.data for record in desk.told) == b"a012"
        work = desk.writer.answer()
        assert work.opened and b"".join(row[8] for row in rows(work)) == b"a012"
        assert desk.committer.health.ok
        # One more, though nothing is to be stored: the mark is taken back.
        await desk.batch()
        job, _ = desk.writer.given[0]
        assert job.keywords["marks"] == files.WHOLE and not job.keywords["work"].rows
        desk.writer.answer(True)
        await asyncio.sleep(0.002)
        assert desk.writer.given == [] and b"".join(record.data for record in desk.told) == b"a012"

    tell(tmp_path, story)
    assert [record.message.partition(" (")[2][:6] for record in caplog.records] == ["broken", ""]


def test_frames_of_a_stream_in_the_midst_of_which_the_store_fails_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "RETRY_S", 0.0)

    async def story(desk: Desk) -> None:
        writer = desk.stream()
        await desk.batch()
        desk.writer.answer()  # from here on, frames are all that is to be stored
        for n in range(4):
            writer.append(Kind.SHOWN, b"%d" % n, 1)
            await desk.batch()
            assert writer.pending_bytes == 1 and not desk.streams[0].pending
            writer.append(Kind.SHOWN, b"+", 1)
            if n != 2:
                desk.writer.answer()
                await desk.batch()
                assert [row[8] for row in rows(desk.writer.answer())] == [b"+"]
                continue
            desk.writer.answer(problem=OSError("broken"))
            assert writer.pending_bytes <= 1
            await desk.batch()
            assert [row[8] for row in rows(desk.writer.answer())] == [b"2+"]
            await desk.batch()
            desk.writer.answer(True)  # the mark is taken back
        assert b"".join(record.data for record in desk.told) == b"0+1+2+3+"
        assert [record.first for record in desk.told][-1] == 8 and desk.committer.health.pending_bytes == 0

    tell(tmp_path, story)


def test_who_waited_for_the_store_to_work_again_is_in_one_row_with_what_came_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "RETRY_S", 0.0)

    async def story(desk: Desk) -> None:
        writer = desk.stream()
        stored = []

        async def batch(problem: Exception | None = None) -> None:
            await desk.batch()
            work = desk.writer.answer(True, problem)
            if problem is None:
                stored.extend(rows(work))

        await batch()
        writer.append(Kind.SHOWN, b"a", 1)
        await batch(OSError("broken"))
        await desk.batch()
        writer.append(Kind.SHOWN, b"b", 1)  # to be told of in the next turn, as the store fails
        await batch()
        await asyncio.sleep(0)
        assert desk.committer.health.ok and desk.streams[0] in desk.committer._unsaved
        for data in (b"c", b"d"):
            writer.append(Kind.SHOWN, data, 1)
            await batch()
        assert [row[8] for row in stored] == [b"", b"a", b"bc", b"d"]
        assert [row[2] for row in stored] == [0, *(row[0] for row in stored[:-1])]
        assert b"".join(record.data for record in desk.told) == b"abcd"

    tell(tmp_path, story, tick_s=0.02)


def test_checkpoints_are_made_beside_the_writer_and_finished_by_it_when_the_log_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "WAL_BYTES_IDLE", 1)

    async def story(desk: Desk) -> None:
        writer = desk.stream()
        for wal_bytes, finished in ((upkeep.WAL_BYTES_MAX, 0), (upkeep.WAL_BYTES_MAX + 1, 1)):
            for _ in range(2):
                writer.append(Kind.SHOWN, b"x", 1)
                await desk.batch()
                desk.writer.answer()
            assert len(desk.checkpointer.given) == 1
            job, done = desk.checkpointer.given.pop()
            assert job is upkeep.checkpoint
            done(wal_bytes, None)
            assert len(desk.writer.given) == finished
        desk.writer.given.pop()[1](None, OSError("broken"))
        writer.append(Kind.SHOWN, b"x", 1)
        await desk.batch()
        desk.writer.answer()
        desk.checkpointer.given.pop()[1](None, OSError("broken"))
        assert desk.committer.health.ok

    tell(tmp_path, story)
