"""The services as the tests have them: what arrives over a real socket, checked; and what the official SDK would send.

Rule: what is right is asked of the official SDK and of botocore, never of the code under test.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import anthropic
import httptools
import httpx2
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from midstream.gateway.http.heads import Headers, first, without_hop_by_hop
from midstream.gateway.http.origin import OutRequest, request_head
from midstream.gateway.upstreams.port import Call, Upstream
from midstream.gateway.upstreams.sigv4 import Keys

KEYS = Keys("AKIDEXAMPLE", "secret/of+AWS", None)
ENVIRON = {"AWS_ACCESS_KEY_ID": KEYS.access_key, "AWS_SECRET_ACCESS_KEY": KEYS.secret_key}

ASKED: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "How do bridges hang? ☃"}],
    "system": "Be brief.",
}

# What the SDK says of itself and of its connection, and what is different by design: bytes are inspected, so they are
# asked for as they are.
NOT_COMPARED = frozenset(
    (b"user-agent", b"connection", b"accept-encoding", b"authorization", b"x-amz-date", b"content-length", b"host")
)


@dataclass(frozen=True)
class Arrived:
    """One request, as a server read it."""

    method: str
    target: str
    headers: Headers
    body: bytes

    @property
    def fields(self) -> Any:
        return json.loads(self.body)

    def header(self, name: bytes) -> bytes | None:
        return first(self.headers, name)

    @property
    def compared(self) -> dict[bytes, bytes]:
        """The headers in which nothing may differ."""
        return {name: value for name, value in self.headers if name not in NOT_COMPARED}


class _Reading:
    def __init__(self) -> None:
        self.target, self.body, self.done = b"", b"", False
        self.headers: Headers = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.done = True


async def _arrived(out: OutRequest) -> Arrived:
    arrived: asyncio.Future[Arrived] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reading = _Reading()
        parser = httptools.HttpRequestParser(reading)
        while not reading.done and (data := await reader.read(1 << 16)):
            parser.feed_data(data)
        method = parser.get_method().decode()
        arrived.set_result(Arrived(method, reading.target.decode(), reading.headers, reading.body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(request_head(out) + (out.body or b""))
        result = await asyncio.wait_for(arrived, 10)
        await reader.read()
        writer.close()
        await writer.wait_closed()
    return result


def arrived(out: OutRequest) -> Arrived:
    """What a server reads when this request is sent to it over a real socket."""
    return asyncio.run(_arrived(out))


def asked_of(
    upstream: Upstream, call: Call, fields: dict[str, Any] | None = None, credentials: Headers | None = None
) -> Arrived:
    """The same for what an upstream makes of a call."""

    async def run() -> Arrived:
        return await _arrived(await upstream.request(call, fields, credentials))

    return asyncio.run(run())


def out_of(
    upstream: Upstream, call: Call, fields: dict[str, Any] | None = None, credentials: Headers | None = None
) -> OutRequest:
    """What an upstream makes of a call."""
    return asyncio.run(upstream.request(call, fields, credentials))


class Recorder(httpx2.MockTransport):
    """Answers everything with an error, and keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.requests: list[httpx2.Request] = []

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(400, json={"type": "error", "error": {"type": "invalid_request_error", "message": "."}})


def sdk_request(client: Any, *, streamed: bool = True, count: bool = False, beta: bool = False, **more: Any) -> Any:
    """The request of one call of the SDK's. The client was made with ``http_client()``."""
    recorder = client._client._transport
    messages = client.beta.messages if beta else client.messages
    asked = {**ASKED, **more}
    try:
        if count:
            messages.count_tokens(**{name: value for name, value in asked.items() if name != "max_tokens"})
        elif streamed:
            messages.create(**asked, stream=True)
        else:
            messages.create(**asked)
    except anthropic.APIStatusError:
        pass
    (request,) = recorder.requests
    client.close()
    return request


def http_client() -> httpx2.Client:
    """An HTTP client that goes nowhere."""
    return httpx2.Client(transport=Recorder())


def as_arrived(request: Any) -> Arrived:
    """The SDK's request, as a server would read it."""
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    return Arrived(request.method, request.url.raw_path.decode(), headers, request.read())


def call_of(request: Any) -> Call:
    """The SDK's request, as the gateway reads it."""
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    raw = request.read()
    fields = json.loads(raw)
    path, _, query = request.url.raw_path.decode().partition("?")
    by_bedrock = path.startswith("/model/")
    return Call(
        path=path,
        query=query,
        headers=without_hop_by_hop(headers),
        raw=raw,
        fields=fields,
        wire="eventstream" if by_bedrock else "sse",
        streamed=path.endswith("-stream") if by_bedrock else fields.get("stream") is True,
        model=unquote(path.split("/")[2]) if by_bedrock else fields["model"],
        method=request.method,
        host=request.url.netloc.decode(),
    )


def messages_call(**how: Any) -> Call:
    """What the SDK of Anthropic's own API sends to the gateway."""
    client = anthropic.Anthropic(
        api_key="token-of-the-client", base_url="http://gateway:8100", http_client=http_client(), max_retries=0
    )
    return call_of(sdk_request(client, **how))


def bedrock_call(*, base_url: str = "http://gateway:8100", api_key: str | None = None, **how: Any) -> Call:
    """What the SDK for Bedrock sends to the gateway: signed, unless it has a bearer token."""
    keys = {"api_key": api_key} if api_key else {"aws_access_key": "AKIDCLIENT", "aws_secret_key": "secret"}
    client = anthropic.AnthropicBedrock(
        aws_region="eu-central-1", base_url=base_url, http_client=http_client(), max_retries=0, **keys
    )
    return call_of(sdk_request(client, **{"model": "eu.anthropic.claude-opus-4-8", **how}))


def signature_scope(headers: Headers) -> tuple[str, str, frozenset[str]]:
    """Region, service and the signed headers of a signature."""
    said = (first(headers, b"authorization") or b"").decode()
    assert said.startswith("AWS4-HMAC-SHA256 Credential="), said[:30]
    scope = said.partition("Credential=")[2].partition(",")[0].split("/")
    signed = said.partition("SignedHeaders=")[2].partition(",")[0]
    return scope[2], scope[3], frozenset(signed.split(";"))


def check_signature(arrived: Arrived, origin: str, service: str, region: str, keys: Keys = KEYS) -> None:
    """What AWS does: the signature made again, by botocore, from what arrived."""
    said = (arrived.header(b"authorization") or b"").decode()
    region_said, service_said, names = signature_scope(arrived.headers)
    assert (region_said, service_said) == (region, service)
    assert "host" in names
    covered = {name.decode(): value.decode() for name, value in arrived.headers if name.decode() in names}
    assert set(covered) == names, "a header was signed and not sent"
    covered["host"] = origin.partition("://")[2]
    request = AWSRequest(method=arrived.method, url=origin + arrived.target, headers=covered, data=arrived.body)
    request.context["timestamp"] = (arrived.header(b"x-amz-date") or b"").decode()
    signer = SigV4Auth(keys, service, region)
    expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert said.endswith(f"Signature={expected}"), "the signature does not match"
