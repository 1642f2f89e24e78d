"""Recorded bodies are taken apart without losing a byte, and events become frames that real decoders read."""

import json

import pytest

from midstream.faults.builtin import REPLIES
from midstream.faults.catalogue import Wire
from midstream.faults.wire import NotAStream, chunk, dumps, encode, split
from midstream.protocol import eventstream, sse
from tests.faults.raw import messages_of
from tests.shared_data import Capture, captures, parameters, require

OTHER_APIS = ("bedrock_converse", "legacy_completion")

METRICS = "amazon-bedrock-invocationMetrics"


@pytest.mark.parametrize("capture", parameters(c for c in captures() if c.claude))
def test_a_recorded_body_keeps_every_byte_or_is_refused_with_a_reason(capture: Capture) -> None:
    require()
    # Bedrock's Converse has events of its own; two streams are of the API before Messages.
    if not capture.kinds.isdisjoint(OTHER_APIS):
        with pytest.raises(NotAStream):
            split(capture.body)
        return
    wire, pieces = split(capture.body)
    assert (wire == "sse") == (capture.protocol == "sse")
    assert b"".join(piece.raw for piece in pieces) == capture.body


@pytest.mark.parametrize("capture", parameters(c for c in captures("sse") if "legacy_completion" not in c.kinds))
def test_the_events_of_a_recording_are_those_that_a_browser_would_see(capture: Capture) -> None:
    require()
    _, pieces = split(capture.body)
    decoder = sse.Decoder()
    frames = [json.loads(frame.data) for frame in decoder.feed(capture.body) if frame.data.startswith(b"{")]
    assert [piece.event for piece in pieces if piece.event is not None] == frames


@pytest.mark.parametrize("name", REPLIES)
def test_what_is_encoded_is_split_into_the_same_events(name: str) -> None:
    for wire in ("sse", "bedrock"):
        frames = [encode(event, wire) for event in REPLIES[name]]
        found, pieces = split(b"".join(frames))
        assert (found, [piece.raw for piece in pieces]) == (wire, frames)
        events = [{k: v for k, v in (piece.event or {}).items() if k != METRICS} for piece in pieces]
        assert events == list(REPLIES[name])


def test_the_metrics_of_bedrock_stand_on_its_last_event_and_nowhere_else() -> None:
    stop = {"type": "message_stop"}
    (_, (piece,)) = split_one(encode(stop, "bedrock"))
    assert METRICS in piece and METRICS not in encode({**stop, METRICS: {}}, "sse").decode()


def split_one(raw: bytes) -> tuple[Wire, list[str]]:
    _, pieces = split(encode({"type": "message_start", "message": {}}, "bedrock") + raw)
    return "bedrock", [dumps(piece.event).decode() for piece in pieces[1:]]


def test_a_bedrock_chunk_is_padded_and_whole() -> None:
    (message,) = eventstream.Decoder().feed(chunk(b'{"type":"ping"}'))
    assert message.headers == {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    assert set(json.loads(message.payload)) == {"bytes", "p"}
    assert messages_of(chunk(b"{}"))[0][0][":event-type"] == "chunk"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"# A README\n\nwith text\n", "no event"),
        (b'data: {"type":"completion"}\n\n', "no event"),
        (b'data: {"type":"ping"}\n\n', "neither a message_start nor an error"),
        (b"\0\0\0\x10 not a frame at all, but long enough", "checksum"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "no event"),
    ],
)
def test_what_is_no_stream_is_told_so_in_one_clause(data: bytes, words: str) -> None:
    with pytest.raises(NotAStream, match=words):
        split(data)


def test_a_recording_that_ends_in_the_middle_keeps_its_tail() -> None:
    whole = encode({"type": "message_start", "message": {}}, "sse") + b'event: ping\ndata: {"ty'
    _, pieces = split(whole)
    assert pieces[-1] == (b'event: ping\ndata: {"ty', None)
    cut = encode({"type": "message_start", "message": {}}, "bedrock") + chunk(b"{}")[:20]
    _, pieces = split(cut)
    assert pieces[-1] == (chunk(b"{}")[:20], None)


def test_half_a_surrogate_pair_can_be_said() -> None:
    assert json.loads(dumps({"text": "\ud83d"})) == {"text": "\ud83d"}
