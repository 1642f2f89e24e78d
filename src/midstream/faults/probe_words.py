"""The protocol of a probe: what the prober asks of the far end, and what the far end tells afterwards.

Rule: words and bounds, no I/O. The far end stands on the internet: whatever is asked stays under each bound.

docs/reference/probe-protocol.md is the same for people.
"""

from typing import Annotated, Literal

import msgspec

VERSION = 1

# One question is some hundred bytes; what follows it is blank, and only counted.
ASK_BYTES_MAX = 16 << 10

# The API takes 32 MB; the largest question that is worth asking is a little less.
REQUEST_BYTES_MAX = 33 << 20

# The longest header that is asked about is 70 kB.
HEAD_BYTES_MAX = 128 << 10

# More than the largest buffer of a proxy, by far; and all that one question can make the far end send.
REPLY_BYTES_MAX = 4 << 20

# No limit that a stream meets is longer but those of a few functions: an hour is the longest --up-to.
DURATION_S_MAX = 3700.0

# One a second for the longest stream, and then some.
MARKS_MAX = 8_000

STEPS_MAX = 16

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=DURATION_S_MAX)]
_Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16,64}$")]

End = Literal["clean", "fin", "rst"]
"""The framing says complete; a FIN inside the framing; a reset."""


class Send(msgspec.Struct, tag_field="step", tag="send", frozen=True, forbid_unknown_fields=True):
    """Events, each ``every_s`` after the one before."""

    times: Annotated[int, msgspec.Meta(ge=1, le=MARKS_MAX)] = 1
    every_s: _Seconds = 0.0
    bytes: Annotated[int, msgspec.Meta(ge=60, le=1 << 20)] = 100


class Rest(msgspec.Struct, tag_field="step", tag="rest", frozen=True, forbid_unknown_fields=True):
    """No event for so long; a comment each ``ping_s``, if that is not 0."""

    seconds: _Seconds
    ping_s: _Seconds = 0.0


Step = Send | Rest


class Ask(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One question: the whole body of a POST, to any path. Blanks may follow it."""

    midstream_probe: int
    do: Literal["hello", "play", "tell"]
    token: str = ""
    stream: _Id | None = None
    """What the prober calls this stream; to be told of it later."""
    before_s: _Seconds = 0.0
    """Silence before the headers."""
    steps: Annotated[tuple[Step, ...], msgspec.Meta(max_length=STEPS_MAX)] = ()
    end: End = "clean"
    hints: bool = False
    """Whether the reply asks proxies not to buffer and not to transform."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """One piece that left."""

    at_s: float
    """Since the whole question had been read."""
    end_bytes: int
    """The size of the body up to the end of this piece."""
    kind: Literal["event", "ping"]


class Told(msgspec.Struct, frozen=True):
    """What the far end knows of one stream."""

    stream: str
    http: str
    """The version in which the question came: ``HTTP/1.0`` has no framing that could break."""
    framing: Literal["chunked", "close"]
    request_header_names: tuple[str, ...]
    via: str
    accept_encoding: str
    now_s: float
    headers_at_s: float | None
    marks: tuple[Mark, ...]
    ended: Literal["playing", "clean", "fin", "rst", "left"]
    """``left``: the client was gone before the end."""
    ended_at_s: float | None
    left_at_s: float | None
    """When the far end noticed that the client had gone, if it did before the end."""


class Hello(msgspec.Struct, frozen=True):
    """The answer to ``hello``."""

    midstream_probe: int
    version: str
    http: str
    request_bytes: int
    """The size of the body that arrived, blanks included."""
    head_bytes: int
    request_header_names: tuple[str, ...]
    via: str
    accept_encoding: str


class Refused(Exception):
    """A question that is not answered: the status, and one sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def read_ask(raw: bytes) -> Ask:
    """The question in a body. Raises `Refused`."""
    try:
        ask = msgspec.json.decode(raw.strip(), type=Ask)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise Refused(400, f"this is the far end of a probe, and that is no question: {problem}") from None
    if ask.midstream_probe != VERSION:
        raise Refused(400, f"this far end speaks version {VERSION} of the protocol, not {ask.midstream_probe}")
    if ask.do != "hello" and ask.stream is None:
        raise Refused(400, f"to {ask.do}, the stream needs a name")
    within_bounds(ask)
    return ask


def within_bounds(ask: Ask) -> None:
    """Raises `Refused` where the steps together are too much."""
    sends = [step for step in ask.steps if isinstance(step, Send)]
    rests = [step for step in ask.steps if isinstance(step, Rest)]
    pings = sum(int(rest.seconds / rest.ping_s) for rest in rests if rest.ping_s)
    lasts_s = ask.before_s + sum(send.times * send.every_s for send in sends) + sum(rest.seconds for rest in rests)
    for what, asked, most in (
        ("bytes", sum(send.times * send.bytes for send in sends), REPLY_BYTES_MAX),
        ("pieces", sum(send.times for send in sends) + pings, MARKS_MAX),
        ("seconds", lasts_s, DURATION_S_MAX),
    ):
        if asked > most:
            raise Refused(400, f"{asked:,g} {what} were asked for, and {most:,g} are the most")


def event(number: int, at_s: float, size_bytes: int) -> bytes:
    """One event of exactly this size, or of what its numbers need."""
    head = b'event: probe\ndata: {"number":%d,"at_s":%.6f,"pad":"' % (number, at_s)
    tail = b'"}\n\n'
    # Digits that no compressor finds a pattern in for long, so that a compressed stream is as long as a real one.
    pad = "".join(format(number * 2654435761 + place * 40503, "x") for place in range(1 + size_bytes // 6))
    return head + pad[: max(0, size_bytes - len(head) - len(tail))].encode() + tail


PING = b": ping\n\n"
