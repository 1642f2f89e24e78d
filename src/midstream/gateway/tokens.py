"""The clients' own tokens: who has one may in.

Rule: a token is compared by its hash, with all of them, in a time that tells nothing; it is never kept or told.
"""

import hashlib
import hmac
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from midstream.gateway.credentials import Headers
from midstream.gateway.schema import SettingsError, count
from midstream.gateway.sources import read_toml, refuse_unknown

TOKENS_MAX = 10_000
"""Each request is compared with all of them: 10,000 take two milliseconds."""

TOKEN_CHARS_MIN = 16
"""Shorter ones can be guessed."""

NAME_CHARS_MAX = 100
"""A name stands in lines of the log."""

FIELDS = ("name", "sha256", "token", "streams_max", "expires")

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Client(msgspec.Struct, frozen=True):
    """Who has a token."""

    name: str
    """Streams belong to the name, so that a token can be changed. Two tokens may have one name."""
    streams_max: int | None = None
    """Open streams at a time; ``None``: as the settings say for everybody."""
    expires_at: float | None = None
    """Seconds since 1970, from when on the token is none; ``None``: never."""


class Tokens:
    """The tokens of a file."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Reads the file. Raises `SettingsError`."""
        self.path = path
        self._clock = clock
        self._clients: list[tuple[bytes, Client]]
        self.warning: str | None
        """What is doubtful about the file, in one sentence."""
        self._clients, self.warning = read(path)

    def __len__(self) -> int:
        return len(self._clients)

    def reload(self) -> None:
        """Reads the file again. Raises `SettingsError` if it is broken; the tokens from before then stay."""
        self._clients, self.warning = read(self.path)

    def who(self, headers: Headers) -> Client | None:
        """Whose token this is, sent as ``Authorization: Bearer`` or as ``x-api-key``; ``None``: nobody's.

        Of a header that comes twice nobody knows which one counts elsewhere, so it is nobody's.
        """
        bearer = [value for name, value in headers if name == b"authorization"]
        keys = [value for name, value in headers if name == b"x-api-key"]
        if len(bearer) > 1 or len(keys) > 1:
            return None
        found = self._client(_bearer_of(bearer[0])) if bearer else None
        return found or (self._client(keys[0]) if keys else None)

    def _client(self, token: bytes) -> Client | None:
        shown, found = hashlib.sha256(token).digest(), None
        for digest, client in self._clients:  # to the end, so that the time does not tell which one it was
            if hmac.compare_digest(digest, shown):
                found = client
        expired = found is not None and found.expires_at is not None and found.expires_at <= self._clock()
        return None if expired else found


def digest_line(token: str) -> str:
    """The line of the file that stands for a token. Raises `SettingsError` for one that is unfit."""
    return f'sha256 = "{hashlib.sha256(_usable(token, "the token")).hexdigest()}"'


def read(path: Path) -> tuple[list[tuple[bytes, Client]], str | None]:
    """The hashes and whose they are; and a warning, if the file holds tokens in clear that others can read."""
    what = f"the token file {path}"
    table = read_toml(path, what)
    refuse_unknown(table, ("token",), what, "table")
    entries = table.get("token", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SettingsError(f"{what}: token must be a list of tables: [[token]]")
    if not 1 <= len(entries) <= TOKENS_MAX:
        raise SettingsError(f"{what} holds {len(entries):,} tokens; from 1 to {TOKENS_MAX:,} are allowed: [[token]]")
    clients: dict[bytes, Client] = {}
    for number, entry in enumerate(entries, 1):
        where = f"{what}, token {number}"
        refuse_unknown(entry, FIELDS, where, "field")
        digest = _digest(entry, where)
        if digest in clients:
            raise SettingsError(f"{where} is one that stands there before; give each client a token of its own")
        clients[digest] = _entry(entry, where)
    return list(clients.items()), _warning(path, what, entries)


def _entry(entry: Mapping[str, Any], where: str) -> Client:
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > NAME_CHARS_MAX:
        raise SettingsError(f'{where} needs a name of up to {NAME_CHARS_MAX} printable characters: name = "who"')
    streams_max = entry.get("streams_max")
    if streams_max is not None:
        count().checked(streams_max, f"{where}: streams_max")
    return Client(name, streams_max, _expiry(entry.get("expires"), where))


def _expiry(expires: object, where: str) -> float | None:
    """A date counts to its end; a time without a zone is in UTC."""
    if expires is None:
        return None
    if isinstance(expires, datetime):
        return (expires if expires.tzinfo else expires.replace(tzinfo=UTC)).timestamp()
    if isinstance(expires, date):
        return datetime(expires.year, expires.month, expires.day, tzinfo=UTC).timestamp() + 24 * 3600
    raise SettingsError(f"{where}: expires must be a date or a time of TOML, without quotes: 2030-01-31")


def _digest(entry: Mapping[str, Any], where: str) -> bytes:
    token, sha256 = entry.get("token"), entry.get("sha256")
    if (token is None) == (sha256 is None):
        raise SettingsError(f"{where} needs either sha256 or token; midstream serve --hash-token makes the former")
    if token is not None:
        if not isinstance(token, str):
            raise SettingsError(f"{where}: token must be a text")
        return hashlib.sha256(_usable(token, f"{where}: the token")).digest()
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise SettingsError(f"{where}: sha256 must be 64 hexadecimal digits; midstream serve --hash-token makes them")
    return bytes.fromhex(sha256)


def _usable(token: str, where: str) -> bytes:
    if len(token) < TOKEN_CHARS_MIN:
        raise SettingsError(
            f"{where} has under {TOKEN_CHARS_MIN} characters and can be guessed; openssl rand -hex 32 makes a good one"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(
            f"{where} holds what cannot stand in a header; letters, digits and punctuation of ASCII can"
        )
    return token.encode()


def _bearer_of(value: bytes) -> bytes:
    scheme, _, token = value.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _warning(path: Path, what: str, entries: list[dict[str, Any]]) -> str | None:
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o077 and any("token" in entry for entry in entries):
        return f"{what} holds tokens in clear and can be read by others (mode {mode:04o}); chmod 600, or sha256 = …"
    return None
