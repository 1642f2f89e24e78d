"""The gateway as a whole: its parts start, serve and stop in order."""

import asyncio
import faulthandler
import gzip
import io
import json
import logging
import os
import signal
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from midstream.gateway import main
from midstream.gateway.main import Gateway
from midstream.gateway.owners import key_file
from midstream.gateway.schema import Address, SettingsError
from midstream.journal.port import JournalError
from midstream.journal.sqlite import SqliteJournal
from tests.gateway.client import ask, text_of
from tests.gateway.inprocess import DEADLINE_S, run, settings, standing
from tests.gateway.upstream import Asked, saying, upstream
from tests.wire import sse, text, whole

pytestmark = pytest.mark.sockets


def test_streams_may_finish_before_the_gateway_ends(tmp_path: Path) -> None:
    async def story() -> None:
        async with FaultServer("ok", pace_s=0.005) as faults:
            gateway = Gateway.build(settings(faults.url, journal=tmp_path / "j.sqlite3", drain_s=30.0), {})
            stop = asyncio.Event()
            serving = asyncio.create_task(gateway.run(stop))
            while not gateway.port:
                await asyncio.sleep(0.01)
            answer = await ask(f"http://127.0.0.1:{gateway.port}")
            await answer.frames(2)
            stop.set()
            frames = await answer.frames()
            assert answer.whole and text_of(frames) == Reply.builtin("text").text
            with pytest.raises(OSError):
                await ask(f"http://127.0.0.1:{gateway.port}")
            await answer.close()
            await serving

    run(story)


def test_what_is_passed_on_may_finish_before_the_gateway_ends_and_nothing_new_begins() -> None:
    async def story() -> None:
        goes_on = asyncio.Event()

        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await goes_on.wait()
            await saying(200, b'{"input_tokens": 1}')(asked, writer)

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url, drain_s=30.0), {})
            stop = asyncio.Event()
            serving = asyncio.create_task(gateway.run(stop))
            while not gateway.port:
                await asyncio.sleep(0.01)
            url = f"http://127.0.0.1:{gateway.port}"
            idle = await ask(url, "GET", "/", None)
            await idle.read()
            asking = asyncio.create_task(ask(url, path="/v1/messages/count_tokens"))
            while not behind.asked:
                await asyncio.sleep(0.01)
            stop.set()
            assert await idle.reader.read() == b""  # the connection was kept for a next request
            goes_on.set()
            answered = await asking
            assert (answered.status, await answered.read()) == (200, b'{"input_tokens": 1}')
            await idle.close()
            await answered.close()
            await serving

    run(story)


def test_a_journal_that_two_would_write_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with standing(journal=path):
            other = Gateway.build(settings("http://127.0.0.1:1", journal=path), {})
            with pytest.raises(JournalError):
                await other.start()

    run(story)


def newer(path: Path) -> None:
    async def story() -> None:
        journal = SqliteJournal(path)
        await journal.start()
        await journal.aclose()

    run(story)
    path.with_name(f"{path.name}-lock").unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def somebody_elses(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")


NO_JOURNALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "newer": (newer, "was written by a newer midstream (journal version 99, this one knows 1); run that version"),
    "somebody else's": (somebody_elses, "is a database, but no journal of midstream; name another file"),
    "a text": (lambda path: path.write_text("text\n" * 999), "it is no journal of midstream; name another file"),
    "a directory": (lambda path: path.mkdir(), "is a directory; name a file in it"),
    "a link": (lambda path: path.symlink_to("/dev/null"), "make it readable and writable for the user that"),
}


@pytest.mark.parametrize(("make", "sentence"), NO_JOURNALS.values(), ids=NO_JOURNALS)
def test_a_journal_that_is_refused_is_left_as_it_is_and_nothing_stands_beside_it(
    tmp_path: Path, make: Callable[[Path], object], sentence: str
) -> None:
    path = tmp_path / "j.sqlite3"
    make(path)
    before = path.stat()

    async def story() -> None:
        with pytest.raises(JournalError) as told:
            await Gateway.build(settings("http://127.0.0.1:1", journal=path), {}).start()
        assert sentence in str(told.value) and "\n" not in str(told.value)

    run(story)
    after = path.stat()
    assert (after.st_mode, after.st_size, after.st_mtime_ns) == (before.st_mode, before.st_size, before.st_mtime_ns)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_bad_key_is_told_before_there_is_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    key_file(path).write_bytes(b"short")
    key_file(path).chmod(0o600)

    async def story() -> None:
        with pytest.raises(SettingsError, match="does not hold 32 bytes"):
            Gateway.build(settings("http://127.0.0.1:1", journal=path), {})

    run(story)
    assert [each.name for each in tmp_path.iterdir()] == [key_file(path).name]


def test_the_folder_of_a_journal_is_made_for_its_owner_alone_or_told_of(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "a" / "b" / "j.sqlite3"
        gateway = Gateway.build(settings("http://127.0.0.1:1", journal=path), {})
        await gateway.start()
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert {each.name for each in path.parent.iterdir()} >= {path.name, key_file(path).name}
        await gateway.aclose()
        below_a_file = path / "c" / "j.sqlite3"
        with pytest.raises(JournalError, match="is no directory; create it first"):
            await Gateway.build(settings("http://127.0.0.1:1", journal=below_a_file), {}).start()

    run(story)


def test_a_port_that_is_taken_is_said_and_leaves_nothing_running(tmp_path: Path) -> None:
    async def story() -> None:
        async with standing() as st:
            taken = settings(
                "http://127.0.0.1:1", journal=tmp_path / "j.sqlite3", listen=Address("127.0.0.1", st.gateway.port)
            )
            with pytest.raises(OSError):
                await Gateway.build(taken, {}).start()
            free = Gateway.build(settings("http://127.0.0.1:1", journal=tmp_path / "j.sqlite3"), {})
            await free.start()  # the journal was let go
            await free.aclose()

    run(story)


def test_a_stream_that_is_left_open_is_read_on_from_the_next_process(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.01) as faults:
            first = Gateway.build(settings(faults.url, journal=path), {})
            await first.start()
            answer = await ask(f"http://127.0.0.1:{first.port}")
            seen = await answer.frames(6)
            await first.aclose()
            seen = await answer.frames()
            told = seen.pop()
            assert not answer.whole and (told.name, told.id) == ("error", "")
            await answer.close()
            second = Gateway.build(settings(faults.url, journal=path), {})
            await second.start()
            path_of = f"/midstream/streams/{answer.headers['midstream-stream-id']}"
            url = f"http://127.0.0.1:{second.port}"
            back = await ask(url, "GET", path_of, None, last_event_id=seen[-1].id)
            rest = await back.frames()
            assert back.whole and rest[0].id == str(int(seen[-1].id) + 1)
            assert text_of(seen + rest) == Reply.builtin("text").text
            await back.close()
            await second.aclose()

    run(story)


def test_an_upstream_that_compresses_is_read_all_the_same() -> None:
    async def story() -> None:
        body = gzip.compress(sse(*whole(text(0, "Hello"))))

        async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
            assert asked.header("accept-encoding") == "identity"
            head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
            writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()

        async with upstream(answer) as behind:
            gateway = Gateway.build(settings(behind.url), {})
            await gateway.start()
            got = await ask(f"http://127.0.0.1:{gateway.port}")
            frames = await got.frames()
            assert got.whole and "content-encoding" not in got.headers
            assert text_of(frames) == "Hello"
            await got.close()
            await gateway.aclose()

    run(story)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_ends_the_process_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "midstream", "serve", "--listen", "127.0.0.1:0", "--control-listen", "off",
            "--journal", str(tmp_path / "j.sqlite3"), "--log", "json", "--upstream", "http://127.0.0.1:1",
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        assert b'"started"' in await process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        rest = await process.stderr.read()
        assert await process.wait() == 0 and b'"stopped"' in rest

    run(story)


@pytest.fixture
def signals_as_before() -> Iterator[None]:
    """uvloop leaves its handlers of signals in place when it is closed: whoever stops the tests would not be heard."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.usefixtures("signals_as_before")
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_it_runs_until_a_signal_and_sweeps_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    if loop == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.setattr("midstream.gateway.main.SWEEP_S", 0.01)
    swept = threading.Event()

    async def sweep(self: SqliteJournal, now: float) -> int:
        swept.set()
        return 0

    monkeypatch.setattr(SqliteJournal, "sweep", sweep)
    tokens = tmp_path / "tokens.toml"
    tokens.write_text('[[token]]\nname = "a"\ntoken = "0123456789abcdef"')
    tokens.chmod(0o600)
    told, late = io.StringIO(), []
    monkeypatch.setattr(sys, "stderr", told)

    def signals() -> None:
        swept.wait(DEADLINE_S)
        logging.getLogger("midstream.test").warning("a sentence of midstream's own")
        for number, seen in ((signal.SIGHUP, "tokens_read"), (signal.SIGTERM, "stopped")):
            if signal.getsignal(number) is signal.SIG_DFL:
                return  # there is no gateway, and the tests themselves would end
            os.kill(os.getpid(), number)
            until = time.monotonic() + DEADLINE_S
            while f'"{seen}"' not in told.getvalue() and time.monotonic() < until:
                time.sleep(0.005)
            if f'"{seen}"' not in told.getvalue():
                late.append(seen)
                faulthandler.dump_traceback(2)

    asking = threading.Thread(target=signals)
    asking.start()
    served = settings("http://127.0.0.1:1", journal=tmp_path / "j.sqlite3", log="json", tokens=tokens)
    assert main.run(served, {}) == 0
    asking.join(DEADLINE_S)
    assert swept.is_set() and not asking.is_alive() and not late, (late, told.getvalue())
    events = [json.loads(line)["event"] for line in told.getvalue().splitlines()]
    assert events == ["started", "warning", "tokens_read", "stopped"]
    assert not [handler for handler in logging.getLogger().handlers if type(handler).__name__ == "_Records"]


def test_who_has_no_tokens_has_none_to_read_again() -> None:
    async def story() -> None:
        async with standing() as st:
            st.gateway.reload()
            assert st.gateway.plane.tokens is None

    run(story)
