"""Server-sent events: every case runs whole, as recorded, byte by byte, and cut at every position."""

import copy
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midstream.protocol.frames import Frame, FrameTooLarge
from midstream.protocol.sse import Decoder, encode
from tests import shared_data

CASES = shared_data.lines("sse_cases/cases.jsonl")
CAPTURES = shared_data.captures("sse")

# The table counts an id whose block is cut off before its blank line. By the standard such a block never was.
LAST_EVENT_ID_BY_THE_STANDARD = {"wpt.format-data-before-final-empty-line": ""}

PING = b"event: ping\ndata: {}\n\n"


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """One piece, single bytes, and two pieces in every way."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def frames_of(chunks: Iterable[bytes]) -> list[Frame]:
    decoder = Decoder()
    return [frame for chunk in chunks for frame in decoder.feed(chunk)]


def seen(chunks: list[bytes]) -> dict[str, Any]:
    """What a decoder makes of the chunks, in the columns of the table."""
    decoder, rows, blocks = Decoder(), [], []
    for block in (block for chunk in chunks for block in decoder.split(chunk)):
        blocks.append(block)
        frame = decoder.parse(block)
        alone = Decoder()  # the table has the retry of each block; a decoder has the running value
        alone.parse(block)
        if frame is not None:
            row = {"event": frame.name, "data": frame.data.decode(), "id": frame.id, "retry": alone.retry_ms}
            rows.append(row | {"last_event_id": decoder.last_event_id})
    assert b"".join(blocks) + decoder.pending == b"".join(chunks)
    return {"rows": rows, "final_retry": decoder.retry_ms, "final_last_event_id": decoder.last_event_id}


@pytest.mark.shared
@pytest.mark.parametrize("case", shared_data.parameters(CASES))
def test_the_cases_of_other_decoders_end_as_the_standard_says(case: dict[str, Any]) -> None:
    """WHATWG HTML §9.2.6, by the cases of the web platform tests and of seven libraries."""
    shared_data.require()
    last_event_id = LAST_EVENT_ID_BY_THE_STANDARD.get(case["name"], case["final_last_event_id"])
    rows = [row | {"event": row["event"] or "message"} for row in case["expected"]]
    expected = {"rows": rows, "final_retry": case["final_retry"], "final_last_event_id": last_event_id}
    chunks = [b64decode(chunk) for chunk in case["chunks"]]
    assert seen(chunks) == expected
    for cut in cuts(b"".join(chunks)):
        assert seen(cut) == expected


@pytest.mark.shared
@pytest.mark.parametrize("capture", shared_data.parameters(CAPTURES))
def test_recorded_streams_hold_the_events_that_their_recorder_counted(capture: shared_data.Capture) -> None:
    shared_data.require()
    body = capture.body
    decoder = Decoder()
    blocks = decoder.split(body)
    frames = [frame for frame in map(decoder.parse, blocks) if frame is not None]
    assert b"".join(blocks) + decoder.pending == body
    # Of the streams without a final blank line some are counted with their last event, some without.
    last = decoder.parse_pending()
    assert capture.notes["event_counts"] in (named(frames), named([*frames, last] if last else frames))
    for size_bytes in (1, 7, 16):
        assert frames_of(body[at : at + size_bytes] for at in range(0, len(body), size_bytes)) == frames


def named(frames: list[Frame]) -> dict[str, int]:
    return dict(Counter(frame.name for frame in frames if frame.name != "message"))


# --- what comes when ---


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_a_frame_comes_with_the_first_byte_that_completes_it(line_end: bytes) -> None:
    decoder = Decoder()
    event = b"data: 1" + line_end + line_end[:1]
    assert decoder.feed(event[:-1]) == []
    assert decoder.feed(event[-1:]) == [Frame("message", b"1")]
    assert decoder.pending == b""


def test_the_line_feed_after_a_carriage_return_that_ended_a_block_is_a_block_of_its_own() -> None:
    decoder = Decoder()
    assert decoder.split(b"data: 1\r\n\r") == [b"data: 1\r\n\r"]
    assert decoder.split(b"") == []
    assert decoder.split(b"\ndata: 2\r\n\r\n") == [b"\n", b"data: 2\r\n\r\n"]
    assert decoder.split(b"data: 3\r\n\r") == [b"data: 3\r\n\r"]
    assert decoder.split(b"\n") == [b"\n"]
    assert decoder.split(b"data: 4\r\r") == [b"data: 4\r\r"]
    assert decoder.split(b"data: 5\n") == []
    assert decoder.split(b"\n\r") == [b"data: 5\n\n"]
    assert decoder.pending == b"\r"
    assert decoder.parse(b"\n") is None


def test_one_block_in_one_chunk_is_not_copied() -> None:
    assert Decoder().split(PING)[0] is PING


def test_a_byte_order_mark_counts_at_the_very_start_only() -> None:
    bom = b"\xef\xbb\xbf"
    for chunks in cuts(bom + b"data: 1\n\n" + bom + b"data: 2\n\ndata: 3\n\n"):
        assert frames_of(chunks) == [Frame("message", b"1"), Frame("message", b"3")]


# --- what a block says ---


@pytest.mark.parametrize(
    ("block", "frame"),
    [
        pytest.param(b"event: ping\n\n", None, id="an event without data"),
        pytest.param(b": keep-alive\n\n", None, id="a comment"),
        pytest.param(b"\n", None, id="an empty line"),
        pytest.param(b"data\n\n", Frame("message", b""), id="data without a colon"),
        pytest.param(b"event:\ndata:1\n\n", Frame("message", b"1"), id="an empty name"),
        pytest.param(b"event: a\nevent: b\ndata: 1\n\n", Frame("b", b"1"), id="the last name counts"),
        pytest.param(b"data:  1\ndata:\ndata: 2\n\n", Frame("message", b" 1\n\n2"), id="many lines, one space"),
        pytest.param(b"id: 1\ndata: 1\n\n", Frame("message", b"1", "1"), id="an id"),
        pytest.param(b"id: 1\nid: \0\ndata: 1\n\n", Frame("message", b"1", "1"), id="an id with NUL is no id"),
        pytest.param(b"id\ndata: 1\n\n", Frame("message", b"1", ""), id="an empty id is an id"),
        pytest.param(b"event: \xff\ndata: \xff\n\n", Frame("\ufffd", b"\xff"), id="a name that is not UTF-8"),
        pytest.param(b"\ndata: 1\n\n", Frame("message", b"1"), id="an empty line before it"),
    ],
)
def test_a_block_is_read_by_the_standard(block: bytes, frame: Frame | None) -> None:
    assert Decoder().parse(block) == frame


@pytest.mark.parametrize(
    ("value", "retry_ms"),
    [(b"1500", 1500), (b"0", 0), (b"", None), (b"-1", None), (b"1.5", None), (b"+1", None), ("٣".encode(), None)],
)
def test_a_retry_is_digits_or_nothing(value: bytes, retry_ms: int | None) -> None:
    decoder = Decoder()
    assert decoder.feed(b"retry: " + value + b"\n\n") == []
    assert decoder.retry_ms == retry_ms


def test_a_retry_too_long_to_be_a_wait_is_ignored() -> None:
    """Python raises on integers of more than 4,300 digits, and no byte of the wire may raise."""
    decoder = Decoder()
    decoder.feed(b"retry: 7\n\nretry: " + b"9" * 10_000 + b"\n\n")
    assert decoder.retry_ms == 7


def test_an_id_without_data_is_remembered() -> None:
    decoder = Decoder()
    assert decoder.feed(b"id: 7\n\ndata: 1\n\n") == [Frame("message", b"1", None)]
    assert decoder.last_event_id == "7"


def test_names_beyond_those_that_are_remembered_are_read_all_the_same() -> None:
    names = ["n" * size for size in (1, 1000)] + [f"name_{number}" for number in range(200)]
    wire = b"".join(encode(name, b"{}") for name in names)
    assert [frame.name for frame in frames_of([wire, wire])] == names + names


@pytest.mark.parametrize(
    "block",
    [
        b"event: ping\ndata: 1\rdata: 2\n\n",
        b"event: ping\ndata: 1\ndata: 2\n\n",
        b"event: ping\nid: 1\ndata: 1\n\n",
        b"id: 1\nevent: ping\ndata: 1\n\n",
        b"event: ping\nretry: 1\ndata: 1\n\n",
        b"event:ping\ndata: 1\n\n",
        b"event: ping\ndata:1\n\n",
        b"event: ping\ndata: 1\nid: 1\n\n",
    ],
)
def test_a_block_says_the_same_when_one_like_it_was_seen_before(block: bytes) -> None:
    fresh, used = Decoder(), Decoder()
    used.feed(PING)
    used.parse(block)
    used.last_event_id, used.retry_ms = "", None
    assert used.parse(block) == fresh.parse(block)
    assert (used.last_event_id, used.retry_ms) == (fresh.last_event_id, fresh.retry_ms)


@given(st.binary())
def test_a_name_seen_before_changes_nothing(tail: bytes) -> None:
    for head in (b"event: ping\ndata: ", b"event: ping\n", b"event: ping"):
        used = Decoder()
        assert used.parse(PING) == used.parse(PING)
        assert used.parse(head + tail) == Decoder().parse(head + tail)


# --- the end of the input ---


def test_what_is_left_at_the_end_is_told_and_not_believed() -> None:
    decoder = Decoder()
    decoder.feed(b"id: 1\ndata: 1\n\nid: 2\nevent: last\ndata: 2")
    assert decoder.pending == b"id: 2\nevent: last\ndata: 2"
    assert decoder.parse_pending() == Frame("last", b"2", "2")
    assert decoder.last_event_id == "1"
    assert decoder.feed(b"3\n\n") == [Frame("last", b"23", "2")]


def test_the_pending_bytes_of_a_first_block_may_begin_with_the_byte_order_mark() -> None:
    decoder = Decoder()
    decoder.feed(b"\xef\xbb\xbfdata: 1\n")
    assert decoder.parse_pending() == Frame("message", b"1")
    assert decoder.feed(b"\n") == [Frame("message", b"1")]
    assert decoder.parse_pending() is None


def test_only_the_first_block_may_begin_with_the_byte_order_mark_whatever_it_was() -> None:
    decoder = Decoder()
    assert decoder.feed(PING) == [Frame("ping", b"{}")]
    assert decoder.feed(b"\xef\xbb\xbfdata: 1\n\n") == []
    decoder.feed(b"\xef\xbb\xbfdata: 2\n")
    assert decoder.parse_pending() is None


def test_a_copy_goes_on_by_itself() -> None:
    decoder = Decoder()
    decoder.feed(PING + b"data: 1")
    other = copy.deepcopy(decoder)
    assert decoder.feed(b"\n\n") == [Frame("message", b"1")]
    assert other.feed(b"0\n\n") == [Frame("message", b"10")]


# --- the bound ---


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_an_unfinished_block_over_the_bound_is_refused(line_end: bytes) -> None:
    decoder = Decoder(frame_bytes_max=20)
    assert decoder.feed(b"event: ping" + line_end + b"data: ") == []
    with pytest.raises(FrameTooLarge) as caught:
        decoder.feed(b"123")
    assert caught.value.limit_bytes == 20
    assert caught.value.size_bytes == len(decoder.pending) > 20


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_whole_blocks_are_handed_over_before_the_refusal(line_end: bytes) -> None:
    decoder = Decoder(frame_bytes_max=20)
    assert decoder.feed(b"data: 1" + line_end * 2 + b"x" * 21) == [Frame("message", b"1")]
    with pytest.raises(FrameTooLarge):
        decoder.feed(b"x")


def test_a_first_chunk_over_the_bound_is_refused() -> None:
    with pytest.raises(FrameTooLarge):
        Decoder(frame_bytes_max=20).feed(b"x" * 21)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_an_event_of_twenty_megabytes_comes_through_in_small_pieces(line_end: bytes) -> None:
    """The search is linear: with a rescan for each piece this would not end."""
    data = b"0123456789" * 2_000_000
    wire = b"event: big" + line_end + b"data: " + data + line_end * 2
    assert frames_of(wire[at : at + 256] for at in range(0, len(wire), 256)) == [Frame("big", data)]


# --- any bytes ---

fragments = st.sampled_from(
    [
        *(b"\n", b"\r", b"\r\n", b"\n\n", b":", b" ", b"\xef\xbb\xbf", b"\xff"),
        *(b"data", b"data: x", b"event: e", b"id: 1", b"id: \0", b"retry: 5", PING),
    ]
)
wires = st.lists(fragments | st.binary(max_size=4), max_size=20).map(b"".join)


def frames_by_the_book(wire: bytes) -> list[Frame]:
    """The algorithm of the standard, line by line, as slowly as it is written there."""
    wire = wire.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    frames: list[Frame] = []
    fields: dict[bytes, bytes] = {}
    for line in wire.split(b"\n")[:-1]:
        name, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if line == b"":
            if b"data" in fields:
                event, id = (
                    fields[key].decode(errors="replace") if key in fields else None for key in (b"event", b"id")
                )
                frames.append(Frame(event or "message", fields[b"data"][:-1], id))
            fields = {}
        elif name == b"data":
            fields[b"data"] = fields.get(b"data", b"") + value + b"\n"
        elif name == b"event" or (name == b"id" and b"\0" not in value):
            fields[name] = value
    return frames


@given(wires, st.data())
@settings(deadline=None)
def test_any_bytes_in_any_chunks_are_read_by_the_book(wire: bytes, data: st.DataObject) -> None:
    at = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    chunks = [wire[begin:end] for begin, end in zip([0, *at], [*at, len(wire)], strict=True)]
    decoder = Decoder()
    blocks = [decoder.split(chunk) for chunk in chunks]
    frames = [frame for part in blocks for block in part if (frame := decoder.parse(block)) is not None]
    assert b"".join(block for part in blocks for block in part) + decoder.pending == wire
    assert frames == frames_by_the_book(wire)


# --- encoding ---

one_line = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"))


@given(one_line.filter(bool), st.binary(), st.none() | one_line.filter(lambda id: "\0" not in id))
def test_what_is_encoded_is_read_back(name: str, data: bytes, id: str | None) -> None:
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert frames_of([encode(name, data, id)]) == [Frame(name, lines, id)]


def test_an_event_is_written_as_the_api_writes_it() -> None:
    assert encode("ping", b"{}") == PING
    assert encode("ping", b"1\r\n2\r3\n", id="7") == b"id: 7\nevent: ping\ndata: 1\ndata: 2\ndata: 3\ndata: \n\n"


@pytest.mark.parametrize("line", ["a\nb", "a\rb"])
def test_a_name_or_id_that_would_not_be_read_back_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        encode(line, b"")
    with pytest.raises(ValueError, match="one line"):
        encode("ping", b"", line)


def test_an_id_that_would_be_ignored_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        encode("ping", b"", "a\0b")
