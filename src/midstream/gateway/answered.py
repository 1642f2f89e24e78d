"""What an upstream has answered to one attempt, as far as it came.

Rule: undoes the content encoding, and keeps the beginning of an error's body for the client; decides nothing.
"""

from midstream.gateway.http.decoding import Decoder, decoder_for
from midstream.gateway.http.heads import Headers, without_hop_by_hop

BODY_BYTES_MAX = 1 << 20
"""Of an error's body: as the policy's own limit."""


class Answered:
    """Status, headers, and what was kept of the body."""

    __slots__ = ("_decoder", "body", "headers", "is_plain", "status")

    def __init__(self, status: int = 0, headers: Headers | None = None, body: bytes = b"") -> None:
        """Raises `DecodingError` for an encoding that nobody asked for."""
        self.status = status
        """0 before the headers."""
        self.headers: Headers = without_hop_by_hop(headers or [])
        """Those that are not this hop's own, and true of what `more` gives."""
        self.body = body
        """Of an error: its beginning, encoding undone."""
        self._decoder: Decoder | None = decoder_for(self.headers)
        self.is_plain = self._decoder is None and status < 300
        """Whether `more` would give what it is given, and keep nothing: known so that not every chunk must ask."""
        if self._decoder is not None:
            self.headers = [pair for pair in self.headers if pair[0] != b"content-encoding"]

    @property
    def refuses(self) -> bool:
        """Whether this is no stream."""
        return self.status >= 300

    def plain_headers(self) -> dict[str, str]:
        """For the engine."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}

    def without_headers(self) -> "Answered":
        """The same, where nobody wants the headers any more, and the body may go on for hours."""
        if self.is_plain:
            return _PLAIN
        self.headers = []
        return self

    def more(self, data: bytes) -> bytes:
        """A chunk, with its encoding undone. Raises `DecodingError`."""
        if self._decoder is not None:
            data = self._decoder.feed(data)
        if self.status >= 300 and len(self.body) < BODY_BYTES_MAX:
            self.body += data[: BODY_BYTES_MAX - len(self.body)]
        return data

    def rest(self) -> bytes:
        """What the end of the body brings out. Raises `DecodingError`."""
        return self._decoder.end() if self._decoder is not None else b""


_PLAIN = Answered(200)
"""For all streams that come as they are: of each there is no more to know than that."""
