"""Plays one capture: every place, every fault, every kind of model and upstream.

Rule: each cell runs on the engine itself. Cells that come to equal states share one future, as the engine is a pure
function of its state; nothing else is ever skipped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bench.every_cut import judge, oracle, state
from bench.every_cut.captures import Capture
from bench.every_cut.inputs import FAULTS, inputs
from bench.every_cut.reader import Reader, event_of
from bench.every_cut.upstream import Lost, Upstream
from midstream.recovery.engine import Engine, Surroundings
from midstream.recovery.policy import Policy
from midstream.recovery.request import Request
from midstream.recovery.steps import Done, Elapsed, Ended, Input, Open, Opened, Read, Received, Sleep, Step

MODES = ("prefix", "turn")
UPSTREAMS = ("obedient", "exact")
HEADERS = {
    "sse": {"content-type": "text/event-stream; charset=utf-8", "request-id": "req_cut"},
    "bedrock": {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "req-cut"},
}
ATTEMPTS_MAX = 20
"""More than the policy allows."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run."""

    at: int
    fault: str
    mode: str
    upstream: str


@dataclass
class Run:
    """An engine, and the bytes that its consumer has."""

    engine: Engine
    step: Step
    now: float = 0.0
    out: list[bytes] = field(default_factory=list)

    def receive(self, input: Input) -> None:
        """One fact."""
        self.step = self.engine.receive(input, self.now)
        self.out += [event.raw for event in self.step.events]

    def receive_all(self, inputs: Iterable[Input]) -> None:
        """Facts, for as long as the engine waits for any."""
        for input in inputs:
            if not isinstance(wait := self.step.wait, Read):
                break
            if isinstance(input, Elapsed):
                self.now = wait.deadline
            self.receive(input)

    @property
    def reading(self) -> bool:
        return isinstance(self.step.wait, Read)


@dataclass
class Track:
    """The unbroken stream up to the end of some frame, for one model."""

    run: Run
    consumer: Reader
    """What the consumer has of it."""

    def receive(self, frame: bytes) -> None:
        """One more whole frame."""
        if self.run.reading:
            self.run.receive(Received(frame))
            self.consumer.feed(b"".join(self.run.out))
            self.run.out.clear()


class Player:
    """Plays the cells of one capture."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.futures = 0
        """How many continuations were really played; the others begin at a state equal to one of theirs."""
        self.upstream = Upstream(capture)
        self.truth = oracle.Seen()
        for event in capture.events:
            self.truth.take(event)
        self._ends = [0]
        for frame in capture.frames:
            self._ends.append(self._ends[-1] + len(frame))

    def cells(self, places: list[int]) -> Iterator[tuple[Cell, judge.Outcome]]:
        """All cells at these places, which are in order."""
        tracks = {mode: Track(self.begun(mode), Reader(self.capture.wire)) for mode in MODES}
        seen, content, at = oracle.Seen(), Reader(self.capture.wire), 0
        for number, begin in enumerate(self._ends):
            last = number == len(self.capture.frames)
            here = []
            while at < len(places) and (last or places[at] < self._ends[number + 1]):
                here.append(places[at] - begin)
                at += 1
            if here:
                yield from _Spot(self, number, begin, seen, content, tracks).cells(here)
            if not last:
                _take(self.capture.events[number], seen, content)
                for track in tracks.values():
                    track.receive(self.capture.frames[number])

    def begun(self, mode: str) -> Run:
        """A stream whose response has begun."""
        request = Request(self.upstream.requests[mode])
        engine = Engine(request, Policy(), Surroundings(jitter=lambda: 0.5))
        run = Run(engine, engine.start(0.0))
        run.receive(Opened(200, HEADERS[self.capture.wire]))
        return run


def _take(event: dict[str, object] | None, seen: oracle.Seen, content: Reader) -> None:
    if event is not None and not content.stopped:
        seen.take(event)
        content.take(event)


class _Spot:
    """The cells inside one frame: they all begin at its beginning."""

    def __init__(
        self, player: Player, number: int, begin: int, seen: oracle.Seen, content: Reader, tracks: dict[str, Track]
    ) -> None:
        self._player = player
        self._number = number
        self._begin = begin
        self._before = (seen, content)
        self._after: tuple[oracle.Seen, Reader] | None = None
        self._tracks = tracks
        self._wire = player.capture.wire
        self._frame = player.capture.frames[number] if number < len(player.capture.frames) else b""
        self._copies = {mode: state.frozen(track.run.engine) for mode, track in tracks.items() if track.run.reading}
        self._known: dict[object, judge.Outcome] = {}
        self._cases: dict[object, judge.Case] = {}

    def cells(self, offsets: list[int]) -> Iterator[tuple[Cell, judge.Outcome]]:
        for offset in offsets:
            for mode in MODES:
                for fault in FAULTS[self._wire]:
                    for upstream, outcome in self._cell(offset, mode, fault):
                        yield Cell(self._begin + offset, fault, mode, upstream), outcome

    def _cell(self, offset: int, mode: str, fault: str) -> Iterator[tuple[str, judge.Outcome]]:
        case = self._case(offset, mode, fault)
        if mode not in self._copies:
            outcome = judge.finished(case, self._tracks[mode].run.engine, self._tracks[mode].consumer)
            yield from ((upstream, outcome) for upstream in UPSTREAMS)
            return
        run = Run(state.thawed(self._share(mode)), self._tracks[mode].run.step)
        run.receive_all(inputs(self._frame, offset, fault))
        if isinstance(run.step.wait, Sleep):
            run.now = run.step.wait.deadline
            run.receive(Elapsed())
        print_ = state.fingerprint(run.engine)
        copy: bytes | None = None
        for upstream in UPSTREAMS:
            key = (case, upstream, print_, *run.out)  # what is expected belongs to it, too: the engine may be wrong
            if key not in self._known:
                copy = copy or state.frozen(run.engine)
                self._known[key] = self._future(case, copy, run, mode, upstream)
            yield upstream, self._known[key]

    def _share(self, mode: str) -> bytes:
        state.share(self._tracks[mode].run.engine)
        return self._copies[mode]

    def _case(self, offset: int, mode: str, fault: str) -> judge.Case:
        """What is to be expected: a frame whose data are whole did arrive, if the input has an end."""
        partial = self._frame[:offset]
        ended = fault in ("clean", "fin", "rst")
        if self._wire == "sse":
            whole = partial if ended or partial.endswith(b"\r\n\r") else b""
        else:
            whole = self._frame if self._is_made_whole(offset, fault) else b""
        seen, content, arrived = *self._before, False
        if whole and (event := event_of(whole, self._wire)) is not None:
            if self._after is None:
                self._after = (seen.fork(), content.fork())
                _take(event, *self._after)
            seen, content, arrived = *self._after, True
        in_frame = bool(partial) or (fault == "half-frame" and bool(self._frame))
        key = (mode, fault, in_frame, arrived)
        if key not in self._cases:
            request = self._player.upstream.requests[mode]
            self._cases[key] = judge.Case(
                self._player.capture, request, seen, content, self._player.truth, fault, in_frame
            )
        return self._cases[key]

    def _is_made_whole(self, offset: int, fault: str) -> bool:
        """Whether what the fault sends begins as the frame would have ended: a last byte of zero, and an exception."""
        sent = b"".join(input.data for input in inputs(self._frame, offset, fault) if isinstance(input, Received))
        return offset < len(self._frame) and sent.startswith(self._frame)

    def _future(self, case: judge.Case, copy: bytes, begun: Run, mode: str, upstream: str) -> judge.Outcome:
        """Plays on until the stream is over, against an upstream that has recovered."""
        consumer = self._tracks[mode].consumer.fork()
        run = Run(state.thawed(copy), begun.step, begun.now)
        if problem := judge.misjudged(case, consumer, b"".join(begun.out)):
            return judge.Outcome(case.expected, problem)
        self._player.futures += not isinstance(run.step.wait, Done)
        try:
            self._play(run, mode, upstream)
        except Lost as lost:
            return judge.Outcome(case.expected, str(lost))
        return judge.ended(case, run.engine, consumer, b"".join(run.out))

    def _play(self, run: Run, mode: str, upstream: str) -> None:
        count = 0
        while not isinstance(run.step.wait, Done):
            wait = run.step.wait
            if isinstance(wait, Sleep):
                run.now = wait.deadline
                run.receive(Elapsed())
                continue
            assert isinstance(wait, Open)
            count += 1
            frames = self._player.upstream.answer(mode, upstream, wait.body)
            run.receive(Opened(200, HEADERS[self._wire]))
            # Every other frame's cells get the answer in one chunk.
            for chunk in frames if self._number % 2 else [b"".join(frames)]:
                if run.reading:
                    run.receive(Received(chunk))
            if run.reading:
                run.receive(Ended())
            if count > ATTEMPTS_MAX:
                raise Lost("more attempts than the policy allows")
