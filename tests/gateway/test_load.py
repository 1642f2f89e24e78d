"""A small share of ``make load-gateway``: processes as there, fewer streams, fewer seconds.

A machine that is busy with other things makes all of it slower, and none of it wrong: nothing here goes by how long
something takes, but for bounds that are several times what is needed.
"""

import pytest

from bench.gateway_load.__main__ import main

pytestmark = [pytest.mark.slow, pytest.mark.sockets]


def test_of_many_streams_at_once_nothing_is_lost() -> None:
    assert main(["--parts", "paced", "--streams", "200", "--seconds", "5"]) == 0


def test_readers_that_are_slow_wait_in_the_journal_and_are_not_cut_off() -> None:
    # Twice as long as a reader may take nothing; the kernel tells every second or so that this one takes something.
    options = ["--parts", "slow", "--readers", "10", "--lag", "10", "--slow", "8192", "--", "--reader-stall-s", "9"]
    assert main(options) == 0


def test_readers_that_stop_are_cut_off_and_come_back_for_the_rest() -> None:
    options = ["--parts", "stopped", "--readers", "10", "--lag", "5", "--stall", "2", "--within", "60"]
    assert main(options) == 0
