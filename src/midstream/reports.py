"""What happened to one stream: attempts, failures, seams, usage.

Rule: read-only, JSON-able, and without contents of request or reply.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from midstream.recovery.failure import Failure, Kind
from midstream.recovery.history import AttemptRecord, DroppedRecord, History, SeamRecord, fit

Outcome = Literal["complete", "failed", "closed", "running"]


WHAT: dict[Kind, str] = {
    Kind.TRUNCATED: "the stream was cut short",
    Kind.DISCONNECTED: "the connection was lost",
    Kind.SILENT: "the service fell silent",
    Kind.STALLED: "the stream did not get on",
    Kind.UNREACHABLE: "the service could not be reached",
    Kind.OVERLOADED: "the service is overloaded",
    Kind.RATE_LIMITED: "the rate limit was reached",
    Kind.SERVER_ERROR: "the service reported an error",
    Kind.TIMED_OUT: "the service timed out",
    Kind.REJECTED: "the request was rejected",
    Kind.GARBLED: "what came is not a Messages stream",
    Kind.LIMIT: "a limit of midstream's own was reached",
}
"""A kind of failure, in words."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens over all attempts, the ones that broke included."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    is_lower_bound: bool
    """An attempt broke before it reported its usage: at least so much was used. Its output is estimated, low."""


@dataclass(frozen=True, slots=True)
class Report:
    """What happened to one stream. ``str()`` reads well, `to_dict` is JSON."""

    outcome: Outcome
    attempts: tuple[AttemptRecord, ...] = ()
    seams: tuple[SeamRecord, ...] = ()
    dropped: tuple[DroppedRecord, ...] = ()
    failure: Failure | None = None
    """What ended the stream, if it failed."""
    gave_up: str | None = None
    """Why no further attempt was made."""
    settled: bool = False
    """The message was ended where its complete tool calls end, with ``stop_reason: tool_use`` of midstream's own."""
    stop_added: bool = False
    """The upstream's ``message_stop`` was missing, and midstream added it."""
    shown_live: bool = False
    """A hold lasted too long, and was ended by showing what was held."""
    slept_s: float = 0.0
    """Seconds waited between attempts."""
    elapsed_s: float = 0.0
    """Seconds spent waiting for the upstream, all in all; the consumer's own time not counted."""
    usage: Usage = field(default_factory=lambda: Usage(0, 0, 0, 0, False))

    @property
    def recoveries(self) -> int:
        """How many attempts came after the first."""
        return max(0, len(self.attempts) - 1)

    @property
    def request_ids(self) -> list[str]:
        """The request id of each attempt that got one."""
        return [attempt.request_id for attempt in self.attempts if attempt.request_id]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        plain = asdict(self)
        plain["failure"] = described(self.failure)
        for attempt, record in zip(plain["attempts"], self.attempts, strict=True):
            attempt["failure"] = described(record.failure)
        plain["attempts"] = list(plain["attempts"])
        plain["seams"], plain["dropped"] = list(plain["seams"]), list(plain["dropped"])
        return plain

    def __str__(self) -> str:
        lines = [self._headline()]
        for attempt in self.attempts:
            lines.append(f"  attempt {attempt.number} ({attempt.plan}): {_ended(attempt)}")
            lines += [f"    {_joined(seam)}" for seam in self.seams if seam.attempt == attempt.number]
            lines += [f"    dropped {_named(d)}: {d.reason}" for d in self.dropped if d.attempt == attempt.number]
        if self.gave_up:
            lines.append(f"  gave up: {self.gave_up}")
        usage = self.usage
        at_least = "at least " if usage.is_lower_bound else ""
        lines.append(f"  usage over all attempts: {at_least}{usage.input_tokens:,} in, {usage.output_tokens:,} out")
        return "\n".join(lines)

    def _headline(self) -> str:
        how = {
            "complete": "settled at its complete tool calls" if self.settled else "complete",
            "failed": f"failed ({self.failure.kind})" if self.failure else "failed",
            "closed": "closed by the consumer",
            "running": "still running",
        }[self.outcome]
        count = len(self.attempts)
        return f"stream {how} after {count} attempt{'s' if count != 1 else ''}, {self.slept_s:.1f} s of them asleep"


def make_report(history: History, outcome: Outcome, failure: Failure | None, elapsed_s: float) -> Report:
    """The report of a stream, from what its engine wrote down."""
    return Report(
        outcome=outcome,
        attempts=tuple(replace(attempt) for attempt in history.attempts),  # the stream may go on, the report stays
        seams=tuple(history.seams),
        dropped=tuple(history.dropped),
        failure=failure,
        gave_up=history.gave_up,
        settled=history.settled,
        stop_added=history.stop_added,
        shown_live=history.shown_live,
        slept_s=history.slept_s,
        elapsed_s=elapsed_s,
        usage=total_usage(history.attempts),
    )


def total_usage(attempts: list[AttemptRecord]) -> Usage:
    """Tokens over all attempts; the output of one that broke is the higher of what it reported and a low estimate."""
    totals = dict.fromkeys(("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"), 0)
    output, lower_bound = 0, False
    for attempt in attempts:
        for name in totals:
            totals[name] += _count(attempt.usage.get(name))
        reported = _count(attempt.usage.get("output_tokens"))
        broke = attempt.usage_is_lower_bound and bool(attempt.usage)
        output += max(reported, attempt.output_tokens_estimated) if broke else reported
        lower_bound = lower_bound or broke
    return Usage(output_tokens=output, is_lower_bound=lower_bound, **totals)


def sentence(failure: Failure, report: Report) -> str:
    """What broke, with the numbers in it, in one sentence. It may hold the service's own words."""
    said = fit(" ".join((failure.api_message or failure.detail).split())[:300], most=300)
    attempts = len(report.attempts)
    tried = f"{attempts} attempt{'s' if attempts != 1 else ''} in {report.elapsed_s:.1f} s"
    return f"{WHAT[failure.kind]}{f' ({said})' if said else ''}, after {tried}"


def described(failure: Failure | None) -> dict[str, Any] | None:
    """A failure as plain JSON values, without the service's own words: they may quote the request."""
    if failure is None:
        return None
    names = ("detail", "status", "error_type", "error_code", "retry_after_s", "request_id", "original_status")
    values = {name: getattr(failure, name) for name in names if getattr(failure, name) is not None}
    return {"kind": str(failure.kind), "phase": str(failure.phase), "origin": str(failure.origin), **values}


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def _ended(attempt: AttemptRecord) -> str:
    waited = f"after {attempt.delay_s:.2f} s, " if attempt.delay_s else ""
    if attempt.failure is not None:
        return f"{waited}{attempt.failure.kind}, {attempt.failure.detail or 'no detail'}{_id(attempt)}"
    if attempt.ended_at is None:
        return f"{waited}running{_id(attempt)}"
    return f"{waited}ended with {attempt.stop_reason}{_id(attempt)}"


def _id(attempt: AttemptRecord) -> str:
    return f" [{attempt.request_id}]" if attempt.request_id else ""


def _joined(seam: SeamRecord) -> str:
    where = f"seam in block {seam.block} at character {seam.offset:,}"
    return f"{where}: joined by the rule {seam.rule!r}, {seam.dropped_chars} characters dropped"


def _named(dropped: DroppedRecord) -> str:
    return f"{dropped.type} {dropped.name!r}" if dropped.name else dropped.type
