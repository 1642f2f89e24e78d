"""The public API as a type checker sees it. Checked by `make check`, never run.

Rule: what a user would write, and what a checker must then know about it.
"""

from typing import Any, assert_type

import anthropic
from anthropic.lib.bedrock import AnthropicBedrock
from anthropic.lib.vertex import AsyncAnthropicVertex

import midstream
from midstream import Failure, Kind, Phase, Policy, Recovery, Report, StreamError

assert_type(midstream.__version__, str)

# One object serves sync and async clients, and every cloud.
anthropic.Anthropic(middleware=[Recovery()])
anthropic.AsyncAnthropic(middleware=[Recovery()])
AnthropicBedrock(middleware=[Recovery()])
AsyncAnthropicVertex(middleware=[Recovery(enabled=False)])

POLICY = Policy(
    attempts=4,
    attempts_total=16,
    elapsed_s=600.0,
    connect_s=5.0,
    first_event_s=180.0,
    silence_s=60,
    progress_s=300.0,
    backoff_s=(0.5, 8.0),
    retry_after_max_s=60.0,
    tools="hold",
    thinking="live",
    server_tools="hold",
    structured="hold",
    continue_text=True,
    continue_max_tokens=0,
    repeat_remote_tools=False,
)
assert_type(POLICY.attempts, int)
assert_type(POLICY.silence_s, float)
assert_type(POLICY.elapsed_s, float | None)
assert_type(POLICY.backoff_s, tuple[float, float])


def told(report: Report) -> None:
    """What `on_report` is given."""
    assert_type(str(report), str)
    assert_type(report.to_dict(), dict[str, Any])


RECOVERY = Recovery(POLICY, on_report=told)
client = anthropic.Anthropic(middleware=[RECOVERY])


def ask() -> None:
    """A stream that ends, whole or honestly."""
    try:
        with client.messages.stream(
            model="claude-sonnet-4-5", max_tokens=100, messages=[{"role": "user", "content": "Hello"}]
        ) as stream:
            for text in stream.text_stream:
                assert_type(text, str)
            assert_type(midstream.report(stream), Report)
    except StreamError as error:
        assert_type(error.failure, Failure)
        assert_type(error.failure.kind, Kind)
        assert_type(error.failure.phase, Phase)
        assert_type(error.partial, dict[str, Any])
        assert_type(error.report, Report)
