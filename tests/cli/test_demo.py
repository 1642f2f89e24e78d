"""``midstream demo``: a check as well as a show; plain where it must be; bad input is one sentence."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from midstream.cli import demo
from midstream.cli.main import FAILED, INTERRUPTED, MISUSED, OK, main
from midstream.demo import show, tale
from midstream.faults.reply import Reply
from tests.shared_data import captures

pytestmark = pytest.mark.sockets

FAST = "1000"


class Terminal(io.StringIO):
    """What says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_plain_text_with_half_a_reply_and_the_whole_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--speed", FAST]) == OK
    out = capsys.readouterr().out
    alone, mended = out.split("== with midstream")
    assert "\x1b" not in out
    assert tale.TEXT[-40:] in mended and tale.TEXT[-40:] not in alone
    assert "returned · stop_reason None · no exception" in alone
    assert mended.count("⟲ cut here: ") == 2 and "connection reset" in mended
    assert "equal to the whole reply · 3 attempts · 2 seams · stop_reason end_turn" in mended


def test_without_its_marks_the_plain_text_is_the_reply(capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo", "--speed", FAST])
    mended = capsys.readouterr().out.split("== with midstream\n\n")[1].split("\n-- returned")[0]
    assert re.sub(r"\[⟲[^\]]*\]", "", mended) == tale.TEXT


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert main(["demo", "--speed", FAST]) == OK


def test_a_policy_in_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDSTREAM_ATTEMPTS", "1")
    monkeypatch.setenv("MIDSTREAM_CONTINUE_TEXT", "no")
    assert main(["demo", "--speed", FAST]) == OK


def test_a_message_that_is_not_whole_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = {**show.whole(tale.own()), "content": [{"type": "text", "text": "another reply"}]}
    monkeypatch.setattr(show, "whole", lambda _: truth)
    assert main(["demo", "--speed", FAST]) == FAILED
    assert "NOT EQUAL to the whole reply" in capsys.readouterr().out


def test_the_command_line_is_read_without_loading_the_sdk() -> None:
    program = "import sys; from midstream.cli.main import COMMANDS, build_parser; build_parser(COMMANDS); "
    ran = subprocess.run([sys.executable, "-c", program + "print('anthropic' in sys.modules)"], capture_output=True)
    assert ran.stdout == b"False\n", "an interrupt while it loads would be a traceback"


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_a_terminal_shows_the_same_in_boxes(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "50")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert main(["demo", "--speed", FAST]) == OK
    shown = out.getvalue()
    assert "\x1b[" in shown and "with midstream" in shown and "equal to the whole reply" in shown
    assert shown.endswith("out\x1b[0m\n") and "\x1b[?25h" in shown, "the cursor is shown again"


@pytest.mark.parametrize(
    ("words", "environment"),
    [(["--plain"], {}), ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"})],
    ids=["--plain", "NO_COLOR", "dumb"],
)
def test_a_terminal_is_plain_where_it_is_asked_for(
    words: list[str], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["demo", "--speed", FAST, *words]) == OK
    assert "\x1b" not in out.getvalue()


def test_a_terminal_without_rich_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not demo.plain_only(False)
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert demo.plain_only(False)


def test_a_picture_is_small_and_whole_and_fetches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "demo.svg"
    assert main(["demo", "--speed", FAST, "--svg", str(path)]) == OK
    svg = path.read_text("utf-8")
    assert len(svg) < 100_000
    assert svg.count("http") == 1, "the name space, and no font from anywhere"
    assert "equal&#160;to&#160;the&#160;whole&#160;reply" in svg
    assert str(tmp_path) not in svg and str(Path.cwd()) not in svg


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--speed", FAST, "--svg", str(tmp_path / "none" / "demo.svg")]) == FAILED
    err = capsys.readouterr().err
    assert "cannot be written" in err and err.count("\n") == 1


TWICE = b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","content":[]}}\n\n'


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "it is empty"),
        (b"%PDF-1.7 is no stream", "no event of the Messages API is in it"),
        (b'event: ping\ndata: {"type":"ping"}\n\n', "it has neither a message_start nor an error"),
        (TWICE * 2, "it has 2 message_start events"),
        (TWICE, "the reply breaks off, without a message_stop"),
    ],
    ids=["empty", "another file", "no start", "two messages", "broken off"],
)
def test_a_file_that_holds_no_whole_reply_is_misuse(
    data: bytes, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recorded.sse"
    path.write_bytes(data)
    assert main(["demo", "--capture", str(path)]) == MISUSED
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "recorded.sse is not a recording of one whole reply" in err and sentence in err


def test_a_file_that_is_not_there_is_misuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--capture", str(tmp_path / "none.sse")]) == MISUSED
    err = capsys.readouterr().err
    assert "none.sse cannot be read: No such file or directory" in err and err.count("\n") == 1


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf", "1001"])
def test_a_speed_that_makes_no_sense_is_misuse(speed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", f"--speed={speed}"]) == MISUSED
    err = capsys.readouterr().err
    assert "--speed is a number above 0 and up to 1000" in err and err.count("\n") == 1


@pytest.mark.parametrize("wire", ["sse", "bedrock"])
def test_a_recording_is_played_whatever_its_framing_is(
    wire: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recorded"
    frames = Reply.builtin("everything").frames("bedrock" if wire == "bedrock" else "sse")
    path.write_bytes(b"".join(frame.raw for frame in frames))
    assert main(["demo", "--speed", FAST, "--capture", str(path)]) == OK
    assert "equal to the whole reply" in capsys.readouterr().out


@pytest.mark.shared
@pytest.mark.parametrize("kind", ["thinking", "tool_use", "text"])
def test_recordings_of_others_are_mended(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = [c for c in captures() if c.claude and kind in c.kinds and b'"message_stop"' in c.body]
    assert found
    assert main(["demo", "--speed", FAST, "--capture", str(found[0].path)]) == OK


def test_an_interrupt_is_quiet_and_at_once() -> None:
    # Slower than usual: not even a machine that stands still for seconds plays it to its end meanwhile.
    command = [sys.executable, "-u", "-m", "midstream", "demo", "--speed", "0.1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
    assert process.stdout is not None and process.stderr is not None
    with process:
        while b"== the SDK alone" not in process.stdout.readline():
            assert process.poll() is None
        process.stdout.read(50)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.stdout.read()
        assert process.stderr.read() == b""
    assert process.returncode == INTERRUPTED
    # Not a limit of speed: the whole demo takes longer than that, so it was not played to its end.
    assert time.monotonic() - began < 60
