"""What follows when a gateway's process ends, and another begins on its journal: docs/explanation/crash.md."""

import asyncio
import hashlib
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.crash import disk
from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from midstream.faults.service import Attempt
from midstream.gateway.main import Gateway
from midstream.recovery.policy import Policy
from tests.gateway.client import Answer, ask, numbered, text_of
from tests.gateway.gateways import running
from tests.gateway.inprocess import QUICK, run, settings

pytestmark = pytest.mark.sockets

TEXT = Reply.builtin("text").text
OWN = {"ANTHROPIC_API_KEY": "sk-of-the-gateway"}


@asynccontextmanager
async def process(faults: FaultServer, journal: Path, own: bool = False, **changes: Any) -> AsyncIterator[str]:
    """A gateway that is stopped where it stands at the end, and leaves its streams to the next one."""
    tokens = journal.with_name("tokens.toml")
    if own:
        entries = [(name, hashlib.sha256(f"token-of-{name}-000".encode()).hexdigest()) for name in ("one", "two")]
        tokens.write_text("".join(f'[[token]]\nname = "{name}"\nsha256 = "{digest}"\n' for name, digest in entries))
        tokens.chmod(0o600)
        changes["tokens"] = tokens
    gateway = Gateway.build(settings(faults.url, journal=journal, **changes), OWN if own else {})
    await gateway.start()
    try:
        yield f"http://127.0.0.1:{gateway.port}"
    finally:
        await gateway.aclose()


def path_of(answer: Answer) -> str:
    return f"/midstream/streams/{answer.headers['midstream-stream-id']}"


async def left_open(faults: FaultServer, journal: Path, own: bool, frames: int = 6, **headers: str) -> Answer:
    """A stream of which a few frames were read before its process ended."""
    async with process(faults, journal, own) as url:
        answer = await ask(url, **headers)
        await answer.frames(frames)
    await answer.frames()
    assert not answer.whole
    await answer.close()
    return answer


async def rest_of(url: str, answer: Answer, **headers: str) -> str:
    """The whole text, for who reads on behind what it has."""
    seen = numbered(await answer.frames())
    back = await ask(url, "GET", path_of(answer), None, last_event_id=seen[-1].id, **headers)
    rest = numbered(await back.frames())
    await back.close()
    assert back.whole and [int(frame.id) for frame in seen + rest] == list(range(1, len(seen + rest) + 1))
    return text_of(seen + rest)


def test_a_stream_of_the_gateways_own_credentials_goes_on_without_its_client(tmp_path: Path) -> None:
    async def story() -> None:
        async with FaultServer("ok", pace_s=0.005) as faults:
            token = {"x_api_key": "token-of-one-000"}
            answer = await left_open(faults, tmp_path / "j.sqlite3", True, **token)
            async with process(faults, tmp_path / "j.sqlite3", True) as url:
                while not disk.look(tmp_path / "j.sqlite3").streams[0].ended:
                    await asyncio.sleep(0.02)
                assert await rest_of(url, answer, **token) == TEXT
            assert len(faults.requests) == 2
            for attempt in faults.requests:
                assert attempt.headers["authorization"] == "Bearer sk-of-the-gateway"
                assert "x-api-key" not in attempt.headers

    run(story)


def test_a_stream_of_a_clients_credentials_waits_for_that_client(tmp_path: Path) -> None:
    async def story() -> None:
        async with FaultServer("ok", pace_s=0.005) as faults:
            mine, other = {"x_api_key": "sk-mine"}, {"x_api_key": "sk-other"}
            answer = await left_open(faults, tmp_path / "j.sqlite3", False, **mine)
            async with process(faults, tmp_path / "j.sqlite3") as url:
                for headers in (other, {"authorization": "Bearer sk-other"}):
                    refused = await ask(url, "GET", path_of(answer), None, **headers)
                    assert refused.status == 404
                    await refused.close()
                assert len(faults.requests) == 1
                assert await rest_of(url, answer, **mine) == TEXT
                refused = await ask(url, "GET", path_of(answer), None, **other)
                assert refused.status == 404
                await refused.close()
            assert [attempt.headers["x-api-key"] for attempt in faults.requests] == ["sk-mine"] * 2

    run(story)


@pytest.mark.parametrize("own", [True, False])
def test_the_same_request_again_gets_the_stream_that_the_last_process_left(own: bool, tmp_path: Path) -> None:
    async def story() -> None:
        async with FaultServer("ok", pace_s=0.005) as faults:
            mine, other = ({"x_api_key": f"token-of-{name}-000"} for name in ("one", "two"))
            answer = await left_open(faults, tmp_path / "j.sqlite3", own, **mine)
            async with process(faults, tmp_path / "j.sqlite3", own) as url:
                stranger = await ask(url, x_stainless_retry_count="1", **other)
                assert path_of(stranger) != path_of(answer)
                back = await ask(url, x_stainless_retry_count="1", **mine)
                frames = numbered(await back.frames())
                assert path_of(back) == path_of(answer) and text_of(frames) == TEXT
                assert frames[:6] == numbered(await answer.frames(6))
                await stranger.read()
                for each in (stranger, back):
                    await each.close()

    run(story)


def test_two_who_come_back_at_once_read_one_adoption(tmp_path: Path) -> None:
    async def story() -> None:
        async with FaultServer("ok", pace_s=0.005) as faults:
            answer = await left_open(faults, tmp_path / "j.sqlite3", False)
            async with process(faults, tmp_path / "j.sqlite3") as url:
                again = ask(url, x_stainless_retry_count="1")
                by_id = [ask(url, "GET", path_of(answer), None) for _ in range(4)]
                backs = await asyncio.gather(again, *by_id)
                for back in backs:
                    assert text_of(numbered(await back.frames())) == TEXT and back.whole
                    await back.close()
            assert len(faults.requests) == 2
            assert [stream.epoch for stream in disk.look(tmp_path / "j.sqlite3").streams] == [2]

    run(story)


def test_a_stream_whose_end_is_being_written_can_be_come_back_to(tmp_path: Path) -> None:
    async def story() -> None:
        async with FaultServer("ok") as faults:
            gateway = Gateway.build(settings(faults.url, journal=tmp_path / "j.sqlite3", journal_tick_s=0.5), {})
            await gateway.start()
            url = f"http://127.0.0.1:{gateway.port}"
            asked = asyncio.create_task(ask(url, idempotency_key="a"))
            while not gateway.hub.running:
                await asyncio.sleep(0)
            id = next(iter(gateway.hub.running))
            while gateway.hub.running:
                await asyncio.sleep(0)
            backs = [
                await ask(url, idempotency_key="a"),
                await ask(url, "GET", f"/midstream/streams/{id}", None),
                await asked,
            ]
            for back in backs:
                assert back.headers["midstream-stream-id"] == id
                assert text_of(numbered(await back.frames())) == TEXT and back.whole
                await back.close()
            assert len(faults.requests) == 1
            await gateway.aclose()

    run(story)


def test_who_has_seen_more_than_the_journal_holds_is_told_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with FaultServer("ok", pace_s=0.01) as faults:
            answer = await left_open(faults, tmp_path / "j.sqlite3", False)
            async with process(faults, tmp_path / "j.sqlite3") as url:
                refused = await ask(url, "GET", path_of(answer), None, last_event_id="10000")
                assert refused.status == 400 and b"behind them" in await refused.read()
                await refused.close()

    run(story)


def test_no_further_attempt_is_made_before_the_journal_holds_it(tmp_path: Path) -> None:
    async def story() -> None:
        journal, held = tmp_path / "j.sqlite3", list[tuple[int, int]]()

        def attempted(attempt: Attempt) -> None:
            held.append((attempt.number, sum(stream.attempts for stream in disk.look(journal).streams)))

        script = "cut-rst@30%; overloaded@60%; http-529; reset-early"
        async with FaultServer(script, on_attempt=attempted) as faults:
            async with process(faults, journal, journal_tick_s=0.1) as url:
                answer = await ask(url, x_midstream_key="c00001")
                assert text_of(numbered(await answer.frames())) == TEXT
                await answer.close()
            assert [number for number, _ in held] == [1, 2, 3, 4, 5]
            assert [number for number, recorded in held if number > 1 and recorded < number] == []

    run(story)


def test_limits_outlast_a_crash_loop(tmp_path: Path) -> None:
    async def story() -> None:
        policy = Policy(attempts=3, attempts_total=3, backoff_s=(0.001, 0.01), silence_s=QUICK.silence_s)
        async with FaultServer("ok", pace_s=0.02) as faults:
            token = {"x_api_key": "token-of-one-000"}
            answer = await left_open(faults, tmp_path / "j.sqlite3", True, **token)
            for n in range(6):
                async with process(faults, tmp_path / "j.sqlite3", True, policy=policy) as url:
                    back = await ask(url, "GET", path_of(answer), None, **token)
                    await back.frames(12 + 4 * n)  # something new each time
                await back.frames()
                await back.close()
            frames = numbered(await back.frames())
            assert frames[-1].name == "error" and frames[-1].data["error"]["midstream"]["exhausted"] is True
            assert TEXT.startswith(text_of(frames)) and len(text_of(frames)) > 20
            assert len(faults.requests) == 3

    run(story)


def test_a_stream_that_nobody_came_back_to_ends_with_an_error_for_who_does(tmp_path: Path) -> None:
    async def story() -> None:
        async with FaultServer("ok", pace_s=0.02) as faults:
            token = {"x_api_key": "token-of-one-000"}
            answer = await left_open(faults, tmp_path / "j.sqlite3", True, **token)
            async with process(faults, tmp_path / "j.sqlite3", True, grace_s=0.05) as url:
                while not disk.look(tmp_path / "j.sqlite3").streams[0].ended:
                    await asyncio.sleep(0.02)
                back = await ask(url, "GET", path_of(answer), None, **token)
                frames = await back.frames()
                assert not back.whole and frames[-1].name == "error"
                assert frames[-1].data["error"]["midstream"]["exhausted"] is True
                await back.close()

    run(story)


# SIGTERM, of a real process.


def test_a_gateway_that_is_told_to_end_lets_its_streams_finish() -> None:
    async def story() -> None:
        with FaultServer("ok", pace_s=0.01) as faults, running(faults.url, "--drain-s", "30") as gateway:
            answer = await ask(gateway.base_url)
            await answer.frames(3)
            ends = asyncio.create_task(asyncio.to_thread(gateway.terminate, 40.0))
            frames = numbered(await answer.frames())
            assert answer.whole and text_of(frames) == TEXT
            await answer.close()
            assert await ends == 0
            assert len(faults.requests) == 1

    run(story)


def test_what_does_not_finish_in_time_is_left_to_the_next_process() -> None:
    async def story() -> None:
        with FaultServer("ok", pace_s=0.03) as faults, running(faults.url, "--drain-s", "0.2") as gateway:
            answer = await ask(gateway.base_url)
            await answer.frames(3)
            assert await asyncio.to_thread(gateway.terminate, 40.0) == 0
            frames = await answer.frames()
            await answer.close()
            # No end: an error that is no frame of the stream says that the reply goes on, in another process.
            told = frames.pop()
            assert (told.name, told.id) == ("error", "")
            assert not answer.whole and {frame.name for frame in frames} <= {
                "message_start", "content_block_start", "content_block_delta", "ping",
            }  # fmt: skip
            gateway.restart()
            assert await rest_of(gateway.base_url, answer) == TEXT

    run(story)


# The check itself.


def told_to(folder: Path) -> Path:
    """A database with a log of twenty transactions, as a killed process leaves it."""
    path, copy = folder / "alive.sqlite3", folder / "left.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE told (n INTEGER)")
    for n in range(20):
        connection.execute("INSERT INTO told VALUES (?)", (n,))
    for suffix in ("", "-wal", "-shm"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    connection.close()
    return copy


def rows_of(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    rows = [n for (n,) in connection.execute("SELECT n FROM told ORDER BY n")]
    connection.close()
    return rows


@pytest.mark.parametrize("seed", range(12))
def test_a_torn_last_write_takes_nothing_that_was_committed(seed: int, tmp_path: Path) -> None:
    copy, dice = told_to(tmp_path), Random(seed)
    log = disk.log_of(copy)
    assert log is not None and log.tail_bytes == 0 and log.committed_bytes == log.size_bytes
    if seed % 2:  # half of a transaction stands there already
        with copy.with_name(copy.name + "-wal").open("ab") as file:
            file.write(bytes(3) + b"\x02" + bytes(4) + log.salts + dice.randbytes(8 + log.page_bytes))
        torn = disk.log_of(copy)
        assert torn is not None and torn.tail_bytes == 24 + log.page_bytes
    assert disk.tear(copy, dice) in (*disk.TEARS, "nothing to cut off")
    assert rows_of(copy) == list(range(20))


@pytest.mark.parametrize("seed", range(6))
def test_a_last_transaction_that_is_cut_short_is_gone_and_nothing_else(seed: int, tmp_path: Path) -> None:
    copy = told_to(tmp_path)
    log = disk.log_of(copy)
    assert log is not None and disk.moved_bytes(copy, log) == 32
    disk.tear_last(copy, log, Random(seed))
    assert rows_of(copy) == list(range(19))


@pytest.mark.slow
def test_whenever_a_gateway_is_killed_its_clients_have_their_replies_in_the_end() -> None:
    """A share of what `make crash` does: 8 kills."""
    command = [sys.executable, "-m", "bench.crash", "--kills", "8", "--streams", "20", "--seed", "tests"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {name: int(n.replace(",", "")) for name, n in re.findall(r"^ *(\S.*?) +([\d,]+)$", done.stdout, re.M)}
    assert counts["kills"] == 8 and counts["adoptions in all"] > 20 and counts["attempts that continue"] > 20
    assert counts["streams that lived through a kill"] > 20, json.dumps(counts)
