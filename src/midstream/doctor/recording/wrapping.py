"""Takes a body out of what wraps it, and judges by its framing how it ended.

Rule: what comes out is the body as a client reads it; bytes are counted in that.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from midstream.doctor.recording import coding
from midstream.doctor.recording.coding import Unchunk, Undoing
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Fact, Finished, How, Remark

BEGUN_BYTES = 16
"""Enough to tell a wrapping by: the head of a chunk, the magic number of an encoding."""


def unwrapped(facts: Iterable[Fact]) -> Iterator[Fact]:
    """The same facts, with bodies as a client reads them."""
    body = _Body(None)
    for fact in facts:
        match fact:
            case Asked() | Answered():
                yield from body.rest()
                body = _Body(fact if isinstance(fact, Answered) else None)
                yield fact
            case Arrived():
                yield from body.feed(fact)
            case Finished():
                yield from body.rest()
                yield body.finish(fact)
                body = _Body(None)
            case _:
                yield fact
    yield from body.rest()


class _Body:
    """One body."""

    def __init__(self, head: Answered | None) -> None:
        self._head = head
        self._begun: bytes | None = b""
        self._at_s: float | None = None
        self._layers: list[Undoing] = []
        self._problem = ""
        self._wire_bytes = 0

    def feed(self, fact: Arrived) -> Iterator[Fact]:
        self._wire_bytes += len(fact.data)
        self._at_s = fact.at_s
        if self._begun is not None:
            self._begun += fact.data
            if len(self._begun) < BEGUN_BYTES:
                return
            yield from self._begin()
        else:
            yield from self._through(fact.data)

    def rest(self) -> Iterator[Fact]:
        """What was still waited for."""
        if self._begun:
            yield from self._begin()
        self._begun = None

    def finish(self, said: Finished) -> Finished:
        """How it ended: what the recording says, and what its framing says where the recording says nothing."""
        if self._problem:
            return replace(said, how=How.DAMAGED, detail=self._problem)
        for layer in self._layers:
            if isinstance(layer, Unchunk) and (layer.problem or said.how in (How.UNKNOWN, How.CLEAN)):
                how = How.BROKEN if layer.problem else How.CLEAN if layer.done else How.INCOMPLETE
                return replace(said, how=how, detail=said.detail or layer.problem)
            if not isinstance(layer, Unchunk) and not layer.done and said.how in (How.UNKNOWN, How.CLEAN, How.CLOSED):
                said = replace(said, detail=layer.problem or "the compressed body ends short")
                return replace(said, how=How.BROKEN) if layer.problem else said
        headers = self._head.headers if self._head is not None else {}
        length = headers.get("content-length", "")
        if said.how is How.UNKNOWN and length.isdigit() and "content-encoding" not in headers and len(length) < 16:
            missing = int(length) - self._wire_bytes
            detail = f"{missing:,} of the {int(length):,} bytes of its content-length are missing"
            return replace(said, how=How.CLEAN) if missing <= 0 else replace(said, how=How.INCOMPLETE, detail=detail)
        if said.how is How.CLEAN and self.unframed:
            return replace(said, how=How.CLOSED)
        return said

    @property
    def unframed(self) -> bool:
        """Whether nothing but the end of the connection ends it."""
        head = self._head
        return (
            head is not None
            and head.version.startswith("HTTP/1")
            and not {"content-length", "transfer-encoding"} & head.headers.keys()
        )

    def _begin(self) -> Iterator[Fact]:
        data, self._begun = self._begun or b"", None
        encoding = self._head.headers.get("content-encoding", "") if self._head is not None else ""
        if coding.looks_chunked(data):
            self._layers.append(Unchunk())
            yield Remark("the chunks of HTTP/1.1 were taken out; bytes are counted without them")
            data = self._layers[0].feed(data)
        name = coding.looks_encoded(data, encoding)
        if name is None and self._layers and len(data) < 2 and encoding in coding.KNOWN:
            name = encoding  # the first chunk is too short to say, and who leaves the chunks leaves the encoding too
        if name is not None:
            layer = coding.undoing_of(name, data)
            if layer is None:
                self._problem = f"the body is compressed ({name}), and the Python here cannot undo that"
                return
            self._layers.append(layer)
            yield Remark(f"the content encoding ({name}) was undone; bytes are counted without it")
            yield from self._inner(len(self._layers) - 1, data)
        elif data:
            yield Arrived(data, self._at_s)

    def _through(self, data: bytes) -> Iterator[Fact]:
        if not self._layers and not self._problem:
            yield Arrived(data, self._at_s)
        elif not self._problem:
            yield from self._inner(0, data)

    def _inner(self, number: int, data: bytes) -> Iterator[Fact]:
        """Through the layers from this one on, piece by piece."""
        if number == len(self._layers):
            yield Arrived(data, self._at_s)
            return
        layer = self._layers[number]
        out = layer.feed(data)
        while out:
            yield from self._inner(number + 1, out)
            out = layer.feed(b"")
