"""What is put side by side: midstream, the bare SDK, botocore; each reads the same chunks.

Rule: a side is made ready first and runs then; what it gives is the CPU time of the run alone. Clients, requests and
bodies that are not part of the claim are made before the clock is read.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from time import process_time
from typing import Any

import anthropic
import httpx2
from botocore.eventstream import EventStreamBuffer

import midstream
from bench.bodies import MODEL
from midstream.protocol.dialects import Anthropic, Bedrock
from midstream.protocol.message import Message, State
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.steps import Done, Opened, Received

Side = Callable[[], float]
"""Runs once; CPU seconds."""

CALL: dict[str, Any] = {"model": MODEL, "max_tokens": 100_000, "messages": [{"role": "user", "content": "Go on."}]}
_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "request-id": "req_1"}


class _Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that lies in memory."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


class _Transport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """A service that gives every request the same reply, at once."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=_HEADERS, stream=_Body(self._chunks), request=request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.handle_request(request)


def typed(dialect: type[Anthropic] | type[Bedrock], chunks: list[bytes], repeats: int = 1) -> Side:
    """midstream: typed events, each checked by the state table and added to the message; the message at the end."""

    def run() -> float:
        began = process_time()
        for _ in range(repeats):
            frames, message = dialect(), Message()
            receive, check = frames.receive, message.receive
            for chunk in chunks:
                for event in receive(chunk):
                    if check(event) is not None:  # type: ignore[arg-type]
                        raise AssertionError("the reply of the bench is not legal")
            message.snapshot()
        spent_s = process_time() - began
        assert message.state is State.COMPLETE
        return spent_s / repeats

    return run


def engine(chunks: list[bytes], repeats: int = 1) -> Side:
    """midstream's whole engine on an unbroken reply: decoding, commit rule, watchdogs."""

    def run() -> float:
        began = process_time()
        for _ in range(repeats):
            machine = Engine(Request(CALL), Policy(), Surroundings(jitter=lambda: 0.5))
            machine.start(0.0)
            step = machine.receive(Opened(200, _HEADERS), 0.1)
            for chunk in chunks:
                step = machine.receive(Received(chunk), 0.2)
        spent_s = process_time() - began
        assert step.wait == Done(), step
        return spent_s / repeats

    return run


def botocore_frames(chunks: list[bytes]) -> Side:
    """botocore: frames alone, their checksums and headers; what is in them is not looked at."""

    def run() -> float:
        buffer = EventStreamBuffer()
        began = process_time()
        for chunk in chunks:
            buffer.add_data(chunk)
            for _ in buffer:
                pass
        return process_time() - began

    return run


def sdk_stream(chunks: list[bytes]) -> Side:
    """The SDK's `Stream`: typed events. The request has been sent before the clock starts."""
    client = _client(chunks)

    def run() -> float:
        with client.messages.create(**CALL, stream=True) as stream:
            began = process_time()
            for _ in stream:
                pass
            return process_time() - began

    return run


def sdk_message_stream(chunks: list[bytes]) -> Side:
    """The SDK's `MessageStream`: typed events, and the message at the end. The request has been sent before."""
    client = _client(chunks)

    def run() -> float:
        with client.messages.stream(**CALL) as stream:
            began = process_time()
            for _ in stream:
                pass
            stream.get_final_message()
            return process_time() - began

    return run


def call(chunks: list[bytes], *, recovery: bool) -> Side:
    """One whole `messages.stream()`, from the call to the final message, with or without the middleware."""
    client = _client(chunks, recovery=recovery)

    def run() -> float:
        began = process_time()
        with client.messages.stream(**CALL) as stream:
            for _ in stream:
                pass
            message = stream.get_final_message()
        spent_s = process_time() - began
        assert message.stop_reason == "end_turn"
        return spent_s

    return run


def async_call(chunks: list[bytes], *, recovery: bool) -> Side:
    """The same for the asynchronous client. The event loop runs before the clock starts."""

    async def run() -> float:
        http_client = httpx2.AsyncClient(transport=_Transport(chunks))
        client = anthropic.AsyncAnthropic(api_key="none", http_client=http_client, middleware=_middleware(recovery))
        began = process_time()
        async with client.messages.stream(**CALL) as stream:
            async for _ in stream:
                pass
            message = await stream.get_final_message()
        spent_s = process_time() - began
        assert message.stop_reason == "end_turn"
        await client.close()
        return spent_s

    return lambda: asyncio.run(run())


def _client(chunks: list[bytes], *, recovery: bool = False) -> anthropic.Anthropic:
    http_client = httpx2.Client(transport=_Transport(chunks))
    return anthropic.Anthropic(api_key="none", http_client=http_client, middleware=_middleware(recovery))


def _middleware(recovery: bool) -> list[Any]:
    return [midstream.Recovery()] if recovery else []
