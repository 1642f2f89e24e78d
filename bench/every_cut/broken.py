"""The upstream that stays broken: every stream ends, within the limits, and says honestly how.

Rule: whatever is handed on is a beginning of the truth; how far it comes is the fault's business, not this check's.
"""

from collections.abc import Iterator

from bench.every_cut import judge, oracle
from bench.every_cut.captures import Capture
from bench.every_cut.cells import HEADERS, MODES, Cell, Player, Run
from bench.every_cut.inputs import FAULTS, OVERLOADED, inputs
from bench.every_cut.reader import Illegal, Reader
from bench.every_cut.upstream import Lost
from midstream.recovery.failure import Kind
from midstream.recovery.policy import Policy
from midstream.recovery.steps import Broke, Done, Elapsed, Ended, Open, Opened, Received, Sleep

WAYS = ("again", "down", "overloaded")
"""What later attempts meet: the same fault after the same byte; no connection; a 529."""

_AFTER = {"down": {Kind.UNREACHABLE}, "overloaded": {Kind.OVERLOADED}}
_THOUGHTS = ("thinking", "redacted_thinking")


PLACES_MAX = 25
"""For each capture, evenly spread: each run is many attempts, and every byte has its turn in the other sweep."""


def places(capture: Capture) -> list[int]:
    """Ends of frames, and their middles."""
    found, at = [0], 0
    for frame in capture.frames:
        found += [at + len(frame) // 2, at + len(frame)]
        at += len(frame)
    step = max(1, -(-len(found) // PLACES_MAX))
    return found[::step]


class Breaker:
    """Plays the cells of one capture."""

    def __init__(self, capture: Capture) -> None:
        self._player = Player(capture)
        self._capture = capture

    def cells(self, at_places: list[int]) -> Iterator[tuple[Cell, judge.Outcome]]:
        """All cells at these places; the way stands where the upstream would."""
        for at in at_places:
            for fault in FAULTS[self._capture.wire]:
                for mode in MODES:
                    for way in WAYS:
                        yield Cell(at, fault, mode, way), self._cell(at, fault, mode, way)

    def _cell(self, at: int, fault: str, mode: str, way: str) -> judge.Outcome:
        run = self._player.begun(mode)
        consumer = Reader(self._capture.wire)
        try:
            self._attempt(run, self._capture.frames, at, fault)
            self._later(run, at, fault, mode, way)
            consumer.feed(b"".join(run.out))
        except (Illegal, Lost, KeyError, TypeError) as error:
            return judge.Outcome("failed", f"{error!r}")
        problem = self._wrong(run, consumer, way)
        return judge.Outcome(_end(run), problem or judge.wrong_snapshot(run.engine, consumer))

    def _attempt(self, run: Run, frames: list[bytes], at: int, fault: str) -> None:
        before = 0
        for frame in [*frames, b""]:
            if not run.reading:
                return
            if before + len(frame) > at or not frame:
                run.receive_all(inputs(frame, min(at - before, len(frame)), fault))
                return
            run.receive(Received(frame))
            before += len(frame)

    def _later(self, run: Run, at: int, fault: str, mode: str, way: str) -> None:
        while not isinstance(wait := run.step.wait, Done):
            if isinstance(wait, Sleep):
                run.now = wait.deadline
                run.receive(Elapsed())
                continue
            assert isinstance(wait, Open)
            if way == "down":
                run.receive(Broke("connect"))
            elif way == "overloaded":
                run.receive(Opened(529, {"content-type": "application/json"}))
                run.receive_all([Received(OVERLOADED), Ended()])
            else:
                answer = self._player.upstream.answer(mode, "obedient", wait.body)
                run.receive(Opened(200, HEADERS[self._capture.wire]))
                self._attempt(run, answer, at, fault)

    def _wrong(self, run: Run, consumer: Reader, way: str) -> str | None:
        history, failure = run.engine.history, run.engine.failure
        truth = self._capture.truth
        if len(history.attempts) > Policy().attempts_total:
            return f"{len(history.attempts)} attempts"
        if problem := _no_beginning(truth.blocks, consumer):
            return problem
        if failure is None:
            if not consumer.stopped:
                return "it ended without message_stop, and without an error"
            if history.settled:
                return None if consumer.stop_reason == "tool_use" else f"settled with {consumer.stop_reason}"
            same = _text(truth.blocks) == _text(consumer.blocks) and truth.stop_reason == consumer.stop_reason
            return None if same else "it ended well with another message"
        if consumer.stopped:
            return "it failed after message_stop"
        if way in _AFTER and len(history.attempts) > 1 and failure.kind not in _AFTER[way]:
            return f"the last failure was {failure.kind}"
        return None


def _end(run: Run) -> str:
    if run.engine.failure is not None:
        return "failed"
    return oracle.SETTLED if run.engine.history.settled else oracle.COMPLETE


def _text(blocks: list[judge.Fields]) -> str:
    return "".join(str(block.get("text") or "") for block in blocks if block["type"] == "text")


def _no_beginning(truth: list[judge.Fields], consumer: Reader) -> str | None:
    if not _text(truth).startswith(_text(consumer.blocks)):
        return "the text that was shown is no beginning of the truth"
    wanted = [block for block in truth if block["type"] not in ("text", *_THOUGHTS)]
    got = [block for block in consumer.blocks if block["type"] not in ("text", *_THOUGHTS)]
    return None if got == wanted[: len(got)] else "the blocks that were shown are no beginning of the truth"
