"""The built-in replies come in the pieces that a model sends."""

import pytest

from midstream.faults.builtin import REPLIES, pieces


@pytest.mark.parametrize("text", ["one", "one two  three\n\nfour ", " leading", "a\n", "| a | b |\n| --- | --- |"])
def test_the_pieces_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


def test_the_pieces_are_uneven() -> None:
    assert len({piece.count(" ") for piece in pieces("word " * 100)}) > 3


@pytest.mark.parametrize("name", REPLIES)
def test_the_events_stand_in_legal_order(name: str) -> None:
    types = [event["type"] for event in REPLIES[name] if event["type"] != "ping"]
    assert types[0] == "message_start" and types[-2:] == ["message_delta", "message_stop"]
    started = [event["index"] for event in REPLIES[name] if event["type"] == "content_block_start"]
    stopped = [event["index"] for event in REPLIES[name] if event["type"] == "content_block_stop"]
    assert started == stopped == list(range(len(started)))
