"""Who has a token may in; what is wrong with the file is one sentence."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from midstream.gateway.schema import SettingsError
from midstream.gateway.tokens import TOKENS_MAX, Client, Tokens, digest_line, read

ALICE = "alice-has-this-token"
BOB = "bob-has-this-other-token"
FILE = f"""
[[token]]
name = "alice"
token = "{ALICE}"
streams_max = 3

[[token]]
name = "bob"
{digest_line(BOB)}
expires = 2030-01-31
"""
ALICE_SHA256 = hashlib.sha256(ALICE.encode()).hexdigest()


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "tokens.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def at(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(written(tmp_path, FILE), clock=lambda: at(2030, 1, 31, 23, 59))


def name_of(client: Client | None) -> str | None:
    return client.name if client else None


WHO = [
    ([(b"x-api-key", ALICE.encode())], "alice"),
    ([(b"authorization", b"Bearer " + ALICE.encode())], "alice"),
    ([(b"authorization", b"bearer  " + BOB.encode())], "bob"),
    ([(b"authorization", b"Bearer " + BOB.encode()), (b"x-api-key", b"dummy")], "bob"),
    ([(b"authorization", b"Bearer dummy"), (b"x-api-key", ALICE.encode())], "alice"),
    ([(b"authorization", b"Basic " + ALICE.encode())], None),
    ([(b"authorization", ALICE.encode())], None),
    ([(b"authorization", b"")], None),
    ([(b"x-api-key", ALICE.encode()[:-1])], None),
    ([(b"x-api-key", ALICE_SHA256.encode())], None),
    ([(b"x-api-key", b"\xff")], None),
    ([(b"x-api-key", b"")], None),
    ([(b"x-api-key", ALICE.encode()), (b"x-api-key", b"dummy")], None),
    ([(b"authorization", b"Bearer " + ALICE.encode())] * 2, None),
    ([(b"cookie", ALICE.encode())], None),
    ([], None),
]


@pytest.mark.parametrize(("headers", "name"), WHO)
def test_a_token_lets_in_whom_it_belongs_to(
    tokens: Tokens, headers: list[tuple[bytes, bytes]], name: str | None
) -> None:
    assert name_of(tokens.who(headers)) == name


def test_what_the_file_says_of_a_client_is_known(tokens: Tokens) -> None:
    assert len(tokens) == 2 and tokens.warning is None
    assert tokens.who([(b"x-api-key", ALICE.encode())]) == Client("alice", 3)


EXPIRIES = [
    ("2030-01-31", at(2030, 2, 1)),
    ("2030-01-31T12:00:00Z", at(2030, 1, 31, 12)),
    ("2030-01-31T12:00:00", at(2030, 1, 31, 12)),
    ("2030-01-31T12:00:00+02:00", at(2030, 1, 31, 10)),
]


@pytest.mark.parametrize(("text", "ends_at"), EXPIRIES)
def test_a_token_ends_when_the_file_says(tmp_path: Path, text: str, ends_at: float) -> None:
    now = [ends_at - 1]
    path = written(tmp_path, f'[[token]]\nname = "a"\ntoken = "{ALICE}"\nexpires = {text}')
    tokens = Tokens(path, clock=lambda: now[0])
    headers = [(b"x-api-key", ALICE.encode())]
    assert name_of(tokens.who(headers)) == "a"
    now[0] = ends_at
    assert tokens.who(headers) is None


def test_the_clock_is_that_of_the_world_unless_another_is_given(tmp_path: Path) -> None:
    past, coming = (datetime.now(UTC) + timedelta(days=days) for days in (-2, 2))
    rows = [
        f'[[token]]\nname = "a"\ntoken = "{ALICE}{n}"\nexpires = {day:%Y-%m-%d}' for n, day in enumerate((past, coming))
    ]
    tokens = Tokens(written(tmp_path, "\n".join(rows)))
    assert [name_of(tokens.who([(b"x-api-key", f"{ALICE}{n}".encode())])) for n in (0, 1)] == [None, "a"]


def test_a_file_that_is_read_again_counts_unless_it_is_broken(tokens: Tokens) -> None:
    alice = [(b"x-api-key", ALICE.encode())]
    tokens.path.write_text("[[token]]\nname = 'a'\ntoken = 'half a")
    with pytest.raises(SettingsError, match="is not TOML"):
        tokens.reload()
    assert name_of(tokens.who(alice)) == "alice"
    tokens.path.write_text(f"[[token]]\nname = 'carol'\n{digest_line(BOB)}")
    tokens.reload()
    assert tokens.who(alice) is None
    assert name_of(tokens.who([(b"x-api-key", BOB.encode())])) == "carol"


def test_tokens_in_clear_that_others_can_read_are_warned_of(tmp_path: Path) -> None:
    path = written(tmp_path, FILE, 0o644)
    assert Tokens(path).warning == (
        f"the token file {path} holds tokens in clear and can be read by others (mode 0644); chmod 600, or sha256 = …"
    )
    assert Tokens(written(tmp_path, f'[[token]]\nname = "a"\n{digest_line(BOB)}', 0o644)).warning is None


HERE = "the token file FILE"
NAMED = '[[token]]\nname = "a"\n'
WRONG = [
    ("", f"{HERE} holds 0 tokens; from 1 to 10,000 are allowed: [[token]]"),
    ("token = 1", f"{HERE}: token must be a list of tables: [[token]]"),
    ("token = [1]", f"{HERE}: token must be a list of tables: [[token]]"),
    ("[[tokens]]", f"{HERE}: there is no table 'tokens'; did you mean token?"),
    ("[[x]]", f"{HERE}: there is no table 'x'; known are token"),
    ("[[token]", f"{HERE} is not TOML: Expected ']]' at the end of an array declaration (at line 1, column 8)"),
    (
        NAMED + "shy = 1",
        f"{HERE}, token 1: there is no field 'shy'; known are name, sha256, token, streams_max, expires",
    ),
    (NAMED, f"{HERE}, token 1 needs either sha256 or token; midstream serve --hash-token makes the former"),
    (
        NAMED + f'token = "{ALICE}"\nsha256 = "{ALICE_SHA256}"',
        f"{HERE}, token 1 needs either sha256 or token; midstream serve --hash-token makes the former",
    ),
    (NAMED + "token = 1234567890123456", f"{HERE}, token 1: token must be a text"),
    (
        NAMED + 'token = "secret"',
        f"{HERE}, token 1: the token has under 16 characters and can be guessed; openssl rand -hex 32 makes a good one",
    ),
    (
        NAMED + 'token = "secret with blanks in it"',
        f"{HERE}, token 1: the token holds what cannot stand in a header; letters, digits and punctuation of ASCII can",
    ),
    (
        NAMED + 'token = "secret-with-ümlauts"',
        f"{HERE}, token 1: the token holds what cannot stand in a header; letters, digits and punctuation of ASCII can",
    ),
    (
        NAMED + 'sha256 = "secret"',
        f"{HERE}, token 1: sha256 must be 64 hexadecimal digits; midstream serve --hash-token makes them",
    ),
    (
        NAMED + "sha256 = 1",
        f"{HERE}, token 1: sha256 must be 64 hexadecimal digits; midstream serve --hash-token makes them",
    ),
    (
        f'[[token]]\ntoken = "{ALICE}"',
        f'{HERE}, token 1 needs a name of up to 100 printable characters: name = "who"',
    ),
    (
        f'[[token]]\nname = "a\\nb"\ntoken = "{ALICE}"',
        f'{HERE}, token 1 needs a name of up to 100 printable characters: name = "who"',
    ),
    (
        f'[[token]]\nname = "{"a" * 101}"\ntoken = "{ALICE}"',
        f'{HERE}, token 1 needs a name of up to 100 printable characters: name = "who"',
    ),
    (
        NAMED + f'token = "{ALICE}"\nstreams_max = 0',
        f"{HERE}, token 1: streams_max must be a whole number from 1 to 1,000,000; it is 0",
    ),
    (
        NAMED + f'token = "{ALICE}"\nexpires = "2030-01-31"',
        f"{HERE}, token 1: expires must be a date or a time of TOML, without quotes: 2030-01-31",
    ),
    (
        (NAMED + f'token = "{ALICE}"\n') * 2,
        f"{HERE}, token 2 is one that stands there before; give each client a token of its own",
    ),
    (
        NAMED + f'token = "{ALICE}"\n' + NAMED + f'sha256 = "{ALICE_SHA256.upper()}"',
        f"{HERE}, token 2 is one that stands there before; give each client a token of its own",
    ),
    (
        "token = [" + "{}," * (TOKENS_MAX + 1) + "]",
        f"{HERE} holds 10,001 tokens; from 1 to 10,000 are allowed: [[token]]",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[sentence[-40:] for _, sentence in WRONG])
def test_a_broken_file_is_one_sentence_without_its_tokens(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as told:
        read(path)
    assert str(told.value) == sentence.replace("FILE", str(path))
    assert "secret" not in str(told.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as told:
        Tokens(tmp_path / "none")
    assert str(told.value) == (
        f"the token file {tmp_path / 'none'} cannot be read: No such file or directory; "
        "give the path of one that can be"
    )


def test_a_line_for_the_file_is_made_of_a_token_that_is_fit() -> None:
    assert digest_line(ALICE) == f'sha256 = "{ALICE_SHA256}"'
    with pytest.raises(SettingsError, match=r"^the token has under 16 characters"):
        digest_line("short")
