"""What is told of a stream while it runs: the log, the caller's callbacks, the trace.

Rule: never contents, never credentials; and nothing that is told can break the stream.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from midstream.drivers.clock import Clock
from midstream.recovery.engine import Engine
from midstream.recovery.history import AttemptRecord
from midstream.recovery.steps import Done, Open, Sleep, Wait
from midstream.reports import Outcome, Report, described, make_report

log = logging.getLogger("midstream")
log.addHandler(logging.NullHandler())  # whoever does not ask for a log is shown none

OnReport = Callable[[Report], None]


@dataclass(frozen=True, slots=True)
class Recovered:
    """One recovery, at the moment it begins."""

    attempt: int
    """The number of the attempt that is about to be made."""
    plan: str
    """``restart`` or ``continue`` with its form."""
    delay_s: float
    failure: dict[str, Any] | None
    """What made it necessary, as plain values."""


OnRecovery = Callable[[Recovered], None]


class Story:
    """Tells of one stream."""

    def __init__(self, model: str, clock: Clock, on_report: OnReport | None, on_recovery: OnRecovery | None) -> None:
        self._model = model
        self._clock = clock
        self._began_at = clock()
        self._on_report = on_report
        self._on_recovery = on_recovery
        self._span = _current_span()
        self._told = False

    def notice(self, engine: Engine, wait: Wait) -> None:
        """Called at each turn."""
        attempts = engine.history.attempts
        if isinstance(wait, Open) and len(attempts) > 1:
            self._recovering(attempts[-2], attempts[-1])
        elif isinstance(wait, Sleep) and log.isEnabledFor(logging.DEBUG):
            log.debug("attempt %d failed; asleep before the next", len(attempts))
        elif isinstance(wait, Done):
            self._ended(engine)

    def _recovering(self, failed: AttemptRecord, begun: AttemptRecord) -> None:
        what = described(failed.failure)
        kind = what["kind"] if what else failed.stop_reason
        log.warning(
            "attempt %d ended with %s (%s)%s; attempt %d: %s, after %.2f s",
            failed.number,
            kind,
            what["detail"] if what and "detail" in what else "-",
            f" [{failed.request_id}]" if failed.request_id else "",
            begun.number,
            begun.plan,
            begun.delay_s,
        )
        self._event("midstream.recovery", {**_failure_attributes(what), "midstream.plan": begun.plan}, begun)
        recovered = Recovered(begun.number, begun.plan, begun.delay_s, what)
        _call(self._on_recovery, recovered)

    def _ended(self, engine: Engine) -> None:
        history = engine.history
        if engine.failure is not None:
            log.warning("stream failed at attempt %d: %s", len(history.attempts), history.gave_up)
            attributes = _failure_attributes(described(engine.failure))
            self._event("midstream.failed", attributes, history.attempts[-1])
        elif len(history.attempts) > 1 or history.settled or history.stop_added:
            how = "settled" if history.settled else "complete"
            log.info("stream %s after %d attempts", how, len(history.attempts))

    def tell(self, engine: Engine, outcome: Outcome) -> None:
        """The stream is over, one way or another. Told once."""
        if not self._told:
            self._told = True
            _call(self._on_report, self.report(engine, outcome))

    def report(self, engine: Engine, outcome: Outcome) -> Report:
        """The report as it stands."""
        return make_report(engine.history, outcome, engine.failure, self._clock() - self._began_at)

    def _event(self, name: str, attributes: dict[str, Any], attempt: AttemptRecord) -> None:
        if self._span is None:
            return
        attributes |= {"gen_ai.request.model": self._model, "midstream.attempt": attempt.number}
        if attempt.message_id:
            attributes["gen_ai.response.id"] = attempt.message_id
        try:
            self._span.add_event(name, attributes)
        except Exception:
            log.debug("the span did not take an event", exc_info=True)


def _failure_attributes(failure: dict[str, Any] | None) -> dict[str, Any]:
    if failure is None:
        return {}
    named = {"error.type": failure.get("error_type", failure["kind"]), "midstream.failure.kind": failure["kind"]}
    if "request_id" in failure:
        named["anthropic.request_id"] = failure["request_id"]
    return named


def _call(callback: Callable[[Any], None] | None, value: object) -> None:
    if callback is None:
        return
    try:
        callback(value)
    except Exception:
        log.exception("a callback of the caller's raised; the stream goes on")


def _current_span() -> Any:
    """The span of the call, if OpenTelemetry is there and anybody records it."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    span = trace.get_current_span()
    return span if span.is_recording() else None
