"""What curl's numbers and lines say about an end."""

import subprocess

import pytest

from midstream.doctor.recording.curl import EXITS, finished_by_exit, finished_by_line
from midstream.doctor.recording.facts import How

LINES = [
    ("curl: (18) transfer closed with outstanding read data remaining", How.INCOMPLETE, 18),
    ("curl: (56) Recv failure: Connection reset by peer", How.RESET, 56),
    ("curl: (56) Illegal or missing hexadecimal sequence in chunked-encoding", How.BROKEN, 56),
    ("curl: (56) chunk hex-length char not a hex digit: 0x7a", How.BROKEN, 56),
    ("curl: (92) HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)", How.STREAM_RESET, 2),
    ("* HTTP/2 stream 1 was not closed cleanly: CANCEL (err 8)", How.STREAM_RESET, 8),
    ("curl: (28) Operation timed out after 4000 milliseconds with 2698 bytes received", How.TIMEOUT, 28),
    ("curl: (52) Empty reply from server", How.NO_ANSWER, 52),
    ("curl: (7) Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server", How.NO_ANSWER, 7),
    ("curl: (23) Failed writing body", How.STOPPED, 23),
    ("* Connection #0 to host localhost left intact", How.CLEAN, None),
    ("* transfer closed with outstanding read data remaining", How.INCOMPLETE, None),
    ("* end of response with 12 bytes missing", How.INCOMPLETE, None),
]


@pytest.mark.parametrize(("line", "how", "code"), LINES)
def test_a_line_of_curls_says_how_it_ended(line: str, how: How, code: int | None) -> None:
    said = finished_by_line(line)
    assert said is not None
    assert (said.how, said.code) == (how, code)


@pytest.mark.parametrize("line", ["* Trying 127.0.0.1:80...", "* Closing connection 0", "event: ping", ""])
def test_most_lines_say_nothing_about_the_end(line: str) -> None:
    assert finished_by_line(line) is None


def test_an_exit_status_that_is_not_in_the_table_says_nothing() -> None:
    assert finished_by_exit(3).how is How.UNKNOWN
    assert finished_by_exit(0).how is How.CLEAN


def test_curl_itself_leaves_with_the_numbers_of_the_table() -> None:
    ran = subprocess.run(["curl", "-sS", "-m", "5", "http://127.0.0.1:1/"], capture_output=True, text=True, check=False)
    said = finished_by_line(ran.stderr.strip())
    assert said is not None
    assert (said.how, said.code) == (EXITS[ran.returncode][0], ran.returncode)
