"""The faults that are an illegal order of events.

Rule: an edit is handed the frames and the number of the frame where it happens, and returns the frames to play.
"""

from collections.abc import Callable, Mapping
from typing import Any

from midstream.faults.wire import Event, Piece

Edit = Callable[[list[Piece], int], list[Piece]]

_UNKNOWN_BLOCK = 99


def _type(piece: Piece) -> str:
    return str((piece.event or {}).get("type"))


def _made(event: Event) -> Piece:
    """A piece without bytes: whoever plays it encodes the event for the wire."""
    return Piece(b"", event)


def _delta(index: int, delta: Event) -> Piece:
    return _made({"type": "content_block_delta", "index": index, "delta": delta})


def _inserted(pieces: list[Piece], at: int, piece: Piece) -> list[Piece]:
    return [*pieces[:at], piece, *pieces[at:]]


def _find(pieces: list[Piece], at: int, event_type: str) -> int | None:
    """The first event of this type from there on, or the last one before."""
    found = [n for n, piece in enumerate(pieces) if _type(piece) == event_type]
    return next((n for n in found if n >= at), found[-1] if found else None)


def _delta_unknown_block(pieces: list[Piece], at: int) -> list[Piece]:
    return _inserted(pieces, max(at, 1), _delta(_UNKNOWN_BLOCK, {"type": "text_delta", "text": "lost"}))


def _index_gap(pieces: list[Piece], at: int) -> list[Piece]:
    first = _find(pieces, at, "content_block_start")
    if first is None:
        return _delta_unknown_block(pieces, at)
    events = [
        _made({**piece.event, "index": piece.event["index"] + 1})
        if n >= first and piece.event is not None and isinstance(piece.event.get("index"), int)
        else piece
        for n, piece in enumerate(pieces)
    ]
    return events


def _second_message_start(pieces: list[Piece], at: int) -> list[Piece]:
    starts = [piece for piece in pieces if _type(piece) == "message_start"]
    return _inserted(pieces, max(at, 1), starts[0] if starts else _made({"type": "message_start", "message": {}}))


def _delta_after_stop(pieces: list[Piece], at: int) -> list[Piece]:
    stop = _find(pieces, at, "content_block_stop")
    if stop is None:
        return _delta_unknown_block(pieces, at)
    index: Any = (pieces[stop].event or {}).get("index")
    return _inserted(pieces, stop + 1, _delta(index, {"type": "text_delta", "text": "late"}))


def _wrong_delta_type(pieces: list[Piece], at: int) -> list[Piece]:
    start = _find(pieces, at, "content_block_delta")
    if start is None:
        start = _find(pieces, at, "content_block_start")
    if start is None:
        return _delta_unknown_block(pieces, at)
    event = pieces[start].event or {}
    text = (
        "text_delta" == (event.get("delta") or {}).get("type")
        or (event.get("content_block") or {}).get("type") == "text"
    )
    wrong = {"type": "input_json_delta", "partial_json": "{"} if text else {"type": "text_delta", "text": "wrong"}
    return _inserted(pieces, start + 1, _delta(event["index"], wrong))


def _no_message_start(pieces: list[Piece], at: int) -> list[Piece]:
    return [piece for piece in pieces if _type(piece) != "message_start"]


def _stop_without_reason(pieces: list[Piece], at: int) -> list[Piece]:
    return [_without_reason(piece) for piece in pieces]


def _without_reason(piece: Piece) -> Piece:
    event = piece.event or {}
    if _type(piece) == "message_start" and (event.get("message") or {}).get("stop_reason"):
        return _made({**event, "message": {**event["message"], "stop_reason": None}})
    if _type(piece) == "message_delta":
        return _made({**event, "delta": {**(event.get("delta") or {}), "stop_reason": None, "stop_sequence": None}})
    return piece


def _no_message_delta(pieces: list[Piece], at: int) -> list[Piece]:
    return [_without_reason(piece) for piece in pieces if _type(piece) != "message_delta"]


def _no_message_stop(pieces: list[Piece], at: int) -> list[Piece]:
    return [piece for piece in pieces if _type(piece) != "message_stop"]


EDITS: Mapping[str, Edit] = {
    "delta-unknown-block": _delta_unknown_block,
    "index-gap": _index_gap,
    "second-message-start": _second_message_start,
    "delta-after-stop": _delta_after_stop,
    "wrong-delta-type": _wrong_delta_type,
    "no-message-start": _no_message_start,
    "stop-without-reason": _stop_without_reason,
    "no-message-delta": _no_message_delta,
    "no-message-stop": _no_message_stop,
}
