"""What is told on stderr: a line when the gateway starts, for each recovery, and for each stream's end.

Rule: ids, numbers and words from known sets. No contents, no headers, no credentials; a free sentence goes through
`hiding`.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from midstream.gateway.hiding import hidden
from midstream.gateway.metrics import plan_of
from midstream.recovery.failure import Kind
from midstream.recovery.history import AttemptRecord, fit
from midstream.reports import Report

Form = Literal["auto", "json", "text", "off"]
Level = Literal["info", "warning", "error"]

TEXT_CHARS_MAX = 500
"""A sentence; the longest of midstream's own has 300."""


class Log:
    """Writes lines. Never raises: a log that cannot be written does not stop a stream."""

    def __init__(self, form: Form, to: TextIO | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._to = sys.stderr if to is None else to
        self.form = form if form != "auto" else ("text" if self._to.isatty() else "json")
        """How lines look: never ``auto``."""
        self._clock = clock

    def started(self, **facts: Any) -> None:
        """The gateway listens. ``facts``: addresses, upstreams, where the journal is."""
        self.line("info", "started", **facts)

    def stopped(self, **facts: Any) -> None:
        """The gateway ends."""
        self.line("info", "stopped", **facts)

    def warned(self, sentence: str) -> None:
        """Something is doubtful, and nothing stops for it."""
        self.line("warning", "warning", message=sentence)

    def failed(self, sentence: str) -> None:
        """Something does not work, and the gateway goes on without it."""
        self.line("error", "error", message=sentence)

    def recovered(self, stream: str, record: AttemptRecord, upstream: str, after: Kind | None) -> None:
        """An attempt after the first is over. ``after``: what had ended the one before it."""
        self.line(
            "info",
            "recovery",
            stream=stream,
            attempt=record.number,
            plan=plan_of(record),
            upstream=upstream,
            after=str(after) if after else None,
            delay_s=round(record.delay_s, 3),
            failed=str(record.failure.kind) if record.failure else None,
            request_id=record.request_id,
        )

    def stream_ended(self, stream: str, report: Report, **facts: Any) -> None:
        """A stream is over. ``facts``: what the gateway knows of it besides: status, client, bytes, seconds."""
        failure = report.failure
        self.line(
            "warning" if report.outcome == "failed" else "info",
            "stream_ended",
            stream=stream,
            outcome=report.outcome,
            kind=str(failure.kind) if failure else None,
            phase=str(failure.phase) if failure else None,
            attempts=len(report.attempts),
            broke=[str(attempt.failure.kind) for attempt in report.attempts if attempt.failure],
            elapsed_s=round(report.elapsed_s, 3),
            slept_s=round(report.slept_s, 3),
            output_tokens=report.usage.output_tokens,
            request_ids=report.request_ids,
            **facts,
        )

    def line(self, level: Level, event: str, **facts: Any) -> None:
        """One line; a fact that is ``None`` or an empty list is left out."""
        if self.form == "off":
            return
        told = {name: _fit(value) for name, value in facts.items() if value is not None and value != []}
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        write = _json_line if self.form == "json" else _text_line
        self._write(write(now, level, event, told))

    def libraries(self) -> logging.Handler:
        """What takes the records of `logging`, so that they are lines like all others."""
        return _Records(self)

    def block(self, lines: Sequence[str]) -> None:
        """Lines for a person, where lines are text."""
        if self.form == "text":
            self._write("".join(f"{_fit(line)}\n" for line in lines))

    def _write(self, text: str) -> None:
        try:
            self._to.write(text)
            self._to.flush()
        except (OSError, ValueError):  # a closed pipe, a full disk, a closed file
            pass


class _Records(logging.Handler):
    """Of midstream's own loggers the sentence is told; of others only who speaks: theirs may hold anything."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        own = record.name.partition(".")[0] == "midstream"
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        message = record.getMessage() if own else "a library reports a problem"
        self._log.line(level, level, message=message, logger=record.name, exception=kind)


def _json_line(now: str, level: Level, event: str, facts: Mapping[str, Any]) -> str:
    return json.dumps({"time": now, "level": level, "event": event, **facts}) + "\n"


def _text_line(now: str, level: Level, event: str, facts: Mapping[str, Any]) -> str:
    rest = dict(facts)
    words = [now[11:19]]
    if level != "info":
        words.append(level.upper())
    words.append(str(rest.pop("message")) if "message" in rest else event.replace("_", " "))
    words += [
        f"{name}={','.join(map(str, value)) if isinstance(value, list) else value}" for name, value in rest.items()
    ]
    return "  ".join(words) + "\n"


def _fit(value: Any) -> Any:
    """A value that may stand in a line: bounded, one line, and without what looks like a credential."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_fit(each) for each in value[:20]]
    return fit(hidden(str(value)), most=TEXT_CHARS_MAX)
