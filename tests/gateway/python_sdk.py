"""The official Python SDK against a base URL: one call, and what came of it, within a deadline.

Rule: the SDK is bare; what is right is for the test to say.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anthropic

from tests.sdk import calls

# A key that could be anybody's: one of Anthropic's own is handed to no other upstream.
MESSAGES = calls.Maker("Anthropic", {"api_key": "test-key"})
BEDROCK = calls.Maker("AnthropicBedrock", {"api_key": "test-key", "aws_region": "us-east-1"}, "bedrock")


@dataclass(frozen=True)
class Result:
    """What one call came to."""

    outcome: str
    silent: bool = False
    blocks: tuple[Mapping[str, Any], ...] = ()
    error: BaseException | None = None
    events: tuple[Mapping[str, Any], ...] = ()
    took_s: float = 0.0

    @property
    def error_own(self) -> bool:
        """The error is one of the SDK's classes."""
        return isinstance(self.error, anthropic.AnthropicError)

    def __str__(self) -> str:
        told = repr(self.error)[:400] if self.error else f"{len(self.events)} events"
        return f"{'silent' if self.silent else self.outcome} after {self.took_s:.1f} s ({told})"


def called(
    way: calls.Way,
    base_url: str,
    headers: Mapping[str, str],
    *,
    deadline_s: float,
    maker: calls.Maker = MESSAGES,
    **options: Any,
) -> Result:
    """Makes the call in a thread of its own, which is left behind if it hangs."""
    results: list[calls.Seen] = []
    connect = calls.at(base_url, maker, **{"max_retries": 0, **options})
    model = "anthropic.claude-sonnet-5-5" if maker.wire == "bedrock" else "claude-sonnet-5-5"

    def work() -> None:
        results.append(calls.call(way, connect, extra_headers=dict(headers), model=model))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(deadline_s)
    return _result(results[0]) if results else Result("hang", took_s=deadline_s)


def _result(seen: calls.Seen) -> Result:
    events = tuple(seen.events)
    if seen.error is not None:
        return Result("error", error=seen.error, events=events, took_s=seen.took_s)
    stopped = [event["type"] for event in events][-1:] == ["message_stop"]
    whole = stopped and seen.message.get("stop_reason") is not None
    return Result(
        "complete",
        silent=not whole,
        blocks=tuple(seen.message.get("content") or ()),
        events=events,
        took_s=seen.took_s,
    )
