"""Reports and records for tests of what is told about streams, with a secret wherever the world can put one."""

from midstream.recovery.failure import Failure, Kind, Origin, Phase
from midstream.recovery.history import AttemptRecord
from midstream.reports import Report

SECRET = "sk-ant-api03-abcdefghijklmnop"
CONTENT = "the words of a reply"


def failure(kind: Kind = Kind.TRUNCATED, error_type: str | None = None) -> Failure:
    return Failure(
        kind,
        Phase.SHOWING,
        Origin.TRANSPORT,
        detail=CONTENT,
        error_type=error_type,
        api_message=CONTENT,
        body={"error": CONTENT},
    )


def record(number: int = 1, plan: str = "first", **more: object) -> AttemptRecord:
    return AttemptRecord(number, plan, 0.25, 0.0, **more)  # type: ignore[arg-type]


def report(outcome: str = "complete", *attempts: AttemptRecord, broke: Failure | None = None) -> Report:
    return Report(outcome, attempts, failure=broke, elapsed_s=2.5, slept_s=0.5)  # type: ignore[arg-type]
