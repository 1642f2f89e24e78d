"""``midstream serve`` as a person meets it: what it prints, what it refuses, and how it ends."""

import errno
import hashlib
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from midstream.cli import serve
from midstream.cli.main import main
from midstream.faults.server import FaultServer
from midstream.gateway.config import Settings
from midstream.gateway.upstreams.port import UpstreamError
from midstream.journal.port import JournalError

ONLY = ("midstream.cli.serve",)
TOKEN = "a-token-of-a-client"


class Asked(io.StringIO):
    """A terminal: it has to be asked in another way than by reading."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def tell(*arguments: str) -> tuple[int, str, str]:
        try:
            status = main(["serve", *arguments], ONLY)
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return tell


Tell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A gateway that notes what it is started with, and does what the first note is: raises it, or returns it."""
    notes: list[Any] = []

    def run(settings: Settings, environ: dict[str, str]) -> int:
        notes.append(settings)
        assert "HOME" in environ
        if isinstance(notes[0], Exception):
            raise notes[0]
        return 0

    module = ModuleType("midstream.gateway.main")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "midstream.gateway.main", module)
    # ``from midstream.gateway import main`` looks for the attribute first.
    monkeypatch.setattr("midstream.gateway.main", module, raising=False)
    return notes


def test_the_help_is_a_page_with_examples_and_every_group(told: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    status, out, err = told("--help")
    assert (status, err) == (0, "") and len(out.splitlines()) <= 90
    for needed in ("ANTHROPIC_BASE_URL=", "examples:", "--tokens", "MIDSTREAM_", "in clear", *serve.GROUPS):
        assert needed in out


def test_every_setting_has_a_flag_and_the_help_names_only_settings() -> None:
    assert {name for names in serve.GROUPS.values() for name in names} <= set(serve.setting_names())
    assert len(serve.setting_names()) == len(set(serve.setting_names()))


def test_the_list_is_for_people_or_for_programs(told: Tell) -> None:
    status, out, err = told("--list")
    assert (status, err) == (0, "") and all(f"\n  {name} = " in out for name in serve.setting_names())
    status, out, err = told("--list", "--json")
    rows = json.loads(out)
    assert (status, err) == (0, "") and {"settings", "policy"} == set(rows)
    assert {row["name"] for part in rows.values() for row in part} == {*serve.setting_names(), "upstreams"}


def test_the_settings_in_force_are_printed_as_toml_or_json(told: Tell, tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text('[upstreams.anthropic]\nkey_env = "K"\napi_key = "secret"\nuntil = 2030-01-31')
    arguments = ("--print-config", "--config", str(file), "--ping-s", "3", "--otel", "--silence-s", "7")
    status, out, err = told(*arguments)
    table = tomllib.loads(out)
    assert (status, err) == (0, "") and "secret" not in out
    assert (table["ping_s"], table["otel"], table["policy"]["silence_s"]) == (3.0, True, 7.0)
    as_json = json.loads(told(*arguments, "--json")[1])
    assert as_json["ping_s"] == 3.0 and as_json["tokens"] is None
    assert as_json["upstreams"]["anthropic"] == {"key_env": "K", "api_key": "<hidden>", "until": "2030-01-31"}


def test_a_token_becomes_its_line_for_the_file(told: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f'sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"\n'
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TOKEN}\r\nanother\n"))
    assert told("--hash-token") == (0, line, "")
    monkeypatch.setattr(sys, "stdin", Asked())
    monkeypatch.setattr(serve, "getpass", lambda prompt: TOKEN)
    assert told("--hash-token") == (0, line, "")
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    assert told("--hash-token") == (
        2,
        "",
        "midstream serve: the token has under 16 characters and can be guessed; "
        "openssl rand -hex 32 makes a good one\n",
    )


def test_it_serves_with_the_settings_that_were_given(
    told: Tell, served: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDSTREAM_GRACE_S", "5")
    assert told("--upstream", "a", "--upstream", "b", "--journal", "memory", "--no-otel", "--attempts", "2") == (
        0,
        "",
        "",
    )
    (settings,) = served
    assert settings.upstream == ("a", "b") and settings.journal is None and settings.grace_s == 5.0
    assert settings.policy.attempts == 2 and settings.otel is False


WRONG = [
    (["--ping-s", "x"], "--ping-s must be a number above 0 to 1,000,000; it is 'x'"),
    (["--journal-sync", "half"], "--journal-sync must be full, relaxed or none; it is 'half'"),
    (["--listen", "8100"], "--listen must be HOST:PORT, such as 127.0.0.1:8100 or [::1]:8100; it is '8100'"),
    (
        ["--config", "/none"],
        "the file of settings /none cannot be read: No such file or directory; give the path of one that can be",
    ),
    (["--upstream", "a", "--upstream", "a"], "--upstream names a twice; each is asked once, in the order given"),
    (
        ["--control-listen", "0.0.0.0:1"],
        "--control-listen 0.0.0.0:1 can be reached by others, and it asks for no token; say --control-public if that "
        "is meant, or listen on 127.0.0.1",
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_a_bad_setting_is_one_sentence_and_status_2(told: Tell, arguments: list[str], sentence: str) -> None:
    assert told(*arguments) == (2, "", f"midstream serve: {sentence}\n")


def test_a_flag_is_not_guessed_from_its_beginning(told: Tell) -> None:
    status, out, err = told("--ping", "3")
    sentence = "there is no --ping (did you mean --ping-s?); midstream serve --help says what there is"
    assert (status, out, err) == (2, "", f"midstream serve: {sentence}\n")


RAISED = [
    (JournalError("the journal j is newer; update midstream"), 2, "the journal j is newer; update midstream"),
    (UpstreamError("there is no upstream x; try anthropic"), 2, "there is no upstream x; try anthropic"),
    (
        OSError(
            errno.EADDRINUSE, "error while attempting to bind on address ('127.0.0.1', 8100): address already in use"
        ),
        2,
        "--listen 127.0.0.1:8100 cannot be listened at: address already in use; give another one",
    ),
    (OSError(errno.ENOSPC, "No space left on device", "/x"), 1, "/x: No space left on device"),
    (
        ModuleNotFoundError("No module named 'aiohttp'", name="aiohttp.web"),
        2,
        "aiohttp.web is not installed; it comes with the extra: pip install 'midstream[gateway]'",
    ),
    (
        ModuleNotFoundError("No module named 'google'", name="google.auth"),
        2,
        "google.auth is not installed; it comes with the extra: pip install 'midstream[vertex]'",
    ),
]


@pytest.mark.parametrize(("problem", "status", "sentence"), RAISED, ids=[row[2][:30] for row in RAISED])
def test_what_cannot_be_started_is_one_sentence(
    told: Tell, served: list[Any], problem: Exception, status: int, sentence: str
) -> None:
    served.append(problem)
    assert told() == (status, "", f"midstream serve: {sentence}\n")


def test_a_module_that_no_extra_brings_is_a_bug(told: Tell, served: list[Any]) -> None:
    served.append(ModuleNotFoundError("No module named 'x'", name="x"))
    with pytest.raises(ModuleNotFoundError):
        told()


def tokens_file(folder: Path, mode: int = 0o600) -> Path:
    path = folder / "tokens.toml"
    path.write_text(f'[[token]]\nname = "a"\ntoken = "{TOKEN}"')
    path.chmod(mode)
    return path


def test_a_check_says_that_all_is_well_and_starts_nothing(told: Tell, served: list[Any], tmp_path: Path) -> None:
    file = tokens_file(tmp_path)
    url = "http://127.0.0.1:9000"
    assert told("--check", "--tokens", str(file), "--upstream", url) == (
        0,
        f"{file}: 1 token\nthe settings are good; upstreams: {url}\n",
        "",
    )
    assert told("--check") == (0, "the settings are good; upstreams: anthropic\n", "")
    status, out, err = told("--check", "--tokens", str(file))
    assert status == 0 and err.startswith("midstream serve: the gateway has no credentials for anthropic, and clients")
    status, out, err = told("--check", "--tokens", str(tokens_file(tmp_path, 0o644)))
    assert status == 0 and re.search("can be read by others", err) and TOKEN not in out + err
    assert served == [] and not (tmp_path / ".local").exists()


def test_a_check_finds_what_is_wrong_with_tokens_and_upstreams(told: Tell, tmp_path: Path) -> None:
    assert told("--check", "--tokens", "/none") == (
        2,
        "",
        "midstream serve: the token file /none cannot be read: No such file or directory; give the path of one "
        "that can be\n",
    )
    status, out, err = told("--check", "--upstream", "bedrok:eu")
    assert (status, out) == (2, "") and err.startswith("midstream serve: ") and err.count("\n") == 1
    assert "bedrok" in err


NEW_TOKEN = "a-token-of-another-client"
UPSTREAM_KEY = "sk-ant-api03-of-the-upstream"
BODY = {"model": "claude-sonnet-5-5", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}


class Program:
    """The command in a process of its own, and what it tells on stderr."""

    def __init__(self, *arguments: str) -> None:
        python = [sys.executable, "-X", "faulthandler", "-m"]
        self._running = subprocess.Popen(
            [*python, "midstream", "serve", "--listen", "127.0.0.1:0", "--log", "json", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "ANTHROPIC_API_KEY": UPSTREAM_KEY},
        )
        self.told = ""
        # Its end ends every wait for a line; and before that it says where it was.
        self._deadline = threading.Timer(60, self._running.send_signal, [signal.SIGABRT])
        self._deadline.start()

    def line(self, event: str) -> dict[str, Any]:
        """The next line about this."""
        assert self._running.stderr is not None
        for text in self._running.stderr:
            self.told += text
            told: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
            if told.get("event") == event:
                return told
        raise AssertionError(f"no line about {event}: {self.told}")

    def signal(self, number: int) -> None:
        self._running.send_signal(number)

    def ended(self) -> int:
        # By the same reader that the lines were read by: it may hold some of the next ones already.
        assert self._running.stderr is not None
        self.told += self._running.stderr.read()
        return self._running.wait()

    def kill(self) -> None:
        self._deadline.cancel()
        self._running.kill()
        self._running.communicate()


def status_of(address: str, token: str) -> int:
    """How the gateway answers a stream asked for with this token, read to its end."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("POST", "/v1/messages", json.dumps(BODY), {"x-api-key": token})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


@pytest.mark.sockets
def test_tokens_are_read_again_on_sighup_and_no_secret_is_told(tmp_path: Path) -> None:
    file = tokens_file(tmp_path)
    with FaultServer("ok") as upstream:
        arguments = ["--upstream", upstream.url, "--tokens", str(file), "--journal", str(tmp_path / "j")]
        program = Program(*arguments, "--control-listen", "127.0.0.1:0", "--drain-s", "0")
        try:
            address = program.line("started")["listen"]
            assert [status_of(address, token) for token in (TOKEN, NEW_TOKEN)] == [200, 401]
            file.write_text(file.read_text().replace(TOKEN, NEW_TOKEN))
            program.signal(signal.SIGHUP)
            program.line("tokens_read")
            assert [status_of(address, token) for token in (TOKEN, NEW_TOKEN)] == [401, 200]
            file.write_text("token = half")
            program.signal(signal.SIGHUP)
            assert program.line("error")["message"].endswith("the tokens from before still count")
            assert status_of(address, NEW_TOKEN) == 200
            program.signal(signal.SIGTERM)
            assert program.ended() == 0, program.told
        finally:
            program.kill()
    assert program.told.count('"stream_ended"') == 3
    for secret in (TOKEN, NEW_TOKEN, UPSTREAM_KEY, "Hi"):
        assert secret not in program.told
    for path in tmp_path.glob("j*"):
        stored = path.read_bytes()
        assert not any(secret.encode() in stored for secret in (TOKEN, NEW_TOKEN, UPSTREAM_KEY)), path


@pytest.mark.sockets
@pytest.mark.parametrize("taken", ["--listen", "--control-listen"])
def test_a_port_that_is_taken_is_one_sentence_and_nothing_else(tmp_path: Path, taken: str) -> None:
    with FaultServer("ok") as other:
        address = other.url.removeprefix("http://")
        arguments = [*("--listen", "127.0.0.1:0"), *("--control-listen", "127.0.0.1:0"), taken, address]
        command = [sys.executable, "-m", "midstream", "serve", "--journal", str(tmp_path / "j"), *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    sentence = f"{taken} {address} cannot be listened at: address already in use; give another one"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"midstream serve: {sentence}\n")
