"""Each event stands where its frame begins, however the bytes come."""

import pytest

from midstream.doctor.diagnose.placed import BedrockFrames, Frames, SseFrames
from midstream.faults.wire import chunk, dumps, message
from midstream.protocol.events import MessageStopped, Unreadable, Unrecognised
from tests.wire import sse, text, whole

EVENTS = whole(text(0, "a", "b"))
SSE = [sse(event) for event in EVENTS]
CRLF = [block.replace(b"\n", b"\r\n") for block in SSE]
BEDROCK = [chunk(dumps(event)) for event in EVENTS]


def begins(blocks: list[bytes]) -> list[int]:
    return [sum(map(len, blocks[:number])) for number in range(len(blocks))]


@pytest.mark.parametrize("step", [1, 10, 1 << 16])
@pytest.mark.parametrize("blocks", [SSE, CRLF, BEDROCK], ids=["sse", "crlf", "bedrock"])
def test_every_event_has_the_byte_where_it_begins(blocks: list[bytes], step: int) -> None:
    frames: Frames = BedrockFrames() if blocks is BEDROCK else SseFrames()
    body = b"".join(blocks)
    found = [placed for at in range(0, len(body), step) for placed in frames.feed(body[at : at + step])]
    assert [placed.begin for placed in found if not _is_blank(placed.event)] == begins(blocks)
    assert b"".join(placed.raw for placed in found) + frames.pending == body


def _is_blank(event: object) -> bool:
    return isinstance(event, Unrecognised) and not event.name


def test_a_last_event_without_its_blank_line_is_believed_at_the_end() -> None:
    frames = SseFrames()
    body = b"".join(SSE)[:-2]
    assert len(list(frames.feed(body))) == len(EVENTS) - 1
    (last,) = frames.end()
    assert isinstance(last.event, MessageStopped) and last.begin == begins(SSE)[-1]
    assert not list(BedrockFrames().end()) and not list(SseFrames().end())


@pytest.mark.parametrize(
    ("rest", "count"), [(b'data: {"type":"completion"}', 1), (b"data: [1", 0), (b"event: x", 0), (b"", 0)]
)
def test_a_last_event_of_another_api_is_believed_if_its_json_is_whole(rest: bytes, count: int) -> None:
    frames = SseFrames()
    assert not list(frames.feed(rest))
    assert len(list(frames.end())) == count


def test_what_cannot_be_read_stands_where_it_begins() -> None:
    frames = BedrockFrames()
    damaged = bytearray(BEDROCK[1])
    damaged[-1] ^= 1
    *_, last = frames.feed(BEDROCK[0] + bytes(damaged))
    assert isinstance(last.event, Unreadable) and last.begin == len(BEDROCK[0])
    small = SseFrames(frame_bytes_max=100)
    (too_large,) = small.feed(b"data: " + b"x" * 200)
    assert isinstance(too_large.event, Unreadable) and too_large.event.too_large


def test_a_frame_of_converse_without_a_message_type_is_no_damage() -> None:
    (placed,) = BedrockFrames().feed(message({":event-type": "messageStart"}, b'{"role":"assistant"}'))
    assert isinstance(placed.event, Unrecognised) and placed.event.name == "messageStart"
