"""One body, from its first byte to its end: which framing it has, and the streams in it.

Rule: memory is bounded whatever the body holds; what is over a bound is counted, and said.
"""

from midstream.doctor.diagnose.diagnosis import Diagnosis
from midstream.doctor.diagnose.judging import End, judge, judge_document
from midstream.doctor.diagnose.placed import BedrockFrames, Frames, Placed, SseFrames
from midstream.doctor.diagnose.rehearsal import Rehearsal
from midstream.doctor.diagnose.stream import Stream
from midstream.doctor.diagnose.timing import Stopwatch
from midstream.doctor.recording.facts import Answered, Asked, Finished, How
from midstream.recovery.attempt import dialect_of
from midstream.recovery.classify import request_id_of
from midstream.recovery.failure import Kind

BLANK_BYTES_MAX = 1024
"""White space before the first event; more is somebody's page (`recovery.attempt` has the same bound)."""
DOCUMENT_BYTES_MAX = 1 << 20
"""Of an error, a page, a document: what is read of it (`Policy.error_body_bytes_max`)."""
STREAMS_MAX = 100
"""Streams in one body of which all is kept; of more there is only their number."""

_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class Body:
    """What was asked and answered, and the body that came."""

    def __init__(self, asked: Asked | None, head: Answered | None, watch: Stopwatch) -> None:
        self.received_bytes = 0
        self.more_streams = 0
        """Streams beyond those that are kept."""
        self.more_ill = 0
        """How many of those are not healthy."""
        self._asked, self._head, self._watch = asked, head, watch
        self._frames: Frames | None = None
        self._document: bytearray | None = None
        self._begun = b""
        self._current: Stream | None = None
        self._found: list[Diagnosis] = []
        self._stuck = False  # nothing behind this place can be read

    def feed(self, data: bytes, at_s: float | None) -> None:
        """A part of the body, as a client reads it."""
        after_s = self._watch.arrived(at_s)
        self.received_bytes += len(data)
        if self._frames is None and self._document is None:
            self._begun += data
            if len(self._begun) < BLANK_BYTES_MAX and not _says_something(self._begun):
                return
            data, self._begun = self._begun, b""
            self._choose(data)
        if self._document is not None:
            self._document += data[: DOCUMENT_BYTES_MAX - len(self._document)]
        elif self._frames is not None and not self._stuck:
            self._follow(self._frames, data, after_s)

    def _follow(self, frames: Frames, data: bytes, after_s: float | None) -> None:
        for placed in frames.feed(data):
            stream = self._take(placed, after_s)
            if stream.failure is not None and stream.failure.kind is Kind.LIMIT:
                self._stuck = True
        self._stream().rehearse(after_s)

    def _take(self, placed: Placed, after_s: float | None) -> Stream:
        """Adds an event to the stream that it belongs to: the current one, or the next."""
        stream = self._stream()
        if not stream.takes(placed.event):
            stream.rehearse(after_s)
            self._close(stream, placed.begin)
            stream = self._open(placed.begin)
        stream.take(placed)
        return stream

    def end(self, finished: Finished) -> list[Diagnosis]:
        """The body ended so; what became of each stream in it."""
        ended_s = self._watch.ended(finished.at_s)
        if self._frames is None and self._document is None and (self._refused or _says_something(self._begun)):
            self._choose(self._begun)
        timing, head = self._watch.read(), self._head
        if self._document is not None:
            self._found.append(judge_document(bytes(self._document), head, finished, timing))
            return self._found
        pending = b""
        if self._frames is not None:
            pending = self._frames.pending
            for placed in self._frames.end():
                self._take(placed, None)
        end = End(finished, self.received_bytes, pending, head, timing, ended_s)
        self._found.append(judge(self._stream(), end))
        return self._found

    def _choose(self, begun: bytes) -> None:
        """Which framing it has; or that it is a document, or the body of an error."""
        head = self._head
        kind = head.headers.get("content-type", "").lower() if head is not None else ""
        dialect = None if self._refused else dialect_of(kind, begun, BLANK_BYTES_MAX)
        if dialect is None:
            self._document = bytearray()
        else:
            self._frames = SseFrames() if dialect.name == "sse" else BedrockFrames()

    @property
    def _refused(self) -> bool:
        return self._head is not None and not 200 <= self._head.status < 300

    def _stream(self) -> Stream:
        return self._current or self._open(0)

    def _open(self, begin: int) -> Stream:
        head, asked = self._head, self._asked
        # Of streams that are only counted nobody asks what midstream would have done.
        told = len(self._found) < STREAMS_MAX
        rehearsal = Rehearsal(head, asked.body if asked is not None else b"") if told else None
        request_id = request_id_of(head.headers) if head is not None else None
        wire = self._frames.name if self._frames is not None else "sse"
        self._current = Stream(wire, begin, rehearsal, request_id)
        return self._current

    def _close(self, stream: Stream, at: int) -> None:
        """Another stream begins here."""
        finished = Finished(How.UNKNOWN, "another stream begins behind it")
        found = judge(stream, End(finished, at, b"", self._head, None, None))
        if len(self._found) < STREAMS_MAX:
            self._found.append(found)
        else:
            self.more_streams += 1
            self.more_ill += not found.healthy


def _says_something(begun: bytes) -> bool:
    """Whether there is more than a byte order mark and white space."""
    return not _BOM.startswith(begun) and bool(begun.removeprefix(_BOM).strip(_BLANK))
