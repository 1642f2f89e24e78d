"""The two sides: one reply through the bare SDK, and through the SDK with midstream, over real sockets.

Rule: it plays and tells facts; how they look is for `plain` and `screen`.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any, Literal

import anthropic
import httpx2

import midstream
from midstream.demo.tale import NotWhole, Tale
from midstream.faults.server import FaultServer
from midstream.recovery.policy import Policy

Side = Literal["bare", "mended"]
Sort = Literal["text", "thinking", "tool"]

# How often the consumer gets a chance to redraw while nothing comes.
TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Grew:
    """The reply grew by a piece."""

    side: Side
    text: str
    sort: Sort = "text"


@dataclass(frozen=True, slots=True)
class Cut:
    """The upstream broke, and is asked to go on."""

    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class Mended:
    """The reply goes on after a cut: what comes next is the first new piece."""

    side: Side
    reason: str
    seconds: float
    """From the failure to that piece."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The SDK handed out a message, or raised."""

    side: Side
    message: Mapping[str, Any] | None
    error: str | None = None
    report: midstream.Report | None = None


@dataclass(frozen=True, slots=True)
class Ticked:
    """A moment went by."""


Fact = Grew | Cut | Mended | Ended | Ticked


def whole(tale: Tale) -> Mapping[str, Any]:
    """The reply as the SDK gathers it when nothing breaks. Raises `NotWhole` where it cannot."""
    with FaultServer("ok", tale.reply, rules=tale.rules) as server, _client(server) as client:
        try:
            with client.messages.stream(**_request(tale)) as stream:
                return _plain(stream.get_final_message())
        except (anthropic.AnthropicError, httpx2.HTTPError, ValueError) as problem:
            raise NotWhole(f"the SDK cannot read it ({_sentence(problem)})") from None


def play(tale: Tale, sides: tuple[Side, ...], speed: float = 1.0) -> Iterator[Fact]:
    """Play these sides at once, and tell what happens as it happens."""
    # The program that embeds midstream decides what becomes of its log; this one shows the same in its own way.
    logging.getLogger("midstream").addHandler(logging.NullHandler())
    facts: Queue[Fact | BaseException] = Queue()
    with contextlib.ExitStack() as stack:
        for side in sides:
            server = FaultServer(tale.script, tale.reply, rules=tale.rules, pace_s=tale.pace_s / speed)
            stack.enter_context(server)
            # A daemon: who interrupts the demo does not wait for a stream that is just being mended.
            threading.Thread(target=_work, args=(tale, side, server, facts.put), daemon=True).start()
        running = len(sides)
        while running:
            try:
                fact = facts.get(timeout=TICK_S)
            except Empty:
                fact = Ticked()
            if isinstance(fact, BaseException):
                raise fact
            running -= isinstance(fact, Ended)
            yield fact


def _work(tale: Tale, side: Side, server: FaultServer, tell: Callable[[Fact | BaseException], None]) -> None:
    try:
        _Player(side, tell).play(tale, server)
    except BaseException as problem:
        tell(problem)


class _Player:
    """One side, in its own thread."""

    def __init__(self, side: Side, tell: Callable[[Fact], None]) -> None:
        self._side = side
        self._tell = tell
        self._broke_at: float | None = None
        self._reasons: list[str] = []

    def play(self, tale: Tale, server: FaultServer) -> None:
        # The defaults, whatever the environment says: the demo is the same everywhere.
        recovery = midstream.Recovery(Policy(), on_recovery=self._recovering)
        with _client(server, *([recovery] if self._side == "mended" else [])) as client:
            try:
                with client.messages.stream(**_request(tale)) as stream:
                    for event in stream:
                        self._show(event)
                    message = _plain(stream.get_final_message())
                    report = midstream.report(stream) if self._side == "mended" else None
            except midstream.StreamError as error:
                self._end(Ended(self._side, error.partial, _sentence(error), error.report))
            except (anthropic.AnthropicError, httpx2.HTTPError) as error:
                self._end(Ended(self._side, None, _sentence(error)))
            else:
                self._end(Ended(self._side, message, report=report))

    def _recovering(self, recovered: midstream.Recovered) -> None:
        reason = _reason(recovered.failure or {})
        self._reasons.append(reason)
        if self._broke_at is None:
            self._broke_at = time.monotonic() - recovered.delay_s
        self._tell(Cut(self._side, reason))

    def _show(self, event: Any) -> None:
        match event.type:
            case "text":
                self._grow(Grew(self._side, event.text))
            case "thinking":
                self._grow(Grew(self._side, event.thinking, "thinking"))
            case "input_json":
                self._grow(Grew(self._side, event.partial_json, "tool"))
            case "content_block_start" if event.index:
                self._grow(Grew(self._side, "\n\n"))
        if event.type == "content_block_start" and (name := getattr(event.content_block, "name", None)):
            self._grow(Grew(self._side, f"{name} ", "tool"))

    def _grow(self, grew: Grew) -> None:
        if grew.text:
            self._mend()
            self._tell(grew)

    def _mend(self) -> None:
        if self._broke_at is not None:
            self._tell(Mended(self._side, ", ".join(self._reasons), time.monotonic() - self._broke_at))
            self._broke_at = None
            self._reasons.clear()

    def _end(self, ended: Ended) -> None:
        if ended.error is None:
            self._mend()
        self._tell(ended)


def _client(server: FaultServer, *middleware: anthropic.Middleware) -> anthropic.Anthropic:
    # The SDK's own client asks the proxies of the environment, with trust_env=False too: not for this interface.
    http_client = httpx2.Client(trust_env=False)
    return anthropic.Anthropic(api_key="none", base_url=server.url, http_client=http_client, middleware=middleware)


def _request(tale: Tale) -> dict[str, Any]:
    return {"model": tale.model, "max_tokens": 4000, "messages": [{"role": "user", "content": tale.prompt}]}


def _plain(message: Any) -> Mapping[str, Any]:
    plain: Mapping[str, Any] = message.to_dict(mode="json", warnings=False)
    return plain


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


_REASONS = {"truncated": "the body ended early, as if whole", "disconnected": "connection lost"}


def _reason(failure: Mapping[str, Any]) -> str:
    """What broke, in a few words."""
    if error_type := failure.get("error_type"):
        return str(error_type)
    if str(failure.get("detail", "")).startswith("reset"):
        return "connection reset"
    kind = str(failure.get("kind", "it stopped"))
    return _REASONS.get(kind, kind.replace("_", " "))
