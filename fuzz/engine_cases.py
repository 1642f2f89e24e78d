"""The cases of the engine's fuzzer: a request, a policy, and what each attempt brings.

Rule: a case is plain JSON, with the markers of `garbage` for what JSON has no word for.
"""

import json
from itertools import pairwise
from random import Random
from zlib import crc32

from fuzz import garbage
from fuzz.garbage import Json

REASONS = [
    *("connect", "connect_timeout", "dns", "tls", "certificate", "pool"),
    *("reset", "incomplete", "decoding", "protocol", "closed", "novel", "", "x" * 3000),
]
STATUSES = [
    400,
    400,
    401,
    403,
    404,
    408,
    409,
    413,
    422,
    424,
    429,
    499,
    500,
    503,
    504,
    529,
    301,
    204,
    0,
    -1,
    99,
    999,
    2**40,
]
HEADERS = {
    "content-type": ["text/event-stream", "application/vnd.amazon.eventstream", "text/html", "", "\ud800", "x" * 500],
    "retry-after": [
        "1",
        "0",
        "-1",
        "61",
        "1e5",
        "nan",
        "٣",
        "9" * 5000,
        "Wed, 21 Oct 2099 07:28:00 GMT",
        "Wed, 31 Feb 2026 00:00:00 GMT",
    ],
    "retry-after-ms": ["5", "0.5", ".", "inf", "9" * 400],
    "x-should-retry": ["true", "false", "TRUE", "perhaps"],
    "request-id": ["req_1", "", "é", "x" * 1000, "a b"],
    "x-amzn-requestid": ["aws-1", "\n"],
    "x-amzn-errortype": ["ThrottlingException", "a#b:c", "#", "x" * 500],
}
MODELS = ["claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-sonnet-5-5", "claude-opus-4-1", "mine", "arn:aws:x"]
REQUEST_PARTS: dict[str, list[Json]] = {
    "system": ["You are terse. <last_words>", [{"type": "text", "text": "x"}], 5],
    "thinking": [{"type": "enabled", "budget_tokens": 2000}, {"type": "adaptive"}, {"type": "disabled"}, "on"],
    "tools": [[{"name": "get_weather", "input_schema": {}}], [{"eager_input_streaming": True}], [None], "x"],
    "tool_choice": [{"type": "any"}, {"type": "auto"}, {"type": []}, "any"],
    "stop_sequences": [["fox"], ["</last_words>", "<"], [None, "", 5], "the", [""]],
    "output_config": [{"format": {"type": "json_schema"}}, {"format": None}, []],
    "container": ["container_9", {"id": "x"}, 5],
    "thread": ["t", None],
    "fallback_credit_token": ["x"],
    "max_tokens": [1, 0, -5, 256, 10**6],
    "stream": [True, False, "x"],
}
CONVERSATIONS: list[Json] = [
    [{"role": "user", "content": "Hello"}],
    [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]}],
    [{"role": "assistant", "content": [{"type": "server_tool_use", "id": "toolu_0"}, 5]}, "x"],
    [{"role": "user", "content": "The quick brown fox <reply_complete/> jumps over "}],
]
POLICY: dict[str, list[Json]] = {
    "attempts": [1, 2, 5], "attempts_total": [5, 8, 16],
    "elapsed_s": [None, 1, 100.0, 2000], "waiting_s": [None, 0, 3], "first_event_s": [0.001, 10, 1e6],
    "silence_s": [0.5, 30], "silence_after_pings_s": [1.0, 600], "progress_s": [1.0, 50], "progress_slow_s": [1, 1e6],
    "backoff_s": [[0, 0], [0.5, 8], [0, 1e6]], "retry_after_max_s": [0, 60, 1e6],
    "tools": ["live"], "thinking": ["live"], "server_tools": ["live"], "structured": ["live"],
    "continue_text": [False], "continue_max_tokens": [1, 3, 1000], "repeat_remote_tools": [True],
    "held_bytes_max": [1, 200, 5000], "frame_bytes_max": [10, 300], "error_body_bytes_max": [1, 50],
    "seam_hold_chars": [1, 10, 100], "seam_hold_s": [0.001, 5],
}  # fmt: skip


def make(draw: Random) -> Json:
    """A case: a request, a policy, and what each attempt brings."""
    wire = draw.choice(("sse", "sse", "eventstream"))
    calm = draw.random() < 0.3
    first, shown = _first(draw, wire, calm)
    attempts = [first, *(_later(draw, wire, shown) for _ in range(draw.randint(0, 5)))]
    policy = {name: draw.choice(values) for name, values in POLICY.items() if draw.random() < (0.02 if calm else 0.1)}
    return {
        "request": _request(draw, calm),
        "betas": ["fine-grained-tool-streaming-2025-05-14"] if draw.random() < 0.05 else [],
        "signed": draw.random() < 0.05,
        "policy": policy,
        "recovers": draw.random() < 0.95,
        "live_after_s": draw.choice((None, None, None, 1.0, 240.0)),
        "then": draw.choice(("ended", "silence")),
        "attempts": attempts,
    }


def _request(draw: Random, calm: bool) -> Json:
    body = {"model": draw.choice(MODELS), "max_tokens": 4096, "messages": draw.choice(CONVERSATIONS), "stream": True}
    if not calm:
        body |= {name: draw.choice(values) for name, values in REQUEST_PARTS.items() if draw.random() < 0.12}
    if draw.random() < 0.15:
        body = json.loads(json.dumps(body))
        for _ in range(draw.randint(1, 4)):
            garbage.spoil(body, draw)
    if draw.random() < 0.1:
        body[draw.choice(("model", "max_tokens", "messages", "tools", "novel", "thinking"))] = draw.choice(
            [*garbage.MARKERS]
        )
    return body


def _first(draw: Random, wire: str, calm: bool) -> tuple[Json, str]:
    """The first attempt, and the text that it may have shown."""
    if draw.random() < 0.1:
        return _refusal(draw), ""
    if draw.random() < 0.2:
        body = draw.choice(garbage.recordings())
        return _stream(
            draw, garbage.wire_of(body), garbage.damaged(body, draw, 0 if calm else draw.choice((0, 1, 2)))
        ), ""
    events = garbage.mutated(garbage.reply(draw), draw, 0 if calm else draw.choice((0, 0, 1, 2, 4)))
    deltas = [event.get("delta") for event in events if isinstance(event, dict)]
    parts = [delta.get("text") for delta in deltas if isinstance(delta, dict)]
    shown = "".join(part for part in parts if isinstance(part, str))
    if draw.random() < 0.05:
        return _stream(draw, wire, draw.randbytes(draw.randint(0, 60)) + garbage.encoded(events, wire, draw)), shown
    return _stream(draw, wire, garbage.encoded(events, wire, draw)), shown


def _later(draw: Random, wire: str, shown: str) -> Json:
    """A later attempt: often one that goes on, as it was asked to or nearly so."""
    if draw.random() < 0.2:
        return _refusal(draw)
    if draw.random() < 0.05:
        wire = draw.choice(("sse", "eventstream"))
    first: list[tuple[Json, list[Json]]] | None = None
    if draw.random() < 0.6:
        quote = shown[-draw.choice((5, 30, 60)) :] if draw.random() < 0.8 else shown
        said = draw.choice(
            (f"<last_words>{quote}</last_words>", quote, shown, f"Sure:\n<last_words>{quote}", f"<last_words>{quote}")
        )
        text = draw.choice((said, "", "<reply_complete/>")) + draw.choice(garbage.WORDS)
        cut = draw.randint(0, len(text))
        deltas: list[Json] = [
            {"type": "text_delta", "text": part} for part in (text[:cut], text[cut:], *garbage.texts(draw))
        ]
        first = [({"type": "text", "text": ""}, deltas)]
        if draw.random() < 0.2:
            first = [({"type": "thinking", "thinking": ""}, [{"type": "thinking_delta", "thinking": "x"}]), *first]
    events = garbage.mutated(garbage.reply(draw, first), draw, draw.choice((0, 0, 0, 1, 3)))
    return _stream(draw, wire, garbage.encoded(events, wire, draw))


def _stream(draw: Random, wire: str, body: bytes) -> Json:
    """An attempt whose response is a stream, whole or cut, and how it ends."""
    if draw.random() < 0.6:
        body = body[: draw.randint(0, len(body))]
    type = "application/vnd.amazon.eventstream" if wire == "eventstream" else "text/event-stream"
    headers = {"content-type": type, "request-id": "req_1"} if draw.random() < 0.9 else _headers(draw)
    status = draw.choice((200, 200, 200, 200, 200, 200, 201, 299))
    inputs = [_moment(draw, ["received", piece.decode("latin-1")]) for piece in garbage.pieces(body, draw)]
    if draw.random() < 0.1:
        inputs.insert(draw.randint(0, len(inputs)), _moment(draw, ["early"]))
    inputs.append(_moment(draw, _end(draw)))
    timeout = draw.choice((None, None, None, 5.0, 0, -1, 1e9, "@nan"))
    return [[0, "opened", status, headers, timeout], *inputs]


def _end(draw: Random) -> list[Json]:
    return draw.choice((["ended"], ["broke", "reset", "gone"], ["elapsed"], ["broke", draw.choice(REASONS), "d" * 400]))


def _moment(draw: Random, input: list[Json]) -> list[Json]:
    """An input, and how many seconds after the last it comes; mostly at once."""
    return [draw.choice((0.25, 3, 61, 200, 2000)) if draw.random() < 0.02 else 0, *input]


def _headers(draw: Random) -> dict[str, str]:
    return {name: draw.choice(values) for name, values in HEADERS.items() if draw.random() < 0.4}


def _refusal(draw: Random) -> Json:
    """An attempt that does not come to a stream: an error status, a document, or no response."""
    how = draw.random()
    if how < 0.25:
        return [[0, "broke", draw.choice(REASONS), draw.choice(("", "d" * 1000))]]
    if how < 0.35:
        return [[0, "elapsed"]]
    error: Json = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}, "request_id": "req_2"}
    error = draw.choice(
        (error, {"message": "x", "originalStatusCode": 424}, {"error": {"code": 429, "status": "UNKNOWN"}})
    )
    error = json.loads(json.dumps(error))
    for _ in range(draw.choice((0, 1, 3))):
        garbage.spoil(error, draw)
    body = draw.choice((garbage.written(error), b"<html>", b"", draw.randbytes(9), b"\xef\xbb\xbf{}", b"[]"))
    status = draw.choice(STATUSES) if draw.random() < 0.8 else 200
    inputs = [_moment(draw, ["received", piece.decode("latin-1")]) for piece in garbage.pieces(body, draw)]
    return [[0, "opened", status, _headers(draw), None], *inputs, _moment(draw, _end(draw))]


def from_bytes(data: bytes) -> Json:
    """A case from what atheris gives: its bytes are the body of the first attempts, cut where they say."""
    draw = Random(crc32(data))
    cuts = sorted({0, len(data), *(draw.randint(0, len(data)) for _ in range(3))})
    attempts = [_stream(draw, garbage.wire_of(data[a:b]), data[a:b]) for a, b in pairwise(cuts)]
    return {**make(draw), "attempts": attempts}
