"""The files of the SQLite journal: who may read them, and who owns them.

Rule: prompts and replies are in them in clear, so no moment exists at which another user of the machine could read
them; and one process owns them at a time.

Beside the journal ``x`` stand ``x-wal`` and ``x-shm``, which are SQLite's own, and ``x-lock``. The lock is the kernel's
(`flock`), so that it vanishes with the process however that ends. It cannot be on the journal itself: to close any
descriptor of that file would take away SQLite's own locks. The first byte of the lock file says whether the store
failed: it is written in place, for which a full disk has room.
"""

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType

from midstream.journal.port import JournalError

APPLICATION_ID = 0x6D696473
"""``mids``: in the header of a database that is a journal, at byte 68."""

WHOLE = b"w"
FAILED = b"f"


_OURS = "make it readable and writable for the user that the gateway runs as"


def _refuse(path: Path, problem: OSError, cure: str) -> JournalError:
    return JournalError(f"the journal {path} cannot be opened ({problem.strerror or type(problem).__name__}); {cure}")


class Ownership:
    """The exclusive right to a journal. Taken by `own`, gone with `release` or with the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._identity = (0, 0)

    def identify(self, descriptor: int) -> None:
        """Takes note of which file the journal is, and closes the descriptor."""
        found = os.fstat(descriptor)
        os.close(descriptor)
        self._identity = (found.st_dev, found.st_ino)

    @property
    def failed(self) -> bool:
        """Whether an owner said that the store failed, and no owner since that it is whole again."""
        return os.pread(self._descriptor, 1, 0) == FAILED

    def mark(self, state: bytes) -> None:
        """Writes `WHOLE` or `FAILED`, durably. Raises `OSError`."""
        os.pwrite(self._descriptor, state, 0)
        os.fsync(self._descriptor)

    def try_mark(self, state: bytes) -> bool:
        """The same; gives whether it could be done."""
        try:
            self.mark(state)
        except OSError:
            return False
        return True

    def verify(self) -> None:
        """Raises `OSError` if the journal is no longer at its path: SQLite would go on with a file without a name."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            raise OSError("the file was removed while it was in use") from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise OSError("the file was replaced while it was in use")

    def release(self) -> None:
        """Lets another process have the journal; also if that was done before."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> "Ownership":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.release()


def own(path: Path) -> Ownership:
    """Creates the files with mode 0600 where they are missing, and takes the lock. Raises `JournalError`."""
    lock = path.with_name(f"{path.name}-lock")
    if path.is_dir():
        raise JournalError(f"the journal {path} is a directory; name a file in it")
    if not path.parent.is_dir():
        raise JournalError(f"the journal {path} cannot be made: {path.parent} is no directory; create it first")
    closed = os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK)
    if closed or path.is_symlink():  # told before there is a lock beside it
        reason = errno.EACCES if closed else errno.ELOOP
        raise _refuse(path, OSError(reason, os.strerror(reason)), _OURS)
    try:
        descriptor = _private(lock)
    except OSError as problem:
        raise _refuse(path, problem, f"the gateway must be able to write in {path.parent}") from None
    ownership = Ownership(path, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_size == 0:
            ownership.mark(WHOLE)
        ownership.identify(_close_to_others(_private(path)))
    except BlockingIOError:
        ownership.release()
        raise JournalError(
            f"the journal {path} is in use by another process; stop that one, or give this one a journal of its own"
        ) from None
    except OSError as problem:
        ownership.release()
        raise _refuse(path, problem, _OURS) from None
    return ownership


def _private(path: Path) -> int:
    """Opens a file, made with mode 0600 if it is missing."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _close_to_others(descriptor: int) -> int:
    """Takes a journal that others may read away from them, before SQLite makes more files with its mode."""
    # A file that is no journal was named by mistake, and stays as it is.
    header = os.pread(descriptor, 72, 0)
    if not header or header[68:] == APPLICATION_ID.to_bytes(4, "big"):
        os.fchmod(descriptor, 0o600)
    return descriptor
