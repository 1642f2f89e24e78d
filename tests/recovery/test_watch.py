"""The watchdogs (the contract, §9), as arithmetic on a virtual clock."""

from typing import Any

import pytest

from midstream.protocol.dialects import Anthropic
from midstream.protocol.message import Message
from midstream.recovery.policy import Policy
from midstream.recovery.watch import NEVER, Watch
from tests.wire import begin, call, end, result, sse, start, text, thinking

Fields = dict[str, Any]
POLICY = Policy()


def message_of(fields: list[Fields]) -> Message:
    message = Message()
    for event in Anthropic().receive(sse(*fields)):
        assert message.receive(event) is None  # type: ignore[arg-type]
    return message


def watching(
    *blocks: list[Fields], pings: int = 0, policy: Policy = POLICY, read_timeout_s: float | None = None
) -> Watch:
    """A watch that has followed these blocks up to second 100."""
    watch = Watch(policy, 0, 0.0, NEVER)
    watch.opened(read_timeout_s, 0.0)
    for _ in range(pings):
        watch.pinged()
    watch.follow(message_of([start(), *(event for block in blocks for event in block)]), 100.0)
    watch.heard(100.0)
    return watch


@pytest.mark.parametrize(("size", "limit"), [(0, 180.0), (32 * 1024, 181.0), (32 * 1024 * 60, 240.0)])
def test_the_first_event_has_a_second_more_for_each_32_kib_of_request(size: int, limit: float) -> None:
    watch = Watch(POLICY, size, 1000.0, NEVER)
    assert watch.deadline == 1000.0 + limit
    assert watch.expired(1000.0 + limit - 0.001) is None
    assert watch.expired(1000.0 + limit) == "first"


def test_bytes_before_the_first_event_do_not_lengthen_its_limit() -> None:
    watch = Watch(POLICY, 0, 0.0, NEVER)
    assert watch.heard(100.0) == 180.0
    assert watch.expired(180.0) == "first"


def test_silence_is_180_s_after_any_byte() -> None:
    watch = watching(text(0, "a", closed=False))
    assert watch.deadline == 280.0
    assert watch.heard(150.0) == 330.0
    assert watch.expired(329.9) is None
    assert watch.expired(330.0) == "silence"


def test_progress_is_300_s_after_what_changes_the_message_whatever_else_comes() -> None:
    watch = watching(text(0, "a", closed=False))
    assert watch.heard(390.0) == 400.0
    assert watch.expired(400.0) == "progress"
    watch.progressed(395.0)
    assert watch.heard(395.0) == 575.0
    assert watch.expired(400.0) is None


def test_two_pings_lower_the_silence_to_60_s() -> None:
    watch = watching(text(0, "a", closed=False))
    watch.pinged()
    assert watch.heard(110.0) == 290.0
    watch.pinged()
    assert watch.heard(120.0) == 180.0
    assert watch.expired(180.0) == "silence"


SLOW = {
    "thinking": [thinking(0, "a", closed=False)],
    "redacted thinking": [[begin(0, "redacted_thinking", data="x")]],
    "a tool call": [call(0, "{", closed=False)],
    "a server tool": [call(0, "{", type="server_tool_use", closed=False)],
    "an MCP tool": [call(0, "{", type="mcp_tool_use", closed=False)],
    "a compaction": [[begin(0, "compaction", content=None)]],
    "a result that is awaited": [call(0, "{}", type="server_tool_use")],
    "an MCP result that is awaited": [call(0, "{}", type="mcp_tool_use")],
    "a text while a result is awaited": [call(0, "{}", type="server_tool_use"), text(1, "a", closed=False)],
}
USUAL = {
    "nothing": [],
    "a text": [text(0, "a", closed=False)],
    "a text that has stopped": [text(0, "a")],
    "thinking that has stopped": [thinking(0, "a")],
    "a client call that has stopped": [call(0, "{}")],
    "a result that has come": [call(0, "{}", type="server_tool_use"), result(1)],
    "a type that nobody knows": [[begin(0, "novel")]],
}


@pytest.mark.parametrize("name", SLOW)
def test_slow_blocks_have_1800_s_of_both_until_two_pings_were_seen(name: str) -> None:
    watch = watching(*SLOW[name])
    assert watch.deadline == 1900.0
    assert watch.expired(1899.0) is None
    assert watching(*SLOW[name], pings=1).deadline == 1900.0
    # With pings the silence is the ordinary one; never the 60 s, where progress has 1800 s.
    pinged = watching(*SLOW[name], pings=2)
    assert pinged.deadline == 280.0
    pinged.heard(1850.0)
    assert pinged.deadline == 1900.0
    assert pinged.expired(1900.0) == "progress"


@pytest.mark.parametrize("name", USUAL)
def test_everything_else_has_180_and_300_s_and_60_s_after_two_pings(name: str) -> None:
    watch = watching(*USUAL[name])
    assert watch.deadline == 280.0
    watch.heard(399.0)
    assert watch.deadline == 400.0
    assert watching(*USUAL[name], pings=2).deadline == 160.0


def test_a_ping_within_a_slow_block_counts_at_once() -> None:
    watch = watching(*SLOW["thinking"], pings=1)
    assert watch.heard(100.0) == 1900.0
    watch.pinged()
    assert watch.heard(100.0) == 280.0


def test_a_slow_block_that_stops_is_slow_no_more() -> None:
    watch = watching(*SLOW["thinking"])
    watch.follow(message_of([start(), *thinking(0, "a")]), 100.0)
    assert watch.heard(100.0) == 280.0


@pytest.mark.parametrize("timeout_s", [None, 0.0, -1.0])
def test_without_a_read_timeout_of_the_caller_s_the_policy_decides(timeout_s: float | None) -> None:
    assert watching(read_timeout_s=timeout_s).deadline == 280.0


@pytest.mark.parametrize(("blocks", "pings"), [("nothing", 0), ("thinking", 0), ("nothing", 2)])
def test_the_caller_s_read_timeout_is_the_upper_limit_of_the_silence(blocks: str, pings: int) -> None:
    shape = {**SLOW, **USUAL}[blocks]
    assert watching(*shape, pings=pings, read_timeout_s=7.0).deadline == 107.0
    longer = watching(*shape, pings=pings, read_timeout_s=600.0)
    assert longer.deadline == min(700.0, watching(*shape, pings=pings).deadline)


def test_the_caller_s_read_timeout_bounds_the_wait_for_the_first_event_too() -> None:
    watch = Watch(POLICY, 0, 0.0, NEVER)
    watch.opened(7.0, 3.0)
    assert watch.deadline == 10.0 and watch.expired(9.9) is None and watch.expired(10.0) == "silence"
    assert watch.heard(8.0) == 15.0
    patient = Watch(POLICY, 0, 0.0, NEVER)
    patient.opened(600.0, 3.0)
    assert patient.deadline == 180.0 and patient.expired(180.0) == "first"


def test_the_total_beats_all_others() -> None:
    watch = Watch(POLICY, 0, 0.0, 50.0)
    assert watch.deadline == 50.0
    assert watch.expired(49.9) is None
    assert watch.expired(50.0) == "total"
    watch.progressed(10.0)
    assert watch.heard(10.0) == 50.0
    assert watch.expired(1000.0) == "total"


def test_the_limits_are_the_policy_s() -> None:
    policy = Policy(silence_s=20, progress_s=30, progress_slow_s=25, silence_after_pings_s=90, first_event_s=5)
    assert Watch(policy, 0, 0.0, NEVER).deadline == 5.0
    assert watching(policy=policy).deadline == 120.0
    # The lower silence and the higher progress count, where the policy has them the other way round.
    assert watching(policy=policy, pings=2).deadline == 120.0
    watch = watching(*SLOW["thinking"], policy=policy)
    assert watch.deadline == 125.0
    watch.heard(129.0)
    assert watch.deadline == 130.0


def test_the_message_s_stops_are_followed() -> None:
    watch = watching()
    watch.follow(message_of([start(), begin(0), end(0)]), 200.0)
    watch.heard(200.0)
    assert watch.deadline == 380.0


@pytest.mark.parametrize("total_at", [NEVER, 150.0])
@pytest.mark.parametrize("progress_s", [300.0, 20.0])
def test_a_chunk_that_gets_on_resets_both(total_at: float, progress_s: float) -> None:
    watch = Watch(Policy(progress_s=progress_s), 0, 0.0, total_at)
    assert watch.flowed(100.0) == min(280.0, 100.0 + progress_s, total_at) == watch.deadline
    assert watch.quiet_until == watch.deadline
    assert watch.expired(watch.deadline) is not None
    assert watch.expired(watch.deadline - 0.01) is None


def test_pings_of_earlier_attempts_count_on_this_stream() -> None:
    watch = Watch(POLICY, 0, 0.0, NEVER, pings=2)
    watch.progressed(100.0)
    assert watch.heard(100.0) == 160.0
    watch.pinged()
    assert watch.pings == 3
