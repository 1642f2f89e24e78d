"""Events to numbered frames, in the consumer's framing."""

import pytest

from midstream.gateway.frames import DIALECTS, Framer, behind, encoded, ping
from midstream.protocol.dialects import Anthropic, Bedrock
from midstream.protocol.events import Event, Fields, Unreadable
from midstream.protocol.framing import fields_of
from tests.wire import STOP, say, sse, start, stopping, text, whole

MESSAGE = whole(text(0, "Hello", ", world"))


def events(data: bytes, dialect: str = "sse") -> list[Event]:
    found = (Anthropic() if dialect == "sse" else Bedrock()).receive(data)
    assert not any(isinstance(event, Unreadable) for event in found)
    return found  # type: ignore[return-value]


def spoken(fields: list[Fields], dialect: str) -> bytes:
    return b"".join(DIALECTS[dialect].encode(each) for each in fields)


def test_what_passes_through_keeps_its_bytes_behind_its_number() -> None:
    framer = Framer("sse")
    data, count = framer.frames(events(sse(*MESSAGE)))
    assert count == len(MESSAGE) == framer.number
    lines = data.split(b"\n\n")[:-1]
    assert [line.split(b"\n", 1)[0] for line in lines] == [b"id: %d" % n for n in range(1, count + 1)]
    assert b"".join(line.split(b"\n", 1)[1] + b"\n\n" for line in lines) == sse(*MESSAGE)


def test_numbers_go_on_where_another_process_stopped() -> None:
    assert Framer("sse", 41).frames(events(sse(say(0, "a"))))[0].startswith(b"id: 42\n")


def test_an_event_stream_is_handed_on_as_it_came_and_counted() -> None:
    data = spoken(MESSAGE, "eventstream")
    assert Framer("eventstream").frames(events(data, "eventstream")) == (data, len(MESSAGE))


@pytest.mark.parametrize(("theirs", "ours"), [("eventstream", "sse"), ("sse", "eventstream")])
def test_another_framing_is_put_into_the_consumers(theirs: str, ours: str) -> None:
    data, count = Framer(ours).frames(events(spoken(MESSAGE, theirs), theirs))  # type: ignore[arg-type]
    assert count == len(MESSAGE)
    assert [fields_of(event) for event in events(data, ours)] == MESSAGE


def test_a_comment_is_no_frame_and_goes_before_the_next_one() -> None:
    framer = Framer("sse")
    assert framer.frames(events(b": still here\n\n")) == (b"", 0)
    data, count = framer.frames(events(sse(say(0, "a"))))
    assert (count, data) == (1, b": still here\n\nid: 1\n" + sse(say(0, "a")))


def test_a_comment_for_an_event_stream_is_dropped() -> None:
    assert Framer("eventstream").frames(events(b": still here\n\n" + sse(STOP)))[1] == 1


@pytest.mark.parametrize(
    "frame",
    [
        b'id: 99\nevent: ping\ndata: {"type":"ping"}\n\n',
        b'event: ping\nid: 99\ndata: {"type":"ping"}\n\n',
        b'event: ping\r\nid:99\r\ndata: {"type":"ping"}\r\n\r\n',
        b'event: ping\nid\ndata: {"type":"ping"}\n\n',
    ],
)
def test_an_upstreams_own_numbers_are_taken_off(frame: bytes) -> None:
    data, count = Framer("sse").frames(events(frame))
    assert count == 1 and data.startswith(b"id: 1\n")
    assert b"99" not in data and data.count(b"id") == 1
    assert [fields_of(event) for event in events(data)] == [{"type": "ping"}]


def test_a_byte_order_mark_does_not_hide_the_number() -> None:
    data, _ = Framer("sse").frames(events(b"\xef\xbb\xbf" + sse(start())))
    assert data == b"id: 1\n" + sse(start())


@pytest.mark.parametrize("wire", ["sse", "eventstream"])
def test_frames_of_ones_own_are_numbered_and_pings_are_not(wire: str) -> None:
    framer = Framer(wire, 7)  # type: ignore[arg-type]
    data, count = framer.own(stopping())
    assert (count, framer.number) == (1, 8)
    assert data.endswith(encoded(stopping(), wire))  # type: ignore[arg-type]
    assert (b"id: 8" in data) is (wire == "sse")
    assert b"id:" not in ping(wire)  # type: ignore[arg-type]
    given, _ = framer.given(b"event: x\ndata: {}\n\n")
    assert given.startswith(b"id: 9\n") is (wire == "sse")


@pytest.mark.parametrize("wire", ["sse", "eventstream"])
@pytest.mark.parametrize("skip", range(len(MESSAGE) + 2))
def test_a_record_can_be_read_from_any_frame_on(wire: str, skip: int) -> None:
    framer = Framer(wire)  # type: ignore[arg-type]
    parts = [framer.frames(events(spoken([each], wire), wire))[0] for each in MESSAGE]
    assert behind(b"".join(parts), wire, skip) == b"".join(parts[skip:])  # type: ignore[arg-type]


def test_comments_do_not_count_where_a_record_is_read_from() -> None:
    framer = Framer("sse")
    one = framer.frames(events(sse(say(0, "a"))))[0]
    two = framer.frames(events(b": c\n\n" + sse(say(0, "b"))))[0]
    assert behind(one + two, "sse", 1).endswith(b"id: 2\n" + sse(say(0, "b")))
    assert behind(one + two, "sse", 0) == one + two


def test_nothing_is_passed_on_past_a_comment_that_waits_nor_to_an_event_stream() -> None:
    framer = Framer("sse")
    framer.frames(Anthropic().receive(b": a comment\n\n"))
    assert not framer.passes_on
    framer.frames(Anthropic().receive(sse(say(0, "and on"))))
    assert framer.passes_on and not Framer("eventstream").passes_on


def test_the_error_that_ends_a_stream_is_a_numbered_event_or_an_exception_frame() -> None:
    error = {"type": "error", "error": {"type": "api_error", "message": "It broke.", "midstream": {"exhausted": True}}}
    data, count = Framer("sse", 2).failed(error)
    assert count == 1 and data == b"id: 3\n" + encoded(error, "sse")
    framer = Framer("eventstream", 2)
    data, count = framer.failed(error)
    assert count == 1 and framer.number == 3
    assert b"internalServerException" in data and b'"exhausted":true' in data and b"It broke." in data
