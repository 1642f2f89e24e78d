"""Runs somebody's curl, hands its output on, and notes when each part of it came.

Rule: curl does what it would have done; only headers and immediate output are asked for besides.
"""

import subprocess
import threading
from collections.abc import Sequence
from pathlib import PurePath
from typing import BinaryIO

from midstream.doctor.record.masking import Masking, of_curl
from midstream.doctor.record.writer import Bounds, Writer
from midstream.doctor.recording import heads
from midstream.doctor.recording.curl import finished_by_exit
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Finished, How, Remark

ADDED = ("--no-buffer", "--include", "--suppress-connect-headers", "--show-error")
"""What is added to curl's arguments: its output as soon as it is there, with the headers, and its errors by name."""

HEAD_BYTES_MAX = 1 << 16
TAIL_BYTES = 4096
"""Of what curl says on stderr: its error is the last line."""
GRACE_S = 3.0
"""For curl to end after it was told to."""


class NoCurl(ValueError):
    """A command that is not curl, or that is not there. Its text is the one sentence that the user reads."""


def record(words: Sequence[str], writer: Writer, out: BinaryIO, err: BinaryIO, bounds: Bounds | None = None) -> int:
    """Runs this command, which must be curl; its exit status. Raises `NoCurl`."""
    bounds = bounds or Bounds()
    if not words or not PurePath(words[0]).name.lower().startswith("curl"):
        raise NoCurl("what follows -- must be a curl command: midstream record -- curl …")
    try:
        process = subprocess.Popen([words[0], *ADDED, *words[1:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except (OSError, ValueError) as problem:
        raise NoCurl(f"{words[0]} cannot be run: {getattr(problem, 'strerror', None) or problem}") from None
    url = next((word for word in words[1:] if word.lower().startswith(("http://", "https://"))), "")
    writer.masking = Masking(of_curl(words))
    writer.tell(Asked("", url))
    with process:
        return _Run(process, writer, out, bounds, shows_head=_shows_head(words)).to_its_end(err)


def _shows_head(words: Sequence[str]) -> bool:
    """Whether the user asked for the headers too."""
    short = [word[1:] for word in words if word.startswith("-") and not word.startswith("--")]
    return "--include" in words or any("i" in word and word.isalpha() for word in short)


class _Run:
    def __init__(
        self, process: "subprocess.Popen[bytes]", writer: Writer, out: BinaryIO, bounds: Bounds, *, shows_head: bool
    ) -> None:
        self._process, self._writer, self._out, self._bounds = process, writer, out, bounds
        self._shows_head = shows_head
        self._said = b""
        self._head: bytes | None = b""  # what may still be a head; `None` once the body has begun
        self._stopped = ""

    def to_its_end(self, err: BinaryIO) -> int:
        listener = threading.Thread(target=self._listen, args=(err,), daemon=True)
        timer = threading.Timer(self._bounds.seconds, self._stop, ("it took longer than the recorder waits",))
        timer.daemon = True
        listener.start()
        timer.start()
        try:
            self._read()
            status = self._process.wait()
            listener.join(GRACE_S)
        except KeyboardInterrupt:
            self._stop("interrupted")
            self._writer.tell(Finished(How.STOPPED, "interrupted"))
            raise
        finally:
            timer.cancel()
            if self._process.poll() is None:
                self._stop("interrupted")
        self._writer.tell(self._finished(status))
        return status if status >= 0 else 128 - status

    def _finished(self, status: int) -> Finished:
        if self._stopped:
            return Finished(How.STOPPED, self._stopped)
        if self._writer.bytes == 0 and self._head is not None and status == 0:
            self._writer.tell(Remark("curl printed nothing: with -o or -O it writes elsewhere"))
        _, _, words = self._said.rpartition(b"curl: (")
        _, _, words = words.partition(b") ")
        return finished_by_exit(status if status >= 0 else 128 - status, words.decode("utf-8", "replace").strip())

    def _read(self) -> None:
        assert self._process.stdout is not None
        read = self._process.stdout.read1  # type: ignore[attr-defined]
        while data := read(1 << 16):
            body = self._without_head(data)
            if self._shows_head:
                self._pass_on(data)
            elif body:
                self._pass_on(body)
            if body:
                self._writer.tell(Arrived(body))
            if self._writer.bytes >= self._bounds.bytes and not self._stopped:
                self._stop("a bound of the recorder was reached")
        if self._head:  # a head that never ended
            self._writer.tell(Arrived(self._head))

    def _without_head(self, data: bytes) -> bytes:
        """Tells the heads that stand in front, and gives back what is body."""
        if self._head is None:
            return data
        held = self._head + data
        while b"HTTP/".startswith(held[:5]) and len(held) < HEAD_BYTES_MAX:
            head, blank, rest = held.partition(b"\r\n\r\n")
            found = heads.answered([line + b"\n" for line in head.split(b"\n")]) if blank else None
            if found is None:
                self._head = held
                return b""
            self._writer.tell(found)
            held = rest
            if not _goes_on(found):
                break
        self._head = None if held or not data else b""
        return held

    def _pass_on(self, data: bytes) -> None:
        try:
            self._out.write(data)
            self._out.flush()
        except BrokenPipeError:
            self._stop("the reader of the output left")

    def _listen(self, err: BinaryIO) -> None:
        assert self._process.stderr is not None
        read = self._process.stderr.read1  # type: ignore[attr-defined]
        while data := read(1 << 16):
            self._said = (self._said + data)[-TAIL_BYTES:]
            err.write(data)
            err.flush()

    def _stop(self, why: str) -> None:
        self._stopped = self._stopped or why
        self._process.terminate()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _goes_on(head: Answered) -> bool:
    """Whether another head may follow: an interim one, a redirect, a question for credentials."""
    return head.status < 200 or 300 <= head.status < 400 or head.status in (401, 407)
