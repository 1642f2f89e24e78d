"""Bytes to frames and back: server-sent events, by the rules of WHATWG HTML §9.2.6.

Rule: every byte that came in comes out again, in a block or in `pending`; nothing here knows what a frame means.
"""

import re
from typing import NamedTuple

from midstream.protocol.frames import Frame, FrameTooLarge

# The Anthropic SDK reads one event of 20 MB without complaint, so midstream must; the next power of two is the bound.
FRAME_BYTES_MAX = 32 << 20

# A wait of 10^15 ms is 30,000 years; and Python refuses to read numbers of several thousand digits.
RETRY_DIGITS_MAX = 15

# First lines whose name need not be looked for: nearly every block has one of them, and one line of data.
_NAMES = (
    *("message_start", "message_delta", "message_stop", "ping", "error"),
    *("content_block_start", "content_block_delta", "content_block_stop"),
)
_HEADS = {b"event: " + name.encode(): name for name in _NAMES}

# Two line ends in a row. Atomic, so that "\r\n" is never read as two.
_BOUNDARY = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"
_NEWLINE = ord("\n")
_CARRIAGE = ord("\r")  # as a number: `in` finds it ten times faster than as bytes


_NOTHING = bytearray()
"""Nothing is pending: one for all who wait for their next block. Never written to."""


class _Fields(NamedTuple):
    """What one block says."""

    frame: Frame | None
    id: str | None
    retry_ms: int | None


class Decoder:
    """Turns chunks of a body into blocks, and blocks into frames. Any chunking gives the same frames."""

    __slots__ = ("_after_carriage", "_begun", "_frame_bytes_max", "_pending", "last_event_id", "retry_ms")

    def __init__(self, *, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self.last_event_id = ""
        """The running value: that of the last block that was parsed and had one."""
        self.retry_ms: int | None = None
        """The running value: what the last ``retry`` field asked for."""
        self._frame_bytes_max = frame_bytes_max
        self._pending = _NOTHING
        # The last block ended in "\r" and nothing came after it: a "\n" would belong to it.
        self._after_carriage = False
        self._begun = False

    @property
    def pending(self) -> bytes:
        """What came after the last whole block."""
        return bytes(self._pending)

    @property
    def idle(self) -> bool:
        """Whether the next byte begins a block."""
        return not self._pending and not self._after_carriage

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that this chunk completes."""
        parse = self.parse
        return [frame for block in self.split(data) if (frame := parse(block)) is not None]

    def split(self, data: bytes) -> list[bytes]:
        """The blocks that this chunk completes, each with its blank line, exactly as received.

        A block may hold no event. Raises `FrameTooLarge` when an unfinished block is over the bound, but never
        in place of blocks that are whole: then the next chunk raises.
        """
        if self._after_carriage or _CARRIAGE in data:
            return self._split_at_any_line_end(data)
        # A boundary that ends in this chunk ends in two "\n", whatever came before: "\r" and "\n" are one line end.
        pending = self._pending
        if pending:
            # The pending bytes are not searched again: only their last byte can be part of a boundary.
            if b"\n\n" not in data and not (pending[-1] == _NEWLINE and data.startswith(b"\n")):
                pending += data
                self._check_size()
                return []
            data = bytes(pending) + data
            self._pending = _NOTHING
        if data.find(b"\n\n") == len(data) - 2 >= 0:
            return [data]  # exactly one block, the common chunk: no copy
        blocks = data.split(b"\n\n")
        if rest := blocks.pop():
            self._pending = bytearray(rest)
            if not blocks:
                self._check_size()
        return [block + b"\n\n" for block in blocks]

    def parse(self, block: bytes) -> Frame | None:
        """One block as a frame, or ``None`` if it has no data line. Blocks must come in order."""
        head, _, rest = block.partition(b"\ndata: ")
        name = _HEADS.get(head)
        if name is not None:
            data, _, end = rest.partition(b"\n")
            if end == b"\n" and b"\r" not in data:
                self._begun = True
                return Frame(name, data)
        return self._parse_any(block)

    def parse_pending(self) -> Frame | None:
        """What the pending bytes would be if their blank line had come. Changes nothing."""
        block = self.pending
        return _read(block if self._begun else block.removeprefix(_BOM)).frame

    def _parse_any(self, block: bytes) -> Frame | None:
        if not self._begun:
            self._begun = True
            block = block.removeprefix(_BOM)
        fields = _read(block)
        if fields.id is not None:
            self.last_event_id = fields.id
        if fields.retry_ms is not None:
            self.retry_ms = fields.retry_ms
        return fields.frame

    def _split_at_any_line_end(self, data: bytes) -> list[bytes]:
        blocks = []
        if self._after_carriage and data:
            self._after_carriage = False
            if data[0] == _NEWLINE:
                blocks.append(b"\n")
                data = data[1:]
        start = max(0, len(self._pending) - 1)
        pending = self._pending = self._pending or bytearray()
        pending += data
        if _BOUNDARY.search(pending, start) is None:
            if not blocks:
                self._check_size()
        else:
            blocks += self._cut(bytes(pending), start)
        return blocks

    def _cut(self, data: bytes, start: int) -> list[bytes]:
        ends = [boundary.end() for boundary in _BOUNDARY.finditer(data, start)]
        begins = [0, *ends]
        rest = data[ends[-1] :]
        self._pending = bytearray(rest) if rest else _NOTHING
        self._after_carriage = not rest and data.endswith(b"\r")
        return [data[begin:end] for begin, end in zip(begins, ends, strict=False)]

    def _check_size(self) -> None:
        if len(self._pending) > self._frame_bytes_max:
            raise FrameTooLarge(len(self._pending), self._frame_bytes_max)


def encode(name: str, data: bytes, id: str | None = None) -> bytes:
    """One event as bytes. Each line of the data becomes a ``data`` line; any line end is read back as ``\\n``."""
    if "\0" in (id or ""):
        raise ValueError("an id must not contain NUL: the standard has it ignored")
    lines = [] if id is None else [b"id: " + _one_line(id)]
    lines.append(b"event: " + _one_line(name))
    lines += [b"data: " + line for line in _LINE_END.split(data)]
    return b"\n".join(lines) + b"\n\n"


def _one_line(value: str) -> bytes:
    if "\r" in value or "\n" in value:
        raise ValueError("an event name or id must be one line")
    return value.encode()


def _read(block: bytes) -> _Fields:
    """The fields of one block. Empty lines are passed over: a block may begin with one."""
    name, id, retry_ms = "", None, None
    data: list[bytes] = []
    for line in _lines(block):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
        elif field == b"id" and b"\0" not in value:
            id = value.decode(errors="replace")
        elif field == b"retry" and value.isdigit() and len(value) <= RETRY_DIGITS_MAX:
            retry_ms = int(value)
    frame = Frame(name or "message", b"\n".join(data), id) if data else None
    return _Fields(frame, id, retry_ms)


def _lines(block: bytes) -> list[bytes]:
    return block.split(b"\n") if b"\r" not in block else _LINE_END.split(block)
