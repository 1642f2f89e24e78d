"""What the caller asked for, as far as recovery must know it.

Rule: reads the caller's request, never changes it.
"""

from collections.abc import Iterator
from typing import Any

from midstream.protocol.dialects import dump
from midstream.protocol.events import Fields

EAGER_TOOLS_BETA = "fine-grained-tool-streaming-2025-05-14"


_NO_BETAS: frozenset[str] = frozenset()


class Request:
    """A Messages request, in the API's own form."""

    __slots__ = ("_body", "betas", "signed_by_caller")

    def __init__(self, body: Fields | None, betas: frozenset[str] = _NO_BETAS, signed_by_caller: bool = False) -> None:
        """A body of ``None`` is for one that reads it when it is asked for: it has a ``body`` of its own."""
        self._body = body
        self.betas = betas or _NO_BETAS
        """The values of the ``anthropic-beta`` header. An empty set of one's own would take as much as twenty words."""
        self.signed_by_caller = signed_by_caller
        """The caller's signature covers the body: it can be sent again, but not edited."""

    @property
    def body(self) -> Fields:
        """All that was asked."""
        assert self._body is not None
        return self._body

    @property
    def model(self) -> str:
        """The model's name, as the caller spelled it."""
        model = self.body.get("model")
        return model if isinstance(model, str) else ""

    @property
    def size_bytes(self) -> int:
        """How long the body is as JSON, near enough."""
        return len(self.as_bytes)

    @property
    def as_bytes(self) -> bytes:
        """The body as JSON; what cannot be written as JSON counts as empty."""
        try:
            return dump(self.body)
        except (TypeError, ValueError, RecursionError):
            return b""

    @property
    def structured(self) -> bool:
        """Structured output was asked for (``output_config.format``; ``output_format`` in older betas)."""
        config = self.body.get("output_config")
        return bool(isinstance(config, dict) and config.get("format")) or bool(self.body.get("output_format"))

    @property
    def forces_a_tool(self) -> bool:
        """The model may not answer in text alone."""
        choice = self.body.get("tool_choice")
        return isinstance(choice, dict) and choice.get("type") in ("any", "tool")

    @property
    def thinks(self) -> bool:
        """Thinking was asked for, in any form."""
        thinking = self.body.get("thinking")
        return isinstance(thinking, dict) and thinking.get("type") != "disabled"

    @property
    def has_thinking_budget(self) -> bool:
        """``max_tokens`` has to stay above the budget, so it is left alone."""
        thinking = self.body.get("thinking")
        return isinstance(thinking, dict) and thinking.get("budget_tokens") is not None

    @property
    def eager_tools(self) -> bool:
        """The service was asked to stream tool inputs without checking them."""
        tools = self.body.get("tools")
        asked = isinstance(tools, list) and any(isinstance(t, dict) and t.get("eager_input_streaming") for t in tools)
        return asked or EAGER_TOOLS_BETA in self.betas

    @property
    def stop_sequences(self) -> list[str]:
        """The caller's stop sequences."""
        sequences = self.body.get("stop_sequences")
        return [s for s in sequences if isinstance(s, str) and s] if isinstance(sequences, list) else []

    @property
    def never_continued_because(self) -> str | None:
        """Why a reply to this request may only be restarted, never continued."""
        if self.signed_by_caller:
            return "the caller's signature covers the request"
        if self.body.get("thread") is not None:
            return "the request belongs to a message thread"
        if self.body.get("fallback_credit_token") is not None:
            return "the request redeems a fallback credit"
        if not isinstance(self.body.get("messages"), list):
            return "the request's messages are no list"
        return None

    def call_ids(self) -> set[str]:
        """The ids of the tool calls in the caller's own messages."""
        return {id for block in self._blocks() if isinstance(id := block.get("id"), str)}

    def _blocks(self) -> Iterator[dict[str, Any]]:
        messages = self.body.get("messages")
        for message in messages if isinstance(messages, list) else ():
            content = message.get("content") if isinstance(message, dict) else None
            for block in content if isinstance(content, list) else ():
                if isinstance(block, dict):
                    yield block
