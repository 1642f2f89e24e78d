"""A call in the words of the Messages API."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.gateway.http.heads import Headers, head_bytes
from midstream.gateway.upstreams.asked import (
    api_version,
    as_messages,
    betas_of,
    check_path,
    encoded,
    model_in,
    target_of,
    to_send,
    version_in_header,
    with_names,
)
from midstream.gateway.upstreams.models import Names
from midstream.gateway.upstreams.port import BadCall, Call, CannotAsk, NotOffered
from tests.gateway.upstreams.fakes import bedrock_call, messages_call

NAMES = Names("api")


def test_a_messages_call_stays_what_it_is_without_its_credentials() -> None:
    call = messages_call()
    asked = as_messages(call, None, NAMES)
    assert (asked.body, asked.path, asked.streamed) == (call.raw, "/v1/messages", True)
    assert [name for name, _ in call.headers if name not in dict(asked.headers)] == [b"authorization"]


def test_nothing_of_the_clients_own_fields_is_written_to() -> None:
    for call in (messages_call(), bedrock_call()):
        before = json.dumps(call.fields)
        with_names(as_messages(call, None, NAMES), Names("bedrock")).body  # noqa: B018
        assert json.dumps(call.fields) == before


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("bedrock-2023-05-31", "2023-06-01"),
        ("vertex-2023-10-16", "2023-06-01"),
        ("2026-10-21", "2026-10-21"),
        ("2027-01-01", "2027-01-01"),
        (None, "2023-06-01"),
        (7, "2023-06-01"),
        ("a\r\nx-evil: 1", "2023-06-01"),
        ("", "2023-06-01"),
    ],
)
def test_a_clouds_version_stands_for_one_of_the_api(said: object, version: str) -> None:
    assert api_version(said) == version


@pytest.mark.parametrize(
    ("headers", "listed", "betas"),
    [
        ([], None, []),
        ([(b"anthropic-beta", b"a, b,,a"), (b"anthropic-beta", b"c")], ["b", "d"], ["a", "b", "c", "d"]),
        ([], ["x\r\ny: 1", 7, "", "ok"], ["ok"]),
        ([], "not a list", []),
    ],
)
def test_betas_are_gathered_each_once(headers: Headers, listed: object, betas: list[str]) -> None:
    assert betas_of(headers, listed) == betas


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/files/f..x/content", "/v1/.well-known", "/", "/a%2Fb"])
def test_ordinary_paths_are_no_tricks(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize("path", ["", "x", "/..", "/a/../b", "/%2e%2e/b", "/.%2E", "/..;a=1/b", "/a/."])
def test_tricks_are(path: str) -> None:
    with pytest.raises(BadCall):
        check_path(path)


def test_a_target_is_base_path_and_query() -> None:
    assert target_of("/base", "/v1/messages", "beta=true") == b"/base/v1/messages?beta=true"
    assert target_of("", "/v1/messages", "") == b"/v1/messages"


def test_only_what_is_looked_into_is_asked_for_without_encoding() -> None:
    headers = [(b"accept-encoding", b"gzip"), (b"accept", b"x")]
    assert to_send(headers, streamed=False) == headers
    assert to_send(headers, streamed=True) == [(b"accept", b"x"), (b"accept-encoding", b"identity")]
    made_here = [(b"content-type", b"application/json"), (b"accept-encoding", b"identity")]
    assert to_send([(b"content-type", b"text/plain")], streamed=False, translated=True) == made_here


def test_a_models_name_must_be_one() -> None:
    asked = as_messages(messages_call(), None, NAMES)
    assert model_in(asked) == "claude-opus-4-8"
    for wrong in (None, 7, "", " ", "..", ";x", "\ud800", "a\nb"):
        with pytest.raises(BadCall):
            model_in(replace(asked, fields={"model": wrong}))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NAMED = ("model", "stream", "messages", "anthropic_version", "anthropic_beta", "max_tokens")
strange = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMED, anything))


@given(strange, st.sampled_from(["/model/x/invoke", "/model/%C3%A9%0d/invoke-with-response-stream"]), st.booleans())
def test_no_body_makes_it_raise_or_end_a_header_line(fields: dict[str, Any], path: str, streamed: bool) -> None:
    call = Call(path, "", [(b"anthropic-beta", b"\xe9")], b"", fields, "eventstream", streamed, "")
    asked = with_names(as_messages(call, None, NAMES), Names("vertex"))
    assert asked.body is not None
    head_bytes(b"POST / HTTP/1.1", asked.headers)
    try:
        model_in(asked)
    except CannotAsk as problem:
        assert str(problem).endswith(".")


def test_of_bedrocks_api_only_invoke_can_be_asked_of_another() -> None:
    with pytest.raises(NotOffered, match="only invoke and invoke-with-response-stream"):
        as_messages(replace(bedrock_call(), path="/model/x/converse"), None, NAMES)


def test_the_version_is_that_of_the_header_or_the_first() -> None:
    assert version_in_header([(b"anthropic-version", b"2026-10-21")]) == "2026-10-21"
    assert version_in_header([]) == "2023-06-01"


def test_what_cannot_be_written_is_a_bad_call() -> None:
    with pytest.raises(BadCall, match="cannot be written as JSON"):
        encoded({"x": object()})
