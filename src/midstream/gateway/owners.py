"""Whose a stream is: a keyed hash, so that the journal holds no credential and still outlasts a restart.

Rule: credentials go in, hashes come out; nothing here keeps one.
"""

import hmac
import os
import secrets
import stat
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Self

from midstream.gateway.credentials import Headers, secrets_of
from midstream.gateway.schema import SettingsError

KEY_BYTES = 32
"""Bytes of the key: as many as of the hashes that it makes."""

HASH_BYTES = 32
"""Nobody finds two credentials of one hash by trying."""


class Owners:
    """Makes the hashes by which the journal knows whose a stream is, and which request made it."""

    __slots__ = ("_key", "_unkept")

    def __init__(self, key: bytes, unkept: Path | None = None) -> None:
        assert len(key) == KEY_BYTES
        self._key = key
        self._unkept = unkept

    @classmethod
    def load(cls, path: Path) -> Self:
        """With the key in this file; if there is none, with a new one, for `keep`. Raises `SettingsError`."""
        try:
            return cls(_key_in(path))
        except (FileNotFoundError, NotADirectoryError):
            return cls(secrets.token_bytes(KEY_BYTES), path)

    def keep(self) -> None:
        """Stores a key that is new, once there is a journal that it is for. Raises `SettingsError`."""
        if self._unkept is not None:
            self._key = _store(self._key, self._unkept)
            self._unkept = None

    @classmethod
    def passing(cls) -> Self:
        """With a key that nobody keeps, for a journal in memory."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def owner_of_headers(self, headers: Headers) -> bytes:
        """Who brings these credentials of an upstream; who brings none is everybody else who does."""
        found = secrets_of(headers)
        return self._hash(b"credentials", found) if found else self._hash(b"anonymous", ())

    def owner_of_client(self, name: str) -> bytes:
        """The client of this name in the file of tokens: also after its token was changed."""
        return self._hash(b"client", (name.encode(),))

    def key_of(self, owner: bytes, request: bytes, idempotency_key: bytes | None = None) -> bytes:
        """What a repeated request is found by: the same owner, the same request, and the same idempotency key if any.

        ``request`` is what makes two requests equal: the caller puts method, target and body into it.
        """
        return self._hash(b"request", (owner, request, b"" if idempotency_key is None else b"=" + idempotency_key))

    def _hash(self, about: bytes, parts: Iterable[bytes]) -> bytes:
        # A person for each kind of hash, and lengths before the parts: no two inputs look alike.
        hasher = blake2b(key=self._key, digest_size=HASH_BYTES, person=about)
        for part in parts:
            hasher.update(len(part).to_bytes(8, "big"))
            hasher.update(part)
        return hasher.digest()


def same(one: bytes, other: bytes) -> bool:
    """Whether two hashes are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(one, other)


def key_file(journal: Path) -> Path:
    """Where the key stands: beside the journal, as it is worth nothing without it."""
    return journal.with_name(journal.name + ".key")


def _key_in(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read(KEY_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as problem:
        raise SettingsError(
            f"the key file {path} cannot be read: {problem.strerror}; make it a file that the user whom the gateway "
            "runs as can read, and nobody else"
        ) from None
    if mode & 0o077:
        raise SettingsError(f"the key file {path} can be read by others (mode {mode:04o}); chmod 600 {path}")
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"the key file {path} does not hold {KEY_BYTES} bytes; put the right one there, or remove it: a new one is "
            "made, and nobody can come back to the streams from before"
        )
    return key


def _store(key: bytes, path: Path) -> bytes:
    """Writes a key where there is none, and gives it; of two that are written at once, the first one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link, unlike a rename, replaces nothing.
            os.link(fresh, path)
        finally:
            fresh.unlink()
    except FileExistsError:
        return _key_in(path)
    except OSError as problem:
        raise SettingsError(
            f"the key file {path} cannot be made: {problem.strerror}; "
            f"the gateway must be able to write in {path.parent}"
        ) from None
    return key
