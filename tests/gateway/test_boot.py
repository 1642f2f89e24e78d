"""What another process left open."""

import asyncio
from pathlib import Path

import pytest

from midstream.faults.reply import Reply
from midstream.faults.server import FaultServer
from midstream.gateway import begun, opening
from midstream.gateway.asker import Asker
from midstream.gateway.boot import past_of
from midstream.gateway.main import Gateway
from midstream.gateway.upstreams.port import Call
from midstream.journal.port import Journal, Kind, Record
from tests.gateway.client import Answer, Frame, ask, text_of
from tests.gateway.inprocess import run, settings, standing
from tests.gateway.test_server import tokens_file

pytestmark = pytest.mark.sockets

SOURCE = Reply.builtin("text").text
KEY = {"ANTHROPIC_API_KEY": "sk-own"}
ANN, BOB = "token-of-ann-0123456789", "token-of-bob-0123456789"


def test_a_past_is_read_from_the_records() -> None:
    records = [
        Record(Kind.OPENED, b"opening"),
        Record(Kind.ATTEMPT, begun.write(begun.Attempt("one", "first"))),
        Record(Kind.SHOWN, b"a", 1, 1),
        Record(Kind.SHOWN, b"b", 2, 1),
        Record(Kind.FACT, b'{"fact":"container","attempt":1,"id":"c"}'),
        Record(Kind.FACT, b"not json"),
        Record(Kind.ATTEMPT, begun.write(begun.Attempt("gone", "continue (turn)", 1.5, 9.0, True))),
    ]
    past = past_of(records, ["zero", "one"])
    assert [(attempt.upstream, attempt.shown, attempt.plan) for attempt in past.attempts] == [
        (1, b"ab", "first"),
        (None, b"", "continue (turn)"),
    ]
    assert past.facts == [{"fact": "container", "attempt": 1, "id": "c"}]
    assert (past.slept_s, past.elapsed_s, past.shown_live) == (1.5, 9.0, True)
    assert not past_of([], []).attempts


async def left_open(
    faults: FaultServer, path: Path, frames: int, *, tokens: Path | None, key: str
) -> tuple[Answer, list[Frame]]:
    """A stream that a gateway left open when it ended."""
    gateway = Gateway.build(settings(faults.url, journal=path, tokens=tokens), KEY)
    await gateway.start()
    answer = await ask(f"http://127.0.0.1:{gateway.port}", x_api_key=key)
    await answer.frames(frames)
    await gateway.aclose()
    seen = await answer.frames()
    await answer.close()
    assert seen.pop().name == "error"  # without a number: it is no frame of the stream
    return answer, seen


async def back(gateway: Gateway, answer: Answer, seen: list[Frame], key: str) -> list[Frame]:
    path = f"/midstream/streams/{answer.headers['midstream-stream-id']}"
    got = await ask(f"http://127.0.0.1:{gateway.port}", "GET", path, None, x_api_key=key, last_event_id=seen[-1].id)
    rest = await got.frames() if got.status == 200 else []
    assert got.status != 200 or got.whole
    await got.close()
    return rest


def test_what_the_gateways_own_credentials_made_goes_on_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        tokens, path = tokens_file(tmp_path), tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.01) as faults:
            answer, seen = await left_open(faults, path, 5, tokens=tokens, key=ANN)
            gateway = Gateway.build(settings(faults.url, journal=path, tokens=tokens, on_leave="finish"), KEY)
            await gateway.start()
            assert len(gateway.hub.running) == 1
            while gateway.hub.running:  # nobody has come back, and it is finished all the same
                await asyncio.sleep(0.01)
            assert not await back(gateway, answer, seen, BOB)
            assert text_of(seen + await back(gateway, answer, seen, ANN)) == SOURCE
            await gateway.aclose()

    run(story)


def test_what_the_clients_credentials_made_waits_for_that_client(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.01) as faults:
            answer, seen = await left_open(faults, path, 5, tokens=None, key="sk-client")
            gateway = Gateway.build(settings(faults.url, journal=path), KEY)
            await gateway.start()
            assert not gateway.hub.running
            assert not await back(gateway, answer, seen, "sk-other")
            assert not gateway.hub.running and len(faults.service.requests) == 1
            assert text_of(seen + await back(gateway, answer, seen, "sk-client")) == SOURCE
            assert all("sk-own" not in repr(attempt.headers) for attempt in faults.service.requests)
            await gateway.aclose()

    run(story)


def test_the_same_request_again_finds_the_stream_that_was_left_open(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.01) as faults:
            answer, seen = await left_open(faults, path, 5, tokens=None, key="sk-client")
            gateway = Gateway.build(settings(faults.url, journal=path), {})
            await gateway.start()
            url = f"http://127.0.0.1:{gateway.port}"
            again = await ask(url, x_api_key="sk-client", x_stainless_retry_count="1")
            frames = await again.frames()
            assert again.headers["midstream-stream-id"] == answer.headers["midstream-stream-id"]
            assert again.whole and frames[: len(seen)] == seen and text_of(frames) == SOURCE
            await again.close()
            await gateway.aclose()

    run(story)


def test_a_complete_stream_that_nobody_read_to_its_end_is_given_to_a_retry_once(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.002) as faults:
            gateway = Gateway.build(settings(faults.url, journal=path, on_leave="finish"), {})
            await gateway.start()
            url = f"http://127.0.0.1:{gateway.port}"
            answer = await ask(url)
            await answer.frames(2)
            await answer.close()
            while gateway.hub.running:
                await asyncio.sleep(0.01)
            ids = []
            for _ in range(2):
                again = await ask(url, x_stainless_retry_count="1")
                await again.read()
                ids.append(again.headers["midstream-stream-id"])
                await again.close()
            assert ids[0] == answer.headers["midstream-stream-id"] != ids[1]
            await gateway.aclose()

    run(story)


def test_a_stream_to_which_nobody_comes_back_is_given_up(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.01) as faults:
            answer, seen = await left_open(faults, path, 5, tokens=None, key="sk-client")
            gateway = Gateway.build(settings(faults.url, journal=path), {})
            await gateway.start()
            await gateway.lobby.give_up_old(0.0)
            assert len(await gateway.journal.open_streams()) == 1
            await gateway.lobby.give_up_old(4e9)
            url = f"http://127.0.0.1:{gateway.port}"
            got = await ask(
                url, "GET", f"/midstream/streams/{answer.headers['midstream-stream-id']}", None, x_api_key="sk-client"
            )
            frames = await got.frames()
            # On a busy machine the journal may have got a frame more than was read.
            assert frames[: len(seen)] == seen and not got.whole
            assert "message_stop" not in {frame.name for frame in frames}
            assert frames[-1].name == "error" and not frames[-1].id
            await got.close()
            await gateway.aclose()

    run(story)


def test_a_stream_that_waits_for_its_client_can_be_removed_by_it_and_by_nobody_else(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.01) as faults:
            answer, _ = await left_open(faults, path, 5, tokens=None, key="sk-client")
            gateway = Gateway.build(settings(faults.url, journal=path), {})
            await gateway.start()
            statuses = []
            for method, key in (("DELETE", "sk-other"), ("DELETE", "sk-client"), ("GET", "sk-client")):
                name = f"/midstream/streams/{answer.headers['midstream-stream-id']}"
                said = await ask(f"http://127.0.0.1:{gateway.port}", method, name, None, x_api_key=key)
                statuses.append(said.status)
                await said.close()
            assert statuses == [404, 204, 404]
            assert not await gateway.journal.open_streams() and len(faults.service.requests) == 1
            await gateway.aclose()

    run(story)


async def waiting(faults: FaultServer, path: Path, **changes: object) -> Gateway:
    """The next gateway on a journal; what was made with its clients' credentials waits for them."""
    gateway = Gateway.build(settings(faults.url, journal=path, **changes), {})
    await gateway.start()
    return gateway


def test_those_who_come_back_at_once_share_the_stream_and_strangers_get_none(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.02) as faults:
            await left_open(faults, path, 5, tokens=None, key="sk-client")
            gateway = await waiting(faults, path)
            (info,) = await gateway.journal.open_streams()
            lobby, asker = gateway.lobby, Asker(info.owner, brought=[(b"x-api-key", b"sk-client")])
            assert await lobby.adopt(info, Asker(b"somebody else", brought=[])) is None
            assert await lobby.adopted(b"another request", asker) is None
            one, two = await asyncio.gather(lobby.adopt(info, asker), lobby.adopted(info.key, asker))
            assert one is not None and one is two is await lobby.adopt(info, asker)
            assert await lobby.adopted(info.key, asker) is None  # it waits no more
            await lobby.give_up(info.id)  # nor can it be given up
            assert list(gateway.hub.running) == [info.id]
            await gateway.aclose()

    run(story)


async def ended(journal: Journal, id: str) -> None:
    """Waits until the journal holds the end of a stream."""
    while not any(record.kind is Kind.ENDED for record in await journal.read_all(id)):
        await asyncio.sleep(0.005)


BROKEN = {
    "no opening": b"",
    "an opening of another time": b"\xc1",
    "an opening without a body": opening.write(
        Call("/v1/messages", "", [], b"{", {}, "sse", True, "m"), signed=False, own_credentials=False
    ),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("at_start", [True, False])
def test_a_stream_of_which_nothing_can_be_made_is_ended(tmp_path: Path, data: bytes, at_start: bool) -> None:
    async def story() -> None:
        async with standing(journal=tmp_path / "j.sqlite3") as st:
            journal, lobby, asker = st.gateway.journal, st.gateway.lobby, Asker(b"o", brought=[])
            journal.create("ms-" + "0" * 32, owner=b"o", key=b"k", created_at=1.0, opening=data)
            (info,) = await journal.open_streams()
            if at_start:
                await lobby.open_up()
            if not at_start or lobby._waiting:  # it can be read as far as is needed to let it wait
                assert await lobby.adopt(info, asker) is None
            await lobby.give_up_old(4e9)
            assert not lobby._waiting and not st.gateway.hub.running
            await ended(journal, info.id)
            # Somebody else may have ended it first.
            assert await lobby.adopt(info, asker) is None
            lobby._waiting[info.id] = info
            await lobby.give_up(info.id)
            assert not lobby._waiting

    run(story)


def test_a_reply_that_is_not_whole_or_that_is_old_is_held_for_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with standing(journal=tmp_path / "j.sqlite3") as st:
            journal, lobby = st.gateway.journal, st.gateway.lobby
            endings = [b'{"outcome":"failed"}', b"[]", b'{"outcome":"complete"}']
            for number, ending in enumerate(endings):
                id = f"ms-{number:032}"
                writer = journal.create(id, owner=b"o", key=b"k", created_at=float(number), opening=b"")
                writer.append(Kind.ENDED, ending)
                await ended(journal, id)
            journal.create(f"ms-{3:032}", owner=b"o", key=b"k", created_at=3.0, opening=b"")
            found = await lobby.held(b"k", 0.0)
            assert found is not None and found.created_at == 2.0
            assert await lobby.held(b"k", 2.5) is None and await lobby.held(b"other", 0.0) is None
            st.gateway.hub.delivered.add(found.id)
            assert await lobby.held(b"k", 0.0) is None

    run(story)


def test_a_stream_that_was_ended_meanwhile_is_not_adopted(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "j.sqlite3"
        async with FaultServer("ok", pace_s=0.02) as faults:
            await left_open(faults, path, 5, tokens=None, key="sk-client")
            gateway = await waiting(faults, path)
            (info,) = await gateway.journal.open_streams()
            records = await gateway.journal.read_all(info.id)
            (await gateway.journal.adopt(info.id)).append(Kind.ENDED, b"{}")
            found = opening.read(records[0].data)
            assert found is not None
            assert await gateway.lobby._adopt(info, found, records, Asker(info.owner, brought=[])) is None
            await gateway.aclose()

    run(story)
