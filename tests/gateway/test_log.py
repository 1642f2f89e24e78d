"""What is told on stderr: ids, numbers and words; never a credential, never contents, never two lines for one."""

import io
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from midstream.gateway.log import TEXT_CHARS_MAX, Log
from midstream.recovery.failure import Kind
from tests.gateway.told import CONTENT, SECRET, failure, record, report

NOW = 1_900_000_000.125


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(form: str, tell: Callable[[Log], None]) -> str:
    to = io.StringIO()
    tell(Log(form, to, clock=lambda: NOW))  # type: ignore[arg-type]
    return to.getvalue()


def as_json(tell: Callable[[Log], None]) -> dict[str, Any]:
    (line,) = told("json", tell).splitlines()
    decoded: dict[str, Any] = json.loads(line)
    return decoded


def ended(log: Log) -> None:
    attempts = (record(failure=failure(), request_id="req_1"), record(2, "continue turn"))
    log.stream_ended("id1", report("failed", *attempts, broke=failure(Kind.SILENT)), status=200, client=None)


def recovered(log: Log) -> None:
    log.recovered("id1", record(2, "continue turn", request_id="req_2"), "anthropic", Kind.TRUNCATED)


def test_a_stream_s_end_is_one_line() -> None:
    assert as_json(ended) == {
        "time": "2030-03-17T17:46:40.125Z",
        "level": "warning",
        "event": "stream_ended",
        "stream": "id1",
        "outcome": "failed",
        "kind": "silent",
        "phase": "showing",
        "attempts": 2,
        "broke": ["truncated"],
        "elapsed_s": 2.5,
        "slept_s": 0.5,
        "output_tokens": 0,
        "request_ids": ["req_1"],
        "status": 200,
    }
    assert as_json(lambda log: log.stream_ended("id1", report()))["level"] == "info"


def test_a_recovery_is_one_line() -> None:
    assert as_json(recovered) == {
        "time": "2030-03-17T17:46:40.125Z",
        "level": "info",
        "event": "recovery",
        "stream": "id1",
        "attempt": 2,
        "plan": "continue",
        "upstream": "anthropic",
        "after": "truncated",
        "delay_s": 0.25,
        "request_id": "req_2",
    }
    assert as_json(lambda log: log.recovered("i", record(3, failure=failure()), "a", None))["failed"] == "truncated"


def test_the_start_the_end_and_sentences_are_told() -> None:
    assert as_json(lambda log: log.started(listen="a:1"))["event"] == "started"
    assert as_json(lambda log: log.stopped())["event"] == "stopped"
    assert as_json(lambda log: log.warned("a b"))["level"] == "warning"
    assert as_json(lambda log: log.failed("a b"))["message"] == "a b"


def test_text_is_for_people() -> None:
    assert told("text", recovered).startswith("17:46:40  recovery  stream=id1  attempt=2  plan=continue")
    assert told("text", lambda log: log.warned("it is so")) == "17:46:40  WARNING  it is so\n"
    assert "broke=truncated" in told("text", ended)


def test_off_is_off() -> None:
    assert told("off", ended) == ""


def test_a_block_is_for_people_only() -> None:
    assert told("text", lambda log: log.block(["a", "b\nc"])) == "a\nb\ufffdc\n"
    assert told("json", lambda log: log.block(["a"])) == ""


FORMS = [(io.StringIO, "json"), (Terminal, "text")]


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_auto_is_text_on_a_terminal_and_json_elsewhere(kind: type[io.StringIO], form: str) -> None:
    assert Log("auto", kind()).form == form


def test_without_a_place_it_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Log("json").warned("x")
    assert '"message": "x"' in capsys.readouterr().err


NASTY = f"{SECRET}\nforged line\x1b[31m \ud800" + "x" * 10_000
LINES: dict[str, Callable[[Log], None]] = {
    "started": lambda log: log.started(a=NASTY, b=[NASTY], c={NASTY: NASTY}),
    "stopped": lambda log: log.stopped(a=NASTY),
    "warned": lambda log: log.warned(NASTY),
    "failed": lambda log: log.failed(NASTY),
    "recovered": lambda log: log.recovered(
        NASTY, record(2, NASTY, request_id=NASTY, failure=failure(error_type=NASTY)), NASTY, Kind.SILENT
    ),
    "ended": lambda log: log.stream_ended(
        NASTY, report("failed", record(request_id=NASTY, failure=failure(error_type=NASTY)), broke=failure()), who=NASTY
    ),
    "block": lambda log: log.block([NASTY]),
}


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("name", LINES)
def test_no_line_holds_a_credential_contents_or_a_second_line(name: str, form: str) -> None:
    written = told(form, LINES[name])
    assert SECRET not in written and CONTENT not in written and "\x1b" not in written
    assert written.count("\n") == (0 if (form, name) == ("json", "block") else 1)
    assert len(written) < 6 * TEXT_CHARS_MAX * 3
    written.encode()


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    closed = io.StringIO()
    closed.close()
    for to in (Full(), closed):
        Log("json", to).warned("x")


def said(logger: str, message: str, *, level: int = logging.ERROR, broken: bool = False) -> Callable[[Log], None]:
    def tell(log: Log) -> None:
        try:
            raise ValueError(SECRET)
        except ValueError:
            exc_info = sys.exc_info() if broken else None
        log.libraries().handle(logging.LogRecord(logger, level, __file__, 1, message, (), exc_info))

    return tell


def test_what_is_said_through_logging_is_a_line_like_all_others() -> None:
    line = as_json(said("midstream.journal", "the journal fails", broken=True))
    assert (line["level"], line["event"], line["message"]) == ("error", "error", "the journal fails")
    assert (line["logger"], line["exception"]) == ("midstream.journal", "ValueError")
    assert "exception" not in as_json(said("midstream.gateway", "x", level=logging.WARNING))


def test_of_a_librarys_words_none_is_told() -> None:
    words = f"Exception in callback f({CONTENT!r}, {SECRET!r})"
    line = as_json(said("asyncio", words, level=logging.WARNING, broken=True))
    assert (line["level"], line["logger"], line["exception"]) == ("warning", "asyncio", "ValueError")
    text = told("text", said("asyncio", words, broken=True))
    for secret in (CONTENT, SECRET):
        assert secret not in json.dumps(line) + text
