"""One question of a real far end; and what is said when somebody else answers."""

import asyncio
from dataclasses import replace

import pytest

from midstream.doctor.probe import questions
from midstream.doctor.probe.asking import Asking, NoFarEnd
from midstream.doctor.probe.road import target
from midstream.faults.probe import FarEnd
from midstream.faults.probe_words import Rest, Send
from tests.doctor.probe import answers

pytestmark = pytest.mark.sockets

SHORT = questions.Question("short", (Send(3, 0.02), Rest(0.05)))


def asking(far_end: FarEnd, token: str = "") -> Asking:
    return Asking(target(far_end.url + "/any/path"), token, margin_s=5.0)


def test_a_stream_is_seen_from_both_ends() -> None:
    with FarEnd("secret") as far_end:
        seen = asyncio.run(asking(far_end, "secret").ask(SHORT))
    assert (seen.end, seen.came, seen.left) == ("complete", 3, 3) and seen.told is not None
    assert seen.told.ended == "clean" and max(seen.lags_s) < 5


@pytest.mark.parametrize(("end", "seen_as"), [("fin", "broken"), ("rst", "reset")])
def test_a_cut_is_seen_as_it_is(end: str, seen_as: str) -> None:
    with FarEnd() as far_end:
        seen = asyncio.run(asking(far_end).ask(replace(SHORT, end=end)))
    assert (seen.end, seen.came) == (seen_as, 3) and seen.told is not None and seen.told.ended == end


def test_who_leaves_is_told_when_that_was_noticed() -> None:
    with FarEnd() as far_end:
        seen = asyncio.run(asking(far_end).ask(replace(SHORT, steps=(Send(), Rest(5)), leave_at_s=0.2)))
    assert seen.end == "left" and seen.told is not None and seen.told.left_at_s is not None


def test_sizes_are_counted_where_they_arrive() -> None:
    async def run(far_end: FarEnd) -> list[bool]:
        ask = asking(far_end)
        return [
            (await ask.size(question)).came
            for question in (
                questions.body(1_100_000),
                questions.head(70_000),
                questions.head(200_000),
                questions.body(40 << 20),
            )
        ]

    with FarEnd() as far_end:
        assert asyncio.run(run(far_end)) == [True, True, False, False]


def test_without_the_token_it_is_no_far_end_for_us() -> None:
    with FarEnd("secret") as far_end, pytest.raises(NoFarEnd, match="the far end refuses: this far end answers only"):
        asyncio.run(asking(far_end).hello())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nserver: nginx\r\ncontent-length: 2\r\n\r\nno", "HTTP 404 from nginx"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "HTTP 200, and not by a far end"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", "HTTP 200, and not by a far end"),
        (b"", "closed before any answer"),
    ],
)
def test_somebody_else_is_no_far_end(answer: bytes, words: str) -> None:
    async def run() -> None:
        async with answers.serving(answers.http1(answer)) as port:
            await Asking(target(f"http://127.0.0.1:{port}")).hello()

    with pytest.raises(NoFarEnd, match=words):
        asyncio.run(run())


def test_nobody_is_no_far_end() -> None:
    with pytest.raises(NoFarEnd, match=r"no connection to 127\.0\.0\.1:1"):
        asyncio.run(Asking(target("http://127.0.0.1:1")).hello())
