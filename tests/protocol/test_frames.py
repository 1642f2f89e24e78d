"""Frames are values, and the error of a frame that is too large has its numbers."""

import pytest

from midstream.protocol.frames import Frame, FrameTooLarge, WireError


def test_frames_with_the_same_contents_are_equal() -> None:
    assert Frame("ping", b"{}") == Frame("ping", b"{}", None)
    assert Frame("ping", b"{}") != Frame("ping", b"{}", "7")


def test_a_frame_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Frame("ping", b"{}").name = "pong"  # type: ignore[misc]


def test_a_frame_that_is_too_large_says_how_large_and_what_the_limit_is() -> None:
    error = FrameTooLarge(33_554_433, 33_554_432)
    assert isinstance(error, WireError)
    assert (error.size_bytes, error.limit_bytes) == (33_554_433, 33_554_432)
    assert str(error) == "a frame of at least 33,554,433 bytes is over the limit of 33,554,432 bytes"
