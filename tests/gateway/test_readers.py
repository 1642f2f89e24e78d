"""One consumer of one stream: when the answer begins, what keeps it alive, and how it ends."""

import asyncio
import json
import re
import socket
from collections.abc import Callable

import pytest

from midstream.faults.reply import Reply
from midstream.gateway.alarms import Alarms
from midstream.gateway.frames import Wire
from midstream.gateway.http.response import Response
from midstream.gateway.metrics import Totals
from midstream.gateway.readers import Head, Pace, Reader, Room, error_frame_of
from midstream.journal.memory import MemoryJournal
from midstream.journal.port import Kind, Record
from tests import wire
from tests.gateway.client import ASKED, Answer, ask, frames_of, numbered, text_of
from tests.gateway.http.servers import settled
from tests.gateway.inprocess import Standing, run, standing

pytestmark = pytest.mark.sockets

SOURCE = Reply.builtin("text").text


def test_a_stream_is_answered_by_the_upstreams_headers_and_the_gateways_own() -> None:
    async def story() -> None:
        async with standing() as st:
            answer = await ask(st.url)
            await answer.read()
            headers = answer.headers
            assert headers["request-id"].startswith("req_")
            assert headers["content-type"].startswith("text/event-stream")
            assert headers["cache-control"] == "no-cache, no-transform"
            assert headers["x-accel-buffering"] == "no"
            assert headers["transfer-encoding"] == "chunked"
            await answer.close()

    run(story)


def test_headers_of_the_upstreams_connection_do_not_reach_the_client() -> None:
    head = Head("ms-1", "sse")
    head.keep([(b"set-cookie", b"x"), (b"content-length", b"3"), (b"content-encoding", b"gzip"), (b"a", b"b")])
    names = [name for name, _ in head.as_headers()]
    assert names == [b"a", b"content-type", b"cache-control", b"x-accel-buffering", b"midstream-stream-id"]


@pytest.mark.parametrize("headers", [[], [(b"a", b"")], [(b"a", b"b: c:"), (b"a", b"\xff, 1"), (b"date-of", b"1:2:3")]])
def test_headers_of_the_reply_are_kept_as_they_came(headers: list[tuple[bytes, bytes]]) -> None:
    head = Head("ms-1", "sse")
    head.keep(headers)
    assert head.as_headers()[: len(headers)] == headers
    assert len(head.as_headers()) == len(headers) + 4


@pytest.mark.parametrize(
    ("script", "status", "kind", "should_retry"),
    [
        ("always http-529", 529, "overloaded_error", "false"),
        ("always http-429", 429, "rate_limit_error", "false"),
        ("always http-503", 503, None, "false"),
        ("always http-400", 400, "invalid_request_error", None),
        ("always http-401", 401, "authentication_error", None),
        ("always cut-rst@byte=0", 502, "api_error", "false"),
        ("always cut-clean@byte=0", 502, "api_error", "false"),
        ("always overloaded@event=0", 529, "overloaded_error", "false"),
    ],
)
def test_an_error_that_is_known_in_time_keeps_its_status(
    script: str, status: int, kind: str | None, should_retry: str | None
) -> None:
    async def story() -> None:
        async with standing(script) as st:
            answer = await ask(st.url)
            body = json.loads(await answer.read())
            assert (answer.status, answer.headers.get("x-should-retry")) == (status, should_retry)
            assert body["type"] == "error"
            assert kind is None or body["error"]["type"] == kind
            assert answer.whole and "midstream-stream-id" in answer.headers
            await answer.close()

    run(story)


def test_after_a_while_the_gateway_answers_itself_and_keeps_the_client_alive() -> None:
    async def story() -> None:
        async with standing("silence@byte=0; ok", early_s=0.1, ping_s=0.1) as st:
            answer = await ask(st.url)
            frames = await answer.frames()
            assert answer.status == 200 and answer.whole
            pings = [frame for frame in frames if not frame.id]
            assert len(pings) >= 5 and {frame.name for frame in pings} == {"ping"}
            assert text_of(frames) == SOURCE
            assert [frame.id for frame in numbered(frames)] == [str(n + 1) for n in range(len(frames) - len(pings))]
            await answer.close()

    run(story)


@pytest.mark.parametrize("early_s", [0.0, 20.0])
def test_a_failed_stream_ends_with_an_error_event_and_a_broken_body(early_s: float) -> None:
    async def story() -> None:
        script = "always overloaded@event=12" if early_s else "always http-529"
        async with standing(script, early_s=early_s) as st:
            answer = await ask(st.url)
            frames = await answer.frames()
            assert answer.status == 200 and not answer.whole
            error = frames[-1].data["error"]
            assert frames[-1].name == "error" and error["type"] == "overloaded_error"
            assert error["midstream"]["exhausted"] is True
            assert "message_stop" not in [frame.name for frame in frames]
            assert await answer.reader.read() == b""  # FIN, not a reset
            await answer.close()

    run(story)


@pytest.mark.parametrize("script", ["ok", "always cut-rst@event=12"])
def test_an_http_1_0_client_gets_the_body_until_the_connection_closes(script: str) -> None:
    async def story() -> None:
        async with standing(script) as st:
            answer = await ask(st.url, version="1.0")
            frames = await answer.frames()
            assert "transfer-encoding" not in answer.headers and answer.headers["connection"] == "close"
            assert frames[-1].name == ("message_stop" if script == "ok" else "error")
            await answer.close()

    run(story)


def test_a_slow_reader_waits_in_the_journal_and_not_in_memory() -> None:
    async def story() -> None:
        big = Reply.builtin("text")
        async with standing("ok", big, reader_backlog_bytes_max=4096) as st:
            answer = await ask(st.url)
            await asyncio.sleep(0.2)
            assert text_of(await answer.frames()) == SOURCE and answer.whole
            await answer.close()

    run(story)


def test_pings_are_not_numbered_and_do_not_reach_other_readers() -> None:
    async def story() -> None:
        async with standing("silence@50%; ok", ping_s=0.1) as st:
            answer = await ask(st.url)
            frames = await answer.frames()
            assert any(not frame.id for frame in frames)
            back = await ask(st.url, "GET", f"/midstream/streams/{answer.headers['midstream-stream-id']}", None)
            assert await back.frames() == numbered(frames)
            await answer.close()
            await back.close()

    run(story)


def test_what_a_client_reads_is_the_upstreams_bytes_but_for_the_numbers() -> None:
    async def story() -> None:
        async with standing() as st:
            direct, through = await ask(st.faults.url), await ask(st.url)
            lines = (await through.read()).split(b"\n")
            plain = b"\n".join(line for line in lines if not line.startswith(b"id: "))
            strip = [frame.data for frame in frames_of(await direct.read())]
            assert [frame.data for frame in frames_of(plain)][1:] == strip[1:]  # the message's id differs
            await direct.close()
            await through.close()

    run(story)


LONG = Reply.from_events(wire.whole(wire.text(0, *(f"{n} {'and on ' * 100}" for n in range(600)))))
"""More than what kernels hold for a small receive buffer, by far."""


async def asked_with_a_small_buffer(url: str) -> socket.socket:
    """A request whose answer nobody reads yet."""
    raw, loop = socket.socket(), asyncio.get_running_loop()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await loop.sock_connect(raw, ("127.0.0.1", int(url.rpartition(":")[2])))
    body = json.dumps(ASKED).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: sk-test\r\ncontent-length: {len(body)}\r\n\r\n"
    await loop.sock_sendall(raw, head.encode() + body)
    return raw


def test_a_reader_that_takes_a_little_all_the_time_is_not_left() -> None:
    async def story() -> None:
        limits = {"reader_backlog_bytes_max": 65536, "reader_stall_s": 1.5}
        async with standing("ok", LONG, **limits) as st:
            loop, got = asyncio.get_running_loop(), b""
            raw = await asked_with_a_small_buffer(st.url)
            until = loop.time() + 4.0
            while loop.time() < until:  # in all this time, too little to bring its backlog down once
                got += await loop.sock_recv(raw, 1000)
                await asyncio.sleep(0.04)
            assert st.gateway.hub.readers == 1
            while data := await loop.sock_recv(raw, 1 << 20):
                got += data
                if got.endswith(b"0\r\n\r\n"):
                    break
            assert got.count(b"message_stop") == 2 and got.endswith(b"0\r\n\r\n")
            raw.close()

    run(story)


def test_a_reader_that_stops_is_left_after_a_while_and_can_come_back() -> None:
    async def story() -> None:
        limits = {"reader_backlog_bytes_max": 65536, "reader_stall_s": 0.3, "on_leave": "finish"}
        async with standing("ok", LONG, **limits) as st:
            raw = await asked_with_a_small_buffer(st.url)
            loop = asyncio.get_running_loop()
            head = await loop.sock_recv(raw, 2000)
            while not st.gateway.hub.readers:
                await asyncio.sleep(0.01)
            while st.gateway.hub.readers:
                await asyncio.sleep(0.01)
            id = head.partition(b"midstream-stream-id: ")[2].partition(b"\r\n")[0].decode()
            back = await ask(st.url, "GET", f"/midstream/streams/{id}", None, last_event_id="1")
            frames = await back.frames()
            assert back.whole and text_of(frames) == LONG.text
            await back.close()
            left = head
            while data := await loop.sock_recv(raw, 1 << 20):  # it reads again before the connection is dropped
                left += data
            assert b"event: error" in left[-400:] and not left.endswith(b"0\r\n\r\n")
            raw.close()

    run(story)


async def forgetful(st: Standing, answer: Answer, *, entirely: bool = False) -> int:
    """From now on the journal keeps nothing more of a stream; up to which frame it can be read."""
    journal = st.gateway.journal
    kept = [] if entirely else await journal.read(answer.headers["midstream-stream-id"], 0, 1 << 20)
    assert all(record.kind is Kind.SHOWN for record in kept)

    async def shortened(id: str, after: int, bytes_max: int) -> list[Record]:
        return [record for record in kept if record.last > after]

    journal.read = shortened  # type: ignore[method-assign]
    return kept[-1].last if kept else 0


async def check_lost(answer: Answer, behind: int) -> None:
    frames = await answer.frames()
    assert not answer.whole and [frame.id for frame in frames[:-1]] == [str(n) for n in range(1, behind + 1)]
    assert (frames[-1].name, frames[-1].id) == ("error", "")
    assert "does not hold the rest" in frames[-1].data["error"]["message"]
    await answer.close()


@pytest.mark.parametrize("entirely", [True, False])
def test_what_the_journal_could_not_keep_is_an_error_and_no_silence(entirely: bool) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.01, early_s=0.05) as st:
            answer = await ask(st.url)
            await answer.frames(6)
            behind = await forgetful(st, answer, entirely=entirely)
            await answer.frames(behind + 3)
            path = f"/midstream/streams/{answer.headers['midstream-stream-id']}"
            await check_lost(await ask(st.url, "GET", path, None), behind)
            frames = await answer.frames()
            assert answer.whole and text_of(frames) == SOURCE  # who was there all the time has lost nothing
            await answer.close()

    run(story)


def test_an_end_that_is_told_while_its_reader_reads_is_not_waited_for_twice() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.01) as st:
            answer = await ask(st.url)
            await answer.frames(6)
            behind = await forgetful(st, answer)
            read, goes_on = st.gateway.journal.read, asyncio.Event()

            async def slow(id: str, after: int, bytes_max: int) -> list[Record]:
                await goes_on.wait()
                return await read(id, after, bytes_max)

            st.gateway.journal.read = slow  # type: ignore[method-assign]
            path = f"/midstream/streams/{answer.headers['midstream-stream-id']}"
            coming = asyncio.create_task(ask(st.url, "GET", path, None))
            await answer.read()
            goes_on.set()
            await check_lost(await coming, behind)
            await answer.close()

    run(story)


def test_a_stream_that_is_removed_while_it_is_read_ends_in_an_error() -> None:
    async def story() -> None:
        async with standing("ok", LONG, reader_backlog_bytes_max=65536) as st:
            answer = await ask(st.url)
            await answer.read()
            path = f"/midstream/streams/{answer.headers['midstream-stream-id']}"
            raw, loop = socket.socket(), asyncio.get_running_loop()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setblocking(False)
            await loop.sock_connect(raw, ("127.0.0.1", st.gateway.port))
            await loop.sock_sendall(raw, f"GET {path} HTTP/1.1\r\nhost: g\r\nx-api-key: sk-test\r\n\r\n".encode())
            got = await loop.sock_recv(raw, 1000)
            removed = await ask(st.url, "DELETE", path, None)
            assert removed.status == 204
            while data := await loop.sock_recv(raw, 1 << 20):
                got += data
            assert b"event: error" in got[-400:] and not got.endswith(b"0\r\n\r\n") and got.count(b"message_stop") == 0
            raw.close()
            await removed.close()
            await answer.close()

    run(story)


class Line:
    """A connection to a client, as a response sees it: takes everything at once, or nothing."""

    stays_open = True

    def __init__(self) -> None:
        self.taken = b""
        self.backlog_bytes = 0
        self.over = False

    def write(self, data: bytes) -> None:
        self.taken += data

    def soon(self, call: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(call)

    def answered(self, whole: bool) -> None:
        self.over = True


FRAME = b'id: %d\nevent: ping\ndata: {"type":"ping"}\n\n'
ID = f"ms-{0:032}"


class Alone:
    """A reader, its response, and a journal that is written to by hand."""

    def __init__(
        self, *, early_s: float = 0.0, fresh: bool = True, ping_s: float = 60.0, stall_s: float = 60.0
    ) -> None:
        self.journal, self.line, self.left = MemoryJournal(), Line(), list[bool]()
        self.writer = self.journal.create(ID, owner=b"", key=b"", created_at=0.0, opening=b"")
        self.response, self.head = Response(self.line), Head(ID, "sse")
        room = Room(self.journal, self, Pace(ping_s, stall_s, Totals()), Alarms())
        self.reader = Reader(self.head, self.response, room, after=0)
        self.reader.start(early_s, fresh=fresh)

    def reader_left(self, reader: Reader, got_all: bool) -> None:
        self.left.append(got_all)

    async def shown(self, first: int, count: int = 1) -> None:
        self.writer.append(Kind.SHOWN, b"".join(FRAME % n for n in range(first, first + count)), count)
        await settled()

    async def ended(self, outcome: str) -> None:
        self.writer.append(Kind.ENDED, b'{"outcome":"%b"}' % outcome.encode())
        await settled()


def test_a_reader_that_begins_inside_a_record_gets_what_is_behind_its_place() -> None:
    async def story() -> None:
        alone = Alone(fresh=False)
        await settled()
        alone.reader([Record(Kind.SHOWN, FRAME % 1 + FRAME % 2, 1, 2)])
        # What overlaps is skipped by its frames, and what is of no kind for consumers is left out.
        news = [Record(Kind.SHOWN, FRAME % 1, 1, 1), Record(Kind.FACT, b"{}")]
        alone.reader([*news, Record(Kind.SHOWN, FRAME % 2 + FRAME % 3, 2, 2)])
        assert re.findall(rb"id: (\d)", alone.line.taken) == [b"1", b"2", b"3"]
        alone.reader.stop()

    run(story)


@pytest.mark.parametrize("started", [True, False])
def test_the_end_of_the_process_is_told_once_and_in_the_form_that_is_left(started: bool) -> None:
    async def story() -> None:
        alone = Alone(early_s=60)
        if started:
            await alone.shown(1)
        for _ in range(2):
            alone.reader.stop()
        said = alone.line.taken
        assert alone.left == [False] and said.startswith(b"HTTP/1.1 200" if started else b"HTTP/1.1 503")
        assert (b"event: error" in said) is started and said.count(b"the gateway ends") == 1
        await alone.shown(2)  # nobody is told any more
        assert alone.line.taken == said

    run(story)


def test_a_reader_that_fell_behind_reads_on_when_it_has_taken_its_backlog() -> None:
    async def story() -> None:
        alone = Alone(ping_s=0.01)
        alone.response.writable = False
        await alone.shown(1)
        await alone.shown(2)
        await asyncio.sleep(0.05)  # no ping is added to a backlog
        assert re.findall(rb"id: (\d)", alone.line.taken) == [b"1"] and b"\nevent: ping" not in alone.line.taken[-20:]
        alone.response.resumed()
        await settled()
        assert re.findall(rb"id: (\d)", alone.line.taken) == [b"1", b"2"]
        alone.response.resumed()  # it was not behind
        await alone.ended("complete")
        assert alone.left == [True] and alone.line.taken.endswith(b"0\r\n\r\n")

    run(story)


def test_who_takes_something_is_not_taken_for_one_that_stopped() -> None:
    async def story() -> None:
        alone = Alone(stall_s=0.02)
        alone.response.writable, alone.line.backlog_bytes = False, 1000
        await alone.shown(1)
        alone.line.backlog_bytes = 900
        await asyncio.sleep(0.03)
        assert alone.left == []
        await asyncio.sleep(0.05)
        assert alone.left == [False] and b"was taken for too long" in alone.line.taken

    run(story)


@pytest.mark.parametrize(("outcome", "said"), [("cancelled", b"given up"), ("failed", b""), ("complete", b"0\r\n\r\n")])
def test_an_end_without_a_frame_is_an_answer_too(outcome: str, said: bytes) -> None:
    async def story() -> None:
        alone = Alone(early_s=60)
        await alone.ended(outcome)
        assert alone.left == [True] and said in alone.line.taken and alone.line.over
        alone.reader._answer()  # as from a timer that was on its way
        assert alone.line.taken.count(b"HTTP/1.1") == 1

    run(story)


@pytest.mark.parametrize("wire", ["sse", "eventstream"])
def test_an_error_without_a_number_is_in_the_framing_of_its_client(wire: Wire) -> None:
    frame = error_frame_of("a sentence", wire, exhausted=True)
    assert b"a sentence" in frame and b"exhausted" in frame and b"\nid:" not in frame
    assert frame.startswith(b"event: error") is (wire == "sse")


def test_who_leaves_while_the_journal_is_read_gets_nothing_more() -> None:
    async def story() -> None:
        alone = Alone(fresh=False)
        await alone.shown(1)
        read, goes_on = alone.journal.read, asyncio.Event()

        async def slow(id: str, after: int, bytes_max: int) -> list[Record]:
            await goes_on.wait()
            return await read(id, after, bytes_max)

        alone.journal.read = slow  # type: ignore[method-assign]
        alone.reader._catch_up()
        alone.reader._catch_up()  # is reading already
        await settled()
        await alone.shown(2)
        before = alone.line.taken
        alone.response.lost()
        alone.reader.gone()  # once is enough
        goes_on.set()
        await settled()
        assert alone.left == [False] and alone.line.taken == before

    run(story)


def test_what_is_told_while_nothing_was_to_be_read_is_read_at_once() -> None:
    async def story() -> None:
        alone = Alone(fresh=False)
        read, goes_on = alone.journal.read, asyncio.Event()

        async def late(id: str, after: int, bytes_max: int) -> list[Record]:
            found = await read(id, after, bytes_max)
            await goes_on.wait()
            return found

        alone.journal.read = late  # type: ignore[method-assign]
        await settled()
        await alone.shown(1)
        assert b"id: 1" not in alone.line.taken
        goes_on.set()
        await settled()
        assert b"id: 1" in alone.line.taken and alone.left == []
        alone.reader.stop()

    run(story)


def test_who_was_sent_something_meanwhile_is_not_pinged_yet() -> None:
    async def story() -> None:
        alone = Alone(ping_s=60)
        await alone.shown(1)
        before = alone.line.taken
        alone.reader.rang()  # set when the answer began, and something was sent since
        assert alone.line.taken == before
        alone.reader.stop()

    run(story)
