"""Any file is read as what it is."""

import gzip
import io
import json

import pytest

from midstream.doctor.recording import har, timed
from midstream.doctor.recording.facts import Answered, Arrived, Fact, Finished, How, Remark
from midstream.doctor.recording.reading import read

BODY = b'event: ping\ndata: {"type": "ping"}\n\n'
TIMED = timed.begin_line("now", "us") + "\n" + timed.line_of(Arrived(BODY, 1.0)) + "\n"
HAR = json.dumps({"log": {"version": "1", "entries": [{"request": {"url": "/v1/messages"}, "response": {"status": 200, "content": {"text": BODY.decode()}}}]}})  # fmt: skip  # noqa: E501
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"

FILES = {
    "bare": BODY,
    "with a byte order mark": b"\xef\xbb\xbf" + BODY,
    "curl -i": HEAD + BODY,
    "timed": TIMED.encode(),
    "har": HAR.encode(),
    "compressed": gzip.compress(BODY),
    "compressed twice": gzip.compress(gzip.compress(HEAD + BODY)),
    "a compressed HAR": gzip.compress(HAR.encode()),
    "from PowerShell": "\ufeff".encode("utf-16-le") + BODY.decode().replace("\n", "\r\n").encode("utf-16-le"),
}


def facts(data: bytes) -> list[Fact]:
    return list(read(io.BytesIO(data)))


@pytest.mark.parametrize("name", FILES)
def test_the_body_is_found_whatever_the_form_of_the_file(name: str) -> None:
    found = facts(FILES[name])
    body = b"".join(fact.data for fact in found if isinstance(fact, Arrived)).removeprefix(b"\xef\xbb\xbf")
    assert body == BODY
    assert isinstance([fact for fact in found if not isinstance(fact, Remark)][-1], Finished)
    assert bool([fact for fact in found if isinstance(fact, Answered)]) == (
        name.startswith(("curl", "har")) or "HAR" in name or "twice" in name
    )


def test_half_a_character_waits_for_its_other_half() -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return self.read(1)

    found = list(read(Slow(FILES["from PowerShell"])))
    assert b"".join(fact.data for fact in found if isinstance(fact, Arrived)).replace(b"\r", b"") == BODY


def test_an_empty_file_has_no_facts() -> None:
    assert facts(b"") == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gzip.compress(BODY, mtime=0)[:10] + b"\xff" * 50, "damaged"),
        (b'{"log": {"version": "1.2", "entries": [', "HAR"),
        (b"\x28\xb5\x2f\xfd" + b"\0" * 9, "zstd"),
    ],
    ids=["gzip", "har", "zstd"],
)
def test_what_cannot_be_read_on_is_one_sentence(data: bytes, words: str) -> None:
    found = facts(data)
    assert [fact.how for fact in found if isinstance(fact, Finished)] == [How.DAMAGED]
    assert words in " ".join(fact.text for fact in found if isinstance(fact, Remark))


def test_a_har_over_the_bound_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(har, "HAR_BYTES_MAX", 100)
    remark, finished = facts(HAR.encode() + b" " * 200)
    assert isinstance(remark, Remark) and "whole" in remark.text
    assert isinstance(finished, Finished) and finished.how is How.DAMAGED
