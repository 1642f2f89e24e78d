"""A configuration file as text, whatever it really is.

Rule: any bytes of any file become a `Source`, or an `Unreadable` with one sentence.
"""

import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

# The largest configurations that people write are some hundred kB; what is larger is not one.
FILE_BYTES_MAX = 4 << 20

STDIN = "-"

_ALLOWED = re.compile(r"midstream:\s*allow\s+(?P<rules>[A-Z0-9-]+(?:\s*,\s*[A-Z0-9-]+)*)")


class Unreadable(ValueError):
    """A file is not there, is no text, or is not what it should be. Its text is one sentence with its place."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file."""

    name: str
    """As the user named it."""
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines without their ends. Only what ends a line in an editor does so here."""
        return re.split(r"\r?\n", self.text)


def read(name: str) -> Source:
    """A file, or stdin as ``-``. Raises `Unreadable`."""
    if name == STDIN:
        return decode("stdin", sys.stdin.buffer.read(FILE_BYTES_MAX + 1))
    if "\0" in name:
        raise Unreadable(f"{name!r} is no name of a file")
    path = Path(name)
    try:
        # A device or a pipe may never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unreadable(f"{name} is not a file" if not path.is_dir() else f"{name} is a folder: name its files")
        with path.open("rb") as file:
            return decode(name, file.read(FILE_BYTES_MAX + 1))
    except OSError as problem:
        raise Unreadable(f"{name} cannot be read: {problem.strerror or problem}") from None


def decode(name: str, data: bytes) -> Source:
    """The bytes of a file as text. Raises `Unreadable`."""
    if len(data) > FILE_BYTES_MAX:
        raise Unreadable(f"{name} is larger than {FILE_BYTES_MAX >> 20} MiB: that is no configuration")
    mark, encoding = marked(data)
    if not mark and b"\0" in data:
        raise Unreadable(f"{name} is not text")
    # What is no UTF-8 stands in comments, as a rule; and else it is a word that no rule knows.
    return Source(name, data[len(mark) :].decode(encoding, "replace"))


def marked(data: bytes) -> tuple[bytes, str]:
    """The mark that says how a text is encoded, as editors of Windows write it, and the encoding."""
    marks = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8"))
    return next(((mark, encoding) for mark, encoding in marks if data.startswith(mark)), (b"", "utf-8"))


def allowed(lines: list[str], line: int) -> set[str]:
    """The rules that a comment at a line, or at the one before it, allows: ``# midstream: allow NGX-GZIP``."""
    found: set[str] = set()
    for number in (line - 1, line):
        if 0 < number <= len(lines) and (match := _ALLOWED.search(lines[number - 1])):
            found |= {rule.strip() for rule in match["rules"].split(",")}
    return found
