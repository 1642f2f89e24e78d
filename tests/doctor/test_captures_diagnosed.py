"""Proof 3 of the doctor: every recorded stream is called complete, and every cut of it what it is, at the right byte.

Rule: what is right is worked out here from the bytes alone; nothing of the code under test splits or reads them. A
drawn share of the cuts is in the fast suite, a larger one behind ``slow``.
"""

import base64
import binascii
import io
import json
import random
import re
import struct
from dataclasses import dataclass
from typing import Any

import pytest

from midstream.doctor.diagnose.diagnosis import Diagnosis
from midstream.doctor.diagnose.run import examine
from tests import shared_data
from tests.shared_data import Capture

pytestmark = pytest.mark.shared

GARBLED = {"ai-duplicate-message-start"}
"""Their own recorder says that the same message begins twice."""

SHARE, SLOW_SHARE = 3, 60
"""Cuts of each recording."""


@dataclass(frozen=True)
class Piece:
    """One frame: where it begins and ends, and what it says."""

    begin: int
    end: int
    name: str
    fields: dict[str, Any]


def body_of(capture: Capture) -> bytes:
    """Without the head that one recorder left in."""
    body = capture.body
    return re.sub(rb"\AHTTP/1.*?\r?\n\r?\n\s*", b"", body, flags=re.DOTALL)


def pieces_of(capture: Capture) -> list[Piece]:
    body = body_of(capture)
    return sse_pieces(body) if capture.protocol == "sse" else bedrock_pieces(body)


def sse_pieces(body: bytes) -> list[Piece]:
    ends = [found.end() for found in re.finditer(rb"(?>\r\n|\n|\r){2}", body)]
    ends += [len(body)] if not ends or ends[-1] < len(body) else []
    found = []
    for begin, end in zip([0, *ends], ends, strict=False):
        data = re.search(rb"^data: ?(.*?)[\r\n]*\Z", body[begin:end], re.MULTILINE | re.DOTALL)
        said = parsed(data[1]) if data else {}
        if data:
            found.append(Piece(begin, end, str(said.get("type", "")), said))
    return found


def bedrock_pieces(body: bytes) -> list[Piece]:
    found, at = [], 0
    while at < len(body):
        total, headers = struct.unpack_from(">II", body, at)
        named = re.search(rb":event-type\x07\x00.([A-Za-z]+)", body[at : at + 12 + headers])
        outer = parsed(body[at + 12 + headers : at + total - 4])
        inner = parsed(base64.b64decode(outer["bytes"])) if "bytes" in outer else outer
        name = str(inner.get("type", "")) or (named[1].decode().split(":")[0] if named else "")
        found.append(Piece(at, at + total, name, inner))
        at += total
    return found


def parsed(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, binascii.Error):
        return {}
    return value if isinstance(value, dict) else {}


def settles(piece: Piece) -> bool:
    """Whether the content is whole with this frame."""
    fields = piece.fields
    delta = fields.get("delta")
    if piece.name == "message_delta":
        return isinstance(delta, dict) and delta.get("stop_reason") is not None
    if piece.name == "message_start":  # a whole message in one event, as replays of tool results have it
        return bool(fields["message"].get("stop_reason") and fields["message"].get("content"))
    stops = fields.get("messageStop") if "messageStop" in fields else None
    return bool(
        piece.name in ("messageStop", "message_stop")
        or stops
        or (piece.name == "completion" and fields.get("stop_reason"))
        or "amazon-bedrock-invocationMetrics" in fields
    )


def ends(piece: Piece) -> bool:
    """Whether this frame is the last that its API sends."""
    last = piece.name in ("message_stop", "metadata") or "amazon-bedrock-invocationMetrics" in piece.fields
    return last or (piece.name == "completion" and settles(piece))


def expected(capture: Capture, pieces: list[Piece], cut: int) -> tuple[str, int, bool]:
    """What a cut of the first so many bytes is, how many events of its stream came whole, and whether its last did.

    Of a recording with several streams, what its last one is.
    """
    outcome, events, ended, body = "truncated", 0, False, body_of(capture)
    for piece in pieces:
        if piece.end > cut and not (capture.protocol == "sse" and _has_whole_data(body[piece.begin : cut])):
            break
        if piece.name == "message_start":
            outcome, events, ended = "truncated", 0, False
        events += 1
        if settles(piece):
            outcome = "complete"
        ended = ended or ends(piece)
    return outcome, events, ended


def _has_whole_data(begun: bytes) -> bool:
    """An event whose blank line alone is missing did arrive."""
    data = re.search(rb"^data: ?(.*)\Z", begun, re.MULTILINE | re.DOTALL)
    return data is not None and bool(parsed(data[1]))


def diagnosed(data: bytes) -> list[Diagnosis]:
    return examine(io.BytesIO(data)).diagnoses


def check_cut(capture: Capture, pieces: list[Piece], cut: int) -> None:
    one = diagnosed(body_of(capture)[:cut])[-1]
    outcome, events, ended = expected(capture, pieces, cut)
    about = f"{capture.name} cut at {cut}: {one.outcome}, {one.place}"
    assert one.outcome.value == outcome, about
    if outcome == "truncated":
        assert (one.place.byte, one.place.event) == (cut, events), about
        assert (not one.healthy and one.rehearsed is not None) or "pass" in one.not_rehearsed, about
    else:
        # Complete before its last event has come: that is said, so that nobody takes it for all that was sent.
        assert (one.stop_missing == "") == ended, about


CLEAN = [capture for capture in shared_data.captures() if capture.name not in GARBLED]


@pytest.mark.parametrize("capture", shared_data.parameters(CLEAN))
def test_a_complete_recording_is_complete(capture: Capture | None) -> None:
    shared_data.require()
    assert capture is not None
    for data in (capture.body, body_of(capture)):
        found = diagnosed(data)
        assert {one.outcome.value for one in found} == {"complete"} and not any(one.stop_missing for one in found)
    begun = sum(piece.name == "message_start" for piece in pieces_of(capture))
    assert len(found) == max(1, begun)


@pytest.mark.parametrize("capture", shared_data.parameters(CLEAN))
def test_a_cut_is_called_what_it_is_at_the_right_byte(capture: Capture | None) -> None:
    shared_data.require()
    assert capture is not None
    pieces, size = pieces_of(capture), len(body_of(capture))
    for cut in random.Random(f"20261121 {capture.name}").sample(range(size), min(SHARE, size)):
        check_cut(capture, pieces, cut)


@pytest.mark.slow
@pytest.mark.parametrize("capture", shared_data.parameters(CLEAN))
def test_many_cuts_are_called_what_they_are_and_all_at_the_ends_of_events(capture: Capture | None) -> None:
    shared_data.require()
    assert capture is not None
    pieces, size = pieces_of(capture), len(body_of(capture))
    draw = random.Random(f"slow {capture.name}")
    edges = [
        at + step
        for piece in draw.sample(pieces, min(20, len(pieces)))
        for at in (piece.end,)
        for step in (-2, -1, 0, 1)
    ]
    edges += [at + step for piece in pieces[-3:] for at in (piece.begin, piece.end) for step in range(-3, 4)]
    drawn = draw.sample(range(size), min(SLOW_SHARE, size))
    for cut in {*drawn, *(edge for edge in edges if 0 <= edge <= size)}:
        check_cut(capture, pieces, cut)


def test_a_message_that_begins_twice_is_not_the_protocol() -> None:
    shared_data.require()
    (capture,) = [capture for capture in shared_data.captures() if capture.name in GARBLED]
    (one,) = diagnosed(capture.body)
    assert one.outcome.value == "not the protocol" and one.place.event == 1


def test_every_api_and_framing_of_the_recordings_is_known_by_name() -> None:
    shared_data.require()
    named = {diagnosed(capture.body)[0].protocol for capture in CLEAN}
    assert {name.partition(",")[0] for name in named} >= {"Messages", "Bedrock Converse", "legacy text completions"}
    assert "unknown" not in named and {name.partition(", ")[2] for name in named} == {
        "server-sent events",
        "AWS event stream",
    }
