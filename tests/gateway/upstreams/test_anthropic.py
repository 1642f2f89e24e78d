"""Anthropic's API, and any other that speaks it."""

from dataclasses import replace

import anthropic
import pytest

from midstream.gateway.http.heads import Headers
from midstream.gateway.http.origin import Origin
from midstream.gateway.upstreams.anthropic import Anthropic, MessagesApi
from midstream.gateway.upstreams.models import Names
from midstream.gateway.upstreams.options import Base, Options
from midstream.gateway.upstreams.port import BadCall, NoCredentials, NotOffered
from tests.gateway.upstreams.fakes import (
    as_arrived,
    asked_of,
    bedrock_call,
    http_client,
    messages_call,
    out_of,
    sdk_request,
)

KEYED = {"ANTHROPIC_API_KEY": "sk-ant-own", "ANTHROPIC_AUTH_TOKEN": "other"}


def upstream(name: str = "anthropic", environ: dict[str, str] | None = None, **options: object) -> Anthropic:
    return Anthropic(name, Options(**options), KEYED if environ is None else environ)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", [{}, {"streamed": False}, {"beta": True, "betas": ["a-1", "b-2"]}, {"count": True}])
def test_what_reaches_anthropic_is_what_the_sdk_would_have_sent_there(how: dict[str, object]) -> None:
    client = anthropic.Anthropic(api_key="sk-ant-own", http_client=http_client(), max_retries=0)
    request = sdk_request(client, **how)
    sdk, ours = as_arrived(request), asked_of(upstream(), messages_call(**how))
    assert (ours.method, ours.target, ours.body) == (sdk.method, sdk.target, sdk.body)
    assert ours.compared == sdk.compared
    assert ours.header(b"authorization") == sdk.header(b"authorization") == b"Bearer sk-ant-own"
    assert ours.header(b"host") == request.url.netloc == b"api.anthropic.com"


def test_the_clients_bytes_are_sent_as_they_came() -> None:
    raw = b'{"model" : "claude-opus-4-8",\n "unknown":[1e2,"\\u2603"], "stream": true }'
    call = replace(messages_call(), raw=raw, fields={"model": "claude-opus-4-8", "stream": True})
    assert asked_of(upstream(), call).body == raw


def test_an_edited_body_is_sent_instead_and_loses_what_was_said_of_the_old_bytes() -> None:
    call = messages_call()
    call = replace(call, headers=[*call.headers, (b"content-encoding", b"gzip"), (b"digest", b"x"), (b"x-mine", b"1")])
    fields = {**call.fields, "max_tokens": 7}
    there = asked_of(upstream(), call, fields)
    assert there.fields == fields
    assert there.header(b"content-encoding") is there.header(b"digest") is None
    assert there.header(b"x-mine") == b"1"
    assert asked_of(upstream(), call).header(b"content-encoding") == b"gzip"


@pytest.mark.parametrize(
    "credentials",
    [
        [(b"authorization", b"Bearer theirs")],
        [(b"x-api-key", b"theirs")],
        [(b"authorization", b"Bearer theirs"), (b"x-api-key", b"theirs too")],
        [],
    ],
)
def test_the_clients_credentials_go_on_as_they_are_and_no_others_do(credentials: Headers) -> None:
    there = asked_of(upstream(), messages_call(), None, credentials)
    assert [pair for pair in there.headers if pair[0] in (b"authorization", b"x-api-key")] == credentials


def test_a_streamed_reply_is_asked_for_as_it_is_and_any_other_as_the_client_did() -> None:
    call = messages_call()
    asked = asked_of(upstream(), call)
    assert [value for name, value in asked.headers if name == b"accept-encoding"] == [b"identity"]
    plain = messages_call(streamed=False)
    wanted = [value for name, value in plain.headers if name == b"accept-encoding"]
    assert [value for name, value in asked_of(upstream(), plain).headers if name == b"accept-encoding"] == wanted
    assert asked.header(b"accept") == b"application/json"


@pytest.mark.parametrize(
    ("name", "origin", "target"),
    [
        ("http://127.0.0.1:9000", Origin("http", "127.0.0.1", 9000), b"/v1/messages?beta=true"),
        ("https://Proxy.example/claude/", Origin("https", "proxy.example", 443), b"/claude/v1/messages?beta=true"),
        ("http://[::1]:80", Origin("http", "::1", 80), b"/v1/messages?beta=true"),
    ],
)
def test_a_url_is_asked_below_its_own_path(name: str, origin: Origin, target: bytes) -> None:
    out = out_of(upstream(name), replace(messages_call(), query="beta=true"))
    assert (out.origin, out.target) == (origin, target)


@pytest.mark.parametrize(
    ("name", "environ", "options", "own"),
    [
        ("anthropic", KEYED, {}, b"Bearer sk-ant-own"),
        ("anthropic", {"ANTHROPIC_AUTH_TOKEN": "tok"}, {}, b"Bearer tok"),
        ("anthropic", {"ANTHROPIC_API_KEY": "", "ANTHROPIC_AUTH_TOKEN": " tok\n"}, {}, b"Bearer tok"),
        ("anthropic", {**KEYED, "MINE": "mine"}, {"key_env": "MINE"}, b"Bearer mine"),
        ("http://127.0.0.1:1", KEYED, {}, b"Bearer sk-ant-own"),
        ("http://127.0.0.1:1", KEYED, {"key_env": ""}, None),
        ("http://127.0.0.1:1", {}, {}, None),
    ],
)
def test_the_gateways_own_key_is_sent_as_the_sdk_sends_it(
    name: str, environ: dict[str, str], options: dict[str, object], own: bytes | None
) -> None:
    service = upstream(name, environ, **options)
    assert asked_of(service, messages_call()).header(b"authorization") == own
    assert service.holds_credentials is (own is not None)


def test_without_a_key_the_sentence_says_where_it_was_looked_for() -> None:
    with pytest.raises(NoCredentials, match="neither ANTHROPIC_API_KEY nor ANTHROPIC_AUTH_TOKEN is set"):
        out_of(upstream(environ={}), messages_call())


def test_a_body_that_is_still_arriving_is_left_to_arrive() -> None:
    call = replace(messages_call(), path="/v1/files", raw=None, fields={}, model="")
    service = upstream()
    assert not service.reads_body
    assert out_of(service, call).body is None
    assert upstream(models={"a": "b"}).reads_body


def test_the_users_table_renames_the_model() -> None:
    there = asked_of(upstream(models={"claude-opus-4-8": "big"}), messages_call())
    assert there.fields["model"] == "big"


def test_a_bedrock_client_asks_the_messages_api() -> None:
    call = bedrock_call(extra_headers={"anthropic-beta": "a-1,b-2", "x-mine": "1"})
    there = asked_of(upstream(), call)
    direct = messages_call(extra_headers={"anthropic-beta": "a-1,b-2", "x-mine": "1"})
    assert there.fields == direct.fields
    assert there.target == "/v1/messages"
    for name in (b"anthropic-version", b"anthropic-beta", b"x-mine", b"accept", b"content-type"):
        assert [value for key, value in there.headers if key == name] == [dict(direct.headers)[name]], name
    assert there.header(b"authorization") == b"Bearer sk-ant-own"
    assert not [name for name, _ in there.headers if name.startswith(b"x-amz")]


def test_the_old_version_of_bedrock_is_the_first_of_the_api() -> None:
    call = bedrock_call(streamed=False, extra_body={"anthropic_version": "bedrock-2023-05-31"})
    there = asked_of(upstream(), call)
    assert there.header(b"anthropic-version") == b"2023-06-01"
    assert "stream" not in there.fields


def test_what_else_bedrock_has_is_not_offered() -> None:
    with pytest.raises(NotOffered):
        out_of(upstream(), replace(bedrock_call(), path="/model/x/converse-stream"))


def test_a_signature_for_aws_is_no_credential_here() -> None:
    with pytest.raises(NoCredentials, match="signed for AWS"):
        out_of(upstream(), bedrock_call(), None, [(b"authorization", b"AWS4-HMAC-SHA256 Credential=x")])


@pytest.mark.parametrize("path", ["/v1/../admin", "/v1/%2e%2E/admin", "/v1/..;x/admin", "v1/messages", "/./v1"])
def test_no_path_leads_out_of_the_base(path: str) -> None:
    with pytest.raises(BadCall):
        out_of(upstream("http://h/base"), replace(messages_call(), path=path))


@pytest.mark.parametrize(
    ("credentials", "here", "at_a_cloud"),
    [
        ([], False, False),
        ([(b"x-api-key", b"sk-ant-x")], True, False),
        ([(b"authorization", b"Bearer token")], True, True),
        ([(b"authorization", b"AWS4-HMAC-SHA256 Credential=x")], False, False),
        ([(b"x-amz-security-token", b"x")], False, False),
    ],
)
def test_an_upstream_tells_whether_credentials_are_of_its_kind(
    credentials: Headers, here: bool, at_a_cloud: bool
) -> None:
    assert upstream().takes(messages_call(), credentials) is here
    assert MessagesApi("x", Base.of("https://h", "x"), Names("api")).takes(messages_call(), credentials) is at_a_cloud


def test_errors_come_back_untouched() -> None:
    answer = (529, [(b"content-type", b"text/html")], b"<html>{")
    assert upstream().refusal(*answer) == answer
    status, headers, body = upstream().refusal(*answer, "eventstream")
    assert (status, (b"x-amzn-errortype", b"ServiceUnavailableException") in headers) == (503, True)
    assert body.startswith(b'{"message":')


def test_the_key_of_a_model_is_the_model() -> None:
    assert upstream().model_key(messages_call()) == "claude-opus-4-8"
    assert upstream().model_key(bedrock_call()) == "claude-opus-4-8"


def test_a_clouds_own_errors_are_put_into_the_clients_words() -> None:
    """What is common to all services that speak the Messages API (`MessagesApi`); two rows of the table of `errors`."""
    service = MessagesApi("x", Base.of("https://h", "x"), Names("api"))
    headers = [(b"x-amzn-errortype", b"ThrottlingException")]
    told = service.refusal(429, headers, b'{"message":"m"}')
    assert b'"rate_limit_error"' in told[2]
    assert service.refusal(429, headers, b"{}", "eventstream") == (429, headers, b"{}")
