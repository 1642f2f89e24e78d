"""Any bytes at all, into both dialects.

Rule: a dialect answers with events, the last perhaps an `Unreadable`; however the bytes are cut, the events are the
same; what it writes, it reads.
"""

from random import Random
from typing import Any
from zlib import crc32

from fuzz import garbage
from fuzz.fuzz_decoders import random_eventstream, random_sse
from midstream.protocol.dialects import Anthropic, Bedrock, Dialect, dump
from midstream.protocol.events import Unreadable, Unrecognised

DIALECTS = (Anthropic, Bedrock)
READABLE = {
    *("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"),
    *("message_stop", "error"),
}
NAMED = READABLE | {"ping"}


def make(draw: Random) -> bytes:
    """Bytes that are a stream, nearly one, or nothing of the kind."""
    how = draw.randrange(6)
    if how == 0:
        return draw.choice((random_sse, random_eventstream))(draw)
    if how == 1:
        return garbage.damaged(draw.choice(garbage.recordings()), draw, draw.choice((0, 1, 3)))
    if how == 2:
        return draw.randbytes(draw.randint(0, 200))
    events = garbage.mutated(garbage.reply(draw), draw, draw.choice((0, 1, 2, 5)))
    data = garbage.encoded(events, draw.choice(("sse", "eventstream")), draw)
    return data if how < 5 else garbage.damaged(data, draw, 2)


def check(data: bytes) -> None:
    """These bytes, in several cuts, through both dialects."""
    draw = Random(crc32(data))
    for dialect in DIALECTS:
        whole = read(dialect(), [data])
        for chunks in (garbage.pieces(data, draw), [data[at : at + 1] for at in range(len(data))]):
            if len(chunks) < 3000:
                assert read(dialect(), chunks) == whole, f"the chunks decide what {dialect.name} says"
        _round_trip(dialect, data)
    _small(data, draw)


def read(dialect: Dialect, chunks: list[bytes]) -> list[Any]:
    """Everything a dialect says of these chunks."""
    events: list[Any] = []
    for chunk in chunks:
        events += dialect.receive(chunk)
        assert isinstance(dialect.pending, bytes)
        if events and isinstance(events[-1], Unreadable):
            break
    bad = [event for event in events if isinstance(event, Unreadable)]
    assert not bad or events[-1:] == bad, "an Unreadable is always the last"
    if not bad:
        _check_bytes(events, b"".join(chunks), dialect.pending)
        events += dialect.end()
    assert all(isinstance(event.raw, bytes) for event in events if not isinstance(event, Unreadable))
    raws = b"".join(event.raw for event in events if not isinstance(event, Unreadable))
    # The line feed after a "\r" that ended a block is a block of its own if it comes in a chunk of its own.
    return [line_ends_aside(raws), *(_plain_event(event) for event in events if event != Unrecognised("", b"\n"))]


def line_ends_aside(data: bytes) -> bytes:
    """The bytes without line ends: an event that is given its name loses the carriage return that it had."""
    return data.replace(b"\r", b"").replace(b"\n", b"")


def _plain_event(event: Any) -> list[Any]:
    names = [name for name in event.__struct_fields__ if name != "raw"]
    return [type(event).__name__, *(_plain(getattr(event, name)) for name in names)]


def _plain(value: Any) -> Any:
    """What can be compared: NaN is not equal to itself, and what is nested deeply does not like to be."""
    return value if isinstance(value, str | bytes | int | None) else dump(value, exactly=True)


def _check_bytes(events: list[Any], data: bytes, pending: bytes) -> None:
    """The events hold all bytes, in order; but one whose name did not fit its object was given another."""
    at = 0
    for event in events:
        if data.startswith(event.raw, at):
            at += len(event.raw)
            continue
        kind = event.raw.partition(b"\n")[0].removeprefix(b"event: ").decode()
        assert kind in NAMED, event
        found = data.find(b"\n\n", at), data.find(b"\r", at)
        assert found != (-1, -1), event
        return  # from here on the place in the data is not known
    assert data[at:] == pending, (at, pending)


def _round_trip(make_dialect: type[Anthropic] | type[Bedrock], data: bytes) -> None:
    for event in make_dialect().receive(data):
        fields = getattr(event, "fields", None)
        if not isinstance(fields, dict) or str(fields.get("type")) not in READABLE:
            continue
        (again,) = make_dialect().receive(make_dialect().encode(fields))
        assert type(again) is type(event), fields
        if getattr(again, "fields", None) is not None:
            assert _plain(again.fields) == _plain(fields), fields  # type: ignore[union-attr]


def _small(data: bytes, draw: Random) -> None:
    """With a bound on the frame that is in the way."""
    for dialect in (Anthropic(frame_bytes_max=50), Bedrock(frame_bytes_max=50)):
        for chunk in garbage.pieces(data, draw):
            events = dialect.receive(chunk)
            if events and isinstance(events[-1], Unreadable):
                assert len(events[-1].detail) < 500
                break


def dump_case(case: bytes) -> bytes:
    return case


def load_case(data: bytes) -> bytes:
    return data


def shrink(case: bytes, fails: Any, seconds: float) -> bytes:
    def as_text_fails(text: str) -> bool:
        return bool(fails(text.encode("latin-1")))

    small: str = garbage.shrunk(case.decode("latin-1"), as_text_fails, seconds)
    return small.encode("latin-1")


def from_bytes(data: bytes) -> bytes:
    """A case from what atheris gives."""
    return data
