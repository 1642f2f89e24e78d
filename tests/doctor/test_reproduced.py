"""What SDKs really say when a stream breaks is explained: each break is played, and the traceback looked up.

Rule: nothing is quoted here. The SDK that is installed and, for what later versions cured, the one that had it, meet
the fault server over real sockets.
"""

import importlib.util
import os
import subprocess
import sys
import traceback
import venv
from pathlib import Path
from typing import Any

import anthropic
import pytest

import midstream
from midstream.doctor.explain import explain
from midstream.faults.server import FaultServer

pytestmark = pytest.mark.sockets

ASKED: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "Hi"}],
}


def direct(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="any", base_url=url, max_retries=0)


def bedrock(url: str) -> anthropic.AnthropicBedrock:
    keys = {"aws_region": "us-east-1", "aws_access_key": "any", "aws_secret_key": "any"}
    return anthropic.AnthropicBedrock(**keys, base_url=url, max_retries=0)


def said(script: str, make: Any) -> str:
    """The traceback of a program that reads a stream to its end."""
    with FaultServer(f"always {script}") as server, make(server.url) as client:
        try:
            with client.messages.stream(**ASKED) as stream:
                stream.get_final_message()
        except Exception:
            return traceback.format_exc()
    raise AssertionError(f"{script} was not noticed")


BREAKS = [
    ("cut-fin@event=5", direct, "incomplete-chunked-read"),
    ("cut-rst@event=5", direct, "httpx-read-error"),
    ("broken-chunk@event=5", direct, "incomplete-chunked-read"),
    ("gzip-bad@event=5", direct, "httpx-decoding-error"),
    ("overloaded@event=0", direct, "overloaded-in-stream"),
    ("overloaded@event=5", direct, "overloaded-in-stream"),
    ("rate_limit_error@event=5", direct, "rate-limit"),
    ("api_error@event=5", direct, "api-error"),
    ("timeout_error@event=5", direct, "timeout-error"),
    ("error-spend-limit@event=5", direct, "spend-limit"),
    ("bad-json@event=5", direct, "sdk-json-decode"),
    ("delta-unknown-block@event=2", direct, "sdk-index-error"),
    ("empty-200", direct, "sdk-assertion"),
    ("html-200", direct, "sdk-assertion"),
    ("closed-early", direct, "server-disconnected"),
    ("400", direct, "invalid-request"),
    ("401", direct, "authentication"),
    ("403", direct, "permission"),
    ("404", direct, "not-found"),
    ("413", direct, "request-too-large"),
    ("429", direct, "rate-limit"),
    ("500", direct, "api-error"),
    ("529", direct, "overloaded"),
    ("throttlingException@event=5", bedrock, "bedrock-throttling"),
    ("internalServerException@event=5", bedrock, "bedrock-internal-server"),
    ("modelStreamErrorException@event=5", bedrock, "bedrock-model-stream-error"),
    ("modelTimeoutException@event=5", bedrock, "bedrock-model-timeout"),
    ("serviceUnavailableException@event=5", bedrock, "bedrock-service-unavailable"),
    ("validationException@event=5", bedrock, "bedrock-validation"),
    # Not among those that botocore's model has for a stream: the SDK loses its name.
    ("modelNotReadyException@event=5", bedrock, "status-200-error"),
    ("overloaded@event=0", bedrock, "overloaded-in-stream"),
    ("bad-crc@event=5", bedrock, "botocore-checksum"),
]


@pytest.mark.parametrize(("script", "make", "entry"), BREAKS, ids=[f"{b[1].__name__}-{b[0]}" for b in BREAKS])
def test_what_the_installed_sdk_says_is_explained(script: str, make: Any, entry: str) -> None:
    told = said(script, make)
    found = explain(told).best
    assert found is not None and found.id == entry, told.splitlines()[-1]


def test_the_raw_transport_error_that_passes_the_sdks_classes_is_explained_with_the_versions_that_have_it() -> None:
    told = said("cut-fin@event=5", direct)
    assert "anthropic.APIConnectionError" not in told.splitlines()[-1]
    entry = explain(told).best
    assert entry is not None and "all versions" in entry.versions and "APIConnectionError" in entry.cure


def test_a_stream_without_its_end_raises_nothing_and_its_entry_says_so() -> None:
    with FaultServer("always cut-clean@event=5") as server, direct(server.url) as client:
        with client.messages.stream(**ASKED) as stream:
            message = stream.get_final_message()
    assert message.stop_reason is None
    entry = explain("the stream ended without message_stop").best
    assert entry is not None and entry.id == "truncated-stream"
    assert "without any exception" in entry.versions and "stop_reason" in entry.versions


OLD = "0.104.0"
"""Before 0.110.0, which names events by their own type, and before 1.7.0, which knows exception frames."""

OLD_PROGRAM = """
import sys, anthropic
client = anthropic.AnthropicBedrock(
    aws_region="us-east-1", aws_access_key="any", aws_secret_key="any", base_url=sys.argv[1], max_retries=0
)
asked = dict(model="claude-opus-4-8", max_tokens=1000, messages=[{"role": "user", "content": "Hi"}])
for event in client.messages.create(stream=True, **asked):
    if isinstance(event, anthropic.types.RawMessageStartEvent):
        print(event.message.model)
"""


@pytest.fixture(scope="module")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own with the old SDK."""
    folder = tmp_path_factory.mktemp("old-sdk")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    words = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"anthropic[bedrock]=={OLD}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    if done.returncode:
        reason = f"anthropic {OLD} cannot be installed: {done.stderr.strip().splitlines()[-1:]}"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return python


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "words", "entry"),
    [
        ("overloaded@event=0", "'NoneType' object has no attribute 'model'", "bedrock-none-message"),
        ("throttlingException@event=0", "Bad response code, expected 200", "bedrock-bad-response-code"),
    ],
)
def test_what_an_old_sdk_makes_of_a_bedrock_error_is_explained_with_the_version_that_cures_it(
    script: str, words: str, entry: str, old_python: Path
) -> None:
    with FaultServer(f"always {script}") as server:
        done = subprocess.run([old_python, "-c", OLD_PROGRAM, server.url], capture_output=True, text=True, timeout=120)
    assert done.returncode and words in done.stderr
    found = explain(done.stderr).best
    assert found is not None and found.id == entry
    assert "0.110.0" in found.versions or "1.7.0" in found.versions
    # The SDK that is installed has the cure: it names the error.
    assert explain(said(script, bedrock)).best != found


def test_the_bedrock_extra_is_there_for_these_tests() -> None:
    assert importlib.util.find_spec("botocore") is not None, sys.executable


THREE_CASES = [
    ("throttlingException@event=5", bedrock),
    ("overloaded@event=5", bedrock),
    ("cut-fin@event=5", direct),
    ("cut-rst@event=5", direct),
    ("cut-clean@event=5", direct),
]
"""What this project began with: errors inside a Bedrock stream, a lost connection, an end without ``message_stop``."""


@pytest.mark.parametrize(("script", "make"), THREE_CASES)
def test_one_line_cures_the_three_cases(script: str, make: Any) -> None:
    recovery = midstream.Recovery(midstream.Policy(attempts=2, backoff_s=(0, 0)))
    with FaultServer() as server, make(server.url) as client:
        whole = client.messages.create(stream=False, **ASKED).content[0].text
    with FaultServer(script) as server, make(server.url).copy(middleware=[recovery], max_retries=2) as client:
        with client.messages.stream(**ASKED) as stream:
            message = stream.get_final_message()
        assert message.content[0].text == whole and message.stop_reason == "end_turn"
    with (
        FaultServer(f"always {script}") as server,
        make(server.url).copy(middleware=[recovery], max_retries=2) as client,
    ):
        with client.messages.stream(**ASKED) as stream, pytest.raises(anthropic.APIError) as raised:
            stream.get_final_message()
        assert isinstance(raised.value, midstream.StreamError) and whole.startswith(
            raised.value.partial["content"][0]["text"]
        )


GIVEN_UP = [
    ("cut-fin@event=5", "incomplete-chunked-read"),
    ("cut-clean@event=5", "truncated-stream"),
    ("overloaded@event=5", "overloaded"),
    ("400", "midstream-gave-up"),
]


@pytest.mark.parametrize(("script", "entry"), GIVEN_UP)
def test_what_midstream_says_when_it_gives_up_is_explained_by_its_cause(script: str, entry: str) -> None:
    recovery = midstream.Recovery(midstream.Policy(backoff_s=(0.01, 0.02)))
    told = said(script, lambda url: direct(url).with_options(middleware=[recovery]))
    found = [hit.entry.id for hit in explain(told).hits]
    assert found[0] == entry and "midstream-gave-up" in found
