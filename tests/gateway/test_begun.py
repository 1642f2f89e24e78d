"""The record of an attempt that begins."""

import pytest

from midstream.gateway import begun


def test_what_was_written_is_read() -> None:
    attempt = begun.Attempt("bedrock:us-east-1", "continue (turn)", 1.5, 20.25, True)
    assert begun.read(begun.write(attempt)) == attempt


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b'{"upstream":3,"plan":"first"}'])
def test_one_that_cannot_be_read_still_counts(data: bytes) -> None:
    assert begun.read(data) == begun.Attempt("", "")
