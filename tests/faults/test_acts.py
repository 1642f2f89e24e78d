"""A place in a script is a place in the body; compression happens on the way out."""

import zlib

import pytest

from midstream.faults.acts import End, Hang, Performance, Scene, Send, compressed, sends
from midstream.faults.reply import Reply
from midstream.faults.script import Fault, parse_place

REPLY = Reply.builtin("text")
FRAMES = [frame.raw for frame in REPLY.frames("sse")]
SIZE = sum(map(len, FRAMES))


def scene(place: str) -> Scene:
    return Scene(Fault("cut-clean", parse_place(place)), REPLY.frames("sse"), "sse", REPLY.message)


@pytest.mark.parametrize(
    ("place", "offset"),
    [
        ("byte=0", 0),
        ("byte=7", 7),
        ("byte=999999", SIZE),
        ("event=0", 0),
        ("event=2", len(FRAMES[0]) + len(FRAMES[1])),
        ("event=2-1", len(FRAMES[0]) + len(FRAMES[1]) - 1),
        ("event=2+1", len(FRAMES[0]) + len(FRAMES[1]) + 1),
        ("event=99999", SIZE),
        ("0%-5", 0),
        ("100%+5", SIZE),
        ("50%", SIZE // 2),
    ],
)
def test_a_place_is_so_many_bytes_of_the_body(place: str, offset: int) -> None:
    assert scene(place).offset() == offset
    acts, rest = scene(place).until_byte()
    sent = b"".join(act.data for act in acts if isinstance(act, Send))
    assert (sent, rest) == (b"".join(FRAMES)[:offset], b"".join(FRAMES)[offset:])


@pytest.mark.parametrize(
    ("place", "number"), [("byte=0", 0), ("event=3", 3), ("event=3-1", 2), ("event=3+1", 3), ("100%", len(FRAMES))]
)
def test_a_fault_between_frames_never_cuts_one(place: str, number: int) -> None:
    acts, rest = scene(place).around()
    assert acts == sends(FRAMES[:number]) and [piece.raw for piece in rest] == FRAMES[number:]


def packed(*acts: object) -> list[object]:
    return list(compressed(Performance(acts=acts, gzip=True)).acts)  # type: ignore[arg-type]


def test_each_act_is_flushed_so_that_its_bytes_can_be_read_at_once() -> None:
    reader = zlib.decompressobj(wbits=31)
    read = [reader.decompress(act.data) for act in packed(Send(b"one"), Send(b"two"), Hang()) if isinstance(act, Send)]
    assert read == [b"one", b"two"]


def test_a_whole_body_has_its_end_and_a_cut_one_has_not() -> None:
    for how, whole in (("clean", True), ("clean-gzip-cut", False)):
        *body, end = packed(Send(b"one"), End(how))  # type: ignore[arg-type]
        reader = zlib.decompressobj(wbits=31)
        assert b"".join(reader.decompress(act.data) for act in body if isinstance(act, Send)) == b"one"
        assert (reader.eof, end) == (whole, End("clean"))


@pytest.mark.parametrize("how", ["clean-gzip-cut", "gzip-bad"])
def test_a_body_that_is_cut_before_its_first_byte_still_is_gzip(how: str) -> None:
    first = packed(End(how))[0]  # type: ignore[arg-type]
    assert isinstance(first, Send) and first.data.startswith(b"\x1f\x8b")


def test_what_is_not_compressed_stays_as_it_is() -> None:
    performance = Performance(acts=(Send(b"one"), End("clean")))
    assert compressed(performance) is performance
