"""A file that can be given to others, and what differs between two of them."""

import stat
from pathlib import Path

import msgspec
import pytest

from midstream.doctor.check.diagnostics import (
    Diagnostics,
    NotDiagnostics,
    differences,
    gather,
    installed,
    machine,
    read,
    write,
)

HERE = Diagnostics(
    1, {"python": "3.11"}, {"anthropic": "2.11.0", "httpx2": "2"}, {}, {"sdk_read_s": 600.0}, {"answered_ms": "5"}
)
THERE = Diagnostics(
    1,
    {"python": "3.11"},
    {"anthropic": "1.0.0"},
    {"HTTPS_PROXY": "http://p"},
    {"sdk_read_s": 60.0},
    {"answered_ms": "9"},
)


def test_what_differs_is_told_by_name_and_what_is_the_same_is_not() -> None:
    assert list(differences(HERE, THERE)) == [
        ("environment: HTTPS_PROXY", "–", "http://p"),
        ("timeouts: sdk_read_s", "600.0", "60.0"),
        ("versions: anthropic", "2.11.0", "1.0.0"),
        ("versions: httpx2", "2", "–"),
    ]
    assert list(differences(HERE, HERE)) == []


def test_what_was_written_is_read_and_is_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "diagnostics.json"
    write(path, HERE)
    assert read(path) == HERE and stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[1]", b"\xff", msgspec.json.encode(msgspec.structs.replace(HERE, midstream_check=2)), b"[" * 99_999],
)
def test_another_file_is_refused_in_a_sentence(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(raw)
    with pytest.raises(NotDiagnostics, match="is no file of `midstream check -o`"):
        read(path)


def test_this_machine_is_told_without_its_secrets() -> None:
    found = gather({"ANTHROPIC_API_KEY": "sk-ant-very-secret"}, {"sdk_read_s": 600.0}, {})
    assert found.environment == {"ANTHROPIC_API_KEY": "set"} and b"secret" not in msgspec.json.encode(found)
    assert installed()["anthropic"] and machine()["python"]
