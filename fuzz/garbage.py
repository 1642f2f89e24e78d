"""What the fuzzers are made of: odd values, mutated events, bodies on the wire, and a shrinker.

Rule: everything is drawn from the `random.Random` that is handed in, so a seed repeats it; and everything can be
written as JSON. What JSON has no word for is a marker, such as ``"@nan"``: `written` puts the bytes in its place,
`real` the Python value.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from midstream.faults.builtin import REPLIES
from midstream.protocol import eventstream

Json = Any

# The bounds of these: where a C stack, an int64, a double, or Python's own 4,300 digits end.
MARKERS: dict[str, tuple[bytes, Callable[[], Any]]] = {
    "@nan": (b"NaN", lambda: float("nan")),
    "@inf": (b"1e999", lambda: float("inf")),
    "@huge": (b"1" + b"0" * 400, lambda: 10**400),
    "@digits": (b"9" * 5000, lambda: 10**5000),
    "@deep": (b"[" * 150 + b"]" * 150, lambda: _nested(150)),
    "@deeper": (b'{"a":' * 900 + b"1" + b"}" * 900, lambda: _nested(900)),
    "@abyss": (b"[" * 20_000 + b"]" * 20_000, lambda: _nested(20_000)),
    "@twice": (b'{"type":"text","type":"thinking","text":"a","text":2}', dict),
    "@object": (b"undefined", object),
    "@bytes": (b"'x'", lambda: b"x"),
    "@tuple": (b"(1)", lambda: (1, ({},))),
    "@keys": (b"{1:2}", lambda: {1: 2, None: 3}),
    "@cycle": (b"{", lambda: _cycle()),
}
ON_THE_WIRE = ("@nan", "@inf", "@huge", "@digits", "@deep", "@deeper", "@abyss", "@twice")

ODD: list[Json] = [
    *(None, True, False, 0, 1, -1, 2, 1.5, -0.0, 2**31, 2**53, 2**63, 2**64, 2**70, 1e308),
    *(
        "",
        " ",
        "x",
        "text",
        "\n",
        "\0",
        "\ud800",
        "a\udc00b",
        "é",
        "😀",
        "end_turn",
        "tool_use",
        "max_tokens",
        "a" * 3000,
    ),
    *([], [[]], [1], ["x"], [None], [{}], [{"type": "text"}], {}, {"a": 1}, {"type": None}, {"type": ["text"]}),
    *({"type": "text", "text": 1}, {"type": "ephemeral"}, {"type": "direct"}, {"id": []}, {"output_tokens": "1"}),
]
NAMES = [
    *("type", "index", "id", "name", "input", "caller", "text", "thinking", "signature", "citations", "container"),
    *(
        "usage",
        "stop_reason",
        "delta",
        "message",
        "error",
        "content",
        "tool_use_id",
        "output_tokens",
        "server_tool_use",
    ),
    *("context_management", "stop_details", "estimated_tokens", "content_block", "p", "\ud800", "", "x" * 300),
]
WORDS = [
    *(
        "The quick brown fox ",
        "jumps over ",
        "the lazy dog. ",
        "ha ha ha ",
        "\n\n",
        "| a | b |\n",
        " ",
        "漢字かな交じり",
        "\u00a0",
    ),
    *("<last_words>", "</last_words>", "<last_words/>", "<reply_complete/>", "<reply_complete></reply_complete>", "<"),
    *("```\n", "\ud83d", "\ude00", "\r\n", "data: x\n\n", "x" * 700, "", "Certainly, I will go on:\n"),
]


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _cycle() -> Any:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


def real(value: Json) -> Any:
    """The value with Python's own in the place of markers: the garbage of a caller, which never was JSON."""
    if isinstance(value, dict):
        return {name: real(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [real(inner) for inner in value]
    return MARKERS[value][1]() if isinstance(value, str) and value in MARKERS else value


def written(value: Json, *, plain: bool = True) -> bytes:
    """The value as the bytes of JSON, or of what is nearly JSON where there are markers. ``plain``: ASCII only."""
    text = json.dumps(value, ensure_ascii=plain, separators=(",", ":")).encode(errors="surrogatepass")
    for name, (raw, _) in MARKERS.items():
        if name.encode() in text:
            text = text.replace(b'"' + name.encode() + b'"', raw)
    return text


def odd(draw: Random) -> Json:
    """A value that nobody expects."""
    # A copy: one change may be made inside another.
    return draw.choice(ON_THE_WIRE) if draw.random() < 0.15 else json.loads(json.dumps(draw.choice(ODD)))


def places(value: Json) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: its container and its key there."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


def spoil(value: Json, draw: Random) -> None:
    """One change somewhere in the value: another value, a lost field, an unknown field, a name that is another's."""
    spots = list(places(value))
    if not spots:
        return
    container, key = draw.choice(spots)
    at_random = draw.random()
    if at_random < 0.6:
        container[key] = odd(draw)
    elif at_random < 0.8:
        del container[key]
    elif isinstance(container, dict):
        container[draw.choice(NAMES)] = odd(draw)
    else:
        container.insert(key, odd(draw))


def mutated(events: list[Json], draw: Random, times: int) -> list[Json]:
    """The events with so many changes. Rare types are met as often as deltas are."""
    events = json.loads(json.dumps(events))
    for _ in range(times):
        if not events:
            break
        kind = draw.choice(sorted({str(_type(event)) for event in events}))
        at = draw.choice([at for at, event in enumerate(events) if str(_type(event)) == kind])
        change = draw.randrange(10)
        if change < 6:
            spoil(events[at], draw) if isinstance(events[at], dict) else None
        elif change == 6:
            del events[at]
        elif change == 7:
            events.insert(draw.randint(0, len(events)), json.loads(json.dumps(events[at])))
        elif change == 8:
            other = draw.randrange(len(events))
            events[at], events[other] = events[other], events[at]
        else:
            events.insert(
                at, {"type": draw.choice(("error", "ping", "novel", "message_start", "x\ny")), "message": odd(draw)}
            )
    return events


def _type(event: Json) -> Json:
    return event.get("type") if isinstance(event, dict) else None


def texts(draw: Random) -> list[str]:
    """The deltas of a text."""
    return [draw.choice(WORDS) for _ in range(draw.randint(0, 8))]


def _grown(kind: str, payload: str, parts: list[Json]) -> list[Json]:
    return [{"type": kind, payload: part} for part in parts]


def _input(draw: Random) -> list[str]:
    return draw.choice((['{"a":', "1}"], ["", "{}"], [], [""], ['{"a'], ["[1]"], ['{"a":"\ud800"}'], ["{}", "{}"]))


def blocks(draw: Random) -> list[tuple[Json, list[Json]]]:
    """One or two blocks of some type, each with its deltas; calls sometimes with their results."""
    kind = draw.choice(("text", "text", "text", "cited", "thinking", "redacted", "tool", "server", "mcp", "other"))
    id, caller = (
        f"toolu_{draw.randrange(4)}",
        draw.choice(({}, {"caller": {"type": "direct"}}, {"caller": {"type": "code"}})),
    )
    if kind == "text":
        return [({"type": "text", "text": draw.choice(("", "", "Hello "))}, _grown("text_delta", "text", texts(draw)))]
    if kind == "cited":
        citations = _grown("citations_delta", "citation", [{"type": "char_location", "cited_text": "x"}])
        start = {"type": "text", "text": "", "citations": draw.choice(([], None, [{"type": "page_location"}]))}
        return [(start, citations + _grown("text_delta", "text", texts(draw)) + citations)]
    if kind == "thinking":
        deltas = _grown("thinking_delta", "thinking", texts(draw)) + _grown("signature_delta", "signature", ["c2ln"])
        return [({"type": "thinking", "thinking": "", "signature": ""}, deltas[: draw.randint(0, 12)])]
    if kind == "redacted":
        return [({"type": "redacted_thinking", "data": "x"}, [])]
    if kind == "other":
        name = draw.choice(("compaction", "fallback", "container_upload", "novel", "web_search_tool_result"))
        deltas = draw.choice(([], [{"type": "compaction_delta", "content": "x"}], [{"type": "novel_delta", "a": 1}]))
        return [({"type": name, "tool_use_id": id, "content": []}, deltas)]
    type = {"tool": "tool_use", "server": "server_tool_use", "mcp": "mcp_tool_use"}[kind]
    name = draw.choice(("get_weather", "web_search", "code_execution"))
    call = (
        {"type": type, "id": id, "name": name, "input": {}, **caller},
        _grown("input_json_delta", "partial_json", _input(draw)),
    )
    result = (
        {"type": "mcp_tool_result" if kind == "mcp" else "web_search_tool_result", "tool_use_id": id, "content": []},
        [],
    )
    return [call, result] if kind != "tool" and draw.random() < 0.6 else [call]


def reply(draw: Random, first: list[tuple[Json, list[Json]]] | None = None) -> list[Json]:
    """A legal reply of the Messages API, event by event."""
    if first is None and draw.random() < 0.1:
        return list(REPLIES[draw.choice(sorted(REPLIES))])
    found = [*(first or []), *(block for _ in range(draw.randint(0, 3)) for block in blocks(draw))]
    stop = draw.choice(
        ("end_turn", "end_turn", "tool_use", "max_tokens", "refusal", "stop_sequence", "pause_turn", "compaction")
    )
    usage = {"input_tokens": 5, "output_tokens": 1, "server_tool_use": draw.choice((None, {"web_search_requests": 1}))}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "usage": usage,
    }
    message |= {"stop_reason": None, "container": draw.choice((None, None, {"id": "container_1"}))}
    if draw.random() < 0.05:  # the whole message in its start
        message |= {"stop_reason": stop, "content": [{"type": "text", "text": "whole"}]}
        return [{"type": "message_start", "message": message}, {"type": "message_stop"}]
    events: list[Json] = [{"type": "message_start", "message": message}]
    for index, (start, deltas) in enumerate(found):
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        events.append({"type": "content_block_stop", "index": index})
        if draw.random() < 0.1:
            events.append({"type": "ping"})
    details = {"fallback_credit_token": "x"} if stop == "refusal" else None
    delta = {"stop_reason": stop, "stop_sequence": None, "stop_details": details}
    return [*events, {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}}, {"type": "message_stop"}]


def encoded(events: list[Json], wire: str, draw: Random) -> bytes:
    """The events on the wire, mostly in the usual form."""
    plain = draw.random() < 0.5
    return b"".join(_frame(event, written(event, plain=plain), wire, draw) for event in events)


def _frame(event: Json, data: bytes, wire: str, draw: Random) -> bytes:
    rare = draw.random()
    if wire == "eventstream":
        body = {"bytes": base64.b64encode(data).decode(), "p": "abcdefgh"}
        payload = written(body) if rare < 0.98 else data
        names = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
        if rare > 0.99:
            names = {":exception-type": draw.choice(("throttlingException", "", "x")), ":message-type": "exception"}
        return eventstream.encode(names, payload)
    name = _type(event) if isinstance(_type(event), str) else "message"
    head = b"event: " + name.replace("\n", "").encode(errors="replace") + b"\n"
    if rare > 0.98:
        head = draw.choice((b"", b"event: other\n", b"event: error\n", b": comment\n\n", b"id: 7\n", b"retry: 1\n"))
    end = b"\n" if rare > 0.02 else b"\r\n"
    return head + b"data: " + data + end + end


def damaged(data: bytes, draw: Random, times: int) -> bytes:
    """The bytes with so many of them changed, lost, doubled or added."""
    raw = bytearray(data)
    for _ in range(times):
        at = draw.randint(0, len(raw))
        change = draw.randrange(4)
        if change == 0 and at < len(raw):
            raw[at] = draw.randrange(256)
        elif change == 1:
            del raw[at : at + draw.choice((1, 1, 5, 100))]
        elif change == 2:
            raw[at:at] = draw.choice((draw.randbytes(draw.randint(1, 6)), b"\n\n", b"\r", b"\0", b"\xff", b'"', b"}"))
        else:
            raw[at:at] = raw[at : at + draw.choice((1, 50, 400))]
    return bytes(raw)


@cache
def recordings() -> tuple[bytes, ...]:
    """Real bodies, where the recorded streams lie next to the project; else those of the built-in replies."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "captures"
    found = sorted([*folder.glob("*.sse"), *folder.glob("*.eventstream")])
    bodies = [path.read_bytes() for path in found if path.stat().st_size <= 12_000]
    draw = Random(0)
    return tuple(bodies) or tuple(encoded(list(events), "sse", draw) for events in REPLIES.values())


def wire_of(body: bytes) -> str:
    """Which wire these bytes are for, going by the first."""
    return "eventstream" if body[:1] == b"\0" else "sse"


def pieces(data: bytes, draw: Random) -> list[bytes]:
    """The bytes cut: whole, in a few pieces, at the ends of lines, or one by one if they are few."""
    how = draw.random()
    if how < 0.2:
        return [data]
    if how < 0.3 and len(data) < 200:
        return [data[at : at + 1] for at in range(len(data))]
    if how < 0.6:
        return data.splitlines(keepends=True)
    at = sorted(draw.randint(0, len(data)) for _ in range(draw.randint(1, 12)))
    return [data[begin:end] for begin, end in zip([0, *at], [*at, len(data)], strict=True)]


def shrunk(value: Json, fails: Callable[[Json], bool], seconds: float) -> Json:
    """A smaller value that still fails: without elements, without fields, with shorter texts."""
    end = time.monotonic() + seconds
    smaller = True
    while smaller and time.monotonic() < end:
        smaller = False
        for candidate in _smaller(value):
            if time.monotonic() > end:
                break
            if fails(candidate):
                value, smaller = candidate, True
                break
    return value


def _smaller(value: Json) -> Iterator[Json]:
    if isinstance(value, str):
        size = len(value)
        while size:
            yield from (value[:at] + value[at + size :] for at in range(0, len(value), size))
            size //= 2
    elif isinstance(value, list):
        for size in {len(value) // 2, 1} - {0}:
            yield from (value[:at] + value[at + size :] for at in range(0, len(value), size))
        for at, inner in enumerate(value):
            yield from ([*value[:at], less, *value[at + 1 :]] for less in _smaller(inner))
    elif isinstance(value, dict):
        for name in value:
            yield {other: inner for other, inner in value.items() if other != name}
        for name, inner in value.items():
            yield from ({**value, name: less} for less in _smaller(inner))
