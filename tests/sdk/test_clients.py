"""Every client of the SDK, every way of calling: what works with the plain SDK works the same, and heals besides."""

import hashlib
import hmac
import json
from typing import Any

import anthropic
import httpx2
import pytest

import midstream
from midstream.faults.server import FaultServer
from tests.sdk.calls import (
    ALL_WAYS,
    ASKED,
    AWS,
    FOUR_WAYS,
    MAKERS,
    PLAIN,
    SIGNED_BEDROCK,
    Maker,
    Playing,
    Way,
    at,
    call,
    over,
)

QUICK = midstream.Policy(backoff_s=(0, 0))
BROKEN = "cut-clean@fraction=0.4; then ok"
BEDROCK = tuple(maker for maker in MAKERS if maker.name == "AnthropicBedrock")
everyone = pytest.mark.parametrize("maker", MAKERS, ids=str)
every_way = pytest.mark.parametrize("way", ALL_WAYS, ids=str)


def without_usage(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "usage"}


@everyone
@every_way
def test_an_unbroken_stream_is_what_the_plain_sdk_gives(maker: Maker, way: Way) -> None:
    bare, ours = Playing(), Playing()
    expected = call(way, over(bare, maker))
    seen = call(way, over(ours, maker, middleware=[midstream.Recovery(QUICK)]))
    assert expected.error is None and expected.message["stop_reason"] == "end_turn"
    assert (seen.events, seen.message, seen.error) == (expected.events, expected.message, None)
    assert [body for _, body in ours.sent] == [body for _, body in bare.sent]
    assert ours.open_streams == 0


@everyone
@every_way
def test_a_broken_stream_comes_out_whole(maker: Maker, way: Way) -> None:
    playing = Playing(BROKEN)
    expected = call(way, over(Playing(), maker))
    seen = call(way, over(playing, maker, middleware=[midstream.Recovery(QUICK)]))
    assert seen.error is None
    assert without_usage(seen.message) == without_usage(expected.message)
    assert seen.report is not None and seen.report.outcome == "complete"
    assert len(playing.sent) == len(seen.report.attempts) == 2
    assert playing.open_streams == 0


@pytest.mark.sockets
@pytest.mark.parametrize("maker", BEDROCK, ids=str)
@every_way
def test_bedrock_heals_over_sockets(maker: Maker, way: Way) -> None:
    with FaultServer(
        "bad-crc@event=30; then cut-rst@fraction=0.6; then throttlingException@event=9; then ok"
    ) as server:
        expected = call(way, over(Playing(), maker))
        seen = call(way, at(server.url, maker, middleware=[midstream.Recovery(QUICK)]))
        assert seen.error is None
        assert without_usage(seen.message) == without_usage(expected.message)
        assert [str(attempt.wire) for attempt in server.requests] == ["bedrock"] * 4


@everyone
@pytest.mark.parametrize("beta", [False, True], ids=["plain", "beta"])
def test_raw_and_streaming_responses_heal_too(maker: Maker, beta: bool) -> None:
    with over(Playing(BROKEN), maker, middleware=[midstream.Recovery(QUICK)])(is_async=False) as client:
        messages = (client.beta if beta else client).messages
        raw = messages.with_raw_response.create(**ASKED, stream=True)
        assert raw.status_code == 200
        events = list(raw.parse())
        assert events[0].type == "message_start" and events[-1].type == "message_stop"
        assert midstream.report(raw).recoveries == 1
        assert raw.http_response.is_closed and raw.elapsed.total_seconds() >= 0
    with over(Playing(BROKEN), maker, middleware=[midstream.Recovery(QUICK)])(is_async=False) as client:
        messages = (client.beta if beta else client).messages
        with messages.with_streaming_response.create(**ASKED, stream=True) as response:
            assert b"".join(response.iter_bytes()).count(b"event: message_stop") == (maker.wire == "sse")
            assert midstream.report(response).recoveries == 1


@pytest.mark.anyio
@everyone
@pytest.mark.parametrize("beta", [False, True], ids=["plain", "beta"])
async def test_raw_and_streaming_responses_heal_too_async(maker: Maker, beta: bool) -> None:
    async with over(Playing(BROKEN), maker, middleware=[midstream.Recovery(QUICK)])(is_async=True) as client:
        messages = (client.beta if beta else client).messages
        raw = await messages.with_raw_response.create(**ASKED, stream=True)
        parsed = raw.parse()
        stream = await parsed if hasattr(parsed, "__await__") else parsed
        events = [event async for event in stream]
        assert events[0].type == "message_start" and events[-1].type == "message_stop"
        assert midstream.report(raw).recoveries == 1
    async with over(Playing(BROKEN), maker, middleware=[midstream.Recovery(QUICK)])(is_async=True) as client:
        messages = (client.beta if beta else client).messages
        async with messages.with_streaming_response.create(**ASKED, stream=True) as response:
            received = b"".join([chunk async for chunk in response.iter_bytes()])
            assert received.count(b"event: message_stop") == (maker.wire == "sse")
            assert midstream.report(response).recoveries == 1


# --- what each attempt sends ----------------------------------------------------------------------------------------


def expected_signature(request: httpx2.Request, body: bytes) -> tuple[str, str]:
    """The SigV4 signature that the request has, and the one that it should have (AWS's documentation, step by step)."""
    words = request.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", ")
    said = dict(word.split("=", 1) for word in words)
    _, day, region, service, _ = said["Credential"].split("/")
    signed = said["SignedHeaders"].split(";")
    lines = [f"{name}:{' '.join(request.headers[name].split())}" for name in signed]
    digest = hashlib.sha256(body).hexdigest()
    path, _, query = request.url.raw_path.decode().partition("?")
    canonical = "\n".join([request.method, path, query, *lines, "", said["SignedHeaders"], digest])
    scope = f"{day}/{region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, hashed])
    key = ("AWS4" + AWS["aws_secret_key"]).encode()
    for part in (day, region, service, "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    return said["Signature"], key.hex()


@pytest.mark.parametrize("maker", [maker for maker in MAKERS if maker.signs], ids=str)
@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_each_attempt_is_signed_anew(maker: Maker, way: Way) -> None:
    playing = Playing(BROKEN)
    seen = call(way, over(playing, maker, middleware=[midstream.Recovery(QUICK)]))
    assert seen.error is None and len(playing.sent) == 2
    signatures = [expected_signature(request, body) for request, body in playing.sent]
    assert all(has == should for has, should in signatures)
    assert signatures[0] != signatures[1]


@pytest.mark.parametrize("maker", BEDROCK, ids=str)
@pytest.mark.parametrize("way", ALL_WAYS, ids=str)
def test_bedrock_is_asked_to_continue_in_its_own_form(maker: Maker, way: Way) -> None:
    playing = Playing(BROKEN)
    call(way, over(playing, maker, middleware=[midstream.Recovery(QUICK)]), system="Be brief.")
    (first, first_body), (second, second_body) = playing.sent
    assert first.url.path == second.url.path == "/model/claude-sonnet-5-5/invoke-with-response-stream"
    asked, again = json.loads(first_body), json.loads(second_body)
    assert again["anthropic_version"] == asked["anthropic_version"]
    assert not {"model", "stream"} & set(again)
    assert again["messages"][:1] == asked["messages"] and len(again["messages"]) == 3
    assert {name: value for name, value in again.items() if name not in ("messages", "max_tokens")} == {
        name: value for name, value in asked.items() if name not in ("messages", "max_tokens")
    }


@pytest.mark.parametrize("way", FOUR_WAYS, ids=str)
def test_extra_parts_of_the_call_are_in_each_attempt(way: Way) -> None:
    playing = Playing(BROKEN)
    call(
        way,
        over(playing, middleware=[midstream.Recovery(QUICK)]),
        extra_body={"made_up": {"a": 1}},
        extra_headers={"x-mine": "yes"},
        extra_query={"q": "1"},
    )
    assert len(playing.sent) == 2
    for request, body in playing.sent:
        assert json.loads(body)["made_up"] == {"a": 1}
        assert request.headers["x-mine"] == "yes" and request.url.params["q"] == "1"


def test_the_request_of_the_caller_is_not_changed() -> None:
    asked = {**ASKED, "messages": [{"role": "user", "content": [{"type": "text", "text": "Tell me."}]}]}
    before = json.dumps(asked)
    seen = call(FOUR_WAYS[0], over(Playing(BROKEN), middleware=[midstream.Recovery(QUICK)]), **asked)
    assert seen.error is None and json.dumps(asked) == before


# --- what is none of our business -----------------------------------------------------------------------------------

OTHERS = {
    "create": lambda client: client.messages.create(**ASKED),
    "beta create": lambda client: client.beta.messages.create(**ASKED),
    "raw create": lambda client: client.messages.with_raw_response.create(**ASKED).parse(),
    "count_tokens": lambda client: client.messages.count_tokens(model=ASKED["model"], messages=ASKED["messages"]),
    "models": lambda client: client.models.list(),
    "batches": lambda client: client.messages.batches.list(),
    "another stream": lambda client: client.post(
        "/v1/complete", body={"stream": True}, cast_to=object, stream=True, stream_cls=anthropic.Stream[object]
    ),
    "post": lambda client: client.post("/v1/made/up", body={"a": [1, 2]}, cast_to=object),
}


class Nothing(anthropic.Middleware):
    """What the SDK sends as soon as there is any middleware: a header of its own says so."""

    def handle(self, request: anthropic.APIRequest, call_next: Any) -> Any:
        return call_next(request)

    async def handle_async(self, request: anthropic.APIRequest, call_next: Any) -> Any:
        return await call_next(request)


def on_the_wire(playing: Playing) -> list[Any]:
    return [(r.method, str(r.url), sorted(r.headers.items()), body) for r, body in playing.sent]


@pytest.mark.parametrize("other", OTHERS)
def test_other_calls_pass_through_untouched(other: str) -> None:
    results, wires = [], []
    for middleware in ([Nothing()], [midstream.Recovery(QUICK)]):
        playing = Playing("ok")
        with over(playing, max_retries=0, middleware=middleware)(is_async=False) as client:
            try:
                results.append(str(OTHERS[other](client)))
            except anthropic.APIStatusError as error:
                results.append(f"{type(error)} {error}")
        wires.append(on_the_wire(playing))
    assert wires[0] == wires[1] != []
    assert results[0] == results[1]


@pytest.mark.anyio
@pytest.mark.parametrize("other", ["create", "count_tokens", "models"])
async def test_other_calls_pass_through_untouched_async(other: str) -> None:
    wires = []
    for middleware in ([Nothing()], [midstream.Recovery(QUICK)]):
        playing = Playing("ok")
        async with over(playing, max_retries=0, middleware=middleware)(is_async=True) as client:
            try:
                await OTHERS[other](client)
            except anthropic.APIStatusError:
                assert other == "models"
        wires.append(on_the_wire(playing))
    assert wires[0] == wires[1] != []


@pytest.mark.parametrize("way", ALL_WAYS, ids=str)
def test_switched_off_it_is_the_plain_sdk(way: Way) -> None:
    wires, seen = [], []
    for middleware in ([Nothing()], [midstream.Recovery(QUICK, enabled=False)]):
        playing = Playing("cut-clean@fraction=0.4")
        seen.append(call(way, over(playing, middleware=middleware)))
        wires.append(on_the_wire(playing))
    assert wires[0] == wires[1]
    assert (seen[0].events, type(seen[0].error)) == (seen[1].events, type(seen[1].error))
    assert seen[1].report is None


def test_one_recovery_serves_many_clients() -> None:
    recovery = midstream.Recovery(QUICK)
    for maker in (PLAIN, SIGNED_BEDROCK):
        for way in FOUR_WAYS:
            assert call(way, over(Playing(BROKEN), maker, middleware=[recovery])).error is None
