"""What is cut: the recorded streams that end in ``message_stop``, with a request for each, and the places.

Rule: nothing of `midstream` is used here; a capture is judged by the strict reader alone.
"""

import hashlib
import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from bench.every_cut.reader import Illegal, Reader, event_of, frames_of, read

ROOT = Path(__file__).resolve().parents[3] / "shared" / "data" / "captures"

WHOLE_BYTES_MAX = 20_000
"""Up to here every byte is a place."""
DRAWN = 500
"""Beyond, so many bytes are, besides the ends of all frames and the bytes beside them."""

MODELS = {
    "sse": {"prefix": "claude-sonnet-4-5-20250929", "turn": "claude-sonnet-4-6"},
    "bedrock": {"prefix": "anthropic.claude-3-haiku-20240307-v1:0", "turn": "us.anthropic.claude-opus-4-6-v1"},
}


@dataclass(frozen=True)
class Capture:
    """One recorded stream."""

    name: str
    wire: str
    body: bytes
    recorded: dict[str, Any] | None

    @cached_property
    def frames(self) -> list[bytes]:
        return frames_of(self.body, self.wire)

    @cached_property
    def events(self) -> list[dict[str, Any] | None]:
        """The event of each frame."""
        return [event_of(frame, self.wire) for frame in self.frames]

    @cached_property
    def truth(self) -> Reader:
        """The message, uninterrupted. What comes after ``message_stop`` is not part of it."""
        reader = Reader(self.wire)
        for event in self.events:
            if event is not None and not reader.stopped:
                reader.take(event)
        return reader

    @cached_property
    def crc32(self) -> int:
        """Of the body up to and with ``message_stop``."""
        last = next(n for n, event in enumerate(self.events) if event and event.get("type") == "message_stop")
        body = b"".join(self.frames[: last + 1])
        if self.wire == "sse" and not body.endswith((b"\n\n", b"\r\n\r\n")):
            # Its blank line is missing at the end of two recordings: it is restored, for the consumer's decoder.
            body = body.rstrip(b"\r\n") + b"\n\n"
        return zlib.crc32(body)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def request(self, mode: str) -> dict[str, Any]:
        """The request as it was recorded but for its model; a minimal one where none was."""
        return {**(self.recorded or _minimal(self.truth)), "model": MODELS[self.wire][mode]}

    def places(self) -> list[int]:
        """The bytes after which it is cut."""
        size = len(self.body)
        if size <= WHOLE_BYTES_MAX:
            return list(range(size + 1))
        ends, at = {0, size}, 0
        for frame in self.frames:
            at += len(frame)
            ends |= {at - 1, at, min(at + 1, size)}
        ends.update(Random(f"every cut {self.sha256}").sample(range(size), DRAWN))
        return sorted(ends)


def captures(root: Path = ROOT) -> list[Capture]:
    """All of them, by name. Empty without the data."""
    index = root / "index.json"
    if not index.is_file():
        return []
    names = [entry["name"] for entry in json.loads(index.read_bytes())["captures"]]
    found = [_capture(root, name) for name in sorted(names)]
    return [capture for capture in found if capture is not None]


def _capture(root: Path, name: str) -> Capture | None:
    notes = json.loads((root / f"{name}.json").read_bytes())
    if not notes["claude"]:
        return None
    wire = "sse" if notes["protocol"] == "sse" else "bedrock"
    recorded = notes.get("request")
    usable = isinstance(recorded, dict) and isinstance(recorded.get("messages"), list)
    capture = Capture(name, wire, (root / notes["file"]).read_bytes(), recorded if usable else None)
    kinds = [event.get("type") for event in capture.events if event]
    # Two messages in one body, made up for tests: they are refused, which is shown elsewhere.
    if "message_stop" not in kinds or kinds.count("message_start") != 1:
        return None
    return capture


def _minimal(truth: Reader) -> dict[str, Any]:
    """A request that could have been answered so."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Please go ahead."}]
    if calls := _calls_before(truth):
        messages.append({"role": "assistant", "content": calls})
    request: dict[str, Any] = {"max_tokens": 8192, "messages": messages}
    types = {block["type"] for block in truth.blocks}
    called = {(block["type"], block.get("name")) for block in truth.blocks if "name" in block}
    tools: list[dict[str, Any]] = []
    for kind, name in sorted(called):
        if kind == "tool_use":
            tools.append({"name": name, "description": name, "input_schema": {"type": "object"}})
        elif kind == "server_tool_use":
            tools.append({"type": f"{name}_20250825", "name": name})
    if tools:
        request["tools"] = tools
    if "mcp_tool_use" in types:
        request["mcp_servers"] = [{"type": "url", "name": "remote", "url": "https://mcp.example.com"}]
    if types & {"thinking", "redacted_thinking"}:
        request["thinking"] = {"type": "enabled", "budget_tokens": 2048}
    if stop := truth.message.get("stop_sequence"):
        request["stop_sequences"] = [stop]
    return request


def _calls_before(truth: Reader) -> list[dict[str, Any]]:
    """The calls that this reply answers and did not make: it goes on after a ``pause_turn``."""
    made = {block.get("id") for block in truth.blocks}
    results = [block for block in truth.blocks if block.get("tool_use_id", None) not in (None, *made)]
    return [
        {
            "type": "server_tool_use",
            "id": result["tool_use_id"],
            "name": result["type"].removesuffix("_tool_result"),
            "input": {},
        }
        for result in results
    ]


__all__ = ["MODELS", "ROOT", "Capture", "Illegal", "captures", "read"]
