"""``midstream faults`` as a person meets it: what it prints, and how it ends."""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from midstream.cli import faults
from midstream.cli.main import main
from midstream.faults.models import STYLES
from midstream.faults.reply import Reply
from midstream.faults.script import Script
from tests.faults.raw import ask

ONLY = ("midstream.cli.faults",)
PROGRAM = f"import sys; from midstream.cli.main import main; sys.exit(main(sys.argv[1:], {ONLY!r}))"


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["faults", *arguments], ONLY)
    out, err = capsys.readouterr()
    return status, out, err


@contextmanager
def running(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The program in a process of its own, and the address that it prints."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "faults", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert program.stdout is not None
    try:
        found = re.search(r"http://\S+", program.stdout.readline())
        assert found is not None
        yield program, found[0]
    finally:
        program.kill()
        program.communicate()


def test_the_list_is_for_people_or_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(capsys, "--list")
    assert (status, err) == (0, "") and "cut-rst" in out
    status, out, err = told(capsys, "--list", "--json")
    assert (status, err) == (0, "") and {row["name"] for row in json.loads(out)} > {"cut-rst", "http-529", "bad-crc"}


def test_the_help_teaches_scripts_with_examples_that_can_be_played(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["faults", "--help"], ONLY)
    text = capsys.readouterr().out
    examples = re.search(r"on which attempt:\n(.*?)\nplaces are", text, re.DOTALL)
    assert examples is not None
    scripts = [re.split(r"\s{3,}", line.strip())[0] for line in examples[1].splitlines()]
    assert len(scripts) == 6 and all(Script.parse(script) for script in scripts)
    assert all(name in text for name in STYLES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--script", "cut-rsst"], "there is no fault 'cut-rsst'; did you mean cut-rst"),
        (["--script", "x" * 5_000], "there is no fault"),
        (["--capture", "/nowhere/at-all"], "cannot be read: No such file"),
        (["--port", "99999"], "between 0 and 65535"),
        (["--pace", "-1"], "--pace is a number of seconds"),
        (["--pace", "nan"], "--pace is a number of seconds"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    status, out, err = told(capsys, *arguments)
    assert (status, out) == (2, "") and words in err and err.count("\n") == 1 and err.startswith("midstream faults: ")


def test_a_file_that_is_no_stream_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# Notes\n\nnothing recorded here\n")
    status, _, err = told(capsys, "--capture", str(path))
    assert status == 2 and "is not a recorded stream of the Messages API" in err and err.count("\n") == 1


def test_a_port_in_use_is_one_sentence_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = told(capsys, "--port", str(port))
    assert (status, out) == (1, "") and f"port {port} of 127.0.0.1 is in use" in err and err.count("\n") == 1


def test_an_address_that_cannot_be_had_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    # TEST-NET-1 is nobody's.
    status, _, err = told(capsys, "--host", "192.0.2.1", "--port", "0")
    assert status == 1 and "cannot listen at 192.0.2.1" in err and err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_plays_and_ends_quietly(number: signal.Signals) -> None:
    with running("--script", "cut-clean@event=3; then ok") as (program, url):
        assert ask(url).complete
        program.send_signal(number)
        out, err = program.communicate(timeout=20)
    assert (program.returncode, err) == (0, "") and "cut-clean@event=3" in out


def test_a_capture_is_played_byte_for_byte_and_a_script_file_is_read(tmp_path: Path) -> None:
    recorded = b"".join(frame.raw for frame in Reply.builtin("tools").frames("sse")).replace(b"\n", b"\r\n")
    capture, script = tmp_path / "recorded.sse", tmp_path / "script.txt"
    capture.write_bytes(recorded)
    script.write_text("503  # first\n")
    with running("--capture", str(capture), "--script", str(script)) as (_, url):
        assert [ask(url).status, ask(url).body] == [503, recorded]


def test_the_arguments_reach_the_server() -> None:
    parser = argparse.ArgumentParser()
    faults.configure(parser)
    server = faults.make_server(
        parser.parse_args(["--model", "exact", "--rules", "off", "--pace", "0.5", "--reply", "tools"])
    )
    assert server.service._options == {"model": "exact", "pace": "0.5", "rules": "off", "reply": "text"}
    assert server.service._reply == Reply.builtin("tools")
