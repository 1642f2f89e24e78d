"""Which files are taken for a journal, and how they come to their tables."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from midstream.journal import schema
from midstream.journal.files import APPLICATION_ID
from midstream.journal.port import JournalError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "j").touch()
    return tmp_path / "j"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    connection = schema.connect(path)
    yield connection
    connection.close()


def ask(connection: sqlite3.Connection, pragma: str) -> object:
    return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


def test_an_empty_file_becomes_a_journal_and_stays_one(path: Path, connection: sqlite3.Connection) -> None:
    for _ in range(2):
        schema.prepare(path, connection)
        assert ask(connection, "application_id") == APPLICATION_ID
        assert ask(connection, "user_version") == len(schema.MIGRATIONS)
        assert ask(connection, "journal_mode") == "wal"
        assert ask(connection, "secure_delete") == 1
        assert connection.execute("SELECT count(*) FROM streams").fetchone() == (0,)


@pytest.mark.parametrize(("setting", "number"), [("FULL", 2), ("NORMAL", 1), ("OFF", 0)])
def test_a_connection_has_the_setting_it_was_asked_for(path: Path, setting: str, number: int) -> None:
    connection = schema.connect(path, setting)
    assert ask(connection, "synchronous") == number
    assert ask(connection, "wal_autocheckpoint") == 0
    connection.close()


def test_a_read_only_connection_writes_nothing(path: Path, connection: sqlite3.Connection) -> None:
    schema.prepare(path, connection)
    reader = schema.connect(path, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM streams")
    reader.close()


def test_an_older_file_is_brought_up_to_date_and_keeps_what_it_has(path: Path, connection: sqlite3.Connection) -> None:
    schema.prepare(path, connection)
    connection.execute("INSERT INTO landmark VALUES (1, 7, x'')")

    def version_2(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE landmark ADD COLUMN more INTEGER NOT NULL DEFAULT 3")

    schema.prepare(path, connection, [*schema.MIGRATIONS, version_2])
    assert ask(connection, "user_version") == len(schema.MIGRATIONS) + 1
    assert connection.execute("SELECT * FROM landmark").fetchall() == [(1, 7, b"", 3)]


def test_a_migration_that_fails_leaves_the_old_version(path: Path, connection: sqlite3.Connection) -> None:
    schema.prepare(path, connection)

    def version_2(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE landmark")

    def version_3(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT * FROM missing")

    with pytest.raises(sqlite3.OperationalError, match="no such table: missing"):
        schema.prepare(path, connection, [*schema.MIGRATIONS, version_2, version_3])
    assert ask(connection, "user_version") == len(schema.MIGRATIONS)
    schema.prepare(path, connection)
    assert connection.execute("SELECT * FROM landmark").fetchall() == []


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(path: Path, connection: sqlite3.Connection) -> None:
    schema.prepare(path, connection)
    connection.execute("PRAGMA user_version = 7")
    with pytest.raises(
        JournalError, match=r"was written by a newer midstream \(journal version 7, this one knows 1\);"
    ):
        schema.prepare(path, connection)
    assert ask(connection, "user_version") == 7


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE t (x)", "PRAGMA user_version = 3", "PRAGMA application_id = 5"], ids=str
)
def test_a_database_of_others_is_refused_and_left_as_it_is(
    path: Path, connection: sqlite3.Connection, statement: str
) -> None:
    connection.execute(statement)
    path.chmod(0o644)
    with pytest.raises(JournalError, match="is a database, but no journal of midstream; name another file"):
        schema.prepare(path, connection)
    assert ask(connection, "journal_mode") == "delete"
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_will_be_refused_is_refused_before_anything_is_made_beside_it(path: Path) -> None:
    schema.look(path)
    schema.look(path.parent)
    schema.look(path.with_name("missing"))
    path.write_text("no database at all\n" * 100)
    with pytest.raises(JournalError, match="is no journal of midstream; name another file"):
        schema.look(path)
    path.unlink()
    path.touch()
    connection = schema.connect(path)
    schema.prepare(path, connection)
    connection.close()
    schema.look(path)
    with contextlib.closing(schema.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
        # What is in SQLite's log counts too, and is not seen from outside.
        assert path.with_name("j-wal").stat().st_size
        schema.look(path)
    with pytest.raises(JournalError, match="was written by a newer midstream"):
        schema.look(path)
    assert [each.name for each in path.parent.iterdir()] == ["j"]


def test_a_damaged_file_is_refused(path: Path, connection: sqlite3.Connection) -> None:
    schema.prepare(path, connection)
    connection.executemany("INSERT INTO records VALUES (?,1,0,0,5,1,1,1,?)", [(n, b"x" * 500) for n in range(1, 200)])
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8192] = b"\xff" * 8192
    path.write_bytes(data)
    damaged = schema.connect(path)
    with pytest.raises(JournalError, match="is damaged; restore it, or move it away to begin a new one"):
        schema.prepare(path, damaged)
    damaged.close()


def test_the_check_is_given_up_after_its_time(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.prepare(path, connection)
    connection.executemany("INSERT INTO records VALUES (?,1,0,0,5,1,1,1,?)", [(n, b"x" * 500) for n in range(1, 5_000)])
    monkeypatch.setattr(schema, "CHECK_S", -1.0)
    schema.prepare(path, connection)
    assert connection.execute("SELECT count(*) FROM records").fetchone() == (4_999,)


def test_a_check_that_cannot_read_is_no_check(path: Path, connection: sqlite3.Connection) -> None:
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError):
        schema.prepare(path, connection)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("SQLITE_NOTADB", "name another file"),
        ("SQLITE_CORRUPT", "restore it"),
        ("SQLITE_FULL", "make room"),
        ("SQLITE_IOERR", "readable and writable"),
    ],
)
def test_a_refusal_names_the_file_and_the_cure(path: Path, name: str, cure: str) -> None:
    problem = sqlite3.OperationalError("what SQLite says")
    problem.sqlite_errorname = name
    sentence = str(schema.refusal(path, problem))
    assert str(path) in sentence and "what SQLite says" in sentence and cure in sentence
    assert cure not in sentence.partition("(")[0]


def test_a_refusal_of_the_system_has_a_cure_too(path: Path) -> None:
    assert "readable and writable" in str(schema.refusal(path, PermissionError(13, "Permission denied")))
