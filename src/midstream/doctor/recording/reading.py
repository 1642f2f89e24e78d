"""A file, whatever it is, becomes facts: the one place where its form is told by its first bytes.

Rule: reading never fails for what a file holds; a file in no known form is taken for a bare body.
"""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from midstream.doctor.recording import coding, har, timed, transcript
from midstream.doctor.recording.facts import Fact, Finished, How, Remark, Unreadable
from midstream.doctor.recording.text import Text, blocks_of
from midstream.doctor.recording.wrapping import unwrapped

PEEK_BYTES = 16 << 10
"""Enough for the first line of a transcript with a long URL, and for the head of a HAR."""

NESTED_MAX = 2
"""A compressed file in a compressed file: more is a joke."""

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def read(file: BinaryIO) -> Iterator[Fact]:
    """The facts that a file holds, exchange by exchange. Raises nothing but what reading the file itself raises."""
    try:
        yield from unwrapped(_facts(Text(blocks_of(file))))
    except Unreadable as problem:
        yield Remark(str(problem))
        yield Finished(How.DAMAGED, str(problem))


def _facts(text: Text, nested: int = 0) -> Iterator[Fact]:
    begun = text.peek(PEEK_BYTES)
    if nested < NESTED_MAX and (inner := _inner(text, begun)) is not None:
        how, blocks = inner
        yield Remark(how)
        yield from _facts(Text(blocks), nested + 1)
    elif begun.startswith(timed.BEGINS):
        yield from timed.read(text)
    elif har.looks_like_har(begun):
        yield from har.read(text)
    elif transcript.BEGINS.match(begun):
        yield from transcript.read(text)
    elif begun:
        yield from transcript.read(text, bare=True)


def _inner(text: Text, begun: bytes) -> tuple[str, Iterator[bytes]] | None:
    """What the file as a whole is wrapped in: compressed, or written by a shell that writes UTF-16."""
    if (charset := _UTF16.get(begun[:2])) is not None:
        return "the file is in UTF-16, as PowerShell writes it; it was read as UTF-8", _as_utf8(text, charset)
    if begun[:2] == b"\x1f\x8b" or begun[:4] == b"\x28\xb5\x2f\xfd":
        name = coding.looks_encoded(begun) or ""
        undoing = coding.undoing_of(name, begun)
        if undoing is None:
            raise Unreadable(f"the file is compressed ({name}), and the Python here cannot undo that")
        return f"the file is compressed ({name})", _undone(text, undoing)
    return None


def _as_utf8(text: Text, charset: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(charset)(errors="replace")
    while block := text.block():
        if decoded := decoder.decode(block):
            yield decoded.removeprefix("\ufeff").replace("\r\n", "\n").encode(errors="replace")


def _undone(text: Text, undoing: coding.Undoing) -> Iterator[bytes]:
    while block := text.block():
        out = undoing.feed(block)
        while out:
            yield out
            out = undoing.feed(b"")
    if undoing.problem:
        raise Unreadable("the compressed file is damaged")
