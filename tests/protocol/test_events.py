"""The typed events, held against the SDK's own types."""

import gc
from typing import get_args

import anthropic.types as sdk
import pytest

from midstream.protocol import events
from midstream.protocol.events import PAYLOADS, BlockGrew, BlockStopped, MessageStopping

DELTAS = {
    get_args(delta.model_fields["type"].annotation)[0]: delta
    for delta in get_args(get_args(sdk.RawContentBlockDelta)[0])
}


def test_every_delta_that_the_sdk_types_has_its_payload_named() -> None:
    assert set(PAYLOADS) == set(DELTAS)


@pytest.mark.parametrize("kind", sorted(PAYLOADS))
def test_the_payload_is_a_field_that_the_sdk_requires(kind: str) -> None:
    assert DELTAS[kind].model_fields[PAYLOADS[kind]].is_required()


def test_an_event_keeps_the_bytes_of_its_frame() -> None:
    every = get_args(events.Event)
    assert len(every) == 9
    assert all("raw" in event.__struct_fields__ for event in every)


def test_the_usual_delta_is_one_object_that_the_collector_need_not_follow() -> None:
    grew = BlockGrew(0, "text_delta", "Hello", b"")
    assert grew.fields is None
    assert not gc.is_tracked(grew)
    assert gc.is_tracked(BlockStopped(0, {"type": "content_block_stop", "more": []}, b""))


def test_events_are_equal_by_value() -> None:
    assert MessageStopping({"stop_reason": None}, None, {}, b"x") == MessageStopping(
        {"stop_reason": None}, None, {}, b"x"
    )
    assert BlockGrew(0, "text_delta", "a", b"") != BlockGrew(0, "text_delta", "b", b"")
