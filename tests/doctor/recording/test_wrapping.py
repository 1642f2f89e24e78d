"""Bodies come out of their chunks and their encoding; and their framing says how they ended, where nobody else does."""

import gzip
from collections.abc import Mapping

import pytest

from midstream.doctor.recording.facts import Answered, Arrived, Fact, Finished, How, Remark
from midstream.doctor.recording.wrapping import unwrapped

BODY = b"event: ping\ndata: {}\n\n" * 20


def chunked(data: bytes, size: int = 100) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def through(
    data: bytes,
    how: How = How.UNKNOWN,
    headers: Mapping[str, str] | None = None,
    *,
    step: int = 9,
    version: str = "HTTP/1.1",
) -> tuple[bytes, Finished, list[str]]:
    facts: list[Fact] = [] if headers is None else [Answered(200, headers, version)]
    facts += [Arrived(data[at : at + step], 1.0) for at in range(0, len(data), step)]
    out = list(unwrapped([*facts, Finished(how)]))
    (finished,) = [fact for fact in out if isinstance(fact, Finished)]
    body = b"".join(fact.data for fact in out if isinstance(fact, Arrived))
    return body, finished, [fact.text for fact in out if isinstance(fact, Remark)]


ROWS = {
    "plain": (BODY, {}, BODY),
    "chunked": (chunked(BODY), {"transfer-encoding": "chunked"}, BODY),
    "chunked, without a head": (chunked(BODY), None, BODY),
    "gzip": (gzip.compress(BODY), {"content-encoding": "gzip"}, BODY),
    "gzip that curl has undone": (BODY, {"content-encoding": "gzip"}, BODY),
    "gzip in chunks": (chunked(gzip.compress(BODY)), {"content-encoding": "gzip"}, BODY),
    "gzip in chunks, the first of one byte": (chunked(gzip.compress(BODY), 1), {"content-encoding": "gzip"}, BODY),
    "short": (b"data", {}, b"data"),
    "nothing": (b"", {}, b""),
}


@pytest.mark.parametrize("step", [1, 9, 1 << 16])
@pytest.mark.parametrize("name", ROWS)
def test_a_body_is_what_a_client_reads(name: str, step: int) -> None:
    data, headers, body = ROWS[name]
    assert through(data, headers=headers, step=step)[0] == body


@pytest.mark.parametrize("cut", [1, 30, 99, 105, 300])
def test_chunks_that_are_cut_are_incomplete_and_whole_ones_are_clean(cut: int) -> None:
    headers = {"transfer-encoding": "chunked"}
    assert through(chunked(BODY), headers=headers)[1].how is How.CLEAN
    assert through(chunked(BODY)[:cut], headers=headers, step=1000)[1].how in (How.INCOMPLETE, How.UNKNOWN)
    assert through(chunked(BODY)[:300], headers=headers, step=1000)[1].how is How.INCOMPLETE
    assert through(chunked(BODY)[:300] + b"zz\r\nzz\r\nzz\r\n" * 50, headers=headers)[1].how is How.BROKEN
    assert through(chunked(BODY)[:300], How.RESET, headers)[1].how is How.RESET


def test_a_content_length_says_whether_something_is_missing() -> None:
    length = {"content-length": str(len(BODY))}
    assert through(BODY, headers=length)[1].how is How.CLEAN
    missing = through(BODY[:-7], headers=length)[1]
    assert missing.how is How.INCOMPLETE and "7 of the" in missing.detail
    # Of the encoded body; how many bytes those were is not in the recording.
    assert through(BODY, headers=length | {"content-encoding": "gzip"})[1].how is How.UNKNOWN


def test_a_compressed_body_that_ends_short_or_is_damaged_is_said() -> None:
    packed, headers = gzip.compress(BODY, mtime=0), {"transfer-encoding": "chunked"}
    assert through(packed, How.CLEAN, headers)[1] == Finished(How.CLEAN)
    assert through(packed[:40], How.CLEAN, headers)[1] == Finished(How.CLEAN, "the compressed body ends short")
    damaged = through(packed[:10] + b"\xff" * 50, How.CLEAN, headers)[1]
    assert damaged.how is How.BROKEN and "damaged" in damaged.detail
    assert through(packed[:40], How.RESET, headers)[1] == Finished(How.RESET)


def test_what_nothing_frames_is_closed_and_not_clean() -> None:
    assert through(BODY, How.CLEAN, {})[1].how is How.CLOSED
    assert through(BODY, How.CLEAN, {"transfer-encoding": "chunked"})[1].how is How.CLEAN
    assert through(BODY, How.CLEAN, {}, version="HTTP/2")[1].how is How.CLEAN


def test_what_was_undone_is_said() -> None:
    _, _, remarks = through(chunked(gzip.compress(BODY)), headers={})
    assert len(remarks) == 2 and "chunks" in remarks[0] and "gzip" in remarks[1]


def test_an_encoding_that_cannot_be_undone_here_is_said_and_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midstream.doctor.recording.coding.undoing_of", lambda *_: None)
    body, finished, _ = through(gzip.compress(BODY), headers={})
    assert body == b"" and finished.how is How.DAMAGED and "gzip" in finished.detail


def test_a_short_body_without_an_end_comes_out_too() -> None:
    assert list(unwrapped([Arrived(b"data")])) == [Arrived(b"data")]
    assert list(unwrapped([Remark("r")])) == [Remark("r")]


def test_each_exchange_is_unwrapped_by_itself() -> None:
    facts = [Answered(200, {}, ""), Arrived(chunked(BODY)), Answered(200, {}, ""), Arrived(BODY), Finished(How.UNKNOWN)]
    assert b"".join(fact.data for fact in unwrapped(facts) if isinstance(fact, Arrived)) == BODY + BODY
