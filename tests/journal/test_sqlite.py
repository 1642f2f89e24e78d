"""What is particular to SQLite: kills, torn writes, full disks, and who owns the file. The rest: tests/conformance."""

import asyncio
import logging
import os
import random
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from midstream.journal import commit, table
from midstream.journal.port import JournalError, Kind, Record, UnknownStream, Writer
from midstream.journal.sqlite import SqliteJournal, Sync
from tests.journal.appender import whole

ROOT = Path(__file__).resolve().parent.parent.parent
ALL = 1 << 30
Story = Callable[[SqliteJournal], Awaitable[None]]


def run(path: Path, story: Story, sync: Sync = "full") -> None:
    async def main() -> None:
        journal = SqliteJournal(path, sync=sync)
        await journal.start()
        try:
            async with asyncio.timeout(60):
                await story(journal)
        finally:
            await journal.aclose()

    asyncio.run(main())


def create(journal: SqliteJournal, id: str = "a") -> Writer:
    return journal.create(id, owner=b"o", key=b"k", created_at=0.0, opening=b"request")


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.002)


# A process that is killed.


def killed(path: Path, sync: str, turn: int, dice: random.Random) -> dict[str, int]:
    """Runs an appender, kills it at a drawn moment, and gives the last frame of each stream that it told of."""
    command = [sys.executable, "-m", "tests.journal.appender", str(path), sync, str(turn)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        said = process.stdout.readline()  # it is at work
        time.sleep(dice.random() ** 2 * 0.3)
        process.kill()
        said += process.stdout.read()
    assert process.returncode == -9
    told: dict[str, int] = {}
    for line in said.decode().splitlines():
        id, _, last = line.partition(" ")
        assert int(last) > told.get(id, 0), "told twice"
        told[id] = int(last)
    return told


def held(path: Path) -> dict[str, int]:
    """The last frame of each stream in the file. All before it must be there, and right."""
    found: dict[str, int] = {}

    async def story(journal: SqliteJournal) -> None:
        for info in await journal.open_streams():
            records = [r for r in await journal.read_all(info.id) if r.kind is Kind.SHOWN]
            assert b"".join(record.data for record in records) == whole(info.id, info.offset)
            assert [r.first for r in records] == [1, *(r.last + 1 for r in records[:-1])][: len(records)]
            pages = await journal.read(info.id, info.offset // 2, ALL)
            assert not info.offset or pages[-1].last == info.offset
            found[info.id] = info.offset

    run(path, story)
    return found


def check_kills(path: Path, sync: str, kills: int, seed: int) -> None:
    dice = random.Random(seed)
    told: dict[str, int] = {}
    for turn in range(kills):
        told.update(killed(path, sync, turn, dice))
        found = held(path)
        for id, last in told.items():
            assert found.get(id, 0) >= last, f"kill {turn}: {id} was told up to {last}"
        told = found  # the next one goes on from there
    assert len(told) >= kills


def test_a_killed_process_leaves_all_that_it_told_of(tmp_path: Path) -> None:
    check_kills(tmp_path / "j", "full", 20, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_a_hundred_killed_processes_leave_all_that_they_told_of(tmp_path: Path, seed: int) -> None:
    check_kills(tmp_path / "j", "full", 20, seed)


@pytest.mark.parametrize("sync", ["full", "relaxed", "none"])
@pytest.mark.parametrize("harm", ["cut", "cut to a page", "overwritten", "lost"])
def test_a_torn_last_write_leaves_a_prefix_without_holes(tmp_path: Path, sync: str, harm: str) -> None:
    dice = random.Random(f"{sync} {harm}")
    path = tmp_path / "j"
    killed(path, sync, 0, dice)
    log = tmp_path / "j-wal"
    size_bytes = log.stat().st_size
    lost_bytes = dice.randrange(1, min(size_bytes, 100_000))
    with log.open("r+b") as file:
        if harm == "overwritten":
            file.seek(size_bytes - lost_bytes)
            file.write(dice.randbytes(min(lost_bytes, 5_000)))
        else:
            kept_bytes = {"cut": size_bytes - lost_bytes, "cut to a page": (size_bytes - lost_bytes) & ~4095, "lost": 0}
            file.truncate(kept_bytes[harm])
    held(path)
    told = killed(path, sync, 1, dice)
    found = held(path)
    assert sync != "full" or all(found[id] >= last for id, last in told.items())


def test_a_start_after_a_crash_finds_the_last_rows_from_the_landmark_on(tmp_path: Path) -> None:
    """A stream that says nothing for longer than a landmark takes is found by the landmark, the others behind it."""
    path = tmp_path / "j"

    async def story(journal: SqliteJournal) -> None:
        quiet, busy = create(journal, "quiet"), create(journal, "busy")
        quiet.append(Kind.SHOWN, b"q", 1)
        await until(lambda: not quiet.pending_bytes)
        for _ in range(3):
            journal._committer._landmark_at = 0.0  # five seconds later
            busy.append(Kind.SHOWN, b"b", 1)
            await until(lambda: not busy.pending_bytes)
        busy.append(Kind.SHOWN, b"b", 1)
        await until(lambda: not busy.pending_bytes)
        for name in ("", "-wal"):
            (tmp_path / f"crashed{name}").write_bytes((tmp_path / f"j{name}").read_bytes())

    run(path, story)
    with sqlite3.connect(tmp_path / "crashed") as file:
        ((row, heads),) = file.execute("SELECT row, heads FROM landmark")
        ((rows,),) = file.execute("SELECT count(*) FROM records WHERE row > ?", (row,))
        assert len(table.unpack_heads(heads)) == 2 and rows == 1
    file.close()

    async def after(journal: SqliteJournal) -> None:
        assert [(info.id, info.offset) for info in await journal.open_streams()] == [("quiet", 1), ("busy", 4)]

    run(tmp_path / "crashed", after)


# Who owns the file.


def test_a_second_owner_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "j"

    async def story(journal: SqliteJournal) -> None:
        with pytest.raises(JournalError, match=r"^the journal .* is in use by another process; stop that one, or"):
            await SqliteJournal(path).start()
        command = [sys.executable, "-m", "tests.journal.appender", str(path), "full", "0"]
        process = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, timeout=60)
        assert b"is in use by another process" in process.stderr and process.returncode == 1

    run(path, story)
    run(path, lambda journal: journal.open_streams())  # type: ignore[arg-type, return-value]


def test_nobody_else_can_read_its_files(tmp_path: Path) -> None:
    path = tmp_path / "j"
    before = os.umask(0)
    try:

        async def story(journal: SqliteJournal) -> None:
            writer = create(journal)
            await until(lambda: not writer.pending_bytes)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
            assert modes == {"j": 0o600, "j-wal": 0o600, "j-shm": 0o600, "j-lock": 0o600}

        run(path, story)
        path.chmod(0o644)
        run(path, story)
    finally:
        os.umask(before)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["j", "j-lock"]


@pytest.mark.parametrize("sync", ["full", "relaxed"])
def test_subscribers_are_told_after_the_commit_or_before_as_the_setting_says(tmp_path: Path, sync: Sync) -> None:
    async def story(journal: SqliteJournal) -> None:
        writer = create(journal)
        await until(lambda: not writer.pending_bytes)
        rows: list[int] = []

        def told(records: Sequence[Record]) -> None:
            with sqlite3.connect(tmp_path / "j") as other:
                rows.append(other.execute("SELECT count(*) FROM records WHERE kind = 5").fetchone()[0])
            other.close()

        journal.subscribe("a", told)
        journal._committer._next_at = asyncio.get_running_loop().time() + 0.2  # the last commit was a moment ago
        writer.append(Kind.SHOWN, b"x", 1)
        await until(lambda: rows)
        assert rows == [1 if sync == "full" else 0]

    run(tmp_path / "j", story, sync)


def test_bad_places_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, but a text that is long enough to be one" * 20)
    with sqlite3.connect(tmp_path / "other") as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    for path, sentence in {
        tmp_path / "text": "it is no journal of midstream; name another file",
        tmp_path / "other": "is a database, but no journal of midstream; name another file",
        tmp_path: "is a directory; name a file in it",
        tmp_path / "missing" / "j": "is no directory; create it first",
    }.items():
        with pytest.raises(JournalError) as raised:
            run(path, lambda journal: journal.open_streams())  # type: ignore[arg-type, return-value]
        assert str(path) in str(raised.value) and sentence in str(raised.value)
        assert "\n" not in str(raised.value)


# A store that fails.


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "RETRY_S", 0.05)


async def full_up(journal: SqliteJournal) -> None:
    """No page can be added from now on."""
    await journal._writer.call(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchall())


async def room_again(journal: SqliteJournal) -> None:
    await journal._writer.call(lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchall())


def append_frames(writer: Writer, count: int, size_bytes: int = 5_000) -> None:
    for _ in range(count):
        writer.append(Kind.SHOWN, b"%09d;" % (writer.offset + 1) * (size_bytes // 10), 1)


def numbers(records: Sequence[Record]) -> list[int]:
    return [n for record in records if record.kind is Kind.SHOWN for n in range(record.first, record.last + 1)]


@pytest.mark.parametrize("sync", ["full", "relaxed", "none"])
def test_a_full_disk_stops_no_stream_and_loses_nothing_once_there_is_room(
    tmp_path: Path, sync: Sync, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "midstream.journal")

    async def story(journal: SqliteJournal) -> None:
        told: list[Record] = []
        journal.subscribe("a", told.extend)
        writer = create(journal)
        append_frames(writer, 3)
        await until(lambda: not writer.pending_bytes)
        await full_up(journal)
        for _ in range(10):
            append_frames(writer, 2)
            await until(lambda: numbers(told)[-1:] == [writer.offset])
            await until(lambda: not writer.pending_bytes)
        late = create(journal, "late")
        late.append(Kind.SHOWN, b"late", 1)
        late.append(Kind.ENDED, b"")
        await until(lambda: not journal.health.ok)
        health = journal.health
        assert "cannot be written (database or disk is full); make room" in health.detail
        assert health.pending_bytes >= 10 * 2 * 5_000 and health.lag_s > 0
        # What was told can be read, stored or not.
        assert numbers(await journal.read("a", 0, ALL)) == numbers(told) == list(range(1, 24))
        assert (await journal.read("late", 0, ALL))[-1].kind is Kind.ENDED
        with pytest.raises(JournalError, match="cannot be written"):
            await journal.adopt("a")
        await asyncio.sleep(0.2)
        await room_again(journal)
        await until(lambda: journal.health.ok and not journal.health.pending_bytes)
        assert numbers(told) == list(range(1, 24))
        writer = await journal.adopt("a")
        append_frames(writer, 1)
        writer.append(Kind.ENDED, b"")
        await until(lambda: told[-1].kind is Kind.ENDED)

    async def after(journal: SqliteJournal) -> None:
        assert numbers(await journal.read("a", 0, ALL)) == list(range(1, 25))
        assert b"".join(r.data for r in await journal.read("late", 0, ALL)) == b"late"

    run(tmp_path / "j", story, sync)
    run(tmp_path / "j", after, sync)
    warnings = [record.message for record in caplog.records if record.name == "midstream.journal"]
    assert len(warnings) == 2 and "cannot be written" in warnings[0] and "works again" in warnings[1]


def test_beyond_the_bound_a_stream_loses_its_place_and_is_never_taken_for_whole(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "PILE_BYTES_MAX", 50_000)

    async def story(journal: SqliteJournal) -> None:
        told: list[Record] = []
        journal.subscribe("a", told.extend)
        writer, small = create(journal), create(journal, "small")
        ended, never = create(journal, "ended"), None
        for each in (writer, small, ended):
            append_frames(each, 3)
        await until(lambda: not journal.health.pending_bytes)
        await full_up(journal)
        append_frames(small, 1)
        for _ in range(20):
            append_frames(writer, 1)
            append_frames(ended, 1)
            await until(lambda: numbers(told)[-1] == writer.offset)
        ended.append(Kind.ENDED, b"")
        never = create(journal, "never")
        append_frames(never, 20)
        never.append(Kind.ENDED, b"")
        await until(lambda: not never.pending_bytes)
        assert journal.health.pending_bytes <= 50_000
        assert numbers(told) == list(range(1, 24))  # delivery goes on
        for id in ("a", "ended"):
            info = await journal.find(id)
            assert info and info.lossy
            assert numbers(await journal.read(id, 0, ALL)) == [1, 2, 3]
            assert await journal.read(id, 3, ALL) == []
            with pytest.raises(UnknownStream):
                await journal.adopt(id)
        assert await journal.find("never") is None
        await room_again(journal)
        await until(lambda: journal.health.ok and not journal.health.pending_bytes)
        append_frames(writer, 1)
        await until(lambda: numbers(told)[-1] == 24)
        assert numbers(await journal.read("a", 0, ALL)) == [1, 2, 3]
        assert [info.id for info in await journal.open_streams()] == ["small"]

    async def after(journal: SqliteJournal) -> None:
        assert [(info.id, info.offset) for info in await journal.open_streams()] == [("small", 4)]
        for id in ("a", "ended"):
            info = await journal.find(id)
            assert info and info.lossy and info.ended and info.offset == 3
            assert numbers(await journal.read(id, 0, ALL)) == [1, 2, 3]
            assert await journal.read(id, 3, ALL) == []
            with pytest.raises(UnknownStream):
                await journal.adopt(id)
        assert await journal.delete("a")

    run(tmp_path / "j", story)
    run(tmp_path / "j", after)


def test_who_ends_while_the_store_fails_leaves_a_mark_for_the_next_one(tmp_path: Path, quick: None) -> None:
    """What it told of and could not store is in no file, so that no stream that was running can be taken for whole."""

    async def story(journal: SqliteJournal) -> None:
        done, writer = create(journal, "done"), create(journal)
        append_frames(done, 2)
        done.append(Kind.ENDED, b"")
        append_frames(writer, 2)
        await until(lambda: not journal.health.pending_bytes)
        await full_up(journal)
        append_frames(writer, 2)
        await until(lambda: not journal.health.ok)

    async def after(journal: SqliteJournal) -> None:
        assert await journal.open_streams() == []
        info = await journal.find("a")
        assert info and info.lossy and info.ended and info.offset == 2
        assert (await journal.read("done", 0, ALL))[-1].kind is Kind.ENDED
        create(journal, "b")

    async def last(journal: SqliteJournal) -> None:
        assert [info.id for info in await journal.open_streams()] == ["b"]

    run(tmp_path / "j", story)
    run(tmp_path / "j", after)
    run(tmp_path / "j", last)


def test_the_mark_is_taken_back_when_all_is_stored(tmp_path: Path, quick: None) -> None:
    async def story(journal: SqliteJournal) -> None:
        writer = create(journal)
        await until(lambda: not writer.pending_bytes)
        await full_up(journal)
        append_frames(writer, 2)
        await until(lambda: not journal.health.ok)
        assert (tmp_path / "j-lock").read_bytes() == b"f"
        await room_again(journal)
        await until(lambda: (tmp_path / "j-lock").read_bytes() == b"w")
        assert journal.health.ok

    run(tmp_path / "j", story)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of five megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_stops_no_stream(small_disk: Path, quick: None) -> None:
    async def story(journal: SqliteJournal) -> None:
        told: list[Record] = []
        journal.subscribe("a", told.extend)
        writer = create(journal)
        append_frames(writer, 1)
        await until(lambda: not writer.pending_bytes)
        with pytest.raises(OSError, match="No space left"), (small_disk / "else").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        for _ in range(100):
            append_frames(writer, 2)
            await until(lambda: numbers(told)[-1:] == [writer.offset])
        assert not journal.health.ok
        (small_disk / "else").unlink()
        writer.append(Kind.ENDED, b"")
        await until(lambda: told[-1].kind is Kind.ENDED)
        assert numbers(told) == list(range(1, 202))
        assert numbers(await journal.read("a", 0, ALL)) == list(range(1, 202))

    run(small_disk / "j", story)


def test_a_file_that_was_taken_away_is_noticed(tmp_path: Path, quick: None) -> None:
    async def story(journal: SqliteJournal) -> None:
        writer = create(journal)
        await until(lambda: not writer.pending_bytes)
        (tmp_path / "j").rename(tmp_path / "moved")
        journal._committer._landmark_at = 0.0  # five seconds later
        append_frames(writer, 1)
        await until(lambda: not journal.health.ok)
        assert "was removed while it was in use" in journal.health.detail
        (tmp_path / "j").touch()
        await until(lambda: "was replaced while it was in use" in journal.health.detail)
        (tmp_path / "moved").rename(tmp_path / "j")
        await until(lambda: journal.health.ok)

    run(tmp_path / "j", story)


# Upkeep, from outside.


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "j"
    sizes: list[int] = []

    async def story(journal: SqliteJournal) -> None:
        journal._bytes_max = 0
        for n in range(12):
            writer = create(journal, f"s{n}")
            append_frames(writer, 100)
            writer.append(Kind.ENDED, b"")
            await until(lambda: not journal.health.pending_bytes)
            assert await journal.sweep(0.0) == 1
            ((pages,),) = await journal._reader.call(lambda c: c.execute("PRAGMA page_count").fetchall())
            sizes.append(pages)

    run(path, story)
    assert sizes[-1] <= sizes[1] < 400


def test_a_deleted_stream_is_in_no_file_any_more(tmp_path: Path) -> None:
    async def story(journal: SqliteJournal) -> None:
        writer, other = create(journal), create(journal, "b")
        for _ in range(30):
            writer.append(Kind.SHOWN, b"secret prompt " * 50, 1)
            other.append(Kind.SHOWN, b"someone else's " * 50, 1)
            await asyncio.sleep(0.001)
        writer.append(Kind.ENDED, b"secret prompt")
        await until(lambda: not journal.health.pending_bytes)
        assert await journal.delete("a")
        for file in tmp_path.iterdir():
            assert b"secret prompt" not in file.read_bytes(), file.name
        assert len(numbers(await journal.read("b", 0, ALL))) == 30

    run(tmp_path / "j", story)


def test_the_write_ahead_log_stays_bounded_under_steady_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit.upkeep, "WAL_BYTES_IDLE", 200_000)
    monkeypatch.setattr(commit.upkeep, "WAL_BYTES_MAX", 400_000)

    async def story(journal: SqliteJournal) -> None:
        writer = create(journal)
        for _ in range(200):
            append_frames(writer, 5)
            await until(lambda: writer.pending_bytes < 50_000)
        assert writer.offset == 1000

    async def check(journal: SqliteJournal) -> None:
        await story(journal)
        assert (tmp_path / "j-wal").stat().st_size < 2_500_000 < 5_000 * 1000

    run(tmp_path / "j", check, "relaxed")
