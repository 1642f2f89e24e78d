"""A drawn share of `bench.every_cut`: every capture, a few places each; and that the check can fail."""

import json
from base64 import b64encode
from collections import Counter
from dataclasses import replace

import pytest

from bench.every_cut import oracle, run, state
from bench.every_cut.captures import Capture, captures
from bench.every_cut.cells import Player
from bench.every_cut.reader import Illegal, Reader, read
from midstream.protocol import eventstream, sse
from midstream.protocol.dialects import Anthropic
from midstream.recovery import commit
from midstream.recovery.engine import Engine
from midstream.recovery.seam import Join
from midstream.recovery.steps import Received
from tests import shared_data

SHARE = 1 / 5000
"""A place or two of each capture: under a minute. All of them take hours: ``make every-cut``."""


def test_a_drawn_share_of_all_cuts_ends_as_the_contract_says() -> None:
    shared_data.require()
    wrong, ends = [], Counter[str]()
    for number, job in enumerate(run.jobs(captures(), share=SHARE, shard=(1, 1), seed=2)):
        # Where the upstream stays broken each run is many attempts: every third capture has to do.
        result = run.work(job if number % 3 == 0 else replace(job, broken=()))
        wrong += result.problems
        for line, count in result.counts.items():
            ends[line.split()[-1]] += count
    assert not wrong
    assert {oracle.COMPLETE, oracle.RESTARTED, oracle.CONTINUED, oracle.SETTLED} <= set(ends)


def event(kind: str, **fields: object) -> bytes:
    return sse.encode(kind, json.dumps({"type": kind, **fields}).encode())


def told(*texts: str, tool: bool = False) -> Capture:
    """A capture of our own: texts, and perhaps a tool call."""
    out = [event("message_start", message={"id": "msg_1", "role": "assistant", "content": [], "stop_reason": None})]
    for number, text in enumerate(texts):
        out.append(event("content_block_start", index=number, content_block={"type": "text", "text": ""}))
        for word in text.split(" "):
            out.append(event("content_block_delta", index=number, delta={"type": "text_delta", "text": f"{word} "}))
        out.append(event("content_block_stop", index=number))
    if tool:
        block = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": '{"at": "it"}'}
        out.append(event("content_block_start", index=len(texts), content_block=block))
        out.append(event("content_block_delta", index=len(texts), delta=delta))
        out.append(event("content_block_stop", index=len(texts)))
    reason = "tool_use" if tool else "end_turn"
    out.append(event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 9}))
    out.append(event("message_stop"))
    return Capture("told", "sse", b"".join(out), None)


def ends_of(capture: Capture) -> Counter[tuple[str, bool]]:
    """The ends of the cells at every seventh byte, and whether something was wrong with them."""
    found = Player(capture).cells(capture.places()[::7])
    return Counter((outcome.end, outcome.problem is not None) for _, outcome in found)


TEXT = "The best of times, the worst of times"


def test_cuts_of_a_text_and_a_call_are_well() -> None:
    found = ends_of(told(TEXT, tool=True))
    assert not any(wrong for _, wrong in found)
    assert {end for end, _ in found} == {oracle.COMPLETE, oracle.RESTARTED, oracle.CONTINUED, oracle.SETTLED}


def test_a_seam_that_drops_a_word_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Join.feed
    monkeypatch.setattr(Join, "feed", lambda join, text: feed(join, text).replace("worst", ""))
    assert ends_of(told(TEXT))[oracle.CONTINUED, True]


def test_an_engine_that_ends_cleanly_where_the_stream_was_cut_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "_recover", lambda engine, attempt, failure, dropped, out, now: engine._finish(out))
    found = ends_of(told(TEXT))
    assert found[oracle.RESTARTED, True] and found[oracle.CONTINUED, True]
    assert not found[oracle.RESTARTED, False] and not found[oracle.CONTINUED, False]


def test_an_engine_that_holds_what_it_may_show_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(commit.WHEN, "text", commit.Show.WHOLE)
    found = ends_of(told(TEXT))
    assert found[oracle.CONTINUED, True] and not found[oracle.CONTINUED, False]


def ending_in_zero(data: bytes) -> bytes:
    """One chunk of Bedrock's, padded so that the last byte of its checksum is zero."""
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    chunk = {"bytes": b64encode(data).decode()}
    padded = (eventstream.encode(headers, json.dumps({**chunk, "p": "a" * size}).encode()) for size in range(4096))
    return next(frame for frame in padded if frame[-1] == 0)


def test_a_frame_that_the_first_byte_of_an_exception_makes_whole_did_arrive() -> None:
    frames = [ending_in_zero(json.dumps(event).encode()) for event in told(TEXT).events]
    ends = [sum(map(len, frames[: number + 1])) for number in range(len(frames))]
    found = Player(Capture("told", "bedrock", b"".join(frames), None)).cells([end - 1 for end in ends])
    of_exceptions = [(cell.at + 1, outcome) for cell, outcome in found if cell.fault == "exception"]
    assert [outcome.problem for _, outcome in of_exceptions if outcome.problem] == []
    first_words = {at: outcome.end for at, outcome in of_exceptions}
    assert [first_words[end] for end in ends[:3]] == [oracle.RESTARTED, oracle.RESTARTED, oracle.CONTINUED]


def test_an_engine_that_forgets_a_whole_frame_at_the_end_of_the_input_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does what it would have done a byte earlier, which was right there: what is expected has changed."""
    monkeypatch.setattr(Anthropic, "end", lambda dialect: [])
    capture = told(TEXT)
    end = sum(map(len, capture.frames[:4]))
    found = [outcome.problem for cell, outcome in Player(capture).cells([end - 40, end - 1]) if cell.fault == "fin"]
    assert [problem is None for problem in found] == [True] * 4 + [False] * 4


def test_copies_of_an_engine_go_their_own_ways() -> None:
    player = Player(told(TEXT))
    begun = player.begun("turn")
    state.share(begun.engine)
    copy = state.frozen(begun.engine)
    assert state.fingerprint(state.thawed(copy)) == state.fingerprint(state.thawed(copy))
    one, other = (replace(begun, engine=state.thawed(copy), out=[]) for _ in range(2))
    for frame in player.capture.frames[:5]:
        one.receive(Received(frame))
    assert one.engine.snapshot()["content"]
    assert other.engine.snapshot() == {} == begun.engine.snapshot()


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("a block that was begun twice", told("a b").body.replace(b'"index": 0}', b'"index": 1}', 1)),
        ("a second message", told("a").body * 2),
        ("no stop reason", told("a").body.replace(b'"end_turn"', b"null")),
        ("an error", told("a").body.replace(b"message_stop", b"error")),
    ],
)
def test_the_strict_reader_refuses(what: str, body: bytes) -> None:
    with pytest.raises(Illegal):
        read(body, "sse")


def test_the_strict_reader_adds_up() -> None:
    reader = read(told("a b", tool=True).body, "sse")
    assert reader.stopped and reader.stop_reason == "tool_use"
    assert [block.get("text") or block.get("\0json") for block in reader.blocks] == ["a b ", '{"at": "it"}']


def test_a_copy_of_the_reader_goes_its_own_way() -> None:
    reader = Reader("sse")
    whole = told("a b").frames
    reader.feed(b"".join(whole[:3]))
    copy = reader.fork()
    copy.feed(b"".join(whole[3:]))
    assert (reader.blocks[0]["text"], copy.blocks[0]["text"]) == ("a ", "a b ")
