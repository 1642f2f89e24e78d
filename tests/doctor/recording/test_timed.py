"""Our own form: what is written is read back, no secret is written, and no file makes it fail."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.recording import timed
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Fact, Finished, How, Remark
from midstream.doctor.recording.text import Text
from midstream.doctor.secrets import HIDDEN

BEGIN = timed.begin_line("2026-11-21T15:00:00Z", "midstream 1").encode() + b"\n"
KEY = "sk-ant-api03-abcdefghijklmnop"


def read(data: bytes) -> list[Fact]:
    return list(timed.read(Text(iter([data]))))


def written(facts: Sequence[Fact]) -> bytes:
    return BEGIN + b"".join(timed.line_of(fact).encode(errors="surrogatepass") + b"\n" for fact in facts)


FACTS: list[Fact] = [
    Asked("POST", "https://x/v1/messages", {"content-type": "application/json"}, 0.25),
    Answered(200, {"server": "nginx"}, "HTTP/1.1", 1.5),
    Arrived(b"event: ping\n", 2.0),
    Arrived(b"\xe2\x80", 2.5),
    Arrived(b"\0\1\xff", 3.0),
    Remark("said"),
    Finished(How.STREAM_RESET, "curl exit 92", 4.0, 2),
]


def test_what_is_written_is_read_back() -> None:
    assert read(written(FACTS))[1:] == FACTS


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_that_arrived_are_read_back(data: bytes) -> None:
    lines = written([Arrived(data, 1.0), Finished(How.CLEAN)])
    assert lines.isascii() or lines.decode()
    assert [fact.data for fact in read(lines) if isinstance(fact, Arrived)] == [data]


@pytest.mark.parametrize("name", ["x-api-key", "Authorization", "cookie", "Set-Cookie", "x-amz-security-token"])
def test_no_credential_is_written(name: str) -> None:
    lines = written([Asked("GET", f"https://x/?key={KEY}", {name: KEY}), Answered(200, {name: KEY}, "")])
    assert KEY.encode() not in lines and HIDDEN.encode() in lines
    assert KEY not in timed.line_of(Finished(How.RESET, f"Bearer {KEY}"))


def test_a_number_that_belongs_to_the_end_is_written_only_if_there_is_one() -> None:
    assert "code" not in timed.line_of(Finished(How.CLEAN)) and '"code": 0' in timed.line_of(
        Finished(How.CLEAN, code=0)
    )


def test_a_recorder_that_was_killed_leaves_what_it_had() -> None:
    lines = written(FACTS[:4])
    (*facts, finished) = read(lines)
    assert facts[1:] == FACTS[:4]
    assert isinstance(finished, Finished) and finished.how is How.UNKNOWN and "killed" in finished.detail


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_line_that_is_cut_ends_it_there(cut: int) -> None:
    lines = written(FACTS[:3])
    (*facts, finished) = read(lines + timed.line_of(FACTS[3]).encode()[: cut % 20 + 1])
    assert facts[1:4] == FACTS[:3]
    assert isinstance(finished, Finished) and finished.how is How.DAMAGED


@pytest.mark.parametrize(
    "line",
    [
        {},
        [],
        5,
        {"at": 1},
        {"text": 5},
        {"base64": "%"},
        {"answered": {"status": "200"}},
        {"finished": {}},
        {"asked": 1},
    ],
)
def test_a_line_of_another_shape_ends_it(line: object) -> None:
    assert read(BEGIN + json.dumps(line).encode() + b"\n")[-1] == Finished(How.DAMAGED)


def test_a_way_to_end_that_is_not_known_yet_counts_as_unknown() -> None:
    (_, finished) = read(BEGIN + b'{"at": 1e300, "finished": {"how": "sublimed", "code": "x"}}\n')
    assert finished == Finished(How.UNKNOWN)


def test_a_line_longer_than_any_recorder_writes_is_not_gathered() -> None:
    facts = read(BEGIN + b'{"text": "' + b"x" * (timed.LINE_BYTES_MAX + 1_000_000) + b'"}\n')
    assert facts[-1] == Finished(How.DAMAGED)
