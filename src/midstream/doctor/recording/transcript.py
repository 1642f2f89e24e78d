"""What curl printed, with ``-i``, with ``-v``, with its meter, or bare; and requests and replies as they went by.

Rule: what curl says stands on lines of its own, but for the last one, which may stick to a body that was cut.
"""

import re
from collections.abc import Iterator

from midstream.doctor.recording import heads
from midstream.doctor.recording.curl import finished_by_line
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Fact, Finished, How, Remark
from midstream.doctor.recording.text import Text

BEGINS = re.compile(
    rb"\s{0,100}(?:\* |> [A-Z]{3,10} |< HTTP/|  % Total|HTTP/\d(?:\.\d)? \d{3}|curl: \(\d"
    rb"|[A-Z]{3,10} \S{1,8000} HTTP/1)"
)
"""How a transcript begins."""

HELD_BYTES = 4096
"""What is held back of a body without lines of curl's between, for what curl may have said behind it."""

_TALK = (b"* ", b"> ", b"< ", b"{ [", b"} [", b"curl: (", b"  % Total", b"                                 Dload")
_DATA = re.compile(rb"\{ \[[1-9]\d* bytes data\]")
_METER = re.compile(
    rb"\r *\d{1,3}(?: +[\d.]+[kMGTP]?){7}(?: +(?:--:--:--|\d{1,3}:\d\d:\d\d|\d{1,3}d \d\dh)){3} +[\d.]+[kMGTP]?"
)
_STUCK = re.compile(
    rb"\* (?:Connection #\d|Closing connection|transfer closed|Recv failure|HTTP/2 stream|OpenSSL SSL|Operation timed"
    rb"|end of response|Illegal or|TLSv1|We are completely|Send failure|shutting down)|curl: \(\d{1,3}\) "
)
_TAIL = re.compile(rb"\r?\n?(?:(?:\* [^\r\n]{1,300}|curl: \(\d{1,3}\)[^\r\n]{0,300})\r?\n?)+\Z")
_NEXT_HEAD = re.compile(rb"(?<=\n)HTTP/\d(?:\.\d)? \d{3}[ \r]")
_BODY_BEGINS = re.compile(rb"(?:event|data|id|retry)?:|[{<\[\0\1]|\xef\xbb\xbf|\x1f\x8b")


def read(text: Text, *, bare: bool = False) -> Iterator[Fact]:
    """The facts of a transcript; of a `bare` one, which begins with the body."""
    return _Transcript(text).facts(bare)


class _Transcript:
    def __init__(self, text: Text) -> None:
        self._text = text
        self._has_head = self._has_body = self._went_elsewhere = False
        self._finished: Finished | None = None

    def facts(self, bare: bool) -> Iterator[Fact]:
        if bare:
            yield from self._silent_body()
        talks = False
        while raw := self._text.line():
            line = _without_meter(raw)
            talks = talks or line.startswith(_TALK) or line is not raw
            if line[:2] in (b"> ", b"< ") or heads.STATUS_LINE.match(line) or heads.REQUEST_LINE.match(line):
                yield from self._head(line)
            elif line.startswith(_TALK):
                self._note(line)
            elif line.strip() and (self._has_head or _BODY_BEGINS.match(line)):
                self._text.give_back(line)
                yield from self._talking_body() if talks and line[:1] > b"\1" else self._silent_body()
        if talks and not (self._has_head or self._has_body or self._finished):
            yield Remark("it has lines as curl prints them, and no reply")
        yield from self._end()

    def _end(self) -> Iterator[Fact]:
        if self._has_head and not self._has_body and self._went_elsewhere:
            yield Remark("curl wrote the body somewhere else: put both into one file, with 2>&1")
            yield Finished(How.DAMAGED, "the body is not in this file")
        elif self._has_head or self._has_body or self._finished is not None:
            yield self._finished or Finished(How.UNKNOWN)
        self._has_head = self._has_body = self._went_elsewhere = False
        self._finished = None

    def _head(self, line: bytes) -> Iterator[Fact]:
        """Another head begins. What was said about an end before it belongs to the exchange before it."""
        if self._has_body:
            yield from self._end()
        self._finished = None
        prefix = line[:2] if line[:2] in (b"> ", b"< ") else b""
        lines = [line.removeprefix(prefix)]
        while (line := self._text.line()) and line.startswith(prefix) and line.removeprefix(prefix).strip():
            lines += [line.removeprefix(prefix)] if len(lines) < heads.LINES_MAX else []
        if line.removeprefix(prefix).strip():
            self._text.give_back(line)
        head = heads.answered(lines) or heads.asked(lines)
        if head is not None:
            self._has_head = self._has_head or isinstance(head, Answered)
            yield head
        if isinstance(head, Asked) and not prefix:
            self._skip_request_body(head)

    def _skip_request_body(self, head: Asked) -> None:
        length = head.headers.get("content-length", "")
        left = int(length) if length.isdigit() and len(length) < 12 else 0
        while left > 0 and (block := self._text.block()):
            self._text.give_back(block[left:])
            left -= len(block)

    def _note(self, line: bytes) -> bool:
        """Keeps what a line of curl's says about the end; whether it says anything."""
        self._went_elsewhere = self._went_elsewhere or bool(_DATA.match(line))
        said = finished_by_line(line.decode("utf-8", "replace").rstrip())
        if said is not None and (said.how is not How.CLEAN or self._finished is None):
            self._finished = said
        return said is not None

    def _talking_body(self) -> Iterator[Fact]:
        """A body between whose lines curl says what it does. Ends where the next head begins."""
        while raw := self._text.line():
            line = _without_meter(raw)
            if line.startswith((b"< HTTP/", b"> ")) or heads.STATUS_LINE.match(line):
                self._text.give_back(line)
                return
            if line.startswith(_TALK):
                self._note(line)
                continue
            stuck = None if line.rstrip().endswith(b"}") else _STUCK.search(line)
            if stuck is not None:
                self._note(line[stuck.start() :])
                line = line[: stuck.start()]
            if line:
                self._has_body = True
                yield Arrived(line)

    def _silent_body(self) -> Iterator[Fact]:
        """A body in one piece, with at most curl's last words behind it. Ends where the next head begins."""
        held = b""
        while block := self._text.block():
            held += block
            # To look for the plain bytes first is fifty times faster.
            if b"\nHTTP/" in held and (next_head := _NEXT_HEAD.search(held)) is not None:
                self._text.give_back(held[next_head.start() :])
                held = held[: next_head.start()]
                break
            if len(held) > 2 * HELD_BYTES:
                self._has_body = True
                yield Arrived(held[:-HELD_BYTES])
                held = held[-HELD_BYTES:]
        if b"curl: (" in held or b"\n* " in held:
            tail = _TAIL.search(held)
            said = [self._note(line) for line in held[tail.start() :].splitlines()] if tail else []
            if tail and any(said):  # lines that say nothing of an end may be anybody's list
                held = held[: tail.start()]
        if held:
            self._has_body = True
            yield Arrived(held)


def _without_meter(line: bytes) -> bytes:
    """A line without what curl's meter wrote into it; the same object where there is nothing to take out."""
    if b"\r" not in line:
        return line
    plain, meters = _METER.subn(b"", line)
    if not meters:
        return line
    return plain if plain.strip() else b"* meter\n"
