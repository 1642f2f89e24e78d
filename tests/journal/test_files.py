"""Who owns a journal's files, and who may read them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from midstream.journal.files import FAILED, WHOLE, own
from midstream.journal.port import JournalError


def test_what_is_missing_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with own(tmp_path / "j"):
            assert {f.name: stat.S_IMODE(f.stat().st_mode) for f in tmp_path.iterdir()} == {"j": 0o600, "j-lock": 0o600}
    finally:
        os.umask(before)


def test_one_owns_it_at_a_time_and_the_next_one_after_that(tmp_path: Path) -> None:
    with own(tmp_path / "j"), pytest.raises(JournalError, match="is in use by another process; stop that one"):
        own(tmp_path / "j")
    first = own(tmp_path / "j")
    first.release()
    first.release()
    own(tmp_path / "j").release()


def test_a_killed_process_owns_nothing(tmp_path: Path) -> None:
    code = "import sys, time, pathlib\nfrom midstream.journal.files import own\n"
    code += "owned = own(pathlib.Path(sys.argv[1]))\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "j")], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        with pytest.raises(JournalError, match="in use"):
            own(tmp_path / "j")
        process.kill()
        process.wait()
        own(tmp_path / "j").release()


def test_the_mark_outlives_its_owner(tmp_path: Path) -> None:
    with own(tmp_path / "j") as first:
        assert not first.failed
        assert first.try_mark(FAILED)
    with own(tmp_path / "j") as second:
        assert second.failed
        second.mark(WHOLE)
        assert not second.failed
    assert not second.try_mark(FAILED)


def test_a_journal_that_is_removed_or_replaced_is_noticed(tmp_path: Path) -> None:
    with own(tmp_path / "j") as owned:
        owned.verify()
        (tmp_path / "j").rename(tmp_path / "k")
        with pytest.raises(OSError, match="was removed"):
            owned.verify()
        (tmp_path / "j").touch()
        with pytest.raises(OSError, match="was replaced"):
            owned.verify()


def test_bad_places_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder-lock").mkdir()
    for path, sentence in {
        tmp_path: "is a directory; name a file in it",
        tmp_path / "no" / "j": "is no directory; create it first",
        tmp_path / "link": "make it readable and writable",
        tmp_path / "folder": "must be able to write in",
    }.items():
        with pytest.raises(JournalError) as raised:
            own(path)
        assert str(path) in str(raised.value) and sentence in str(raised.value)
    assert not (tmp_path / "elsewhere").exists()
