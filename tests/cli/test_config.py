"""``midstream config``: what it prints, and what it refuses."""

import json
from pathlib import Path

import pytest

from midstream.cli.main import main
from midstream.doctor.configs.templates import NAMES

COMMANDS = ["midstream.cli.config", "midstream.cli.lint"]


def test_the_numbers_and_places_are_those_that_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--upstream", "https://api.example.com", "--listen", "0.0.0.0:80", "--idle-s", "90", "--body-mb", "48"]
    assert main(["config", "nginx", *words], COMMANDS) == 0
    out = capsys.readouterr().out
    for line in (
        "listen 0.0.0.0:80;",
        "proxy_pass https://api.example.com;",
        "proxy_ssl_server_name on;",
        "proxy_read_timeout 90s;",
        "client_max_body_size 48m;",
    ):
        assert line in out


@pytest.mark.parametrize("name", NAMES)
def test_json_names_the_file(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", name, "--json"], COMMANDS) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == name and told["file"] and told["text"]


def test_what_it_prints_passes_lint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "haproxy"], COMMANDS) == 0
    (tmp_path / "a").write_text(capsys.readouterr().out)
    assert main(["lint", str(tmp_path / "a")], COMMANDS) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--upstream", "ftp://x"], "the upstream is http:// or https://"),
        (["--listen", "x"], "listen at HOST:PORT or PORT"),
        (["--idle-s", "0"], "--idle-s is a number from 1"),
        (["--body-mb", "1000000"], "--body-mb is a number from 1"),
    ],
)
def test_what_makes_no_configuration_is_misuse(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "nginx", *words], COMMANDS) == 2
    assert said in capsys.readouterr().err
