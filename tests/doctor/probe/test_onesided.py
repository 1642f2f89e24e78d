"""What can be seen from one side, and that nothing else is claimed."""

import zlib

import pytest

from midstream.doctor.probe.heard import Heard
from midstream.doctor.probe.observations import Passed
from midstream.doctor.probe.onesided import OneSided, error_type, judge, reply, report

WHOLE = [b'event: content_block_delta\ndata: {"n": %d}\n\n' % number for number in range(20)]
STOP = b'event: message_stop\ndata: {"type": "message_stop"}\n\n'
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def heard(pieces: list[tuple[float, bytes]], **changed: object) -> Heard:
    values = {
        "status": 200,
        "framing": "chunked",
        "head_at_s": 0.2,
        "sent_at_s": 0.0,
        "end": "complete",
        "end_at_s": 3.0,
    }
    return Heard("http/1.1", pieces=pieces, **{**values, **changed})  # type: ignore[arg-type]


def flowing(*more: bytes, **changed: object) -> Heard:
    pieces = [(0.3 + 0.1 * number, data) for number, data in enumerate((*WHOLE, *more))]
    return heard(pieces, **changed)


AT_THE_END = [(2.9 + 0.002 * number, data) for number, data in enumerate((*WHOLE, STOP))]


def found(*replies: Heard, bodies: tuple[Passed, ...] = ()) -> list[str]:
    seen = OneSided(replies=tuple(reply("a reply", each) for each in replies), bodies=bodies)
    return [finding.id.removeprefix("PROBE-") for finding in judge(seen)[0]]


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ([flowing(STOP)], []),
        ([heard(AT_THE_END)], ["BUFFERED"]),
        ([heard(AT_THE_END), heard(AT_THE_END)], ["BUFFERED"]),
        # Once is a hiccup.
        ([heard(AT_THE_END), flowing(STOP)], []),
        # A short reply says nothing about buffers.
        ([heard(AT_THE_END[-5:])], []),
        ([heard([(0.3, b"".join(WHOLE) + STOP)], end_at_s=0.31)], []),
        ([flowing()], ["SILENT"]),
        ([flowing(b'event: error\ndata: {"type": "error"}\n\n')], ["REFUSED"]),
        ([flowing(b'event: error\ndata: {"type": "error"}\n\n'), flowing(STOP)], []),
        ([flowing(end="broken")], ["CUT"]),
        ([flowing(STOP, end="broken")], []),
        ([flowing(STOP, framing="close", end="unframed")], ["SILENT"]),
        ([heard([], status=502)], ["REFUSED"]),
        ([heard([], status=None, end="refused", detail="no connection")], ["REFUSED"]),
    ],
)
def test_what_was_seen_is_called_what_it_is(replies: list[Heard], expected: list[str]) -> None:
    assert found(*replies) == expected


def test_the_rules_of_whoever_stands_there_are_named() -> None:
    held = heard(AT_THE_END, headers=[("server", "nginx/1.22.1")])
    seen = OneSided(replies=(reply("a reply", held),), bodies=(Passed(1_100_000, False, "HTTP 413"),))
    assert [finding.related for finding in judge(seen)[0]] == [("NGX-HTTP10", "NGX-BUFFERING"), ("NGX-BODY-SIZE",)]


def test_a_refusal_is_told_in_the_words_of_the_api_and_an_error_event_is_no_cut() -> None:
    body = b'{"type":"error","error":{"type":"authentication_error","message":"secret"}}'
    refused = heard([(0.1, body)], status=401)
    told = report(OneSided(replies=(reply("a reply", refused),)), "https://x")
    assert told.verdict == "the question is not answered with a stream: HTTP 401 authentication_error"
    failed = flowing(b'event: error\ndata: {"type": "error"}\n\n')
    rows = dict(report(OneSided(replies=(reply("a reply", failed),)), "https://x").tables[0].rows)
    assert rows["a reply"].endswith("no message_stop (an error event)")


def test_compressed_replies_are_judged_apart() -> None:
    packer = zlib.compressobj(wbits=31)
    pieces = [(at, packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)) for at, data in AT_THE_END]
    packed = heard(pieces, headers=[("content-encoding", "gzip")])
    assert found(flowing(STOP), packed) == ["COMPRESSION"]


def test_a_body_that_is_stopped_on_the_way_is_told() -> None:
    bodies = (Passed(1_100_000, True, "HTTP 400"), Passed(11_000_000, False, "HTTP 413"))
    assert found(flowing(STOP), bodies=bodies) == ["BODY"]


def test_a_report_says_what_it_cannot_say() -> None:
    seen = OneSided(replies=(reply("a reply", flowing(PING, STOP, headers=[("server", "cloudflare")])),))
    told = report(seen, "https://x")
    assert told.severity == "good" and "far end" in told.advice[0]
    rows = dict(told.tables[0].rows)
    assert "1 pings" in rows["a reply"] and "whole" in rows["a reply"] and "cloudflare" in rows["on the way"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"type":"error","error":{"type":"not_found_error"}}', "not_found_error"),
        (b"<html>", ""),
        (b"[1]", ""),
        (b"[" * 65_536, ""),
    ],
)
def test_the_type_of_an_error(body: bytes, expected: str) -> None:
    assert error_type(body) == expected


def test_bytes_that_are_no_events_are_none() -> None:
    assert reply("a reply", heard([(1.0, b"x" * 9_000_000)])).events == ()
