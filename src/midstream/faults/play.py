"""A reply and a fault: what to send, and when.

Rule: pure; it says what to do (`Performance`), and the players in `server` and `transport` do it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from midstream.faults.acts import (
    Act,
    Before,
    End,
    Hang,
    How,
    Pause,
    Performance,
    PingsForEver,
    Scene,
    Send,
    Trickle,
    TrickleSize,
    sends,
)
from midstream.faults.catalogue import BEDROCK_EXCEPTIONS, BY_NAME, ERROR_EVENTS, HTTP_ERRORS, Wire
from midstream.faults.violations import EDITS
from midstream.faults.wire import CONTENT_TYPE, Event, Piece, chunk, dumps, encode, message

Player = Callable[[Scene], Performance]

# Bytes that are neither UTF-8 nor JSON nor a frame, and hold no line end; enough to fill a prelude several times.
GARBAGE = bytes(0x80 | (7 * n) % 0x80 for n in range(96))
_CLEAN = End("clean")


def play(scene: Scene, *, pace_s: float = 0.0) -> Performance:
    """The response to one attempt."""
    performance = PLAYERS[scene.fault.name](scene)
    if not pace_s:
        return performance
    paced: list[Act] = []
    for act in performance.acts:
        paced += [Pause(pace_s), act] if isinstance(act, Send) and paced else [act]
    return replace(performance, acts=tuple(paced))


def whole(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Performance:
    """A response that is not a stream."""
    return Performance(status, {"content-type": "application/json", **(headers or {})}, (Send(dumps(data)), _CLEAN))


def _stream(scene: Scene, acts: Iterable[Act], *, gzip: bool = False) -> Performance:
    headers = {"content-type": CONTENT_TYPE[scene.wire], "cache-control": "no-cache"}
    return Performance(200, {**headers, "content-encoding": "gzip"} if gzip else headers, tuple(acts), gzip=gzip)


def _frames(scene: Scene, frames: Iterable[bytes], *ends: Act) -> Performance:
    return _stream(scene, [*sends(frames), *(ends or (_CLEAN,))])


# --- the transport ------------------------------------------------------------------------------------------------


def _ok(scene: Scene) -> Performance:
    acts = [*sends(frame.raw for frame in scene.frames), _CLEAN]
    return _stream(scene, acts, gzip=scene.fault.param("gzip") == "yes")


def _cut(scene: Scene, *, how: How, gzip: bool = False) -> Performance:
    sent, _ = scene.until_byte()
    return _stream(scene, [*sent, End(how)], gzip=gzip)


def _silence(scene: Scene) -> Performance:
    sent, _ = scene.until_byte()
    return _stream(scene, [*sent, Hang()])


def _pings_only(scene: Scene) -> Performance:
    sent, _ = scene.around()
    ping = scene.encode({"type": "ping"})
    return _stream(scene, [*sent, PingsForEver(ping, scene.fault.seconds("every"))])


def _trickle(scene: Scene) -> Performance:
    sent, rest = scene.until_byte()
    return _stream(scene, [*sent, Trickle(rest, scene.fault.seconds("every")), _CLEAN])


def _trickle_size(scene: Scene) -> Performance:
    sent, _ = scene.until_byte()
    return _stream(scene, [*sent, TrickleSize(scene.fault.seconds("every"))])


# --- errors inside the stream -------------------------------------------------------------------------------------


def error_event(error_type: str, text: str, request_id: str, code: str = "") -> Event:
    """The envelope of an error, as the body of a response and as an event."""
    error: Event = {"type": error_type, "message": text}
    if code:
        error["details"] = {"error_code": code}
    return {"type": "error", "error": error, "request_id": request_id}


def _with_frame(scene: Scene, frame: bytes) -> Performance:
    sent, _ = scene.around()
    return _stream(scene, [*sent, Send(frame), _CLEAN])


def _error(scene: Scene) -> Performance:
    name = scene.fault.name
    text = scene.fault.param("message") or ERROR_EVENTS[name]
    return _with_frame(scene, scene.encode(error_event(name, text, scene.request_id, scene.fault.param("code"))))


def _error_unnamed(scene: Scene) -> Performance:
    event = error_event("overloaded_error", "Overloaded", scene.request_id)
    return _with_frame(scene, b"data: " + dumps(event) + b"\n\n")


def _error_odd(scene: Scene, *, body: Event) -> Performance:
    """An error that has no type of its own: on the SSE wire under an event line, as gateways write it."""
    if scene.wire == "bedrock":
        return _with_frame(scene, chunk(dumps(body)))
    return _with_frame(scene, b"event: error\ndata: " + dumps(body) + b"\n\n")


def _error_spend_limit(scene: Scene) -> Performance:
    text = "This request would exceed your organization's monthly spend limit."
    event = error_event("rate_limit_error", text, scene.request_id, "enforced_spend_limit_reached")
    return _with_frame(scene, scene.encode(event))


def _error_exhausted(scene: Scene) -> Performance:
    event = error_event("overloaded_error", "Overloaded, after 4 attempts", scene.request_id)
    event["error"]["midstream"] = {"exhausted": True}
    return _with_frame(scene, scene.encode(event))


def _exception(scene: Scene) -> Performance:
    name = scene.fault.name
    body: Event = {"message": BEDROCK_EXCEPTIONS[name]}
    if name == "modelStreamErrorException":
        status = int(float(scene.fault.param("original-status")))
        body = {**body, "originalStatusCode": status, "originalMessage": "The model could not go on."}
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return _with_frame(scene, message(headers, dumps(body)))


def _error_frame(scene: Scene) -> Performance:
    headers = {
        ":error-code": "InternalFailure",
        ":error-message": "The request processing has failed because of an unknown error.",
        ":message-type": "error",
    }
    return _with_frame(scene, message(headers, b""))


# --- bytes that are not what they claim to be ---------------------------------------------------------------------


def _damaged(scene: Scene, *, at: int) -> Performance:
    sent, rest = scene.around()
    frames = [frame.raw for frame in rest]
    if frames:
        damaged = bytearray(frames[0])
        damaged[at] ^= 0x55
        frames[0] = bytes(damaged)
    return _stream(scene, [*sent, *sends(frames), _CLEAN])


def _half_frame(scene: Scene) -> Performance:
    sent, rest = scene.around()
    half = rest[0].raw[: max(1, len(rest[0].raw) // 2)] if rest else b""
    return _stream(scene, [*sent, *sends([half]), _CLEAN])


def _garbage(scene: Scene) -> Performance:
    sent, _ = scene.until_byte()
    return _stream(scene, [*sent, Send(GARBAGE), _CLEAN])


def _bad_json(scene: Scene) -> Performance:
    sent, rest = scene.around()
    broken = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"and th'
    frame = chunk(broken) if scene.wire == "bedrock" else b"event: content_block_delta\ndata: " + broken + b"\n\n"
    return _stream(scene, [*sent, Send(frame), *sends(piece.raw for piece in rest), _CLEAN])


# --- illegal order ------------------------------------------------------------------------------------------------


def _edited(scene: Scene) -> Performance:
    edit = EDITS[scene.fault.name]
    pieces = edit(list(scene.frames), scene.boundary())
    # A piece that the edit made has no bytes yet; the others go out as they are.
    return _frames(scene, (piece.raw or encode(piece.event or {}, scene.wire) for piece in pieces))


def _without_stop(frames: Sequence[Piece]) -> list[Piece]:
    return [frame for frame in frames if (frame.event or {}).get("type") != "message_stop"]


def _until_stop(scene: Scene) -> list[bytes]:
    """The whole reply up to its message_stop; one is added where the recording has none."""
    stop = [frame.raw for frame in scene.frames if (frame.event or {}).get("type") == "message_stop"]
    return [*(frame.raw for frame in _without_stop(scene.frames)), *(stop or [scene.encode({"type": "message_stop"})])]


def _no_final_blank_line(scene: Scene) -> Performance:
    frames = [frame.raw for frame in scene.frames]
    return _frames(scene, [*frames[:-1], *(raw.rstrip(b"\r\n") + b"\n" for raw in frames[-1:])])


def _after_stop(scene: Scene) -> Performance:
    name = scene.fault.name
    if name == "error-after-stop":
        error = scene.encode(error_event("overloaded_error", "Overloaded", scene.request_id))
        return _frames(scene, [*_until_stop(scene), error])
    return _frames(scene, _until_stop(scene), End("reset") if name == "reset-after-stop" else Hang())


# --- no stream at all ---------------------------------------------------------------------------------------------

_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>{0}</title></head>\n<body>\n<center><h1>{0}</h1></center>\n"
    "<hr><center>proxy</center>\n</body></html>\n"
)


def _page(title: str, status: int, headers: Mapping[str, str] | None = None) -> Performance:
    kind = {"content-type": "text/html; charset=utf-8"}
    return Performance(status, {**kind, **(headers or {})}, (Send(_PAGE.format(title).encode()), _CLEAN))


def _error_json_200(scene: Scene) -> Performance:
    return whole(error_event("overloaded_error", "Overloaded", scene.request_id))


def _http_error(scene: Scene) -> Performance:
    status = int(scene.fault.name.removeprefix("http-"))
    error_type, text, aws_name = HTTP_ERRORS[status]
    names = ("retry-after", "retry-after-ms", "x-should-retry")
    headers = {name: scene.fault.param(name) for name in names if scene.fault.param(name)}
    if scene.fault.param("body") == "html":
        return _page(f"{status} {text}", status, headers)
    if scene.fault.param("body") == "empty":
        return Performance(status, {**headers, "content-length": "0"}, (_CLEAN,))
    if scene.wire == "bedrock":
        return whole({"message": text}, status, {**headers, "x-amzn-errortype": aws_name})
    return whole(error_event(error_type, text, scene.request_id, scene.fault.param("code")), status, headers)


def _before(scene: Scene, *, before: Before) -> Performance:
    return Performance(before=before, refuse_s=scene.fault.seconds("for") if before == "refused" else 0.0)


PLAYERS: Mapping[str, Player] = {
    "ok": _ok,
    "cut-clean": partial(_cut, how="clean"),
    "cut-fin": partial(_cut, how="fin-in-chunk"),
    "cut-rst": partial(_cut, how="reset"),
    "broken-chunk": partial(_cut, how="bad-chunk"),
    "gzip-cut": partial(_cut, how="clean-gzip-cut", gzip=True),
    "gzip-bad": partial(_cut, how="gzip-bad", gzip=True),
    "silence": _silence,
    "pings-only": _pings_only,
    "trickle": _trickle,
    "trickle-size": _trickle_size,
    **dict.fromkeys(ERROR_EVENTS, _error),
    "error-unnamed": _error_unnamed,
    "error-openai": partial(
        _error_odd,
        body={"error": {"message": "The server is overloaded", "type": "server_error", "param": None, "code": None}},
    ),
    "error-untyped": partial(_error_odd, body={"message": "Something went wrong"}),
    "error-spend-limit": _error_spend_limit,
    "error-exhausted": _error_exhausted,
    **dict.fromkeys(BEDROCK_EXCEPTIONS, _exception),
    "error-frame": _error_frame,
    "bad-crc": partial(_damaged, at=-1),
    "bad-prelude": partial(_damaged, at=8),
    "half-frame": _half_frame,
    "garbage": _garbage,
    "bad-json": _bad_json,
    **dict.fromkeys(EDITS, _edited),
    "no-final-blank-line": _no_final_blank_line,
    **dict.fromkeys(("error-after-stop", "reset-after-stop", "stall-after-stop"), _after_stop),
    "html-200": lambda scene: _page("Sign in to continue", 200),
    "json-200": lambda scene: whole(scene.whole()),
    "error-json-200": _error_json_200,
    "garbage-200": lambda scene: _frames(scene, [GARBAGE]),
    "empty-200": lambda scene: _frames(scene, []),
    **dict.fromkeys((f"http-{status}" for status in HTTP_ERRORS), _http_error),
    "refused": partial(_before, before="refused"),
    "closed-early": partial(_before, before="closed"),
    "reset-early": partial(_before, before="reset"),
    "half-headers": partial(_before, before="half-headers"),
    "silent-early": partial(_before, before="silent"),
}
"""Who plays each fault of the catalogue."""


def playable(name: str, wire: Wire) -> bool:
    """Whether this fault can be played on this wire."""
    return wire in BY_NAME[name].wires
