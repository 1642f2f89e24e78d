"""A file as lines or as blocks, whichever is asked for next, in bounded memory.

Rule: every byte that goes in comes out, once, in order.
"""

from collections.abc import Iterator
from typing import BinaryIO

BLOCK_BYTES = 1 << 16
LINE_BYTES_MAX = 1 << 16
"""No line that curl or a head has is longer; a longer one comes in pieces."""


def blocks_of(file: BinaryIO) -> Iterator[bytes]:
    """What a file holds, as soon as it is there."""
    read = getattr(file, "read1", file.read)
    while block := read(BLOCK_BYTES):
        yield block


class Text:
    """Reads ahead, and no further than it must."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._held = b""
        self._at = 0

    def _more(self) -> bool:
        block = next(self._blocks, b"")
        self._held = self._held[self._at :] + block
        self._at = 0
        return bool(block)

    def peek(self, size: int) -> bytes:
        """The next bytes, up to so many; fewer only at the end."""
        while len(self._held) - self._at < size and self._more():
            pass
        return self._held[self._at : self._at + size]

    def line(self) -> bytes:
        """The next line with its end; ``b""`` when there is nothing left."""
        while True:
            end = self._held.find(b"\n", self._at, self._at + LINE_BYTES_MAX) + 1
            if end or len(self._held) - self._at >= LINE_BYTES_MAX or not self._more():
                break
        end = end or min(self._at + LINE_BYTES_MAX, len(self._held))
        line = self._held[self._at : end]
        self._at = end
        return line

    def give_back(self, line: bytes) -> None:
        """What was just taken is the next again."""
        self._held = line + self._held[self._at :]
        self._at = 0

    def block(self) -> bytes:
        """All that is there, or the next block; ``b""`` when there is nothing left."""
        if self._at >= len(self._held) and not self._more():
            return b""
        block = self._held[self._at :]
        self._held, self._at = b"", 0
        return block
