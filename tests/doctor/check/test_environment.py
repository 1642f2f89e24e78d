"""What is wrong with an environment is found, and no secret of it is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.check.environment import bare, environment_findings, told

KEY = "sk-ant-api03-abcdefghijklmnop"


def found(environ: dict[str, str], there: bool = True) -> list[str]:
    return [finding.id.removeprefix("CHECK-") for finding in environment_findings(environ, lambda _: there)]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"ANTHROPIC_API_KEY": KEY}, []),
        ({"ANTHROPIC_BASE_URL": "https://gateway.example.com"}, []),
        ({"ANTHROPIC_BASE_URL": "http://127.0.0.1:8100"}, []),
        ({"ANTHROPIC_BASE_URL": "http://gateway:8100"}, []),
        ({"ANTHROPIC_BASE_URL": "https://gateway.example.com/v1"}, ["BASE-URL-V1"]),
        ({"ANTHROPIC_BASE_URL": "https://gateway.example.com/v1/messages/"}, ["BASE-URL-V1"]),
        ({"ANTHROPIC_BASE_URL": "gateway.example.com"}, ["BASE-URL"]),
        ({"ANTHROPIC_BASE_URL": "http://[::1"}, ["BASE-URL"]),
        ({"ANTHROPIC_BASE_URL": "https://gateway.example.com\n"}, ["BLANKS"]),
        ({"ANTHROPIC_BASE_URL": "http://gateway.example.com"}, ["CLEAR"]),
        ({"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_AUTH_TOKEN": "x"}, ["TWO-KEYS"]),
        ({"ANTHROPIC_API_KEY": KEY + "\n"}, ["KEY-BLANKS"]),
        ({"ANTHROPIC_API_KEY": f'"{KEY}"'}, ["KEY-BLANKS"]),
        ({"AWS_BEARER_TOKEN_BEDROCK": "x", "AWS_ACCESS_KEY_ID": "y"}, ["TWO-AWS"]),
        ({"HTTPS_PROXY": "http://proxy:3128"}, ["PROXY"]),
        ({"HTTP_PROXY": "http://proxy:3128"}, []),
        ({"https_proxy": "socks5://proxy:1080"}, ["SOCKS"]),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, ["PROXY-CASE", "PROXY"]),
        ({"SSL_CERT_FILE": "/etc/ca.pem"}, []),
        ({"REQUESTS_CA_BUNDLE": "/etc/ca.pem"}, ["CA-HALF"]),
        ({"CLAUDE_CODE_USE_BEDROCK": "1", "CLAUDE_CODE_USE_VERTEX": "1"}, ["TWO-CLOUDS"]),
        ({"CLAUDE_CODE_USE_BEDROCK": "1"}, []),
        ({"ANTHROPIC_LOG": "debug"}, ["LOG"]),
    ],
)
def test_what_is_wrong_is_found_and_what_is_right_is_not(environ: dict[str, str], expected: list[str]) -> None:
    assert found(environ) == expected


def test_a_bundle_that_is_not_there_is_an_error() -> None:
    assert found({"SSL_CERT_FILE": "/nowhere.pem"}, there=False) == ["CA"]


def test_the_cure_of_an_address_with_v1_is_the_address_without() -> None:
    (finding,) = environment_findings({"ANTHROPIC_BASE_URL": "https://x.example/a/v1"}, lambda _: True)
    assert finding.fix == "End it before /v1: https://x.example/a"


def test_of_a_key_nothing_is_told_but_that_it_is_set() -> None:
    environ = {
        "ANTHROPIC_API_KEY": KEY,
        "AWS_SECRET_ACCESS_KEY": "hush-hush",
        "ANTHROPIC_BASE_URL": "https://user:hush-hush@host/path?key=hush-hush",
        "HTTPS_PROXY": "http://user:hush-hush@proxy:1",
        "MIDSTREAM_PROBE_TOKEN": "hush-hush",
        "MIDSTREAM_SILENCE_S": "60",
        "OTHER": "hush-hush",
    }
    text = json.dumps(told(environ)) + str(list(environment_findings(environ, lambda _: True)))
    assert "hush" not in text and KEY not in text and "OTHER" not in text
    assert told(environ)["ANTHROPIC_BASE_URL"] == "https://host/path" and told(environ)["MIDSTREAM_SILENCE_S"] == "60"


@given(st.text())
def test_any_value_is_looked_at_without_an_exception(value: str) -> None:
    environ = dict.fromkeys(("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "HTTPS_PROXY", "SSL_CERT_FILE"), value)
    list(environment_findings(environ, lambda _: False))
    assert len(bare(value)) <= 200
