"""What the prober asks, one question for each thing that it wants to know.

Rule: pure. A question is data; who asks it, how often and beside which others is the run's business.
"""

from dataclasses import dataclass, replace

from midstream.doctor.probe.heard import Protocol
from midstream.faults.probe_words import Ask, Rest, Send, Step

# What may be added on the way: connecting, a slow proxy, the second that Envoy takes to close.
MARGIN_S = 12.0

# Both ends of what a person feels as typing, and slower than any machine that is merely busy.
BEATS, BEAT_S = 20, 0.05

# More than two buffers of 4 kB, and than one of 8 kB: where buffers are handed on when they are full, its tail waits.
LARGE_EVENT_BYTES = 9_000
TAIL_REST_S = 2.0

# Often enough to see a limit that only what is written notices, and no more events than a far end remembers.
FLOW_S, FLOW_EVENTS_MAX = 0.2, 1_500
PING_S = 1.0

LEAVE_AT_S = 0.6
LEAVE_REST_S = 2.4
LEAVE_BEATS = 8

# What proxies are known to stop at, and the 32 MB of the API itself.
BODY_BYTES = (1_100_000, 11_000_000, 31_000_000)
HEAD_BYTES = (4_000, 9_000, 20_000, 40_000, 70_000)


@dataclass(frozen=True, slots=True)
class Question:
    """One question."""

    name: str
    steps: tuple[Step, ...] = ()
    before_s: float = 0.0
    end: str = "clean"
    hints: bool = False
    gzip: bool = False
    protocol: Protocol = "http/1.1"
    leave_at_s: float | None = None
    pad_body_bytes: int = 0
    pad_head_bytes: int = 0

    @property
    def lasts_s(self) -> float:
        """How long the far end plays."""
        sends = sum(step.times * step.every_s for step in self.steps if isinstance(step, Send))
        return self.before_s + sends + sum(step.seconds for step in self.steps if isinstance(step, Rest))

    def ask(self, stream: str, token: str) -> Ask:
        """The same in the words of the protocol."""
        if not self.steps:
            return Ask(1, "hello", token=token)
        return Ask(
            1,
            "play",
            token=token,
            stream=stream,
            before_s=self.before_s,
            steps=self.steps,
            end=self.end,  # type: ignore[arg-type]
            hints=self.hints,
        )

    def over(self, protocol: Protocol) -> "Question":
        """The same in another version of HTTP."""
        return replace(self, protocol=protocol)


_BEATS = (Send(BEATS, BEAT_S, 100),)
_FEW = (Send(5, 0.1, 100), Rest(0.3))

DELIVERY = Question("delivery", _BEATS)
DELIVERY_PACKED = Question("delivery, compressed", _BEATS, gzip=True)
DELIVERY_HINTED = Question("delivery, with hints", _BEATS, hints=True)
TAIL = Question("tail", (Send(1, 0, LARGE_EVENT_BYTES), Rest(TAIL_REST_S), Send()))
CUT_FIN = Question("cut by FIN", _FEW, end="fin")
CUT_RST = Question("cut by RST", _FEW, end="rst")
LEAVE = Question("leaving", (Send(3, 0.1), Rest(LEAVE_REST_S), Send(LEAVE_BEATS, 0.5)), leave_at_s=LEAVE_AT_S)


def silence(seconds: float) -> Question:
    """A stream that begins, is silent for so long, and ends."""
    # One event before it: a proxy's timer may be lazy, and count from the first of several.
    return Question(f"silence of {seconds:g} s", (Send(), Rest(seconds), Send()))


def pings(seconds: float) -> Question:
    """The same with a comment each second."""
    return Question("pings", (Send(), Rest(seconds, PING_S), Send()))


def flow(seconds: float) -> Question:
    """A stream that is never silent."""
    every_s = max(FLOW_S, seconds / FLOW_EVENTS_MAX)
    return Question("flow", (Send(max(2, round(seconds / every_s)), every_s),))


def before(seconds: float) -> Question:
    """Silence before the headers."""
    return Question("silence before the headers", (Send(),), before_s=seconds)


def body(size_bytes: int) -> Question:
    """A question of this size."""
    return Question(f"body of {size_bytes:,} bytes", pad_body_bytes=size_bytes)


def head(size_bytes: int) -> Question:
    """A question with a header of this size."""
    return Question(f"header of {size_bytes:,} bytes", pad_head_bytes=size_bytes)
