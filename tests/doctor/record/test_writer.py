"""A recording is written while it is made."""

import io
import json

from midstream.doctor.record.writer import PIECE_BYTES, Writer, told_end, told_so_far
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Finished, How, Remark


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_each_fact_stands_there_at_its_time_as_soon_as_it_is_told() -> None:
    out, clock = io.StringIO(), Clock()
    writer = Writer(out, clock)
    assert json.loads(out.getvalue())["midstream_recording"] == 1
    for number, fact in enumerate(
        [Asked("GET", "http://x"), Answered(200), Arrived(b"x"), Remark("r"), Finished(How.CLEAN)], 1
    ):
        clock.now += 0.5
        writer.tell(fact)
        assert len(out.getvalue().splitlines()) == number + 1
    lines = [json.loads(line) for line in out.getvalue().splitlines()[1:]]
    assert [line.get("at") for line in lines] == [0.5, 1.0, 1.5, None, 2.5]
    assert (writer.bytes, writer.last_byte_at_s) == (1, 1.5)


def test_a_large_read_is_written_in_pieces() -> None:
    out = io.StringIO()
    writer = Writer(out)
    writer.tell(Arrived(b"x" * (2 * PIECE_BYTES + 1)))
    assert len(out.getvalue().splitlines()) == 4 and writer.bytes == 2 * PIECE_BYTES + 1


def test_it_ends_once() -> None:
    out = io.StringIO()
    writer = Writer(out)
    assert told_end(writer).endswith("ended: unknown")
    writer.tell(Finished(How.RESET))
    writer.tell(Finished(How.CLEAN))
    assert len(out.getvalue().splitlines()) == 2 and told_end(writer).endswith("ended: reset")


def test_how_far_it_is() -> None:
    clock = Clock()
    writer = Writer(io.StringIO(), clock)
    assert told_so_far(writer) == "recording: 0 s, 0 bytes, nothing yet"
    writer.tell(Arrived(b"12345"))
    clock.now += 3
    assert told_so_far(writer) == "recording: 3 s, 5 bytes, the last byte 3 s ago"
