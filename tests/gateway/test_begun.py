"""The record of an attempt that begins."""

import pytest

from midstream.gateway import begun
from midstream.recovery.history import AttemptRecord, History


def test_what_was_written_is_read() -> None:
    attempt = begun.Attempt("bedrock:us-east-1", "continue (turn)", 1.5, 20.25, True)
    assert begun.read(begun.write(attempt)) == attempt


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b'{"upstream":3,"plan":"first"}'])
def test_one_that_cannot_be_read_still_counts(data: bytes) -> None:
    assert begun.read(data) == begun.Attempt("", "")


def test_the_record_says_what_limits_have_to_know() -> None:
    history = History(
        attempts=[AttemptRecord(1, "first", 0, 0), AttemptRecord(2, "restart", 0, 9)], slept_s=1.5, shown_live=True
    )
    assert begun.after(history, "anthropic", 20.25) == begun.Attempt("anthropic", "restart", 1.5, 20.25, True)
