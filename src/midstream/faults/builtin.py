"""The replies that are built in, written for this.

Rule: realistic and deterministic: text, thinking and tool calls, in the pieces that a model sends them in.
"""

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

Event = dict[str, Any]

_PROSE = """\
A suspension bridge hangs its deck from cables, and the cables carry the load to the towers by pulling. \
That is the whole trick: steel is at its best when it is pulled, and a cable can only be pulled.

## How the load travels

1. A lorry presses on the deck.
2. The deck hands its weight to the hangers, the thin vertical ropes.
3. The hangers pull on the main cable, which sags into a parabola.
4. The cable pulls down on the towers, and sideways on the anchorages.

| part | works by | typical material |
| --- | --- | --- |
| main cable | tension | cold-drawn steel wire |
| hanger | tension | steel rope |
| tower | compression | concrete, or steel boxes |
| anchorage | weight | concrete, and a lot of it |

The towers do not need to be strong against bending, because the cable slides over a saddle at the top \
and the two sideways pulls cancel out. The anchorages are the honest part: each of them holds the pull of \
a whole cable by being heavier than it. At the Golden Gate Bridge that is about 28,000 tonnes on each side.

```python
def sag(span_m: float, load_kn_per_m: float, pull_kn: float) -> float:
    return load_kn_per_m * span_m**2 / (8 * pull_kn)
```

So a flatter cable must pull harder: halve the sag, and the pull doubles. Builders settle on a sag of a ninth \
to a twelfth of the span – enough to keep the pull bearable, little enough to keep the towers low. \
Everything else, from the stiffening truss to the aerodynamic shape of the deck, is there to stop the wind \
from finding the one rhythm at which the whole thing would like to swing."""

_THOUGHT = (
    "The question is why suspension bridges can span so far. I should explain tension and compression first, "
    "then follow the load from the deck to the anchorages, and give the formula for the sag, because the trade-off "
    "between sag and pull is what decides the height of the towers."
)

_SIGNATURE = (
    "EqoBCkgIARABGAIiQDxZk0p1rC7mVt2bWqvJXh8sLw3nYtTf5uRe9aKcOdGzHi6BjPlMyS4oUvNQE1gk7FbDxW0ZAqTsCr8JmIhV2LkSDN9w"
    "pQeXo3RgUyTz1xoMb5cFhK7nSj2tWvYdIjBZr4Lq0aGmPuEsHfCkNwVxOiD8lTQyRb6JoAe3"
)

_TOOL_TEXT = "I will look up the weather in both cities, and then compare them."

_TOOLS = (
    ("toolu_01Hk3vTqYb9cXwRz5LmNfPsd", "get_weather", {"city": "Zürich", "unit": "celsius", "days": 3}),
    ("toolu_01Qp7sWdEa2gJxVt8KyBnMhc", "get_weather", {"city": "Reykjavík", "unit": "celsius", "days": 3}),
)


def pieces(text: str) -> Iterator[str]:
    """A text in the uneven pieces that a model sends: one to five words each."""
    words = re.findall(r"\s*\S+\s*?", text) + re.findall(r"\s+$", text)
    at = 0
    while at < len(words):
        size = 1 + zlib.crc32(f"{at}{words[at]}".encode()) % 5
        yield "".join(words[at : at + size])
        at += size


def _block(index: int, start: Event, deltas: list[Event]) -> Iterator[Event]:
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _text(index: int, text: str) -> Iterator[Event]:
    deltas: list[Event] = [{"type": "text_delta", "text": piece} for piece in pieces(text)]
    return _block(index, {"type": "text", "text": ""}, deltas)


def _thinking(index: int) -> Iterator[Event]:
    deltas: list[Event] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(_THOUGHT)]
    deltas.append({"type": "signature_delta", "signature": _SIGNATURE})
    return _block(index, {"type": "thinking", "thinking": "", "signature": ""}, deltas)


def _tool(index: int, number: int) -> Iterator[Event]:
    id, name, arguments = _TOOLS[number]
    document = json.dumps(arguments, ensure_ascii=False)
    parts = ["", *(document[at : at + 11] for at in range(0, len(document), 11))]
    start = {"type": "tool_use", "id": id, "name": name, "input": {}, "caller": {"type": "direct"}}
    return _block(index, start, [{"type": "input_json_delta", "partial_json": part} for part in parts])


def _message(blocks: list[Iterator[Event]], stop_reason: str, output_tokens: int) -> tuple[Event, ...]:
    usage = {
        "input_tokens": 42,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 3,
        "service_tier": "standard",
    }
    start: Event = {
        "id": "msg_01Wm4kTzRq7HcYbXs9NvEj2L",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    events: list[Event] = [{"type": "message_start", "message": start}]
    for block in blocks:
        events.extend(block)
    # The API's first ping stands right behind the start of the first block.
    events.insert(2, {"type": "ping"})
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    usage_end = {"input_tokens": 42, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    events.append({"type": "message_delta", "delta": delta, "usage": {**usage_end, "output_tokens": output_tokens}})
    events.append({"type": "message_stop"})
    return tuple(events)


REPLIES: dict[str, tuple[Event, ...]] = {
    "text": _message([_text(0, _PROSE)], "end_turn", 520),
    "thinking": _message([_thinking(0), _text(1, _PROSE)], "end_turn", 590),
    "tools": _message([_text(0, _TOOL_TEXT), _tool(1, 0), _tool(2, 1)], "tool_use", 160),
    "everything": _message([_thinking(0), _text(1, _PROSE), _tool(2, 0), _tool(3, 1)], "tool_use", 700),
}
"""By name, as ``reply=`` in a script or ``--reply`` chooses them."""
