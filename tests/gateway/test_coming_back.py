"""docs/reference/coming-back.md: each MUST there names its test here."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from midstream.faults.reply import Reply
from tests.gateway.client import ASKED, Answer, ask, numbered, text_of
from tests.gateway.inprocess import Standing, run, standing

pytestmark = pytest.mark.sockets


PAGE = Path(__file__).resolve().parents[2] / "docs/reference/coming-back.md"


def test_every_must_of_the_page_is_numbered_and_names_a_test_that_there_is() -> None:
    page = PAGE.read_text()
    numbered_ones = re.findall(r"^(\d+)\. (.*(?:\n {3,}.*)*)", page, re.MULTILINE)
    assert [int(number) for number, _ in numbered_ones] == list(range(1, len(numbered_ones) + 1))
    assert sum(text.count("MUST") for _, text in numbered_ones) == len(re.findall(r"\bMUST\b(?! \d)", page)) - 1
    for number, text in numbered_ones:
        modules = re.findall(r"`(test_\w+\.py)`", text)
        assert all((PAGE.parents[2] / "tests/gateway" / module).is_file() for module in modules), number
        sources = [(PAGE.parents[2] / "tests/gateway" / name).read_text() for name in {*modules, "test_coming_back.py"}]
        named = re.findall(r"`(test_\w+)`", text)
        assert named and all(any(f"def {name}(" in source for source in sources) for name in named), (number, named)


async def begun(st: Standing, frames: int = 3, **headers: str) -> Answer:
    """A stream of which a few frames were read."""
    answer = await ask(st.url, **headers)
    assert answer.status == 200
    await answer.frames(frames)
    return answer


def stream(answer: Answer) -> str:
    return f"/midstream/streams/{answer.headers['midstream-stream-id']}"


async def again(st: Standing, answer: Answer, after: str = "", **headers: str) -> Answer:
    headers |= {"last_event_id": after} if after else {}
    return await ask(st.url, "GET", stream(answer), None, **headers)


def test_every_response_names_its_stream_and_every_frame_its_number() -> None:
    async def story() -> None:
        async with standing() as st:
            answer = await ask(st.url)
            frames = await answer.frames()
            assert answer.whole and answer.headers["midstream-stream-id"].startswith("ms-")
            assert [frame.id for frame in frames] == [str(n) for n in range(1, len(frames) + 1)]
            assert frames[-1].name == "message_stop"
            await answer.close()

    run(story)


@pytest.mark.parametrize("memory", [True, False])
def test_a_finished_stream_is_read_on_from_any_frame(memory: bool, tmp_path: Path) -> None:
    async def story() -> None:
        async with standing(journal=None if memory else tmp_path / "journal.sqlite3") as st:
            answer = await ask(st.url)
            frames = await answer.frames()
            await answer.close()
            for after in range(len(frames) + 1):
                back = await again(st, answer, str(after))
                rest = numbered(await back.frames())
                assert back.whole and rest == frames[after:], after
                assert back.headers["content-type"].startswith("text/event-stream")
                await back.close()

    run(story)


def test_a_running_stream_is_read_on_where_its_reader_broke_off() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.01) as st:
            answer = await begun(st, 5)
            seen = numbered(await answer.frames(5))
            await answer.close()
            back = await again(st, answer, seen[-1].id)
            rest = numbered(await back.frames())
            assert back.whole and rest[0].id == str(int(seen[-1].id) + 1)
            assert text_of(seen + rest) == Reply.builtin("text").text
            await back.close()

    run(story)


def test_many_readers_see_the_same_frames() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.005) as st:
            first = await begun(st, 8)
            others = [await again(st, first, str(after)) for after in range(8)]
            whole = numbered(await first.frames())
            for after, other in enumerate(others):
                assert numbered(await other.frames()) == whole[after:]
                await other.close()
            await first.close()

    run(story)


def test_only_the_credential_that_made_a_stream_may_read_or_remove_it() -> None:
    async def story() -> None:
        async with standing() as st:
            answer = await ask(st.url)
            await answer.read()
            await answer.close()
            for method in ("GET", "DELETE"):
                for headers in ({"x_api_key": "other"}, {"authorization": "Bearer other"}):
                    refused = await ask(st.url, method, stream(answer), None, **headers)
                    assert refused.status == 404 and "no such stream" in (await refused.read()).decode()
                    await refused.close()
            same = await ask(st.url, "GET", stream(answer), None, authorization="Bearer sk-test")
            assert same.status == 200  # the same key, sent the other way
            await same.close()

    run(story)


def test_a_removed_stream_is_gone() -> None:
    async def story() -> None:
        async with standing() as st:
            answer = await ask(st.url)
            await answer.read()
            await answer.close()
            removed = await ask(st.url, "DELETE", stream(answer), None)
            assert removed.status == 204
            await removed.close()
            gone = await again(st, answer)
            assert gone.status == 404
            await gone.close()

    run(story)


@pytest.mark.parametrize("how", [{"x_stainless_retry_count": "1"}, {"idempotency_key": "abc"}])
def test_a_retry_of_a_request_whose_reader_broke_off_gets_the_stream_it_made(how: dict[str, str]) -> None:
    async def story() -> None:
        first_how = {name: value for name, value in how.items() if name == "idempotency_key"}
        async with standing("ok", pace_s=0.01) as st:
            answer = await begun(st, 3, **first_how)
            await answer.close()
            await asyncio.sleep(0.05)
            back = await ask(st.url, **how)
            frames = numbered(await back.frames())
            assert back.headers["midstream-stream-id"] == answer.headers["midstream-stream-id"]
            assert text_of(frames) == Reply.builtin("text").text and frames[0].id == "1"
            assert len(st.faults.service.requests) == 1
            await back.close()

    run(story)


def test_a_request_that_comes_twice_at_once_under_one_key_is_one_stream(tmp_path: Path) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.005, journal=tmp_path / "journal.sqlite3") as st:
            both = await asyncio.gather(*(begun(st, 2, idempotency_key="abc") for _ in range(5)))
            assert len({answer.headers["midstream-stream-id"] for answer in both}) == 1
            assert len(st.faults.service.requests) == 1
            for answer in both:
                await answer.close()

    run(story)


RIVALS: list[tuple[dict[str, str], dict[str, str], Any]] = [
    ({}, {}, ASKED),
    ({}, {"x_stainless_retry_count": "0"}, ASKED),
    ({}, {"x_stainless_retry_count": "1"}, {**ASKED, "max_tokens": 999}),
    ({}, {"x_stainless_retry_count": "1", "x_api_key": "other"}, ASKED),
    ({"idempotency_key": "a"}, {"idempotency_key": "b"}, ASKED),
    ({"idempotency_key": "a"}, {"x_stainless_retry_count": "1"}, ASKED),
]


@pytest.mark.parametrize(("first", "second", "body"), RIVALS)
@pytest.mark.parametrize("left", [True, False])
def test_two_requests_that_are_not_retries_are_never_merged(
    first: dict[str, str], second: dict[str, str], body: Any, left: bool
) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.005) as st:
            one = await begun(st, 2, **first)
            if left:
                await one.close()
                await asyncio.sleep(0.02)
            two = await ask(st.url, body=body, **second)
            assert two.headers["midstream-stream-id"] != one.headers["midstream-stream-id"]
            await two.read()
            assert len(st.faults.service.requests) == 2
            await two.close()
            await one.close()

    run(story)


def test_a_retry_while_the_first_reader_still_reads_is_a_request_of_its_own() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.005) as st:
            one = await begun(st, 2)
            two = await begun(st, 2, x_stainless_retry_count="1")
            assert two.headers["midstream-stream-id"] != one.headers["midstream-stream-id"]
            await one.close()
            await two.close()

    run(story)


@pytest.mark.parametrize(("on_leave", "ends"), [("finish", True), ("cancel", False), ("grace", False)])
def test_when_the_last_reader_leaves_the_setting_counts(on_leave: str, ends: bool) -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.01, on_leave=on_leave, grace_s=0.05) as st:
            answer = await begun(st, 3)
            await answer.close()
            while st.gateway.hub.running:
                await asyncio.sleep(0.01)
            back = await again(st, answer)
            frames = numbered(await back.frames())
            assert back.whole is ends and (frames[-1].name == "message_stop") is ends
            await back.close()

    run(story)


def test_a_reader_that_comes_back_within_its_grace_keeps_the_stream() -> None:
    async def story() -> None:
        async with standing("ok", pace_s=0.02, grace_s=0.3) as st:
            answer = await begun(st, 2)
            await answer.close()
            await asyncio.sleep(0.1)
            back = await again(st, answer, "2")
            await back.frames()
            assert back.whole
            await back.close()

    run(story)


@pytest.mark.parametrize("after", ["x", "-1", "9" * 30])
def test_a_number_that_is_none_is_refused(after: str) -> None:
    async def story() -> None:
        async with standing() as st:
            answer = await ask(st.url)
            await answer.read()
            await answer.close()
            refused = await again(st, answer, after)
            assert refused.status == 400
            assert json.loads(await refused.read())["error"]["type"] == "invalid_request_error"
            await refused.close()

    run(story)
