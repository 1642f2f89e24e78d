"""What looks like a credential is hidden; what does not is left alone."""

import pytest

from midstream.gateway.hiding import HIDDEN, hidden, without_secrets

SECRETS = [
    "sk-ant-api03-abcdefghij",
    "sk-ant-oat01-abcdefghij_-x",
    "sk-proj-abcdefghij",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "ABSKQmVkcm9ja0FQSUtleS1hYmM=",
    "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3M=",
    "ya29.a0AfH6SMBx-_x",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "Bearer abcd1234",
    "basic dXNlcjpwYXNz",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_credential_is_hidden_wherever_it_stands(secret: str) -> None:
    assert hidden(secret) == HIDDEN
    assert hidden(f"before '{secret}' after") == f"before '{HIDDEN}' after"


def test_a_password_in_a_url_is_hidden_and_the_rest_of_the_url_is_not() -> None:
    assert hidden("http://user:secret@host/a") == f"http://{HIDDEN}@host/a"


PLAIN = [
    "anthropic",
    "bedrock:us-east-1",
    "http://127.0.0.1:8100/a@b",
    "https://host/a:b@c",
    "the disk is full",
    "a task-force",
    "risk-averse words",
    "req_011CSHoEeqs5C35K2UUqR7Fy",
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_credential_is_left_alone(text: str) -> None:
    assert hidden(text) == text


def test_a_table_is_shown_without_what_telling_names_hold() -> None:
    table = {
        "key_env": "MY_KEY",
        "token_file": "/run/token",
        "api_key": "abc",
        "Secret": "abc",
        "base_url": "http://u:p@h/",
        "port": 3,
        "deep": {"password": "abc", "models": "x"},
    }
    assert without_secrets(table) == {
        "key_env": "MY_KEY",
        "token_file": "/run/token",
        "api_key": HIDDEN,
        "Secret": HIDDEN,
        "base_url": f"http://{HIDDEN}@h/",
        "port": 3,
        "deep": {"password": HIDDEN, "models": "x"},
    }
