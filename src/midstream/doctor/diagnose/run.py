"""The facts of a recording become diagnoses: one for each stream in it.

Rule: reads once, from the first byte to the last, and keeps of each stream only its diagnosis.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from midstream.doctor.diagnose.body import Body
from midstream.doctor.diagnose.diagnosis import Diagnosis
from midstream.doctor.diagnose.timing import Stopwatch
from midstream.doctor.recording.facts import Answered, Arrived, Asked, Fact, Finished, How
from midstream.doctor.recording.reading import read

DIAGNOSES_MAX = 100
"""More streams in one file are counted, and not told one by one: nobody reads them."""
REMARKS_MAX = 20
BODY_BYTES_MAX = 4 << 30
"""Of all bodies together: where reading ends, so that a bomb of a compressed file ends some time."""


@dataclass(slots=True)
class Examined:
    """Everything that was found out about a file."""

    diagnoses: list[Diagnosis] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    asked: Asked | None = field(default=None, repr=False)
    """The first request in it."""
    more: int = 0
    """Streams beyond those that are told."""
    more_ill: int = 0
    """How many of those are not healthy."""
    bytes: int = 0
    """Of all bodies."""


def examine(file: BinaryIO, *, at: int | None = None) -> Examined:
    """Everything that can be found out about this file; ``at``: as if its first body had ended after so many bytes."""
    return diagnose(read(file), at=at)


def diagnose(facts: Iterable[Fact], *, at: int | None = None) -> Examined:
    """The same, of facts."""
    run = _Run(at)
    for fact in facts:
        if not run.take(fact):
            break
    return run.conclude()


class _Run:
    def __init__(self, at: int | None) -> None:
        self._examined = Examined()
        self._asked: Asked | None = None
        self._head: Answered | None = None
        self._watch = Stopwatch(None)
        self._body: Body | None = None
        self._left = at

    def take(self, fact: Fact) -> bool:
        """Adds one fact; whether there may be more."""
        match fact:
            case Asked():
                self._finish(Finished(How.UNKNOWN))
                self._asked, self._head = fact, None
                self._examined.asked = self._examined.asked or fact
                self._watch = Stopwatch(fact.at_s)
            case Answered():
                if self._body is not None:
                    self._finish(Finished(How.UNKNOWN))
                self._head = fact
                self._watch.head(fact.at_s)
            case Arrived():
                return self._arrived(fact)
            case Finished():
                self._finish(fact, said=True)
            case _:
                self._examined.remarks += [fact.text] if len(self._examined.remarks) < REMARKS_MAX else []
        return True

    def _arrived(self, fact: Arrived) -> bool:
        data = fact.data if self._left is None else fact.data[: self._left]
        if self._body is None:
            self._body = Body(self._asked, self._head, self._watch)
        self._body.feed(data, fact.at_s)
        self._examined.bytes += len(data)
        if self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                self._finish(Finished(How.UNKNOWN))
                return False
        if self._examined.bytes > BODY_BYTES_MAX:
            self._examined.remarks.append(f"reading stopped after {BODY_BYTES_MAX >> 30} GiB of body")
            self._finish(Finished(How.STOPPED))
            return False
        return True

    def _finish(self, finished: Finished, *, said: bool = False) -> None:
        """The exchange is over, if there was one."""
        body, self._body = self._body, None
        if body is None:
            if self._head is None and not said:
                return
            body = Body(self._asked, self._head, self._watch)
        self._add(body.end(finished))
        self._examined.more += body.more_streams
        self._examined.more_ill += body.more_ill
        self._head, self._asked, self._watch = None, None, Stopwatch(None)

    def _add(self, found: list[Diagnosis]) -> None:
        examined = self._examined
        room = max(0, DIAGNOSES_MAX - len(examined.diagnoses))
        examined.diagnoses += found[:room]
        rest = found[room:]
        examined.more += len(rest)
        examined.more_ill += sum(not one.healthy for one in rest)

    def conclude(self) -> Examined:
        """There is no more."""
        self._finish(Finished(How.UNKNOWN))
        if not self._examined.diagnoses:
            self._add(Body(None, None, Stopwatch(None)).end(Finished(How.UNKNOWN)))
        return self._examined
