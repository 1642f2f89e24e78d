"""What is said when the gateway starts, and when it reads its tokens again."""

import io
import json
import resource
import sys
from pathlib import Path

import pytest

from midstream._version import __version__
from midstream.gateway.config import Settings
from midstream.gateway.log import Log
from midstream.gateway.schema import Address
from midstream.gateway.startup import (
    FILES_BESIDES_STREAMS,
    announce,
    banner,
    bare_upstreams,
    raise_file_limit,
    reload_tokens,
)
from midstream.gateway.tokens import Tokens
from midstream.gateway.upstreams.table import make

HERE = Address("127.0.0.1", 8100)
CONTROL = Address("127.0.0.1", 8101)
FILE = Path("/tokens.toml")


def test_a_person_is_told_where_it_listens_what_to_set_and_what_becomes_of_contents() -> None:
    settings = Settings(upstream=("anthropic", "bedrock:eu"), journal=Path("/j.sqlite3"))
    assert banner(settings, HERE, CONTROL) == [
        f"midstream {__version__} listens at 127.0.0.1:8100",
        "  in clients   ANTHROPIC_BASE_URL=http://127.0.0.1:8100  (and the key as before)",
        "  upstreams    anthropic, then bedrock:eu",
        "  journal      /j.sqlite3  (prompts and replies are stored there in clear, for 24 hours after the end)",
        "  control      http://127.0.0.1:8101/readyz /metrics /streams",
    ]


LINES = [
    (Settings(), HERE, None, "  journal      memory  "
     "(prompts and replies are in memory only, and gone when the gateway ends)"),
    (Settings(), HERE, None, "  control      off"),
    (Settings(tokens=FILE), Address("0.0.0.0", 1), None, "  in clients   ANTHROPIC_BASE_URL=http://127.0.0.1:1  "
     "(ANTHROPIC_AUTH_TOKEN=<a token of the file>)"),
    (Settings(), Address("::1", 1), None, "  in clients   ANTHROPIC_BASE_URL=http://[::1]:1  (and the key as before)"),
    (Settings(journal=FILE, retention_age_s=3600), HERE, None, "  journal      /tokens.toml  "
     "(prompts and replies are stored there in clear, for 1 hour after the end)"),
    (Settings(journal=FILE, retention_age_s=90), HERE, None, "  journal      /tokens.toml  "
     "(prompts and replies are stored there in clear, for 90 seconds after the end)"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "listen", "control", "line"), LINES)
def test_the_banner_says_what_is_so(settings: Settings, listen: Address, control: Address | None, line: str) -> None:
    assert line in banner(settings, listen, control)


WHO = [
    (Settings(), "loopback"),
    (Settings(tokens=FILE), "tokens"),
    (Settings(pass_credentials=True), "pass_credentials"),
]


@pytest.mark.parametrize(("settings", "clients"), WHO)
def test_a_program_is_told_in_one_line(settings: Settings, clients: str) -> None:
    to = io.StringIO()
    announce(Log("json", to), settings, HERE, CONTROL)
    (line,) = to.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["listen"], told["control"]) == ("started", str(HERE), str(CONTROL))
    assert (told["upstreams"], told["journal"], told["clients"]) == (["anthropic"], "memory", clients)


def test_text_is_the_banner() -> None:
    to = io.StringIO()
    announce(Log("text", to), Settings(), HERE, None)
    assert to.getvalue().splitlines() == banner(Settings(), HERE, None)


def test_tokens_that_are_read_again_are_told_of_and_broken_ones_once(tmp_path: Path) -> None:
    path, to = tmp_path / "tokens.toml", io.StringIO()
    path.write_text('[[token]]\nname = "a"\ntoken = "secret-of-sixteen"')
    path.chmod(0o600)
    tokens, log = Tokens(path), Log("json", to)
    reload_tokens(tokens, log)
    path.chmod(0o644)
    reload_tokens(tokens, log)
    path.write_text('[[token]]\nname = "a"\ntoken = "secret"')
    reload_tokens(tokens, log)
    told = [json.loads(line) for line in to.getvalue().splitlines()]
    assert [line["event"] for line in told] == ["tokens_read", "tokens_read", "warning", "error"]
    assert told[-1]["message"] == (
        f"the token file {path}, token 1: the token has under 16 characters and can be guessed; "
        "openssl rand -hex 32 makes a good one; "
        "the tokens from before still count"
    )
    assert "secret" not in to.getvalue()
    assert tokens.who([(b"x-api-key", b"secret-of-sixteen")]) is not None


NO_LIMIT = resource.RLIM_INFINITY
NEEDED = 2 * 1000 + FILES_BESIDES_STREAMS
LIMITS = [
    ((NEEDED, NEEDED), None, False),
    ((NO_LIMIT, NO_LIMIT), None, False),
    ((1024, NEEDED), (NEEDED, NEEDED), False),
    ((1024, NO_LIMIT), (NEEDED, NO_LIMIT), False),
    ((1024, 2000), (2000, 2000), True),
]


@pytest.mark.parametrize(("limits", "asked", "warned"), LIMITS)
def test_the_limit_of_open_files_is_raised_as_far_as_it_can_be(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], asked: tuple[int, int] | None, warned: bool
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda which, both: set_to.append(both))
    assert raise_file_limit(1000) == (
        "1,000 streams need 2,100 open files and the system allows 2,000; raise it (LimitNOFILE= of systemd, "
        "ulimit -n), or lower streams_max"
        if warned
        else None
    )
    assert set_to == ([asked] if asked else [])


def test_where_there_is_no_such_limit_there_is_nothing_to_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert raise_file_limit(10**9) is None


BARE: list[tuple[Settings, dict[str, str], str | None]] = [
    (Settings(), {}, None),  # clients bring them
    (Settings(pass_credentials=True), {}, None),
    (Settings(tokens=FILE), {"ANTHROPIC_API_KEY": "k"}, None),
    (Settings(tokens=FILE, upstream=("http://127.0.0.1:1",)), {}, None),  # may need none
    (Settings(tokens=FILE), {}, "anthropic"),
    (Settings(tokens=FILE, upstream=("bedrock:eu-west-1", "anthropic", "foundry:mine")), {}, "anthropic, foundry:mine"),
]


@pytest.mark.parametrize(("settings", "environ", "names"), BARE)
def test_an_upstream_for_which_nobody_has_credentials_is_told_of(
    settings: Settings, environ: dict[str, str], names: str | None
) -> None:
    told = bare_upstreams(settings, [make(name, {}, environ) for name in settings.upstream])
    assert (told is None) == (names is None)
    if told is not None:
        assert told.startswith(f"the gateway has no credentials for {names}, and clients with tokens bring none")
        assert "key_env" in told
