"""Whose a stream is: the same for the same secret, whichever way and however long after it is sent."""

import os
import stat
from pathlib import Path

import pytest

from midstream.gateway.owners import KEY_BYTES, Owners, key_file, same
from midstream.gateway.schema import SettingsError

KEY = bytes(range(KEY_BYTES))


def owner(*headers: tuple[bytes, bytes], key: bytes = KEY) -> bytes:
    return Owners(key).owner_of_headers(list(headers))


def test_the_same_key_sent_either_way_is_the_same_owner() -> None:
    assert owner((b"x-api-key", b"sk-1")) == owner((b"authorization", b"Bearer sk-1"))
    assert owner((b"x-api-key", b"sk-1")) == owner((b"x-api-key", b"sk-1"), (b"authorization", b"bearer  sk-1"))


DIFFERENT = [
    (),
    ((b"x-api-key", b"sk-1"),),
    ((b"x-api-key", b"sk-2"),),
    ((b"x-api-key", b"sk-1"), (b"authorization", b"Bearer sk-2")),
    ((b"authorization", b"Basic sk-1"),),
    ((b"authorization", b"AWS4-HMAC-SHA256 Credential=AKIA/1/us/bedrock, Signature=1"),),
    ((b"authorization", b"AWS4-HMAC-SHA256 Credential=AKIA/1/us/bedrock, Signature=2"),),
    ((b"authorization", b"AWS4-HMAC-SHA256 Credential=AKIA/1/us/bedrock"), (b"x-amz-security-token", b"t")),
    ((b"x-api-key", b"sk"), (b"api-key", b"-1")),
]


def test_other_secrets_other_ways_to_sign_and_other_keys_are_other_owners() -> None:
    owners = [owner(*headers) for headers in DIFFERENT]
    owners += [owner(*headers, key=bytes(KEY_BYTES)) for headers in DIFFERENT]
    owners += [Owners(KEY).owner_of_client("sk-1"), Owners(KEY).owner_of_client("")]
    assert len(set(owners)) == len(owners)


def test_what_is_no_credential_changes_nothing() -> None:
    assert owner((b"user-agent", b"sk-1"), (b"x-api-key", b"")) == owner()


def test_a_session_of_aws_is_one_owner_though_each_request_is_signed_anew() -> None:
    first, second = (
        owner((b"authorization", b"AWS4-HMAC-SHA256 Signature=" + mark), (b"x-amz-security-token", b"session"))
        for mark in (b"1", b"2")
    )
    assert first == second


def test_a_request_is_found_by_owner_request_and_idempotency_key_together() -> None:
    owners = Owners(KEY)
    asked = [
        (owner_, request, key)
        for owner_ in (b"a", b"ab")
        for request in (b"", b"b", b"bc")
        for key in (None, b"", b"c", b"bc")
    ]
    assert len({owners.key_of(*each) for each in asked}) == len(asked)
    assert owners.key_of(b"a", b"b") == Owners(KEY).key_of(b"a", b"b", None)


def test_hashes_are_compared_whole() -> None:
    assert same(b"12", b"12") and not same(b"12", b"13") and not same(b"12", b"1")


def test_a_missing_key_is_made_for_its_owner_alone_and_read_ever_after(tmp_path: Path) -> None:
    path = key_file(tmp_path / "state" / "journal.sqlite3")
    assert path.name == "journal.sqlite3.key"
    path.parent.mkdir()
    made = Owners.load(path)
    assert not path.exists()  # there may be no journal that it would be for
    made.keep()
    made.keep()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.stat().st_size == KEY_BYTES
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert Owners.load(path).owner_of_client("a") == made.owner_of_client("a")


def test_of_two_gateways_that_make_the_key_at_once_the_first_ones_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    link = os.link

    def beaten(fresh: Path, target: Path) -> None:
        target.write_bytes(KEY)
        target.chmod(0o600)
        link(fresh, target)

    monkeypatch.setattr(os, "link", beaten)
    owners = Owners.load(path)
    owners.keep()
    assert owners.owner_of_client("a") == Owners(KEY).owner_of_client("a")
    assert [each.name for each in tmp_path.iterdir()] == ["key"]


def test_a_key_for_a_journal_in_memory_is_another_each_time() -> None:
    assert Owners.passing().owner_of_client("a") != Owners.passing().owner_of_client("a")


def test_a_bad_key_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(0o640)
    with pytest.raises(SettingsError) as told:
        Owners.load(path)
    assert str(told.value) == f"the key file {path} can be read by others (mode 0640); chmod 600 {path}"
    for content in (b"", KEY[1:], KEY + b"x"):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(SettingsError) as told:
            Owners.load(path)
        assert str(told.value) == (
            f"the key file {path} does not hold 32 bytes; put the right one there, or remove it: a new one is made, "
            "and nobody can come back to the streams from before"
        )
    with pytest.raises(SettingsError) as told:
        Owners.load(tmp_path)
    assert str(told.value) == (
        f"the key file {tmp_path} cannot be read: Is a directory; make it a file that the user whom the gateway runs "
        "as can read, and nobody else"
    )
    for nowhere, reason in ((Path("/proc/none/key"), "No such file or directory"), (path / "key", "Not a directory")):
        with pytest.raises(SettingsError) as told:
            Owners.load(nowhere).keep()
        assert str(told.value) == (
            f"the key file {nowhere} cannot be made: {reason}; the gateway must be able to write in {nowhere.parent}"
        )
