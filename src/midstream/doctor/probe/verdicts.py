"""From what was seen to what is wrong with a path, each with its evidence and what to change.

Rule: pure, and slow to judge: a path is called ill only for what was seen each time, and never for what was not asked.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from midstream.doctor.probe import delivery, families, limits
from midstream.doctor.probe.compare import Seen
from midstream.doctor.probe.delivery import Delivered
from midstream.doctor.probe.families import Clues, Fit
from midstream.doctor.probe.heard import CUT_ENDS, SILENT_ENDS
from midstream.doctor.probe.limits import Limit, Limits
from midstream.doctor.probe.observations import Observations
from midstream.doctor.probe.questions import BEAT_S, LARGE_EVENT_BYTES, LEAVE_AT_S
from midstream.doctor.probe.rules import Symptom, rules_for
from midstream.doctor.probe.words import finding
from midstream.doctor.render import Finding

# Pings come every 10 to 15 s; a limit below three of them falls to one that is late and one that is lost.
PINGS_BEAR_S = 45.0

# A client's leaving takes a round trip, and whoever polls for it does so every second at most.
AT_ONCE_S = 1.2


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that follows from the observations."""

    delivered: tuple[Delivered, ...]
    limits: Limits
    fits: tuple[Fit, ...]
    leaving: str
    """``at once``, ``when it writes``, ``never`` or ``unknown``."""
    findings: tuple[Finding, ...]


def judge(seen: Observations) -> Judged:
    """The verdicts on one path."""
    found = tuple(delivery.delivered(seen))
    bounds = limits.limits(seen)
    fits = families.fitting(clues(seen, found, bounds))
    judge_ = _Judge(seen, found, bounds, lambda symptom: rules_for(symptom, fits))
    return Judged(found, bounds, fits, leaving(seen), tuple(judge_.findings()))


def clues(seen: Observations, found: tuple[Delivered, ...], bounds: Limits) -> Clues:
    """What may tell which proxies stand on the way."""
    answers = [dict(seen.hello_headers), *(dict(each.headers) for each in seen.streams())]
    # The far end's own name is nobody's.
    named = [{name: value for name, value in each.items() if value != "midstream-faults"} for each in answers]
    arrived = {name for each in seen.streams() if each.told for name in each.told.request_header_names}
    silent = {each.protocol for each in seen.cuts if each.end in SILENT_ENDS}
    honest = {each.protocol for each in seen.cuts if each.end in CUT_ENDS}
    return Clues(
        headers={name: value for each in named for name, value in each.items()},
        asked_with=frozenset(arrived | set(seen.hello.request_header_names)),
        asked_via=seen.hello.via,
        upstream_http=seen.hello.http,
        causes=frozenset(each.cause for each in found if each.cause),
        hints_help=next((each.hints_help for each in found if each.hints_help is not None), None),
        before_status=bounds.before.status if bounds.before else None,
        silent_over=frozenset(silent - honest),
    )


def leaving(seen: Observations) -> str:
    """When the far end noticed that its client had gone."""
    each = seen.leaving
    if each is None or each.told is None or each.end != "left":
        return "unknown"
    if each.told.left_at_s is None:
        return "never" if each.told.ended == "clean" else "unknown"
    return "at once" if each.told.left_at_s - LEAVE_AT_S <= AT_ONCE_S else "when it writes"


@dataclass(frozen=True, slots=True)
class _Judge:
    seen: Observations
    found: tuple[Delivered, ...]
    bounds: Limits
    rules: Callable[[Symptom], tuple[str, ...]]

    def findings(self) -> Iterator[Finding]:
        """In the order of the life of a stream."""
        yield from self._early()
        for each in self.found:
            yield from self._late(each)
        yield from self._cuts()
        yield from self._total()
        yield from self._idle()
        yield from self._before()
        yield from self._body()
        yield from self._leaving()

    def _early(self) -> Iterator[Finding]:
        asked = [each for each in self.seen.delivery if each.status != 200]
        if asked and len(asked) == len(self.seen.delivery):
            said = f"HTTP {asked[-1].status}" if asked[-1].status else asked[-1].detail or asked[-1].end
            yield finding("PROBE-EARLY", *(f"{_where(each)}: {each.status or each.end}" for each in asked), said=said)

    def _late(self, each: Delivered) -> Iterator[Finding]:
        goes = "go" if each.batches == 1 else "goes"
        told = f"{each.events} events left {1000 * BEAT_S:.0f} ms apart and came in {each.batches} {goes}"
        told += f", the latest {each.latest_s:.2f} s late"
        match each.cause:
            case "response buffering":
                yield finding(
                    "PROBE-BUFFERED",
                    told,
                    _HINTS[each.hints_help],
                    self._asked_in_1_0(),
                    rules=self.rules("held back"),
                    protocol=each.protocol,
                )
            case "compression":
                plain = "" if each.plain_too else "without `Accept-Encoding: gzip` the same events came at once"
                rules = self.rules("compression")
                yield finding("PROBE-COMPRESSION", told, plain, rules=rules, protocol=each.protocol)
            case "packet coalescing":
                yield finding("PROBE-GATHERED", told, rules=self.rules("gathered"), protocol=each.protocol)
            case "partial buffers":
                late = f"an event of {LARGE_EVENT_BYTES:,} bytes was whole {each.latest_s:.2f} s late"
                yield finding("PROBE-TAIL", late, rules=self.rules("tail"), protocol=each.protocol)
            case None:
                pass

    def _asked_in_1_0(self) -> str:
        told = "the far end is asked in HTTP/1.0, whose replies have no framing that could break"
        return told if self.seen.hello.http == "HTTP/1.0" else ""

    def _cuts(self) -> Iterator[Finding]:
        cut = [each for each in self.seen.cuts if each.told is not None and each.status == 200]
        silent = [f"{_where(each)}: {_looks(each.end)}" for each in cut if each.end in SILENT_ENDS]
        for limit in (*self.bounds.idle, self.bounds.total):
            if limit is not None and limit.silent:
                silent.append(f"cut by a limit after {limit.seconds:.1f} s ({limit.protocol}): {_looks(limit.end)}")
        if silent:
            found = finding("PROBE-SILENT", *silent, self._asked_in_1_0(), rules=self.rules("silent"))
            yield replace(found, check=(_INSIST,))
        if hangs := [f"{_where(each)}: nothing more came, and no end" for each in cut if each.end == "waited"]:
            yield finding("PROBE-HANG", *hangs, rules=self.rules("hang"))
        lost = [each for each in cut if each.came < each.left and each.end != "waited"]
        if lost:
            told = (f"{_where(each)}: {each.came} of {each.left} events came" for each in lost)
            yield finding("PROBE-LOST", *told, rules=self.rules("lost"))

    def _total(self) -> Iterator[Finding]:
        total = self.bounds.total
        if total is None:
            return
        yield finding(
            "PROBE-TOTAL",
            f"a stream that was never silent was cut after {total.seconds:.2f} s: {_looks(total.end, total.detail)}",
            "so was one with a ping each second",
            _whose(total, "total"),
            rules=self.rules("total"),
            seconds=total.seconds,
        )

    def _idle(self) -> Iterator[Finding]:
        if (lost_s := self.bounds.lost_from_s) is not None:
            told = "what the far end sent after the silence never came, and no end either"
            yield finding("PROBE-DROPPED", told, rules=self.rules("idle"), seconds=lost_s)
        if not self.bounds.idle:
            return
        limit = min(self.bounds.idle, key=lambda each: each.seconds)
        short = limit.seconds < PINGS_BEAR_S or self.bounds.pings_help is False
        yield finding(
            "PROBE-IDLE",
            *(
                f"{each.protocol}: cut after {each.seconds:.2f} s; {_looks(each.end, each.detail)}"
                for each in self.bounds.idle
            ),
            _PINGS[self.bounds.pings_help],
            _whose(limit, "idle"),
            rules=self.rules("idle"),
            severity="warning" if short else None,
            seconds=limit.seconds,
        )

    def _before(self) -> Iterator[Finding]:
        limit, total = self.bounds.before, self.bounds.total
        if limit is None:
            return
        said = f"HTTP {limit.status}" if limit.status else _looks(limit.end, limit.detail)
        # The limit on the whole is told already.
        short = limit.seconds < PINGS_BEAR_S and not (total and limits.same(limit.seconds, total.seconds))
        yield finding(
            "PROBE-HEADERS",
            f"after {limit.seconds:.2f} s without headers: {said}",
            rules=self.rules("before"),
            severity="warning" if short else None,
            seconds=limit.seconds,
        )

    def _body(self) -> Iterator[Finding]:
        stopped = next((each for each in self.seen.bodies if not each.came), None)
        if stopped is None:
            return
        passed = max((each.size_bytes for each in self.seen.bodies if each.came), default=0)
        yield finding(
            "PROBE-BODY",
            f"{stopped.size_bytes:,} bytes: {stopped.answer}",
            f"{passed:,} bytes passed" if passed else "",
            rules=self.rules("body"),
            megabytes=stopped.size_bytes / 1e6,
        )

    def _leaving(self) -> Iterator[Finding]:
        noticed = leaving(self.seen)
        if noticed == "never":
            told = "the stream was played to its end after the client had gone"
            yield finding("PROBE-UNHEARD", told, rules=self.rules("leave"))
        elif noticed == "when it writes":
            told = f"the client left after {LEAVE_AT_S} s, which was noticed after {_noticed_s(self.seen):.1f} s"
            yield finding("PROBE-LEAVING", told, rules=self.rules("leave"))


_INSIST = "Does your client insist on `message_stop`? Only that, or an `error` event, ends a reply."
_HINTS = {
    True: "with `X-Accel-Buffering: no` from the far end they came at once",
    False: "`X-Accel-Buffering: no` from the far end changed nothing",
    None: "",
}
_PINGS = {
    True: "pings carry a stream past it",
    False: "pings did not carry a stream past it",
    None: "whether pings help was not seen",
}
_ENDS = {
    "complete": "the framing says complete",
    "unframed": "the connection ends a body that has no framing",
    "broken": "closed inside the framing, an error to a client",
    "reset": "reset, an error to a client",
    "garbled": "broken on purpose, an error to a client",
    "waited": "no end at all",
}
"""What a client sees of an end."""


def _looks(end: str, detail: str = "") -> str:
    told = _ENDS.get(end, end)
    return f"{told} ({detail})" if detail and end == "reset" else told


def _where(each: Seen) -> str:
    return f"{each.question} ({each.protocol})"


def _whose(limit: Limit, kind: str) -> str:
    whose = families.whose(limit.seconds, kind)
    return f"whose default is as long: {whose}" if whose else ""


def _noticed_s(seen: Observations) -> float:
    told = seen.leaving.told if seen.leaving is not None else None
    return (told.left_at_s or 0.0) if told is not None else 0.0
