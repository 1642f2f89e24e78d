"""Every way of making a streamed call, with every client of the SDK: one word for each, and what came of it.

Rule: what the consumer saw is put down by the SDK's own hands; nothing of midstream is asked.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import anthropic
import httpx2
import pytest

import midstream
from midstream.faults.transport import AsyncHTTPXTransport, HTTPXTransport
from tests.wire import folded

Fields = dict[str, Any]

ASKED: Fields = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "Tell me a long story."}],
}
SEEN = frozenset(
    (
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    )
)


class Way(NamedTuple):
    """One way of calling."""

    method: str
    """``create`` or ``stream``."""
    is_async: bool
    beta: bool = False

    def __str__(self) -> str:
        return f"{'async' if self.is_async else 'sync'}-{'beta-' if self.beta else ''}{self.method}"


FOUR_WAYS = tuple(Way(method, is_async) for is_async in (False, True) for method in ("create", "stream"))
ALL_WAYS = FOUR_WAYS + tuple(way._replace(beta=True) for way in FOUR_WAYS)

AWS = {"aws_access_key": "AKIAIOSFODNN7EXAMPLE", "aws_secret_key": "not-a-secret", "aws_region": "us-east-1"}


class Maker(NamedTuple):
    """How one of the SDK's clients is made."""

    name: str
    """The class's name; its async twin is ``Async…``."""
    arguments: Mapping[str, Any]
    wire: str = "sse"
    signs: bool = False
    """Each request has a signature that covers its body."""

    def __str__(self) -> str:
        return self.name + ("" if not self.signs else "-signed")

    def make(self, *, is_async: bool, **options: Any) -> Any:
        module = anthropic.lib.bedrock if "Mantle" in self.name else anthropic  # type: ignore[attr-defined]
        client = getattr(module, ("Async" if is_async else "") + self.name)
        return client(**{**self.arguments, **options})


PLAIN = Maker("Anthropic", {"api_key": "sk-ant-secret"})
SIGNED_BEDROCK = Maker("AnthropicBedrock", AWS, "bedrock", signs=True)
MAKERS = (
    PLAIN,
    SIGNED_BEDROCK,
    Maker("AnthropicBedrock", {"api_key": "bearer-secret", "aws_region": "us-east-1"}, "bedrock"),
    Maker("AnthropicVertex", {"region": "us-east5", "project_id": "p", "access_token": "token-secret"}),
    Maker("AnthropicFoundry", {"api_key": "foundry-secret", "resource": "r"}),
    Maker(
        "AnthropicGoogleCloud",
        {"project": "p", "location": "us-east5", "workspace_id": "wrkspc_1", "token_provider": lambda: "token-secret"},
    ),
    Maker("AnthropicBedrockMantle", AWS, signs=True),
    Maker("AnthropicBedrockMantle", {"api_key": "bearer-secret", "aws_region": "us-east-1"}),
    Maker("AnthropicAWS", {**AWS, "workspace_id": "wrkspc_1"}, signs=True),
)


@dataclass
class Seen:
    """What the consumer saw of one call."""

    events: list[Fields] = field(default_factory=list)
    message: Fields = field(default_factory=dict)
    """What the SDK's own helper made of it; for ``create`` what the events add up to."""
    error: BaseException | None = None
    report: midstream.Report | None = None
    took_s: float = 0.0

    @property
    def so_far(self) -> Fields:
        """What the events add up to, whole or not."""
        message = folded(self.events)
        message.pop("ended", None)
        return message

    def note(self, event: Any) -> None:
        plain = event.to_dict(warnings=False) if event.type in SEEN else None
        if plain is not None:
            plain.pop("snapshot", None)
            # The helper hands out its own steps between those of the wire.
            if plain["type"] == "content_block_stop":
                plain.pop("content_block", None)
            if plain["type"] == "message_stop":
                plain.pop("message", None)
            self.events.append(plain)


def call(way: Way, connect: Callable[..., Any], **asked: Any) -> Seen:
    """Makes the call and reads it to its end, whatever that is."""
    return asyncio.run(_acall(way, connect, asked)) if way.is_async else _call(way, connect, asked)


def _call(way: Way, connect: Callable[..., Any], asked: Fields) -> Seen:
    seen, began_at = Seen(), time.monotonic()
    with connect(is_async=False) as client:
        messages = client.beta.messages if way.beta else client.messages
        try:
            if way.method == "create":
                stream = messages.create(**{**ASKED, **asked}, stream=True)
                for event in stream:
                    seen.note(event)
                _keep_report(seen, stream)
                seen.message = seen.so_far
            else:
                with messages.stream(**{**ASKED, **asked}) as stream:
                    for event in stream:
                        seen.note(event)
                    seen.message = stream.get_final_message().to_dict(warnings=False)
                    _keep_report(seen, stream)
        except Exception as error:
            seen.error = error
        seen.took_s = time.monotonic() - began_at
    return seen


async def _acall(way: Way, connect: Callable[..., Any], asked: Fields) -> Seen:
    seen, began_at = Seen(), time.monotonic()
    async with connect(is_async=True) as client:
        messages = client.beta.messages if way.beta else client.messages
        try:
            if way.method == "create":
                stream = await messages.create(**{**ASKED, **asked}, stream=True)
                async for event in stream:
                    seen.note(event)
                _keep_report(seen, stream)
                seen.message = seen.so_far
            else:
                async with messages.stream(**{**ASKED, **asked}) as stream:
                    async for event in stream:
                        seen.note(event)
                    seen.message = (await stream.get_final_message()).to_dict(warnings=False)
                    _keep_report(seen, stream)
        except Exception as error:
            seen.error = error
        seen.took_s = time.monotonic() - began_at
    return seen


def _keep_report(seen: Seen, stream: Any) -> None:
    try:
        seen.report = midstream.report(stream)
    except TypeError:
        pass  # the bare SDK


def over(transport: Any, maker: Maker = PLAIN, **options: Any) -> Callable[..., Any]:
    """A way to make the client over a transport inside the process: ``transport(is_async)`` makes that."""

    def connect(*, is_async: bool) -> Any:
        kind: Any = httpx2.AsyncClient if is_async else httpx2.Client
        return maker.make(is_async=is_async, http_client=kind(transport=transport(is_async)), **options)

    return connect


def at(url: str, maker: Maker = PLAIN, **options: Any) -> Callable[..., Any]:
    """A way to make the client over sockets."""

    def connect(*, is_async: bool) -> Any:
        # Nothing here is encrypted: loading the certificates would be most of the work of a test.
        kind: Any = anthropic.DefaultAsyncHttpxClient if is_async else anthropic.DefaultHttpxClient
        return maker.make(is_async=is_async, base_url=url, http_client=kind(verify=False), **options)

    return connect


class Recording(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Notes what is really sent, and passes it on to a player."""

    def __init__(self, player: Any) -> None:
        self.player = player
        self.sent: list[tuple[httpx2.Request, bytes]] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append((request, request.read()))
        answer: httpx2.Response = self.player.handle_request(request)
        return answer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append((request, await request.aread()))
        answer: httpx2.Response = await self.player.handle_async_request(request)
        return answer


class Playing:
    """Makes the players of one script, and keeps the last: a transport for `over`."""

    def __init__(self, script: str = "ok", **options: Any) -> None:
        self._script, self._options = script, options
        self.last: Recording

    def __call__(self, is_async: bool) -> Recording:
        kind: Any = AsyncHTTPXTransport if is_async else HTTPXTransport
        self.last = Recording(kind(self._script, **self._options))
        return self.last

    @property
    def sent(self) -> list[tuple[httpx2.Request, bytes]]:
        return self.last.sent

    @property
    def open_streams(self) -> int:
        count: int = self.last.player.open_streams
        return count


def sdk_error(name: str) -> type[BaseException]:
    """One of the SDK's error classes, exported or not; a version that has none of that name skips the test."""
    waiting: list[type[BaseException]] = [anthropic.AnthropicError]
    while waiting:
        found = waiting.pop()
        if found.__name__ == name and found.__module__.split(".")[0] == "anthropic":
            return found
        waiting += found.__subclasses__()
    pytest.skip(f"this version of the SDK has no {name}")
