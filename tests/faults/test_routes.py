"""Method, path and headers: what is asked, and which script it is answered by."""

import json
from typing import Any

import pytest

from midstream.faults.acts import Performance, Send
from midstream.faults.routes import Call, answer
from midstream.faults.service import Service
from tests.faults.raw import BEDROCK_PATH, REQUEST


def call(path: str, body: Any = REQUEST, *, method: str = "POST", **headers: str) -> Performance:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answer(Service("ok"), Call(method, path, {k.replace("_", "-"): v for k, v in headers.items()}, data))


def said(performance: Performance) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(b"".join(act.data for act in performance.acts if isinstance(act, Send)))
    return value


VERTEX = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-5-5"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/messages", "text/event-stream"),
        ("/v1/messages?beta=true", "text/event-stream"),
        ("/anthropic/v1/messages", "text/event-stream"),
        ("/f/ok/v1/messages", "text/event-stream"),
        (f"{VERTEX}:streamRawPredict", "text/event-stream"),
        (f"{VERTEX}:rawPredict", "application/json"),
        (BEDROCK_PATH, "application/vnd.amazon.eventstream"),
        (f"/f/cut-clean{BEDROCK_PATH}", "application/vnd.amazon.eventstream"),
        ("/model/arn%3Aaws%3Abedrock/invoke-with-response-stream", "application/vnd.amazon.eventstream"),
        ("/model/anthropic.claude-sonnet-5-5/invoke", "application/json"),
        ("/v1/messages/count_tokens", "application/json"),
    ],
)
def test_every_endpoint_of_the_api_and_its_clouds_is_played(path: str, kind: str) -> None:
    performance = call(path)
    assert performance.status == 200 and performance.headers["content-type"].startswith(kind)


def test_a_count_of_tokens_is_a_number() -> None:
    assert said(call("/v1/messages/count_tokens"))["input_tokens"] > 1


def test_the_front_page_says_what_it_is() -> None:
    assert said(call("/", method="GET"))["name"] == "midstream faults"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/messages", {"x_midstream_fault": "503"}, 503),
        ("/f/503/v1/messages", {}, 503),
        ("/f/on%201%3A%20429%20retry-after%3D2/v1/messages", {}, 429),
        ("/f/429%3B503/k/mine/v1/messages", {}, 429),
        # The header comes first.
        ("/f/503/v1/messages", {"x_midstream_fault": "504"}, 504),
    ],
)
def test_the_script_is_that_of_the_header_or_of_the_path(path: str, headers: dict[str, str], status: int) -> None:
    assert call(path, **headers).status == status


def test_the_key_is_that_of_the_header_or_of_the_path() -> None:
    service = Service("ok")
    body = json.dumps(REQUEST).encode()
    for path, headers in (
        ("/f/429%3B503/k/mine/v1/messages", {}),
        ("/f/429%3B503/v1/messages", {"x-midstream-key": "mine"}),
    ):
        answer(service, Call("POST", path, headers, body))
    assert [(attempt.key, attempt.number) for attempt in service.requests] == [("mine", 1), ("mine", 2)]


@pytest.mark.parametrize(
    ("performance", "status", "words"),
    [
        (call("/v1/messages", x_midstream_fault="cut-rts"), 400, "did you mean cut-rst"),
        (call("/v1/messages", x_midstream_fault="bad-crc"), 400, "cannot be played on the sse wire"),
        (call("/v1/messages", x_midstream_fault="model=meek"), 400, "model is one of"),
        (call("/v1/messages", b"{"), 400, "not valid JSON"),
        (call("/v1/messages", b"\xff"), 400, "not valid JSON"),
        (call("/v1/messages", []), 400, "must be a JSON object"),
        (call("/v1/complete"), 404, "/v1/complete"),
        (call("/v1/models", method="GET"), 404, "/v1/models"),
        (call("/v1/messages", method="PUT"), 405, "PUT"),
    ],
)
def test_what_makes_no_sense_is_told_in_the_envelope_of_the_api(
    performance: Performance, status: int, words: str
) -> None:
    error = said(performance)
    assert performance.status == status and words in error["error"]["message"]
    assert performance.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    "request_", [{}, {"messages": 3}, {"messages": [3, {"content": 4}]}, {"stream": True, "messages": None}]
)
def test_any_json_object_is_answered(request_: dict[str, Any]) -> None:
    for path in ("/v1/messages", BEDROCK_PATH):
        assert call(path, request_).status in (200, 400)
