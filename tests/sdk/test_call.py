"""What recovery must know of a call of the SDK, and what it sends."""

from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import APIRequest
from anthropic._models import FinalRequestOptions

from midstream.sdk.call import (
    allows_retries,
    attempt_request,
    body_of,
    client_of,
    default_timeout,
    engine_request,
    is_stream,
    timeout_of,
)
from tests.sdk.calls import ALL_WAYS, MAKERS, Maker, Playing, Way, call, over

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def request(*, stream: bool = True, method: str = "post", url: str = "/v1/messages", **options: Any) -> APIRequest:
    given = FinalRequestOptions(method=method, url=url, **{"json_data": BODY, **options})
    return APIRequest(options=given, cast_to=object, stream=stream)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(), True),
        (request(url="/v1/messages?beta=true"), True),
        (request(method="POST"), True),
        (request(stream=False), False),
        (request(method="get"), False),
        (request(url="/v1/messages/count_tokens"), False),
        (request(url="/v1/messages/batches"), False),
        (request(url="/v1/complete"), False),
        (request(url="/v2/v1/messages"), False),
    ],
)
def test_which_calls_are_streamed_messages_calls(asked: APIRequest, expected: bool) -> None:
    assert is_stream(asked) is expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(), BODY),
        (request(extra_json={"model": "other", "more": 1}), {**BODY, "model": "other", "more": 1}),
        (request(extra_json=None), BODY),
        (request(json_data=None), None),
        (request(json_data=[1]), None),
    ],
)
def test_the_body_is_what_will_be_sent(asked: APIRequest, expected: object) -> None:
    assert body_of(asked) == expected


def test_the_body_is_the_callers_own_and_not_a_copy() -> None:
    asked = request()
    assert body_of(asked) is asked.json


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, set()),
        ({"anthropic-beta": "a"}, {"a"}),
        ({"Anthropic-Beta": "a, b,,c "}, {"a", "b", "c"}),
        ({"anthropic-beta": anthropic.NOT_GIVEN}, set()),
    ],
)
def test_betas_come_from_the_header(headers: dict[str, Any], expected: set[str]) -> None:
    asked = request()
    asked.options.headers = headers
    assert engine_request(asked, BODY).betas == expected


def test_an_attempt_without_changes_is_the_callers_own_request() -> None:
    asked = request()
    assert attempt_request(asked, None, None) is asked


def test_an_attempt_has_its_own_body_and_time_and_all_else_of_the_caller() -> None:
    asked = request(extra_json={"more": 1}, headers={"x-mine": "1"}, params={"q": 1}, idempotency_key="k")
    made = attempt_request(asked, {"model": "m"}, httpx2.Timeout(3))
    assert (made.json, made.options.extra_json, made.timeout) == ({"model": "m"}, None, httpx2.Timeout(3))
    assert made.headers is asked.headers and made.query_params is asked.query_params
    assert made.options.idempotency_key == "k" and made.stream and made.cast_to is asked.cast_to
    assert asked.json is not made.json and asked.options.extra_json == {"more": 1}
    assert attempt_request(asked, None, httpx2.Timeout(3)).json is asked.json


# --- the client behind the chain ------------------------------------------------------------------------------------


class Finds(anthropic.Middleware):
    """Looks for the client from where it stands."""

    def __init__(self) -> None:
        self.found: Any = None

    def handle(self, request: APIRequest, call_next: Any) -> Any:
        self.found = client_of(call_next)
        return call_next(request)

    async def handle_async(self, request: APIRequest, call_next: Any) -> Any:
        self.found = client_of(call_next)
        return await call_next(request)


class Passes(anthropic.Middleware):
    def handle(self, request: APIRequest, call_next: Any) -> Any:
        return call_next(request)

    async def handle_async(self, request: APIRequest, call_next: Any) -> Any:
        return await call_next(request)


@pytest.mark.parametrize("maker", MAKERS, ids=str)
@pytest.mark.parametrize("way", [ALL_WAYS[0], ALL_WAYS[7]], ids=str)
@pytest.mark.parametrize("others", [0, 1, 5])
def test_the_client_is_found_behind_any_chain(maker: Maker, way: Way, others: int) -> None:
    finds, clients = Finds(), []
    connect = over(Playing(), maker, max_retries=7, middleware=[finds, *[Passes() for _ in range(others)]])

    def connected(*, is_async: bool) -> Any:
        clients.append(connect(is_async=is_async))
        return clients[-1]

    assert call(way, connected).error is None
    assert finds.found is clients[0] and finds.found.max_retries == 7


def test_what_has_no_client_behind_it_is_none() -> None:
    assert client_of(lambda request: request) is None
    assert client_of(len) is None

    def loop(request: object) -> object:
        return loop(request)

    assert client_of(loop) is None

    def later() -> Any:
        handler = lambda request: unbound  # noqa: E731
        found = client_of(handler)
        unbound = 1
        return found

    assert later() is None


# --- what the caller wants ------------------------------------------------------------------------------------------


class Client:
    def __init__(self, max_retries: object = 2, timeout: object = 30.0) -> None:
        self.max_retries, self.timeout = max_retries, timeout


@pytest.mark.parametrize(
    ("asked", "client", "expected"),
    [
        (request(), Client(2), True),
        (request(), Client(0), False),
        (request(), None, True),
        (request(max_retries=0), Client(2), False),
        (request(max_retries=1), Client(0), True),
        (request(max_retries=0), None, False),
    ],
)
def test_max_retries_0_means_no_recovery(asked: APIRequest, client: Any, expected: bool) -> None:
    assert allows_retries(asked, client) is expected


@pytest.mark.parametrize(
    ("asked", "client", "expected"),
    [
        (request(), Client(timeout=30.0), httpx2.Timeout(30)),
        (request(), Client(timeout=anthropic.DEFAULT_TIMEOUT), anthropic.DEFAULT_TIMEOUT),
        (request(), None, None),
        (request(timeout=5), Client(), httpx2.Timeout(5)),
        (request(timeout=httpx2.Timeout(5, read=1)), None, httpx2.Timeout(5, read=1)),
        (request(timeout=None), Client(), httpx2.Timeout(None)),
        (request(), Client(timeout=None), httpx2.Timeout(None)),
    ],
)
def test_the_timeout_is_that_of_the_call_then_of_the_client(asked: APIRequest, client: Any, expected: Any) -> None:
    assert timeout_of(asked, client) == expected


def test_the_defaults_of_the_sdk_are_nobodys_wish() -> None:
    assert default_timeout(anthropic.DEFAULT_TIMEOUT)
    assert default_timeout(httpx2.Timeout(600, connect=5.0))
    assert not default_timeout(httpx2.Timeout(600)) and not default_timeout(None)


def test_a_long_conversation_is_not_copied_for_the_first_attempt() -> None:
    """The SDK's own ``copy`` would copy all of it."""
    messages = [{"role": "user", "content": f"{n}"} for n in range(100)]
    asked = request(json_data={**BODY, "messages": messages})
    assert attempt_request(asked, None, httpx2.Timeout(3)).json["messages"] is messages  # type: ignore[index, call-overload]
