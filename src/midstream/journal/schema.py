"""The tables of the SQLite journal, and how a file comes to have them.

Rule: a file that this version does not know is left as it is.

`records` grows at its end only, in the order of arrival: every commit writes few pages, and the rows of a stream lie
scattered. They are found by going back: each row names the row before it (``prev``) and one up to 64 rows before it
(``far``); `streams` names the last one. An index would cost a page for each stream and commit (``python -m
bench.journal`` shows the price). The last rows of streams that are running are in the memory of the one who writes; a
crash loses them, so every few seconds they are written to `landmark`, and what came later is read from there on.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from midstream.journal.files import APPLICATION_ID
from midstream.journal.port import JournalError

CHECK_S = 2.0
"""How long the check at the start may take. A file that is larger than what can be read in this time is trusted: a
gateway that does not come up again helps nobody."""

CACHE_KIB = 128
"""Of each connection. A commit of ten milliseconds writes less, at 30,000 events a second too."""

_TABLES = (
    """
    CREATE TABLE streams (
        no INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        owner BLOB NOT NULL,
        key BLOB NOT NULL,
        created_at REAL NOT NULL,
        epoch INTEGER NOT NULL,
        ended_at REAL,              -- NULL: running
        lossy INTEGER NOT NULL,     -- 1: what follows its last row could not be stored
        first_row INTEGER NOT NULL,
        last_row INTEGER NOT NULL,  -- of a running stream: as of its opening or the last start
        offset INTEGER NOT NULL,    -- likewise
        size_bytes INTEGER NOT NULL -- likewise
    )
    """,
    "CREATE INDEX streams_by_key ON streams (key)",
    """
    CREATE TABLE records (
        row INTEGER PRIMARY KEY,
        stream INTEGER NOT NULL,
        prev INTEGER NOT NULL,       -- 0: none
        far INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        first INTEGER NOT NULL,      -- of a record without frames: the number that the next frame has
        count INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL, -- of all records of the stream up to this one
        data BLOB NOT NULL
    )
    """,
    "CREATE TABLE landmark (one INTEGER PRIMARY KEY CHECK (one = 1), row INTEGER NOT NULL, heads BLOB NOT NULL)",
    "CREATE TABLE removed (no INTEGER PRIMARY KEY, first_row INTEGER NOT NULL, last_row INTEGER NOT NULL)",
)

Migration = Callable[[sqlite3.Connection], None]


def _version_1(connection: sqlite3.Connection) -> None:
    for statement in _TABLES:
        connection.execute(statement)


MIGRATIONS: Sequence[Migration] = (_version_1,)
"""The n-th makes version n from version n - 1; an empty file has version 0. Old ones are never changed."""


def connect(path: Path, synchronous: str = "FULL", *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with our settings. Transactions are begun and ended by us."""
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        # Checkpoints are made when they delay nobody: see `checkpoint.py`.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        # Whatever is written goes through it, and stays until it is full; what is read again, the system has as well.
        connection.execute(f"PRAGMA cache_size = {-CACHE_KIB}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def look(path: Path) -> None:
    """Refuses what is no journal, or a newer one, before anything is made beside it. Raises `JournalError`.

    A file with a log of SQLite's beside it is not the whole of what is stored: that one is judged when it is opened.
    """
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        return
    if os.path.exists(f"{path}-wal") or os.path.exists(f"{path}-journal"):
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            _recognise(path, connection, len(MIGRATIONS))
    except sqlite3.Error as problem:
        raise refusal(path, problem) from None


def prepare(path: Path, connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Checks the file, and brings it to the version of these migrations. Raises `JournalError` and `sqlite3.Error`."""
    _recognise(path, connection, len(migrations))
    connection.execute("PRAGMA journal_mode = WAL")
    _check(path, connection)
    # What is deleted is overwritten: it was somebody's prompt.
    connection.execute("PRAGMA secure_delete = ON")
    _migrate(connection, migrations)


_CURES = {
    "SQLITE_NOTADB": "it is no journal of midstream; name another file",
    "SQLITE_CORRUPT": "it is damaged; restore it, or move it away to begin a new one",
    "SQLITE_FULL": "make room on its disk",
}


def refusal(path: Path, problem: Exception) -> JournalError:
    """What to say of a journal that cannot be opened."""
    name = getattr(problem, "sqlite_errorname", "")
    cure = _CURES.get(name, "it must be on a working disk, readable and writable for the user that the gateway runs as")
    return JournalError(f"the journal {path} cannot be used ({problem}): {cure}")


def _recognise(path: Path, connection: sqlite3.Connection, newest: int) -> None:
    ((application_id,),) = connection.execute("PRAGMA application_id")
    ((version,),) = connection.execute("PRAGMA user_version")
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema")
    if application_id != APPLICATION_ID and (tables or version or application_id):
        raise JournalError(f"{path} is a database, but no journal of midstream; name another file")
    if version > newest:
        raise JournalError(
            f"the journal {path} was written by a newer midstream (journal version {version}, this one knows"
            f" {newest}); run that version, or move the file away to begin a new one"
        )


def _check(path: Path, connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + CHECK_S
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.OperationalError as problem:
        if "interrupt" not in str(problem):
            raise
        return
    finally:
        connection.set_progress_handler(None, 0)
    if found != [("ok",)]:
        raise JournalError(f"the journal {path} is damaged; restore it, or move it away to begin a new one")


def _migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """All or nothing: a process that is killed in between leaves the old version."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        ((version,),) = connection.execute("PRAGMA user_version")
        for migrate in migrations[version:]:
            migrate(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
