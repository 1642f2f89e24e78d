"""The players in the process: a clock that jumps, and errors that are those of a real transport."""

import asyncio
from typing import Any

import anthropic
import httpx2
import pytest

from midstream.faults.catalogue import KINDS, Wire
from midstream.faults.reply import Reply
from midstream.faults.script import parse_fault
from midstream.faults.server import FaultServer
from midstream.faults.transport import AsyncHTTPXTransport, AsyncScriptedTransport, HTTPXTransport, ScriptedTransport
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep
from tests.faults.raw import BEDROCK_PATH, REQUEST

REPLY = Reply.builtin("everything")
BODY: dict[Wire, bytes] = {
    "sse": b"".join(frame.raw for frame in REPLY.frames("sse")),
    "bedrock": b"".join(frame.raw for frame in REPLY.frames("bedrock")),
}


def scripted(script: str = "ok", **options: Any) -> ScriptedTransport:
    return ScriptedTransport(script, REPLY, request=REQUEST, **options)


def run(transport: ScriptedTransport, silence_s: float = 60.0) -> tuple[Input, list[bytes], Input | None]:
    """Open, and read until something else than bytes is reported; ten hours of pings are enough."""
    opened = transport.perform(Open(None, deadline=transport.now + silence_s, connect_s=5.0))
    chunks: list[bytes] = []
    if not isinstance(opened, Opened):
        return opened, chunks, None
    until = transport.now + 36_000
    while transport.now < until:
        read = transport.perform(Read(transport.now + silence_s))
        if not isinstance(read, Received):
            return opened, chunks, read
        chunks.append(read.data)
    return opened, chunks, None


ENDS: dict[str, Input | None] = {
    "cut-clean": Ended(),
    "cut-fin": Broke("incomplete"),
    "cut-rst": Broke("reset"),
    "broken-chunk": Broke("protocol"),
    "gzip-cut": Ended(),
    "gzip-bad": Broke("decoding"),
    "silence": Elapsed(),
    "trickle-size": Elapsed(),
}


@pytest.mark.parametrize("wire", ["sse", "bedrock"])
@pytest.mark.parametrize("name", ENDS)
def test_a_cut_hands_on_what_came_before_it_and_then_names_what_happened(name: str, wire: Wire) -> None:
    for at in (0, 1, 900, len(BODY[wire])):
        opened, chunks, end = run(scripted(f"{name}@byte={at}", wire=wire))
        assert isinstance(opened, Opened) and opened.status == 200
        assert (b"".join(chunks), end) == (BODY[wire][:at], ENDS[name])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("refused", Broke("connect")),
        ("closed-early", Broke("closed")),
        ("reset-early", Broke("reset")),
        ("half-headers", Broke("protocol")),
        ("silent-early", Elapsed()),
    ],
)
def test_a_response_that_never_begins_is_reported_at_the_opening(name: str, told: Input) -> None:
    transport = scripted(name)
    assert run(transport, silence_s=30.0) == (told, [], None)
    assert transport.now == (30.0 if name == "silent-early" else 0.0)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_fault_ends_in_finite_time(kind: Any) -> None:
    for wire in kind.wires:
        transport = scripted(kind.name, wire=wire)
        run(transport)
        assert transport.requests[0].fault.name == kind.name


def test_every_fault_sends_the_same_bytes_in_the_process_and_over_sockets() -> None:
    names = [
        kind.name for kind in KINDS if kind.stage == "stream" and not kind.name.startswith(("pings", "trickle", "gzip"))
    ]
    with FaultServer(reply=REPLY) as server, httpx2.Client(trust_env=False, timeout=0.3) as client:
        for name in names:
            for wire in parse_fault(name).kind.wires:
                path = "/v1/messages" if wire == "sse" else BEDROCK_PATH
                received = bytearray()
                try:
                    headers = {"x-midstream-fault": name, "x-midstream-key": f"{name} {wire}"}
                    with client.stream("POST", server.url + path, json=REQUEST, headers=headers) as response:
                        for piece in response.iter_raw():
                            received += piece
                except httpx2.TransportError:
                    pass
                played = b"".join(run(scripted(name, wire=wire))[1])
                # The ids of requests are counted, and padding follows from them: only an error's own frame differs.
                same = len(played) - 700 if b"req_" in played or wire == "bedrock" else len(played)
                assert received[:same] == played[:same] and abs(len(received) - len(played)) < 64, name


@pytest.mark.parametrize("chunking", ["whole", "events", "bytes", 7, "random:1", "random:2"])
def test_any_chunking_is_the_same_body(chunking: Any) -> None:
    _, chunks, end = run(scripted(chunking=chunking))
    assert b"".join(chunks) == BODY["sse"] and end == Ended() and all(chunks)
    sizes = {len(chunk) for chunk in chunks}
    assert {"whole": len(chunks) == 1, "bytes": sizes == {1}, 7: len(sizes) <= 2 and max(sizes) == 7}.get(
        chunking, len(sizes) > 2
    )
    assert run(scripted(chunking=chunking))[1] == chunks


def test_one_event_is_one_chunk() -> None:
    assert run(scripted(chunking="events"))[1] == [frame.raw for frame in REPLY.frames("sse")]


def test_the_clock_jumps_to_the_deadline_and_never_before_it() -> None:
    transport = scripted("silence@event=1", now=100.0)
    transport.perform(Open(None, 160.0, 5.0))
    transport.perform(Read(160.0))
    assert transport.now == 100.0
    assert transport.perform(Read(142.0)) == Elapsed() and transport.now == 142.0
    assert transport.perform(Sleep(150.0)) == Elapsed() and transport.clock() == 150.0


def test_a_pause_that_is_longer_than_the_wait_goes_on_in_the_next_one() -> None:
    transport = scripted("trickle@byte=0 every=10")
    transport.perform(Open(None, 60.0, 5.0))
    assert transport.perform(Read(4.0)) == Elapsed() and transport.now == 4.0
    assert transport.perform(Read(60.0)) == Received(BODY["sse"][:1]) and transport.now == 10.0


def test_pings_come_for_ever() -> None:
    transport = scripted("pings-only@event=2 every=10")
    _, chunks, end = run(transport)
    assert end is None and transport.now >= 36_000 and b"ping" in chunks[-1]


def test_sleeping_drops_the_connection_and_opening_again_is_the_next_attempt() -> None:
    transport = scripted("cut-clean@event=3; ok")
    transport.perform(Open(None, 60.0, 5.0))
    transport.perform(Sleep(2.0))
    assert transport.perform(Read(3.0)) == Elapsed()
    _, chunks, end = run(transport)
    assert (b"".join(chunks), end, transport.opened_at) == (BODY["sse"], Ended(), [0.0, 3.0])
    assert [attempt.number for attempt in transport.requests] == [1, 2]


def test_the_body_of_the_open_is_what_is_asked() -> None:
    transport = scripted()
    transport.perform(Open({**REQUEST, "model": "claude-haiku-4-5"}, 60.0, 5.0))
    assert transport.requests[0].request["model"] == "claude-haiku-4-5"


def test_two_transports_on_one_service_are_two_streams() -> None:
    first = scripted("503; ok")
    second = ScriptedTransport(service=first.service, request=REQUEST)
    assert [run(first)[0], run(second)[0]] == [
        Opened(503, {**H, "request-id": "req_00000001"}),
        Opened(503, {**H, "request-id": "req_00000002"}),
    ]


H = {"content-type": "application/json"}


def test_nothing_is_left_to_do_when_it_is_done() -> None:
    with pytest.raises(AssertionError):
        scripted().perform(Done())


def test_the_asynchronous_twin_says_the_same() -> None:
    async def both() -> list[Input]:
        twin = AsyncScriptedTransport("cut-rst@event=1", REPLY, request=REQUEST)
        told = [
            await twin.perform(Open(None, 60.0, 5.0)),
            await twin.perform(Read(60.0)),
            await twin.perform(Read(60.0)),
        ]
        await twin.close()
        return [*told, await twin.perform(Read(61.0))]

    opened, received, broke, after = asyncio.run(both())
    assert isinstance(opened, Opened) and received == Received(REPLY.frames("sse")[0].raw)
    assert (broke, after) == (Broke("reset"), Elapsed())


# --- over httpx2 --------------------------------------------------------------------------------------------------

# What a real client meets, by fault; the names that are not here meet nothing that httpx2 would raise.
RAISED: dict[str, type[Exception]] = {
    "cut-fin": httpx2.RemoteProtocolError,
    "cut-rst": httpx2.ReadError,
    "broken-chunk": httpx2.RemoteProtocolError,
    "gzip-bad": httpx2.DecodingError,
    "silence": httpx2.ReadTimeout,
    "trickle-size": httpx2.ReadTimeout,
    "reset-after-stop": httpx2.ReadError,
    "stall-after-stop": httpx2.ReadTimeout,
    "refused": httpx2.ConnectError,
    "closed-early": httpx2.RemoteProtocolError,
    "reset-early": httpx2.ReadError,
    "half-headers": httpx2.RemoteProtocolError,
    "silent-early": httpx2.ReadTimeout,
}
ENDLESS = ("pings-only", "trickle")
# Over a socket: a refused connection was accepted and then reset, and a size that trickles is no silence.
OTHERWISE: dict[str, type[Exception]] = {"refused": httpx2.ReadError}


def met(client: httpx2.Client, url: str, name: str) -> type[Exception] | None:
    try:
        with client.stream("POST", url, json=REQUEST, headers={"x-midstream-fault": f"always {name}"}) as response:
            for _ in response.iter_bytes():
                pass
    except httpx2.HTTPError as problem:
        return type(problem)
    return None


@pytest.mark.parametrize("name", [kind.name for kind in KINDS if "sse" in kind.wires and kind.name not in ENDLESS])
def test_a_client_meets_in_the_process_what_it_would_meet(name: str) -> None:
    transport = HTTPXTransport(reply=REPLY)
    with httpx2.Client(transport=transport, timeout=40.0) as client:
        assert met(client, "http://played/v1/messages", name) is RAISED.get(name)
    assert transport.open_streams == 0
    assert transport.now == (40.0 if RAISED.get(name) is httpx2.ReadTimeout else 0.0)


def test_a_client_meets_the_same_over_sockets() -> None:
    names = [name for name in (*RAISED, "ok", "cut-clean", "gzip-cut", "http-529") if name != "trickle-size"]
    with FaultServer(reply=REPLY) as server, httpx2.Client(trust_env=False, timeout=0.3) as client:
        found = {name: met(client, f"{server.url}/v1/messages", name) for name in names}
    assert found == {name: OTHERWISE.get(name, RAISED.get(name)) for name in names}


CLIENTS: dict[str, dict[str, Any]] = {
    "Anthropic": {"api_key": "k"},
    "AnthropicBedrock": {"aws_access_key": "k", "aws_secret_key": "s", "aws_region": "us-east-1"},
    "AnthropicVertex": {"access_token": "t", "project_id": "p", "region": "europe-west1"},
    "AnthropicFoundry": {"api_key": "k", "resource": "r"},
}


@pytest.mark.parametrize("name", CLIENTS)
def test_official_clients_of_every_kind_run_on_it(name: str) -> None:
    transport = HTTPXTransport(reply=REPLY, chunking="random:5")
    with httpx2.Client(transport=transport) as http:
        client = getattr(anthropic, name)(**CLIENTS[name], http_client=http)
        with client.messages.stream(model="claude-sonnet-5-5", max_tokens=9, messages=REQUEST["messages"]) as stream:
            message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert transport.requests[0].wire == ("bedrock" if name == "AnthropicBedrock" else "sse")


@pytest.mark.parametrize("name", CLIENTS)
def test_asynchronous_clients_of_every_kind_run_on_its_twin(name: str) -> None:
    transport = AsyncHTTPXTransport(reply=REPLY)

    async def message() -> Any:
        async with httpx2.AsyncClient(transport=transport) as http:
            client = getattr(anthropic, name.replace("Anthropic", "AsyncAnthropic"))(**CLIENTS[name], http_client=http)
            async with client.messages.stream(
                model="claude-sonnet-5-5", max_tokens=9, messages=REQUEST["messages"]
            ) as stream:
                return await stream.get_final_message()

    assert asyncio.run(message()).content[1].text == REPLY.blocks[1].text
    assert (transport.open_streams, len(transport.requests), transport.now) == (0, 1, 0.0)


def test_an_asynchronous_client_meets_the_error_of_its_fault() -> None:
    async def met() -> None:
        async with httpx2.AsyncClient(transport=AsyncHTTPXTransport("cut-rst")) as client:
            await client.post("http://played/v1/messages", json={**REQUEST})

    with pytest.raises(httpx2.ReadError):
        asyncio.run(met())


def test_the_limit_of_a_read_is_asked_for_anew_at_each_read() -> None:
    transport = HTTPXTransport("trickle@byte=0 every=10")
    with httpx2.Client(transport=transport, timeout=30.0) as client:
        request = client.build_request("POST", "http://played/v1/messages", json=REQUEST)
        response = client.send(request, stream=True)
        chunks = response.iter_raw()
        assert len(next(chunks)) == 1 and transport.now == 10.0
        request.extensions["timeout"]["read"] = 5.0
        with pytest.raises(httpx2.ReadTimeout):
            next(chunks)
        assert transport.now == 15.0
        response.close()
    assert transport.open_streams == 0


def test_whoever_wants_to_wait_really_waits() -> None:
    waited: list[float] = []
    transport = HTTPXTransport("trickle@100%-2 every=10", wait=waited.append)
    with httpx2.Client(transport=transport, timeout=30.0) as client:
        client.post("http://played/v1/messages", json=REQUEST)
    assert waited == [10.0, 10.0]
