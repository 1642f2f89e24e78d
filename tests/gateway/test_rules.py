"""What settings must be together: each rule refuses in one sentence, and lets pass what it should."""

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from midstream.gateway.config import Settings
from midstream.gateway.rules import busy, check_rules
from midstream.gateway.schema import Address, SettingsError

OPEN = Address("0.0.0.0", 8100)
FILE = Path("tokens.toml")
LABELS = {name: "--" + name.replace("_", "-") for name in Settings.__struct_fields__}
FROM_FILE = {name: f"m.toml: {name}" for name in Settings.__struct_fields__}

REFUSED: list[tuple[dict[str, Any], dict[str, str], str]] = [
    (
        {"listen": OPEN},
        LABELS,
        "--listen 0.0.0.0:8100 can be reached by others; give --tokens FILE (clients have tokens of their own, the "
        "gateway holds the upstream's credentials) or --pass-credentials (clients bring them)",
    ),
    (
        {"listen": Address("example.com", 1)},
        FROM_FILE,
        "m.toml: listen example.com:1 can be reached by others; give --tokens FILE (clients have tokens of their own, "
        "the gateway holds the upstream's credentials) or --pass-credentials (clients bring them)",
    ),
    (
        {"tokens": FILE, "pass_credentials": True},
        LABELS,
        "--tokens and --pass-credentials exclude each other: with tokens of their own, clients do not bring the "
        "upstream's credentials",
    ),
    (
        {"control_listen": Address("::", 8101)},
        {"control_listen": "MIDSTREAM_CONTROL_LISTEN"},
        "MIDSTREAM_CONTROL_LISTEN [::]:8101 can be reached by others, and it asks for no token; say --control-public "
        "if that is meant, or listen on 127.0.0.1",
    ),
    (
        {"listen": Address("127.0.0.1", 8101)},
        {"listen": "--listen"},
        "--listen and control_listen are both 127.0.0.1:8101; give one of them another port",
    ),
    (
        {"upstream": ("http://user:secret@host",)},
        LABELS,
        "--upstream: a URL holds no user or password; name the variable with the key as key_env in the file, under "
        '[upstreams."…"]',
    ),
    (
        {"upstreams": {"https://secret@host": {}}},
        FROM_FILE,
        "m.toml: upstream: a URL holds no user or password; name the variable with the key as key_env in the file, "
        'under [upstreams."…"]',
    ),
    (
        {"bodies_bytes_max": 1 << 20},
        {"bodies_bytes_max": "--bodies-bytes-max"},
        "--bodies-bytes-max (1,048,576) is less than body_bytes_max (33,554,432), so the largest body would never be "
        "let in; raise the first, or lower the second",
    ),
    (
        {"upstreams": {"bedrok:eu": {}}, "upstream": ("anthropic", "bedrock:eu")},
        FROM_FILE,
        "there is a table for the upstream bedrok:eu, but upstream names only anthropic, bedrock:eu; add it there, or "
        "remove the table",
    ),
    (
        {"upstreams": {"bedrock:eu": {}}},
        {},
        "there is a table for the upstream bedrock:eu, but upstream names only anthropic; add it there, or remove the "
        "table",
    ),
]


@pytest.mark.parametrize(("given", "labels", "sentence"), REFUSED, ids=[row[2][:30] for row in REFUSED])
def test_what_does_not_fit_is_one_sentence(given: dict[str, Any], labels: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as told:
        check_rules(Settings(**given), labels)
    assert str(told.value) == sentence


ALLOWED: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    ({"listen": OPEN, "tokens": FILE}, LABELS),
    ({"listen": OPEN, "pass_credentials": True}, LABELS),
    ({"tokens": FILE}, LABELS),
    ({"control_listen": None}, LABELS),
    ({"control_listen": Address("0.0.0.0", 8101), "control_public": True}, LABELS),
    ({"listen": Address("127.0.0.1", 0), "control_listen": Address("127.0.0.1", 0)}, LABELS),
    ({"upstream": ("http://127.0.0.1:9000/a@b", "bedrock:eu")}, LABELS),
    ({"upstreams": {"anthropic": {}}}, {}),
    ({"upstreams": {"bedrock:eu": {}}}, {"upstream": "--upstream"}),
    ({"upstreams": {"bedrock:eu": {}}}, {"upstream": "MIDSTREAM_UPSTREAM"}),
]


@pytest.mark.parametrize(("given", "labels"), ALLOWED)
def test_what_fits_is_let_pass(given: dict[str, Any], labels: dict[str, str]) -> None:
    check_rules(Settings(**given), labels)


BUSY = [
    (
        OSError(errno.EADDRINUSE, "error while attempting to bind on address ('::1', 8100, 0, 0): [errno 98] address"),
        "--listen [::1]:8100 cannot be listened at: address already in use; give another one",
    ),
    (
        OSError(errno.EACCES, "Permission denied"),
        "--listen [::1]:8100 cannot be listened at: permission denied; give another one",
    ),
    (
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        "--listen [::1]:8100 cannot be listened at: name or service not known; give another one",
    ),
    (OSError("odd"), "--listen [::1]:8100 cannot be listened at: odd; give another one"),
]


@pytest.mark.parametrize(("problem", "sentence"), BUSY)
def test_an_address_that_cannot_be_had_is_one_sentence(problem: OSError, sentence: str) -> None:
    assert str(busy("--listen", Address("::1", 8100), problem)) == sentence
