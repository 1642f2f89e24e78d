"""``midstream check`` as a person and as CI meets it."""

import json
from pathlib import Path

import pytest

from midstream.cli.main import main
from midstream.faults.server import FaultServer

ONLY = ("midstream.cli.check",)


@pytest.fixture(autouse=True)
def no_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the machine that runs the tests are not what is tested."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        monkeypatch.delenv(name, raising=False)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["check", *arguments], ONLY)
    out, err = capsys.readouterr()
    return status, out, err


def test_a_machine_that_nothing_is_known_against_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(capsys)
    assert (status, err) == (0, "") and "nothing is known against it" in out and "anthropic" in out


def test_what_is_wrong_is_told_with_its_cure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://gateway.example.com/v1")
    status, out, _ = told(capsys, "--short")
    assert status == 1 and "End it before /v1: https://gateway.example.com" in out


def test_a_file_for_support_and_what_differs_from_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "here.json"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-very-secret")
    assert told(capsys, "-o", str(path))[0] == 0
    assert "very-secret" not in path.read_text() and json.loads(path.read_text())["midstream_check"] == 1
    assert told(capsys, "--compare", str(path))[0] == 0
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    status, out, _ = told(capsys, "--compare", str(path), "--json")
    assert status == 1 and json.loads(out)["differences"] == [
        {"name": "environment: HTTPS_PROXY", "here": "http://proxy.example:3128", "there": "–"}
    ]


def test_limits_of_a_path_are_held_against_the_timeouts_of_this_side(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "path.json"
    path.write_text(json.dumps({"measured": {"idle_limits": [{"seconds": 20.0}], "total_limit": None}}))
    status, out, _ = told(capsys, "--probe", str(path))
    assert status == 1 and "CHECK-PINGS" in out


@pytest.mark.sockets
def test_what_can_be_reached_is_reached(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        status, out, _ = told(capsys, "--reach", "--json")
    assert status == 0 and json.loads(out)["diagnostics"]["reach"]["is the API"] == "yes"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    assert told(capsys, "--reach")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (["--compare", "/nowhere"], {}, "/nowhere cannot be read: No such file"),
        (["--compare", __file__], {}, "is no file of `midstream check -o`"),
        (["--probe", __file__], {}, "is not what `midstream probe --json` writes"),
        (["--reach"], {"ANTHROPIC_BASE_URL": "nothing"}, "ANTHROPIC_BASE_URL: an address"),
        ([], {"MIDSTREAM_PING_S": "often"}, "MIDSTREAM_PING_S is no number"),
        ([], {"MIDSTREAM_PING_S": "nan"}, "MIDSTREAM_PING_S is no number"),
        ([], {"MIDSTREAM_SILENCE_S": "never"}, "SILENCE_S"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environ: dict[str, str],
    words: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    status, out, err = told(capsys, *arguments)
    assert (status, out) == (2, "") and words in err and err.count("\n") == 1


def test_a_file_that_cannot_be_written_is_misuse_and_no_finding(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, err = told(capsys, "-o", str(tmp_path / "none" / "a.json"))
    assert (status, out) == (2, "") and "cannot be written: No such file or directory" in err
