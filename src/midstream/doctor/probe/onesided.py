"""The probe with a key and no far end: what can be seen from one side of the Messages API itself.

Rule: pure; three short replies, a few questions that are refused, and no claim about what only a far end could know.
"""

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from midstream.doctor.probe import families
from midstream.doctor.probe.compare import TOGETHER_S, unpacked_pieces
from midstream.doctor.probe.families import Clues, Fit
from midstream.doctor.probe.heard import SILENT_ENDS, Heard, Protocol
from midstream.doctor.probe.observations import Passed
from midstream.doctor.probe.rules import Symptom, rules_for
from midstream.doctor.probe.words import finding
from midstream.doctor.render import Finding, Report, Table, worst
from midstream.protocol.frames import WireError
from midstream.protocol.sse import Decoder

# A reply of which so many events came while it lasted so long was written piece by piece.
EVENTS_MIN, LASTED_S_MIN = 10, 0.8

# Of a reply that was held back, all comes in this part of its time.
AT_THE_END = 0.1

# A buffer that is handed on when it is full brings so many at a time, and nothing for so long before.
EVENTS_PER_BUFFER, BUFFER_FILLS_S = 12, 0.4


@dataclass(frozen=True, slots=True)
class Reply:
    """One streamed reply of the API, as it came."""

    question: str
    heard: Heard
    events: tuple[tuple[float, str], ...]
    """When each event had come whole, and its name."""

    @property
    def ended_well(self) -> bool:
        return any(name == "message_stop" for _, name in self.events)

    @property
    def told_error(self) -> bool:
        """Whether the service itself said that it failed."""
        return any(name == "error" for _, name in self.events)

    @property
    def batches(self) -> int:
        """In how many goes the events came."""
        times = [at for at, _ in self.events]
        return bool(times) + sum(later - earlier > TOGETHER_S for earlier, later in pairwise(times))

    @property
    def quietest_s(self) -> float:
        """The longest time without a byte, once there were headers."""
        times = [self.heard.head_at_s or 0.0, *(at for at, _ in self.heard.pieces)]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    @property
    def held_back(self) -> bool:
        """Whether it came in one go, at the end of the time in which it was written, or in a few great ones."""
        lasted_s = self.heard.end_at_s - (self.heard.sent_at_s or 0.0)
        if len(self.events) < EVENTS_MIN or lasted_s < LASTED_S_MIN:
            return False
        if len(self.events) >= EVENTS_PER_BUFFER * self.batches and self.quietest_s >= BUFFER_FILLS_S:
            return True
        return self.events[-1][0] - self.events[0][0] <= AT_THE_END * lasted_s


@dataclass(frozen=True, slots=True)
class OneSided:
    """Everything that was seen."""

    protocols: tuple[Protocol, ...] = ("http/1.1",)
    replies: tuple[Reply, ...] = ()
    bodies: tuple[Passed, ...] = ()
    said: dict[str, str] = field(default_factory=dict)


def reply(question: str, heard: Heard) -> Reply:
    """One reply, its events found."""
    decoder, events = Decoder(), []
    try:
        for at, data in unpacked_pieces(heard):
            events += [(at, frame.name) for frame in decoder.feed(data)]
    except WireError:
        pass  # What is no event is not counted.
    return Reply(question, heard, tuple(events))


def judge(seen: OneSided) -> tuple[tuple[Finding, ...], tuple[Fit, ...]]:
    """What is wrong, and who may stand on the way."""
    headers = {name: value for each in seen.replies for name, value in each.heard.headers}
    fits = families.fitting(Clues(headers))
    findings: list[Finding] = []
    refused = [each for each in seen.replies if each.heard.status != 200]
    if refused and len(refused) == len(seen.replies):
        findings.append(_refused(refused[0]))
    if seen.replies and all(each.told_error for each in seen.replies):
        said = "an error event in each reply"
        findings.append(finding("PROBE-REFUSED", seen.replies[0].question, severity="warning", said=said))
    for protocol in seen.protocols:
        findings += _late(
            [each for each in seen.replies if each.heard.protocol == protocol and each.heard.status == 200], fits
        )
    findings += _cut([each for each in seen.replies if each.heard.status == 200], fits)
    if (stopped := next((each for each in seen.bodies if not each.came), None)) is not None:
        said = f"{stopped.size_bytes:,} bytes: {stopped.answer}"
        rules = rules_for("body", fits)
        findings.append(finding("PROBE-BODY", said, rules=rules, megabytes=stopped.size_bytes / 1e6))
    return tuple(findings), fits


def _refused(each: Reply) -> Finding:
    heard = each.heard
    said = f"HTTP {heard.status}" if heard.status is not None else heard.detail or heard.end
    said = f"{said} {error_type(heard.body)}".strip()
    return finding("PROBE-REFUSED", f"{each.question}: {said}", said=said)


def error_type(body: bytes) -> str:
    """The type that an error of the API has; its words may hold what was asked, and are not told."""
    try:
        error: Any = json.loads(body[:65_536])["error"]["type"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return str(error)[:60]


def _late(replies: list[Reply], fits: tuple[Fit, ...]) -> list[Finding]:
    plain = [each for each in replies if not each.heard.header("content-encoding")]
    packed = [each for each in replies if each.heard.header("content-encoding")]
    kinds: tuple[tuple[str, Symptom, list[Reply]], ...] = (
        ("PROBE-BUFFERED", "held back", plain),
        ("PROBE-COMPRESSION", "compression", packed),
    )
    for name, symptom, some in kinds:
        if some and all(each.held_back for each in some):
            last = some[-1]
            told = (
                f"{len(last.events)} events came in {last.batches} goes, {last.events[0][0]:.1f} s after the question"
            )
            return [finding(name, told, rules=rules_for(symptom, fits), protocol=last.heard.protocol)]
    return []


def _cut(replies: list[Reply], fits: tuple[Fit, ...]) -> list[Finding]:
    whole = [each for each in replies if each.heard.framing == "close"]
    cut = [each for each in replies if not each.ended_well and not each.told_error]
    silent = [f"{each.question}: no framing, so that nothing could tell a cut from an end" for each in whole]
    silent += [
        f"{each.question}: it ended without message_stop, and the framing says complete"
        for each in cut
        if each.heard.end in SILENT_ENDS and each not in whole
    ]
    seen = [
        f"{each.question}: without message_stop after {each.heard.end_at_s:.1f} s: "
        + (each.heard.detail or each.heard.end)
        for each in cut
        if each.heard.end not in SILENT_ENDS
    ]
    found = [finding("PROBE-SILENT", *silent, rules=rules_for("silent", fits))] if silent else []
    return [*found, finding("PROBE-CUT", *seen)] if seen else found


def report(seen: OneSided, url: str) -> Report:
    """Everything that a person is told."""
    findings, fits = judge(seen)
    ill = [each for each in findings if each.severity in ("error", "warning")]
    rows = [
        ("HTTP", " and ".join(seen.protocols)),
        *((each.question, _told(each)) for each in seen.replies),
        (
            "a question",
            "; ".join(f"{each.size_bytes / 1e6:.3g} MB: {each.answer}" for each in seen.bodies) or "not asked",
        ),
        (
            "on the way",
            "; ".join(f"{fit.family}: {', '.join(fit.evidence[:2])}" for fit in fits)
            or "nothing that gives itself away",
        ),
    ]
    return Report(
        command="probe",
        subject=url,
        severity=worst(findings),
        verdict=ill[0].title if ill else "what can be seen from one side is well",
        tables=(Table("seen from one side", ("what", "found"), tuple(rows)),),
        findings=findings,
        advice=("Limits, cuts and what becomes of a client that leaves can be seen with a far end only: "
                "`midstream faults --probe`, behind the same proxies.",),
        data={"families": [fit.family for fit in fits], "protocols": list(seen.protocols)},
    )  # fmt: skip


def _told(each: Reply) -> str:
    heard = each.heard
    if heard.status != 200:
        return f"HTTP {heard.status} {error_type(heard.body)}".strip() if heard.status else heard.detail or heard.end
    pings = sum(name == "ping" for _, name in each.events)
    packed = f", {heard.header('content-encoding')}" if heard.header("content-encoding") else ""
    return (
        f"{len(each.events)} events in {each.batches} goes, headers after {heard.head_at_s or 0:.1f} s, all after "
        f"{heard.end_at_s:.1f} s; {pings} pings, the longest silence {each.quietest_s:.1f} s; {heard.framing}{packed}; "
        + ("whole" if each.ended_well else f"no message_stop ({'an error event' if each.told_error else heard.end})")
    )
