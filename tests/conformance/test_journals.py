"""What every journal promises: the port, promise by promise, over every store.

Rule: nothing here knows which store it runs on. A new one adds a line to `STORES`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.journal.memory import MemoryJournal
from midstream.journal.port import Journal, Kind, Record, UnknownStream, Writer
from midstream.journal.sqlite import SqliteJournal

Make = Callable[..., Journal]
"""Makes a journal over the same place each time; not started. Keywords as of the stores: age_s, bytes_max, clock."""


def _sqlite(sync: str) -> Callable[[Path], Make]:
    return lambda folder: lambda **options: SqliteJournal(folder / "journal", sync=sync, **options)  # type: ignore[arg-type]


STORES: dict[str, Callable[[Path], Make]] = {
    "memory": lambda folder: MemoryJournal,
    "sqlite-full": _sqlite("full"),
    "sqlite-relaxed": _sqlite("relaxed"),
    "sqlite-none": _sqlite("none"),
}
KEEPS = {"sqlite-full", "sqlite-relaxed", "sqlite-none"}
"""Stores whose streams outlive the journal object that made them."""

OWNER, KEY = b"owner", b"key"
ALL = 1 << 30


@pytest.fixture(params=STORES)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    return STORES[request.param](tmp_path)


@pytest.fixture(params=sorted(KEEPS))
def make_keeping(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    return STORES[request.param](tmp_path)


def run(make: Make, story: Callable[[Journal], Awaitable[None]], **options: object) -> None:
    """Tells a story to a started journal. No story may hang."""

    async def main() -> None:
        journal = make(**options)
        await journal.start()
        try:
            async with asyncio.timeout(60):
                await story(journal)
        finally:
            await journal.aclose()

    asyncio.run(main())


def create(journal: Journal, id: str = "a", key: bytes = KEY, opening: bytes = b"request") -> Writer:
    return journal.create(id, owner=OWNER, key=key, created_at=1000.0, opening=opening)


class Told:
    """A subscriber that keeps what it is told."""

    def __init__(self, journal: Journal, id: str = "a") -> None:
        self.records: list[Record] = []
        self._news = asyncio.Event()
        journal.subscribe(id, self.take)

    def take(self, records: Sequence[Record]) -> None:
        self.records += records
        self._news.set()

    async def until(self, offset: int = 0, *, ended: bool = False) -> None:
        while not (frames(self.records) >= offset and (not ended or ends(self.records))):
            self._news.clear()
            await self._news.wait()

    @property
    def text(self) -> bytes:
        return b"".join(record.data for record in self.records if record.kind is Kind.SHOWN)


def frames(records: Sequence[Record]) -> int:
    """The last frame of these."""
    return max((record.last for record in records if record.kind is Kind.SHOWN), default=0)


def ends(records: Sequence[Record]) -> bool:
    return bool(records) and records[-1].kind is Kind.ENDED


def check_whole(records: Sequence[Record], after: int = 0, *, pages: bool = False) -> None:
    """The frames follow each other, from one on, and ENDED comes last. From page to page records may overlap."""
    for record in records[:-1]:
        assert record.kind is Kind.SHOWN
    for record in records:
        if record.kind is Kind.SHOWN:
            assert record.count > 0
            assert record.first <= after + 1 <= record.last if pages else record.first == after + 1
            after = record.last


async def read(journal: Journal, id: str = "a", after: int = 0, bytes_max: int = ALL) -> list[Record]:
    """The whole rest of a stream, page by page, as a reader reads it."""
    records: list[Record] = []
    while page := await journal.read(id, after, bytes_max):
        records += page
        after = max(after, frames(page))
        if ends(records):
            break
    return records


def text(records: Sequence[Record], after: int = 0) -> bytes:
    """What is behind a frame, where every frame is one byte and records may overlap."""
    whole = b""
    for record in records:
        if record.kind is Kind.SHOWN:
            reached = after + len(whole)
            assert record.first <= reached + 1, "a gap"
            whole += record.data[reached + 1 - record.first :]
    return whole


# 1. Appending.


def test_frames_are_numbered_from_one_without_a_gap(make: Make) -> None:
    async def story(journal: Journal) -> None:
        told = Told(journal)
        writer = create(journal)
        for count in (1, 3, 2):
            writer.append(Kind.SHOWN, b"x" * count, count)
            await told.until(writer.offset)
        assert writer.offset == 6
        check_whole(told.records)
        check_whole(await read(journal), pages=True)
        assert frames(await read(journal)) == 6

    run(make, story)


def test_records_without_frames_keep_their_place_and_are_for_the_gateway_alone(make: Make) -> None:
    async def story(journal: Journal) -> None:
        told = Told(journal)
        writer = create(journal)
        given = [
            (Kind.HEAD, b"head", 0),
            (Kind.ATTEMPT, b"1", 0),
            (Kind.SHOWN, b"ab", 2),
            (Kind.FACT, b"call", 0),
            (Kind.SHOWN, b"c", 1),
            (Kind.ENDED, b"end", 0),
        ]
        for record in given:
            writer.append(*record)
        await told.until(ended=True)
        assert [record.kind for record in told.records] == [Kind.SHOWN, Kind.SHOWN, Kind.ENDED]
        assert [record.kind for record in await read(journal)] == [Kind.SHOWN, Kind.SHOWN, Kind.ENDED]
        await until_settled(journal)
        everything = await journal.read_all("a")
        assert [(r.kind, r.data, r.count) for r in everything] == [(Kind.OPENED, b"request", 0), *given]
        assert [r.first for r in everything] == [0, 0, 0, 1, 0, 3, 0]

    run(make, story)


async def until_settled(journal: Journal, id: str = "a") -> None:
    """Until everything that was appended is durable."""
    while journal.health.pending_bytes:
        await asyncio.sleep(0.001)


def test_nothing_can_follow_the_end_of_a_stream(make: Make) -> None:
    async def story(journal: Journal) -> None:
        writer = create(journal)
        writer.append(Kind.ENDED, b"")
        with pytest.raises(RuntimeError, match="has ended"):
            writer.append(Kind.SHOWN, b"x", 1)

    run(make, story)


def test_an_id_is_used_once(make: Make) -> None:
    async def story(journal: Journal) -> None:
        create(journal)
        with pytest.raises(ValueError, match="there is a stream a already"):
            create(journal)

    run(make, story)


def test_pending_bytes_are_released_when_they_are_durable(make: Make) -> None:
    async def story(journal: Journal) -> None:
        writer = create(journal, opening=b"x" * 1000)
        for _ in range(10):
            writer.append(Kind.SHOWN, b"x" * 1000, 1)
        assert writer.pending_bytes == journal.health.pending_bytes <= 11_000
        while writer.pending_bytes:
            await asyncio.sleep(0.001)
        assert journal.health == type(journal.health)(ok=True)
        assert len(await journal.read_all("a")) >= 2

    run(make, story)


# 2. Telling and reading.


def test_a_subscriber_is_told_in_order_and_once_and_never_inside_append(make: Make) -> None:
    async def story(journal: Journal) -> None:
        told, other = Told(journal), Told(journal, "b")
        first, second = create(journal, "a"), create(journal, "b")
        for n in range(200):
            before = len(told.records)
            first.append(Kind.SHOWN, b"%03d" % n, 1)
            second.append(Kind.SHOWN, b"!", 1)
            assert len(told.records) == before
            if n % 7 == 0:
                await asyncio.sleep(0)
        first.append(Kind.ENDED, b"done")
        await told.until(200, ended=True)
        await other.until(200)
        check_whole(told.records)
        assert told.text == b"".join(b"%03d" % n for n in range(200))
        assert told.records[-1] == Record(Kind.ENDED, b"done")
        assert other.text == b"!" * 200

    run(make, story)


def test_what_is_told_can_be_read(make: Make) -> None:
    async def story(journal: Journal) -> None:
        told = Told(journal)
        writer = create(journal)
        for n in range(50):
            writer.append(Kind.SHOWN, b"%02d" % n, 1)
            if n % 3 == 0:
                await told.until(writer.offset)
                assert frames(await read(journal)) >= frames(told.records)
                info = await journal.find("a")
                assert info and info.offset >= frames(told.records)
        writer.append(Kind.ENDED, b"")
        await told.until(50, ended=True)
        assert ends(await read(journal))
        assert ends(await journal.read("a", 50, 1))

    run(make, story)


def test_one_who_left_is_not_told_and_leaving_twice_is_no_mistake(make: Make) -> None:
    async def story(journal: Journal) -> None:
        gone, told, never = Told(journal), Told(journal), Told(journal, "b")
        writer = create(journal)
        writer.append(Kind.SHOWN, b"x", 1)
        await told.until(1)
        for _ in range(2):
            journal.unsubscribe("a", gone.take)
        journal.unsubscribe("a", never.take)
        writer.append(Kind.SHOWN, b"y", 1)
        await told.until(2)
        assert (gone.text, told.text) == (b"x", b"xy")

    run(make, story)


def test_one_who_leaves_or_joins_while_others_are_told_disturbs_nobody(make: Make) -> None:
    async def story(journal: Journal) -> None:
        late: list[Told] = []

        def swap(records: Sequence[Record]) -> None:
            journal.unsubscribe("a", swap)
            journal.unsubscribe("a", second.take)
            late.append(Told(journal))

        journal.subscribe("a", swap)
        second, last = Told(journal), Told(journal)
        writer = create(journal)
        writer.append(Kind.SHOWN, b"x", 1)
        await last.until(1)
        writer.append(Kind.SHOWN, b"y", 1)
        await last.until(2)
        assert (second.text, last.text) == (b"", b"xy")
        assert len(late) == 1 and late[0].text.endswith(b"y")

    run(make, story)


def test_a_subscriber_that_raises_harms_nobody(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    def broken(records: Sequence[Record]) -> None:
        raise LookupError(f"secret {records}")

    async def story(journal: Journal) -> None:
        journal.subscribe("a", broken)
        told = Told(journal)
        writer = create(journal)
        for n in range(3):
            writer.append(Kind.SHOWN, b"secret", 1)
            await told.until(n + 1)
        assert journal.health.ok

    run(make, story)
    assert "LookupError" in caplog.text and "secret" not in caplog.text


@pytest.mark.parametrize("bytes_max", [0, 1, 10, 1000, ALL])
def test_a_page_has_one_record_and_then_as_many_as_fit(make: Make, bytes_max: int) -> None:
    async def story(journal: Journal) -> None:
        told = Told(journal)
        writer = create(journal)
        for n in range(150):
            writer.append(Kind.SHOWN, b"x" * (n % 20 + 1), 1)
            writer.append(Kind.FACT, b"between")
            if n % 2:
                await told.until(writer.offset)
        writer.append(Kind.ENDED, b"")
        await told.until(150, ended=True)
        for after in (0, 1, 70, 149):
            page = await journal.read("a", after, bytes_max)
            assert page and page[0].first <= after + 1 <= page[0].last
            assert len(page) == 1 or sum(len(record.data) for record in page) <= bytes_max
            records = await read(journal, after=after, bytes_max=bytes_max)
            check_whole(records, after, pages=True)
            assert ends(records) and frames(records) == 150
        assert await journal.read("a", 150, bytes_max) == [Record(Kind.ENDED, b"")]
        assert await journal.read("a", 10_000, bytes_max) == [Record(Kind.ENDED, b"")]

    run(make, story)


def test_every_offset_of_a_long_stream_reads_on_to_the_same_end(make: Make) -> None:
    async def story(journal: Journal) -> None:
        told = Told(journal)
        writer = create(journal)
        for n in range(300):
            writer.append(Kind.SHOWN, bytes([n % 251]), 1)
            writer.append(Kind.FACT, b"")
        writer.append(Kind.ENDED, b"")
        await told.until(300, ended=True)
        for after in range(301):
            assert text(await read(journal, after=after, bytes_max=100), after) == told.text[after:]

    run(make, story)


def test_what_is_not_there_reads_as_nothing(make: Make) -> None:
    async def story(journal: Journal) -> None:
        assert await journal.read("nobody", 0, ALL) == []
        assert await journal.read_all("nobody") == []
        assert await journal.find("nobody") is None
        assert await journal.find_key(b"nobody") == []
        assert await journal.open_streams() == []
        assert not await journal.delete("nobody")
        with pytest.raises(UnknownStream):
            await journal.adopt("nobody")
        create(journal)
        assert await journal.read("a", 0, ALL) == []

    run(make, story)


def test_subscribing_and_then_reading_leaves_no_gap(make: Make) -> None:
    """The way of a reader, many times while a stream is written: no frame may be missing between the two."""

    async def produce(writer: Writer) -> None:
        for n in range(400):
            writer.append(Kind.SHOWN, bytes([n % 251]), 1)
            await asyncio.sleep(0.0005 if n % 5 else 0)
        writer.append(Kind.ENDED, b"")

    async def follow(journal: Journal, after: int) -> bytes:
        told = Told(journal)
        begun = await read(journal, after=after, bytes_max=64)
        if not ends(begun):
            await told.until(ended=True)
        journal.unsubscribe("a", told.take)
        return text([*begun, *told.records], after)

    async def story(journal: Journal) -> None:
        whole = bytes(n % 251 for n in range(400))
        writer = create(journal)
        producing = asyncio.create_task(produce(writer))
        following = []
        while not producing.done():
            after = max(0, writer.offset - len(following) % 30)
            following.append((after, asyncio.create_task(follow(journal, after))))
            await asyncio.sleep(0.003)
        assert len(following) > 20
        for after, task in following:
            assert await task == whole[after:]

    run(make, story)


# 3. One writer.


def test_who_adopts_fences_the_writer_before(make: Make) -> None:
    async def story(journal: Journal) -> None:
        told = Told(journal)
        old = create(journal)
        old.append(Kind.SHOWN, b"old", 1)
        new = await journal.adopt("a")
        assert (old.epoch, new.epoch, new.offset) == (1, 2, 1)
        old.append(Kind.SHOWN, b"lost", 1)
        old.append(Kind.ENDED, b"lost")
        assert old.fenced and not new.fenced
        new.append(Kind.SHOWN, b"new", 1)
        await told.until(2)
        assert told.text == b"oldnew"
        info = await journal.find("a")
        assert info and info.epoch == 2 and not info.ended
        newest = await journal.adopt("a")
        assert (newest.epoch, newest.offset, new.offset) == (3, 2, 2)

    run(make, story)


def test_who_adopts_can_read_what_the_writer_before_appended(make: Make) -> None:
    async def story(journal: Journal) -> None:
        writer = create(journal)
        for n in range(20):
            writer.append(Kind.SHOWN, bytes([n]), 1)
            writer.append(Kind.FACT, b"fact")
            new = await journal.adopt("a")
            assert frames([r for r in await journal.read_all("a") if r.kind is Kind.SHOWN]) == new.offset == n + 1
            writer = new

    run(make, story)


def test_an_ended_stream_is_not_adopted(make: Make) -> None:
    async def story(journal: Journal) -> None:
        create(journal).append(Kind.ENDED, b"")
        with pytest.raises(UnknownStream):
            await journal.adopt("a")
        await until_settled(journal)
        with pytest.raises(UnknownStream):
            await journal.adopt("a")

    run(make, story)


# What can be asked of streams.


def test_a_stream_is_found_from_the_moment_it_is_created(make: Make) -> None:
    async def story(journal: Journal) -> None:
        create(journal, "a")
        create(journal, "b")
        create(journal, "c", key=b"other")
        for _ in range(2):
            info = await journal.find("a")
            assert info and (info.id, info.owner, info.key, info.created_at) == ("a", OWNER, KEY, 1000.0)
            assert (info.epoch, info.ended, info.offset, info.lossy) == (1, False, 0, False)
            assert [info.id for info in await journal.find_key(KEY)] == ["b", "a"]
            assert [info.id for info in await journal.open_streams()] == ["a", "b", "c"]
            await until_settled(journal)

    run(make, story)


def test_at_most_sixteen_streams_of_a_key_are_found_the_newest_first(make: Make) -> None:
    async def story(journal: Journal) -> None:
        for n in range(20):
            writer = create(journal, f"s{n}")
            if n % 3:
                writer.append(Kind.ENDED, b"")
            if n == 10:
                await until_settled(journal)
        assert [info.id for info in await journal.find_key(KEY)] == [f"s{n}" for n in range(19, 3, -1)]

    run(make, story)


def test_an_ended_stream_says_how_far_it_came_and_how_large_it_is(make: Make) -> None:
    async def story(journal: Journal) -> None:
        told = Told(journal)
        writer = create(journal, opening=b"12345")
        writer.append(Kind.SHOWN, b"xyz", 3)
        writer.append(Kind.ENDED, b"!!")
        await told.until(3, ended=True)
        for _ in range(2):
            info = await journal.find("a")
            assert info and (info.ended, info.offset, info.size_bytes) == (True, 3, 10)
            assert await journal.open_streams() == []
            await until_settled(journal)

    run(make, story)


# 4. What outlives the journal object.


def test_what_was_made_durable_is_there_after_a_restart(make_keeping: Make) -> None:
    async def before(journal: Journal) -> None:
        for n, id in enumerate(["a", "b", "c"]):
            writer = create(journal, id)
            for frame in range(100 + n):
                writer.append(Kind.SHOWN, bytes([frame]), 1)
                writer.append(Kind.FACT, b"f")
            if id == "b":
                writer.append(Kind.ENDED, b"end")
        await journal.adopt("c")

    async def after(journal: Journal) -> None:
        assert [(i.id, i.offset, i.epoch) for i in await journal.open_streams()] == [("a", 100, 1), ("c", 102, 2)]
        assert [i.id for i in await journal.find_key(KEY)] == ["c", "b", "a"]
        for n, id in enumerate(["a", "b", "c"]):
            assert text(await read(journal, id)) == bytes(range(100 + n))
            assert len(await journal.read_all(id)) > 100
        assert ends(await read(journal, "b"))
        told = Told(journal, "c")
        writer = await journal.adopt("c")
        assert (writer.offset, writer.epoch) == (102, 3)
        writer.append(Kind.SHOWN, b"!", 1)
        writer.append(Kind.ENDED, b"")
        await told.until(103, ended=True)
        assert text(await read(journal, "c")) == bytes(range(102)) + b"!"
        with pytest.raises(UnknownStream):
            await journal.adopt("b")

    async def last(journal: Journal) -> None:
        assert text(await read(journal, "c")) == bytes(range(102)) + b"!"
        assert [(i.id, i.epoch) for i in await journal.open_streams()] == [("a", 1)]

    run(make_keeping, before)
    run(make_keeping, after)
    run(make_keeping, last)


def test_two_who_adopt_at_once_get_different_epochs(make_keeping: Make) -> None:
    async def before(journal: Journal) -> None:
        create(journal).append(Kind.SHOWN, b"x", 1)

    async def after(journal: Journal) -> None:
        writers = await asyncio.gather(*(journal.adopt("a") for _ in range(3)))
        assert sorted(writer.epoch for writer in writers) == [2, 3, 4]
        for writer in writers:
            writer.append(Kind.SHOWN, b"y", 1)
        assert [writer.fenced for writer in writers] == [True, True, False]
        assert writers[2].offset == 2

    run(make_keeping, before)
    run(make_keeping, after)


# Everything, interleaved as drawn, beside a model.

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 2), st.integers(0, 4)),
        st.tuples(st.just("append"), st.integers(0, 2), st.integers(0, 4)),
        st.tuples(st.just("end"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("adopt"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("read"), st.integers(0, 2), st.integers(0, 12)),
        st.tuples(st.just("join"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("leave"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("delete"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("pause"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("settle"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


class Model:
    """One place for a stream, what it should hold, and who listens."""

    def __init__(self, journal: Journal, place: int) -> None:
        self.journal = journal
        self.place = place
        self.turn = 0
        self._open()

    def _open(self) -> None:
        self.turn += 1
        self.id = f"{self.place}.{self.turn}"
        self.writers = [create(self.journal, self.id)]
        self.frames = b""
        self.ended = False
        self.listeners: list[tuple[Told, int]] = []

    def append(self, count: int) -> None:
        """The newest writer's frames count; those of the ones before it are lost."""
        if not self.ended:
            data = bytes((len(self.frames) + n) % 251 for n in range(1, count + 1))
            for writer in self.writers:
                writer.append(Kind.SHOWN, data, count) if count else writer.append(Kind.FACT, b"fact")
                assert writer.fenced == (writer is not self.writers[-1])
            self.frames += data
            assert self.writers[-1].offset == len(self.frames)

    def end(self, _: int) -> None:
        if not self.ended:
            self.ended = True
            self.writers[-1].append(Kind.ENDED, b"end")

    async def adopt(self, _: int) -> None:
        if self.ended:
            with pytest.raises(UnknownStream):
                await self.journal.adopt(self.id)
        else:
            self.writers.append(await self.journal.adopt(self.id))
            assert self.writers[-1].epoch == len(self.writers)
            assert await self._held() == self.frames

    async def read(self, after: int) -> None:
        records = await read(self.journal, self.id, after, bytes_max=3)
        assert self.frames[after:].startswith(text(records, after))
        assert not ends(records) or (self.ended and text(records, after) == self.frames[after:])
        info = await self.journal.find(self.id)
        assert info and info.offset <= len(self.frames) and info.epoch == len(self.writers)

    def join(self, _: int) -> None:
        self.listeners.append((Told(self.journal, self.id), len(self.frames)))

    def leave(self, _: int) -> None:
        if self.listeners:
            told, _joined = self.listeners.pop(0)
            self.journal.unsubscribe(self.id, told.take)

    async def delete(self, _: int) -> None:
        deleted = await self.journal.delete(self.id)
        assert deleted == self.ended
        if deleted:
            assert await self.journal.find(self.id) is None
            assert await self.journal.read(self.id, 0, ALL) == []
            self._open()

    async def settle(self) -> None:
        """When all is durable, everybody knows everything, in order and once."""
        await until_settled(self.journal)
        await asyncio.sleep(0)
        assert await self._held() == self.frames
        records = await read(self.journal, self.id)
        assert (text(records), ends(records)) == (self.frames, self.ended)
        for told, joined in self.listeners:
            if told.records and told.records[0].kind is Kind.SHOWN:
                after = told.records[0].first - 1
                assert after <= joined
                check_whole(told.records, after)
                assert told.text == self.frames[after:]
            else:
                assert joined == len(self.frames)
            assert ends(told.records) == self.ended or joined == len(self.frames)

    async def _held(self) -> bytes:
        return text([r for r in await self.journal.read_all(self.id) if r.kind is Kind.SHOWN])


@pytest.mark.parametrize("store", STORES)
@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_any_order_of_calls_gives_what_a_model_gives(store: str, steps: list[tuple[str, int, int]]) -> None:
    async def story(journal: Journal) -> None:
        models = [Model(journal, place) for place in range(3)]
        for step, place, number in steps:
            if step == "pause":
                await asyncio.sleep([0, 0, 0.001, 0.004][place])
            elif step == "settle":
                for model in models:
                    await model.settle()
            else:
                done = getattr(models[place], step)(number)
                if done is not None:
                    await done
        for model in models:
            await model.settle()
        running = [model.id for model in models if not model.ended]
        assert sorted(info.id for info in await journal.open_streams()) == sorted(running)

    with TemporaryDirectory() as folder:
        make = STORES[store](Path(folder))
        run(make, story, **({} if store == "memory" else {"tick_s": 0.001}))


# Removing.


def test_an_ended_stream_can_be_deleted_and_an_open_one_cannot(make: Make) -> None:
    async def story(journal: Journal) -> None:
        writer = create(journal)
        other = create(journal, "b")
        for n in range(100):
            writer.append(Kind.SHOWN, b"x", 1)
            other.append(Kind.SHOWN, bytes([n]), 1)
            await asyncio.sleep(0)
        assert not await journal.delete("a")
        writer.append(Kind.ENDED, b"")
        assert await journal.delete("a")
        assert not await journal.delete("a")
        assert await journal.find("a") is None
        assert await journal.find_key(KEY) == [await journal.find("b")]
        assert await journal.read("a", 0, ALL) == await journal.read_all("a") == []
        await until_settled(journal)
        assert text(await read(journal, "b")) == bytes(range(100))

    run(make, story)


def test_a_sweep_removes_what_ended_too_long_ago(make: Make) -> None:
    now = 5000.0

    async def story(journal: Journal) -> None:
        nonlocal now
        for id in ("a", "b", "open"):
            writer = create(journal, id)
            writer.append(Kind.SHOWN, b"x", 1)
            if id != "open":
                writer.append(Kind.ENDED, b"")
            await until_settled(journal)
            now += 50
        assert await journal.sweep(5100.0) == 0
        assert await journal.sweep(5101.0) == 1
        assert [info.id for info in await journal.find_key(KEY)] == ["open", "b"]
        assert text(await read(journal, "b")) == b"x"
        assert await journal.sweep(9000.0) == 1
        assert [info.id for info in await journal.find_key(KEY)] == ["open"]
        assert await journal.sweep(9000.0) == 0

    run(make, story, age_s=100.0, clock=lambda: now)


def test_a_sweep_removes_the_oldest_ended_ones_until_the_rest_fits(make: Make) -> None:
    now = 0.0

    async def story(journal: Journal) -> None:
        nonlocal now
        for id in ("d", "c", "b", "a"):
            now += 1
            writer = create(journal, id, opening=b"")
            writer.append(Kind.SHOWN, b"x" * 1000, 1)
            writer.append(Kind.ENDED, b"")
            await until_settled(journal)
        create(journal, "open", opening=b"").append(Kind.SHOWN, b"x" * 1000, 1)
        await until_settled(journal)
        assert await journal.sweep(now) == 2
        assert [info.id for info in await journal.find_key(KEY)] == ["open", "a", "b"]
        assert await journal.sweep(now) == 0

    run(make, story, bytes_max=3500, clock=lambda: now)
