"""``midstream diagnose``: what it prints, and with which status it leaves."""

import io
import json
import sys
from pathlib import Path

import pytest

from midstream.cli.diagnose import _how_far
from midstream.cli.main import main
from tests.wire import begin, say, sse, start, text, whole

COMMANDS = ["midstream.cli.diagnose"]
ONE = sse(*whole(text(0, "Hello")))
HALF = sse(start(), begin(0), say(0, "The hidden words"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reply.sse"
    path.write_bytes(HALF)
    return path


def test_a_healthy_stream_is_0_and_a_cut_one_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", str(file)], COMMANDS) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"error: truncated at byte {len(HALF)}") and "hidden" not in out
    file.write_bytes(ONE)
    assert main(["diagnose", str(file)], COMMANDS) == 0
    assert capsys.readouterr().out.startswith("good: complete")


def test_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--json", str(file)], COMMANDS) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["command"] == "diagnose" and told["streams"][0]["byte"] == len(HALF)


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Input:
        buffer = io.BytesIO(ONE)

    monkeypatch.setattr(sys, "stdin", Input())
    assert main(["diagnose", "-"], COMMANDS) == 0
    assert "standard input" in capsys.readouterr().out


def test_contents_are_printed_if_they_are_asked_for(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--show", str(file)], COMMANDS) == 1
    assert "The hidden words" in capsys.readouterr().out


def test_as_if_it_had_ended_earlier(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(ONE)
    assert main(["diagnose", "--at", "300", str(file)], COMMANDS) == 1
    assert "byte 300" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.sse"], "nowhere.sse: No such file or directory"),
        (["."], "Is a directory"),
        (["a\0b"], "NUL"),
        (["--at", "-1", "x"], "--at"),
    ],
)
def test_misuse_is_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", *words], COMMANDS) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1


def test_how_far_it_has_read_is_told_of_a_file_and_of_a_pipe_only_the_time(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 4_000_000)
    with path.open("rb", buffering=0) as file:
        line = _how_far(file)
        file.read(1_000_000)
        assert line(3.0) == "reading: 25% of 4 MB, 3 s"
    assert _how_far(io.BytesIO(b"x"))(3.0) == "reading: 3 s"
