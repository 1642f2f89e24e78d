"""The words of the port. Its promises are in tests/conformance."""

from typing import TYPE_CHECKING

from midstream.journal.memory import MemoryJournal
from midstream.journal.port import Kind, Record
from midstream.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from midstream.journal.port import Journal

    # Both are journals, as a type checker sees it.
    JOURNALS: list[Journal] = [MemoryJournal(), SqliteJournal("path")]


def test_the_last_frame_follows_from_the_first_and_the_count() -> None:
    assert Record(Kind.SHOWN, b"", 5, 3).last == 7


def test_both_journals_have_all_that_the_port_has() -> None:
    from midstream.journal import port

    words = {name for name in vars(port.Journal) if not name.startswith("_")}
    assert {"create", "adopt", "read", "health"} <= words
    for journal in (MemoryJournal, SqliteJournal):
        assert words <= {name for name in dir(journal) if not name.startswith("_")}


def test_the_numbers_of_kinds_stand_in_files_and_never_change() -> None:
    assert {kind.name: int(kind) for kind in Kind} == {
        "OPENED": 1,
        "HEAD": 2,
        "ATTEMPT": 3,
        "FACT": 4,
        "SHOWN": 5,
        "ENDED": 6,
    }
