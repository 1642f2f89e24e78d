"""``midstream explain`` as a person meets it: what it reads, what it prints, and how it ends."""

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from midstream.cli.main import main
from midstream.doctor.entries import catalogue

ONLY = ("midstream.cli.explain",)
PROGRAM = f"import sys; from midstream.cli.main import main; sys.exit(main(sys.argv[1:], {ONLY!r}))"


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["explain", *arguments], ONLY)
    out, err = capsys.readouterr()
    return status, out, err


class Keyboard(io.StringIO):
    """A person who has typed nothing."""

    def isatty(self) -> bool:
        return True


def typed_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize("words", [["HTTP 529"], ["HTTP", "529"], ["529"]])
def test_words_are_explained_with_or_without_quotes(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(capsys, *words)
    assert (status, err) == (0, "") and "overloaded" in out and "check first" in out and "sources" in out


def test_what_fits_nothing_ends_with_one_and_says_what_to_capture(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(capsys, "all is well")
    assert (status, err) == (1, "") and "no entry" in out and "midstream diagnose" in out


def test_a_program_reads_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = told(capsys, "--json", "curl: (18)")
    told_of = json.loads(out)
    assert status == 0 and told_of["matches"][0]["id"] == told_of["findings"][0]["id"] == "curl-18"
    status, out, _ = told(capsys, "--json", "all is well")
    assert status == 1 and json.loads(out)["matches"] == []


def test_a_file_is_read_and_the_line_that_says_it_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "error.log"
    line = "upstream timed out (110: Connection timed out) while reading upstream, client: 10.0.0.1"
    log.write_text("\n".join(["nothing of note"] * 9_000 + [line, "nothing"]))
    status, out, _ = told(capsys, str(log))
    assert status == 0 and "nginx-timeout-body" in out and "client: 10.0.0.1" in " ".join(out.split())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_file_of_another_encoding_is_read(encoding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "said.txt"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    file.write_bytes(f"{mark}httpx.ReadTimeout: “é”".encode(encoding))
    status, out, _ = told(capsys, str(file))
    assert status == 0 and "httpx-read-timeout" in out


def test_of_a_long_file_the_end_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "long.log"
    with file.open("wb") as writing:
        writing.write(b"curl: (18) transfer closed with outstanding read data remaining\n")
        writing.seek(1 << 30)
        writing.write(b"\nhttpx.ReadTimeout\n")
    status, out, _ = told(capsys, str(file))
    assert status == 0 and "httpx-read-timeout" in out and "curl-18" not in out and "only the end" in out


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_what_a_program_says_is_read_from_stdin(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed_in(monkeypatch, b"\xff\xfehttpx.ReadTimeout"[2:])
    assert told(capsys, *arguments)[0] == 0


def test_a_pipe_with_a_name_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"httpx.ReadTimeout",))
    writer.start()
    try:
        assert told(capsys, str(pipe))[0] == 0
    finally:
        writer.join()


def test_endless_input_is_read_to_a_limit() -> None:
    with open("/dev/zero", "rb") as endless:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "explain", "-"], stdin=endless, capture_output=True, timeout=120
        )
    assert done.returncode == 1 and b"no entry" in done.stdout and b"Traceback" not in done.stderr


def misused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status, out, err = told(capsys, *arguments)
    assert (status, out) == (2, "") and err.startswith("midstream explain: ") and err.count("\n") == 1
    return err


def test_nothing_to_explain_is_misuse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", Keyboard())
    assert "what shall be explained" in misused(capsys)
    assert "nothing to explain" in misused(capsys, " ")
    typed_in(monkeypatch, b"\n")
    assert "nothing to explain" in misused(capsys, "-")


def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Is a directory" in misused(capsys, str(tmp_path))


@pytest.mark.parametrize("name", ["error.log", "/var/log/nothing/error", "./x"])
def test_a_file_that_is_not_there_is_not_taken_for_a_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"there is no file {name}" in misused(capsys, name)


@pytest.mark.parametrize("text", ["https://example.org/error.log", "an error.log", "nothing"])
def test_a_text_with_no_entry_is_not_taken_for_a_file(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, text)[0] == 1


def test_a_text_that_no_file_name_can_be_is_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "x" * 10_000 + " httpx.ReadTimeout")[0] == 0
    assert told(capsys, "a\0b httpx.ReadTimeout")[0] == 0


def test_an_entry_is_shown_by_its_name_and_a_wrong_name_is_helped(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = told(capsys, "--entry", "curl-18")
    assert status == 0 and "curl: (18)" in out
    assert "did you mean" in misused(capsys, "--entry", "read-timeout")
    assert "--list" in misused(capsys, "--entry", "nothing-like-it")
    assert "--list" in misused(capsys, "--entry", "")


def test_the_list_is_for_people_or_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = told(capsys, "--list")
    assert status == 0 and all(f"  {name} " in out for name in catalogue())
    status, out, _ = told(capsys, "--list", "--json")
    assert status == 0 and {row["id"] for row in json.loads(out)} == set(catalogue())


def test_all_shows_every_guess_in_full_and_short_none_of_the_background(capsys: pytest.CaptureFixture[str]) -> None:
    text = "anthropic.APIConnectionError: Connection error. httpx.ReadTimeout"
    assert told(capsys, text)[1].count("check first") == 1
    assert told(capsys, "--all", text)[1].count("check first") == 2
    short = told(capsys, "--short", text)[1]
    assert "quick fix" in short and "why it happens" not in short


@pytest.mark.parametrize("data", [b"\x00", bytes(range(256)) * 40, b"\xff\xfe\x00", "🙂\u202e".encode() * 999])
def test_any_bytes_are_answered_without_a_traceback(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "bytes"
    file.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "explain", str(file)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        timeout=120,
    )
    assert done.returncode in {1, 2} and b"Traceback" not in done.stderr and b"\x1b" not in done.stdout
